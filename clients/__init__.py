"""Clients of TensorFlow Serving's API, over gRPC and over REST, that need no TensorFlow.

with connect("grpc://localhost:8500") as client:
    print(client.predict("imdb", "A wonderful film."))

async with connect_async("http://localhost:8501") as client:
    print(await client.predict("mnist", "seven.png"))
"""

from clients.async_client import AsyncClient, AsyncGrpcClient, AsyncRestClient, connect_async
from clients.batches import Batching
from clients.client import Client, GrpcClient, RestClient, connect
from clients.errors import (
    ClientError,
    DeadlineExceeded,
    OptionError,
    Refused,
    UnexpectedAnswer,
    Unreachable,
    UrlError,
)
from clients.metrics import ClientMetrics
from clients.options import Tls
from clients.results import Metadata, Prediction, Predictions, SignatureInfo, VersionStatus
from clients.retry import Retry

__all__ = [
    "AsyncClient",
    "AsyncGrpcClient",
    "AsyncRestClient",
    "Batching",
    "Client",
    "ClientError",
    "ClientMetrics",
    "DeadlineExceeded",
    "GrpcClient",
    "Metadata",
    "OptionError",
    "Prediction",
    "Predictions",
    "Refused",
    "RestClient",
    "Retry",
    "SignatureInfo",
    "Tls",
    "UnexpectedAnswer",
    "Unreachable",
    "UrlError",
    "VersionStatus",
    "connect",
    "connect_async",
]
