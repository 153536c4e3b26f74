"""The command `kedge report`."""

from __future__ import annotations

import sys
import webbrowser
from pathlib import Path

import click

from models import catalogue
from training import store
from training.errors import StoreError
from training.report import FILE


@click.command()
@click.argument("model")
@click.option("--version", type=click.IntRange(min=0), help="Which version.  [default: the newest]")
@click.option(
    "--model-store",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("model_store"),
    show_default=True,
    help="The directory that holds MODEL/VERSION.",
)
@click.option(
    "--open/--no-open",
    "open_",
    default=False,
    help="Show it in the browser, where standard output is a terminal.  [default: no-open]",
)
def report(model: str, version: int | None, model_store: Path, open_: bool) -> None:
    """Print the path of the report on a version of MODEL."""
    path = find(model, version, model_store)
    click.echo(path)
    if open_ and sys.stdout.isatty() and not webbrowser.open(path.resolve().as_uri()):
        click.echo("no browser could be started: open the file by hand", err=True)


def find(model: str, version: int | None, model_store: Path) -> Path:
    """Return the path of a version's report; raise StoreError where there is none."""
    base = model_store / model
    published = store.versions(base)
    if not published:
        known = catalogue.find(model).name
        raise StoreError(f"{base} has no versions; publish one with `kedge train {known}`")
    wanted = published[-1] if version is None else version
    if wanted not in published:
        there = ", ".join(map(str, published))
        raise StoreError(f"{base} has no version {wanted}; published: {there}")
    path = base / str(wanted) / "assets.extra" / FILE
    if not path.is_file():
        raise StoreError(f"version {wanted} of {model} has no report: it was not published by `kedge train`")
    return path
