"""Calls both ways between two processes of the server, as JSON lines over a connected pair of sockets.

Each side has its operations by name. An answer may be a Future, so that a long operation does not hold up
the next one; others are answered in the order in which they come.
"""

import itertools
import json
import logging
import socket
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, InvalidStateError
from typing import Any

from wire.errors import Code, StatusError

_log = logging.getLogger(__name__)

Operation = Callable[..., Any]


class ChannelClosed(Exception):  # noqa: N818 - named by what happened.
    """The other process is gone, or has hung up."""


class Channel:
    """One end. `ask` may be called on any thread; the operations run on one that the channel has for them."""

    def __init__(
        self, connection: socket.socket, operations: Mapping[str, Operation], closed: Callable[[], None]
    ) -> None:
        """`closed` is called once, on the channel's thread, when the other end is gone."""
        self._connection = connection
        self._operations = operations
        self._closed = closed
        self._ids = itertools.count()
        self._open = True
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._asked: dict[int, Future[Any]] = {}
        self._thread = threading.Thread(target=self._listen, name="channel", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def ask(self, operation: str, **arguments: Any) -> "Future[Any]":
        """Have the other end do something; the Future gets the result, a StatusError, or ChannelClosed."""
        future: Future[Any] = Future()
        with self._lock:
            number = next(self._ids)
            if self._open:
                self._asked[number] = future
            else:
                future.set_exception(ChannelClosed())
        if not future.done():
            self._send({"ask": number, "do": operation, "with": arguments})
        return future

    def close(self) -> None:
        """Hang up; both ends are told."""
        try:
            self._connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    def _listen(self) -> None:
        try:
            with self._connection.makefile("rb") as lines:
                for line in lines:
                    self._receive(json.loads(line))
        except OSError:
            _log.debug("the other end of a channel was reset")
        with self._lock:
            self._open = False
            waiting, self._asked = self._asked, {}
        for future in waiting.values():
            _settle(future, error=ChannelClosed())
        self._closed()

    def _receive(self, message: Mapping[str, Any]) -> None:
        if "ask" in message:
            self._do(message["ask"], message["do"], message["with"])
            return
        with self._lock:
            future = self._asked.pop(message["answer"], None)
        if future is None:
            return
        if "code" in message:
            _settle(future, error=StatusError(Code(message["code"]), message["message"]))
        else:
            _settle(future, result=message["result"])

    def _do(self, number: int, operation: str, arguments: Mapping[str, Any]) -> None:
        try:
            result = self._operations[operation](**arguments)
        except Exception as error:  # noqa: BLE001 - told to who asked.
            self._answer(number, error=error)
            return
        if isinstance(result, Future):
            result.add_done_callback(lambda done: self._answer_later(number, done))
        else:
            self._answer(number, result=result)

    def _answer_later(self, number: int, done: "Future[Any]") -> None:
        error = CancelledAnswer() if done.cancelled() else done.exception()
        self._answer(number, error=error) if error else self._answer(number, result=done.result())

    def _answer(self, number: int, *, result: Any = None, error: BaseException | None = None) -> None:
        if error is None:
            self._send({"answer": number, "result": result})
            return
        if not isinstance(error, StatusError):
            _log.error("an operation for another process failed", exc_info=error)
            error = StatusError(Code.INTERNAL, f"{type(error).__name__} in the server; see its log")
        self._send({"answer": number, "code": int(error.code), "message": error.message})

    def _send(self, message: Mapping[str, Any]) -> None:
        line = json.dumps(message).encode() + b"\n"
        try:
            with self._sending:
                self._connection.sendall(line)
        except OSError:
            # The thread that listens sees it, too, and tells who waits.
            self.close()


class CancelledAnswer(Exception):  # noqa: N818 - named by what happened.
    """An operation was given up while the server stops."""


def _settle(future: "Future[Any]", *, result: Any = None, error: Exception | None = None) -> None:
    """Give a Future its end, unless who waited has cancelled it."""
    try:
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
    except InvalidStateError:
        return
