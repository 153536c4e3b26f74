"""The version that a new one is held against, and what differs between the two."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training import store
from training.errors import StoreError
from training.labels import STABLE, labels
from training.result import FILE

LABEL = STABLE
"""The label that `kedge versions promote` moves."""
MISSING = "none"
NO_SETTINGS = frozenset(
    {"name", "version", "refused", "path", "created", "history", "seconds", "loss", "accuracy", "sha256"}
)
"""What kedge.json says of a version that is no setting of its job; checksums are compared as data."""


@dataclass(frozen=True)
class Baseline:
    """A published version and its kedge.json; `labelled` where it has the label, else it is the newest."""

    version: int
    labelled: bool
    document: Mapping[str, Any]


@dataclass(frozen=True)
class Setting:
    """A setting by its path in kedge.json; `before` is None where there is none to compare with."""

    name: str
    now: str
    before: str | None
    changed: bool


def find(base: Path) -> Baseline | None:
    """Return the version under NAME that is now served: the one labelled stable, else the newest.

    A version without a readable kedge.json, such as another program's, is none to compare with.
    """
    published = store.versions(base)
    if not published:
        return None
    labelled = _labels(base).get(LABEL)
    version = labelled if labelled in published else published[-1]
    document = _document(base / str(version) / "assets.extra" / FILE)
    return Baseline(version, version == labelled, document) if document else None


def settings(now: Mapping[str, Any], before: Mapping[str, Any] | None) -> list[Setting]:
    """Return all settings of two kedge.json documents, those that differ first."""
    here, there = _flat(now), _flat(before or {})
    if before is None:
        return [Setting(name, value, None, changed=False) for name, value in here.items()]
    found = [
        Setting(name, here.get(name, MISSING), there.get(name), changed=here.get(name) != there.get(name))
        for name in here | there
    ]
    return sorted(found, key=lambda setting: not setting.changed)


def _flat(document: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return a document's values by path, as JSON."""
    flat: dict[str, str] = {}
    for key, value in document.items():
        if not prefix and key in NO_SETTINGS:
            continue
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value if isinstance(value, str) else json.dumps(value)
    return flat


def _labels(base: Path) -> dict[str, int]:
    """Return the labels of a model; none where they cannot be read, for a report is no reason to stop."""
    try:
        return labels(base)
    except StoreError:
        return {}


def _document(path: Path) -> dict[str, Any] | None:
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None
