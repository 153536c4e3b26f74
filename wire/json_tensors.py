"""The REST API's JSON: everything a server or a client needs of it, in one place."""

from wire.json_answers import classify_answer, error_body, predict_answer, regress_answer
from wire.json_client import error_message, predict_body, predict_outputs
from wire.json_examples import SerializedExamples, examples
from wire.json_metadata import metadata_json, read_metadata, read_status, status_json
from wire.json_parse import parse_json, parse_object, require_object
from wire.json_requests import RequestForm, predict_inputs, signature_name

__all__ = [
    "RequestForm",
    "SerializedExamples",
    "classify_answer",
    "error_body",
    "error_message",
    "examples",
    "metadata_json",
    "parse_json",
    "parse_object",
    "predict_answer",
    "predict_body",
    "predict_inputs",
    "predict_outputs",
    "read_metadata",
    "read_status",
    "regress_answer",
    "require_object",
    "signature_name",
    "status_json",
]
