"""What happens to versions, told to the metrics, the health and the request log."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from serving.config_files import ModelConfig
from serving.health import Health
from serving.metrics import Metrics
from serving.request_log import RequestLog
from serving.states import State
from wire.errors import StatusError


class Events:
    """Tells metrics and health what happens to versions, on whatever thread it does."""

    def __init__(self, metrics: Metrics, requests: RequestLog) -> None:
        self.health: Health | None = None
        self._metrics = metrics
        self.requests = requests
        self._loop = asyncio.get_running_loop()

    def state_changed(self, name: str, version: int, state: State) -> None:
        """Count, and look at the health again."""
        self._metrics.state_changed(name, version, state)
        if self.health is not None:
            self.health.changed()

    def load_ended(self, name: str, path: Path, seconds: float, error: StatusError | None) -> None:
        """Count."""
        self._metrics.load_ended(name, path, seconds, error)

    def memory_measured(self, name: str, path: Path, grown: int, files: int) -> None:
        """Show."""
        self._metrics.memory_measured(name, path, grown, files)

    def configured(self, configs: Sequence[ModelConfig]) -> None:
        """Log the requests to these models from now on."""
        self.requests.configure(configs)

    def trusted(self, configs: Sequence[ModelConfig]) -> None:
        """A reload by request may have logged what the server's own configuration has."""
        self.requests.trust(configs)

    def ran(self, model: str, api: str, seconds: float) -> None:
        """Count a run of the warm-up on the loop, where those of requests are counted."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._metrics.ran, model, api, seconds)

    def warmed_up(self, path: Path, records: int, seconds: float, error: StatusError | None) -> None:
        """Count."""
        self._metrics.warmed_up(path, records, seconds, error)
