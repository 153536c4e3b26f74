"""The real data sets reach the source's results. Marked real_data: skipped where the files are not found."""

from pathlib import Path

import numpy as np
import pytest

from models import catalogue
from models.model import RaggedArray
from training import npz
from training.job import JobOptions, train

pytestmark = pytest.mark.real_data


@pytest.mark.parametrize(("name", "least"), [("mnist", 0.975), ("imdb", 0.875)])
def test_accuracy_on_the_test_set_reaches_the_source_s(
    name: str, least: float, real_data: Path, tmp_path: Path
) -> None:
    model = catalogue.find(name)
    result = train(JobOptions(model=model, model_store=tmp_path, data_dir=real_data, min_accuracy=least))
    assert result.accuracy >= least
    assert not result.sample
    assert set(result.sha256) == {file.name for file in model.dataset.files}
    assert (result.path / "assets.extra" / "report.html").stat().st_size < 400_000


def test_imdb_lists_are_read_as_numpy_unpickles_them(real_data: Path) -> None:
    """The real file is known not to run code, so NumPy's own reading is the reference."""
    path = real_data / "imdb.npz"
    read = npz.read_npz(path.read_bytes(), path.name)["x_test"]
    with np.load(path, allow_pickle=True) as arrays:
        reference = arrays["x_test"]
    assert isinstance(read, RaggedArray)
    assert np.array_equal(read.lengths, [len(row) for row in reference])
    assert np.array_equal(read.values, np.concatenate([np.asarray(row) for row in reference]))
