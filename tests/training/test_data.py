"""Where data files are looked for, and that nothing is read whose checksum is wrong."""

import hashlib
import http.server
import os
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.model import Dataset, Model
from training import data, store
from training.data import LoadedData
from training.errors import DataError


def load(dataset: Dataset, waited: list[float] | None = None, **options: Any) -> LoadedData:
    """Load without waiting between attempts; `waited` gets the seconds."""
    return data.load(dataset, sleep=[].append if waited is None else waited.append, **options)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class Site:
    """A web site of one page, which counts how often it was asked."""

    url: str
    content: bytes = b""
    declared: int | None = None
    asked: int = 0
    codes: list[int] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)


@pytest.fixture
def site() -> Iterator[Site]:
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page.asked += 1
            page.paths.append(self.path)
            code = 200 if self.path.endswith("/points.npz") else 404
            self.send_response(page.codes.pop(0) if page.codes else code)
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
    loaded = load(model.dataset, data_dir=tmp_path)
    assert len(loaded.splits.train) == 240
    assert loaded.sha256 == {"points.npz": sha256(points_file)}
    assert loaded.source == str(tmp_path)
    assert not loaded.sample


def test_sums_beside_the_file_that_match_are_accepted(
    model: Model, points_file: bytes, tmp_path: Path
) -> None:
    (tmp_path / "points.npz").write_bytes(points_file)
    (tmp_path / "SHA256SUMS").write_text(f"{'0' * 64}  other.npz\n{sha256(points_file)} *points.npz\n")
    assert len(load(model.dataset, data_dir=tmp_path).splits.test) == 60


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
        load(model.dataset, data_dir=tmp_path)


def test_file_without_the_arrays_of_the_model_is_refused(model: Model, tmp_path: Path) -> None:
    np.savez(tmp_path / "points.npz", other=np.zeros(1))
    with pytest.raises(DataError, match=r"not what the model needs: .* expected x_train"):
        load(model.dataset, data_dir=tmp_path)


def test_file_in_keras_cache_with_the_published_checksum_is_read_without_a_download(
    published: Dataset, site: Site, points_file: bytes
) -> None:
    cache = Path(os.environ["KERAS_HOME"]) / "datasets"
    cache.mkdir(parents=True)
    (cache / "points.npz").write_bytes(points_file)
    assert load(published).source == str(cache)
    assert site.asked == 0


def test_damaged_file_in_keras_cache_is_refused_with_what_to_do(published: Dataset) -> None:
    cache = Path(os.environ["KERAS_HOME"]) / "datasets"
    cache.mkdir(parents=True)
    (cache / "points.npz").write_bytes(b"damaged")
    with pytest.raises(DataError, match="delete it to have it downloaded anew"):
        load(published)


def test_missing_file_is_downloaded_once_and_kept_in_keras_cache(
    published: Dataset, site: Site, tmp_path: Path, listing: Callable[[Path], list[str]]
) -> None:
    """The second time the cache answers; a data directory without the file is no obstacle."""
    empty = tmp_path / "empty"
    empty.mkdir()
    assert len(load(published, data_dir=empty).splits.train) == 240
    assert len(load(published).splits.train) == 240
    assert site.asked == 1
    assert listing(Path(os.environ["KERAS_HOME"])) == ["datasets", "datasets/points.npz"]


def test_md5_of_the_publisher_is_verified(published: Dataset, site: Site) -> None:
    digest = hashlib.md5(site.content, usedforsecurity=False).hexdigest()
    dataset = replace(published, files=(replace(published.files[0], checksum=f"md5:{digest}"),))
    assert len(load(dataset).splits.train) == 240
    wrong = replace(published, files=(replace(published.files[0], checksum="md5:" + "0" * 32),))
    with pytest.raises(DataError, match="published was md5:0000"):
        load(wrong)


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
        load(published)
    assert listing(Path(os.environ["KERAS_HOME"])) == ["datasets"]


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:1/points.npz", "http://127.0.0.1:notaport/", "file:///etc/passwd", "http://[::bad"],
)
def test_no_network_is_one_line_that_says_what_to_do(published: Dataset, url: str) -> None:
    dataset = replace(published, files=(replace(published.files[0], url=url),))
    with pytest.raises(DataError, match=r"points\.npz is not in .* --data-dir, .* --sample") as caught:
        load(dataset)
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)


def test_page_that_is_not_there_is_a_data_error(published: Dataset, site: Site) -> None:
    dataset = replace(published, files=(replace(published.files[0], url=site.url + "x"),))
    with pytest.raises(DataError, match="Not Found"):
        load(dataset)


def test_cache_that_cannot_be_written_is_a_data_error(
    published: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "file"))
    with pytest.raises(DataError, match=r"cannot be kept in .*KERAS_HOME"):
        load(published)


def test_sample_needs_no_file_and_is_marked(model: Model) -> None:
    loaded = load(model.dataset, sample=True, seed=3)
    again = load(model.dataset, sample=True, seed=3)
    assert loaded.sample
    assert loaded.source == "synthetic sample, seed 3"
    assert (loaded.splits.train.inputs == again.splits.train.inputs).all()  # type: ignore[union-attr]


@pytest.mark.parametrize("codes", [[503], [500, 429, 408]])
def test_passing_failure_is_tried_again_after_longer_and_longer(
    published: Dataset, site: Site, codes: list[int]
) -> None:
    waited: list[float] = []
    site.codes = [*codes]
    assert len(load(published, waited).splits.train) == 240
    assert waited == [0.5, 1.0, 2.0][: len(codes)]
    assert site.asked == len(codes) + 1


def test_failure_that_does_not_pass_ends_after_four_attempts(published: Dataset, site: Site) -> None:
    waited: list[float] = []
    site.codes = [503] * 9
    with pytest.raises(DataError, match="Service Unavailable"):
        load(published, waited)
    assert (waited, site.asked) == ([0.5, 1.0, 2.0], 4)


def test_connection_that_breaks_off_is_tried_again(published: Dataset, site: Site) -> None:
    waited: list[float] = []
    site.declared = 10_000_000
    with pytest.raises(DataError, match="could not be downloaded"):
        load(published, waited)
    assert site.asked == 4


@pytest.mark.parametrize("code", [401, 403, 404, 410])
def test_refusal_is_not_asked_for_again(published: Dataset, site: Site, code: int) -> None:
    site.codes = [code] * 9
    with pytest.raises(DataError):
        load(published)
    assert site.asked == 1


def test_wrong_content_is_not_asked_for_again(published: Dataset, site: Site) -> None:
    site.content = b"an error page"
    with pytest.raises(DataError):
        load(published)
    assert site.asked == 1


def test_proxy_of_the_environment_is_used_and_named_without_its_password(
    published: Dataset, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = replace(published.files[0], url="http://data.invalid/points.npz")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("http_proxy", site.url.replace("http://", "http://somebody:secret@"))
    assert len(load(replace(published, files=(file,))).splits.train) == 240
    assert site.paths == ["http://data.invalid/points.npz"]
    gone = replace(file, name="other.npz", url="http://data.invalid/gone")
    with pytest.raises(DataError, match=r"downloaded through the proxy 127\.0\.0\.1:\d+ \(") as caught:
        load(replace(published, files=(gone,)))
    assert "secret" not in str(caught.value)


def test_no_proxy_of_the_environment_is_honoured(
    published: Dataset, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert len(load(published).splits.train) == 240


def test_jobs_at_once_download_once(published: Dataset, site: Site, points_file: bytes) -> None:
    """A job that finds the cache locked waits, and takes what the other has put there."""
    cache = data.keras_cache()
    cache.mkdir(parents=True)
    lengths: list[int] = []
    thread = threading.Thread(target=lambda: lengths.append(len(load(published).splits.train)))
    with store.locked(cache):
        thread.start()
        while not re.search(rf"-> FLOCK .* {os.getpid()} ", Path("/proc/locks").read_text()):
            assert thread.is_alive()
        (cache / "points.npz").write_bytes(points_file)
    thread.join()
    assert (lengths, site.asked) == ([240], 0)


def test_downloaded_file_can_be_read_by_other_users(published: Dataset, tmp_path: Path) -> None:
    """The cache is shared: the umask decides, as for any other file."""
    load(published)
    (tmp_path / "plain").touch()
    assert (data.keras_cache() / "points.npz").stat().st_mode == (tmp_path / "plain").stat().st_mode
