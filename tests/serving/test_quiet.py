import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Wakes TensorFlow as a server with this option does; prints the threads that it has made, the objects that
# are looked through for garbage, and whether what no server needs was imported.
WAKES = """
import gc, os, sys
from serving import quiet
from serving.options import parse

options = parse(["--model_store_root=/srv", *sys.argv[1:]])
quiet.wake_tensorflow(options)
print(len(os.listdir("/proc/self/task")), len(gc.get_objects()), "matplotlib" in sys.modules)
import matplotlib
"""


def wake(*flags):
    done = subprocess.run(
        [sys.executable, "-c", WAKES, *flags],
        cwd=ROOT, env=os.environ, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stderr == ""
    threads, objects, drawing = done.stdout.split()
    return int(threads), int(objects), drawing == "True"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_tensorflow_wakes_with_the_threads_of_the_option_and_nothing_that_costs_time():
    (few, objects, drawing), (many, _, _) = (
        wake(f"--tensorflow_intra_op_parallelism={count}") for count in (1, 9)
    )

    assert many - few == 8
    assert objects < 50_000, "TensorFlow's half a million are looked through for garbage"
    assert not drawing
