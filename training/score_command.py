"""The command `kedge score`."""

from __future__ import annotations

import gc
import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from models import catalogue
from training.progress import to_stderr
from training.scoring import job, shards
from training.scoring.shards import Shard
from training.scoring.watch import watching

if TYPE_CHECKING:
    from models.model import Model
    from training.scoring.outcomes import Predictor

FORMATS = (".jsonl", ".ndjson", ".parquet")
IN_PROCESS, TO_SERVER = 2, 8
"""Threads that ask: TensorFlow uses all cores with few; a server is waited for."""
BATCH_IN_PROCESS, BATCH_TO_SERVER = 1024, 128
"""Rows in a batch: many cost less each, but a server that batches may take no more than it was told."""


NEW_OBJECTS = 100_000
"""So many are made before they are looked through for garbage: a batch makes thousands, and no cycles."""


class ShardType(click.ParamType[Shard]):
    """I/N, with I from 0 on."""

    name = "I/N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Shard:
        """Turn "0/4" into a Shard."""
        try:
            return value if isinstance(value, Shard) else shards.parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command()
@click.argument("model")
@click.option(
    "--input",
    "paths",
    type=click.Path(path_type=Path),
    multiple=True,
    envvar="KEDGE_SCORE_INPUT",
    help="What to score: .npy, .npz, .jsonl, .csv, .tsv, .parquet, .txt, or images and directories of them.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="Where the answers go: .jsonl or .parquet.",
)
@click.option(
    "--errors",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where the bad rows go.  [default: OUTPUT with the suffix .errors.jsonl]",
)
@click.option(
    "--column", help="The column, or array, of the inputs.  [default: as the model calls its input]"
)
@click.option("--key", help="The column of the keys.  [default: `key` where there is one, else row numbers]")
@click.option(
    "--model-store",
    type=click.Path(path_type=Path),
    default=Path("model_store"),
    show_default=True,
    help="Where the version is, as MODEL/VERSION.",
)
@click.option("--version", type=click.IntRange(min=0), metavar="N", help="Ask this version, not the newest.")
@click.option("--url", help="Ask a server: grpc://HOST:8500 or http://HOST:8501.")
@click.option("--label", help="Ask the version that has this label on the server.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long an answer of a server may take.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 256),
    help=f"How many batches are asked about at once.  [default: {IN_PROCESS}, of a server {TO_SERVER}]",
)
@click.option(
    "--batch-size",
    type=click.IntRange(1, 65_536),
    help=f"Rows that are asked about at once.  [default: {BATCH_IN_PROCESS}, of a server {BATCH_TO_SERVER}]",
)
@click.option("--max-errors", type=click.IntRange(min=0), help="Stop, with exit code 3, at more bad rows.")
@click.option("--shard", type=ShardType(), help="Score part I, from 0 on, of N; into OUTPUT-0000I-of-0000N.")
@click.option(
    "--shards",
    type=click.IntRange(1, 999_999),
    help="Score the part of N that JOB_COMPLETION_INDEX names, as in a Kubernetes Indexed Job.",
)
@click.option(
    "--completion-index",
    type=click.IntRange(min=0),
    envvar=["KEDGE_SCORE_COMPLETION_INDEX", "JOB_COMPLETION_INDEX"],
    hidden=True,
)
@click.option("--join", is_flag=True, help="Score nothing: join the outputs of --shards N into OUTPUT.")
@click.option("--no-resume", is_flag=True, help="Begin anew, and replace the output at the end.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON document.")
def score(
    model: str,
    *,
    output: Path,
    errors: Path | None,
    join: bool,
    shards: int | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Score the rows of a file with MODEL: label, probability, version and key for each.

    A job that was stopped goes on where it was when it is run again. Rows that cannot be scored go to the
    errors file with their reason. The shards of an output are joined by --join, or by `cat` in the order of
    their names.
    """
    if output.suffix not in FORMATS:
        raise click.UsageError(f"--output {output} tells no format; expected one of {', '.join(FORMATS)}")
    errors = errors or output.with_suffix(".errors.jsonl")
    if len({output.absolute(), errors.absolute(), *(path.absolute() for path in options["paths"])}) < 2 + len(
        options["paths"]
    ):
        raise click.UsageError("--input, --output and --errors name a file twice; expected different files")
    if output.suffix == ".parquet":
        from training.scoring import parquet

        parquet.require()
    if join:
        _join(output, errors, shards, as_json)
    else:
        _score(catalogue.find(model), output, errors, {**options, "shards": shards, "as_json": as_json})


def _join(output: Path, errors: Path, count: int | None, as_json: bool) -> None:
    if count is None:
        raise click.UsageError("--join needs --shards N, the number of shards to join")
    record = shards.join(output, errors, count)
    document = {"output": str(output), "shards": count, "scored": record.scored, "bad": record.bad}
    told = f"{output}: {record.scored} rows of {count} shards"
    click.echo(json.dumps(document) if as_json else told + _bad(record.bad, errors))


def _score(model: Model, output: Path, errors: Path, options: dict[str, Any]) -> None:
    if not options["paths"]:
        raise click.UsageError("Missing option '--input'.")
    url, label, version = options["url"], options["label"], options["version"]
    if label is not None and (url is None or version is not None):
        raise click.UsageError("--label goes with --url, and without --version")
    chosen = job.JobOptions(
        model=model,
        output=output,
        errors=errors,
        origin=url or str(options["model_store"].absolute()),
        shard=_shard(options["shard"], options["shards"], options["completion_index"]),
        concurrency=options["concurrency"] or (TO_SERVER if url else IN_PROCESS),
        batch_size=options["batch_size"] or (BATCH_TO_SERVER if url else BATCH_IN_PROCESS),
        resume=not options["no_resume"],
        **{name: options[name] for name in ("paths", "column", "key", "version", "label", "max_errors")},
    )

    def predictor(resumed: int | None) -> Predictor:
        wanted = version if resumed is None else resumed
        if url is not None:
            from training.scoring.server import Server

            named = label if resumed is None else None
            return Server(model, url, version=wanted, label=named, timeout=options["timeout"])
        return _load(model, options["model_store"], wanted)

    watch = partial(watching, to_stderr(), terminal=sys.stderr.isatty())
    result = job.score(chosen, predictor, watch)
    click.echo(json.dumps(result.document()) if options["as_json"] else _describe(result))


def _load(model: Model, model_store: Path, version: int | None) -> Predictor:
    from training.scoring.saved_model import SavedModel, find_version

    found = find_version(model, model_store, version)
    prepare_process()
    return SavedModel(model, model_store, found)


def prepare_process() -> None:
    """Import TensorFlow, and have Python collect garbage seldom."""
    from training.quiet import import_tensorflow

    import_tensorflow()
    gc.set_threshold(NEW_OBJECTS)


def _shard(shard: Shard | None, count: int | None, index: int | None) -> Shard | None:
    if shard is not None and count is not None:
        raise click.UsageError("--shard and --shards were both given; expected one of them")
    if count is None:
        return shard
    if index is None:
        raise click.UsageError(
            "--shards takes the index from JOB_COMPLETION_INDEX, which is not set; or --shard I/N"
        )
    if index >= count:
        raise click.UsageError(
            f"JOB_COMPLETION_INDEX is {index}; expected 0..{count - 1} with --shards {count}"
        )
    return Shard(index, count)


def _describe(result: job.JobResult) -> str:
    record = result.record
    new = record.position.row - record.start.row - result.resumed
    rate = f", {new / result.seconds:.0f} rows a second" if new and result.seconds else ""
    before = f", {result.resumed} of the rows done before" if result.resumed else ""
    return (
        f"{result.places.output}: {record.scored} rows scored by version {record.version}"
        f"{_bad(record.bad, result.places.errors)}{before}, {result.seconds:.1f} s{rate}"
    )


def _bad(count: int, errors: Path) -> str:
    return f", {count} bad rows in {errors}" if count else ""
