"""Importing TensorFlow without the lines that its C++ parts write to a terminal as they start."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO


def import_tensorflow() -> None:
    """Import TensorFlow and wake it up; what it says meanwhile is seen only if that fails.

    TF_CPP_MIN_LOG_LEVEL does not reach what is logged before its logging is set up, so the descriptor of
    standard error is turned aside for that time.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with tempfile.TemporaryFile() as aside:
        try:
            with _stderr_to(aside):
                import tensorflow as tf

                tf.zeros([1])
        except Exception:
            aside.seek(0)
            os.write(2, aside.read())
            raise


@contextmanager
def _stderr_to(file: IO[bytes]) -> Iterator[None]:
    saved = os.dup(2)
    os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
