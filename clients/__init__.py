"""Clients of TensorFlow Serving's API, over gRPC and over REST, that need no TensorFlow.

with connect("grpc://localhost:8500") as client:
    print(client.predict("imdb", "A wonderful film."))
"""

from clients.client import Client, GrpcClient, RestClient, connect
from clients.errors import ClientError, DeadlineExceeded, Refused, UnexpectedAnswer, Unreachable, UrlError
from clients.results import Metadata, Prediction, SignatureInfo, VersionStatus

__all__ = [
    "Client",
    "ClientError",
    "DeadlineExceeded",
    "GrpcClient",
    "Metadata",
    "Prediction",
    "Refused",
    "RestClient",
    "SignatureInfo",
    "UnexpectedAnswer",
    "Unreachable",
    "UrlError",
    "VersionStatus",
    "connect",
]
