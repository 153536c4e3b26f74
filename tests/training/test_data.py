"""Where data files are looked for, and that nothing is read whose checksum is wrong."""

import hashlib
import http.server
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from models.model import Dataset, Model
from training import data
from training.errors import DataError


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class Site:
    """A web site of one page, which counts how often it was asked."""

    url: str
    content: bytes = b""
    declared: int | None = None
    asked: int = 0


@pytest.fixture
def site() -> Iterator[Site]:
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page.asked += 1
            self.send_response(200 if self.path == "/points.npz" else 404)
            self.send_header("Content-Length", str(page.declared or len(page.content)))
            self.end_headers()
            self.wfile.write(page.content)

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        page = Site(f"http://127.0.0.1:{server.server_address[1]}/points.npz")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield page
        server.shutdown()
        thread.join()


@pytest.fixture
def published(model: Model, site: Site, points_file: bytes) -> Dataset:
    """The data set as its publisher has it: at the site, with the right checksum."""
    site.content = points_file
    (file,) = model.dataset.files
    return replace(
        model.dataset, files=(replace(file, url=site.url, checksum=f"sha256:{sha256(points_file)}"),)
    )


def test_data_directory_without_sums_is_read_and_its_digest_recorded(
    model: Model, points_file: bytes, tmp_path: Path
) -> None:
    (tmp_path / "points.npz").write_bytes(points_file)
    loaded = data.load(model.dataset, data_dir=tmp_path)
    assert len(loaded.splits.train) == 240
    assert loaded.sha256 == {"points.npz": sha256(points_file)}
    assert loaded.source == str(tmp_path)
    assert not loaded.sample


def test_sums_beside_the_file_that_match_are_accepted(
    model: Model, points_file: bytes, tmp_path: Path
) -> None:
    (tmp_path / "points.npz").write_bytes(points_file)
    (tmp_path / "SHA256SUMS").write_text(f"{'0' * 64}  other.npz\n{sha256(points_file)} *points.npz\n")
    assert len(data.load(model.dataset, data_dir=tmp_path).splits.test) == 60


@pytest.mark.parametrize(
    ("sums", "message"),
    [
        ("0" * 64 + "  points.npz\n", "beside it says 0000"),
        ("0" * 64 + "  other.npz\n", r"does not list points\.npz"),
        ("not a digest\n", "line 1 of .*SHA256SUMS is 'not a digest'"),
    ],
)
def test_sums_beside_the_file_are_enforced(
    model: Model, points_file: bytes, tmp_path: Path, sums: str, message: str
) -> None:
    (tmp_path / "points.npz").write_bytes(points_file)
    (tmp_path / "SHA256SUMS").write_text(sums)
    with pytest.raises(DataError, match=message):
        data.load(model.dataset, data_dir=tmp_path)


def test_file_without_the_arrays_of_the_model_is_refused(model: Model, tmp_path: Path) -> None:
    np.savez(tmp_path / "points.npz", other=np.zeros(1))
    with pytest.raises(DataError, match=r"not what the model needs: .* expected x_train"):
        data.load(model.dataset, data_dir=tmp_path)


def test_file_in_keras_cache_with_the_published_checksum_is_read_without_a_download(
    published: Dataset, site: Site, points_file: bytes
) -> None:
    cache = Path(os.environ["KERAS_HOME"]) / "datasets"
    cache.mkdir(parents=True)
    (cache / "points.npz").write_bytes(points_file)
    assert data.load(published).source == str(cache)
    assert site.asked == 0


def test_damaged_file_in_keras_cache_is_refused_with_what_to_do(published: Dataset) -> None:
    cache = Path(os.environ["KERAS_HOME"]) / "datasets"
    cache.mkdir(parents=True)
    (cache / "points.npz").write_bytes(b"damaged")
    with pytest.raises(DataError, match="delete it to have it downloaded anew"):
        data.load(published)


def test_missing_file_is_downloaded_once_and_kept_in_keras_cache(
    published: Dataset, site: Site, tmp_path: Path, listing: Callable[[Path], list[str]]
) -> None:
    """The second time the cache answers; a data directory without the file is no obstacle."""
    empty = tmp_path / "empty"
    empty.mkdir()
    assert len(data.load(published, data_dir=empty).splits.train) == 240
    assert len(data.load(published).splits.train) == 240
    assert site.asked == 1
    assert listing(Path(os.environ["KERAS_HOME"])) == ["datasets", "datasets/points.npz"]


def test_md5_of_the_publisher_is_verified(published: Dataset, site: Site) -> None:
    digest = hashlib.md5(site.content, usedforsecurity=False).hexdigest()
    dataset = replace(published, files=(replace(published.files[0], checksum=f"md5:{digest}"),))
    assert len(data.load(dataset).splits.train) == 240
    wrong = replace(published, files=(replace(published.files[0], checksum="md5:" + "0" * 32),))
    with pytest.raises(DataError, match="published was md5:0000"):
        data.load(wrong)


@pytest.mark.parametrize(
    ("content", "declared", "message"),
    [
        (b"an error page", None, r"\(13 bytes\) has the sha256"),
        (b"half", 8, "could not be downloaded"),
    ],
)
def test_wrong_download_is_refused_and_leaves_nothing_in_the_cache(  # noqa: PLR0917 (a table)
    published: Dataset,
    site: Site,
    listing: Callable[[Path], list[str]],
    content: bytes,
    declared: int | None,
    message: str,
) -> None:
    site.content, site.declared = content, declared
    with pytest.raises(DataError, match=message):
        data.load(published)
    assert listing(Path(os.environ["KERAS_HOME"])) == []


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:1/points.npz", "http://127.0.0.1:notaport/", "file:///etc/passwd", "http://[::bad"],
)
def test_no_network_is_one_line_that_says_what_to_do(published: Dataset, url: str) -> None:
    dataset = replace(published, files=(replace(published.files[0], url=url),))
    with pytest.raises(DataError, match=r"points\.npz is not in .* --data-dir, .* --sample") as caught:
        data.load(dataset)
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)


def test_page_that_is_not_there_is_a_data_error(published: Dataset, site: Site) -> None:
    dataset = replace(published, files=(replace(published.files[0], url=site.url + "x"),))
    with pytest.raises(DataError, match="Not Found"):
        data.load(dataset)


def test_cache_that_cannot_be_written_is_a_data_error(
    published: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "file"))
    with pytest.raises(DataError, match=r"cannot be kept in .*KERAS_HOME"):
        data.load(published)


def test_sample_needs_no_file_and_is_marked(model: Model) -> None:
    loaded = data.load(model.dataset, sample=True, seed=3)
    again = data.load(model.dataset, sample=True, seed=3)
    assert loaded.sample
    assert loaded.source == "synthetic sample, seed 3"
    assert (loaded.splits.train.inputs == again.splits.train.inputs).all()  # type: ignore[union-attr]
