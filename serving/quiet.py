"""Importing TensorFlow without the lines that its C++ parts write to a terminal as they start."""

import os
import tempfile
from collections.abc import Callable
from typing import Any

from serving.session import tensorflow
from wire.errors import StatusError


def wake_tensorflow(session_config: Callable[[], Any]) -> None:
    """Import TensorFlow and have it set itself up; what it says meanwhile is seen only if that fails.

    The first session is made here, as its ConfigProto decides how many threads the operations of all later
    ones have. StatusError: as `session_config` raises it.
    TF_CPP_MIN_LOG_LEVEL does not reach what is logged before its logging is set up, so the descriptor of
    standard error is turned aside for that time. gRPC's C parts are told to say nothing.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    saved = os.dup(2)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            tf = tensorflow()
            tf.compat.v1.Session(graph=tf.Graph(), config=session_config()).close()
        except StatusError:
            raise
        except Exception:
            aside.seek(0)
            os.write(saved, aside.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)
