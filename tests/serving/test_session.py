import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from serving import servable
from serving.session import status_of, tensorflow
from tests.serving import saved_models
from wire.errors import Code, StatusError

ROOT = Path(__file__).resolve().parents[2]

# Loads a model of 40 MB and closes it; prints how much of that the process has then given back, how many
# graphs are left of it, and how often Python looked through all objects for garbage meanwhile.
GIVES_BACK = """
import gc, pathlib, sys
from serving import servable
from serving.session import tensorflow
from tests.serving import saved_models

tf = tensorflow().compat.v1

def signatures():
    x = tf.placeholder(tf.float32, [None], name="x")
    weights = tf.get_variable("weights", initializer=tf.ones([10_000_000]), use_resource=True)
    return {"serving_default": saved_models.signature({"x": x}, {"y": x + weights[0]})}

def resident():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * 4096

path = saved_models.export(pathlib.Path(sys.argv[1]), signatures)
servable.load(path).close()

def graphs():
    gc.unfreeze()
    found = sum(isinstance(each, tf.Graph) for each in gc.get_objects())
    gc.freeze()
    return found

gc.collect()
others = graphs()
loaded = servable.load(path)
before = resident()
searches = []
gc.callbacks.append(lambda phase, told: searches.append(told["generation"]))
loaded.close()
gc.callbacks.clear()
print(before - resident(), graphs() - others, searches.count(2))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_close_gives_the_models_memory_back_without_a_search_for_it(tmp_path):
    environment = {key: value for key, value in os.environ.items() if key != "TF_ENABLE_ONEDNN_OPTS"}
    done = subprocess.run(
        [sys.executable, "-c", GIVES_BACK, str(tmp_path / "1")],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip

    given_back, graphs, searches = map(int, done.stdout.split())
    assert given_back > 30_000_000
    assert (graphs, searches) == (0, 0)


@pytest.mark.parametrize("fault", ["variables", "signature"])
def test_graph_of_a_load_that_fails_is_gone_without_a_search_for_it(tmp_path, monkeypatch, fault):
    path = saved_models.half_plus_two(tmp_path / "1")
    if fault == "variables":
        shutil.rmtree(path / "variables")
    else:
        monkeypatch.setattr(servable, "_signature", lambda _: 1 / 0)
    graphs, make = [], tensorflow().Graph

    def made():
        graphs.append(make())
        return graphs[-1]

    monkeypatch.setattr(tensorflow(), "Graph", made)
    with contextlib.suppress(StatusError, ZeroDivisionError):
        servable.load(path)

    monkeypatch.undo()
    assert [graph.get_operations() for graph in graphs] == [[]]


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (
            OSError("no file /srv/models/m/1/saved_model.pb here"),
            Code.NOT_FOUND,
            "no file saved_model.pb here",
        ),
        (ValueError("a/b is no tensor"), Code.INVALID_ARGUMENT, "a/b is no tensor"),
        (RuntimeError("failed\n\t [[{{node x}}]]"), Code.INTERNAL, "failed"),
        (RuntimeError(), Code.INTERNAL, "RuntimeError"),
        (StatusError(Code.ABORTED, "as it is"), Code.ABORTED, "as it is"),
    ],
)
def test_status_of_an_exception_tells_no_path(error, code, message):
    status = status_of(error)

    assert (status.code, status.message) == (code, message)
