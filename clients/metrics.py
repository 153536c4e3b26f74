"""Prometheus metrics of what a client asks."""

from typing import TYPE_CHECKING

from wire.errors import Code

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

LABELS = ("protocol", "method")
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
BYTES = tuple(float(4**power * 256) for power in range(10))


class ClientMetrics:
    """Counters and histograms in a registry; clients may share one.

    kedge_client_requests_total{protocol,method,code}     requests sent, each try, by the code of the answer
    kedge_client_request_seconds{protocol,method}         from sending to the whole answer, each try
    kedge_client_request_bytes{protocol,method}           lengths of requests
    kedge_client_retries_total{protocol,method}           requests that were sent again
    """

    def __init__(self, registry: "CollectorRegistry") -> None:
        from prometheus_client import Counter, Histogram

        self._requests = Counter(
            "kedge_client_requests", "Requests sent.", (*LABELS, "code"), registry=registry
        )
        self._retries = Counter("kedge_client_retries", "Requests sent again.", LABELS, registry=registry)
        self._seconds = Histogram(
            "kedge_client_request_seconds", "Time to the answer.", LABELS, registry=registry, buckets=SECONDS
        )
        self._bytes = Histogram(
            "kedge_client_request_bytes", "Lengths of requests.", LABELS, registry=registry, buckets=BYTES
        )

    def observe(self, protocol: str, method: str, *, code: Code, seconds: float, size: int) -> None:
        """Count one request with its answer."""
        self._requests.labels(protocol, method, code.name).inc()
        self._seconds.labels(protocol, method).observe(seconds)
        self._bytes.labels(protocol, method).observe(size)

    def retry(self, protocol: str, method: str) -> None:
        """Count a request that is sent again."""
        self._retries.labels(protocol, method).inc()
