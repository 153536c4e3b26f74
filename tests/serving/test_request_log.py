"""The request log: what is in its files, that they are bounded, and that they can be replayed as warm-up."""

import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from serving.config_files import ModelConfig, RequestLogging
from serving.inference import Call, ModelSpec
from serving.record_files import FileLimits, RecordFiles
from serving.request_log import MAX_WAITING, RequestLog
from serving.session import tensorflow
from serving.warmup import MAX_RECORDS, WARMUP_FILE
from tests.serving.servers import MODEL, PREDICTION, Question, serving
from wire import messages
from wire.errors import Code, StatusError
from wire.tensors import to_array

X = {"x": np.array([1, 2], np.float32)}
Y = {"y": np.array([2.5, 3], np.float32)}


def _files(prefix: Path) -> list[Path]:
    return sorted(prefix.parent.glob(f"{prefix.name}-*.tfrecord"))


def _records(prefix: Path) -> list[Any]:
    paths = [str(path) for path in _files(prefix)]
    dataset = tensorflow().data.TFRecordDataset(paths)
    return [PredictionLog.FromString(record) for record in dataset.as_numpy_iterator()]


def _config(store: Path, prefix: Path, rate: float = 1.0) -> str:
    return f"""model_config_list {{ config {{
      name: "half_plus_two" base_path: "{store / "half_plus_two"}" model_platform: "tensorflow"
      version_labels {{ key: "stable" value: 1 }}
      logging_config {{
        log_collector_config {{ type: "file" filename_prefix: "{prefix}" }}
        sampling_config {{ sampling_rate: {rate} }}
      }}
    }} }}"""


@pytest.fixture
def store(half_plus_two: Path, tmp_path: Path) -> Path:
    """A model store of the test's own with half_plus_two."""
    shutil.copytree(half_plus_two, tmp_path / "store" / "half_plus_two" / "1")
    return tmp_path / "store"


@pytest.mark.parametrize("transport", ["grpc", "rest"])
async def test_predict_is_logged_with_answer_version_and_sampling(
    store: Path, tmp_path: Path, transport: str
) -> None:
    prefix, file = tmp_path / "log" / "requests", tmp_path / "models.config"
    file.write_text(_config(store, prefix))
    async with serving(f"--model_config_file={file}") as endpoint:
        await endpoint.predict(transport, Question(inputs=X, label="stable"))
        with pytest.raises(StatusError):
            await endpoint.predict(transport, Question(inputs={"z": X["x"]}))
        logged = ':tensorflow:serving:request_log_count{model_name="half_plus_two",status_code="OK"} '
        await endpoint.until_sample(logged, 1)
    [record] = _records(prefix)
    metadata, entry = record.log_metadata, record.predict_log
    assert (metadata.model_spec.version.value, metadata.model_spec.signature_name) == (1, "serving_default")
    assert metadata.sampling_config.sampling_rate == 1
    assert list(metadata.saved_model_tags) == ["serve"]
    assert metadata.timestamp_secs > 1_700_000_000
    assert (entry.request.model_spec.name, entry.request.model_spec.version_label) == (
        "half_plus_two",
        "stable",
    )
    assert to_array(entry.request.inputs["x"]).tolist() == [1, 2]
    assert entry.response.model_spec.version.value == 1
    assert to_array(entry.response.outputs["y"]).tolist() == [2.5, 3]
    assert _files(prefix)[0].stat().st_mode & 0o777 == 0o600


EXAMPLES = b'{"signature_name": "%s", "context": {"x": 1.5}, "examples": [{}, {"x": 2.5}]}'
MULTI = messages.MultiInferenceRequest()
for _method, _name in (("regress", "regress_x_to_y"), ("classify", "classify_x_to_y")):
    _task = MULTI.tasks.add(method_name=f"tensorflow/serving/{_method}")
    _task.model_spec.name, _task.model_spec.signature_name = "half_plus_two", _name
MULTI.input.example_list.examples.add().features.feature["x"].float_list.value.append(1)


async def test_log_of_every_kind_of_request_is_the_warm_up_of_a_new_version(
    store: Path, tmp_path: Path
) -> None:
    prefix = tmp_path / "requests"
    flags = (f"--request_log_prefix={prefix}", "--request_log_sampling_rate=1")
    async with serving(f"--model_store_root={store}", *flags) as endpoint:
        url = "/v1/models/half_plus_two"
        await endpoint.predict("grpc", Question(inputs=X))
        await endpoint.predict("rest", Question(inputs=X, signature="serving_default"))
        for kind in ("classify", "regress"):
            body = EXAMPLES % f"{kind}_x_to_y".encode()
            assert (await endpoint.rest("POST", f"{url}:{kind}", body)).status == 200
        await endpoint.call(f"{PREDICTION}/MultiInference", MULTI, messages.MultiInferenceResponse)
        logged = ':tensorflow:serving:request_log_count{model_name="half_plus_two",status_code="OK"} '
        await endpoint.until_sample(logged, 5)

        new = tmp_path / "new"
        shutil.copytree(store / "half_plus_two" / "1", new)
        (new / WARMUP_FILE.parent).mkdir()
        [file] = _files(prefix)
        shutil.copy(file, new / WARMUP_FILE)
        new.rename(store / "half_plus_two" / "2")
        await endpoint.until_sample('kedge_model_version_state{model="half_plus_two",version="2"} ', 30)
        read = ":tensorflow:serving:model_warmup_records_read"
        path = store / "half_plus_two" / "2"
        assert await endpoint.sample(f'{read}{{model_path="{path}",status="OK"}} ') == 5
    kinds = [record.WhichOneof("log_type") for record in _records(prefix)]
    assert kinds == ["predict_log", "predict_log", "classify_log", "regress_log", "multi_inference_log"]


async def test_reload_by_request_logs_only_where_the_servers_own_configuration_does(
    store: Path, tmp_path: Path
) -> None:
    from google.protobuf import text_format
    from tensorflow_serving.apis.model_management_pb2 import ReloadConfigRequest, ReloadConfigResponse

    flags = (f"--request_log_prefix={tmp_path / 'log' / 'r'}", "--request_log_sampling_rate=0")
    async with serving(f"--model_store_root={store}", *flags) as endpoint:

        async def reload(prefix: Path) -> None:
            request = ReloadConfigRequest()
            text_format.Parse(_config(store, prefix), request.config)
            await endpoint.call(f"{MODEL}/HandleReloadConfigRequest", request, ReloadConfigResponse)

        for elsewhere in (tmp_path / "other" / "r", tmp_path / "log" / ".." / "other" / "r"):
            with pytest.raises(StatusError, match="may log only to directories") as refusal:
                await reload(elsewhere)
            assert refusal.value.code == Code.INVALID_ARGUMENT
        await reload(tmp_path / "log" / "s")
        await endpoint.predict("grpc", Question(inputs=X))
        logged = ':tensorflow:serving:request_log_count{model_name="half_plus_two",status_code="OK"} '
        await endpoint.until_sample(logged, 1)
    assert len(_records(tmp_path / "log" / "s")) == 1


@pytest.fixture
def counts() -> Counter[tuple[str, Code]]:
    return Counter()


def _call(model: str = "m") -> Call:
    return Call(ModelSpec(model), version=1, signature_name="serving_default", transport="grpc")


def _log(counts: Counter[tuple[str, Code]], prefix: Path, rate: float, **options: Any) -> RequestLog:
    def count(model: str, code: Code) -> None:
        counts[model, code] += 1

    log = RequestLog(count, default=RequestLogging(str(prefix), rate), **options)
    log.configure([ModelConfig("m", Path("/m"))])
    return log


def test_share_of_the_requests_is_logged(tmp_path: Path, counts: Counter[tuple[str, Code]]) -> None:
    chances: Iterator[float] = iter([0.2, 0.5, 0.3, 0.9])
    log = _log(counts, tmp_path / "r", 0.4, chance=lambda: next(chances))
    for number in range(4):
        log.predicted(_call(), {"x": np.array([number])}, (), Y)
    log.close(20)
    logged = [
        to_array(record.predict_log.request.inputs["x"]).tolist() for record in _records(tmp_path / "r")
    ]
    assert logged == [[0], [2]]


def test_models_own_configuration_goes_before_the_default(
    tmp_path: Path, counts: Counter[tuple[str, Code]]
) -> None:
    log = _log(counts, tmp_path / "r", 1)
    log.configure(
        [
            ModelConfig("m", Path("/m"), logging=RequestLogging(str(tmp_path / "own"), 1)),
            ModelConfig("silent", Path("/s"), logging=RequestLogging(str(tmp_path / "own"), 0)),
            ModelConfig("other", Path("/o")),
        ]
    )
    for name in ("m", "silent", "other", "unknown"):
        log.predicted(_call(name), X, (), Y)
    log.close(20)
    assert sorted(path.name.split("-")[:2] for path in tmp_path.iterdir()) == [["own", "m"], ["r", "other"]]


def test_what_the_log_cannot_take_is_dropped_at_once_and_counted(
    tmp_path: Path, counts: Counter[tuple[str, Code]], monkeypatch: pytest.MonkeyPatch
) -> None:
    going_on, begun = threading.Event(), threading.Event()

    def write(*_: object) -> None:
        begun.set()
        assert going_on.wait(20)

    monkeypatch.setattr(RecordFiles, "write", write)
    log = _log(counts, tmp_path / "r", 1)
    log.predicted(_call(), X, (), Y)
    assert begun.wait(20)
    for _ in range(MAX_WAITING + 3):
        log.predicted(_call(), X, (), Y)
    assert counts == {("m", Code.RESOURCE_EXHAUSTED): 3}
    going_on.set()
    log.close(20)
    assert counts["m", Code.OK] == MAX_WAITING + 1


def test_bytes_that_wait_are_bounded_too(
    tmp_path: Path, counts: Counter[tuple[str, Code]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.request_log.MAX_WAITING_BYTES", 100)
    log = _log(counts, tmp_path / "r", 1)
    log.predicted(_call(), {"x": np.zeros(1000)}, (), Y)
    log.predicted(_call(), {"x": np.array([b"x" * 1000], object)}, (), Y)
    log.close(20)
    assert counts == {("m", Code.RESOURCE_EXHAUSTED): 2}


def test_log_that_cannot_be_written_is_told_and_counted(
    tmp_path: Path, counts: Counter[tuple[str, Code]], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    log = _log(counts, tmp_path / "file" / "r", 1)
    log.predicted(_call(), X, (), Y)
    log.close(20)
    assert counts == {("m", Code.INTERNAL): 1}
    assert "the request log cannot be written" in caplog.text


def test_full_file_is_followed_by_another_and_the_oldest_go(tmp_path: Path) -> None:
    files = RecordFiles(str(tmp_path / "r"), "m", FileLimits(file_bytes=100, files=3))
    strangers = [tmp_path / "r-m-more-20260101T000000.000000Z-1.tfrecord", tmp_path / "r-m-notes.txt"]
    for stranger in strangers:
        stranger.write_text("")
    for number in range(10):
        files.write(f"{number}".encode() * 90)
    files.close()
    assert all(stranger.exists() for stranger in strangers)
    kept = [path for path in sorted(tmp_path.iterdir()) if path not in strangers]
    dataset = tensorflow().data.TFRecordDataset([str(path) for path in kept])
    assert [record[:1] for record in dataset.as_numpy_iterator()] == [b"7", b"8", b"9"]


def test_file_has_no_more_records_than_a_warm_up_may(tmp_path: Path) -> None:
    files = RecordFiles(str(tmp_path / "r"), "m", FileLimits())
    for _ in range(MAX_RECORDS + 1):
        files.write(b"record")
    files.close()
    sizes = [
        sum(1 for _ in tensorflow().data.TFRecordDataset(str(path)).as_numpy_iterator())
        for path in sorted(tmp_path.iterdir())
    ]
    assert sizes == [MAX_RECORDS, 1]


def test_file_that_was_removed_is_followed_by_another(tmp_path: Path) -> None:
    files = RecordFiles(str(tmp_path / "r"), "m", FileLimits())
    files.write(b"lost")
    for path in tmp_path.iterdir():
        path.unlink()
    files.write(b"kept")
    files.close()
    [path] = tmp_path.iterdir()
    assert list(tensorflow().data.TFRecordDataset(str(path)).as_numpy_iterator()) == [b"kept"]


def test_models_name_cannot_lead_out_of_the_directory(tmp_path: Path) -> None:
    files = RecordFiles(str(tmp_path / "log" / "r"), "../../m", FileLimits())
    files.write(b"record")
    files.close()
    [path] = (tmp_path / "log").iterdir()
    assert path.name.startswith("r-..%2F..%2Fm-")
