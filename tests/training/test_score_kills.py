"""A scoring job that is killed at any moment loses no row and doubles none."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
@pytest.mark.parametrize("mode", ["once", "always"])
def test_job_killed_at_every_change_of_a_file_ends_with_the_undisturbed_output(
    tmp_path: Path, mode: str, suffix: str
) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    texts = [f"a {'good' if row % 3 else 'bad'} film number {row}" if row % 5 else "" for row in range(18)]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    done = subprocess.run(
        [sys.executable, "-m", "tests.training.scoring_kills", str(tmp_path), suffix, mode],
        cwd=ROOT,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    kills = [int(line.split()[1]) for line in done.stdout.splitlines()]
    assert kills[-1] == 0
    if mode == "once":
        assert kills[:-1] == [1] * (len(kills) - 1)
        assert len(kills) > 40
    else:
        assert max(kills) > 3
