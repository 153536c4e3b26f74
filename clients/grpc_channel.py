"""How a gRPC channel is made, and what its errors say; the same for a blocking and an asynchronous one."""

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from clients.address import Address
from clients.options import Settings, Tls, read_pem, unusable_proxy
from clients.retry import Failure
from wire.errors import Code

if TYPE_CHECKING:
    import grpc

C = TypeVar("C")
PUSHBACK = "grpc-retry-pushback-ms"
"""How a server asks to wait before the next try (https://github.com/grpc/proposal, A6)."""
OPTIONS: tuple[tuple[str, int | str], ...] = (
    # gRPC's own limit for answers is 4 MiB, and a batch of images is larger; -1 is none.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # A server that vanishes without a word is noticed during a long call. A server of gRPC's defaults
    # puts up with two pings without data, which is all that a client of gRPC's defaults sends.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    # After a failed connection the next try is soon: a server that starts is met within its first seconds.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    # Otherwise clients of one process share connections, and how long they back off.
    ("grpc.use_local_subchannel_pool", 1),
)


def open_channel(
    address: Address, settings: Settings, insecure: Callable[..., C], secure: Callable[..., C]
) -> C:
    """Make a channel with the two functions of `grpc` or of `grpc.aio`. Nothing is sent yet."""
    options = [*OPTIONS, *_proxy(address, settings)]
    if not address.secure:
        return insecure(address.authority, options=options)
    tls = settings.tls or Tls()
    if tls.server_name is not None:
        options.append(("grpc.ssl_target_name_override", tls.server_name))
    return secure(address.authority, _credentials(tls), options=options)


@contextlib.contextmanager
def failures() -> Iterator[None]:
    """Raise Failure in the place of gRPC's errors."""
    import grpc

    try:
        yield
    except grpc.RpcError as error:
        details: Any = error
        trailing = dict(details.trailing_metadata() or ())
        raise Failure(Code(error.code().value[0]), error.details() or "", _pushback(trailing)) from error


def _credentials(tls: Tls) -> "grpc.ChannelCredentials":
    import grpc

    return grpc.ssl_channel_credentials(
        root_certificates=None if tls.ca is None else read_pem(tls.ca, "file of authorities"),
        private_key=None if tls.key is None else read_pem(tls.key, "client's key"),
        certificate_chain=None if tls.certificate is None else read_pem(tls.certificate, "certificate"),
    )


def _proxy(address: Address, settings: Settings) -> Iterator[tuple[str, int | str]]:
    if settings.proxy is not None:
        # gRPC would go past a proxy that it cannot read.
        if not settings.proxy.startswith("http://"):
            raise unusable_proxy(settings)
        yield "grpc.http_proxy", settings.proxy
    # The environment's, which would lead away from this machine.
    elif address.is_loopback:
        yield "grpc.enable_http_proxy", 0


def _pushback(trailing: dict[str, str | bytes]) -> float | None:
    """What the server asks for; what is no number asks for no further try, as gRPC has it."""
    value = trailing.get(PUSHBACK)
    if value is None:
        return None
    try:
        return int(value) / 1000
    except ValueError:
        return -1.0
