"""--target, and the servers that the rows are asked of."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .table import Row

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

if TYPE_CHECKING:
    from .servers import Single
    from .talk import Server


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--target",
        metavar="HOST:PORT,HOST:PORT",
        help="gRPC and REST address of a server to hold against the contract (see README.md here)",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is not asked of this server."""
    target = config.getoption("--target", default=None)
    left_out = [item for item in items if not _is_asked(item, of_us=target is None)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in set(left_out)]


def _is_asked(item: pytest.Item, *, of_us: bool) -> bool:
    callspec = getattr(item, "callspec", None)
    row = callspec.params.get("row") if callspec is not None else None
    if not isinstance(row, Row):
        return True
    return row.ours if of_us else row.server == "plain" and row.real and row.confirmed


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the suite's models and configuration files."""
    from . import models

    path = tmp_path_factory.mktemp("store")
    models.write(path)
    return path


@pytest.fixture(scope="session")
def plain(request: pytest.FixtureRequest) -> Iterator[Server]:
    """The server of --target, or else ours with the same flags."""
    from . import servers, talk

    target = request.config.getoption("--target", default=None)
    if target is not None:
        grpc_address, _, rest_address = target.partition(",")
        with talk.talking(grpc_address, rest_address) as server:
            yield server
        return
    with servers.running("plain", request.getfixturevalue("store")) as server:
        yield server


@pytest.fixture(scope="session")
def starting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Single]:
    """A server of one model whose warm-up takes a while, with the first answer that it gave."""
    from . import models, servers

    place = tmp_path_factory.mktemp("single")
    models.save(place / "1", models.half_plus(2))
    models.warm_up(place / "1", *[models.prediction_log(models.WARM_UP)] * 1000)
    with servers.single(place, place / "grpc") as started:
        yield started


@pytest.fixture(scope="session")
def single(starting: Single) -> Server:
    """The server of one model."""
    return starting.server


@pytest.fixture(scope="session")
def flags(store: Path) -> Iterator[Server]:
    """Ours on the same models with batching and all other flags that change answers."""
    from . import servers

    with servers.running("flags", store) as server:
        yield server
