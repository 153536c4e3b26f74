"""MLServer's own server on `models/`, as `mlserver start` starts it.

python server.py --store DIR --rest-port PORT --grpc-port PORT --workers N
"""

import argparse
import os
import sys
from pathlib import Path


def main() -> None:
    """Become MLServer. With one process the model runs in it, without a worker beside it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--store", required=True)
    parser.add_argument("--rest-port", required=True)
    parser.add_argument("--grpc-port", required=True)
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_known_args()[0]
    os.environ.update(
        MODEL_STORE=given.store,
        MLSERVER_HOST="127.0.0.1",
        MLSERVER_HTTP_PORT=given.rest_port,
        MLSERVER_GRPC_PORT=given.grpc_port,
        MLSERVER_METRICS_ENDPOINT="",
        MLSERVER_PARALLEL_WORKERS=str(given.workers if given.workers > 1 else 0),
        MLSERVER_DEBUG="false",
        PYTHONPATH=str(Path(__file__).parent),
    )
    program = Path(sys.executable).with_name("mlserver")
    os.execv(program, [str(program), "start", "models"])  # noqa: S606


if __name__ == "__main__":
    main()
