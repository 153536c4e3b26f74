"""A request written around its tensors is the message that protobuf would write."""

from typing import Any

import numpy as np
import pytest

from clients.predict_request import serialize
from wire import messages, tensors
from wire.errors import StatusError

RANDOM = np.random.default_rng(0)
ARRAYS = {
    "images": RANDOM.random((256, 784), np.float32),
    "not contiguous": RANDOM.random((6, 8)).T[::2],
    "big-endian": np.arange(5, dtype=">i4"),
    "scalar": np.array(7, np.int64),
    "empty": np.zeros((0, 3), np.float32),
    "no inputs of a name of two bytes": np.zeros(1, np.bool_),
    "half": np.arange(3, dtype=np.float16),
    "complex": np.arange(3, dtype=np.complex64),
    "bytes": np.array([b"\xff", b""], object),
    "texts": np.array(["na\u00efve", "film"]),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_request_is_the_same_message(name: str) -> None:
    model_spec = messages.ModelSpec(name="m", signature_name="serving_default")
    model_spec.version.value = 0
    wanted = messages.PredictRequest(model_spec=model_spec)
    tensors.fill(wanted.inputs[name], ARRAYS[name], as_content=True)
    assert messages.PredictRequest.FromString(serialize(model_spec, {name: ARRAYS[name]})) == wanted


def test_several_inputs_are_all_there() -> None:
    sent = messages.PredictRequest.FromString(serialize(messages.ModelSpec(), ARRAYS))
    assert set(sent.inputs) == set(ARRAYS)
    np.testing.assert_array_equal(tensors.to_array(sent.inputs["not contiguous"]), ARRAYS["not contiguous"])


@pytest.mark.parametrize("array", [np.array(["2020-01-01"], "datetime64[D]"), np.array([1, None], object)])
def test_array_that_is_no_tensor_is_refused(array: Any) -> None:
    with pytest.raises(StatusError):
        serialize(messages.ModelSpec(), {"x": array})
