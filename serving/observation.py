"""What watches the requests besides the metrics: traces, the access log, the request log; by the options."""

import os
from collections.abc import Sequence

from serving import access_log, tracing
from serving.answered import Watcher
from serving.config_files import RequestLogging
from serving.metrics import Metrics
from serving.options import ServerOptions
from serving.record_files import FileLimits
from serving.request_log import RequestLog


class Observation:
    """Made with the server and closed after its last answer."""

    def __init__(self, options: ServerOptions, metrics: Metrics) -> None:
        """options.OptionsError: --otlp_endpoint is given and OpenTelemetry is not installed."""
        self._traces = tracing.open_traces(options.otlp_endpoint, os.environ)
        self.watchers: Sequence[Watcher] = tuple(
            each for each in (self._traces, access_log.log if options.access_log else None) if each
        )
        self.requests = request_log(options, metrics)

    def close(self, seconds: float) -> None:
        """Write and send what waits, for so many seconds at most; blocks."""
        self.requests.close(seconds)
        if self._traces is not None:
            self._traces.close(seconds)


def request_log(options: ServerOptions, metrics: Metrics) -> RequestLog:
    """The request log of --request_log_prefix and of the models' own configurations."""
    default = None
    if options.request_log_prefix:
        default = RequestLogging(options.request_log_prefix, options.request_log_sampling_rate)
    limits = FileLimits(file_bytes=options.request_log_max_file_bytes, files=options.request_log_max_files)
    tags = [tag for tag in options.saved_model_tags.split(",") if tag]
    return RequestLog(metrics.logged, default=default, limits=limits, tags=tags)
