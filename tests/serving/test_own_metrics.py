"""Our metrics as real servers give them: what waits, what runs, what was refused, what a version takes."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.serving import saved_models
from tests.serving.servers import Question, serving
from wire.errors import Code, StatusError

ENDLESS = Question("peculiar", {"x": np.array([np.inf], np.float32)}, signature="endless")
MODEL = 'model="peculiar",version="1",signature="endless"'
# One thread and one place in its queue.
BATCHING = "max_batch_size { value: 1 } num_batch_threads { value: 1 } max_enqueued_batches { value: 1 }"


async def test_running_waiting_and_refused_requests_are_shown_by_transport_version_and_signature(
    tmp_path: Path,
) -> None:
    saved_models.peculiar(tmp_path / "store" / "peculiar" / "1")
    (tmp_path / "batching").write_text(BATCHING)
    flags = (f"--model_store_root={tmp_path / 'store'}", "--enable_batching")
    async with serving(
        *flags, f"--batching_parameters_file={tmp_path / 'batching'}", "--rest_api_timeout_in_ms=3000"
    ) as endpoint:
        running = asyncio.create_task(endpoint.predict("rest", ENDLESS))
        await endpoint.until_sample(f'kedge_model_requests_in_flight{{transport="rest",{MODEL}}} ', 1)
        waiting = asyncio.create_task(endpoint.predict("rest", ENDLESS))
        await endpoint.until_sample(f'kedge_queue_requests{{transport="rest",{MODEL}}} ', 1)
        assert await endpoint.sample(f'kedge_queue_age_seconds{{transport="rest",{MODEL}}} ') > 0
        with pytest.raises(StatusError) as refusal:
            await endpoint.predict("grpc", ENDLESS)
        assert refusal.value.code == Code.UNAVAILABLE
        refused = "kedge_requests_refused_total{reason="
        assert await endpoint.sample(f'{refused}"queue",transport="grpc",{MODEL}}} ') == 1
        await asyncio.gather(running, waiting, return_exceptions=True)
        assert await endpoint.sample(f'kedge_queue_requests{{transport="rest",{MODEL}}} ') == 0
        assert await endpoint.sample(f'kedge_queue_seconds_count{{transport="rest",{MODEL}}} ') == 2


async def test_version_that_was_loaded_has_its_time_memory_and_files(half_plus_two: Path) -> None:
    async with serving("--model_name=m", f"--model_base_path={half_plus_two.parent}") as endpoint:
        assert await endpoint.sample('kedge_model_load_seconds_count{model="m",version="1",code="OK"} ') == 1
        page = (await endpoint.rest("GET", "/monitoring/prometheus/metrics")).body.decode()
        # How much depends on what was loaded before it: nothing at all where memory was free already.
        assert '\nkedge_model_load_resident_bytes{model="m",version="1"} ' in page
        size = await asyncio.to_thread(_files_size, half_plus_two)
        assert await endpoint.sample('kedge_model_files_bytes{model="m",version="1"} ') == size


def _files_size(path: Path) -> int:
    return sum(each.stat().st_size for each in path.rglob("*") if each.is_file())


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ("prometheus_config { enable: true }", "/monitoring/prometheus/metrics"),
        ('prometheus_config { enable: true path: "/numbers" }', "/numbers"),
    ],
)
async def test_page_of_the_monitoring_config_is_read_by_prometheus_own_parser(
    half_plus_two: Path, tmp_path: Path, config: str, path: str
) -> None:
    (tmp_path / "monitoring").write_text(config)
    async with serving(
        "--model_name=m",
        f"--model_base_path={half_plus_two.parent}",
        f"--monitoring_config_file={tmp_path / 'monitoring'}",
    ) as endpoint:
        await endpoint.predict("grpc", Question("m"))
        await endpoint.rest("GET", "/v1/models/%22%5C%0D%0A%C3%BC")
        page = (await endpoint.rest("GET", path)).body.decode()
    families = {family.name: family for family in text_string_to_metric_families(page)}
    names = {sample.labels["model_name"] for sample in families[":tensorflow:serving:request_count"].samples}
    assert names == {"m", '"\\\r\nü'}
    assert families["kedge_request_seconds"].type == "histogram"


async def test_monitoring_that_is_off_has_no_page(half_plus_two: Path, tmp_path: Path) -> None:
    (tmp_path / "monitoring").write_text("prometheus_config { enable: false }")
    async with serving(
        f"--model_base_path={half_plus_two.parent}", f"--monitoring_config_file={tmp_path / 'monitoring'}"
    ) as endpoint:
        assert (await endpoint.rest("GET", "/monitoring/prometheus/metrics")).status == 404
