"""Names, ports, paths and arguments fit: within the manifests, with compose, and with the programs."""

import io
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml

from clients import Batching
from clients.playground.command import playground
from models import catalogue
from monitoring import prometheus_rule
from serving import config_files, options
from tests.manifests.rendered import (
    COMPOSE,
    OVERLAYS,
    ROOT,
    Document,
    containers,
    documents,
    named,
    of_kind,
    pods,
)
from training.command_line import train
from training.score_command import BATCH_TO_SERVER

CONFIG = ROOT / "serving" / "config"
PORTS = {"grpc": 8500, "rest": 8501}
SERVER = "tensorflow-serving"
with_deployment = pytest.mark.parametrize("overlay", OVERLAYS[:3])


def server_arguments() -> dict[str, list[str]]:
    """The arguments of every model server, by where they are."""
    found = {
        f"compose/{name}": COMPOSE["services"][name]["command"] for name in ("tensorflow-serving", "embedded")
    }
    for overlay in OVERLAYS:
        for name, container in containers(overlay):
            if any(argument.startswith("--rest_api_port") for argument in container.get("args", [])):
                found[f"{overlay}/{name}"] = container["args"]
    return found


def server(overlay: str) -> Document:
    deployment = named(overlay, "Deployment", SERVER)
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return dict(container)


@pytest.mark.parametrize("place", server_arguments())
def test_server_arguments_are_flags_that_the_embedded_server_takes(place: str) -> None:
    unknown = io.StringIO()
    options.check(options.parse(server_arguments()[place], unknown))
    assert unknown.getvalue() == ""


def test_server_arguments_are_the_same_everywhere() -> None:
    """Polling the list of models is for compose: in Kubernetes a change of the file rolls the pods."""
    given = server_arguments()
    compose = [one for one in given.pop("compose/embedded") if "config_file_poll" not in one]
    kserve = given.pop("overlays/kserve/ServingRuntime/tensorflow-serving/kserve-container")
    assert given.pop("compose/tensorflow-serving") == COMPOSE["services"]["embedded"]["command"]
    assert len(given) == 3
    assert all(arguments == compose for arguments in given.values())
    shared = {"--enable_batching", "--batching_parameters_file", "--monitoring_config_file"}
    assert {one for one in compose if one.partition("=")[0] in shared} <= set(kserve)


def test_playground_asks_the_server_at_the_port_that_is_published() -> None:
    service = COMPOSE["services"]["playground"]
    assert service["entrypoint"] == ["kedge", "playground"]
    with playground.make_context("playground", list(service["command"])) as context:
        given = context.params
    assert given["urls"] == (
        f"grpc://tensorflow-serving:{PORTS['grpc']}",
        f"http://tensorflow-serving:{PORTS['rest']}",
    )
    assert service["ports"][0].endswith(f":{given['port']}")
    assert f":{given['port']}/healthz" in service["healthcheck"]["test"][-1]
    assert given["bind_address"] == "0.0.0.0"  # noqa: S104 - within its container


def test_config_files_are_read_by_the_embedded_server() -> None:
    configs = config_files.model_configs(config_files.read_model_server_config(CONFIG / "models.config"))
    assert {config.name: config.base_path for config in configs} == {
        name: Path("/models", name) for name in catalogue.names()
    }
    assert config_files.read_monitoring(CONFIG / "monitoring.config").enable
    assert not config_files.read_batching(CONFIG / "batching.config").pad_variable_length_inputs


@pytest.mark.parametrize("rows", [Batching().rows, BATCH_TO_SERVER], ids=["client", "scoring"])
def test_requests_of_many_rows_are_no_larger_than_the_servers_take(rows: int) -> None:
    """Without splitting, a larger one is refused whole."""
    batching = config_files.read_batching(CONFIG / "batching.config")
    assert not batching.enable_large_batch_splitting
    assert rows <= batching.max_batch_size


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_config_map_holds_the_files_that_compose_mounts(overlay: str) -> None:
    assert "./serving/config:/etc/serving:ro" in COMPOSE["services"]["tensorflow-serving"]["volumes"]
    (config_map,) = (
        one for one in of_kind(overlay, "ConfigMap") if one["metadata"]["name"].startswith("serving-config-")
    )
    assert config_map["data"] == {
        path.name: path.read_text() for path in CONFIG.iterdir() if path.name != "kustomization.yaml"
    }


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_volumes_name_claims_and_config_maps_that_exist(overlay: str) -> None:
    named = {(document["kind"], document["metadata"]["name"]) for document in documents(overlay)}
    volumes = [volume for document in documents(overlay) for volume in find_all(document, "volumes")]
    asked = {
        ("PersistentVolumeClaim", one["persistentVolumeClaim"]["claimName"])
        for one in volumes
        if "persistentVolumeClaim" in one
    }
    asked |= {("ConfigMap", one["configMap"]["name"]) for one in volumes if "configMap" in one}
    assert {kind for kind, _ in asked} == {"PersistentVolumeClaim", "ConfigMap"}
    assert asked <= named


def find_all(value: object, key: str) -> list[Document]:
    """All entries of the lists under a key, however deep."""
    if isinstance(value, list):
        return list(chain.from_iterable(find_all(item, key) for item in value))
    if not isinstance(value, dict):
        return []
    here = value.get(key, [])
    return [*(here if isinstance(here, list) else []), *find_all(list(value.values()), key)]


@with_deployment
def test_service_leads_to_the_server_by_the_name_and_ports_that_compose_has(overlay: str) -> None:
    service, deployment = named(overlay, "Service", SERVER), named(overlay, "Deployment", SERVER)
    assert SERVER in COMPOSE["services"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    assert [(port["name"], port["port"]) for port in service["spec"]["ports"]] == list(PORTS.items())
    assert {port["name"]: port["containerPort"] for port in server(overlay)["ports"]} == PORTS
    assert {f"--port={PORTS['grpc']}", f"--rest_api_port={PORTS['rest']}"} <= set(server(overlay)["args"])


@with_deployment
def test_selectors_select_the_server(overlay: str) -> None:
    deployment = named(overlay, "Deployment", SERVER)
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    (budget,) = of_kind(overlay, "PodDisruptionBudget")
    policies = {policy["metadata"]["name"]: policy["spec"] for policy in of_kind(overlay, "NetworkPolicy")}
    for selector in (
        deployment["spec"]["selector"],
        budget["spec"]["selector"],
        policies["tensorflow-serving"]["podSelector"],
    ):
        assert selector["matchLabels"].items() <= labels.items()
    assert "replicas" not in deployment["spec"] or not of_kind(overlay, "HorizontalPodAutoscaler")
    for scaler in of_kind(overlay, "HorizontalPodAutoscaler"):
        assert scaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_training_policy_selects_the_jobs(overlay: str) -> None:
    policies = {policy["metadata"]["name"]: policy["spec"] for policy in of_kind(overlay, "NetworkPolicy")}
    wanted = policies["training"]["podSelector"]["matchLabels"].items()
    for job in of_kind(overlay, "Job"):
        assert wanted <= job["spec"]["template"]["metadata"]["labels"].items()


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_training_arguments_are_those_of_kedge_train(overlay: str) -> None:
    assert {asked["model"] for asked in trainings(overlay)} == set(catalogue.names())


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_training_is_held_to_no_less_than_on_a_laptop(overlay: str) -> None:
    for asked in trainings(overlay):
        least = asked["min_accuracy"]
        assert least is None or least >= (catalogue.find(asked["model"]).recipe.min_accuracy or 0)
        assert asked["max_regression"] is not None


def trainings(overlay: str) -> Iterator[dict[str, Any]]:
    """The options of every `kedge train`."""
    for name, container in containers(overlay):
        if container["name"] == "train":
            with train.make_context(name, list(container["args"])) as context:
                yield context.params


def test_ingress_leads_to_the_service() -> None:
    service = named("overlays/production", "Service", SERVER)
    ports = {port["name"] for port in service["spec"]["ports"]}
    for ingress in of_kind("overlays/production", "Ingress"):
        hosts = {host for tls in ingress["spec"]["tls"] for host in tls["hosts"]}
        for rule in ingress["spec"]["rules"]:
            assert rule["host"] in hosts
            for path in rule["http"]["paths"]:
                assert path["backend"]["service"]["name"] == service["metadata"]["name"]
                assert path["backend"]["service"]["port"]["name"] in ports


def ingress_paths() -> list[Document]:
    return [
        path
        for ingress in of_kind("overlays/production", "Ingress")
        for rule in ingress["spec"]["rules"]
        for path in rule["http"]["paths"]
    ]


def test_ingress_leaves_reload_and_metrics_inside() -> None:
    inside = ("/tensorflow.serving.ModelService/HandleReloadConfigRequest", "/monitoring/prometheus/metrics")
    assert not [path for path in ingress_paths() if any(one.startswith(path["path"]) for one in inside)]


def test_ingress_has_paths_that_ingress_nginx_takes_where_it_is_strict() -> None:
    """Its strict-validate-path-type, on from 1.12.0, took no dots before 1.12.6 and 1.13.2."""
    for path in ingress_paths():
        plain = re.fullmatch(r"/[A-Za-z0-9_/-]*", path["path"])
        assert plain or path["pathType"] == "ImplementationSpecific", path["path"]


@pytest.mark.parametrize("name", [SERVER, "pushgateway"])
def test_service_monitor_scrapes_what_compose_scrapes(name: str) -> None:
    monitor = named("overlays/production", "ServiceMonitor", name)
    service = named("overlays/production", "Service", name)
    (endpoint,) = monitor["spec"]["endpoints"]
    configuration = yaml.safe_load((ROOT / "monitoring" / "prometheus.yml").read_text())
    (scraped,) = (job for job in configuration["scrape_configs"] if job["job_name"] == name)
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    (port,) = (port["port"] for port in service["spec"]["ports"] if port["name"] == endpoint["port"])
    assert [f"{name}:{port}"] == scraped["static_configs"][0]["targets"]
    assert endpoint.get("path") == scraped.get("metrics_path")
    assert endpoint.get("honorLabels") == scraped.get("honor_labels")


def test_pushgateway_is_where_the_jobs_push_to_as_in_compose() -> None:
    (url,) = (
        one.partition("=")[2]
        for one in COMPOSE["services"]["train-mnist"]["environment"]
        if one.startswith("KEDGE_TRAIN_PUSHGATEWAY=")
    )
    service = named("overlays/production", "Service", "pushgateway")
    deployment = named("overlays/production", "Deployment", "pushgateway")["spec"]["template"]
    (container,) = deployment["spec"]["containers"]
    assert url == f"http://pushgateway:{service['spec']['ports'][0]['port']}"
    assert f"--web.listen-address=:{container['ports'][0]['containerPort']}" in container["args"]
    assert service["spec"]["selector"].items() <= deployment["metadata"]["labels"].items()
    assert container["image"] == COMPOSE["services"]["pushgateway"]["image"]
    jobs = [pod for name, pod in pods("overlays/production") if name.startswith(("Job/", "CronJob/"))]
    assert jobs
    for pod in jobs:
        assert pod["containers"][0]["env"] == [{"name": "KEDGE_TRAIN_PUSHGATEWAY", "value": url}]


def test_dashboards_are_those_that_compose_mounts() -> None:
    (config_map,) = (
        one
        for one in of_kind("overlays/production", "ConfigMap")
        if one["metadata"]["labels"].get("grafana_dashboard") == "1"
    )
    folder = ROOT / "monitoring" / "grafana" / "dashboards"
    assert config_map["data"] == {path.name: path.read_text() for path in folder.glob("*.json")}


def test_prometheus_rule_holds_the_rule_files() -> None:
    assert prometheus_rule.TARGET.read_text() == prometheus_rule.resources(), (
        "the rules have changed: run python monitoring/prometheus_rule.py"
    )
    rules = {
        rule["metadata"]["name"]: rule["spec"] for rule in of_kind("overlays/production", "PrometheusRule")
    }
    assert rules == {
        name: yaml.safe_load((ROOT / "monitoring" / "rules" / f"{name}.yml").read_text())
        for name in prometheus_rule.SOURCES
    }


def test_kserve_serves_every_model_of_the_store() -> None:
    (runtime,) = of_kind("overlays/kserve", "ServingRuntime")
    (claim,) = of_kind("overlays/kserve", "PersistentVolumeClaim")
    formats = [(one["name"], one["version"]) for one in runtime["spec"]["supportedModelFormats"]]
    served = {}
    for service in of_kind("overlays/kserve", "InferenceService"):
        model = service["spec"]["predictor"]["model"]
        assert model["runtime"] == runtime["metadata"]["name"]
        assert (model["modelFormat"]["name"], model["modelFormat"]["version"]) in formats
        served[service["metadata"]["name"]] = model["storageUri"]
    assert served == {name: f"pvc://{claim['metadata']['name']}/{name}" for name in catalogue.names()}
