"""Who may connect to whom: the policies of each overlay, applied as Kubernetes does."""

from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from tests.manifests.rendered import OVERLAYS, SCORING, Document, of_kind, pods

NAMESPACE = "kedge"
NAMED_PORTS = {"grpc": 8500, "rest": 8501, "http": 9091}


@dataclass(frozen=True)
class Peer:
    """A pod by its namespace and its `app.kubernetes.io/name`, or what has an address alone."""

    namespace: str = ""
    name: str = ""
    address: str = "10.1.2.3"
    more: tuple[tuple[str, str], ...] = ()

    @property
    def labels(self) -> dict[str, str]:
        return {"app.kubernetes.io/name": self.name, **dict(self.more)} if self.name else dict(self.more)


SERVER = Peer(NAMESPACE, "tensorflow-serving")
TRAINING = Peer(NAMESPACE, "training")
SCORER = Peer(NAMESPACE, "scoring")
GATEWAY = Peer(NAMESPACE, "pushgateway")
CLIENT = Peer(NAMESPACE, more=(("kedge/asks", "tensorflow-serving"),))
KSERVE = Peer(NAMESPACE, more=(("serving.kserve.io/inferenceservice", "mnist"),))
STRANGER = Peer(NAMESPACE, "stranger")
ELSEWHERE = Peer("default", "stranger")
EDGE = Peer("ingress-nginx", "ingress-nginx")
PROMETHEUS = Peer("monitoring", "prometheus")
DNS = Peer("kube-system", "kube-dns")
INTERNET = Peer(address="93.184.215.14")
NODE_METADATA = Peer(address="169.254.169.254")
LOCAL, PRODUCTION, KSERVE_OVERLAY = OVERLAYS[1:]


def may_connect(overlay: str, source: Peer, target: Peer, port: int) -> bool:
    """Whether both ends' policies let a TCP connection pass."""
    ends = (("Egress", source, target), ("Ingress", target, source))
    return all(passes(overlay, direction, own, other, port) for direction, own, other in ends)


def passes(overlay: str, direction: str, own: Peer, other: Peer, port: int) -> bool:
    policies = [policy["spec"] for policy in of_kind(overlay, "NetworkPolicy") if own.namespace == NAMESPACE]
    chosen = [
        one for one in policies if direction in one["policyTypes"] and selects(one["podSelector"], own.labels)
    ]
    if not chosen:
        return True
    rules = [rule for one in chosen for rule in one.get(direction.lower(), [])]
    return any(has_port(rule, port) and has_peer(rule, direction, other) for rule in rules)


def has_port(rule: Document, port: int) -> bool:
    ports = [one["port"] for one in rule["ports"] if one.get("protocol", "TCP") == "TCP"]
    return port in [NAMED_PORTS.get(one, one) for one in ports]


def has_peer(rule: Document, direction: str, other: Peer) -> bool:
    peers = rule.get("from" if direction == "Ingress" else "to")
    return peers is None or any(is_peer(one, other) for one in peers)


def is_peer(wanted: Document, other: Peer) -> bool:
    if "ipBlock" in wanted:
        address, block = ip_address(other.address), wanted["ipBlock"]
        inside = address in ip_network(block["cidr"])
        return inside and not any(address in ip_network(one) for one in block.get("except", []))
    namespace = {"kubernetes.io/metadata.name": other.namespace}
    in_namespace = (
        selects(wanted["namespaceSelector"], namespace)
        if "namespaceSelector" in wanted
        else other.namespace == NAMESPACE
    )
    return in_namespace and bool(other.namespace) and selects(wanted.get("podSelector", {}), other.labels)


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    for one in selector.get("matchExpressions", []):
        holds = {"Exists": one["key"] in labels, "NotIn": labels.get(one["key"]) not in one.get("values", [])}
        if not holds[one["operator"]]:
            return False
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_clients_reach_the_server_by_its_ports_alone_and_find_its_name(overlay: str) -> None:
    server, ports = (KSERVE, (9000, 8080)) if overlay == KSERVE_OVERLAY else (SERVER, (8500, 8501))
    assert all(may_connect(overlay, CLIENT, server, port) for port in ports)
    assert not may_connect(overlay, CLIENT, server, 22)
    assert may_connect(overlay, CLIENT, DNS, 53)
    assert not may_connect(overlay, CLIENT, INTERNET, 443)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_nothing_else_reaches_the_server_unless_the_overlay_says_so(overlay: str) -> None:
    everybody = (TRAINING, SCORER, GATEWAY, STRANGER, ELSEWHERE, EDGE, PROMETHEUS)
    server = KSERVE if overlay == KSERVE_OVERLAY else SERVER
    reached = {
        (peer.name, port)
        for peer in everybody
        for port in (8500, 8501, 9000, 8080)
        if may_connect(overlay, peer, server, port)
    }
    wanted = {
        PRODUCTION: {("ingress-nginx", 8500), ("ingress-nginx", 8501), ("prometheus", 8501)},
        # Its node ports are reached from anywhere, by what may leave its own namespace.
        LOCAL: {(peer.name, port) for peer in (ELSEWHERE, EDGE, PROMETHEUS) for port in (8500, 8501)},
    }
    assert reached == wanted.get(overlay, set())


@pytest.mark.parametrize("overlay", OVERLAYS[:3])
def test_server_connects_to_nothing(overlay: str) -> None:
    for peer, port in ((DNS, 53), (INTERNET, 443), (STRANGER, 80), (CLIENT, 80), (NODE_METADATA, 80)):
        assert not may_connect(overlay, SERVER, peer, port)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_training_downloads_and_pushes_and_nothing_connects_to_it(overlay: str) -> None:
    assert may_connect(overlay, TRAINING, INTERNET, 443)
    assert may_connect(overlay, TRAINING, DNS, 53)
    assert may_connect(overlay, TRAINING, GATEWAY, 9091) == (overlay == PRODUCTION)
    for peer, port in (
        (INTERNET, 80),
        (NODE_METADATA, 443),
        (ELSEWHERE, 443),
        (STRANGER, 443),
        (SERVER, 8500),
    ):
        assert not may_connect(overlay, TRAINING, peer, port)
    assert not any(may_connect(overlay, peer, TRAINING, 80) for peer in (CLIENT, STRANGER, ELSEWHERE))


def test_pushgateway_is_read_by_prometheus_alone_and_connects_to_nothing() -> None:
    assert may_connect(PRODUCTION, PROMETHEUS, GATEWAY, 9091)
    assert not any(
        may_connect(PRODUCTION, peer, GATEWAY, 9091) for peer in (STRANGER, ELSEWHERE, EDGE, CLIENT)
    )
    assert not any(may_connect(PRODUCTION, GATEWAY, peer, 53) for peer in (DNS, SERVER, INTERNET))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_scoring_needs_no_network_and_has_none(overlay: str) -> None:
    labels = {
        one["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"]
        for one in of_kind(SCORING, "Job", "Deployment")
    }
    assert labels == {SCORER.name}
    assert not any("--url" in str(pod) for _, pod in pods(SCORING))
    for peer, port in ((INTERNET, 443), (SERVER, 8500), (GATEWAY, 9091)):
        assert not may_connect(overlay, SCORER, peer, port)
