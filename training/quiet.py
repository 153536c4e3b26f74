"""Importing TensorFlow without the lines that its C++ parts write to a terminal as they start."""

import gc
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO


def import_tensorflow() -> None:
    """Import TensorFlow and wake it up; what it says meanwhile is seen only if that fails.

    TF_CPP_MIN_LOG_LEVEL does not reach what is logged before its logging is set up, so the descriptor of
    standard error is turned aside for that time.

    TensorFlow is half a million objects that stay. To look through them for garbage, again and again
    meanwhile and once more at the process's end, would take nearly as long as the rest of the import.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with tempfile.TemporaryFile() as aside:
        try:
            with _stderr_to(aside), _nothing_looked_through():
                import tensorflow as tf

                tf.zeros([1])
        except Exception:
            aside.seek(0)
            os.write(2, aside.read())
            raise


@contextmanager
def _nothing_looked_through() -> Iterator[None]:
    """Have Python not look for garbage inside, nor ever among what there is afterwards."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
    gc.freeze()


@contextmanager
def _stderr_to(file: IO[bytes]) -> Iterator[None]:
    saved = os.dup(2)
    os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
