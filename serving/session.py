"""A SavedModel in a TensorFlow 1 session, and calls of it by tensor names.

A session runs every SavedModel, of TensorFlow 1 and 2, as TensorFlow Serving does: only what the fetched
tensors need is computed, and a call costs less than half of what a ConcreteFunction does.
"""

import contextlib
import ctypes
import functools
import gc
import logging
import os
import re
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving import endless
from wire.errors import Code, StatusError

Array = NDArray[Any]

# An absolute path, of which only the last part is told: a client has no business with the server's disk.
_PATH = re.compile(r"(?<![\w/.:])/(?:[\w.+@%-]+/)+(?=[\w.+@%-]*)")
_NODES = re.compile(r"\s*\n\s*\[\[.*", re.DOTALL)
# A call is run in its caller's thread as long as its last run took no longer.
SHORT_RUN_SECONDS = 0.01
# What is left, with each faster run, of how long runs are expected to take.
FORGETTING = 0.95


def tensorflow() -> Any:
    """Import TensorFlow, without its notes on the terminal, set up to give memory back."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # With oneDNN's kernels comes an allocator that keeps what an unloaded model leaves; small networks run no
    # slower without them.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    if "tensorflow" not in sys.modules:
        _import_without_looking_for_garbage()
    import tensorflow

    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    return tensorflow


def _import_without_looking_for_garbage() -> None:
    """Import TensorFlow: half a million objects that stay.

    To look through them for garbage, again and again meanwhile and once more at the process's end, would take
    nearly as long as the rest of the import.
    """
    gc.disable()
    try:
        import tensorflow  # noqa: F401
    finally:
        gc.enable()
    gc.freeze()


class Session:
    """One loaded meta graph. `signature_defs` are its SignatureDef messages by name. Thread-safe."""

    def __init__(
        self, session: Any, signature_defs: Mapping[str, Any], *, endless: Collection[str] = ()
    ) -> None:
        """`endless` are the nodes of the graph that may run without end."""
        self._session = session
        self._endless = endless
        self.signature_defs = signature_defs

    def call(self, feeds: Sequence[str], fetches: Sequence[str]) -> "Call":
        """Make a call that feeds and fetches these tensors; StatusError for a name the graph has not."""
        may_not_end = any(name.partition(":")[0] in self._endless for name in fetches)
        return Call(self._session, feeds, fetches, ends=not may_not_end)

    def close(self) -> None:
        """Free the graph and its variables, and give the memory back to the system."""
        graph = self._session.graph
        self._session.close()
        self._session = None
        _take_apart(graph)
        del graph
        give_memory_back()


class Call:
    """A run of the graph that always feeds and fetches the same tensors.

    It goes round `Session.run`, which spends more time on reading its arguments than a small network takes,
    and round `Session.make_callable`, which does the same as soon as there are feeds. What is fetched and
    also fed is returned as it came: the runtime refuses it.

    While runs are short their operations run in the caller's thread, which halves what a small network takes.
    Such a run cannot be ended by a timeout, so that a graph that may loop or wait (`ends` False) has none.
    """

    def __init__(self, session: Any, feeds: Sequence[str], fetches: Sequence[str], *, ends: bool) -> None:
        self._session = session
        self._ends = ends
        self._feeds = [_output(session.graph, name) for name in feeds]
        computed = [name for name in dict.fromkeys(fetches) if name not in feeds]
        self._fetches = [_output(session.graph, name) for name in computed]
        # Where each fetched tensor is in what was fed followed by what was computed.
        places = {name: place for place, name in enumerate((*feeds, *computed))}
        self._places = [places[name] for name in fetches]
        self._short = False
        # The seconds that a run takes at most for the bytes that it is fed; none before the first.
        self._pace: tuple[float, int] | None = None

    def __call__(self, values: Sequence[Array], timeout: float | None = None) -> list[Array]:
        """Run on values in the order of the feeds, for `timeout` seconds at most; StatusError."""
        if not self._fetches:
            return [values[place] for place in self._places]
        feeds = dict(zip(self._feeds, values, strict=True))
        try:
            computed = self._run(feeds, timeout)
        except Exception as error:
            raise status_of(error) from error
        everything = (*values, *map(_array, computed))
        return [everything[place] for place in self._places]

    def expected_seconds(self, size: int) -> float | None:
        """How long a run on `size` bytes takes at most, going by the last ones; None where it may not end."""
        if self._pace is None or not self._ends:
            return None
        seconds, fed = self._pace
        return seconds * max(1.0, size / fed)

    def _run(self, feeds: Mapping[Any, Array], timeout: float | None) -> list[Array]:
        inline = self._short and (timeout is None or timeout > SHORT_RUN_SECONDS)
        # In the caller's thread its own processor time tells more than the clock, which also counts how long
        # other threads kept it waiting.
        clock = time.thread_time if inline else time.monotonic
        started = clock()
        with _inline_options() if inline else _timed_options(timeout) as options:
            results: list[Array] = self._session._call_tf_sessionrun(options, feeds, self._fetches, [], None)
        seconds = clock() - started
        self._short = self._ends and seconds < SHORT_RUN_SECONDS
        self._note(seconds, max(1, sum(array.nbytes for array in feeds.values())))
        return results

    def _note(self, seconds: float, fed: int) -> None:
        """Go by the largest run: what small ones cost does not grow with them. Slowly forget a slow one."""
        before, most = self._pace or (0.0, 0)
        if fed >= most or seconds > before:
            self._pace = seconds, fed
        else:
            self._pace = max(seconds, before * FORGETTING), most


def open_session(path: Path, tags: Sequence[str], config: Any = None) -> Session:
    """Load the meta graph with these tags; `config` is a ConfigProto. StatusError says why it cannot be."""
    tf = tensorflow()
    # What is garbage now would stay once all that there is has been frozen.
    gc.collect()
    graph = tf.Graph()
    session = tf.compat.v1.Session(graph=graph, config=config)
    try:
        with graph.as_default():
            meta_graph = tf.compat.v1.saved_model.load(session, list(tags), str(path))
        # Makes the runtime know the whole graph; calls take that for granted.
        session._extend_graph()
    except Exception as error:
        session.close()
        _take_apart(graph)
        raise status_of(error) from error
    graph.finalize()
    # A graph is a million objects that stay. To look through them all for garbage now and again would take a
    # tenth of a second each time, in which no request is answered.
    gc.freeze()
    return Session(session, dict(meta_graph.signature_def), endless=endless.nodes(meta_graph.graph_def))


def _take_apart(graph: Any) -> None:
    """End a graph, whose objects refer to one another, as TensorFlow does with those it makes for a while.

    To find out that nothing else refers to them, Python would look through all that is frozen, for half a
    second in which no request is answered.
    """
    graph._functions.clear()
    graph._collections.clear()
    graph.Dismantle()


def session_config(*, text: str = "", intra_op: int = 0, inter_op: int = 0) -> Any:
    """A ConfigProto from its text format, with these numbers of threads where they are not 0; StatusError."""
    from google.protobuf import text_format

    config = tensorflow().compat.v1.ConfigProto()
    try:
        text_format.Parse(text, config)
    except text_format.ParseError as error:
        raise StatusError(Code.INVALID_ARGUMENT, str(error)) from error
    if intra_op > 0:
        config.intra_op_parallelism_threads = intra_op
    if inter_op > 0:
        config.inter_op_parallelism_threads = inter_op
    return config


def status_of(error: Exception) -> StatusError:
    """What a client is told of an exception of TensorFlow's: its code, and its message without our paths."""
    if isinstance(error, StatusError):
        return error
    code = getattr(error, "error_code", None)
    if code is None:
        missing = isinstance(error, OSError | KeyError) or "could not be found in SavedModel" in str(error)
        code = Code.NOT_FOUND if missing else Code.INTERNAL
        if isinstance(error, ValueError | TypeError):
            code = Code.INVALID_ARGUMENT
    text = getattr(error, "message", None) or str(error) or type(error).__name__
    return StatusError(Code(code), _PATH.sub("", _NODES.sub("", str(text))).strip())


def give_memory_back() -> None:
    """Have the C library return its free memory to the system."""
    if trim := _malloc_trim():
        trim(0)


@functools.cache
def _malloc_trim() -> Any:
    """The C library's function, made once, as each leaves garbage; None where it is another than GNU's."""
    return getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None


@contextmanager
def _timed_options(timeout: float | None) -> Iterator[Any]:
    """The RunOptions, as a buffer of the C API, of a run that lasts `timeout` seconds at most."""
    if timeout is None:
        yield None
        return
    from tensorflow.core.protobuf import config_pb2
    from tensorflow.python.client import pywrap_tf_session

    options = config_pb2.RunOptions(timeout_in_ms=max(1, int(timeout * 1000)))
    buffer = pywrap_tf_session.TF_NewBufferFromString(options.SerializeToString())
    try:
        yield buffer
    finally:
        pywrap_tf_session.TF_DeleteBuffer(buffer)


@functools.cache
def _inline_options() -> contextlib.nullcontext[Any]:
    """The RunOptions, as a buffer of the C API, of a run in the caller's thread; made once, for all runs."""
    from tensorflow.core.protobuf import config_pb2
    from tensorflow.python.client import pywrap_tf_session

    options = config_pb2.RunOptions(inter_op_thread_pool=-1)
    return contextlib.nullcontext(pywrap_tf_session.TF_NewBufferFromString(options.SerializeToString()))


def _array(value: Any) -> Array:
    """A result as an array: the runtime gives a string without dimensions as bare bytes."""
    return np.array(value, object) if isinstance(value, bytes) else value


def _output(graph: Any, name: str) -> Any:
    try:
        return graph.get_tensor_by_name(name)._as_tf_output()
    except (KeyError, ValueError) as error:
        raise StatusError(Code.INVALID_ARGUMENT, f"Tensor '{name}' is not in the graph") from error
