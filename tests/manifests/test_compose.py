"""The compose file and the Dockerfiles: hardened services, pinned images, and names that fit."""

import json
import re
import tomllib
from typing import Any

import pytest
import yaml

from tests.manifests.rendered import COMPOSE, ROOT

SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ENDING = {"train-mnist", "train-imdb", "client", "embedded-client"}
IMAGES = {"training": ["kedge", "train"], "serving": ["kedge", "serve"], "clients": ["kedge"]}
PINNED = re.compile(r"[\w./-]+:v?\d+(\.\d+)+(-[\w-]+)?")
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
DASHBOARDS = sorted((ROOT / "monitoring" / "grafana" / "dashboards").glob("*.json"))
every_service = pytest.mark.parametrize("name", SERVICES)
every_image = pytest.mark.parametrize("folder", IMAGES)


def instructions(folder: str) -> dict[str, list[str]]:
    """The last stage's instructions of a Dockerfile, and the ARGs before all stages, by name."""
    text = (ROOT / folder / "Dockerfile").read_text().replace("\\\n", " ")
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, _, rest = line.partition(" ")
        if name == "FROM":
            found = {name: values for name, values in found.items() if name == "ARG"}
        if line and not line.startswith(("#", " ")):
            found.setdefault(name, []).append(rest)
    return found


@every_service
def test_service_is_hardened_and_limited(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert {"mem_limit", "cpus", "pids_limit"} <= set(service)
    assert not {"privileged", "cap_add", "network_mode"} & set(service)
    user, _, _ = service.get("user", "").partition(":")
    assert "build" in service or int(user) > 0


@every_service
def test_service_image_is_pinned(name: str) -> None:
    assert PINNED.fullmatch(SERVICES[name]["image"])
    if "build" in SERVICES[name]:
        assert SERVICES[name]["image"].endswith(f":{VERSION}")


@every_service
def test_service_publishes_on_this_machine_only(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\$\{KEDGE_[A-Z]+_PORT:-(\d+)\}:\1", port)


@every_service
def test_service_waits_for_what_it_needs_and_tells_how_it_is(name: str) -> None:
    for needed, how in SERVICES[name].get("depends_on", {}).items():
        wanted = "service_completed_successfully" if needed in ENDING else "service_healthy"
        assert how == {"condition": wanted}
    if name in ENDING:
        assert not {"healthcheck", "restart"} & set(SERVICES[name])
    else:
        assert {"test", "interval", "timeout", "retries"} <= set(SERVICES[name]["healthcheck"])
        assert SERVICES[name]["restart"] == "unless-stopped"


@every_service
def test_service_mounts_what_exists(name: str) -> None:
    for volume in SERVICES[name].get("volumes", []):
        source, target, *mode = re.sub(r"\$\{\w+:-(\w+)\}", r"\1", volume).split(":")
        assert target.startswith("/")
        if source.startswith("."):
            assert (ROOT / source).exists()
            assert mode == ["ro"]
        else:
            assert source in COMPOSE["volumes"]


@every_service
def test_service_builds_the_same_for_one_python(name: str) -> None:
    if build := SERVICES[name].get("build"):
        default = instructions(build["dockerfile"].partition("/")[0])["ARG"]
        assert default == [f"PYTHON_IMAGE={build['args']['PYTHON_IMAGE'].partition(':-')[2].rstrip('}')}"]


def test_profiles_differ_in_the_server_alone() -> None:
    for one, other in (
        ("tensorflow-serving", "embedded"),
        ("client", "embedded-client"),
        ("playground", "embedded-playground"),
    ):
        own = {"image", "build", "entrypoint", "init", "networks", "profiles", "depends_on"}
        first, second = (
            {key: value for key, value in SERVICES[name].items() if key not in own} for name in (one, other)
        )
        assert first == second
        assert (SERVICES[one]["profiles"], SERVICES[other]["profiles"]) == (
            ["tensorflow-serving"],
            ["embedded"],
        )
    assert SERVICES["embedded"]["networks"]["default"]["aliases"] == ["tensorflow-serving"]
    assert "COMPOSE_PROFILES=tensorflow-serving" in (ROOT / ".env").read_text().splitlines()


def test_prometheus_scrapes_services_of_the_stack() -> None:
    jobs = yaml.safe_load((ROOT / "monitoring" / "prometheus.yml").read_text())["scrape_configs"]
    targets = [target for job in jobs for static in job["static_configs"] for target in static["targets"]]
    names = {target.partition(":")[0] for target in targets}
    assert names - {"localhost"} <= set(SERVICES)
    assert {"tensorflow-serving", "pushgateway"} <= names


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_dashboard_asks_the_provisioned_source(path: Any) -> None:
    provisioning = ROOT / "monitoring" / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "dashboards.yml").read_text())["providers"]
    panels = json.loads(path.read_text())["panels"]
    assert {target["datasource"]["uid"] for panel in panels for target in panel["targets"]} == {source["uid"]}
    assert source["url"] == "http://prometheus:9090"
    mounted = f"./monitoring/grafana/dashboards:{provider['options']['path']}:ro"
    assert mounted in SERVICES["grafana"]["volumes"]


@every_image
def test_image_runs_as_a_fixed_user_in_exec_form(folder: str) -> None:
    found = instructions(folder)
    assert found["USER"] == ["10001:10001"]
    assert json.loads(found["ENTRYPOINT"][0]) == IMAGES[folder]
    assert len(found["HEALTHCHECK"]) == 1
    assert f'org.opencontainers.image.title="kedge-{folder}"' in found["LABEL"][0]
    assert f'org.opencontainers.image.version="{VERSION}"' in found["LABEL"][0]
    assert PINNED.fullmatch(found["ARG"][0].partition("=")[2])


@every_image
def test_image_installs_its_own_lock_with_hashes(folder: str) -> None:
    text = (ROOT / folder / "Dockerfile").read_text()
    assert f"COPY locks/{folder}.txt" in text
    assert "--require-hashes" in text
    assert f"!locks/{folder}.txt" in (ROOT / ".dockerignore").read_text().splitlines()
