"""`kedge versions`: list what is published, and move the labels that servers answer by."""

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from serving import sums, versions

DATA: dict[object, str] = {True: "sample", False: "real"}


@dataclass(frozen=True)
class Place:
    """Where a model's versions and labels are: the store, also as servers see it, and the config file."""

    model: str
    store: Path
    config_file: Path
    served_from: Path

    def published(self) -> list[versions.Published]:
        """The model's versions, newest first; raises VersionError where there are none."""
        labels = versions.labels_of(versions.read_config(self.config_file), self.model)
        items = versions.published(self.store / self.model, labels)
        if not items:
            raise versions.VersionError(
                f"{self.store / self.model} has no versions; publish one with `kedge train {self.model}`"
            )
        return items

    def move(self, label: str, version: int) -> str:
        """Point `label` at `version` in the config file, and say so in a line."""
        with versions.locked(self.store):
            versions.find(self.published(), self.model, version)  # a job may just have removed it
            config = versions.read_config(self.config_file)
            before = versions.labels_of(config, self.model).get(label)
            changed = versions.with_label(
                config, self.model, label=label, version=version, base_path=self.served_from / self.model
            )
            versions.write_config(self.config_file, changed)
        return f"{self.model}: {label} is version {version}" + (f" (was {before})" if before else "")


def at_place(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the argument MODEL and the options that make its Place."""

    @click.argument("model")
    @click.option(
        "--model-store",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("model_store"),
        show_default=True,
        help="The directory that holds NAME/VERSION/.",
    )
    @click.option(
        "--model_config_file",
        "config_file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="The file with the labels, which servers read.  [default: models.config in the store]",
    )
    @click.option(
        "--served-from",
        type=click.Path(path_type=Path),
        help="The store's path where the server runs, for a model that is new in the file.  "
        "[default: the store's own path]",
    )
    @functools.wraps(function)
    def wrapped(
        *, model: str, model_store: Path, config_file: Path | None, served_from: Path | None, **rest: Any
    ) -> None:
        place = Place(
            model=model,
            store=model_store,
            config_file=config_file or model_store / "models.config",
            served_from=served_from or model_store.resolve(),
        )
        function(place, **rest)

    return wrapped


VERSION = click.IntRange(min=0)
LABEL = click.option("--label", default="stable", show_default=True, help="The label to move.")


@click.group("versions")
def command() -> None:
    """List published versions; promote, roll back, verify and remove them.

    A label is a name for a version, such as `stable`. Servers that poll the model config file
    (--model_config_file_poll_wait_seconds) follow a label as soon as it moves.
    """


@command.command("list")
@at_place
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def list_versions(place: Place, as_json: bool) -> None:
    """List the published versions of MODEL, newest first."""
    items = place.published()
    if as_json:
        click.echo(json.dumps({"model": place.model, "versions": [_document(item) for item in items]}))
        return
    click.echo(f"{'version':>8}  {'accuracy':>8}  {'size':>8}  {'data':<6}  {'created':<19}  labels")
    for item in items:
        accuracy = item.details.get("accuracy")
        shown = f"{accuracy:.4f}" if isinstance(accuracy, float) else "-"
        data = DATA.get(item.details.get("sample"), "-")
        created = str(item.details.get("created", "-"))[:19]
        click.echo(
            f"{item.version:>8}  {shown:>8}  {item.size / 2**20:>5.1f} MB  {data:<6}  {created:<19}  "
            f"{' '.join(item.labels)}".rstrip()
        )


@command.command()
@at_place
@click.argument("version", type=VERSION, required=False)
@LABEL
def promote(place: Place, version: int | None, label: str) -> None:
    """Give a label to VERSION of MODEL, or to its newest version."""
    items = place.published()
    target = items[0] if version is None else versions.find(items, place.model, version)
    click.echo(place.move(label, target.version))


@command.command()
@at_place
@LABEL
def rollback(place: Place, label: str) -> None:
    """Move a label of MODEL back to the version before."""
    click.echo(place.move(label, versions.earlier(place.published(), label)))


@command.command()
@at_place
@click.argument("version", type=VERSION)
def remove(place: Place, version: int) -> None:
    """Delete VERSION of MODEL from the store; a version with a label stays."""
    with versions.locked(place.store):
        versions.remove(versions.find(place.published(), place.model, version))
    click.echo(f"{place.model}: version {version} removed")


@command.command()
@at_place
@click.argument("version", type=VERSION, required=False)
def verify(place: Place, version: int | None) -> None:
    """Check the files of VERSION of MODEL, or of all its versions, against SHA256SUMS."""
    items = place.published()
    for item in items if version is None else [versions.find(items, place.model, version)]:
        click.echo(f"{place.model}: version {item.version} is whole, {sums.check(item.path)} files")


def _document(item: versions.Published) -> dict[str, object]:
    return {
        "version": item.version,
        "labels": list(item.labels),
        "bytes": item.size,
        **{key: item.details.get(key) for key in ("accuracy", "sample", "created")},
    }
