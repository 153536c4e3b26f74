import json
import sys

import numpy as np
import pytest

from benchmarks.serving import figures, goals, load, processes
from benchmarks.serving.figures import Figures, Footprint, Row, Series
from benchmarks.serving.requests import Request

H2LOAD = """
finished in 2.00s, {rate} req/s, 12.3KB/s
requests: 10 total, 10 started, 10 done, 10 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 10 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 1.0KB (1024) total, 100B (100) headers (space savings 90.00%), 800B ({data}) data
"""
LOG = np.array([[1000 * place, 200, 100 * (place + 1)] for place in range(10)], np.int64)


def test_a_grpc_answer_without_a_message_is_an_error_although_its_http_status_is_200():
    assert load.of_h2load(H2LOAD.format(rate=5, data=800), LOG, 80, 2.0).errors == 0
    some = load.of_h2load(H2LOAD.format(rate=5, data=560), LOG, 80, 2.0)
    assert (some.answers, some.errors, some.rate) == (10, 3, 3.5)


def test_percentiles_are_of_single_requests():
    came = load.of_h2load(H2LOAD.format(rate=5, data=800), LOG, 80, 2.0)
    assert came.p50 == pytest.approx(550e-6)
    assert came.p99 == pytest.approx(991e-6)


def row(server, rate, control, *, workers=1, protocol="rest", concurrency=16):
    series = [Series([of, of, of], [0.01], [0.02], [0.001]) for of in (rate, control)]
    return Row(server, workers, protocol, "mnist", concurrency, *series)


def test_a_later_run_replaces_what_it_measured_and_keeps_the_rest(tmp_path):
    kept = Figures(
        {"cores": 2}, [row("kedge", 100, 1000), row("bentoml", 50, 1000)], skipped={"kserve": "why"}
    )
    newer = Figures(
        {"cores": 4}, [row("kedge", 300, 1000)], [Footprint("kserve", 1, 2.0, {"rss": 1, "pss": 1})]
    )
    figures.write(tmp_path / "f.json", kept.updated(newer))
    found = figures.read(tmp_path / "f.json")
    assert [(each.server, each.ratio("rate")) for each in found.rows] == [("kedge", 0.3), ("bentoml", 0.05)]
    assert (found.machine, found.skipped) == ({"cores": 4}, {})
    assert json.loads((tmp_path / "f.json").read_bytes())["footprints"][0]["server"] == "kserve"


def test_goals_compare_with_the_best_peer_by_ratios_to_the_controls():
    found = Figures(rows=[row("kedge", 500, 1000), row("bentoml", 100, 500), row("kserve", 90, 1000)])
    values = {goal.text: (goal.value, goal.met) for goal in goals.goals(found)}
    assert values["REST, one MNIST image, concurrency 16: of the best peer's share"] == (2.5, False)
    assert values["REST, one MNIST image, concurrency 16: of the bare ASGI's rate"] == (0.5, True)
    assert values["gRPC, one MNIST image, concurrency 64: of the echo's rate"] == (None, None)


def test_a_server_is_ended_with_what_it_left_behind(tmp_path):
    child = "[sys.executable, '-c', 'input()'], stdin=subprocess.PIPE, start_new_session=True"
    parent = f"import subprocess, sys; subprocess.Popen({child}).wait()"
    with processes.running([sys.executable, "-c", parent], tmp_path / "log") as running:
        while len(running.ids()) < 2:
            running.check()
        assert running.memory()["pss"] > 0
    assert running.program.returncode is not None
    assert not running.ids()


def test_a_message_is_framed_as_grpc_has_it():
    assert Request("/m", b"abc", lambda _: True).framed == b"\x00\x00\x00\x00\x03abc"
