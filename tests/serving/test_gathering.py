import asyncio

import pytest

from serving.gathering import GATHERING_SECONDS, PATIENT_ROUNDS, QUIET_ROUNDS, Gathering


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def sleeps(monkeypatch):
    """The sleeps of patient rounds, which take no time here."""
    slept = []
    monkeypatch.setattr("serving.gathering.time.sleep", slept.append)
    return slept


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def told():
    return []


@pytest.fixture
def gathering(clock, told, sleeps):
    return Gathering(lambda _: told.append(clock.now), clock)


async def rounds(count):
    for _ in range(count):
        await asyncio.sleep(0)


async def come_together(gathering, count):
    for _ in range(count):
        gathering.add(asyncio.get_running_loop())
    await rounds(2 * (QUIET_ROUNDS + PATIENT_ROUNDS))


async def test_a_lone_request_waits_for_some_rounds_and_no_time(gathering, told, sleeps):
    await come_together(gathering, 1)
    assert (len(told), sleeps) == (1, [])


async def test_a_request_that_comes_some_rounds_later_joins(gathering, told):
    gathering.add(asyncio.get_running_loop())
    await rounds(QUIET_ROUNDS - 1)
    assert told == []
    await come_together(gathering, 1)
    assert len(told) == 1


async def test_as_many_as_lately_are_waited_for(gathering, told, sleeps):
    await come_together(gathering, 3)
    gathering.add(asyncio.get_running_loop())
    await rounds(QUIET_ROUNDS + 3)
    assert (len(told), len(sleeps) > 0) == (1, True)
    await come_together(gathering, 2)
    assert len(told) == 2


async def test_they_are_not_waited_for_long_and_fewer_are_expected_from_then(gathering, told, sleeps):
    await come_together(gathering, 4)
    for patient in (True, True, False):
        sleeps.clear()
        await come_together(gathering, 1)
        assert bool(sleeps) is patient
        assert len(sleeps) <= PATIENT_ROUNDS
    assert len(told) == 4


async def test_requests_that_go_on_coming_are_told_of_when_the_time_has_come(gathering, clock, told):
    for _ in range(3):
        gathering.add(asyncio.get_running_loop())
        await rounds(QUIET_ROUNDS // 2)
    assert told == []
    clock.now = GATHERING_SECONDS
    await rounds(1)
    assert told == [GATHERING_SECONDS]
