"""Every document is what the Kubernetes API takes, with no field that it does not know."""

import json
import os
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest

from tests.manifests.rendered import OVERLAYS, Document, documents, of_kind, render

OLDEST, NEWEST = "1.31", "1.37"
"""podFailurePolicy is stable, and unhealthyPodEvictionPolicy too, since 1.31."""
SCHEMAS = os.environ.get("KEDGE_CRD_SCHEMAS", "")
"""A directory of JSON schemas, GROUP/KIND_VERSION.json, as a clone of datreeio/CRDs-catalog is one."""
CUSTOM = ("monitoring.coreos.com/", "serving.kserve.io/")


def is_custom(document: Document) -> bool:
    return str(document["apiVersion"]).startswith(CUSTOM)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_kustomize_renders_without_a_warning(overlay: str) -> None:
    written, said = render(overlay)
    assert written
    assert said == ""


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_documents_are_strictly_valid(overlay: str, version: str) -> None:
    for document in documents(overlay):
        if not is_custom(document):
            kubernetes_validate.validate(document, version, strict=True)


def test_serving_runtime_holds_a_valid_pod() -> None:
    (runtime,) = of_kind("overlays/kserve", "ServingRuntime")
    pod = {name: runtime["spec"][name] for name in ("containers", "volumes")}
    as_pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "runtime"}, "spec": pod}
    kubernetes_validate.validate(as_pod, NEWEST, strict=True)


@pytest.mark.parametrize("overlay", ["overlays/production", "overlays/kserve"])
def test_custom_resources_are_valid_by_their_own_schemas(overlay: str) -> None:
    if not SCHEMAS:
        pytest.skip("KEDGE_CRD_SCHEMAS names no directory of custom resources' schemas")
    for document in filter(is_custom, documents(overlay)):
        group, _, version = document["apiVersion"].partition("/")
        schema = Path(SCHEMAS, group, f"{document['kind'].lower()}_{version}.json")
        jsonschema.Draft202012Validator(json.loads(schema.read_text())).validate(document)
