import threading

import numpy as np
import pytest

from serving.servable import Servable, load
from tests.serving import saved_models
from wire.errors import Code, StatusError


def refusal(servable, signature, inputs, outputs=(), timeout=None) -> StatusError:
    with pytest.raises(StatusError) as caught:
        servable.run(signature, inputs, outputs, timeout)
    return caught.value


def floats(*values):
    return np.array(values, np.float32)


def test_run_half_plus_two_answers(half_plus_two_servable):
    outputs = half_plus_two_servable.run("", {"x": floats(1, 2, 5)})

    assert {alias: array.tolist() for alias, array in outputs.items()} == {"y": [2.5, 3.0, 4.5]}


def test_run_empty_batch_gives_no_rows(half_plus_two_servable):
    assert half_plus_two_servable.run("", {"x": floats()})["y"].shape == (0,)


def test_run_with_output_filter_gives_only_these(two_in_two_out):
    inputs = {"a": np.ones((1, 2), np.float32), "b": np.array([3])}

    assert two_in_two_out.run("", inputs, ["count"])["count"].tolist() == [4]
    assert list(two_in_two_out.run("", inputs)) == ["count", "scaled"]


def test_run_without_an_input_takes_its_default(two_in_two_out):
    outputs = two_in_two_out.run("defaults", {"a": np.ones((1, 2), np.float32)})

    assert outputs["count"].tolist() == [2]


@pytest.mark.parametrize(
    "array", [np.array(["a", "é"]), np.array([b"a", "é".encode()]), np.array([b"a", "é".encode()], object)]
)
def test_run_strings_takes_text_and_bytes(strings, array):
    assert strings.run("", {"text": array})["upper"].tolist() == [b"A", "é".encode()]


@pytest.mark.parametrize("dtype", saved_models.DTYPES)
def test_run_every_dtype_comes_back_as_it_went(every_dtype, dtype):
    from ml_dtypes import bfloat16

    x = np.array([0, 1], bfloat16 if dtype == "bfloat16" else dtype)

    y = every_dtype.run(dtype, {"x": x})["y"]

    assert y.dtype == x.dtype
    assert y.tolist() == x.tolist()


def test_run_output_that_is_an_input_comes_back(peculiar):
    assert peculiar.run("fed", {"x": floats(1, 2)})["y"].tolist() == [1, 2]


INVALID = Code.INVALID_ARGUMENT
A = np.ones((1, 2), np.float32)
B = np.array([1])


@pytest.mark.parametrize(
    ("signature", "inputs", "outputs", "expected"),
    [
        ("none", {}, [], (Code.FAILED_PRECONDITION, 'Serving signature key "none" not found.')),
        ("", {"a": A}, [], (INVALID,
         "input size does not match signature: 1!=2 len({a}) != len({a,b}). "
         "Sent extra: {}. Missing but required: {b}.")),
        ("", {"a": A, "b": B, "c": B}, [], (INVALID,
         "input size does not match signature: 3!=2 len({a,b,c}) != len({a,b}). "
         "Sent extra: {c}. Missing but required: {}.")),
        ("", {"a": A, "c": B}, [], (INVALID,
         "Signature input alias: b(feed name: b:0) not found in request and no default value provided. "
         "Inputs expected to be in the request {a,c}, or default input alias set: {}")),
        ("defaults", {"b": B}, [], (INVALID,
         "Signature input alias: a(feed name: a:0) not found in request and no default value provided. "
         "Inputs expected to be in the request {b}, or default input alias set: {b}")),
        ("defaults", {"a": A, "c": B}, [], (INVALID, "Inputs contains invalid name. "
         "Used request inputs: {a}, request input: {a,c}. Foreign: c")),
        ("", {"a": A, "b": B}, ["z"], (INVALID, "output tensor alias not found in signature: z "
         "Outputs expected to be in the set {count,scaled}.")),
        ("", {"a": A, "b": B}, ["count", "count"], (INVALID, "duplicate output tensor alias: count")),
        ("", {"a": A, "b": B.astype(np.int32)}, [], (INVALID,
         "Expects arg[1] to be int64 but int32 is provided: input 'b' came as int32 [1]")),
    ],
)  # fmt: skip
def test_run_refuses_what_the_signature_has_not(two_in_two_out, signature, inputs, outputs, expected):
    error = refusal(two_in_two_out, signature, inputs, outputs)

    assert (error.code, error.message) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"b": np.array([3.0])}, "double"),
        ({"c": np.array([3])}, "input size does not match"),
    ],
)
def test_check_after_requests_like_it_looks_as_closely_as_before(two_in_two_out, changes, expected):
    right = {"a": np.ones((1, 2), np.float32), "b": np.array([3])}
    before = refusal(two_in_two_out, "", {**right, **changes})
    for _ in range(2):
        assert two_in_two_out.run("", right)["count"].tolist() == [4]

    after = refusal(two_in_two_out, "", {**right, **changes})
    assert (after.code, after.message) == (before.code, before.message)
    assert expected in after.message


def test_run_wrong_filter_and_dtype_tells_the_filter(two_in_two_out):
    """The inputs' names and the output filter are looked at before the types."""
    error = refusal(two_in_two_out, "", {"a": A, "b": B.astype(np.float32)}, ["z"])

    assert error.message.startswith("output tensor alias not found")


def test_run_wrong_shape_names_input_and_both_shapes(two_in_two_out):
    error = refusal(two_in_two_out, "", {"a": np.ones((2, 4), np.float32), "b": np.array([1, 2, 3])})

    assert error.code == Code.INVALID_ARGUMENT
    assert "Input 'a'" in error.message
    assert "expected float of shape [?,2], received shape [2,4]" in error.message


def test_run_shape_that_the_graph_takes_is_run(two_in_two_out):
    """As in TensorFlow Serving, the graph decides, not the signature."""
    assert two_in_two_out.run("", {"a": np.ones((1, 3), np.float32), "b": B})["scaled"].shape == (1, 3)


def test_run_failed_operation_answers_its_code(peculiar):
    error = refusal(peculiar, "positive", {"x": floats(-1)})

    assert error.code == Code.INVALID_ARGUMENT
    assert "below 0" in error.message


def test_run_longer_than_its_timeout_is_stopped(peculiar):
    error = refusal(peculiar, "endless", {"x": floats(1e12)}, timeout=0.05)

    assert (error.code, error.message) == (Code.DEADLINE_EXCEEDED, "Timed out waiting for notification")


def test_run_with_ever_new_filters_keeps_few_calls(two_in_two_out, monkeypatch):
    monkeypatch.setattr(Servable, "MAX_CALLS", 2)
    two_in_two_out._calls.clear()
    inputs = {"a": A, "b": B}

    for outputs in (["count"], ["scaled"], ["count", "scaled"], ["scaled", "count"]):
        assert list(two_in_two_out.run("", inputs, outputs)) == outputs
        assert len(two_in_two_out._calls) <= 2


def test_signatures_tell_tensors_and_methods(half_plus_two_servable):
    signatures = half_plus_two_servable.signatures

    assert signatures["serving_default"].inputs["x"].shape == (None,)
    assert signatures["classify_x_to_y"].method_name == saved_models.CLASSIFY
    assert set(half_plus_two_servable.signature_def_map.signature_def) == set(signatures)


def test_run_after_close_is_unavailable(half_plus_two):
    servable = load(half_plus_two)
    servable.close()

    assert refusal(servable, "", {"x": floats(1)}).code == Code.UNAVAILABLE


@pytest.mark.parametrize("tags", [("serve", "gpu"), ("none",)])
def test_load_other_tags_are_not_found(half_plus_two, tags):
    with pytest.raises(StatusError) as caught:
        load(half_plus_two, tags=tags)

    assert caught.value.code == Code.NOT_FOUND


def test_load_broken_model_tells_why_without_our_path(tmp_path):
    with pytest.raises(StatusError) as caught:
        load(saved_models.broken(tmp_path / "1"))

    assert str(tmp_path) not in caught.value.message
    assert "saved_model.pb" in caught.value.message


def test_load_tensorflow_2_function_runs(tmp_path):
    from serving.session import tensorflow

    tf = tensorflow()

    class Module(tf.Module):
        def __init__(self):
            self.two = tf.Variable(2.0)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
        def plus_two(self, x):
            return {"y": x + self.two}

    module = Module()
    tf.saved_model.save(module, str(tmp_path / "1"), signatures={"serving_default": module.plus_two})
    servable = load(tmp_path / "1")

    assert servable.run("", {"x": floats(1)})["y"].tolist() == [3.0]
    servable.close()


def test_close_during_a_run_lets_it_end(peculiar):
    servable = load(peculiar.path)
    answers = []

    def run():
        try:
            answers.append(servable.run("endless", {"x": floats(1e12)}, timeout=0.2))
        except StatusError as error:
            answers.append(error.code)

    thread = threading.Thread(target=run)
    thread.start()
    while not servable._running and thread.is_alive():
        thread.join(0.001)
    servable.close()
    thread.join(5)

    assert answers == [Code.DEADLINE_EXCEEDED]
