"""The manifests as a cluster would get them, rendered once each, and the pods inside them."""

import functools
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
OVERLAYS = ("base", "overlays/local", "overlays/production", "overlays/kserve")
SCORING = "scoring"
SCORING_BESIDE = {
    "base": SCORING,
    "overlays/local": "overlays/local/scoring",
    "overlays/production": "overlays/production/scoring",
    "overlays/kserve": SCORING,
}
"""What is applied beside each overlay to score."""
SCORINGS = tuple(dict.fromkeys(SCORING_BESIDE.values()))
EVERYTHING = (*OVERLAYS, *SCORINGS)

Document = dict[str, Any]


@functools.cache
def render(overlay: str) -> tuple[str, str]:
    """Return what kustomize wrote to standard output and to standard error for a folder of k8s/."""
    commands = [("kubectl", "kustomize"), ("kustomize", "build")]
    found = next((command for command in commands if shutil.which(command[0])), None)
    if found is None:
        reason = "neither kubectl nor kustomize is here to render the manifests"
        pytest.skip(reason, allow_module_level=True)
    answer = subprocess.run([*found, ROOT / "k8s" / overlay], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout, answer.stderr


@functools.cache
def documents(overlay: str) -> list[Document]:
    """Return the rendered documents of a folder of k8s/, to be read only."""
    return list(yaml.safe_load_all(render(overlay)[0]))


def of_kind(overlay: str, *kinds: str) -> list[Document]:
    """Return the documents of some kinds."""
    return [document for document in documents(overlay) if document["kind"] in kinds]


def named(overlay: str, kind: str, name: str) -> Document:
    """Return the one document of a kind and a name."""
    (found,) = (one for one in of_kind(overlay, kind) if one["metadata"]["name"] == name)
    return found


def pods(overlay: str) -> Iterator[tuple[str, Document]]:
    """Yield the name and the spec of every pod that the documents make."""
    for document in documents(overlay):
        name, spec = f"{document['kind']}/{document['metadata']['name']}", document.get("spec", {})
        if document["kind"] == "CronJob":
            spec = spec["jobTemplate"]["spec"]
        if document["kind"] == "ServingRuntime":
            yield name, spec
        elif "template" in spec:
            yield name, spec["template"]["spec"]


def containers(overlay: str) -> Iterator[tuple[str, Document]]:
    """Yield the name and the definition of every container, initial ones too."""
    for name, pod in pods(overlay):
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            yield f"{name}/{container['name']}", container
