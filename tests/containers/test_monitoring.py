"""Prometheus with our files: it scrapes the stack, its rules load, and every panel's query has an answer."""

import json
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import yaml

import clients
from models import catalogue
from tests.containers.engine import ROOT, Stack, docker, until

MONITORING = ROOT / "monitoring"
RULE_TESTS = sorted((MONITORING / "rule_tests").glob("*.yml"))
DASHBOARDS = sorted((MONITORING / "grafana" / "dashboards").glob("*.json"))
# TensorFlow Serving alone has it; that the name is right cannot be seen here.
ONLY_THERE = {":tensorflow:cc:saved_model:load_attempt_count"}
Ask = Any


def queries() -> Iterator[Any]:
    """Every query of every dashboard."""
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel["targets"]:
                name = f"{path.stem}-{panel['title']}-{target['refId']}".replace(" ", "-")
                yield pytest.param(target["expr"], id=name)


@pytest.fixture(scope="module")
def prometheus(stack: Stack) -> Ask:
    """Ask the stack's Prometheus, whose training jobs have pushed and whose server has been asked."""
    server = f"grpc://127.0.0.1:{stack.container('embedded').port(8500)}"
    api = f"http://127.0.0.1:{stack.container('prometheus').port(9090)}/api/v1"

    def ask(path: str, **parameters: str) -> Any:
        url = f"{api}/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    def has_seen_requests() -> bool:
        with clients.connect(server) as client:
            client.predict("mnist", np.zeros((28, 28), np.uint8))
            with pytest.raises(clients.Refused):
                client.predict("mnist", {"no_such_input": np.zeros(1)})
        rate = 'rate(:tensorflow:serving:request_latency_count{API="Predict",model_name="mnist"}[1m])'
        refused = 'rate(:tensorflow:serving:request_count{status="INVALID_ARGUMENT"}[1m])'
        return all(ask("query", query=query)["result"] for query in (rate, refused, "kedge_training_rows"))

    until(has_seen_requests, 120, "two scrapes of the server")
    return ask


@pytest.mark.parametrize("path", RULE_TESTS, ids=lambda path: path.stem)
def test_rules_do_what_their_tests_say(project: Stack, path: Any) -> None:
    mount = f"--volume={MONITORING}:/monitoring:ro"
    image = "kedge-test-prometheus:0.1.0"
    docker("run", "--rm", mount, image, "promtool", "test", "rules", f"/monitoring/rule_tests/{path.name}")


def test_every_alert_has_a_test() -> None:
    for path in RULE_TESTS:
        rules = yaml.safe_load((MONITORING / "rules" / path.name).read_text())["groups"]
        alerts = {rule["alert"] for group in rules for rule in group["rules"] if "alert" in rule}
        tests = yaml.safe_load(path.read_text())["tests"]
        cases = [case for test in tests for case in test.get("alert_rule_test", [])]
        assert {case["alertname"] for case in cases if case["exp_alerts"]} == alerts
    assert {path.name for path in RULE_TESTS} == {path.name for path in (MONITORING / "rules").iterdir()}


def test_every_target_is_up(prometheus: Ask) -> None:
    targets = prometheus("targets")["activeTargets"]
    assert {target["labels"]["job"] for target in targets} == {
        "tensorflow-serving",
        "pushgateway",
        "prometheus",
    }
    assert [target["lastError"] for target in targets if target["health"] != "up"] == []


def test_rules_are_loaded_and_evaluated(prometheus: Ask) -> None:
    def rules() -> list[dict[str, Any]]:
        return [rule for group in prometheus("rules")["groups"] for rule in group["rules"]]

    until(lambda: all(rule["health"] == "ok" for rule in rules()), 60, f"sound rules of {rules()}")
    names = ("serving.yml", "training.yml")
    groups = [
        group
        for name in names
        for group in yaml.safe_load((MONITORING / "rules" / name).read_text())["groups"]
    ]
    assert len(rules()) == sum(len(group["rules"]) for group in groups)
    assert [rule["alerts"] for rule in rules() if rule.get("alerts")] == []


def test_training_jobs_have_pushed_how_they_went(prometheus: Ask) -> None:
    found = prometheus("query", query='kedge_training_result{result="published"} == 1')["result"]
    assert {one["metric"]["model"] for one in found} == set(catalogue.names())
    found = prometheus("query", query="kedge_training_last_success_timestamp_seconds > 1.7e9")["result"]
    assert {one["metric"]["model"] for one in found} == set(catalogue.names())


@pytest.mark.parametrize("query", list(queries()))
def test_panel_query_has_an_answer(prometheus: Ask, query: str) -> None:
    result = prometheus("query", query=query.replace("$__rate_interval", "1m"))["result"]
    assert result or query in ONLY_THERE
