"""The published versions of a model, and the labels that point at them.

Labels live in a model config file (TensorFlow Serving's `ModelServerConfig` in text form), which the embedded
server and TensorFlow Serving both read. The functions that change labels are pure: they take a config and
return another; `read_config` and `write_config` are the edges.
"""

import fcntl
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import text_format

from wire import messages

PLATFORM = "tensorflow"
REMOVED = ".removed-"
"""What a version is called while it is removed; the next training job removes leftovers of that name."""
DETAILS = Path("assets.extra", "kedge.json")


class VersionError(Exception):
    """A version or label that is not as the command needs it; the message says what is there."""

    exit_code = 3


@dataclass(frozen=True)
class Published:
    """A version in the store: its labels, and what its training job wrote beside it ({} where nothing is)."""

    version: int
    path: Path
    labels: tuple[str, ...]
    details: Mapping[str, Any]

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file())


def published(base_path: Path, labels: Mapping[str, int]) -> list[Published]:
    """The versions under a model's base path, newest first; names that are not numbers are not versions."""
    numbers = {
        int(child.name): child
        for child in (base_path.iterdir() if base_path.is_dir() else ())
        if child.name.isdecimal() and child.is_dir()
    }
    return [
        Published(
            version=number,
            path=path,
            labels=tuple(sorted(label for label, of in labels.items() if of == number)),
            details=_details(path),
        )
        for number, path in sorted(numbers.items(), reverse=True)
    ]


def read_config(path: Path) -> messages.ModelServerConfig:
    """Read a model config file; one that does not exist is an empty config.

    Raises VersionError where the file does not parse.
    """
    config = messages.ModelServerConfig()
    try:
        text_format.Parse(path.read_bytes(), config, descriptor_pool=messages.POOL)
    except FileNotFoundError:
        pass
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise VersionError(f"{path} is not a model config file: {error}") from error
    return config


def write_config(path: Path, config: messages.ModelServerConfig) -> None:
    """Replace a model config file in one step, so that a server that polls it never reads half of it."""
    text = text_format.MessageToString(config, descriptor_pool=messages.POOL)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def labels_of(config: messages.ModelServerConfig, model: str) -> dict[str, int]:
    """The labels that a config gives to a model's versions."""
    entry = _entry(config, model)
    return dict(entry.version_labels) if entry else {}


def with_label(
    config: messages.ModelServerConfig, model: str, *, label: str, version: int, base_path: Path
) -> messages.ModelServerConfig:
    """A config in which `label` points at `version`; `base_path` is used for a model that is not in it yet.

    A labelled version must be served, also when it is no longer the newest: a policy that would not load it
    becomes `all`.
    """
    changed = messages.ModelServerConfig()
    changed.CopyFrom(config)
    entry = _entry(changed, model)
    if entry is None:
        entry = changed.model_config_list.config.add(
            name=model, base_path=str(base_path), model_platform=PLATFORM
        )
    entry.version_labels[label] = version
    policy = entry.model_version_policy
    if policy.HasField("specific"):
        if version not in policy.specific.versions:
            policy.specific.versions.append(version)
    else:
        policy.all.SetInParent()
    return changed


def earlier(versions: list[Published], label: str) -> int:
    """The version before the one that `label` points at; raises VersionError where there is none."""
    current = next((item.version for item in versions if label in item.labels), None)
    if current is None:
        raise VersionError(f"no published version has the label {label!r}; promote one first")
    older = [item.version for item in versions if item.version < current]
    if not older:
        raise VersionError(f"version {current} has the label {label!r} and is the oldest: none is before it")
    return max(older)


def find(versions: list[Published], model: str, version: int) -> Published:
    """One published version; raises VersionError, which lists those that there are."""
    for item in versions:
        if item.version == version:
            return item
    there = ", ".join(str(item.version) for item in versions) or "none"
    raise VersionError(f"model {model!r} has no version {version}; published: {there}")


def remove(item: Published) -> None:
    """Delete a version that no label points at.

    It leaves the store's visible names in one step, so that no server sees half of it.
    """
    if item.labels:
        raise VersionError(
            f"version {item.version} has the label {', '.join(item.labels)}; move the label first"
        )
    hidden = item.path.rename(item.path.with_name(f"{REMOVED}{secrets.token_hex(8)}"))
    shutil.rmtree(hidden, ignore_errors=True)  # a job may be removing it too, as a leftover


@contextmanager
def locked(store: Path) -> Iterator[None]:
    """Keep others who change labels or remove old versions out.

    A store that is not there needs no lock, and on a file system without locks nobody is kept out.
    """
    try:
        descriptor = os.open(store, os.O_RDONLY)
    except FileNotFoundError:
        yield
        return
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _entry(config: messages.ModelServerConfig, model: str) -> messages.ModelConfig | None:
    return next((entry for entry in config.model_config_list.config if entry.name == model), None)


def _details(path: Path) -> Mapping[str, Any]:
    """What the training job wrote; a version that another program wrote has nothing of it and serves too."""
    try:
        details = json.loads((path / DETAILS).read_bytes())
    except (OSError, ValueError):
        return {}
    return details if isinstance(details, dict) else {}
