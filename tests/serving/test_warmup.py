import shutil

import numpy as np
import pytest

from serving import loading, warmup
from serving.options import ServerOptions
from serving.session import tensorflow
from tests.serving import saved_models
from wire.errors import Code, StatusError


@pytest.fixture
def version(half_plus_two, tmp_path):
    """A copy of half_plus_two whose warm-up file a test may write."""
    path = tmp_path / "m" / "1"
    shutil.copytree(half_plus_two, path)
    (path / "assets.extra").mkdir()
    return path


def write(version, *records):
    tf = tensorflow()
    with tf.io.TFRecordWriter(str(version / warmup.WARMUP_FILE)) as writer:
        for record in records:
            writer.write(record if isinstance(record, bytes) else record.SerializeToString())


def log(kind, signature="", **fields):
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    message = PredictionLog()
    request = getattr(message, kind).request
    request.model_spec.name = "another"
    request.model_spec.signature_name = signature
    return message, request


def predict(*values, dtype=np.float32, alias="x", signature=""):
    message, request = log("predict_log", signature)
    request.inputs[alias].CopyFrom(tensorflow().make_tensor_proto(np.array(values, dtype)))
    return message


def example_log(kind, signature, *, with_context=False):
    message, request = log(kind, signature)
    tf = tensorflow()
    feature = tf.train.Feature(float_list=tf.train.FloatList(value=[1.0]))
    example = tf.train.Example(features=tf.train.Features(feature={"x": feature}))
    if with_context:
        request.input.example_list_with_context.context.CopyFrom(example)
        request.input.example_list_with_context.examples.add()
    else:
        request.input.example_list.examples.append(example)
    return message


class Recorder:
    """Stands in for a servable and notes the signatures that are run."""

    def __init__(self, servable):
        self._servable = servable
        self.ran = []

    def run(self, signature, inputs, outputs=()):
        self.ran.append(signature)
        return self._servable.run(signature, inputs, outputs)


@pytest.fixture
def recorder(half_plus_two_servable):
    return Recorder(half_plus_two_servable)


def refusal(recorder, version):
    with pytest.raises(StatusError) as caught:
        warmup.replay(recorder, version)
    return caught.value.code, caught.value.message


def test_replay_without_a_file_is_none(recorder, version):
    assert warmup.replay(recorder, version) == 0


def test_replay_runs_every_kind_in_order(recorder, version):
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    multi = PredictionLog()
    request = multi.multi_inference_log.request
    request.tasks.add().model_spec.signature_name = "regress_x_to_y"
    request.tasks.add().model_spec.signature_name = "classify_x_to_y"
    one = example_log("classify_log", "classify_x_to_y")
    request.input.CopyFrom(one.classify_log.request.input)
    write(
        version,
        predict(1, 2),
        one,
        example_log("regress_log", "regress_x_to_y", with_context=True),
        multi,
        PredictionLog(),
    )

    assert warmup.replay(recorder, version, iterations=0) == 5
    assert recorder.ran == ["", "classify_x_to_y", "regress_x_to_y", "regress_x_to_y", "classify_x_to_y"]


def test_replay_repeats_each_record(recorder, version):
    write(version, predict(1), predict(2))

    assert warmup.replay(recorder, version, iterations=3) == 2
    assert len(recorder.ran) == 6


@pytest.mark.parametrize(
    ("records", "code", "message"),
    [
        (lambda: [b"\xff\xff"], Code.INVALID_ARGUMENT, "Failed to parse warmup record: number 1"),
        (lambda: [log("session_run_log")[0]], Code.UNIMPLEMENTED, "Unsupported log_type for warmup: 5"),
        (lambda: [predict(1), predict(1, dtype=np.int32)], Code.INVALID_ARGUMENT, "(warm-up record 2)"),
        (lambda: [predict(1, signature="none")], Code.FAILED_PRECONDITION, 'signature key "none" not found'),
        (lambda: [log("classify_log", "classify_x_to_y")[0]], Code.INVALID_ARGUMENT, "Input is empty."),
    ],
)
def test_replay_record_that_cannot_be_run_fails(recorder, version, records, code, message):
    write(version, *records())

    found = refusal(recorder, version)

    assert found[0] == code
    assert message in found[1]


def test_replay_file_that_is_no_tfrecord_is_data_loss(recorder, version):
    (version / warmup.WARMUP_FILE).write_bytes(b"this is no TFRecord file at all")

    code, message = refusal(recorder, version)

    assert code == Code.DATA_LOSS
    assert message.endswith("Please verify your warmup data is in TFRecord format.")


def test_replay_too_many_records_fails_after_the_first_too_many(recorder, version, monkeypatch):
    monkeypatch.setattr(warmup, "MAX_RECORDS", 2)
    write(version, *[predict(1)] * 4)

    assert refusal(recorder, version) == (
        Code.INVALID_ARGUMENT,
        f"Number of warmup records exceeds the maximum (2) at {warmup.WARMUP_FILE}",
    )
    assert len(recorder.ran) == 3


class Warmups:
    def __init__(self):
        self.told = []
        self.runs = []

    def ran(self, model, api, seconds):
        self.runs.append((model, api))

    def warmed_up(self, path, records, seconds, error):
        self.told.append((path, records, error))


def test_load_warms_up_and_tells_the_observer(version):
    write(version, predict(1))
    observer = Warmups()

    loading.loader(ServerOptions(), observer)(version).close()

    assert observer.told == [(version, 1, None)]
    assert observer.runs == [("another", "Predict")]


def test_load_with_a_failing_warmup_fails(version):
    write(version, predict(1, alias="z"))

    with pytest.raises(StatusError, match="not found in request"):
        loading.loader(ServerOptions())(version)


def test_load_with_warmup_off_does_not_read_the_file(version):
    write(version, b"\xff\xff")

    loading.loader(ServerOptions(enable_model_warmup=False))(version).close()


@pytest.mark.parametrize(
    ("text", "expected"),
    [(None, None), ("max_batch_size { value: 4 }", 4)],
)
def test_load_reads_the_versions_own_batching(version, text, expected):
    if text is not None:
        (version / loading.BATCHING_FILE).write_text(text)
    options = ServerOptions(enable_batching=True, enable_per_model_batching_parameters=True)

    servable = loading.loader(options)(version)
    servable.close()

    assert (servable.batching and servable.batching.max_batch_size) == expected


def test_load_with_broken_batching_fails(version):
    (version / loading.BATCHING_FILE).write_text("max_batch_size: 4")
    options = ServerOptions(enable_batching=True, enable_per_model_batching_parameters=True)

    with pytest.raises(StatusError, match="Invalid protobuf file"):
        loading.loader(options)(version)


def test_loader_takes_session_configuration_and_tags(version, tmp_path):
    config = tmp_path / "session"
    config.write_text("allow_soft_placement: true")
    options = ServerOptions(
        tensorflow_session_config_file=str(config), tensorflow_session_parallelism=1, saved_model_tags="gpu"
    )

    with pytest.raises(StatusError, match="tags 'gpu'"):
        loading.loader(options)(version)


@pytest.mark.parametrize("text", [None, "no_such_field: 1"])
def test_loader_refuses_a_session_configuration_it_cannot_read(tmp_path, text):
    config = tmp_path / "session"
    if text is not None:
        config.write_text(text)

    with pytest.raises(StatusError):
        loading.loader(ServerOptions(tensorflow_session_config_file=str(config)))


def test_load_broken_model_fails(tmp_path):
    with pytest.raises(StatusError):
        loading.loader(ServerOptions())(saved_models.broken(tmp_path / "1"))
