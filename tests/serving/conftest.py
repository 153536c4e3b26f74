"""SavedModels and servables for the server's tests, each made once."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from serving.servable import Servable, load
from tests.serving import saved_models


@pytest.fixture(autouse=True)
def clean_logging() -> Iterator[None]:
    """Take back the log's handler that starting the server in this process sets: its stream is the test's."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    for handler in root.handlers[:]:
        if handler not in handlers and not type(handler).__module__.startswith("_pytest"):
            root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture(scope="session")
def models_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


def _made(directory: Path, make: Callable[[Path], Path]) -> Path:
    path = directory / make.__name__ / "1"
    return path if path.exists() else make(path)


@pytest.fixture(scope="session")
def half_plus_two(models_directory: Path) -> Path:
    """The version directory; its parent is a base path, whose parent is a model store."""
    return _made(models_directory, saved_models.half_plus_two)


@pytest.fixture(scope="session")
def half_plus_two_servable(half_plus_two: Path) -> Iterator[Servable]:
    yield from _loaded(half_plus_two)


@pytest.fixture(scope="session")
def two_in_two_out(models_directory: Path) -> Iterator[Servable]:
    yield from _loaded(_made(models_directory, saved_models.two_in_two_out))


@pytest.fixture(scope="session")
def strings(models_directory: Path) -> Iterator[Servable]:
    yield from _loaded(_made(models_directory, saved_models.strings))


@pytest.fixture(scope="session")
def scalar(models_directory: Path) -> Iterator[Servable]:
    yield from _loaded(_made(models_directory, saved_models.scalar))


@pytest.fixture(scope="session")
def every_dtype(models_directory: Path) -> Iterator[Servable]:
    yield from _loaded(_made(models_directory, saved_models.every_dtype))


@pytest.fixture(scope="session")
def peculiar(models_directory: Path) -> Iterator[Servable]:
    yield from _loaded(_made(models_directory, saved_models.peculiar))


def _loaded(path: Path) -> Iterator[Servable]:
    servable = load(path)
    yield servable
    servable.close()
