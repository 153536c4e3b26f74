"""Classify and Regress: which signatures fit them, and what their outputs must look like.

The keys and the shape of a signature decide; its method name only where that check is switched on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving import errors
from serving.servable import SignatureInfo
from wire.errors import StatusError

Array = NDArray[Any]

INPUT = "inputs"
CLASSES = "classes"
SCORES = "scores"
VALUES = "outputs"
_RANK = 2


@dataclass(frozen=True)
class Classification:
    """Classes of each example: `classes` strings [N, C], `scores` float32 [N, C], or only one of them."""

    classes: Array | None
    scores: Array | None


def classify_outputs(signature: SignatureInfo, *, check_method: bool) -> tuple[str, ...]:
    """The outputs to compute for Classify; StatusError (INVALID_ARGUMENT): the signature does not fit."""
    if check_method and signature.method_name != errors.CLASSIFY_METHOD:
        raise errors.foreign_method("classification", errors.CLASSIFY_METHOD, signature.method_name)
    _check_input(signature)
    count = len(signature.outputs)
    if count not in (1, 2):
        raise errors.invalid_argument(f"Expected one or two output Tensors, found {count}")
    _check_key(signature, "classification")
    wanted = tuple(alias for alias in (CLASSES, SCORES) if alias in signature.outputs)
    if not wanted:
        raise errors.invalid_argument(
            f"Expected classification signature outputs to contain at least one of {CLASSES}, {SCORES}. "
            f"Signature was: {_described(signature)}"
        )
    return wanted


def regress_outputs(signature: SignatureInfo, *, check_method: bool) -> tuple[str, ...]:
    """The output to compute for Regress; StatusError (INVALID_ARGUMENT): the signature does not fit."""
    if check_method and signature.method_name != errors.REGRESS_METHOD:
        raise errors.foreign_method("regression", errors.REGRESS_METHOD, signature.method_name)
    _check_input(signature)
    if len(signature.outputs) != 1:
        raise errors.invalid_argument("Expected one output Tensor.")
    _check_key(signature, "regression")
    if VALUES not in signature.outputs:
        raise errors.invalid_argument(f"No regression outputs found in SignatureDef: {_described(signature)}")
    return (VALUES,)


def classification(outputs: Mapping[str, Array], examples: int) -> Classification:
    """The outputs of a run as classes; StatusError (INVALID_ARGUMENT): they are not [examples, classes]."""
    classes, scores = outputs.get(CLASSES), outputs.get(SCORES)
    for name, array, kinds in ((CLASSES, classes, "OSU"), (SCORES, scores, "f")):
        if array is not None:
            _check_classes(name, array, kinds, examples)
    if classes is not None and scores is not None and classes.shape != scores.shape:
        raise errors.invalid_argument(
            f"Expected as many {CLASSES} as {SCORES} for an example, found {list(classes.shape)} and "
            f"{list(scores.shape)}"
        )
    return Classification(classes, scores)


def regression(outputs: Mapping[str, Array], examples: int) -> Array:
    """The output of a run as values, [N]; StatusError (INVALID_ARGUMENT): it is not one for each example."""
    values = outputs[VALUES]
    if values.dtype != np.float32:
        raise errors.invalid_argument(f"Expected output Tensor of DT_FLOAT. Got: {values.dtype}")
    if values.shape not in ((examples,), (examples, 1)):
        raise errors.invalid_argument(
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] with batch_size "
            f"{examples} but got {list(values.shape)}"
        )
    return values.reshape(-1)


def _check_input(signature: SignatureInfo) -> None:
    if len(signature.inputs) != 1:
        raise errors.invalid_argument("Expected one input Tensor.")


def _check_key(signature: SignatureInfo, kind: str) -> None:
    if INPUT not in signature.inputs:
        raise errors.invalid_argument(f"No {kind} inputs found in SignatureDef: {_described(signature)}")


def _check_classes(name: str, array: Array, kinds: str, examples: int) -> None:
    expected = "DT_STRING" if name == CLASSES else "DT_FLOAT"
    if array.ndim != _RANK:
        raise _unlike(name, f"shape [batch_size, num_classes] but got {list(array.shape)}")
    if array.dtype.kind not in kinds or (kinds == "f" and array.dtype != np.float32):
        raise _unlike(name, f"type {expected} but got {array.dtype}")
    if array.shape[0] != examples:
        raise _unlike(name, f"batch size {examples} but got {array.shape[0]}")


def _unlike(name: str, problem: str) -> StatusError:
    return errors.invalid_argument(f"Expected {name} Tensor of {problem}")


def _described(signature: SignatureInfo) -> str:
    return (
        f"inputs {{{','.join(signature.inputs)}}} outputs {{{','.join(signature.outputs)}}} "
        f"method_name: {signature.method_name}"
    )
