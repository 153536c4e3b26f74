import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import models
from models import catalogue

THIRD = """
from dataclasses import replace
from models.mnist import MODEL as MNIST
MODEL = replace(MNIST, name="{name}")
"""


def run_python(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120
    ).stdout


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A further folder of models, forgotten afterwards."""
    monkeypatch.setattr(models, "__path__", [*models.__path__, str(tmp_path)])
    yield tmp_path
    sys.modules.pop("models.letters", None)
    vars(models).pop("letters", None)


def test_names_lists_the_modules_with_a_model() -> None:
    assert catalogue.names() == ("imdb", "mnist")


@pytest.mark.parametrize("name", ["imdb", "mnist"])
def test_find_gives_the_model_of_that_name(name: str) -> None:
    assert catalogue.find(name).name == name


def test_find_of_an_unknown_name_lists_the_models() -> None:
    with pytest.raises(
        catalogue.UnknownModelError, match="no model 'cats'; the models are imdb, mnist"
    ) as raised:
        catalogue.find("cats")
    assert raised.value.exit_code == 2


@pytest.mark.parametrize("name", ["digits", "model", "os", "../mnist", ""])
def test_find_of_a_module_without_a_model_is_refused(name: str) -> None:
    with pytest.raises(catalogue.UnknownModelError):
        catalogue.find(name)


def test_a_third_model_is_one_new_file(folder: Path) -> None:
    (folder / "letters.py").write_text(THIRD.format(name="letters"))
    (folder / "letters_parts.py").write_text("raise RuntimeError('a module without MODEL was imported')\n")
    assert catalogue.names() == ("imdb", "letters", "mnist")
    assert catalogue.find("letters").name == "letters"


def test_a_model_under_another_modules_name_is_a_fault(folder: Path) -> None:
    (folder / "letters.py").write_text(THIRD.format(name="words"))
    with pytest.raises(TypeError, match="expected a Model with the name 'letters'"):
        catalogue.find("letters")


def test_clients_work_with_models_without_tensorflow() -> None:
    code = (
        "import sys; sys.modules['tensorflow'] = sys.modules['keras'] = None\n"
        "import numpy as np; from models import catalogue\n"
        "for name in catalogue.names():\n"
        "    model = catalogue.find(name)\n"
        "    splits = model.dataset.sample(1)\n"
        "    raw = splits.test.inputs[:3]\n"
        "    model.preprocess(raw, splits.vocabulary), model.raw_request(raw), model.show(raw[0])\n"
        "print('ok')\n"
    )
    assert run_python(code) == "ok\n"


def test_finding_one_model_imports_no_other() -> None:
    code = (
        "import sys; from models import catalogue\n"
        "catalogue.find('imdb'); print('models.mnist' in sys.modules)\n"
    )
    assert run_python(code) == "False\n"
