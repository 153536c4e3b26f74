"""The networks and their signatures, saved and run in a TF1 session as TensorFlow Serving runs them."""

import io
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from models import catalogue, words
from models.model import InputError, Model

Run = Callable[[str, Mapping[str, Any]], np.ndarray]
WORDS = st.sampled_from(
    ["the", "GOOD", "isn't", "film's", "café", "É", "<br />", "x", "\u00a0", "\x85", "\0"]
)
TEXTS = st.one_of(st.text(max_size=60), st.lists(WORDS, max_size=12).map(" ".join))


def save(model: Model, vocabulary: Mapping[str, int] | None, path: Path) -> None:
    keras.utils.set_random_seed(7)
    network = model.build(model.recipe.hidden)
    default = model.signature_specs["serving_default"]
    assert model.signatures is not None
    entries = model.signatures(network, vocabulary)
    module = tf.Module()
    module.tracked = [*(variable.value for variable in network.variables), *entries.tracked]
    specs = [tf.TensorSpec(spec.shape, spec.dtype, name=spec.name) for spec in default.inputs]
    serve = tf.function(lambda tensor: {default.outputs[0].name: network(tensor)}, input_signature=specs)
    tf.saved_model.save(module, str(path), signatures={"serving_default": serve, **entries.functions})


@pytest.fixture(scope="module", params=["mnist", "imdb"])
def model(request: pytest.FixtureRequest) -> Model:
    return catalogue.find(request.param)


@pytest.fixture(scope="module")
def session(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Any]]:
    path = tmp_path_factory.mktemp(model.name) / "1"
    save(model, model.dataset.sample(1).vocabulary, path)
    session = tf.compat.v1.Session(graph=tf.Graph())
    with session.graph.as_default():
        definitions = tf.compat.v1.saved_model.load(session, ["serve"], str(path)).signature_def
    yield session, definitions
    session.close()


@pytest.fixture(scope="module")
def run(session: tuple[Any, Any]) -> Run:
    opened, definitions = session

    def call(name: str, tensors: Mapping[str, Any]) -> np.ndarray:
        definition = definitions[name]
        (output,) = definition.outputs.values()
        feeds = {definition.inputs[key].name: value for key, value in tensors.items()}
        return opened.run(output.name, feeds)

    return call


only_mnist = pytest.mark.parametrize("model", ["mnist"], indirect=True, scope="module")
only_imdb = pytest.mark.parametrize("model", ["imdb"], indirect=True, scope="module")


def test_saved_signatures_have_the_tensors_that_the_model_states(
    model: Model, session: tuple[Any, Any]
) -> None:
    definitions = {name: value for name, value in session[1].items() if not name.startswith("__")}
    assert definitions.keys() == model.signature_specs.keys()
    for name, signature in model.signature_specs.items():
        for specs, saved in (
            (signature.inputs, definitions[name].inputs),
            (signature.outputs, definitions[name].outputs),
        ):
            assert {
                key: (tf.as_dtype(info.dtype).name, tuple(size.size for size in info.tensor_shape.dim))
                for key, info in saved.items()
            } == {
                spec.name: (spec.dtype, tuple(-1 if n is None else n for n in spec.shape)) for spec in specs
            }


def test_raw_request_gives_the_answer_of_serving_default(model: Model, run: Run) -> None:
    splits = model.dataset.sample(2)
    raw = splits.test.inputs[:40]
    expected = run("serving_default", model.preprocess(raw, splits.vocabulary))
    np.testing.assert_allclose(run(*model.raw_request(raw)), expected, atol=1e-6)
    assert len(model.read({model.signature_specs["serving_default"].outputs[0].name: expected})) == 40


def encoded(image: np.ndarray, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind)
    return buffer.getvalue()


@only_mnist
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_image_bytes_gives_the_answer_of_the_decoded_pixels(model: Model, run: Run, kind: str) -> None:
    files = [encoded(image, kind) for image in model.dataset.sample(4).test.inputs[:10]]
    decoded = [np.asarray(Image.open(io.BytesIO(file))) for file in files]
    expected = run("serving_default", model.preprocess(decoded, None))
    answer = run("image_bytes", {"image": np.array(files, dtype=object)})
    np.testing.assert_allclose(answer, expected, atol=1e-6)


@only_mnist
def test_image_bytes_turns_colours_into_grey_as_the_client_does(model: Model, run: Run) -> None:
    colours = np.random.default_rng(1).integers(0, 256, (28, 28, 3), dtype=np.uint8)
    colours[0] = colours[-1] = colours[:, 0] = colours[:, -1] = 0
    file = encoded(colours)
    expected = run("serving_default", model.preprocess(model.read_bytes(file, "it"), None))
    np.testing.assert_allclose(run("image_bytes", {"image": [file]}), expected, atol=1e-6)


@only_mnist
def test_image_bytes_scales_pictures_of_other_sizes(model: Model, run: Run) -> None:
    image = np.asarray(model.dataset.sample(4).test.inputs[0])
    files = [encoded(np.kron(image, np.ones((3, 3), np.uint8))), encoded(image)]
    large, small = run("image_bytes", {"image": np.array(files, dtype=object)})
    np.testing.assert_allclose(large, small, atol=1e-6)


@only_mnist
def test_image_bytes_of_something_else_is_an_error(model: Model, run: Run) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"(?i)unknown image|jpeg"):
        run("image_bytes", {"image": [b"no image"]})


@only_imdb
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(TEXTS, min_size=1, max_size=4))
def test_text_gives_the_answer_of_the_clients_preprocessing(model: Model, run: Run, texts: list[str]) -> None:
    vocabulary = model.dataset.sample(1).vocabulary
    try:
        tensors = model.preprocess(texts, vocabulary)
    except InputError:
        with pytest.raises(tf.errors.InvalidArgumentError, match="a review is empty"):
            run("text", {"text": [text.encode() for text in texts]})
    else:
        np.testing.assert_allclose(run(*model.raw_request(texts)), run("serving_default", tensors), atol=1e-6)


@only_imdb
@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([[1, 10_000]], "a token is too large; expected tokens in 0..9999"),
        ([[1, 5], [-1, 5]], "a token is negative; expected tokens in 0..9999"),
        ([[1, 5], [0, 0]], "a review is empty"),
        (np.zeros((1, 0)), "a review is empty"),
    ],
)
def test_token_ids_outside_the_dictionary_are_an_error(
    model: Model, run: Run, tokens: Any, message: str
) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        run("token_ids", {"tokens": tokens})


@only_imdb
def test_without_a_vocabulary_there_is_no_text_signature(model: Model) -> None:
    assert model.signatures is not None
    assert list(model.signatures(model.build((2,)), None).functions) == ["token_ids"]


@only_imdb
def test_text_table_holds_the_words_of_the_dictionary(model: Model) -> None:
    from models import words_graph

    table = words_graph.word_table({"film": 1, "last": 9_996, "rare": 9_997})
    found = table.lookup(tf.constant(["film", "last", "rare", "unheard"]))
    assert found.numpy().tolist() == [4, 9_999, words.UNKNOWN, words.UNKNOWN]


def fitted(model: Model, seed: int) -> tuple[keras.Model, float]:
    """Fit a sample in the form for fitting, and give it with its accuracy on the test split."""
    splits = model.dataset.sample(1)
    keras.utils.set_random_seed(seed)
    inputs: Callable[[Any], Any] = lambda raw: next(iter(model.preprocess(raw, None).values()))  # noqa: E731
    build = model.build
    if model.fit_form:
        inputs, build = model.fit_form.inputs, model.fit_form.build
    network = build(model.recipe.hidden)
    network.compile(optimizer=model.recipe.optimizer, loss=model.recipe.loss, metrics=["accuracy"])
    network.fit(inputs(splits.train.inputs), splits.train.labels, epochs=5, batch_size=128, verbose=0)
    _, accuracy = network.evaluate(inputs(splits.test.inputs), splits.test.labels, verbose=0)
    return network, accuracy


def test_a_sample_is_learnt_the_same_way_each_time(model: Model) -> None:
    (first, accuracy), (again, _) = fitted(model, 3), fitted(model, 3)
    assert accuracy > 0.9
    for one, other in zip(first.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@only_imdb
def test_fit_form_gives_the_same_answer_as_the_network_on_multi_hot_rows(model: Model) -> None:
    assert model.fit_form is not None
    network, _ = fitted(model, 3)
    built = model.build(model.recipe.hidden)
    model.fit_form.transfer(network, built)
    raw = model.dataset.sample(5).test.inputs[:64]
    expected = built(model.preprocess(raw, None)["multi_hot"])
    np.testing.assert_allclose(network(model.fit_form.inputs(raw)), expected, atol=1e-5)


@only_imdb
def test_fit_form_starts_from_the_weights_of_a_dense_layer(model: Model) -> None:
    assert model.fit_form is not None
    starts = []
    for build in (model.build, model.fit_form.build):
        keras.utils.set_random_seed(11)
        starts.append(build(model.recipe.hidden).get_weights())
    for one, other in zip(*starts, strict=True):
        np.testing.assert_array_equal(one, other)


@only_imdb
def test_fit_form_refuses_texts(model: Model) -> None:
    assert model.fit_form is not None
    with pytest.raises(InputError, match="expected token ids to fit on"):
        model.fit_form.inputs(["a film"])
