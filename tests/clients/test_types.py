"""What a user's type checker sees."""

from pathlib import Path

from mypy import api

import clients

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import numpy as np
from numpy.typing import NDArray
from typing import Any, assert_type

from clients import (
    AsyncGrpcClient, AsyncRestClient, Batching, GrpcClient, Metadata, Prediction, Predictions, Refused,
    RestClient, Retry, Tls, VersionStatus, connect, connect_async,
)


def ask(url: str) -> str:
    tls = Tls(ca="ca.pem")
    with connect(url, timeout=3, tls=tls, token=lambda: "t", retry=Retry(attempts=2)) as client:
        assert_type(client, GrpcClient | RestClient)
        assert_type(client.predict("m", {"x": np.zeros(3)}), dict[str, NDArray[Any]])
        assert_type(client.predict_many("mnist", [np.zeros((28, 28))]), Predictions)
        assert_type(client.status("m"), list[VersionStatus])
        assert_type(client.metadata("m", label="stable"), Metadata)
        try:
            prediction: Prediction = client.predict("imdb", "A film")
        except Refused as error:
            return error.code.name + error.server_message
    assert_type(prediction.version, int | None)
    return prediction.label


async def ask_async(url: str) -> float:
    async with connect_async(url, batching=Batching(rows=64)) as client:
        assert_type(client, AsyncGrpcClient | AsyncRestClient)
        assert_type(await client.predict("m", {"x": np.zeros(3)}), dict[str, NDArray[Any]])
        (first, *_) = await client.predict_many("imdb", ["A film"])
        return first.probability
"""
MISTAKES = """
from clients import connect, connect_async

connect("grpc://host", timeuot=3)
connect("grpc://host", timeout="3")
connect("grpc://host").predict(3, {})
connect("grpc://host").status("m")[0].sate
connect_async("grpc://host", retries=3)
"""


def check(tmp_path: Path, program: str) -> list[str]:
    """The errors that mypy --strict finds in a user's program, who has kedge installed."""
    (tmp_path / "program.py").write_text(program)
    arguments = [
        "--strict",
        "--no-error-summary",
        "--no-pretty",
        "--config-file=",
        str(tmp_path / "program.py"),
    ]
    out, err, _ = api.run([*arguments, f"--cache-dir={ROOT / '.mypy_cache' / 'user'}"])
    assert err == ""
    return [line.partition(": ")[0].rpartition(":")[2] for line in out.splitlines() if ": error: " in line]


def test_program_of_a_user_passes_strict(tmp_path: Path) -> None:
    assert check(tmp_path, PROGRAM) == []


def test_every_mistake_is_found(tmp_path: Path) -> None:
    assert check(tmp_path, MISTAKES) == ["4", "5", "6", "7", "8"]


def test_package_says_that_it_is_typed() -> None:
    assert Path(clients.__file__).with_name("py.typed").exists()
