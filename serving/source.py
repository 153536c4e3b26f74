"""Looks at the disk: which versions a base path has, which models a model store has, and what changed."""

import logging
import os
import re
import stat
from pathlib import Path

from serving.config_files import ModelConfig
from serving.policy import Specific
from wire.errors import Code, StatusError

_log = logging.getLogger(__name__)

_NUMBER = re.compile(r"[+-]?[0-9]+")
_INT64 = 2**63
SAVED_MODEL_FILES = ("saved_model.pb", "saved_model.pbtxt")


class Source:
    """Scans directories; what it skips it tells the log once, not every second. Used by one thread."""

    def __init__(self) -> None:
        self._told: set[str] = set()
        # The versions that each base path had when it could last be read.
        self._found: dict[Path, dict[int, Path]] = {}

    def versions(self, base_path: Path) -> dict[int, Path]:
        """The version directories under a base path, by number.

        A child is one when its whole name is a number (leading zeros allowed) and a SavedModel is in it; one
        without is still being written, or was never finished, and is not there yet. Of two names for the same
        number the last in string order counts. A link that leads out of the base path is refused. A child
        that cannot be read holds up no other, and is there if it was at the last look.
        StatusError (NOT_FOUND): the base path cannot be read, which is not the same as having no versions.
        """
        try:
            return self._read(base_path)
        except OSError as error:
            raise StatusError(Code.NOT_FOUND, f"Could not find base path: {_reason(error)}") from error

    def look(self, config: ModelConfig) -> dict[int, Path] | StatusError:
        """The versions under a model's base path, or why they cannot be told, which the log says too."""
        try:
            found = self.versions(config.base_path)
        except StatusError as error:
            self.tell(f"model {config.name}: {error.message}: {config.base_path}; what is loaded of it stays")
            return error
        missing = set(config.policy.versions) - found.keys() if isinstance(config.policy, Specific) else ()
        if missing:
            self.tell(
                f"model {config.name}: versions {sorted(missing)} of its policy are not in {config.base_path}"
            )
        return found

    def models(self, root: Path) -> tuple[ModelConfig, ...] | None:
        """Each directory of a model store as a model of the default policy; None: the root cannot be read.

        Names that begin with a dot are not models.
        """
        try:
            children = sorted(_real(root).iterdir())
        except OSError as error:
            self.tell(f"{root}: the model store cannot be read: {_reason(error)}")
            return None
        return tuple(
            ModelConfig(child.name, child)
            for child in children
            if not child.name.startswith(".") and self._is_model(child)
        )

    def _read(self, base_path: Path) -> dict[int, Path]:
        """The versions under a base path, as `versions`; OSError: it cannot be read."""
        root = _real(base_path)
        before, found = self._found.get(base_path, {}), dict[int, Path]()
        for path in sorted(root.iterdir()):
            number = version_number(path.name)
            if number is None or not self._is_servable(path, before.get(number) == path):
                continue
            if number in found:
                self.tell(
                    f"{root}: {found[number].name} and {path.name} are one version; {path.name} is served"
                )
            found[number] = path
        self._found[base_path] = found
        return found

    def _is_model(self, path: Path) -> bool:
        """Whether a child of a model store is a model; of one that cannot be read, whether it was one."""
        try:
            return bool(self._read(path)) and self._is_inside(path.parent, path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            self.tell(f"{path}: cannot be read: {_reason(error)}; what is loaded of it stays")
            return bool(self._found.get(path))

    def _is_inside(self, root: Path, model: Path) -> bool:
        if _real(model).is_relative_to(root):
            return True
        self.tell(f"{model}: is refused, it is a link that leaves the model store; name it in a config file")
        return False

    def _is_servable(self, path: Path, before: bool) -> bool:
        """Whether a version is in a directory; where that cannot be read, what it was `before`."""
        try:
            files = [path / name for name in SAVED_MODEL_FILES if _is_file(path / name)]
            if not files:
                return False
            if all(_real(each).is_relative_to(path.parent) for each in (path, *files)):
                return True
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            stays = "what is loaded of it stays" if before else "it is looked for again"
            self.tell(f"{path}: cannot be read: {_reason(error)}; {stays}")
            return before
        self.tell(
            f"{path}: is refused, it is a link that leaves the base path; copy the version there instead"
        )
        return False

    def tell(self, text: str) -> None:
        """Warn in the log, once for the same text."""
        if text not in self._told:
            self._told.add(text)
            _log.warning("%s", text)


def check_links(version: Path) -> None:
    """StatusError (PERMISSION_DENIED): a file of a version is a link that leads out of its base path."""
    base = version.parent.resolve()
    for path in version.rglob("*"):
        if path.is_symlink() and not path.resolve().is_relative_to(base):
            inside = path.relative_to(version)
            raise StatusError(
                Code.PERMISSION_DENIED, f"{inside} is a link that leaves the base path; copy the file there"
            )


def version_number(name: str) -> int | None:
    """The version that a directory's name is, a signed 64-bit decimal; None when it is none."""
    number = int(name) if len(name) < 100 and _NUMBER.fullmatch(name) else None  # noqa: PLR2004
    return number if number is not None and -_INT64 <= number < _INT64 else None


def fingerprint(path: Path) -> tuple[tuple[str, int, int], ...]:
    """What a version's files look like from outside: path, time of change (ns) and size of each.

    Only for versions that failed to load: a difference says that it is worth trying again. What cannot be
    read is left out.
    """
    files = []
    for directory, directories, names in os.walk(path):
        for name in (*directories, *names):
            file = Path(directory, name)
            try:
                status = file.stat()
            except OSError:
                continue
            files.append((str(file.relative_to(path)), status.st_mtime_ns, status.st_size))
    return tuple(sorted(files))


def _real(path: Path) -> Path:
    """A path without links; OSError also where links lead in a circle, unlike `Path.resolve`."""
    return Path(os.path.realpath(path, strict=True))


def _is_file(path: Path) -> bool:
    """Whether it is a file; OSError where that cannot be told, unlike `Path.is_file`."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
