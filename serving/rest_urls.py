"""Which URLs the REST API has: a pure function from method and path to what is asked for."""

import functools
import re
from dataclasses import dataclass
from urllib.parse import unquote

from serving import errors
from serving.inference import ModelSpec

API_ROOT = "/v1/"
MAX_VERSION = 2**63 - 1

_ONE = r"(?:/versions/(?P<version>[0-9]+)|/labels/(?P<label>[^/:]+))?"
_POST = re.compile(rf"/v1/models/(?P<name>[^/:]+){_ONE}:(?P<action>classify|regress|predict)", re.IGNORECASE)
_GET = re.compile(rf"/v1/models(?:/(?P<name>[^/:]+))?{_ONE}(?:/(?P<action>metadata))?", re.IGNORECASE)
_ACTIONS = ("classify", "regress", "predict")


@dataclass(frozen=True)
class Route:
    """What is asked for: "predict", "classify", "regress", "status", "metadata" or "list"; of which model."""

    action: str
    spec: ModelSpec


def is_api(path: str) -> bool:
    """Whether a path, with its query, belongs to the API, so that its errors are JSON."""
    return path[: len(API_ROOT)].lower() == API_ROOT


@functools.lru_cache(maxsize=256)
def route(method: str, path: str) -> Route:
    """Read method and path, with its query, as TensorFlow Serving matches them.

    The fixed parts may be in any case, the action not; a query makes a path that matches nothing, or is part
    of a name. StatusError (INVALID_ARGUMENT) for everything that is no URL of the API.
    """
    match = {"POST": _POST, "GET": _GET}.get(method, _NEVER).fullmatch(path)
    action = match["action"] if match else None
    if match is None or (method == "POST" and action not in _ACTIONS):
        raise errors.invalid_argument(f"Malformed request: {method} {path}")
    spec = ModelSpec(unquote(match["name"] or ""), _version(match["version"]), _label(match["label"]))
    if method == "GET":
        action = "metadata" if action == "metadata" else "status" if spec.name else _nameless(path)
    return Route(str(action), spec)


_NEVER = re.compile(r"(?!)")


def _nameless(path: str) -> str:
    """All models, which TensorFlow Serving does not list; other paths without a name are refused."""
    if path.lower() != "/v1/models":
        raise errors.invalid_argument("Missing model name in request.")
    return "list"


def _version(text: str | None) -> int | None:
    if text is None:
        return None
    digits = text.lstrip("0") or "0"
    if len(digits) > len(str(MAX_VERSION)) or int(digits) > MAX_VERSION:
        raise errors.invalid_argument(f"Failed to convert version: {text} to numeric.")
    return int(digits)


def _label(text: str | None) -> str | None:
    return None if text is None else unquote(text)
