"""Every document is what the Kubernetes API takes, with no field that it does not know."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.manifests.rendered import EVERYTHING, Document, documents, of_kind, render

OLDEST, NEWEST = "1.31", "1.37"
"""podFailurePolicy is stable, and unhealthyPodEvictionPolicy too, since 1.31."""
SCHEMAS = os.environ.get("KEDGE_CRD_SCHEMAS", "")
"""A directory of JSON schemas, GROUP/KIND_VERSION.json, as a clone of datreeio/CRDs-catalog is one."""
CUSTOM = ("monitoring.coreos.com/", "serving.kserve.io/")
CUSTOM_OVERLAYS = ("overlays/production", "overlays/kserve")
OWN: dict[str, Document] = yaml.safe_load(Path(__file__).with_name("custom_resources.yaml").read_text())


def is_custom(document: Document) -> bool:
    return str(document["apiVersion"]).startswith(CUSTOM)


@pytest.mark.parametrize("overlay", EVERYTHING)
def test_kustomize_renders_without_a_warning(overlay: str) -> None:
    written, said = render(overlay)
    assert written
    assert said == ""


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("overlay", EVERYTHING)
def test_documents_are_strictly_valid(overlay: str, version: str) -> None:
    for document in documents(overlay):
        if not is_custom(document):
            kubernetes_validate.validate(document, version, strict=True)


def test_serving_runtime_holds_a_valid_pod() -> None:
    (runtime,) = of_kind("overlays/kserve", "ServingRuntime")
    pod = {name: runtime["spec"][name] for name in ("containers", "volumes")}
    as_pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "runtime"}, "spec": pod}
    kubernetes_validate.validate(as_pod, NEWEST, strict=True)


def custom_resources() -> list[Document]:
    return [one for overlay in CUSTOM_OVERLAYS for one in documents(overlay) if is_custom(one)]


def published(document: Document) -> Document:
    """The schema of a custom resource that its authors publish; the test is skipped where there is none."""
    if not SCHEMAS:
        pytest.skip("KEDGE_CRD_SCHEMAS names no directory of custom resources' published schemas")
    group, _, version = document["apiVersion"].partition("/")
    path = Path(SCHEMAS, group, f"{document['kind'].lower()}_{version}.json")
    return dict(json.loads(path.read_text()))


def test_custom_resources_have_only_fields_that_we_know() -> None:
    kinds = set()
    for document in custom_resources():
        assert set(document) == {"apiVersion", "kind", "metadata", "spec"}
        jsonschema.Draft202012Validator(OWN[document["kind"]]).validate(document["spec"])
        kinds.add(document["kind"])
    assert kinds == set(OWN)


def test_custom_resources_are_valid_by_their_published_schemas() -> None:
    for document in custom_resources():
        jsonschema.Draft202012Validator(published(document)).validate(document)


def test_fields_that_we_know_are_published_ones() -> None:
    for document in custom_resources():
        theirs = published(document)["properties"]["spec"]
        assert list(unpublished(OWN[document["kind"]], theirs)) == [], document["kind"]


def unpublished(ours: Document, theirs: Document, path: str = "spec") -> Iterator[str]:
    """Yield our fields that are unknown there or of another type, and those that only they require."""
    if ours["type"] != theirs.get("type", ours["type"]):
        yield f"{path}: {ours['type']}"
    yield from (f"{path}.{name}" for name in set(theirs.get("required", ())) - set(ours.get("required", ())))
    for name, field in ours.get("properties", {}).items():
        if name in theirs["properties"]:
            yield from unpublished(field, theirs["properties"][name], f"{path}.{name}")
        else:
            yield f"{path}.{name}"
    if "items" in ours:
        yield from unpublished(ours["items"], theirs["items"], f"{path}[]")
