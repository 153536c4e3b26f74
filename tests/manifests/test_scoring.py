"""What scores in batches: jobs that fit each other, their files, and the overlay that they are beside."""

import re
from pathlib import Path
from typing import Any

import pytest

from models import catalogue
from tests.manifests.rendered import (
    OVERLAYS,
    ROOT,
    SCORING,
    SCORING_BESIDE,
    Document,
    containers,
    named,
    of_kind,
    pods,
)
from training.score_command import score


def test_scoring_parts_are_as_many_as_the_jobs_pods_and_all_of_one_version() -> None:
    scored, joined = scorings()
    job = named(SCORING, "Job", "score-imdb")["spec"]
    assert job["completionMode"] == "Indexed"
    assert job["completions"] == scored["shards"] == joined["shards"]
    assert scored["output"] == joined["output"]
    assert (scored["join"], joined["join"]) == (False, True)
    assert scored["version"] is not None
    assert scored["model"] in catalogue.names()


def scorings() -> tuple[dict[str, Any], dict[str, Any]]:
    """The options of `kedge score` that scores, and of the one that joins."""
    asked = {}
    for name, pod in pods(SCORING):
        (container,) = pod["containers"]
        if name.startswith("Job/"):
            assert container["command"] == ["kedge", "score"]
            with score.make_context(name, list(container["args"])) as context:
                asked[name] = context.params
    return asked["Job/score-imdb"], asked["Job/join-imdb"]


def test_scoring_mounts_its_volume_and_the_store() -> None:
    (claim,) = of_kind(SCORING, "PersistentVolumeClaim")
    (store,) = of_kind("base", "PersistentVolumeClaim")
    for _, pod in pods(SCORING):
        (container,) = pod["containers"]
        volumes = {one["name"]: one for one in pod["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
        claimed = {
            one["persistentVolumeClaim"]["claimName"] for one in volumes.values() if "emptyDir" not in one
        }
        assert claim["metadata"]["name"] in claimed
        assert claimed <= {claim["metadata"]["name"], store["metadata"]["name"]}


def test_scoring_waits_until_its_input_is_copied_in() -> None:
    """The input is copied into the volume that the same apply makes, by the commands of k8s/README.md."""
    assert all(job["spec"]["suspend"] is True for job in of_kind(SCORING, "Job"))
    scored, joined = scorings()
    (source,) = scored["paths"]
    said = (ROOT / "k8s" / "README.md").read_text()
    assert f"dd of={source} " in said
    assert f"cat {joined['output']} " in said
    commands = "\n".join(line for line in said.splitlines() if line.startswith("    "))
    there = {(one["kind"].lower(), one["metadata"]["name"]) for one in of_kind(SCORING, "Job", "Deployment")}
    assert set(re.findall(r"\b(job|deployment)[ /]([\w-]+)", commands)) == there
    (files,) = (pod["containers"][0] for name, pod in pods(SCORING) if name.startswith("Deployment/"))
    (mount,) = files["volumeMounts"]
    assert Path(mount["mountPath"]) == source.parent == joined["output"].parent
    assert not mount.get("readOnly")


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_scoring_takes_the_image_and_the_kind_of_volume_of_what_it_is_beside(overlay: str) -> None:
    beside = SCORING_BESIDE[overlay]
    assert {one["image"] for _, one in containers(beside)} == {
        one["image"] for _, one in containers(overlay) if one["name"] == "train"
    }
    (claim,) = of_kind(beside, "PersistentVolumeClaim")
    store = named(overlay, "PersistentVolumeClaim", "model-store")
    assert kind_of_volume(claim) == kind_of_volume(store)


def kind_of_volume(claim: Document) -> tuple[object, object]:
    return claim["spec"]["accessModes"], claim["spec"].get("storageClassName")
