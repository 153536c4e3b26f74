"""Control: grpc.aio answers every message with the same message, without a model.

python server.py --grpc-port PORT
"""

import argparse
from typing import Any

import grpc
import uvloop


async def _echo(request: bytes, _: Any) -> bytes:
    return request


class _Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
    def service(self, _: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(_echo)


async def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--grpc-port", type=int, required=True)
    port = parser.parse_known_args()[0].grpc_port
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1)])
    server.add_generic_rpc_handlers([_Handler()])
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(main())
