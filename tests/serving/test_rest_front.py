"""The REST transport: URLs, bodies, headers, and our own routes."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from serving import rest_body, rest_urls
from serving.inference import ModelSpec
from tests.serving import saved_models
from tests.serving.servers import Endpoint, Question, RestAnswer, make_store, serving
from wire.errors import Code, StatusError

pytestmark = pytest.mark.asyncio(loop_scope="module")

HALF = "/v1/models/half_plus_two"
BODY = b'{"instances": [1.0, 2.0]}'
PREDICTIONS = {"predictions": [2.5, 3.0]}
METRICS = "/monitoring/prometheus/metrics"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def endpoint(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Endpoint]:
    store = make_store(tmp_path_factory.mktemp("store"))
    async with serving(f"--model_config_file={store}/models.config") as running:
        yield running


@pytest.mark.parametrize(
    ("method", "path", "action", "spec"),
    [
        ("POST", "/v1/models/m:predict", "predict", ModelSpec("m")),
        ("POST", "/V1/Models/m/VERSIONS/007:classify", "classify", ModelSpec("m", version=7)),
        ("POST", "/v1/models/m/labels/a%20b:regress", "regress", ModelSpec("m", label="a b")),
        ("POST", "/v1/models/a%2Fb+c:predict", "predict", ModelSpec("a/b+c")),
        ("GET", "/v1/models/m", "status", ModelSpec("m")),
        ("GET", "/v1/models/m?x=1", "status", ModelSpec("m?x=1")),
        ("GET", "/v1/models/m/versions/9223372036854775807", "status", ModelSpec("m", version=2**63 - 1)),
        ("GET", "/v1/models/m/METADATA", "status", ModelSpec("m")),
        ("GET", "/v1/models/m/labels/l/metadata", "metadata", ModelSpec("m", label="l")),
        ("GET", "/v1/models/metadata", "status", ModelSpec("metadata")),
        ("GET", "/v1/models", "list", ModelSpec("")),
    ],
)
async def test_url_of_the_api_is_found(method: str, path: str, action: str, spec: ModelSpec) -> None:
    assert rest_urls.route(method, path) == rest_urls.Route(action, spec)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models/m:predict"),
        ("POST", "/v1/models/m"),
        ("POST", "/v1/models/m/metadata"),
        ("POST", "/v1/models/m:PREDICT"),
        ("POST", "/v1/models/m:predict?x=1"),
        ("POST", "/v1/models/m:predict/"),
        ("POST", "/v1/models/m/versions/one:predict"),
        ("POST", "/v1/models/m/versions/1/labels/l:predict"),
        ("GET", "/v1/models/m/"),
        ("GET", "/v1/other"),
        ("PUT", "/v1/models/m:predict"),
    ],
)
async def test_url_that_matches_nothing_is_malformed(method: str, path: str) -> None:
    with pytest.raises(StatusError) as refusal:
        rest_urls.route(method, path)
    assert refusal.value.code == Code.INVALID_ARGUMENT
    assert refusal.value.message == f"Malformed request: {method} {path}"


@pytest.mark.parametrize("version", ["9223372036854775808", "9" * 5000])
async def test_version_over_64_bits_is_refused(version: str) -> None:
    with pytest.raises(StatusError, match=r"^Failed to convert version: 9+8? to numeric\.$"):
        rest_urls.route("GET", f"/v1/models/m/versions/{version}".replace("9223372036854775808", "9" * 19))


async def test_version_with_any_number_of_leading_zeros_is_read() -> None:
    assert rest_urls.route("GET", f"/v1/models/m/versions/{'0' * 5000}7").spec.version == 7


async def test_stray_path_outside_the_api_is_not_found_in_html(endpoint: Endpoint) -> None:
    answer = await endpoint.rest("GET", "/v1")
    assert (answer.status, answer.headers["Content-Type"]) == (404, "text/html")
    assert b"<H1>Not Found</H1>" in answer.body


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_other_verbs_are_malformed_in_json(endpoint: Endpoint, method: str) -> None:
    answer = await endpoint.rest(method, HALF)
    assert (answer.status, answer.headers["Content-Type"]) == (400, "application/json")
    assert answer.document == {"error": f"Malformed request: {method} {HALF}"}


async def test_answer_names_the_version_that_gave_it(endpoint: Endpoint) -> None:
    latest = await endpoint.rest("POST", f"{HALF}:predict", BODY)
    by_label = await endpoint.rest("POST", f"{HALF}/labels/stable:predict", BODY)
    assert (latest.document, by_label.document) == (PREDICTIONS, PREDICTIONS)
    versions = [answer.headers["X-Kedge-Model-Version"] for answer in (latest, by_label)]
    assert versions == ["2", "1"]


async def test_answer_without_a_version_names_none(endpoint: Endpoint) -> None:
    assert "X-Kedge-Model-Version" not in (await endpoint.rest("GET", HALF)).headers


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        (f"{HALF}:predict", b"", 400, "JSON Parse error: The document is empty"),
        ("/v1/models/nope:predict", b"{", 400, "JSON Parse error"),
        ("/v1/models/nope:predict", b"{}", 404, "Servable not found for request: Latest(nope)"),
        (f"{HALF}:predict", b"{}", 400, "Missing 'inputs' or 'instances' key"),
        (f"{HALF}:predict", b'{"signature_name": 1}', 400, "'signature_name' key must be a string value."),
        ("/v1/models/nope:classify", b'{"examples": []}', 400, "'examples' value is an empty array"),
        ("/v1/models/nope:regress", b'{"examples": [{}]}', 404, "Latest(nope)"),
    ],
)
async def test_first_fault_of_a_request_is_told(
    endpoint: Endpoint, path: str, body: bytes, status: int, words: str
) -> None:
    answer = await endpoint.rest("POST", path, body)
    assert answer.status == status
    assert words in answer.document["error"]


async def test_classify_and_regress_answer_under_results(endpoint: Endpoint) -> None:
    examples = b'"examples": [{"x": 1.0}, {"x": 2.0}]}'
    classes = await endpoint.rest(
        "POST", f"{HALF}:classify", b'{"signature_name": "classify_x_to_y", ' + examples
    )
    values = await endpoint.rest(
        "POST", f"{HALF}:regress", b'{"signature_name": "regress_x_to_y", ' + examples
    )
    assert classes.document == {"results": [[["0", 2.5]], [["0", 3.0]]]}
    assert values.document == {"results": [2.5, 3.0]}


async def test_metadata_doubles_signature_def(endpoint: Endpoint) -> None:
    document = (await endpoint.rest("GET", f"{HALF}/versions/1/metadata")).document
    assert document["model_spec"] == {"name": "half_plus_two", "signature_name": "", "version": "1"}
    assert "serving_default" in document["metadata"]["signature_def"]["signature_def"]


async def test_list_has_every_model_with_its_labels_and_states(endpoint: Endpoint) -> None:
    models = (await endpoint.rest("GET", "/v1/models")).document["models"]
    assert [each["name"] for each in models] == ["half_plus_two", "peculiar", "strings", "two"]
    assert models[0]["version_labels"] == {"stable": "1"}
    assert [(each["version"], each["state"]) for each in models[0]["model_version_status"]] == [
        ("2", "AVAILABLE"),
        ("1", "AVAILABLE"),
    ]


@pytest.mark.parametrize("encoding", ["gzip", "identity, gzip"])
async def test_gzip_body_is_inflated(endpoint: Endpoint, encoding: str) -> None:
    answer = await endpoint.rest("POST", f"{HALF}:predict", gzip.compress(BODY), Content_Encoding=encoding)
    assert answer.document == PREDICTIONS


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"no gzip", "does not inflate"),
        (gzip.compress(BODY)[:-9], "ends too early"),
        (gzip.compress(b" " * 5000 + BODY), "more than 4096 bytes when inflated"),
        (bytes(5000), "more than 4096 bytes when inflated"),
    ],
    ids=["not-gzip", "cut", "large-inside", "large-outside"],
)
async def test_gzip_body_that_cannot_be_taken_is_refused(tmp_path: Path, body: bytes, words: str) -> None:
    saved_models.half_plus_two(tmp_path / "1")
    async with serving(f"--model_base_path={tmp_path}", "--rest_api_max_inflated_bytes=4096") as small:
        answer = await small.rest("POST", "/v1/models/default:predict", body, Content_Encoding="gzip")
    assert answer.status == 400
    assert words in answer.document["error"]


@pytest.mark.parametrize(
    ("rows", "accepted", "encoding"),
    [(2, "gzip", None), (2000, "gzip, br", "gzip"), (2000, "", None), (2000, "gzip;q=0", None)],
)
async def test_large_answer_is_compressed_for_who_accepts_it(
    endpoint: Endpoint, rows: int, accepted: str, encoding: str | None
) -> None:
    body = json.dumps({"instances": [2.0] * rows}).encode()
    answer = await endpoint.rest("POST", f"{HALF}:predict", body, Accept_Encoding=accepted)
    assert answer.headers.get("Content-Encoding") == encoding
    text = gzip.decompress(answer.body) if encoding else answer.body
    assert json.loads(text) == {"predictions": [3.0] * rows}


async def test_large_gzip_bodies_leave_the_loop_alone() -> None:
    body = bytes(rest_body.OFF_LOOP_FROM)
    compressed = await rest_body.compressed(body, {"accept-encoding": "gzip"})
    assert compressed is not None
    assert gzip.decompress(compressed) == body


@pytest.mark.parametrize(("origin", "status"), [("http://page", 200), ("https://page", 200), ("null", 400)])
async def test_preflight_has_no_body_and_no_type(endpoint: Endpoint, origin: str, status: int) -> None:
    answer = await endpoint.rest("OPTIONS", HALF, Origin=origin)
    assert (answer.status, answer.body) == (status, b"")
    assert "Content-Type" not in answer.headers
    assert "Access-Control-Allow-Origin" not in answer.headers


async def test_cors_headers_with_the_flag_are_on_every_answer(tmp_path: Path) -> None:
    saved_models.half_plus_two(tmp_path / "1")
    async with serving(f"--model_base_path={tmp_path}", "--rest_api_enable_cors_support") as cors:
        await cors.rest("POST", "/v1/models/default:predict", b'{"instances": [1]}')
        answers = [
            await cors.rest("OPTIONS", HALF, Origin="http://page"),
            await cors.rest("GET", "/v1/models/default"),
            await cors.rest("GET", "/v1/models/nope"),
        ]
    assert [answer.headers["Access-Control-Allow-Origin"] for answer in answers] == ["*"] * 3
    assert ["X-Kedge-Model-Version" in answer.headers for answer in answers] == [False] * 3
    assert answers[0].headers["Access-Control-Allow-Methods"] == "POST, GET"
    assert answers[0].headers["Access-Control-Allow-Headers"] == "Content-Type"


async def test_timeout_ends_a_run_without_end(tmp_path: Path) -> None:
    saved_models.peculiar(tmp_path / "1")
    async with serving(f"--model_base_path={tmp_path}", "--rest_api_timeout_in_ms=200") as impatient:
        body = b'{"signature_name": "endless", "instances": [Infinity]}'
        answer = await impatient.rest("POST", "/v1/models/default:predict", body)
        assert answer.status == 504
        well = await impatient.rest(
            "POST", "/v1/models/default:predict", b'{"signature_name": "positive", "instances": [1]}'
        )
        assert well.document == {"predictions": [2.0]}


async def test_client_that_goes_away_ends_what_it_waited_for(tmp_path: Path) -> None:
    saved_models.peculiar(tmp_path / "1")
    async with serving(f"--model_base_path={tmp_path}", "--rest_api_timeout_in_ms=1500") as endpoint:
        body = b'{"signature_name": "endless", "instances": [Infinity]}'
        waiting = asyncio.create_task(endpoint.rest("POST", "/v1/models/default:predict", body))
        await endpoint.until_sample('kedge_requests_in_flight{transport="rest"} ', 1)
        waiting.cancel()
        await endpoint.until_sample(
            ':tensorflow:serving:request_count{model_name="default",status="CANCELLED"} ', 1
        )
        assert await endpoint.sample('kedge_requests_in_flight{transport="rest"} ') == 0


async def test_url_with_its_host_in_the_request_line_is_found(endpoint: Endpoint) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", endpoint.server.rest_port)
    writer.write(f"GET http://h:1{HALF} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
    assert b"HTTP/1.1 200 OK" in await reader.read()
    writer.close()


async def test_expect_continue_is_answered_before_the_body(endpoint: Endpoint) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", endpoint.server.rest_port)
    head = f"POST {HALF}:predict HTTP/1.1\r\nHost: h\r\nContent-Length: {len(BODY)}\r\n"
    writer.write(f"{head}Expect: 100-continue\r\nConnection: close\r\n\r\n".encode())
    assert await reader.readline() == b"HTTP/1.1 100 Continue\r\n"
    writer.write(BODY)
    assert b"HTTP/1.1 200 OK" in await reader.read()
    writer.close()


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_server_with_all_its_models_is_healthy_and_ready(endpoint: Endpoint, path: str) -> None:
    assert (await endpoint.rest("GET", path)).status == 200


async def test_server_without_one_of_its_models_is_healthy_and_not_ready(tmp_path: Path) -> None:
    saved_models.broken(tmp_path / "m" / "1")
    async with serving(f"--model_base_path={tmp_path}/m", "--max_num_load_retries=0") as broken:
        assert (await broken.rest("GET", "/healthz")).status == 200
        assert (await broken.rest("GET", "/readyz")).status == 503
        status = (await broken.rest("GET", "/v1/models/default")).document["model_version_status"]
        assert [each["state"] for each in status] == ["END"]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
async def test_metrics_page_is_plain_text_for_any_verb(endpoint: Endpoint, method: str) -> None:
    answer = await endpoint.rest(method, METRICS)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/plain")
    assert b"# TYPE :tensorflow:serving:request_count counter\n" in answer.body


async def test_metrics_page_with_a_query_is_refused(endpoint: Endpoint) -> None:
    answer = await endpoint.rest("GET", f"{METRICS}?x=1")
    assert answer.status == 400
    assert answer.body == f"Unexpected path: {METRICS}?x=1. Should be {METRICS}".encode()


@pytest.mark.parametrize(
    ("config", "path", "status"),
    [
        ('prometheus_config { enable: true path: "/m" }', "/m", 200),
        ('prometheus_config { enable: true path: "/m" }', METRICS, 404),
        ("prometheus_config { enable: true }", METRICS, 200),
        ("prometheus_config {}", METRICS, 404),
    ],
)
async def test_metrics_page_is_where_the_file_says(
    tmp_path: Path, config: str, path: str, status: int
) -> None:
    (tmp_path / "monitoring.config").write_text(config)
    async with serving(
        f"--model_store_root={tmp_path}", f"--monitoring_config_file={tmp_path}/monitoring.config"
    ) as endpoint:
        assert (await endpoint.rest("GET", path)).status == status


async def test_body_of_several_megabytes_is_read_while_others_are_answered(endpoint: Endpoint) -> None:
    large = json.dumps({"instances": [2.0] * 300_000}).encode()
    answers: list[RestAnswer] = await asyncio.gather(
        endpoint.rest("POST", f"{HALF}:predict", large), endpoint.rest("POST", f"{HALF}:predict", BODY)
    )
    assert len(answers[0].document["predictions"]) == 300_000
    assert answers[1].document == PREDICTIONS


async def test_string_without_dimensions_comes_back(tmp_path: Path) -> None:
    def signatures() -> dict[str, Any]:
        from serving.session import tensorflow

        tf = tensorflow()
        text = tf.compat.v1.placeholder(tf.string, [])
        return {"serving_default": saved_models.signature({"x": text}, {"y": tf.identity(text)})}

    saved_models.export(tmp_path / "1", signatures)
    question = Question("default", {"x": np.array(b"a\0", object)})
    async with serving(f"--model_base_path={tmp_path}") as endpoint:
        assert await endpoint.predict("grpc", question) == {"y": b"a\0"}
        answer = await endpoint.rest("POST", "/v1/models/default:predict", b'{"inputs": "a"}')
        assert answer.document == {"outputs": "a"}
