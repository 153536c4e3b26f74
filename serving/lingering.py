"""The end of a connection: not before its client has all of what was sent."""

import asyncio
import contextlib
import fcntl
import sys
import termios

from serving.connections import LINGERING_SECONDS


class Lingering:
    """Closes a transport once its client has everything, or takes nothing any more.

    To close it at once could take the last answer along, by a reset for what the client still sends.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._left = 0
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Look after it until it is closed."""
        self._left = self.unsent()
        self._timer = self._loop.call_later(LINGERING_SECONDS, self._look)

    def stop(self) -> None:
        """It has been closed."""
        if self._timer is not None:
            self._timer.cancel()

    def unsent(self) -> int:
        """The bytes that the client has not acknowledged, as far as the system tells."""
        waiting = bytearray(4)
        with contextlib.suppress(AttributeError, OSError, ValueError):
            fcntl.ioctl(self._transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, waiting)
        return self._transport.get_write_buffer_size() + int.from_bytes(waiting, sys.byteorder)

    def _look(self) -> None:
        left, self._left = self._left, self.unsent()
        if not self._left:
            self._transport.close()
        elif self._left != left:
            self._timer = self._loop.call_later(LINGERING_SECONDS, self._look)
        else:
            self._transport.abort()
