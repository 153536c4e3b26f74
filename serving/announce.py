"""What the server says of itself when it starts: where it listens, and what it leaves out."""

import ipaddress
import json
import logging
import os
import sys

from serving.options import ServerOptions, without_effect

_log = logging.getLogger(__name__)


def ports(options: ServerOptions, grpc_port: int, rest_port: int) -> None:
    """Say it to people on standard error, to a program on its descriptor; a port of 0 is off."""
    places = []
    if grpc_port:
        places.append(f"gRPC on {options.bind_address}:{grpc_port}")
    if options.grpc_socket_path:
        places.append(f"gRPC on unix:{options.grpc_socket_path}")
    if rest_port:
        places.append(f"REST on http://{options.bind_address}:{rest_port}")
    said = f"{', '.join(places)}{_reach(options.bind_address)}"
    if options.log_format == "json":
        _log.info("%s", said)
    else:
        print(f"kedge: {said}", file=sys.stderr, flush=True)
    if options.report_ports_fd >= 0:
        with os.fdopen(options.report_ports_fd, "w") as pipe:
            json.dump({"grpc_port": grpc_port, "rest_port": rest_port}, pipe)
            pipe.write("\n")


def left_out(options: ServerOptions) -> None:
    """Warn of each flag that was given a value but has no effect here."""
    for name in without_effect(options):
        _log.warning("--%s has no effect on this server", name)


def _reach(address: str) -> str:
    """What a person must know who calls from elsewhere, and in vain."""
    host = address.strip("[]")
    if host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback):
        return " (this machine only; --bind_address=0.0.0.0 for all)"
    return ""


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
