"""Importing TensorFlow without the lines that its C++ parts write to a terminal as they start."""

import os
import tempfile

from serving.session import tensorflow


def wake_tensorflow() -> None:
    """Import TensorFlow and have it set itself up; what it says meanwhile is seen only if that fails.

    TF_CPP_MIN_LOG_LEVEL does not reach what is logged before its logging is set up, so the descriptor of
    standard error is turned aside for that time. gRPC's C parts are told to say nothing.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    saved = os.dup(2)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            tensorflow().zeros([1])
        except Exception:
            aside.seek(0)
            os.write(saved, aside.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)
