"""The command `kedge train`."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from models import catalogue
from training import job_metrics, logs
from training.preemption import Preemption

if TYPE_CHECKING:
    from training.result import JobResult

LARGEST_SEED = 2**32 - 1
UNITS = re.compile(r"[1-9][0-9]{0,5}", re.ASCII)
"""Up to a million units a layer: what memory can hold."""


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


def _metrics_file(_context: click.Context, _parameter: click.Parameter, value: Path | None) -> Path | None:
    if value is not None and value.suffix != ".prom":
        raise click.BadParameter(f"{value} does not end in .prom; node_exporter reads no other files")
    return value


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
    help="Publish nothing, with exit code 4, if the accuracy on the test set is lower.  "
    "[default: the model's]",
)
@click.option(
    "--max-regression",
    type=click.FloatRange(0, 1),
    help="Publish nothing, with exit code 4, if the accuracy is lower by more than this than that of the "
    "version served now (labelled stable, else the newest), measured on the same test set.",
)
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    metavar="N",
    help="Remove older versions than the newest N, but for labelled ones.  [default: remove none]",
)
@click.option(
    "--resume/--no-resume",
    default=True,
    show_default=True,
    help="Go on from where the same command was ended by SIGTERM, or start anew.",
)
@click.option("--pushgateway", metavar="URL", help="Push how the job went to a Prometheus Pushgateway.")
@click.option(
    "--metrics-file",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=_metrics_file,
    metavar="PATH.prom",
    help="Write how the job went for node_exporter's textfile collector; a file for each model.",
)
@click.option(
    "--log-format",
    type=click.Choice(["auto", "json", "text"]),
    default="auto",
    show_default=True,
    help="JSON lines or text on standard error; auto is JSON in a container, unless on a terminal.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON document.")
def train(
    model: str,
    *,
    as_json: bool,
    log_format: logs.Format,
    pushgateway: str | None,
    metrics_file: Path | None,
    **options: Any,
) -> None:
    """Train MODEL and publish it as the next version of the model store."""
    known = catalogue.find(model)
    numbers = {name: options.pop(name) for name in ("epochs", "batch_size", "hidden")}
    asked = replace(known, recipe=known.recipe.changed(**numbers))
    preemption, progress = Preemption(), logs.reporting(log_format)
    reported = job_metrics.reported(
        model, pushgateway=pushgateway, metrics_file=metrics_file, warn=progress.warning
    )
    with logs.telling_how_it_ends(progress), reported as measured, preemption.installed():
        from training.quiet import import_tensorflow

        import_tensorflow()
        from training import job

        measured.result = result = job.train(job.JobOptions(model=asked, **options), progress, preemption)
    click.echo(json.dumps(result.document()) if as_json else _describe(result))


def _describe(result: JobResult) -> str:
    marked = " (trained on synthetic sample data)" if result.sample else ""
    return (
        f"{result.name} version {result.version}: accuracy {result.accuracy:.4f}, loss {result.loss:.4f}"
        f" on the test set after {result.epochs} epochs, {sum(result.seconds.values()):.1f} s{marked}\n"
        f"{result.path}"
    )
