"""A job ends in one whole version, or in one clear error and an untouched store."""

import errno
import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from models import catalogue
from models.model import Model, RaggedArray
from training import export, figures, job, warm_up
from training.errors import DataError, RefusedError, StoreError
from training.evaluate import evaluate
from training.job import JobOptions, train
from wire import messages, tensors


def loaded(path: Path) -> Any:
    return tf.saved_model.load(str(path)).signatures


def ask(signature: Any, inputs: Any) -> Any:
    outputs = signature(**{name: tf.constant(array) for name, array in inputs.items()})
    return {name: tensor.numpy() for name, tensor in outputs.items()}


def ask_as_server(path: Path, key: str, inputs: Any) -> Any:
    """Ask through a TF1 session, as TensorFlow Serving does."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        signature = tf.compat.v1.saved_model.load(session, ["serve"], str(path)).signature_def[key]
        fed = {signature.inputs[name].name: array for name, array in inputs.items()}
        (output,) = signature.outputs.values()
        return session.run(output.name, fed)


def records(path: Path) -> list[tuple[str, str, dict[str, Any]]]:
    """The warm-up requests of a version: model, signature and tensors, read with our own messages."""
    found = []
    for record in tf.data.TFRecordDataset(str(path / "assets.extra" / "tf_serving_warmup_requests")):
        log = messages.PredictionLog.FromString(record.numpy())
        request = log.predict_log.request
        inputs = {name: tensors.to_array(proto) for name, proto in request.inputs.items()}
        found.append((request.model_spec.name, request.model_spec.signature_name, inputs))
    return found


def test_job_of_a_model_it_never_heard_of_publishes_a_whole_version(
    changed: Callable[..., Model], tmp_path: Path, listing: Callable[[Path], list[str]]
) -> None:
    model = changed(epochs=30)
    result = train(JobOptions(model=model, model_store=tmp_path, sample=True))
    assert result.path == tmp_path / "points" / "1"
    assert set(listing(result.path)) >= {
        "saved_model.pb", "variables/variables.index", "assets.extra/kedge.json", "assets.extra/loss.png",
        "assets.extra/accuracy.png", "assets.extra/tf_serving_warmup_requests", "assets.extra/report.html",
        "SHA256SUMS",
    }  # fmt: skip
    assert result.accuracy > 0.9
    assert train(JobOptions(model=model, model_store=tmp_path, sample=True)).version == 2


def test_record_says_what_the_version_was_made_of(
    changed: Callable[..., Model], tmp_path: Path, points_file: bytes
) -> None:
    (tmp_path / "points.npz").write_bytes(points_file)
    model = changed(hidden=(4, 5), batch_size=8)
    result = train(JobOptions(model=model, model_store=tmp_path / "s", data_dir=tmp_path, seed=9))
    record = json.loads((result.path / "assets.extra" / "kedge.json").read_text())
    expected = {
        "name": "points", "version": 1, "sample": False, "source": str(tmp_path), "seed": 9,
        "hidden": [4, 5], "batch_size": 8, "epochs": 3, "best_epoch": 3, "accuracy": result.accuracy,
        "rows": 240, "refused": None,
    }  # fmt: skip
    assert {key: record[key] for key in expected} == expected
    assert list(record["sha256"]) == ["points.npz"]
    assert set(record["seconds"]) == {"load", "fit", "evaluate", "export", "report", "check"}
    assert {"python", "tensorflow", "keras", "numpy"} <= set(record["libraries"])
    assert len(record["history"]["loss"]) == 3
    assert datetime.fromisoformat(record["created"]).utcoffset() is not None
    assert str(tmp_path / "s") not in json.dumps(record)


def test_evaluation_is_of_the_published_version(model: Model, tmp_path: Path) -> None:
    result = train(JobOptions(model=model, model_store=tmp_path, sample=True))
    test = model.dataset.sample(0).test
    answers = ask(loaded(result.path)["serving_default"], model.preprocess(test.inputs, None))[
        "probabilities"
    ]
    assert result.accuracy == pytest.approx((answers.argmax(axis=1) == test.labels).mean())
    right = answers[np.arange(len(test)), test.labels]
    assert result.loss == pytest.approx(-np.log(right).mean(), abs=1e-5)


@pytest.mark.parametrize("name", ["mnist", "imdb"])
def test_published_model_has_the_signatures_of_the_table_with_equal_outputs(
    name: str, tmp_path: Path
) -> None:
    """Every signature is asked about the same test examples, through its warm-up requests."""
    model = catalogue.find(name)
    quick = replace(model, recipe=model.recipe.changed(epochs=1, hidden=(8, 8)))
    result = train(JobOptions(model=quick, model_store=tmp_path, sample=True, min_accuracy=0))
    signatures = loaded(result.path)
    assert set(signatures) == set(model.signature_specs)
    for key, spec in model.signature_specs.items():
        given = signatures[key].structured_input_signature[1]
        assert {n: (t.dtype.name, tuple(t.shape)) for n, t in given.items()} == {
            t.name: (t.dtype, t.shape) for t in spec.inputs
        }
        assert set(signatures[key].structured_outputs) == {tensor.name for tensor in spec.outputs}
    by_size: dict[int, list[Any]] = {}
    for model_name, key, inputs in records(result.path):
        assert model_name == name
        answer = ask_as_server(result.path, key, inputs)
        by_size.setdefault(len(answer), []).append(answer)
    assert {size: len(answers) for size, answers in by_size.items()} == {1: 3, 4: 3, 16: 3}
    for first, *others in by_size.values():
        for other in others:
            np.testing.assert_allclose(other, first, atol=1e-6)


def test_warm_up_requests_are_tensorflow_serving_s_own_messages(model: Model, tmp_path: Path) -> None:
    """Read with tensorflow-serving-api, as its server does."""
    from tensorflow_serving.apis import prediction_log_pb2

    result = train(JobOptions(model=model, model_store=tmp_path, sample=True))
    path = result.path / "assets.extra" / "tf_serving_warmup_requests"
    for record in tf.data.TFRecordDataset(str(path)):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        assert log.WhichOneof("log_type") == "predict_log"
        assert log.predict_log.request.model_spec.name == "points"
        for proto in log.predict_log.request.inputs.values():
            assert tf.make_ndarray(proto).shape[1:] == (3,)


def test_signature_that_no_raw_input_reaches_is_told(model: Model, tmp_path: Path) -> None:
    """A version without warm-up for a signature still works; the job says which one it is."""
    lines: list[str] = []

    class Recorder(job.Silent):
        def line(self, text: str) -> None:
            lines.append(text)

    shy = replace(model, raw_request=lambda inputs: ("serving_default", model.preprocess(inputs, None)))
    train(JobOptions(model=shy, model_store=tmp_path, sample=True), Recorder())
    assert "points: no warm-up requests for whole_numbers" in lines


def test_review_of_unknown_words_only_makes_no_text_to_warm_up_with() -> None:
    """A server refuses a text without a word, and would then refuse the whole version."""
    model = catalogue.find("imdb")
    unknown = RaggedArray.of([np.array([1, 2, 2], np.int32)])
    asked = [signature for signature, _ in warm_up.requests(model, unknown, {"film": 1})]
    assert asked == ["serving_default", "token_ids"]


def test_refused_model_is_kept_outside_the_versions_with_its_report(model: Model, tmp_path: Path) -> None:
    with pytest.raises(
        RefusedError, match=r"points is not published: the accuracy .*--min-accuracy"
    ) as caught:
        train(JobOptions(model=model, model_store=tmp_path, sample=True, min_accuracy=1, seed=1))
    assert caught.value.exit_code == 4
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == [".refused"]
    result = caught.value.result
    assert str(result.path) in str(caught.value)
    assert result.path.parent == tmp_path / ".refused"
    record = json.loads((result.path / "assets.extra" / "kedge.json").read_text())
    assert record["version"] is None
    assert "--min-accuracy asks for 1" in record["refused"]
    page = (result.path / "assets.extra" / "report.html").read_text()
    assert "Not published" in page
    assert record["refused"] in page
    assert set(loaded(result.path)) == set(model.signature_specs)


def test_network_that_diverged_is_refused_and_its_report_is_json(model: Model, tmp_path: Path) -> None:
    def nothing(hidden: tuple[int, ...]) -> Any:
        network = model.build(hidden)
        network.set_weights([np.full_like(weight, np.nan) for weight in network.get_weights()])
        return network

    with pytest.raises(RefusedError, match="the fit diverged") as caught:
        train(JobOptions(model=replace(model, build=nothing), model_store=tmp_path, sample=True))
    record = (caught.value.result.path / "assets.extra" / "kedge.json").read_text()
    assert json.loads(record, parse_constant=pytest.fail)["loss"] is None


def test_regression_is_measured_on_the_version_served_and_not_on_its_claim(
    model: Model, changed: Callable[..., Model], tmp_path: Path
) -> None:
    """The better version is labelled, says that it is bad, and is not the newest."""
    good = train(JobOptions(model=changed(epochs=30), model_store=tmp_path, sample=True))
    claim = good.path / "assets.extra" / "kedge.json"
    claim.write_text(json.dumps({**json.loads(claim.read_text()), "accuracy": 0.1}))
    poor = JobOptions(model=changed(epochs=1), model_store=tmp_path, sample=True)
    assert train(poor).accuracy < good.accuracy - 0.05
    assert train(replace(poor, max_regression=0.0)).version == 3, "held against version 2, the newest"
    (tmp_path / "models.config").write_text(
        'model_config_list { config { name: "points" version_labels { key: "stable" value: 1 } } }'
    )
    with pytest.raises(RefusedError, match=r"version 1, which is served now.*allows 0\.05 less"):
        train(replace(poor, max_regression=0.05))
    assert train(replace(poor, max_regression=0.9)).version == 4


def test_served_version_that_cannot_be_evaluated_is_told(model: Model, tmp_path: Path) -> None:
    (tmp_path / "points" / "1").mkdir(parents=True)
    with pytest.raises(StoreError, match=r"version 1 of points, which is served now, cannot be evaluated"):
        train(JobOptions(model=model, model_store=tmp_path, sample=True, max_regression=0.1))


def test_first_version_has_nothing_to_regress_from(model: Model, tmp_path: Path) -> None:
    assert train(JobOptions(model=model, model_store=tmp_path, sample=True, max_regression=0.0)).version == 1


def test_version_that_does_not_answer_as_it_was_trained_is_refused(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights in memory are no longer those that were written."""
    real = export.export

    def spoiled(model: Model, network: Any, vocabulary: Any, directory: Path) -> Any:
        entries = real(model, network, vocabulary, directory)
        network.set_weights([weight * 2 for weight in network.get_weights()])
        return entries

    monkeypatch.setattr(export, "export", spoiled)
    with pytest.raises(RefusedError, match="does not answer as the network"):
        train(JobOptions(model=model, model_store=tmp_path, sample=True))
    assert not (tmp_path / "points").exists()


def test_keep_removes_older_versions_once_the_new_one_is_published(model: Model, tmp_path: Path) -> None:
    options = JobOptions(model=model, model_store=tmp_path, sample=True)
    train(options)
    train(options)
    assert train(replace(options, keep=2)).version == 3
    assert sorted(path.name for path in (tmp_path / "points").iterdir()) == ["2", "3"]


def test_missing_data_leave_the_store_as_it_was(
    model: Model, tmp_path: Path, listing: Callable[[Path], list[str]]
) -> None:
    store = tmp_path / "store"
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "points.npz").write_bytes(b"damaged")
    with pytest.raises(DataError):
        train(JobOptions(model=model, model_store=store, data_dir=tmp_path / "data"))
    assert not store.exists()


def test_store_that_cannot_be_written_is_told_before_any_work(model: Model, tmp_path: Path) -> None:
    def fail(_: Any) -> Any:
        raise AssertionError("the data were loaded")

    (tmp_path / "store").touch()
    unread = replace(model, dataset=replace(model.dataset, sample=fail))
    with pytest.raises(StoreError, match="cannot be written"):
        train(JobOptions(model=unread, model_store=tmp_path / "store", sample=True))


@pytest.mark.parametrize(
    ("place", "function", "error"),
    [
        (
            export,
            "export",
            tf.errors.ResourceExhaustedError(
                None, None, "{{function_node __wrapped__SaveV2}} No space left on device [Op:SaveV2]"
            ),
        ),
        (warm_up, "write", tf.errors.ResourceExhaustedError(None, None, "No space left on device")),
        (figures, "draw", OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))),
    ],
)
def test_full_disk_is_one_line_and_leaves_nothing(  # noqa: PLR0917 (a table)
    model: Model,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    listing: Callable[[Path], list[str]],
    place: Any,
    function: str,
    error: Exception,
) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(place, function, fail)
    with pytest.raises(StoreError, match="No space left on device") as caught:
        train(JobOptions(model=model, model_store=tmp_path, sample=True))
    assert not set("\n{[") & set(str(caught.value))
    assert listing(tmp_path) == []


def test_figures_are_pictures_of_their_own_measure(model: Model, tmp_path: Path) -> None:
    result = train(JobOptions(model=model, model_store=tmp_path, sample=True))
    pictures = [Image.open(result.path / "assets.extra" / f"{name}.png") for name in ("loss", "accuracy")]
    assert all(picture.size == (1008, 648) for picture in pictures)
    assert len({picture.tobytes() for picture in pictures}) == 2


def test_evaluation_on_nothing_is_a_data_error(model: Model) -> None:
    test = model.dataset.sample(0).test
    none = replace(test, inputs=test.inputs[:0], labels=test.labels[:0])
    with pytest.raises(DataError, match="test split is empty"):
        evaluate(model, model.build((2,)), none, None)
