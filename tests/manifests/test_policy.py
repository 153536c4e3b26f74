"""What every pod keeps to: the restricted Pod Security standard, limits, probes, pinned images."""

import re
import tomllib

import pytest

from tests.manifests.rendered import (
    EVERYTHING,
    OVERLAYS,
    ROOT,
    SCORINGS,
    containers,
    documents,
    named,
    of_kind,
    pods,
)

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
PINNED = re.compile(r"[\w./-]+:v?\d+(\.\d+)+")
every_overlay = pytest.mark.parametrize("overlay", OVERLAYS)
everything = pytest.mark.parametrize("overlay", EVERYTHING)


@everything
def test_pods_meet_the_restricted_standard(overlay: str) -> None:
    found = dict(pods(overlay))
    assert found
    for pod_name, pod in found.items():
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod), pod_name
        volumes = pod.get("volumes", [])
        assert all(
            set(volume) <= {"name", "persistentVolumeClaim", "configMap", "emptyDir"} for volume in volumes
        )
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            context = {**pod.get("securityContext", {}), **container["securityContext"]}
            assert context["runAsNonRoot"] is True, pod_name
            assert context["runAsUser"] >= 10000, pod_name
            assert context["seccompProfile"] == {"type": "RuntimeDefault"}, pod_name
            assert context["allowPrivilegeEscalation"] is False, pod_name
            assert context["readOnlyRootFilesystem"] is True, pod_name
            assert context["capabilities"] == {"drop": ["ALL"]}, pod_name


@everything
def test_pods_have_no_token(overlay: str) -> None:
    beside = "base" if overlay in SCORINGS else overlay
    accounts = {account["metadata"]["name"]: account for account in of_kind(beside, "ServiceAccount")}
    assert all(account["automountServiceAccountToken"] is False for account in accounts.values())
    bound = [document["spec"]["predictor"] for document in of_kind(overlay, "InferenceService")]
    bound += [pod for name, pod in pods(overlay) if not name.startswith("ServingRuntime/")]
    assert bound
    for pod in bound:
        assert pod["automountServiceAccountToken"] is False
        assert pod["serviceAccountName"] in accounts


@everything
def test_containers_have_requests_and_limits(overlay: str) -> None:
    for name, container in containers(overlay):
        assert set(container["resources"]["requests"]) == {"cpu", "memory"}, name
        assert set(container["resources"]["limits"]) == {"cpu", "memory"}, name


@everything
def test_images_are_pinned(overlay: str) -> None:
    for name, container in containers(overlay):
        assert PINNED.fullmatch(container["image"]), name
        if "kedge" in container["image"]:
            assert container["image"].endswith(f":{VERSION}"), name


@every_overlay
def test_servers_are_probed_and_drained(overlay: str) -> None:
    """TensorFlow Serving drains nothing, and would ignore SIGTERM as the first process of a container."""
    servers = [
        one
        for one in containers(overlay)
        if any("--rest_api_port" in each for each in one[1].get("args", []))
    ]
    assert len(servers) == 1
    for name, container in [
        *servers,
        *(one for one in containers(overlay) if one[0].startswith("Deployment/")),
    ]:
        if "/wait-for-models" not in name:
            assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container), name
    ((_, server),) = servers
    assert server["readinessProbe"]["exec"]["command"][:2] == ["/bin/bash", "/etc/serving/ready.sh"]
    pause = int(server["lifecycle"]["preStop"]["exec"]["command"][-1])
    around = [one["spec"]["predictor"] for one in of_kind(overlay, "InferenceService")]
    around += [pod for name, pod in pods(overlay) if name == "Deployment/tensorflow-serving"]
    assert around
    for pod in around:
        assert pause < pod["terminationGracePeriodSeconds"]
        assert pod["shareProcessNamespace"] is True


@pytest.mark.parametrize("overlay", OVERLAYS[:3])
def test_new_server_is_ready_before_an_old_one_goes(overlay: str) -> None:
    strategy = named(overlay, "Deployment", "tensorflow-serving")["spec"]["strategy"]
    assert strategy["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


@every_overlay
def test_namespace_enforces_what_the_pods_meet_and_denies_what_no_policy_allows(overlay: str) -> None:
    (namespace,) = of_kind(overlay, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    policies = {policy["metadata"]["name"]: policy["spec"] for policy in of_kind(overlay, "NetworkPolicy")}
    assert policies["default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    placed = [document for document in documents(overlay) if document["kind"] != "Namespace"]
    assert {document["metadata"]["namespace"] for document in placed} == {namespace["metadata"]["name"]}


@every_overlay
def test_retraining_never_overlaps_itself(overlay: str) -> None:
    jobs = of_kind(overlay, "CronJob")
    assert jobs
    assert all(job["spec"]["concurrencyPolicy"] == "Forbid" for job in jobs)


@every_overlay
def test_every_job_trains_what_the_schedule_trains(overlay: str) -> None:
    once = [job["spec"]["template"]["spec"] for job in of_kind(overlay, "Job")]
    again = [job["spec"]["jobTemplate"]["spec"]["template"]["spec"] for job in of_kind(overlay, "CronJob")]
    by_model = {str(pod["containers"][0]["args"][0]): pod for pod in again}
    assert {str(pod["containers"][0]["args"][0]): pod for pod in once} == by_model


@everything
def test_jobs_count_no_pod_that_a_node_takes_with_it(overlay: str) -> None:
    jobs = [job["spec"] for job in of_kind(overlay, "Job")]
    jobs += [job["spec"]["jobTemplate"]["spec"] for job in of_kind(overlay, "CronJob")]
    assert jobs
    for job in jobs:
        first, *others = job["podFailurePolicy"]["rules"]
        assert first == {
            "action": "Ignore",
            "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
        }
        (container,) = job["template"]["spec"]["containers"]
        assert {rule["onExitCodes"]["containerName"] for rule in others} == {container["name"]}
        assert {"activeDeadlineSeconds", "ttlSecondsAfterFinished"} <= set(job)
