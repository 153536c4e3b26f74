"""A client's HTTP/2 connection to the gRPC port: its calls, any number at once, each in a task of its own."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import cast

import ngh2

from serving import grpc_methods
from serving.grpc_limits import GrpcLimits
from serving.grpc_methods import Handle, Methods
from serving.grpc_stream import Stream
from serving.keepalive import Keepalive
from serving.lingering import Lingering
from wire.errors import Code, StatusError

_log = logging.getLogger(__name__)

# What a client may send before it hears that some was taken: a network's rate times its delay. It is not what
# bounds memory: what is not let in is refused, and what nobody reads ends its stream.
STREAM_WINDOW_BYTES = 16 * 2**20
CONNECTION_WINDOW_BYTES = 64 * 2**20
# The largest piece of a message, ours and the client's: a frame, and what is written at once.
PIECE_BYTES = 256 * 1024
# A call whose headers are too large is refused; a connection on which come so many times as large ones ends.
HEADERS_MARGIN = 16
# So many may come in any case; and what a header takes at least, as RFC 9113 counts.
HEADER_BYTES = 256 * 1024
LEAST_HEADER_BYTES = 32
# A client may give up so many calls at once, and so many a second from then on. (In HTTP/2 it costs a client
# nothing to begin calls and give them up, and a server something: CVE-2023-44487.)
RESETS = (10_000, 1_000)

_WORDS = b"too many connections; try again later"
# What a connection too many is told: an empty SETTINGS frame, and GOAWAY.
TOO_MANY_CONNECTIONS = (
    bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
    + (8 + len(_WORDS)).to_bytes(3, "big")
    + bytes((7, 0, 0, 0, 0, 0, 0, 0, 0, 0))
    + ngh2.ErrorCode.ENHANCE_YOUR_CALM.to_bytes(4, "big")
    + _WORDS
)


class GrpcConnection(asyncio.Protocol):
    """Has each call answered by the handler of its method; it is cancelled when its client gives it up.

    Used on the event loop.
    """

    def __init__(self, methods: Methods, limits: GrpcLimits) -> None:
        self._methods = methods
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._streams: dict[int, Stream] = {}
        # Those that have their whole answer, though their clients have not sent all that they announced.
        self._cut_short: list[Stream] = []
        # Those that wait until more of their answers is taken; and what was queued when they were last told.
        self._waiting: list[Stream] = []
        self._queued = 0
        self._flushing = False
        self.paused = False
        self._retiring = self._leaving = self._deaf = False
        self._aging: asyncio.TimerHandle | None = None
        self.peer = ""
        # Done once nothing more can be sent.
        self.gone: asyncio.Future[None] = self._loop.create_future()
        most_headers = max(HEADER_BYTES, HEADERS_MARGIN * limits.headers)
        self.http2 = ngh2.Connection(
            ngh2.Role.SERVER,
            ngh2.Configuration(
                stream_reset_rate_limit=RESETS,
                max_inbound_header_list_size=most_headers,
                max_inbound_header_count=most_headers // LEAST_HEADER_BYTES,
            ),
        )

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the client."""
        # uvloop's are no subclass of it.
        self._transport = cast(asyncio.Transport, transport)
        self.peer = _peer(transport.get_extra_info("peername"))
        self.http2.initiate_connection(
            {
                ngh2.Setting.MAX_CONCURRENT_STREAMS: self._limits.streams,
                ngh2.Setting.INITIAL_WINDOW_SIZE: STREAM_WINDOW_BYTES,
                ngh2.Setting.MAX_FRAME_SIZE: PIECE_BYTES,
                ngh2.Setting.MAX_HEADER_LIST_SIZE: self._limits.headers,
            }
        )
        self.http2.set_local_window_size(CONNECTION_WINDOW_BYTES)
        self._lingering = Lingering(self._transport)
        self._keepalive = Keepalive(
            self._limits, self._transport.get_write_buffer_size, self._ping, self._give_up
        )
        if self._limits.age is not None:
            self._be_at(self._limits.age, self._grow_old)
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody waits for an answer any more."""
        self.gone.set_result(None)
        self._keepalive.stop()
        # They must not keep each other, and what is not sent.
        del self._keepalive
        self._lingering.stop()
        if self._aging is not None:
            self._aging.cancel()
        self.paused = False
        self._end_all()

    def data_received(self, data: bytes) -> None:
        """Begin the calls that have come, and go on with others."""
        if not self.paused:
            # Of who does not take what it asks for, only that counts.
            self._keepalive.heard()
        if self._deaf:
            return
        try:
            self.http2.receive_data(data)
            self._take(self.http2.events())
        except ngh2.NGH2Error as error:
            self._fail(str(error))
        else:
            self._flush()

    def pause_writing(self) -> None:
        """The client does not take what is sent as fast as it is made: the rest waits in `http2`."""
        self.paused = True

    def resume_writing(self) -> None:
        """It has taken enough."""
        self.paused = False
        self._keepalive.heard()
        self._tell_of_taken()
        self._flush()

    # What streams ask

    def flush_soon(self) -> None:
        """As `grpc_stream.Sender`: together with what other calls have to send in this turn of the loop."""
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def answered(self, stream: Stream) -> None:
        """As `grpc_stream.Sender`."""
        if not stream.ended:
            self._cut_short.append(stream)
            self._queued = -1
        self.flush_soon()

    def reset(self, stream: Stream) -> None:
        """As `grpc_stream.Sender`."""
        if not stream.over:
            self.http2.reset_stream(stream.id, ngh2.ErrorCode.ENHANCE_YOUR_CALM)
            self._over(stream, ngh2.ErrorCode.ENHANCE_YOUR_CALM)
            self.flush_soon()
        if self.paused:
            # The client would not hear of it, and what waits for it stay.
            self.abort()

    def tell_when_taken(self, stream: Stream) -> None:
        """As `grpc_stream.Sender`."""
        self._waiting.append(stream)
        self._queued = -1

    # How it ends

    @property
    def under_way(self) -> bool:
        """Whether a call is being answered."""
        return bool(self._streams)

    @property
    def sending(self) -> bool:
        """Whether the client has not taken all of its last answers."""
        return self._deaf and not self._transport.is_closing() and self._lingering.unsent() > 0

    def leave(self) -> None:
        """Answer the calls that are under way as the last ones, and wait for nothing more."""
        if not (self._leaving or self._deaf or self._transport.is_closing()):
            self._leaving = True
            self.http2.send_goaway()
            # Not at once: there may be calls among what is being read.
            self.flush_soon()

    def close(self) -> None:
        """Let the client have what was sent, and end."""
        self._deaf = True
        self._transport.close()

    def abort(self) -> None:
        """End at once."""
        self._deaf = True
        self._transport.abort()

    def _fail(self, reason: str) -> None:
        """What came is not HTTP/2."""
        _log.info("what %s sends is not HTTP/2: %s", self.peer, reason)
        self._end_all()
        self.abort()

    def _linger(self) -> None:
        self._deaf = True
        self._keepalive.stop()
        if self._aging is not None:
            self._aging.cancel()
        self._lingering.begin()

    # How calls come and go

    def _take(self, events: Iterable[ngh2.Event]) -> None:
        for event in events:
            match event:
                case ngh2.DataReceived():
                    self._add(event)
                case ngh2.RequestReceived():
                    self._begin(event)
                case ngh2.StreamClosed():
                    self._close(event)
                case ngh2.TrailersReceived():
                    self._end(event)
                case ngh2.SettingsReceived():
                    self._keepalive.greeted = True
                case ngh2.PingAcknowledged() if self._retiring:
                    self._retire()
                case ngh2.ConnectionClosed():
                    if event.error_code:
                        _log.info("the connection of %s ends: %s", self.peer, _reason(event))
                    # No stream is told apart from this.
                    self._end_all()
                    self._leaving = True

    def _begin(self, request: ngh2.RequestReceived) -> None:
        fields = dict(request.headers)
        stream = Stream(self, request.stream_id, fields, self._limits.message)
        self._streams[stream.id] = stream
        if request.end_stream:
            stream.end()
        handle = grpc_methods.find(self._methods, fields, self._limits.headers)
        # It begins in the next turn of the loop, when the message has mostly come as well.
        stream.task = self._loop.create_task(self._serve(stream, handle))

    def _add(self, data: ngh2.DataReceived) -> None:
        stream = self._streams.get(data.stream_id)
        if stream is None:
            return
        stream.add(data.data)
        if data.end_stream:
            stream.end()

    def _end(self, trailers: ngh2.TrailersReceived) -> None:
        stream = self._streams.get(trailers.stream_id)
        if stream is not None:
            stream.end()

    def _close(self, closed: ngh2.StreamClosed) -> None:
        stream = self._streams.pop(closed.stream_id, None)
        if stream is not None:
            self._over(stream, closed.error_code)

    async def _serve(self, stream: Stream, handle: Handle) -> None:
        try:
            try:
                await handle(stream)
            except StatusError as error:
                stream.refuse(error)
            except ngh2.NGH2Error:
                raise
            except Exception as error:  # noqa: BLE001 - a fault of ours is told the client, and in full the log.
                _log.exception("a call failed")
                name = type(error).__name__
                stream.refuse(StatusError(Code.INTERNAL, f"{name} in the server; see its log"))
        except ngh2.NGH2Error:
            _log.exception("a call cannot be answered")
            self.reset(stream)

    def _over(self, stream: Stream, error_code: int) -> None:
        if stream.over:
            return
        stream.over = True
        # A task that was cancelled keeps its frames, and they the stream: they must not keep each other.
        task, stream.task = stream.task, None
        if task is not None and (error_code or not stream.finished):
            task.cancel()
        else:
            stream.wake()

    def _end_all(self) -> None:
        for stream in self._streams.values():
            self._over(stream, ngh2.ErrorCode.CANCEL)
        self._streams.clear()
        self._cut_short.clear()
        self._tell_of_taken()

    # What is sent

    def _flush(self) -> None:
        """Send what there is, as far as the client takes it."""
        self._flushing = False
        try:
            while not (self.paused or self._deaf or self._transport.is_closing()):
                piece = self.http2.data_to_send(PIECE_BYTES)
                if piece:
                    self._transport.write(piece)
                self._take(self.http2.events())
                if not piece and not self._settle():
                    break
        except ngh2.NGH2Error as error:
            self._fail(str(error))
            return
        if self._leaving and not (self._streams or self.paused or self._deaf):
            self._linger()

    def _settle(self) -> bool:
        """Look after what waits for something to be sent; whether there is more to send then."""
        queued = self.http2.queued_body_size()
        if queued == self._queued:
            return False
        self._queued = queued
        self._tell_of_taken()
        return self._ask_for_no_more()

    def _tell_of_taken(self) -> None:
        waiting, self._waiting = self._waiting, []
        for stream in waiting:
            if stream.taken():
                stream.wake()
            else:
                self._waiting.append(stream)

    def _ask_for_no_more(self) -> bool:
        """Tell clients that go on sending what is not read any more; whether there are any.

        Not before the answer is out: the end of a stream would take it along.
        """
        cut_short, self._cut_short = self._cut_short, []
        told = False
        for stream in cut_short:
            if stream.over:
                continue
            if self.http2.queued_body_size(stream.id):
                self._cut_short.append(stream)
            else:
                self.http2.reset_stream(stream.id, ngh2.ErrorCode.NO_ERROR)
                told = True
        return told

    # Time

    def _ping(self) -> None:
        if not (self._leaving or self._deaf):
            self.http2.ping()
            self._flush()

    def _give_up(self) -> None:
        _log.info("%s is silent: its connection ends", self.peer)
        self.abort()

    def _grow_old(self) -> None:
        """Take leave in two steps: calls that are on their way when the client hears of it are answered."""
        if self._leaving or self._deaf or self._transport.is_closing():
            return
        self._retiring = True
        self.http2.send_shutdown_notice()
        self.http2.ping()
        self._flush()
        self._be_at(self._limits.pong, self._retire)

    def _retire(self) -> None:
        self._retiring = False
        self.leave()
        if self._limits.age_grace is not None and not self._deaf:
            self._be_at(self._limits.age_grace, self.abort)

    def _be_at(self, seconds: float, act: Callable[[], object]) -> None:
        """Do something after so many seconds, and nothing that was to be done else."""
        if self._aging is not None:
            self._aging.cancel()
        self._aging = self._loop.call_later(seconds, act)


def _reason(closed: ngh2.ConnectionClosed) -> str:
    try:
        code = ngh2.ErrorCode(closed.error_code).name
    except ValueError:
        code = str(closed.error_code)
    return f"{code} {closed.debug_data.decode(errors='replace')}".strip()


def _peer(name: object) -> str:
    """An address as gRPC writes it; "unix:" for one of a UNIX socket."""
    if not isinstance(name, tuple):
        return "unix:"
    host, port = str(name[0]).removeprefix("::ffff:"), name[1]
    return f"ipv6:%5B{host}%5D:{port}" if ":" in host else f"ipv4:{host}:{port}"
