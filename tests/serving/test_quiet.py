import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Wakes TensorFlow as a server with this option does; prints the threads that it has made.
WAKES = """
import os, sys
from serving import quiet
from serving.options import parse

options = parse(["--model_store_root=/srv", *sys.argv[1:]])
quiet.wake_tensorflow(options)
print(len(os.listdir("/proc/self/task")))
"""


def wake(*flags):
    done = subprocess.run(
        [sys.executable, "-c", WAKES, *flags],
        cwd=ROOT, env=os.environ, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stderr == ""
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_threads_of_an_operation_are_those_of_the_option():
    few, many = (wake(f"--tensorflow_intra_op_parallelism={count}") for count in (1, 9))

    assert many - few == 8
