"""Removing old versions of a model, so that a nightly job does not fill the disk."""

from __future__ import annotations

import shutil
from pathlib import Path

from training import store
from training.labels import labels


def keep_newest(base: Path, count: int) -> list[int]:
    """Remove the versions under NAME but the newest `count` and those that have a label; return them.

    `count` is 1 at least: the newest version is never removed. A version leaves the servers' sight in one
    step, as it came. The store is locked meanwhile against `kedge versions promote`, which could label
    a version between the look and the step. Raises StoreError where the labels cannot be read.
    """
    if count < 1:
        raise ValueError(f"{count} versions are to be kept; the newest always is: expected 1 or more")
    with store.explained(base), store.locked(base.parent):
        kept = {*store.versions(base)[-count:], *labels(base).values()}
        removed = [version for version in store.versions(base) if version not in kept]
        hidden = [store.hide(base, version) for version in removed]
    for path in hidden:
        shutil.rmtree(path, ignore_errors=True)
    return removed
