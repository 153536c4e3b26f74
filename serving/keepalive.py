"""Whether a client is still there: by what comes from it, by what it takes, and by asking."""

import asyncio
from collections.abc import Callable

from serving.grpc_limits import GrpcLimits


class Keepalive:
    """Looks after a connection, now and then, until it is stopped.

    A client that has gone without a word is found out, as is one that never said one.
    """

    def __init__(
        self,
        limits: GrpcLimits,
        unsent: Callable[[], int],
        ping: Callable[[], None],
        give_up: Callable[[], None],
    ) -> None:
        """`unsent` tells how many bytes the client has not taken, `ping` asks it for a sign of life."""
        self.greeted = False
        self._limits = limits
        self._unsent = unsent
        self._ping = ping
        self._give_up = give_up
        self._heard = self._asked = False
        self._left = 0
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(limits.greeting, self.look)

    def heard(self) -> None:
        """Something has come, or was taken."""
        self._heard = True

    def stop(self) -> None:
        """Look no more."""
        self._timer.cancel()

    def look(self) -> None:
        """Look for a sign of life, and ask for one where there is none."""
        left, self._left = self._left, self._unsent()
        # A client may be at taking a long answer for minutes, and have nothing to say.
        alive = self._heard or (0 < self._left != left)
        if not self.greeted or (self._asked and not alive):
            self._give_up()
            return
        self._heard, self._asked = False, not alive
        if not alive:
            self._ping()
        self._timer = self._loop.call_later(self._limits.ping if alive else self._limits.pong, self.look)
