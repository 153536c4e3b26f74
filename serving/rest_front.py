"""The REST transport: finds what a URL asks for, reads the JSON, asks the core, writes the JSON."""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from serving import errors, grpc_codec, rest_body, rest_documents, rest_urls
from serving.admission import Admission, Admitted
from serving.answered import Answered, Caller, Watcher
from serving.auth import CHALLENGE, Tokens
from serving.http_messages import NO_HEADERS, Request, Response
from serving.inference import METADATA_FIELD, Call, Inference, ModelSpec
from serving.metrics import Metrics
from serving.patience import Patience
from serving.rest_body import BodyLimits
from wire import json_tensors
from wire.errors import Code, StatusError, http_status

_log = logging.getLogger(__name__)

HEALTH_PATH = "/healthz"
READINESS_PATH = "/readyz"
VERSION_HEADER = "X-Kedge-Model-Version"
JSON = "application/json"
CORS: Mapping[str, str] = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, GET",
    "Access-Control-Allow-Headers": "Content-Type",
}
# What is told of a refusal besides its status: when to come again, how to be let in.
REFUSALS: Mapping[int, Mapping[str, str]] = {
    401: {"WWW-Authenticate": CHALLENGE},
    503: {"Retry-After": "1"},
}
# Who goes on sending what is not taken.
HUNG_UP_ON = (408, 413)
NOT_FOUND_PAGE = b"<HTML><HEAD><TITLE>404 Not Found</TITLE></HEAD><BODY><H1>Not Found</H1></BODY></HTML>\n"
_TOO_MANY = b'{ "error": "The server has too many connections; try again later" }'
# What a connection too many is told, whatever it was going to ask.
TOO_MANY_CONNECTIONS = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
    b"Retry-After: 1\r\nConnection: close\r\n\r\n%b" % (len(_TOO_MANY), _TOO_MANY)
)

# Reads the metrics page; None when it cannot be had now.
ReadPage = Callable[[], Awaitable[bytes | None]]


@dataclass(frozen=True, kw_only=True)
class RestOptions:
    """`timeout` is the seconds that a run may take, None for any; `metrics_path` "" turns the metrics off."""

    timeout: float | None = 30.0
    cors: bool = False
    metrics_path: str = ""
    body: BodyLimits = field(default_factory=BodyLimits)
    tokens: Tokens | None = None
    open_metrics: bool = False


@dataclass(slots=True)
class Exchange:
    """A request for the API and what becomes of it; `api` is "" but for the three kinds of inference.

    There is no call before the URL has told whom it asks.
    """

    request: Request
    started: float
    api: str = ""
    call: Call | None = None
    code: Code = Code.CANCELLED
    error: StatusError | None = None
    admitted: Admitted | None = None


class RestFront:
    """Answers HTTP requests; `handle` is what each connection has its requests answered by."""

    def __init__(
        self,
        inference: Inference,
        metrics: Metrics,
        admission: Admission,
        options: RestOptions | None = None,
        *,
        watchers: Sequence[Watcher] = (),
        read_page: ReadPage | None = None,
    ) -> None:
        """`read_page` reads the metrics page, where that is not only this process's."""
        self._read_page = read_page
        self._inference = inference
        self._metrics = metrics
        self._admission = admission
        self._options = options or RestOptions()
        self._watchers = watchers
        self._patience = Patience(self._options.body.patience)
        self._actions: Mapping[str, Callable[[Exchange, Call], Awaitable[bytes]]] = {
            "predict": self._predict,
            "classify": self._classify,
            "regress": self._regress,
            "status": self._status,
            "metadata": self._metadata,
            "list": self._list,
        }

    async def handle(self, request: Request) -> None:
        """Answer one request."""
        path = request.path
        if rest_urls.is_api(path):
            await self._api(request, path)
        else:
            response = await self._beside_the_api(request, path)
            await rest_body.send(response, request, self._patience)

    async def _beside_the_api(self, request: Request, path: str) -> Response:
        if self._options.metrics_path and path.partition("?")[0] == self._options.metrics_path:
            return await self._page(request, path)
        if request.method in ("GET", "HEAD") and path == HEALTH_PATH:
            return _response(200, b"ok\n", "text/plain")
        if request.method in ("GET", "HEAD") and path == READINESS_PATH:
            return self._readiness()
        return _response(404, NOT_FOUND_PAGE, "text/html")

    async def _api(self, request: Request, path: str) -> None:
        exchange = Exchange(request, time.monotonic())
        try:
            if request.method == "OPTIONS":
                response = self._preflight(exchange)
            else:
                response = await self._json(exchange, await self._answer(exchange, path))
            await rest_body.send(response, request, self._patience)
        finally:
            if exchange.admitted is not None:
                exchange.admitted.leave()
            self._answered(exchange)

    def _answered(self, exchange: Exchange) -> None:
        """Tell of a request whose answer has been made."""
        request, call, now = exchange.request, exchange.call or Call(ModelSpec("")), time.monotonic()
        answered = Answered("rest", exchange.api, call, exchange.started, now, exchange.code, exchange.error)
        self._metrics.answered(answered)
        for watch in self._watchers:
            watch(answered, Caller(lambda: request.headers, lambda: request.sender.remote))

    async def _answer(self, exchange: Exchange, path: str) -> bytes:
        """The body of the answer, which is an error's where `exchange.code` is not OK."""
        try:
            if self._options.tokens is not None:
                self._options.tokens.check(exchange.request.headers.get("authorization"))
            exchange.admitted = self._admission.request("rest")
            found = rest_urls.route(exchange.request.method, path)
            exchange.api = found.action if found.action in ("predict", "classify", "regress") else ""
            exchange.call = call = Call(found.spec, transport="rest")
            body = await self._actions[found.action](exchange, call)
            exchange.code = Code.OK
            return body
        except StatusError as error:
            exchange.code, exchange.error = error.code, error
            return json_tensors.error_body(error.message)
        except Exception as error:  # noqa: BLE001 - a fault of ours is told the client, and in full the log.
            _log.exception("%s %s failed", exchange.request.method, path)
            exchange.code = Code.INTERNAL
            return json_tensors.error_body(f"{type(error).__name__} in the server; see its log")

    async def _predict(self, exchange: Exchange, call: Call) -> bytes:
        instances = await rest_documents.read_instances(await self._body(exchange))
        self._begin(call, instances.signature_name)
        outputs = await self._inference.predict(
            call, instances.read, unknown=errors.unknown_signature_in_rest
        )
        size = sum(array.nbytes for array in outputs.values())
        return await rest_documents.off_loop(size, json_tensors.predict_answer, outputs, instances.form)

    async def _classify(self, exchange: Exchange, call: Call) -> bytes:
        result = await self._inference.classify(call, await self._examples(exchange, call))
        return json_tensors.classify_answer(result.classes, result.scores)

    async def _regress(self, exchange: Exchange, call: Call) -> bytes:
        examples = await self._examples(exchange, call)
        return json_tensors.regress_answer(await self._inference.regress(call, examples))

    async def _examples(self, exchange: Exchange, call: Call) -> list[bytes]:
        body = await self._body(exchange)
        document = await rest_documents.read_document(body)
        self._begin(call, json_tensors.signature_name(document))
        examples = await rest_documents.off_loop(len(body), json_tensors.examples, document)
        return examples.with_context()

    async def _status(self, _: Exchange, call: Call) -> bytes:
        statuses = self._inference.status(call.spec)
        return json_tensors.status_json(grpc_codec.status_response(statuses))

    async def _metadata(self, _: Exchange, call: Call) -> bytes:
        signatures = self._inference.metadata(call, (METADATA_FIELD,))
        return json_tensors.metadata_json(grpc_codec.metadata_response(call, signatures))

    async def _list(self, _: Exchange, _call: Call) -> bytes:
        """Every model with its labels and the states of its versions, in the form of its status."""
        lifecycle = self._inference.lifecycle
        models = [
            {
                "name": name,
                "version_labels": {
                    label: str(version) for label, version in sorted(lifecycle.labels(name).items())
                },
                **orjson.loads(json_tensors.status_json(grpc_codec.status_response(statuses))),
            }
            for name, statuses in lifecycle.statuses().items()
        ]
        return orjson.dumps({"models": models}, option=orjson.OPT_INDENT_2)

    async def _body(self, exchange: Exchange) -> bytes:
        if exchange.admitted is None:
            raise AssertionError("a body is read of requests that were let in only")
        return await rest_body.read(exchange.request, self._options.body, exchange.admitted)

    def _begin(self, call: Call, signature_name: str) -> None:
        """The body of a call has been read: it names this signature, and the time of the run begins now."""
        spec = call.spec
        call.spec = ModelSpec(spec.name, spec.version, spec.label, signature_name)
        if self._options.timeout is not None:
            call.deadline = time.monotonic() + self._options.timeout

    async def _json(self, exchange: Exchange, body: bytes) -> Response:
        headers, error, call = dict(self._cors()), exchange.error, exchange.call
        status = 200
        if exchange.code != Code.OK:
            status = http_status(exchange.code)
            if isinstance(error, rest_body.BodyError):
                status = error.http_status
            headers |= REFUSALS.get(status, {})
        if call is not None and call.version is not None:
            headers[VERSION_HEADER] = str(call.version)
        compressed = await rest_body.compressed(body, exchange.request.headers)
        if compressed is not None:
            headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
        headers["Content-Type"] = JSON
        close = self._admission.draining or status in HUNG_UP_ON
        return Response(status, compressed or body, headers, close)

    def _cors(self) -> Mapping[str, str]:
        if not self._options.cors:
            return NO_HEADERS
        if self._options.tokens is None:
            return CORS
        return {**CORS, "Access-Control-Allow-Headers": "Content-Type, Authorization"}

    def _preflight(self, exchange: Exchange) -> Response:
        origin = exchange.request.headers.get("origin", "")
        allowed = "http://" in origin or "https://" in origin
        exchange.code = Code.OK if allowed else Code.INVALID_ARGUMENT
        return Response(200 if allowed else 400, b"", self._cors())

    async def _page(self, request: Request, path: str) -> Response:
        expected, tokens = self._options.metrics_path, self._options.tokens
        if tokens is not None and not self._options.open_metrics:
            try:
                tokens.check(request.headers.get("authorization"))
            except StatusError as error:
                return _response(401, f"{error.message}\n".encode(), "text/plain", REFUSALS[401])
        if path != expected:
            return _response(400, f"Unexpected path: {path}. Should be {expected}".encode(), "text/plain")
        page = await self._read_page() if self._read_page else self._metrics.registry.page()
        if page is None:
            return _response(503, b"the metrics cannot be had now\n", "text/plain")
        return _response(200, page, "text/plain")

    def _readiness(self) -> Response:
        """Ready while every configured model has an available version and the server is not stopping."""
        ready = self._inference.lifecycle.ready() and not self._admission.draining
        return _response(200 if ready else 503, b"ready\n" if ready else b"not ready\n", "text/plain")


def _response(
    status: int, body: bytes, content_type: str, headers: Mapping[str, str] = NO_HEADERS
) -> Response:
    return Response(status, body, {**headers, "Content-Type": content_type})
