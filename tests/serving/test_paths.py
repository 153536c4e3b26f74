"""What a client, a link or a name can reach on the server's disk, and what it is told of it: nothing."""

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from serving import loading, options
from tests.serving import saved_models
from tests.serving.servers import MODEL, Endpoint, Question, serving
from wire import messages
from wire.errors import Code, StatusError

ROOT = Path(__file__).resolve().parents[2]
HALF = "half_plus_two"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with one model, beside a model that is none of its."""
    saved_models.half_plus_two(tmp_path / "st ore" / HALF / "1")
    saved_models.half_plus_two(tmp_path / "secret" / "1")
    return tmp_path / "st ore"


NAMES = [
    *("../secret", "..", ".", "/etc", "../../secret", "..\\secret", "half_plus_two/../../secret", "secret\0"),
    *("half_plus_two/1", "./half_plus_two", "~", "file:///etc", "%2e%2e/secret", "half_plus_two\0"),
]


@pytest.mark.parametrize("name", NAMES)
async def test_name_that_is_a_path_finds_no_model(store: Path, name: str) -> None:
    async with serving(f"--model_store_root={store}") as endpoint:
        for encoded in (quote(name, safe=""), quote(quote(name, safe=""), safe=""), quote(name, safe="/.~:")):
            for path in (f"/v1/models/{encoded}", f"/v1/models/{HALF}/labels/{encoded}:predict"):
                method = "POST" if path.endswith("predict") else "GET"
                answer = await endpoint.rest(method, path, Question().body())
                assert answer.status in (400, 404)
                assert str(store.parent).encode() not in answer.body
        for question in (Question(name), Question(label=name)):
            with pytest.raises(StatusError) as refusal:
                await endpoint.predict("grpc", question)
            assert refusal.value.code in (Code.NOT_FOUND, Code.INVALID_ARGUMENT)


@pytest.mark.parametrize(
    "path", ["/../../etc/passwd", "/%2e%2e/etc/passwd", "/v1/models/..%2f..%2fetc", "/etc/passwd"]
)
async def test_url_reaches_no_file(store: Path, path: str) -> None:
    async with serving(f"--model_store_root={store}") as endpoint:
        answer = await endpoint.rest("GET", path)
        assert answer.status == 404
        assert b"root:" not in answer.body


def _link_model(store: Path) -> None:
    (store / "linked").symlink_to(store.parent / "secret")


def _link_version(store: Path) -> None:
    (store / HALF / "2").symlink_to(store.parent / "secret" / "1")


@pytest.mark.parametrize("link", [_link_model, _link_version])
async def test_link_out_of_the_store_is_not_served(store: Path, link: Callable[[Path], None]) -> None:
    link(store)
    async with serving(f"--model_store_root={store}") as endpoint:
        listed = (await endpoint.rest("GET", "/v1/models")).document["models"]
        assert [(each["name"], len(each["model_version_status"])) for each in listed] == [(HALF, 1)]


@pytest.mark.parametrize(
    "inside", ["variables", "variables/variables.index", "assets.extra/tf_serving_warmup_requests"]
)
def test_version_with_a_file_outside_of_the_base_path_is_not_loaded(store: Path, inside: str) -> None:
    version, outside = store / HALF / "1", store.parent / "secret" / "1" / inside
    (version / inside).parent.mkdir(exist_ok=True)
    if (version / inside).exists():
        (version / inside).rename(store.parent / "moved")
    (version / inside).symlink_to(outside)
    load = loading.loader(options.parse([f"--model_store_root={store}"]))
    with pytest.raises(StatusError, match=f"{re.escape(inside)} is a link that leaves") as refusal:
        load(version)
    assert refusal.value.code == Code.PERMISSION_DENIED


def test_version_with_links_inside_of_the_base_path_is_loaded(store: Path) -> None:
    """As Kubernetes' volumes and deduplicating stores have them."""
    base = store / HALF
    (base / "1" / "variables").rename(base / ".data")
    (base / "1" / "variables").symlink_to("../.data")
    loading.loader(options.parse([f"--model_store_root={store}"]))(base / "1").close()


def _damaged_model(version: Path) -> None:
    (version / "saved_model.pb").write_bytes(b"\xff no model")


def _empty_model(version: Path) -> None:
    (version / "saved_model.pb").write_bytes(b"")


def _no_variables(version: Path) -> None:
    for file in (version / "variables").iterdir():
        file.unlink()


def _cut_variables(version: Path) -> None:
    for file in (version / "variables").iterdir():
        file.write_bytes(file.read_bytes()[:10])


def _damaged_warm_up(version: Path) -> None:
    (version / "assets.extra").mkdir()
    (version / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"no records" * 10)


def _damaged_batching(version: Path) -> None:
    (version / "batching_params.pbtxt").write_text("no such field")


@pytest.mark.parametrize(
    "damage",
    [_damaged_model, _empty_model, _no_variables, _cut_variables, _damaged_warm_up, _damaged_batching],
)
async def test_status_of_what_does_not_load_says_why_and_not_where(
    store: Path, damage: Callable[[Path], None]
) -> None:
    damage(store / HALF / "1")
    flags = ("--max_num_load_retries=0", "--enable_batching", "--enable_per_model_batching_parameters")
    async with serving(f"--model_store_root={store}", *flags) as endpoint:
        told = await _told(endpoint, HALF)
    assert len(told) > 10, told
    for part in (str(store), "st ore", str(store.parent), "/tmp", "site-packages"):  # noqa: S108
        assert part not in told


async def _told(endpoint: Endpoint, model: str) -> str:
    """The only version's error, the same over both transports."""
    request = messages.GetModelStatusRequest(model_spec=messages.ModelSpec(name=model))
    by_grpc = await endpoint.call(f"{MODEL}/GetModelStatus", request, messages.GetModelStatusResponse)
    rest = (await endpoint.rest("GET", f"/v1/models/{model}")).document["model_version_status"]
    message: str = by_grpc.model_version_status[0].status.error_message
    assert rest[0]["status"]["error_message"] == message
    return message


async def test_reload_of_a_missing_base_path_is_told_without_where_others_are(store: Path) -> None:
    async with serving(f"--model_store_root={store}") as endpoint:
        request = messages.ReloadConfigRequest()
        request.config.model_config_list.config.add(
            name="m", base_path=str(store / "gone"), model_platform="tensorflow"
        )
        with pytest.raises(StatusError, match="Could not find base path") as refusal:
            await endpoint.call(f"{MODEL}/HandleReloadConfigRequest", request, messages.ReloadConfigResponse)
    assert str(store) not in refusal.value.message


@pytest.mark.parametrize("package", ["serving", "wire", "clients", "models"])
def test_nothing_that_meets_foreign_bytes_runs_them(package: str) -> None:
    """No pickle, eval, exec, shell, or YAML that builds objects."""
    dangerous = re.compile(
        r"\b(?:c?[Pp]ickle|dill|marshal|shelve|joblib)\b|(?<![\w.])(?:eval|exec|compile|__import__)\("
        r"|os\.system|shell=True|allow_pickle=True|yaml\.(?:unsafe_)?load\("
    )
    for file in (ROOT / package).rglob("*.py"):
        code = re.sub(r'"""[\s\S]*?"""|#.*', "", file.read_text())
        found = dangerous.search(code)
        assert not found, f"{file}: {found}"
