"""Saying where the server listens."""

import json
import logging
import os
import sys

from serving.options import ServerOptions

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
    if options.log_format == "json":
        _log.info("%s", ", ".join(places))
    else:
        print(f"kedge: {', '.join(places)}", file=sys.stderr, flush=True)
    if options.report_ports_fd >= 0:
        with os.fdopen(options.report_ports_fd, "w") as pipe:
            json.dump({"grpc_port": grpc_port, "rest_port": rest_port}, pipe)
            pipe.write("\n")
