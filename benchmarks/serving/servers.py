"""The servers that are compared: how each is started, what it speaks, and which of them are controls."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.serving import environments, requests
from benchmarks.serving.cases import Case
from benchmarks.serving.requests import Encoder

ROOT = Path(__file__).resolve().parents[2]
GRPC, REST = "grpc", "rest"


@dataclass(frozen=True)
class Server:
    """A server: its name, its folder in `benchmarks/peers` (None: ours), and by protocol its requests.

    A control answers without a model. `workers_option` tells whether it can run as several processes;
    `all_signatures` whether it answers others than `serving_default`.
    """

    name: str
    folder: str | None
    encoders: Mapping[str, Encoder]
    workers_option: bool = True
    all_signatures: bool = False

    def answers(self, case: Case) -> bool:
        """Whether it takes the case's signature."""
        return self.all_signatures or case.default

    def command(self, store: Path, ports: Mapping[str, int], workers: int, cache: Path) -> list[str]:
        """The command that starts it; environments.NotInstalled."""
        if self.folder is None:
            command = [
                *(sys.executable, "-m", "serving", f"--model_store_root={store}"),
                *(f"--port={ports[GRPC]}", f"--rest_api_port={ports[REST]}"),
            ]
            return [*command, f"--workers={workers}"] if workers > 1 else command
        return [
            *(str(environments.python(self.folder, cache)), "server.py", "--store", str(store)),
            *("--grpc-port", str(ports[GRPC]), "--rest-port", str(ports[REST]), "--workers", str(workers)),
        ]

    @property
    def cwd(self) -> Path:
        """Where it is started."""
        return ROOT if self.folder is None else environments.PEERS / self.folder


GRPC_CONTROL = Server(
    "grpc-echo",
    "grpc_echo",
    {GRPC: requests.echo_grpc},
    workers_option=False,
    all_signatures=True,
)
REST_CONTROL = Server("asgi", "asgi", {REST: requests.echo_rest}, workers_option=False, all_signatures=True)
CONTROLS = {GRPC: GRPC_CONTROL, REST: REST_CONTROL}
OURS = Server(
    "kedge",
    None,
    {GRPC: requests.predict_grpc, REST: requests.predict_rest},
    all_signatures=True,
)
PEERS = (
    Server("mlserver", "mlserver", {GRPC: requests.open_inference_grpc, REST: requests.open_inference_rest}),
    Server("kserve", "kserve", {GRPC: requests.open_inference_grpc, REST: requests.predict_rest}),
    Server("bentoml", "bentoml", {REST: requests.arrays_rest}),
    Server("litserve", "litserve", {REST: requests.arrays_rest}),
    Server("ray-serve", "ray_serve", {REST: requests.arrays_rest}),
)
SERVERS = {server.name: server for server in (OURS, *PEERS)}
