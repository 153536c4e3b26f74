"""The command `kedge train`."""

from __future__ import annotations

import json
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from models import catalogue
from training.progress import to_stderr

if TYPE_CHECKING:
    from training.result import JobResult

LARGEST_SEED = 2**32 - 1
UNITS = re.compile(r"[1-9][0-9]{0,5}", re.ASCII)
"""Up to a million units a layer: what memory can hold."""
TERMINATED = 143


class Units(click.ParamType[tuple[int, ...]]):
    """The units of the hidden layers: whole numbers from 1 to 999999, with commas between."""

    name = "units"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Turn "16,16" into (16, 16)."""
        if isinstance(value, tuple):
            return value
        parts = [part.strip() for part in str(value).split(",")]
        if not all(UNITS.fullmatch(part) for part in parts):
            self.fail(
                f"{str(value)[:80]!r} is not the units of one or more layers, each up to 999999: e.g. 16,16",
                param,
                ctx,
            )
        return tuple(int(part) for part in parts)


@click.command()
@click.argument("model")
@click.option(
    "--data-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    envvar=["KEDGE_TRAIN_DATA_DIR", "KEDGE_DATA_DIR"],
    show_envvar=True,
    help="Where the data files are; else Keras's cache, else they are downloaded into it.",
)
@click.option(
    "--sample", is_flag=True, help="Train on a small synthetic set; the version is marked as sample."
)
@click.option(
    "--model-store",
    type=click.Path(path_type=Path),
    default=Path("model_store"),
    show_default=True,
    help="Where the version is published, as MODEL/VERSION.",
)
@click.option(
    "--epochs", type=click.IntRange(min=1), help="Epochs (of the first phase).  [default: the model's]"
)
@click.option("--batch-size", type=click.IntRange(min=1), help="Examples in a batch.  [default: the model's]")
@click.option(
    "--seed",
    type=click.IntRange(0, LARGEST_SEED),
    default=0,
    show_default=True,
    help="The same seed gives the same weights.",
)
@click.option(
    "--hidden", type=Units(), metavar="N,N,...", help="Units of the hidden layers.  [default: the model's]"
)
@click.option(
    "--min-accuracy",
    type=click.FloatRange(0, 1),
    help="Publish nothing, with exit code 4, if the accuracy on the test set is lower.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON document.")
def train(model: str, *, as_json: bool, **options: Any) -> None:
    """Train MODEL and publish it as the next version of the model store."""
    known = catalogue.find(model)
    with _ending_on_sigterm():
        from training.quiet import import_tensorflow

        import_tensorflow()
        from training import job

        result = job.train(job.JobOptions(model=known, **options), to_stderr())
    click.echo(json.dumps(result.document()) if as_json else _describe(result))


def _describe(result: JobResult) -> str:
    marked = " (trained on synthetic sample data)" if result.sample else ""
    return (
        f"{result.name} version {result.version}: accuracy {result.accuracy:.4f}, loss {result.loss:.4f}"
        f" on the test set after {result.epochs} epochs, {sum(result.seconds.values()):.1f} s{marked}\n"
        f"{result.path}"
    )


@contextmanager
def _ending_on_sigterm() -> Iterator[None]:
    """Let SIGTERM end the job as an exception does, as SIGINT already does, so that its staging goes."""

    def end(_number: int, _frame: FrameType | None) -> None:
        sys.exit(TERMINATED)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
