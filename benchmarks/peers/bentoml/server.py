"""BentoML's own server on `service.py`, as `bentoml serve` starts it.

python server.py --store DIR --rest-port PORT --workers N
"""

import argparse
import os
import sys


def main() -> None:
    """Become BentoML's server."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--store", required=True)
    parser.add_argument("--rest-port", required=True)
    parser.add_argument("--workers", default="1")
    given = parser.parse_known_args()[0]
    os.environ.update(MODEL_STORE=given.store, WORKERS=given.workers, BENTOML_DO_NOT_TRACK="true")
    command = [sys.executable, "-m", "bentoml", "serve", "service:Models"]
    os.execv(sys.executable, [*command, "--host", "127.0.0.1", "--port", given.rest_port])  # noqa: S606


if __name__ == "__main__":
    main()
