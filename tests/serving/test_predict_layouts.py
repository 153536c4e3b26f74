"""A request that is taken for an earlier one with other elements means what the whole parser says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.grpc_codec import Tensors, model_spec
from serving.predict_layouts import MOST_LAYOUTS, Layouts
from wire import dtypes, messages, tensors


def body(rows: np.ndarray, *, name: str = "m", as_content: bool = True, **changes: object) -> bytes:
    request = messages.PredictRequest(model_spec=messages.ModelSpec(name=name), **changes)
    tensors.fill(request.inputs["x"], rows, as_content=as_content)
    return request.SerializeToString()


def strings_as_content(*strings: bytes) -> bytes:
    """A request for strings in `tensor_content`: their lengths, each in a byte, then the strings."""
    request = messages.PredictRequest(model_spec=messages.ModelSpec(name="m"))
    tensor = request.inputs["x"]
    tensor.dtype = dtypes.STRING
    tensor.tensor_shape.dim.add(size=len(strings))
    tensor.tensor_content = bytes(map(len, strings)) + b"".join(strings)
    return request.SerializeToString()


def learn(layouts: Layouts, request: bytes) -> None:
    parsed = messages.PredictRequest.FromString(request)
    layouts.learn(request, model_spec(parsed), Tensors(parsed.inputs), tuple(parsed.output_filter))


@given(
    first=st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=40),
    second=st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=40),
)
def test_tensor_of_a_known_layout_is_the_parsers(first: list[float], second: list[float]) -> None:
    layouts, request = Layouts(), body(np.array([second], np.float32))
    learn(layouts, body(np.array([first], np.float32)))
    layout = layouts.find(request)
    assert (layout is not None) == (len(first) == len(second))
    if layout is not None:
        assert (layout.spec.name, layout.alias, layout.output_filter) == ("m", "x", ())
        assert layout.tensor(request).tolist() == np.array([second], np.float32).tolist()


@pytest.mark.parametrize(
    "request_",
    [
        body(np.ones((2, 2), np.float32)),
        body(np.ones((1, 4), np.int32)),
        body(np.ones((1, 4), np.float32), name="n"),
        body(np.ones((1, 4), np.float32), as_content=False),
        body(np.ones((1, 4), np.float32), output_filter=["y"]),
    ],
    ids=["shape", "type", "model", "field", "filter"],
)
def test_other_request_is_of_another_layout(request_: bytes) -> None:
    layouts = Layouts()
    learn(layouts, body(np.ones((1, 4), np.float32)))
    assert layouts.find(request_) is None


@pytest.mark.parametrize(
    "request_",
    [
        body(np.ones((1, 4), np.float32), as_content=False),
        body(np.array([b"a", b"b"], object)),
        # Of as many bytes as the array has for its pointers.
        strings_as_content(b"seven b", b"bytes 7"),
        body(np.ones((1, 4), np.float32), output_filter=["y"]),
        body(np.ones((1, 4), np.float32), name="m" * 2000),
    ],
    ids=["typed", "strings", "strings as content", "filter", "long name"],
)
def test_request_that_does_not_end_with_its_elements_is_not_remembered(request_: bytes) -> None:
    layouts = Layouts()
    learn(layouts, request_)
    assert layouts.find(request_) is None


def test_tensor_is_not_decoded_again_where_no_layout_can_be_learnt() -> None:
    """It happens on the event loop, for each request of a client that does not send `tensor_content`."""
    request = body(np.ones((1, 4), np.float32), as_content=False)
    spec = model_spec(messages.PredictRequest.FromString(request))
    would_fail_if_decoded = Tensors({"x": messages.TensorProto(dtype=-1)})

    Layouts().learn(request, spec, would_fail_if_decoded, ())


def test_layouts_take_bounded_room() -> None:
    layouts = Layouts()
    for size in range(1, MOST_LAYOUTS + 10):
        learn(layouts, body(np.ones(size, np.float32)))
    assert len(layouts._known) <= MOST_LAYOUTS
    assert layouts.find(body(np.zeros(size, np.float32))) is not None
