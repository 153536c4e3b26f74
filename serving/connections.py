"""A port's connections: no more of them than are wanted, with TLS or without, ended in time."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar, cast

from serving.admission import Admission

_log = logging.getLogger(__name__)

# So many connections are accepted before something else has its turn.
ACCEPTED_AT_ONCE = 1024
# A client has so long for its TLS handshake, unless it is given less.
HANDSHAKE_SECONDS = 10.0
# Who has been told the last thing has so long to read it.
LINGERING_SECONDS = 2.0
# So many of those turned away at once are told why; others are hung up on.
MAX_REFUSALS = 64
# How long nothing is accepted when that fails, as for want of descriptors.
RETRY_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class ConnectionLimits:
    """`most` connections at once (0: any), and the seconds that a TLS handshake may take.

    `refusal` is what one too many is told before it is hung up on.
    """

    most: int = 0
    handshake: float = HANDSHAKE_SECONDS
    tls: ssl.SSLContext | None = None
    refusal: bytes


class Spoken(Protocol):
    """What a port's clients are spoken to with, a new one for each connection: an asyncio.Protocol."""

    gone: "asyncio.Future[None]"

    @property
    def under_way(self) -> bool:
        """Whether a request is being answered."""

    @property
    def sending(self) -> bool:
        """Whether all is answered, and the client has not taken all of it."""

    def leave(self) -> None:
        """Answer what is under way as the last thing, and wait for nothing more."""

    def close(self) -> None:
        """Let the client have what was sent, and end."""

    def abort(self) -> None:
        """End at once."""


class _Refusal(asyncio.Protocol):
    """A connection too many: is told so, and has a while to read it."""

    def __init__(self, words: bytes) -> None:
        self._words = words
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's are no subclass of it.
        writing = cast(asyncio.WriteTransport, transport)
        writing.write(self._words)
        # To close while the client sends its request would take the answer from it.
        if writing.can_write_eof():
            writing.write_eof()
        asyncio.get_running_loop().call_later(LINGERING_SECONDS, writing.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set_result(None)


_P = TypeVar("_P", Spoken, _Refusal)


class Connections:
    """Accepts connections from a listening socket, and has each spoken to by what `speak` makes."""

    def __init__(
        self,
        speak: Callable[[], Spoken],
        listening: socket.socket,
        admission: Admission,
        limits: ConnectionLimits,
    ) -> None:
        self._speak = speak
        self._listening = listening
        self._admission = admission
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        # Those that have a place, be they shaking hands still, and those that are told there is none.
        self._placed: set[Spoken] = set()
        self._refused: set[_Refusal] = set()
        self._connecting: set[asyncio.Task[None]] = set()
        listening.setblocking(False)
        self._go_on()

    async def close(self, seconds: float, longest: float = 0.0) -> None:
        """Accept no more, close those that wait for a request, and the others once they are answered.

        What is left after so many seconds is cut off, but where clients still take their last answers: there
        after `longest`, if that is more.
        """
        began = self._loop.time()
        if self._listening.fileno() >= 0:
            self._loop.remove_reader(self._listening)
            self._listening.close()
        connecting = set(self._connecting)
        for task in connecting:
            task.cancel()
        if connecting:
            await asyncio.wait(connecting)
        for connection in list(self._placed):
            connection.leave()
        # They say so in the next turn of the loop.
        await asyncio.sleep(0)
        await self._gone({each for each in self._placed if each.under_way or each.sending}, seconds)
        left = longest - (self._loop.time() - began)
        await self._gone({each for each in self._placed if each.sending}, left)
        for connection in list(self._placed):
            if connection.under_way or connection.sending:
                connection.abort()
            else:
                connection.close()

    async def _gone(self, connections: set[Spoken], seconds: float) -> None:
        """Wait until these have ended, for so long at most."""
        if connections and seconds > 0:
            await asyncio.wait([each.gone for each in connections], timeout=seconds)

    def _go_on(self) -> None:
        # It may have been closed meanwhile.
        if self._listening.fileno() >= 0:
            self._loop.add_reader(self._listening, self._accept)

    def _accept(self) -> None:
        """Take the connections that have come."""
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                accepted, _ = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionError):
                return
            except OSError as error:
                place = self._listening.getsockname()
                _log.error("%s accepts no connection for a moment: %s", place, error.strerror)
                self._loop.remove_reader(self._listening)
                self._loop.call_later(RETRY_SECONDS, self._go_on)
                return
            self._place(accepted)

    def _place(self, accepted: socket.socket) -> None:
        """Give a connection a place, or turn it away."""
        most = self._limits.most
        if not most or len(self._placed) < most:
            self._connect(accepted, self._speak(), self._placed)
            return
        self._admission.turned_away["connections"] += 1
        if len(self._refused) < MAX_REFUSALS:
            self._connect(accepted, _Refusal(self._limits.refusal), self._refused)
        else:
            accepted.close()

    def _connect(self, accepted: socket.socket, protocol: _P, among: set[_P]) -> None:
        """Have a protocol speak on what was accepted, and be among these until that has ended."""

        def connected(task: asyncio.Task[object]) -> None:
            self._connecting.discard(task)
            if task.cancelled() or task.exception() is not None:
                accepted.close()
                among.discard(protocol)

        among.add(protocol)
        protocol.gone.add_done_callback(lambda _: among.discard(protocol))
        task = self._loop.create_task(self._shake_hands(accepted, protocol))
        self._connecting.add(task)
        task.add_done_callback(connected)

    async def _shake_hands(self, accepted: socket.socket, spoken: Spoken | _Refusal) -> None:
        tls, longest = self._limits.tls, min(HANDSHAKE_SECONDS, self._limits.handshake)
        if accepted.family != socket.AF_UNIX:
            # asyncio's own loop does so only where the socket knows its protocol's number.
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        protocol = cast(asyncio.Protocol, spoken)
        await self._loop.connect_accepted_socket(
            lambda: protocol, accepted, ssl=tls, ssl_handshake_timeout=longest if tls else None
        )
