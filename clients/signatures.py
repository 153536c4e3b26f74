"""Signatures as a server's metadata tell them, and as the catalogue's models declare them."""

from collections.abc import Iterable, Mapping

import numpy as np

from clients.results import Metadata, SignatureInfo, VersionStatus
from models.model import Signature, TensorSpec
from wire import dtypes, messages
from wire.errors import Code
from wire.tensors import TensorInfo, tensor_info

FIELD = "signature_def"
STATES = {
    getattr(messages.ModelVersionStatus, name): name
    for name in ("UNKNOWN", "START", "LOADING", "AVAILABLE", "UNLOADING", "END")
}


def declared(signature: Signature) -> SignatureInfo:
    """A signature of the catalogue, as a server that serves the model would tell it."""
    return SignatureInfo(_infos(signature.inputs), _infos(signature.outputs), "tensorflow/serving/predict")


def metadata(response: messages.GetModelMetadataResponse) -> Metadata:
    """Read the answer about a version's signatures; KeyError if they are not in it."""
    if FIELD not in response.metadata:
        raise KeyError(f"the answer has the metadata {sorted(response.metadata)}; expected {FIELD}")
    signature_map = messages.SignatureDefMap.FromString(response.metadata[FIELD].value)
    signatures = {
        name: SignatureInfo(
            {key: tensor_info(message) for key, message in sorted(signature.inputs.items())},
            {key: tensor_info(message) for key, message in sorted(signature.outputs.items())},
            signature.method_name,
        )
        for name, signature in sorted(signature_map.signature_def.items())
    }
    return Metadata(response.model_spec.name, response.model_spec.version.value, signatures)


def statuses(response: messages.GetModelStatusResponse) -> list[VersionStatus]:
    """Read the answer about a model's versions, the newest first."""
    found = [_status(status) for status in response.model_version_status]
    return sorted(found, key=lambda status: status.version, reverse=True)


def _status(message: messages.ModelVersionStatus) -> VersionStatus:
    status = message.status
    code = Code(status.error_code) if status.error_code in set(Code) else Code.UNKNOWN
    return VersionStatus(
        message.version, STATES.get(message.state, str(message.state)), code, status.error_message
    )


def _infos(specs: Iterable[TensorSpec]) -> Mapping[str, TensorInfo]:
    return {spec.name: TensorInfo(spec.name, _number(spec.dtype), spec.shape) for spec in specs}


def _number(name: str) -> int:
    return dtypes.STRING if name == "string" else dtypes.of_numpy(np.dtype(name)).number
