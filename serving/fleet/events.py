"""What a supervisor is told of versions and configurations by its lifecycle."""

from collections.abc import Sequence
from pathlib import Path

from serving.config_files import ModelConfig
from serving.exposition import Registry
from serving.metrics import Metrics


class FleetEvents:
    """Counts what happens to versions, which the supervisor alone knows, and keeps the configurations."""

    def __init__(self, registry: Registry) -> None:
        self.configs: tuple[ModelConfig, ...] = ()
        self.own: tuple[ModelConfig, ...] = ()
        self.grown: dict[Path, int] = {}
        self._metrics = Metrics(registry)
        self.state_changed = self._metrics.state_changed
        self.load_ended = self._metrics.load_ended

    def memory_measured(self, name: str, path: Path, grown: int, files: int) -> None:
        """Show what the workers took, for this process it would be nothing."""
        self._metrics.memory_measured(name, path, self.grown.pop(path, grown), files)

    def configured(self, configs: Sequence[ModelConfig]) -> None:
        """Remember what is in force."""
        self.configs = tuple(configs)

    def read(self, configs: Sequence[ModelConfig]) -> None:
        """Remember what the own options and files say."""
        self.own = tuple(configs)
