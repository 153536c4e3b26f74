import pytest

from serving.policy import All, Latest, Load, Snapshot, Specific, Unload, aspired, next_action
from serving.states import State

START, LOADING, AVAILABLE = State.START, State.LOADING, State.AVAILABLE
UNLOADING, END = State.UNLOADING, State.END


@pytest.mark.parametrize(
    ("policy", "present", "expected"),
    [
        (Latest(), [1, 3, 2], {3}),
        (Latest(0), [1, 2], {2}),
        (Latest(2), [1, 3, 2], {2, 3}),
        (Latest(5), [1, 2], {1, 2}),
        (Latest(), [], set()),
        (All(), [4, 9], {4, 9}),
        (Specific((1, 3)), [1, 2], {1}),
        (Specific(()), [1, 2], set()),
    ],
)
def test_aspired_versions_of_each_policy(policy, present, expected):
    assert aspired(policy, present) == expected


@pytest.mark.parametrize(
    ("policy", "failed", "expected"),
    [
        (Latest(), [3], {3, 2}),
        (Latest(), [2], {3}),
        (Latest(), [2, 3], {1, 2, 3}),
        (Latest(), [1, 2, 3], {1, 2, 3}),
        (Latest(2), [3], {2, 3}),
        (Latest(2), [3, 2], {1, 2, 3}),
        (All(), [3], {1, 2, 3}),
        (Specific((3,)), [3], {3}),
    ],
)
def test_older_version_is_aspired_where_none_of_the_latest_can_be_loaded(policy, failed, expected):
    assert aspired(policy, [1, 3, 2], failed) == expected


@pytest.mark.parametrize(
    ("aspired_states", "stale_states", "expected"),
    [
        # aspired version: state            no longer aspired        next
        ({}, {}, None),
        ({1: START}, {}, Load(1)),
        ({1: START, 2: START}, {}, Load(2)),
        ({1: START, 2: LOADING}, {}, Load(1)),
        ({1: START, 2: AVAILABLE}, {}, Load(1)),
        ({2: START}, {1: AVAILABLE}, Load(2)),
        ({2: LOADING}, {1: AVAILABLE}, None),
        ({2: AVAILABLE}, {1: AVAILABLE}, Unload(1)),
        ({2: AVAILABLE}, {1: UNLOADING}, None),
        ({4: START}, {1: AVAILABLE, 2: AVAILABLE, 3: AVAILABLE}, Unload(1)),
        ({4: START}, {2: AVAILABLE, 3: AVAILABLE}, Unload(2)),
        ({4: START}, {1: UNLOADING, 2: UNLOADING, 3: AVAILABLE}, Load(4)),
        ({4: LOADING}, {3: AVAILABLE}, None),
        ({4: AVAILABLE}, {3: AVAILABLE}, Unload(3)),
        ({4: AVAILABLE, 5: START}, {3: AVAILABLE}, Unload(3)),
        # A rollback: the older version is aspired again.
        ({1: START}, {2: AVAILABLE}, Load(1)),
        ({}, {1: AVAILABLE, 2: AVAILABLE}, Unload(1)),
        ({}, {2: AVAILABLE}, Unload(2)),
        ({}, {2: LOADING}, None),
        # The new version failed: the last old one stays.
        ({2: END}, {1: AVAILABLE}, None),
        ({3: END}, {1: AVAILABLE, 2: AVAILABLE}, Unload(1)),
    ],
)
def test_next_action_keeps_the_model_available(aspired_states, stale_states, expected):
    versions = [Snapshot(version, state, True) for version, state in aspired_states.items()]
    versions += [Snapshot(version, state, False) for version, state in stale_states.items()]

    assert next_action(versions) == expected
    assert next_action(reversed(versions)) == expected
