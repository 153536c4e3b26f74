"""A scoring job: open the input, see what an earlier process has done, answer the rest, publish."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from models.model import Model
from training.errors import DataError, TrainingError
from training.scoring import inputs, log, outcomes
from training.scoring.log import Log, Places
from training.scoring.outcomes import Outcome, Predictor
from training.scoring.record import ANEW, RUNNING, Record, ResumeError
from training.scoring.rows import Block, Position, Source
from training.scoring.shards import Shard
from training.scoring.watch import At

COMMIT_SECONDS = 1.0
"""How much work a kill may cost: to bring each block's lines to the disk at once would cost time."""

MakePredictor = Callable[[int | None], Predictor]
"""Makes who answers: for that version, or for the one that the options name."""
Watch = Callable[[Source, Record], AbstractContextManager[At]]
"""Begins to watch an input that is scored from a record on."""


class TooManyErrors(TrainingError):  # noqa: N818 - named for what happened
    """More rows were bad than the caller puts up with, or all of them."""

    exit_code = 3


@dataclass(frozen=True, kw_only=True)
class JobOptions:
    """What to score, and where the answers go.

    `origin` names the store or the server, and `version` or `label` what is asked of it; None is the newest.
    `batch_size` rows are asked about at once, by each of `concurrency` threads.
    """

    model: Model
    paths: tuple[Path, ...]
    output: Path
    errors: Path
    origin: str
    version: int | None = None
    label: str | None = None
    column: str | None = None
    key: str | None = None
    shard: Shard | None = None
    batch_size: int = 256
    concurrency: int = 2
    max_errors: int | None = None
    resume: bool = True
    commit_seconds: float = COMMIT_SECONDS


@dataclass(frozen=True)
class JobResult:
    """A finished job: its record, the rows that were done before it began, and how long it took."""

    places: Places
    record: Record
    resumed: int
    seconds: float

    def document(self) -> dict[str, Any]:
        """Return it as what JSON can hold."""
        errors = self.places.errors if self.record.bad else None
        return {
            "model": self.record.job["model"],
            "version": self.record.version,
            "output": str(self.places.output),
            "errors": None if errors is None else str(errors),
            "shard": self.record.job["shard"],
            "scored": self.record.scored,
            "bad": self.record.bad,
            "resumed": self.resumed,
            "seconds": round(self.seconds, 3),
        }


def score(options: JobOptions, make_predictor: MakePredictor, watch: Watch) -> JobResult:
    """Score all rows of the input that are this job's.

    However it ends, the output holds all answers or is as it was; what is done is kept for the next time.
    Raises TrainingError (DataError, StoreError, ResumeError, TooManyErrors) and what the predictor raises.
    """
    start = time.perf_counter()
    source = inputs.open_input(options.model, options.paths, options.column, options.key)
    places, job = places_of(options), identity(options, source)
    with log.open_log(places) as lines:
        previous = _previous(lines, options, job)
        if previous is not None and previous.state != RUNNING:
            record = lines.publish(previous)
            return JobResult(places, record, record.scored + record.bad, time.perf_counter() - start)
        if previous is not None:
            _check_errors(previous, options.max_errors)  # what broke the limit may have been the last block
        with closing(make_predictor(None if previous is None else previous.version)) as predictor:
            record = previous or _first(options, job, source, predictor)
            resumed = record.position.row - record.start.row
            lines.begin(record)
            with watch(source, record) as at:
                answered = _outcomes(options, source, predictor, record)
                record = _keep(options, answered, lines, record, at)
        _check_any(record, places)
        return JobResult(places, lines.publish(record), resumed, time.perf_counter() - start)


def places_of(options: JobOptions) -> Places:
    """Return where the job writes: a shard beside the others, under its number."""
    output, errors = options.output, options.errors
    if options.shard is not None:
        output, errors = options.shard.name(output), options.shard.name(errors)
    if options.output.suffix == ".parquet":
        return Places(output, errors, _to_parquet)
    return Places(output, errors)


def identity(options: JobOptions, source: Source) -> Mapping[str, Any]:
    """Return what another run must have in common to go on with this one's work."""
    job = {
        "model": options.model.name,
        "origin": options.origin,
        "asked": {"version": options.version, "label": options.label},
        "input": source.identity,
        "columns": [options.column, options.key],
        "batch_size": options.batch_size,
        "shard": None if options.shard is None else str(options.shard),
    }
    same: Mapping[str, Any] = orjson.loads(orjson.dumps(job))  # as it is when read back
    return same


def _previous(lines: Log, options: JobOptions, job: Mapping[str, Any]) -> Record | None:
    """Return the record to go on from; None begins anew."""
    if not options.resume:
        lines.forget()
        return None
    record, output = lines.previous(), lines.places.output
    if record is None:
        if output.exists():
            raise ResumeError(f"{output} exists; name another --output, or replace it with --no-resume")
        return None
    if record.job != job:
        changed = ", ".join(name for name in job if record.job.get(name) != job[name])
        raise ResumeError(f"{output} was begun by another job (another {changed}); {ANEW}")
    return None if lines.is_lost(record) else record


def _first(options: JobOptions, job: Mapping[str, Any], source: Source, predictor: Predictor) -> Record:
    start: Position = source.start
    stop: Position | None = None
    if options.shard is not None:
        start, stop = options.shard.bounds(source, options.batch_size)
    return Record(job=job, version=predictor.version, start=start, stop=stop, position=start)


def _outcomes(
    options: JobOptions, source: Source, predictor: Predictor, record: Record
) -> AbstractContextManager[Iterator[Outcome]]:
    """Answer what is left."""
    stop = None if record.stop is None else record.stop.row
    blocks = source.blocks(record.position, stop, options.batch_size)

    def answer(block: Block) -> Outcome:
        return outcomes.score(predictor, options.model, source.column or options.column, block)

    return _in_order(answer, blocks, options.concurrency)


def _keep(
    options: JobOptions,
    answered: AbstractContextManager[Iterator[Outcome]],
    lines: Log,
    record: Record,
    at: At,
) -> Record:
    """Write the outcomes, and let them count from time to time, and in any case at the end."""
    committed = time.monotonic()
    try:
        with answered as ready:
            for outcome in ready:
                lines.append(outcome)
                record = record.after(outcome)
                at(record)
                _check_errors(record, options.max_errors)
                if time.monotonic() - committed >= options.commit_seconds:
                    lines.commit(record)
                    committed = time.monotonic()
    finally:
        lines.commit(record)
    return record


@contextmanager
def _in_order(
    answer: Callable[[Block], Outcome], blocks: Iterator[Block], concurrency: int
) -> Iterator[Iterator[Outcome]]:
    """Answer blocks in threads, and give the outcomes in the blocks' order.

    Blocks are read while others are answered, but no more ahead than keeps the threads at work.
    """
    pool = ThreadPoolExecutor(concurrency, thread_name_prefix="score")
    ahead: deque[Future[Outcome]] = deque()

    def outcomes_in_order() -> Iterator[Outcome]:
        for block in blocks:
            ahead.append(pool.submit(answer, block))
            if len(ahead) > 2 * concurrency:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()

    try:
        yield outcomes_in_order()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _check_errors(record: Record, max_errors: int | None) -> None:
    if max_errors is not None and record.bad > max_errors:
        raise TooManyErrors(
            f"{record.bad} rows are bad, and --max-errors allows {max_errors}; a higher limit goes on from"
            f" there; the first: {record.first_reason}"
        )


def _check_any(record: Record, places: Places) -> None:
    if record.bad and not record.scored:
        raise TooManyErrors(
            f"none of the {record.bad} rows could be scored; the first: {record.first_reason}; all are"
            f" in {places.errors_part}"
        )


def _to_parquet(lines: Path, path: Path, record: Record) -> None:
    from training.scoring import parquet

    def records() -> Iterator[Any]:
        with lines.open("rb") as stream:
            for line in stream:
                yield orjson.loads(line)

    try:
        parquet.write(records(), path, record.text_keys)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}") from error
