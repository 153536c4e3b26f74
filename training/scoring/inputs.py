"""Opening an input: what a path holds, by its suffix."""

from collections.abc import Sequence
from pathlib import Path

from models.model import Model
from training.errors import DataError
from training.scoring import arrays, cells, files, lines
from training.scoring.rows import Columns, Source

EXPECTED = (
    "expected .npy, .npz, .jsonl, .ndjson, .csv, .tsv, .parquet, .txt (an input a line), .png, .jpg, .jpeg or"
    " a directory of such images"
)
JSON_LINES = (".jsonl", ".ndjson")
PICTURES = (".png", ".jpg", ".jpeg")


def open_input(model: Model, paths: Sequence[Path], column: str | None, key: str | None) -> Source:
    """Open what the paths name, or raise DataError.

    Several paths are files of one row each, and directories of such.
    """
    for path in paths:
        if not path.exists():
            raise DataError(f"there is no {path}; {EXPECTED}")
    columns = Columns(column, key, tuple(spec.name for spec in cells.raw_specs(model)))
    path = paths[0]
    suffix = path.suffix.lower()
    if len(paths) > 1 or path.is_dir() or suffix in PICTURES:
        source: Source = files.directory(path) if len(paths) == 1 and path.is_dir() else files.several(paths)
    else:
        source = _open_file(path, suffix, columns)
    if source.column is None and suffix not in JSON_LINES and (column or key) is not None:
        raise DataError(f"{path} has no columns; leave out --column and --key")
    return source


def _open_file(path: Path, suffix: str, columns: Columns) -> Source:
    if suffix == ".npy":
        return arrays.npy(path)
    if suffix == ".npz":
        return arrays.npz(path, columns)
    if suffix in JSON_LINES:
        return lines.json_lines(path, columns)
    if suffix in (".csv", ".tsv"):
        return lines.separated(path, columns, "\t" if suffix == ".tsv" else ",")
    if suffix == ".txt":
        return lines.plain(path)
    if suffix == ".parquet":
        from training.scoring import parquet

        return parquet.read(path, columns)
    raise DataError(f"{path} has a suffix that tells no format; {EXPECTED}")
