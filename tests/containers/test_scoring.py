"""The scoring Job of k8s/scoring: its containers' own commands, as the pods of an Indexed Job."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.containers import engine
from tests.containers.engine import Stack, docker
from tests.manifests.rendered import SCORING, named

ROWS = 4000
FILMS = ("one of the best films of the year", "a dull and boring film")


def container(job: str) -> dict[str, Any]:
    (found,) = named(SCORING, "Job", job)["spec"]["template"]["spec"]["containers"]
    return dict(found)


def run_pod(stack: Stack, scoring: Path, job: str, *options: str) -> str:
    """Run a Job's container on the stack's models with the manifest's command, arguments and mounts."""
    wanted = container(job)
    sources = {"models": f"{stack.project}_models", "scoring": str(scoring)}
    mounts = [
        f"--volume={sources[one['name']]}:{one['mountPath']}{':ro' if one.get('readOnly') else ''}"
        for one in wanted["volumeMounts"]
        if one["name"] != "tmp"
    ]
    program, *command = wanted["command"]
    hardened = (*engine.HARDENED, "--network=none", f"--entrypoint={program}", *options, *mounts)
    return docker("run", "--rm", *hardened, wanted["image"], *command, *wanted["args"]).stdout


def test_parts_that_the_pods_score_are_joined_in_the_inputs_order(stack: Stack, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    lines = (json.dumps({"key": str(row), "text": FILMS[row % 2]}) for row in range(ROWS))
    (tmp_path / "reviews.jsonl").write_text("\n".join(lines))
    job = named(SCORING, "Job", "score-imdb")["spec"]
    with ThreadPoolExecutor(job["parallelism"]) as pods:
        indexes = [f"--env=JOB_COMPLETION_INDEX={index}" for index in range(job["completions"])]
        list(pods.map(lambda index: run_pod(stack, tmp_path, "score-imdb", index), indexes))
    run_pod(stack, tmp_path, "join-imdb")
    answers = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert [answer["key"] for answer in answers] == [str(row) for row in range(ROWS)]
    assert {answer["version"] for answer in answers} == {1}
    labels = [answer["label"] for answer in answers]
    assert labels == labels[:2] * (ROWS // 2)
    if stack.real:
        assert labels[:2] == ["positive", "negative"]
