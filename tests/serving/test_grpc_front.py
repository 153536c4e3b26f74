"""The gRPC transport, asked with wire's messages."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from google.protobuf import text_format
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from tests.serving import saved_models
from tests.serving.servers import MODEL, PREDICTION, Endpoint, Question, make_store, serving
from wire import messages
from wire.errors import Code, StatusError
from wire.tensors import to_array

pytestmark = pytest.mark.asyncio(loop_scope="module")

HEALTH = "grpc.health.v1.Health"
REFLECTION = "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
EXAMPLES = """input { example_list {
  examples { features { feature { key: "x" value { float_list { value: 1 } } } } }
  examples { features { feature { key: "x" value { float_list { value: 2 } } } } } } }"""
NAME = 'name: "half_plus_two"'


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def endpoint(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Endpoint]:
    store = make_store(tmp_path_factory.mktemp("store"))
    async with serving(
        f"--model_config_file={store}/models.config", "--enable_grpc_healthcheck_service"
    ) as running:
        # The server is up as soon as one of the versions is; the rows ask for both.
        async with asyncio.timeout(60):
            while (
                b'"AVAILABLE"' not in (await running.rest("GET", "/v1/models/half_plus_two/versions/2")).body
            ):
                pass
        yield running


def _message(kind: Callable[[], Any], text: str) -> Any:
    return text_format.Parse(text, kind())


async def _predict(endpoint: Endpoint, question: Question, **options: Any) -> messages.PredictResponse:
    answer: messages.PredictResponse = await endpoint.call(
        f"{PREDICTION}/Predict", question.request(**options), messages.PredictResponse
    )
    return answer


@pytest.mark.parametrize(
    "question", [Question(), Question(version=2), Question(signature="serving_default")], ids=repr
)
async def test_predict_answers_with_the_resolved_version_and_signature(
    endpoint: Endpoint, question: Question
) -> None:
    spec = (await _predict(endpoint, question)).model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("half_plus_two", 2, "serving_default")


async def test_predict_by_label_answers_with_the_number_and_without_the_label(endpoint: Endpoint) -> None:
    spec = (await _predict(endpoint, Question(label="stable"))).model_spec
    assert spec.version.value == 1
    assert spec.WhichOneof("version_choice") == "version"


async def test_predict_outputs_are_in_the_typed_field(endpoint: Endpoint) -> None:
    output = (await _predict(endpoint, Question())).outputs["y"]
    assert list(output.float_val) == [2.5, 3.0, 4.5]
    assert not output.tensor_content


async def test_predict_outputs_with_the_flag_are_in_tensor_content(tmp_path: Path) -> None:
    saved_models.half_plus_two(tmp_path / "1")
    async with serving(
        f"--model_base_path={tmp_path}", "--enable_serialization_as_tensor_content"
    ) as content:
        output = (await _predict(content, Question("default"))).outputs["y"]
        assert output.tensor_content == np.array([2.5, 3.0, 4.5], "<f4").tobytes()
        rest = await content.predict("rest", Question("default"))
        assert rest == {"y": [2.5, 3.0, 4.5]}, "the flag must not reach REST"


async def test_predict_output_filter_limits_the_answer(endpoint: Endpoint) -> None:
    question = Question("two", {"a": np.ones((1, 2), np.float32), "b": np.ones(1, np.int64)})
    answer = await _predict(endpoint, question, output_filter=["count"])
    assert {alias: to_array(proto).tolist() for alias, proto in answer.outputs.items()} == {"count": [2]}


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        (["nope"], "output tensor alias not found in signature: nope"),
        (["y", "y"], "duplicate output tensor alias: y"),
    ],
)
async def test_predict_impossible_output_filter_is_refused(
    endpoint: Endpoint, outputs: list[str], words: str
) -> None:
    with pytest.raises(StatusError, match=words) as refusal:
        await _predict(endpoint, Question(), output_filter=outputs)
    assert refusal.value.code == Code.INVALID_ARGUMENT


async def test_predict_tensor_that_does_not_parse_is_named(endpoint: Endpoint) -> None:
    request = Question().request()
    request.inputs["x"].tensor_content = b"abc"
    with pytest.raises(StatusError, match="tensor parsing error: x") as refusal:
        await endpoint.call(f"{PREDICTION}/Predict", request, messages.PredictResponse)
    assert refusal.value.code == Code.INVALID_ARGUMENT


@pytest.mark.parametrize(
    "method",
    [
        *(f"{PREDICTION}/{name}" for name in ("Predict", "Classify", "Regress", "GetModelMetadata")),
        f"{MODEL}/GetModelStatus",
    ],
)
async def test_request_without_model_spec_is_refused(endpoint: Endpoint, method: str) -> None:
    with pytest.raises(StatusError, match=r"^Missing ModelSpec") as refusal:
        await endpoint.call(method, b"", messages.PredictResponse)
    assert refusal.value.code == Code.INVALID_ARGUMENT


async def test_bytes_that_are_no_message_are_refused_and_the_server_goes_on(endpoint: Endpoint) -> None:
    with pytest.raises(StatusError) as refusal:
        await endpoint.call(f"{PREDICTION}/Predict", b"\xff\xff\xff", messages.PredictResponse)
    assert refusal.value.code == Code.INTERNAL
    assert (await _predict(endpoint, Question())).outputs


async def test_message_of_several_mebibytes_passes_both_ways(endpoint: Endpoint) -> None:
    answer = await _predict(endpoint, Question(inputs={"x": np.zeros(2_000_000, np.float32)}))
    assert answer.outputs["y"].tensor_shape.dim[0].size == 2_000_000


async def test_deadline_ends_a_run_without_end(endpoint: Endpoint) -> None:
    endless = Question("peculiar", {"x": np.array([np.inf], np.float32)}, signature="endless")
    with pytest.raises(StatusError) as refusal:
        await endpoint.call(f"{PREDICTION}/Predict", endless.request(), messages.PredictResponse, seconds=0.3)
    assert refusal.value.code == Code.DEADLINE_EXCEEDED
    assert (await _predict(endpoint, Question())).outputs


async def test_classify_answers_labels_and_scores(endpoint: Endpoint) -> None:
    text = f'model_spec {{ {NAME} signature_name: "classify_x_to_y" }} {EXAMPLES}'
    request = _message(messages.ClassificationRequest, text)
    answer = await endpoint.call(f"{PREDICTION}/Classify", request, messages.ClassificationResponse)
    given = [[(one.label, one.score) for one in each.classes] for each in answer.result.classifications]
    assert given == [[("0", 2.5)], [("0", 3.0)]]
    assert answer.model_spec.signature_name == "classify_x_to_y"


async def test_regress_answers_a_value_for_each_example(endpoint: Endpoint) -> None:
    text = f'model_spec {{ {NAME} signature_name: "regress_x_to_y" version {{ value: 1 }} }} {EXAMPLES}'
    request = _message(messages.RegressionRequest, text)
    answer = await endpoint.call(f"{PREDICTION}/Regress", request, messages.RegressionResponse)
    assert [each.value for each in answer.result.regressions] == [2.5, 3.0]
    assert answer.model_spec.version.value == 1


@pytest.mark.parametrize(
    ("signature", "given", "words"),
    [
        ("nope", EXAMPLES, "No signature was found with the name: nope"),
        ("serving_default", EXAMPLES, "No classification inputs found in SignatureDef: "),
        ("regress_x_to_y", EXAMPLES, "Expected classification signature outputs to contain at least one of"),
        ("classify_x_to_y", "", "Input is empty."),
    ],
)
async def test_classify_that_does_not_fit_is_refused(
    endpoint: Endpoint, signature: str, given: str, words: str
) -> None:
    text = f'model_spec {{ {NAME} signature_name: "{signature}" }} {given}'
    with pytest.raises(StatusError, match=words) as refusal:
        await endpoint.call(
            f"{PREDICTION}/Classify",
            _message(messages.ClassificationRequest, text),
            messages.ClassificationResponse,
        )
    assert refusal.value.code == Code.INVALID_ARGUMENT


def _task(name: str, signature: str, method: str) -> str:
    spec = f'model_spec {{ name: "{name}" signature_name: "{signature}" }}'
    return f'tasks {{ {spec} method_name: "tensorflow/serving/{method}" }}'


REGRESS = _task("half_plus_two", "regress_x_to_y", "regress")
CLASSIFY = _task("half_plus_two", "classify_x_to_y", "classify")


async def test_multi_inference_answers_in_the_order_of_the_tasks(endpoint: Endpoint) -> None:
    request = _message(messages.MultiInferenceRequest, f"{REGRESS} {CLASSIFY} {EXAMPLES}")
    answer = await endpoint.call(f"{PREDICTION}/MultiInference", request, messages.MultiInferenceResponse)
    kinds = [each.WhichOneof("result") for each in answer.results]
    assert kinds == ["regression_result", "classification_result"]
    assert [each.model_spec.version.value for each in answer.results] == [2, 2]


@pytest.mark.parametrize(
    ("tasks", "code", "words"),
    [
        ("", Code.INVALID_ARGUMENT, "ModelSpec has no name specified."),
        (f"{REGRESS} {_task('', 's', 'regress')}", Code.INVALID_ARGUMENT, "with an empty model name"),
        (f"{REGRESS} {_task('two', 's', 'regress')}", Code.INVALID_ARGUMENT, "must access the same model"),
        (REGRESS * 2, Code.INVALID_ARGUMENT, "Duplicate evaluation of signature: regress_x_to_y"),
        (
            _task("half_plus_two", "nope", "regress"),
            Code.INVALID_ARGUMENT,
            "Requested signature not found in model graph: nope",
        ),
        (
            _task("half_plus_two", "serving_default", "predict"),
            Code.UNIMPLEMENTED,
            "Unsupported signature method_name: tensorflow/serving/predict",
        ),
    ],
)
async def test_multi_inference_with_impossible_tasks_is_refused(
    endpoint: Endpoint, tasks: str, code: Code, words: str
) -> None:
    request = _message(messages.MultiInferenceRequest, f"{tasks} {EXAMPLES}")
    with pytest.raises(StatusError, match=words) as refusal:
        await endpoint.call(f"{PREDICTION}/MultiInference", request, messages.MultiInferenceResponse)
    assert refusal.value.code == code


async def test_metadata_has_all_signatures_and_names_none(endpoint: Endpoint) -> None:
    text = f'model_spec {{ {NAME} version_label: "stable" }} metadata_field: "signature_def"'
    request = _message(messages.GetModelMetadataRequest, text)
    answer = await endpoint.call(f"{PREDICTION}/GetModelMetadata", request, messages.GetModelMetadataResponse)
    signatures = messages.SignatureDefMap()
    assert answer.metadata["signature_def"].Unpack(signatures)
    assert set(signatures.signature_def) >= {"serving_default", "regress_x_to_y", "classify_x_to_y"}
    assert (answer.model_spec.version.value, answer.model_spec.signature_name) == (1, "")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ("", "must specify at least one metadata_field"),
        ('metadata_field: "nope"', "Metadata field nope is not supported"),
    ],
)
async def test_metadata_fields_are_checked_before_the_model(
    endpoint: Endpoint, fields: str, words: str
) -> None:
    request = _message(messages.GetModelMetadataRequest, f'model_spec {{ name: "nope" }} {fields}')
    with pytest.raises(StatusError, match=words):
        await endpoint.call(f"{PREDICTION}/GetModelMetadata", request, messages.GetModelMetadataResponse)


@pytest.mark.parametrize(
    ("spec", "versions"),
    [(NAME, [2, 1]), (f"{NAME} version {{ value: 1 }}", [1]), (f'{NAME} version_label: "nope"', [2, 1])],
)
async def test_status_lists_versions_newest_first_and_ignores_labels(
    endpoint: Endpoint, spec: str, versions: list[int]
) -> None:
    request = _message(messages.GetModelStatusRequest, f"model_spec {{ {spec} }}")
    answer = await endpoint.call(f"{MODEL}/GetModelStatus", request, messages.GetModelStatusResponse)
    assert [(each.version, each.state) for each in answer.model_version_status] == [
        (version, 30) for version in versions
    ]


async def test_status_of_an_unknown_model_is_not_found(endpoint: Endpoint) -> None:
    request = _message(messages.GetModelStatusRequest, 'model_spec { name: "nope" }')
    with pytest.raises(StatusError, match="Could not find any versions of model nope") as refusal:
        await endpoint.call(f"{MODEL}/GetModelStatus", request, messages.GetModelStatusResponse)
    assert refusal.value.code == Code.NOT_FOUND


async def test_reload_serves_the_new_list_and_tells_the_metrics_increase(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    text = f"""config {{ model_config_list {{ config {{
        name: "new" base_path: "{store}/half_plus_two" model_platform: "tensorflow" }} }} }}
        metric_names: "/tensorflow/serving/request_count" metric_names: "nope" metric_names: "nope" """
    async with serving(f"--model_config_file={store}/models.config") as endpoint:
        request = _message(messages.ReloadConfigRequest, text)
        answer = await endpoint.call(
            f"{MODEL}/HandleReloadConfigRequest", request, messages.ReloadConfigResponse
        )
        assert [(each.name, each.int64_value_increase) for each in answer.metric] == [
            ("/tensorflow/serving/request_count", 0),
            ("nope", 0),
        ]
        assert (await _predict(endpoint, Question("new"))).model_spec.name == "new"
        with pytest.raises(StatusError) as refusal:
            await _predict(endpoint, Question())
        assert refusal.value.code == Code.NOT_FOUND


async def test_reload_without_a_list_is_refused(endpoint: Endpoint) -> None:
    with pytest.raises(StatusError, match="Only ModelConfigList is currently supported") as refusal:
        await endpoint.call(f"{MODEL}/HandleReloadConfigRequest", b"", messages.ReloadConfigResponse)
    assert refusal.value.code == Code.INVALID_ARGUMENT


async def _health(endpoint: Endpoint, service: str) -> Any:
    request = health_pb2.HealthCheckRequest(service=service)
    answer = await endpoint.call(f"{HEALTH}/Check", request, health_pb2.HealthCheckResponse)
    return answer.status


@pytest.mark.parametrize("name", ["", "half_plus_two", "two", "ModelService", "PredictionService"])
async def test_health_of_the_server_its_models_and_services_is_serving(endpoint: Endpoint, name: str) -> None:
    assert await _health(endpoint, name) == health_pb2.HealthCheckResponse.SERVING


async def test_health_of_an_unknown_name_is_not_found(endpoint: Endpoint) -> None:
    with pytest.raises(StatusError) as refusal:
        await _health(endpoint, PREDICTION)
    assert refusal.value.code == Code.NOT_FOUND


async def test_health_follows_the_models(tmp_path: Path) -> None:
    watch = "/grpc.health.v1.Health/Watch"
    saved_models.broken(tmp_path / "m" / "1")
    async with serving(
        f"--model_base_path={tmp_path}/m", "--model_name=m", "--max_num_load_retries=0"
    ) as endpoint:
        assert await _health(endpoint, "") == health_pb2.HealthCheckResponse.NOT_SERVING
        request = health_pb2.HealthCheckRequest(service="m").SerializeToString()
        stream = endpoint.channel.unary_stream(watch)(request, timeout=20)
        saved_models.half_plus_two(tmp_path / ".2").rename(tmp_path / "m" / "2")
        seen = []
        async for answer in stream:
            seen.append(health_pb2.HealthCheckResponse.FromString(answer).status)
            if seen[-1] == health_pb2.HealthCheckResponse.SERVING:
                break
        assert seen == [health_pb2.HealthCheckResponse.NOT_SERVING, health_pb2.HealthCheckResponse.SERVING]
        stream.cancel()


async def test_reflection_lists_the_services(endpoint: Endpoint) -> None:
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    stream = endpoint.channel.stream_stream(f"/{REFLECTION}")(timeout=20)
    await stream.write(request.SerializeToString())
    await stream.done_writing()
    answer = reflection_pb2.ServerReflectionResponse.FromString(await stream.read())
    assert {PREDICTION, MODEL, HEALTH} <= {each.name for each in answer.list_services_response.service}


async def test_client_that_goes_away_is_not_worked_for_any_longer(endpoint: Endpoint) -> None:
    endless = Question("peculiar", {"x": np.array([np.inf], np.float32)}, signature="endless")
    cancelled = 'kedge_request_seconds_count{transport="grpc",api="Predict",model="peculiar"'
    cancelled += ',version="1",signature="endless",code="CANCELLED"} '
    before = await endpoint.sample(cancelled)
    call = endpoint.channel.unary_unary(f"/{PREDICTION}/Predict")(
        endless.request().SerializeToString(), timeout=1
    )
    await endpoint.until_sample('kedge_requests_in_flight{transport="grpc"} ', 1)
    call.cancel()
    await endpoint.until_sample(cancelled, before + 1)
    assert await endpoint.sample('kedge_requests_in_flight{transport="grpc"} ') == 0
