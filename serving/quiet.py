"""Importing TensorFlow without the lines that its C++ parts write to a terminal as they start."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

from serving import loading
from serving.options import ServerOptions
from serving.session import tensorflow
from wire.errors import StatusError


def wake_tensorflow(options: ServerOptions) -> None:
    """Import TensorFlow and have it set itself up; what it says meanwhile is seen only if that fails.

    The first session is made here, as its ConfigProto decides how many threads the operations of all later
    ones have. StatusError: as `loading.session_config`.

    TF_CPP_MIN_LOG_LEVEL does not reach what is logged before its logging is set up, so the descriptor of
    standard error is turned aside for that time. gRPC's C parts are told to say nothing.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    saved = os.dup(2)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            with _without_matplotlib():
                tf = tensorflow()
            tf.compat.v1.Session(graph=tf.Graph(), config=loading.session_config(options)).close()
        except StatusError:
            raise
        except Exception:
            aside.seek(0)
            os.write(saved, aside.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)


@contextlib.contextmanager
def _without_matplotlib() -> Iterator[None]:
    """Hide matplotlib: Keras would import it, where it is installed, for drawings that no server makes.

    It is a tenth of the time until a server answers.
    """
    if "matplotlib" in sys.modules:
        yield
        return
    sys.modules["matplotlib"] = None  # type: ignore[assignment] # how Python writes that there is none
    try:
        yield
    finally:
        del sys.modules["matplotlib"]
