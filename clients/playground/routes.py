"""From a request to an answer, without a socket: the page's files, and the questions that it asks."""

import base64
import binascii
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from importlib import resources
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

from clients.client import Client
from clients.errors import ClientError, DeadlineExceeded, Refused, Unreachable
from clients.playground import answers, guard
from models.model import InputError
from wire.errors import http_status

JSON = "application/json"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
HIGHEST_VERSION = 2**63 - 1


@dataclass(frozen=True)
class Request:
    """A request: `path` with its query, `headers` by name in small letters."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True)
class Response:
    """An answer; the headers of `guard` come to all of them."""

    status: int
    content_type: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)


class Wrong(Exception):  # noqa: N818 - a request that is wrong, not a fault
    """The request is not one of the page's: the status, and what to tell."""

    def __init__(self, status: HTTPStatus, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}


def page_files() -> dict[str, Response]:
    """The page's files by their paths; "/" is the page."""
    directory = resources.files(__package__).joinpath("page")
    found = {}
    for file in directory.iterdir():
        kind = TYPES.get(file.name[file.name.rfind(".") :])
        if kind is not None:
            found[f"/{file.name}"] = Response(HTTPStatus.OK, kind, file.read_bytes())
    found["/"] = found.pop("/page.html")
    return found


@dataclass(frozen=True)
class Playground:
    """The servers that can be asked, by protocol (grpc, http), and the names that the page may have."""

    servers: Mapping[str, Client]
    names: Collection[str] = ()
    files: Mapping[str, Response] = field(default_factory=page_files)


def respond(playground: Playground, request: Request) -> Response:
    """Answer a request; an error is {"error": ...} on one line."""
    try:
        return _respond(playground, request)
    except Wrong as error:
        return failure(error.status, str(error), error.headers)
    except InputError as error:
        return failure(HTTPStatus.BAD_REQUEST, str(error))
    except ClientError as error:
        return failure(_status_of(error), str(error))


def failure(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """An answer that is an error."""
    return Response(status, JSON, orjson.dumps({"error": message}), headers or {})


def _respond(playground: Playground, request: Request) -> Response:
    host = request.headers.get("host", "")
    if not guard.is_ours(host, playground.names):
        raise Wrong(
            HTTPStatus.MISDIRECTED_REQUEST,
            f"this page is not at the host {host[:100]!r}: use its address, or start it with --allowed-host",
        )
    path = urlsplit(request.path).path
    if path in playground.files:
        _expect(request, "GET")
        return playground.files[path]
    if path not in QUESTIONS:
        raise Wrong(HTTPStatus.NOT_FOUND, f"there is no {path[:100]} here")
    method, question = QUESTIONS[path]
    _expect(request, method)
    return Response(HTTPStatus.OK, JSON, orjson.dumps(question(playground, request)))


def _expect(request: Request, method: str) -> None:
    allowed = ("GET", "HEAD") if method == "GET" else (method,)
    if request.method not in allowed:
        raise Wrong(
            HTTPStatus.METHOD_NOT_ALLOWED,
            f"{request.method} was asked; expected {method}",
            {"Allow": ", ".join(allowed)},
        )


def _health(playground: Playground, request: Request) -> dict[str, Any]:  # noqa: ARG001
    return {"status": "ok"}


def _servers(playground: Playground, request: Request) -> dict[str, Any]:  # noqa: ARG001
    return {
        "servers": {protocol: str(client.address) for protocol, client in playground.servers.items()},
        "labels": answers.labels(),
        "limits": answers.limits(),
    }


def _status(playground: Playground, request: Request) -> dict[str, Any]:
    asked = parse_qs(urlsplit(request.path).query).get("protocol", [""])[-1]
    return answers.status(playground.servers[_protocol(playground, asked)])


def _digit(playground: Playground, request: Request) -> dict[str, Any]:
    document = _document(request)
    protocol, version = _protocol(playground, document.get("protocol")), _version(document)
    try:
        picture = base64.b64decode(_text(document, "picture"), validate=True)
    except (binascii.Error, ValueError):
        raise Wrong(HTTPStatus.BAD_REQUEST, "the picture is not in base64; expected a PNG or JPEG") from None
    return answers.digit(playground.servers, protocol, picture, version)


def _review(playground: Playground, request: Request) -> dict[str, Any]:
    document = _document(request)
    protocol, version = _protocol(playground, document.get("protocol")), _version(document)
    return answers.review(playground.servers, protocol, _text(document, "text"), version)


Question = Callable[[Playground, Request], dict[str, Any]]
QUESTIONS: dict[str, tuple[str, Question]] = {
    "/healthz": ("GET", _health),
    "/api/servers": ("GET", _servers),
    "/api/status": ("GET", _status),
    "/api/digit": ("POST", _digit),
    "/api/review": ("POST", _review),
}


def _document(request: Request) -> dict[str, Any]:
    """The JSON object of a request that came from our page, or from a program."""
    if not guard.is_same_origin(request.headers.get("origin"), request.headers.get("host", "")):
        raise Wrong(HTTPStatus.FORBIDDEN, "this request comes from another site's page")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != JSON:
        raise Wrong(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"the content type is {kind[:50]!r}; expected {JSON}")
    try:
        document = orjson.loads(request.body)
    except orjson.JSONDecodeError as error:
        raise Wrong(HTTPStatus.BAD_REQUEST, f"the body is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise Wrong(HTTPStatus.BAD_REQUEST, "the body is JSON, but no object; expected an object")
    return document


def _protocol(playground: Playground, asked: object) -> str:
    if not isinstance(asked, str) or asked not in playground.servers:
        known = " or ".join(playground.servers)
        raise Wrong(HTTPStatus.BAD_REQUEST, f"the protocol is {str(asked)[:50]!r}; expected {known}")
    return asked


def _version(document: Mapping[str, Any]) -> int | None:
    version = document.get("version")
    if version is not None and (type(version) is not int or not 0 <= version <= HIGHEST_VERSION):
        raise Wrong(HTTPStatus.BAD_REQUEST, f"the version is {version!r:.50}; expected a number, or null")
    return version


def _text(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str):
        raise Wrong(HTTPStatus.BAD_REQUEST, f"{name} is {type(value).__name__}; expected a string")
    return value


def _status_of(error: ClientError) -> int:
    """The server's own status where it refused, a gateway's where there was no answer, or none of its API."""
    if isinstance(error, (Refused, Unreachable, DeadlineExceeded)):
        return http_status(error.code)
    return HTTPStatus.BAD_GATEWAY
