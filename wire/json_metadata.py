"""The JSON of model status and model metadata, written from messages of either pool, and read into wire's."""

import json
from typing import Any

from google.protobuf import json_format

from wire import messages
from wire.errors import Code, StatusError
from wire.json_parse import parse_json

_SIGNATURE_DEF = "signature_def"


def status_json(response: Any) -> bytes:
    """The body of a GetModelStatusResponse."""
    return _write(_members(response))


def metadata_json(response: Any) -> bytes:
    """The body of a GetModelMetadataResponse whose only metadata are the signatures."""
    signatures = messages.SignatureDefMap.FromString(response.metadata[_SIGNATURE_DEF].value)
    return _write(
        {"model_spec": _members(response.model_spec), "metadata": {_SIGNATURE_DEF: _members(signatures)}}
    )


def read_status(body: bytes) -> messages.GetModelStatusResponse:
    """The message of a status body; StatusError (INTERNAL) if it is none."""
    response = messages.GetModelStatusResponse()
    _read(_document(body), response)
    return response


def read_metadata(body: bytes) -> messages.GetModelMetadataResponse:
    """The message of a metadata body; StatusError (INTERNAL) if it is none."""
    document = _document(body)
    response = messages.GetModelMetadataResponse()
    signatures = messages.SignatureDefMap()
    _read(_member(document, "model_spec"), response.model_spec)
    _read(_member(_member(document, "metadata"), _SIGNATURE_DEF), signatures)
    response.metadata[_SIGNATURE_DEF].Pack(signatures)
    return response


def _members(message: Any) -> dict[str, Any]:
    """A message as proto3 JSON with the names of the .proto file and with fields that are zero."""
    members: dict[str, Any] = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return members


def _write(members: dict[str, Any]) -> bytes:
    return json.dumps(members, indent=4, ensure_ascii=False).encode()


def _document(body: bytes) -> Any:
    try:
        return parse_json(body)
    except StatusError as error:
        raise _damaged(error.message) from None


def _member(document: Any, key: str) -> Any:
    if not isinstance(document, dict) or key not in document:
        raise _damaged(f"it has no '{key}'")
    return document[key]


def _read(members: Any, message: Any) -> None:
    if not isinstance(members, dict):
        raise _damaged("it is not a JSON object")
    try:
        json_format.ParseDict(members, message, ignore_unknown_fields=True)
    except json_format.ParseError as error:
        raise _damaged(str(error)) from None


def _damaged(problem: str) -> StatusError:
    return StatusError(Code.INTERNAL, f"the server's answer cannot be read: {problem}")
