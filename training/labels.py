"""The labels that `kedge versions promote` gives to versions, and the version that is served by them."""

from __future__ import annotations

from pathlib import Path

from google.protobuf import text_format

from training import store
from training.errors import StoreError
from wire import messages

CONFIG = "models.config"
"""The file in the store that holds the labels: a model config file, which servers read."""
STABLE = "stable"


def labels(base: Path) -> dict[str, int]:
    """Return the versions under NAME that have a label, by label; {} where there is no file of them.

    Raises StoreError where the file cannot be read: what is labelled is then not known, and not safe.
    """
    path = base.parent / CONFIG
    config = messages.ModelServerConfig()
    try:
        text_format.Parse(path.read_bytes(), config, descriptor_pool=messages.POOL)
    except FileNotFoundError:
        return {}
    except (OSError, text_format.ParseError, UnicodeDecodeError) as error:
        raise StoreError(f"the labels in {path} cannot be read: {error}; mend the file") from error
    entries = [entry for entry in config.model_config_list.config if entry.name == base.name]
    return dict(entries[0].version_labels) if entries else {}


def now_served(base: Path) -> int | None:
    """Return the version under NAME that answers clients: the one labelled stable, else the newest."""
    published = store.versions(base)
    stable = labels(base).get(STABLE)
    if stable in published:
        return stable
    return published[-1] if published else None
