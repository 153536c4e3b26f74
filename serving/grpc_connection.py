"""A client's HTTP/2 connection to the gRPC port: its calls, any number at once, each in a task of its own."""

import asyncio
import logging
from collections.abc import Iterable
from typing import cast

import ngh2

from serving import grpc_headers
from serving.grpc_limits import GrpcLimits
from serving.grpc_stream import WINDOW_BYTES, Handle, Methods, Stream
from wire.errors import Code, StatusError

_log = logging.getLogger(__name__)

# So much may come on a connection for calls that nobody reads yet.
CONNECTION_WINDOW_BYTES = 2**20
# The largest piece of a message, ours and the client's: a frame, and what is written at once.
PIECE_BYTES = 256 * 1024
MAX_HEADERS = 256
# A call whose headers are too large is refused; a connection with one so many times as large ends.
HEADERS_MARGIN = 4
# A client may give up so many calls at once, and so many a second from then on. (In HTTP/2 it costs a client
# nothing to begin calls and give them up, and a server something: CVE-2023-44487.)
RESETS = (10_000, 1_000)


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
        self._flushing = False
        self._paused = False
        self._heard = self._greeted = self._pinged = False
        self._leaving = False
        self._watch: asyncio.TimerHandle | None = None
        self._aging: asyncio.TimerHandle | None = None
        self.peer = ""
        # Done once nothing more can be sent.
        self.gone: asyncio.Future[None] = self._loop.create_future()
        self.http2 = ngh2.Connection(
            ngh2.Role.SERVER,
            ngh2.Configuration(
                auto_window_update=False,
                stream_reset_rate_limit=RESETS,
                max_inbound_header_list_size=HEADERS_MARGIN * limits.headers,
                max_inbound_header_count=MAX_HEADERS,
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
                ngh2.Setting.INITIAL_WINDOW_SIZE: WINDOW_BYTES,
                ngh2.Setting.MAX_FRAME_SIZE: PIECE_BYTES,
                ngh2.Setting.MAX_HEADER_LIST_SIZE: self._limits.headers,
            }
        )
        self.http2.set_local_window_size(CONNECTION_WINDOW_BYTES)
        self._watch = self._loop.call_later(self._limits.greeting, self._look)
        if self._limits.age is not None:
            self._aging = self._loop.call_later(self._limits.age, self._grow_old)
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody waits for an answer any more."""
        self.gone.set_result(None)
        for timer in (self._watch, self._aging):
            if timer is not None:
                timer.cancel()
        for stream in list(self._streams.values()):
            self._over(stream)

    def data_received(self, data: bytes) -> None:
        """Begin the calls that have come, and go on with others."""
        self._heard = True
        try:
            self.http2.receive_data(data)
            self._take(self.http2.events())
        except ngh2.NGH2Error as error:
            self._fail(str(error))
        else:
            self._flush()

    def pause_writing(self) -> None:
        """The client does not take what is sent as fast as it is made: the rest waits in `http2`."""
        self._paused = True

    def resume_writing(self) -> None:
        """It has taken enough."""
        self._paused = False
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
        self.flush_soon()

    # How it ends

    @property
    def under_way(self) -> bool:
        """Whether a call is being answered."""
        return bool(self._streams)

    def leave(self) -> None:
        """Answer the calls that are under way as the last ones, and wait for nothing more."""
        if not self._leaving and not self.gone.done():
            self._leaving = True
            self.http2.send_goaway()
            self._flush()

    def abort(self) -> None:
        """End at once."""
        self._transport.abort()

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
                    self._streams[event.stream_id].end()
                case ngh2.SettingsReceived():
                    self._greeted = True
                case ngh2.ConnectionClosed():
                    if event.error_code:
                        _log.info("the connection of %s ends: %s", self.peer, _reason(event))
                    self._leaving = True

    def _begin(self, request: ngh2.RequestReceived) -> None:
        fields = dict(request.headers)
        stream = Stream(self, request.stream_id, fields, self._limits.message)
        self._streams[stream.id] = stream
        if request.end_stream:
            stream.end()
        refusal = grpc_headers.no_call(fields)
        if refusal is not None:
            stream.respond(refusal)
            return
        if grpc_headers.size(request.headers) > self._limits.headers:
            stream.refuse(grpc_headers.too_large(self._limits.headers))
            return
        handle = self._methods.get(fields.get(b":path", b""), _unknown)
        # It begins in the next turn of the loop, when the message has mostly come as well.
        stream.task = self._loop.create_task(self._serve(stream, handle))

    def _add(self, data: ngh2.DataReceived) -> None:
        stream = self._streams.get(data.stream_id)
        if stream is None:
            if data.data:
                self.http2.acknowledge_received_data(len(data.data), data.stream_id)
            return
        stream.add(data.data)
        if data.end_stream:
            stream.end()

    def _close(self, closed: ngh2.StreamClosed) -> None:
        stream = self._streams.pop(closed.stream_id, None)
        if stream is not None:
            self._over(stream)

    async def _serve(self, stream: Stream, handle: Handle) -> None:
        try:
            await handle(stream)
        except StatusError as error:
            stream.refuse(error)
        except ngh2.NGH2Error:
            # The client broke the connection's rules meanwhile, or gave the call up.
            _log.debug("a call of %s could not be answered", self.peer, exc_info=True)
        except Exception as error:  # noqa: BLE001 - a fault of ours is told the client, and in full the log.
            _log.exception("a call failed")
            stream.refuse(StatusError(Code.INTERNAL, f"{type(error).__name__} in the server; see its log"))

    def _over(self, stream: Stream) -> None:
        stream.over = True
        if stream.task is not None and not stream.task.done():
            stream.task.cancel()
        if not self.gone.done():
            stream.acknowledge()

    # What is sent

    def _flush(self) -> None:
        """Send what there is, as far as the client takes it."""
        self._flushing = False
        if self._transport.is_closing():
            return
        try:
            while not self._paused:
                piece = self.http2.data_to_send(PIECE_BYTES)
                if piece:
                    self._transport.write(piece)
                self._take(self.http2.events())
                if not piece and not self._ask_for_no_more():
                    break
        except ngh2.NGH2Error as error:
            self._fail(str(error))
            return
        if self._leaving and not self._streams and not self._paused:
            self._transport.close()

    def _ask_for_no_more(self) -> bool:
        """Tell clients that go on sending what is not read any more; whether there are any.

        Not before the answer is out: the end of a stream would take it along.
        """
        cut_short = [stream for stream in self._cut_short if not stream.over]
        self._cut_short = [stream for stream in cut_short if self.http2.queued_body_size(stream.id)]
        told = [stream for stream in cut_short if stream not in self._cut_short]
        for stream in told:
            self.http2.reset_stream(stream.id, ngh2.ErrorCode.NO_ERROR)
        return bool(told)

    def _fail(self, reason: str) -> None:
        """What came is not HTTP/2."""
        _log.info("what %s sends is not HTTP/2: %s", self.peer, reason)
        self.abort()

    # Time

    def _look(self) -> None:
        """Look for a sign of life, and ask for one where there is none."""
        silent = not self._heard or not self._greeted
        if silent and (self._pinged or not self._greeted):
            _log.info("%s is silent: its connection ends", self.peer)
            self.abort()
            return
        self._heard, self._pinged = False, silent
        if silent:
            self.http2.ping()
            self._flush()
        seconds = self._limits.pong if silent else self._limits.ping
        self._watch = self._loop.call_later(seconds, self._look)

    def _grow_old(self) -> None:
        self.leave()
        if self._limits.age_grace is not None:
            self._aging = self._loop.call_later(self._limits.age_grace, self.abort)


async def _unknown(_: Stream) -> None:
    raise grpc_headers.UNKNOWN_METHOD


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
    host, port = name[:2]
    return f"ipv6:[{host}]:{port}" if ":" in str(host) else f"ipv4:{host}:{port}"
