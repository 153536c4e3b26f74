"""Real servers on free ports over tiny models, and the questions that tests ask them over both transports."""

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import numpy as np
from yarl import URL

from serving import options
from serving.server import ModelServer
from tests.serving import saved_models
from wire import messages
from wire.errors import Code, StatusError, code_of_http
from wire.tensors import fill, to_array

PREDICTION = "tensorflow.serving.PredictionService"
# Headers that the client would send of its own accord.
AUTOMATIC = ("Accept-Encoding", "Content-Type")
MODEL = "tensorflow.serving.ModelService"
CONFIG = """
model_config_list {{
  config {{
    name: "half_plus_two" base_path: "{store}/half_plus_two" model_platform: "tensorflow"
    model_version_policy {{ all {{}} }} version_labels {{ key: "stable" value: 1 }}
  }}
  config {{ name: "two" base_path: "{store}/two_in_two_out" model_platform: "tensorflow" }}
  config {{ name: "strings" base_path: "{store}/strings" model_platform: "tensorflow" }}
  config {{ name: "peculiar" base_path: "{store}/peculiar" model_platform: "tensorflow" }}
}}
"""


def make_store(directory: Path) -> Path:
    """A model store, and models.config in it: half_plus_two in two versions, and three more."""
    for version in ("1", "2"):
        saved_models.half_plus_two(directory / "half_plus_two" / version)
    for make in (saved_models.two_in_two_out, saved_models.strings, saved_models.peculiar):
        make(directory / make.__name__ / "1")
    (directory / "models.config").write_text(CONFIG.format(store=directory))
    return directory


@dataclass(frozen=True)
class RestAnswer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Question:
    """A predict request as both transports can send it; nothing set is not sent."""

    model: str = "half_plus_two"
    inputs: Mapping[str, Any] = field(default_factory=lambda: {"x": np.array([1, 2, 5], np.float32)})
    version: int | None = None
    label: str | None = None
    signature: str = ""

    @property
    def path(self) -> str:
        chosen = "" if self.version is None else f"/versions/{self.version}"
        chosen += "" if self.label is None else f"/labels/{self.label}"
        return f"/v1/models/{self.model}{chosen}:predict"

    def spec(self) -> messages.ModelSpec:
        spec = messages.ModelSpec(name=self.model, signature_name=self.signature)
        if self.version is not None:
            spec.version.value = self.version
        if self.label is not None:
            spec.version_label = self.label
        return spec

    def request(self, output_filter: Sequence[str] = ()) -> messages.PredictRequest:
        request = messages.PredictRequest(model_spec=self.spec(), output_filter=list(output_filter))
        for alias, array in self.inputs.items():
            fill(request.inputs[alias], np.asarray(array), as_content=True)
        return request

    def body(self) -> bytes:
        inputs = {alias: np.asarray(array).tolist() for alias, array in self.inputs.items()}
        return json.dumps({"signature_name": self.signature, "inputs": inputs}).encode()


@dataclass(frozen=True)
class Endpoint:
    """A running server, and how to ask it."""

    server: ModelServer
    channel: grpc.aio.Channel
    session: aiohttp.ClientSession

    async def call(self, method: str, request: Any, kind: Any, seconds: float = 20) -> Any:
        """Make a gRPC call by its full name; StatusError."""
        body = request if isinstance(request, bytes) else request.SerializeToString()
        try:
            return kind.FromString(await self.channel.unary_unary(f"/{method}")(body, timeout=seconds))
        except grpc.aio.AioRpcError as error:
            raise StatusError(Code(error.code().value[0]), error.details() or "") from None

    async def rest(self, method: str, path: str, body: bytes = b"", **headers: str) -> RestAnswer:
        """Send an HTTP request, its path as it is."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.request(
            method, self.url(path), data=io.BytesIO(body), headers=named, skip_auto_headers=AUTOMATIC
        ) as answer:
            return RestAnswer(answer.status, answer.headers, await answer.read())

    def url(self, path: str) -> URL:
        return URL(f"http://127.0.0.1:{self.server.rest_port}{path}", encoded=True)

    async def sample(self, beginning: str) -> float:
        """The value on the line of the metrics page that begins so; 0 where there is none."""
        page = (await self.rest("GET", "/monitoring/prometheus/metrics")).body.decode()
        lines = [line for line in page.splitlines() if line.startswith(beginning)]
        return float(lines[0].removeprefix(beginning)) if lines else 0

    async def until_sample(self, beginning: str, value: float) -> None:
        """Ask again until a sample has this value."""
        async with asyncio.timeout(20):
            while await self.sample(beginning) != value:
                continue

    async def predict(self, transport: str, question: Question) -> dict[str, Any]:
        """Ask over "grpc" or "rest": the outputs as lists; StatusError."""
        if transport == "grpc":
            answer = await self.call(f"{PREDICTION}/Predict", question.request(), messages.PredictResponse)
            return {alias: to_array(proto).tolist() for alias, proto in answer.outputs.items()}
        rest = await self.rest("POST", question.path, question.body())
        if rest.status != 200:
            raise StatusError(code_of_http(rest.status), rest.document["error"])
        outputs = rest.document["outputs"]
        return outputs if isinstance(outputs, dict) else {"y": outputs}


@contextlib.asynccontextmanager
async def serving(*arguments: str) -> AsyncIterator[Endpoint]:
    """A server in this process with these flags, and clients of it."""
    given = options.parse(["--port=-1", "--rest_api_port=-1", "--shutdown_grace_seconds=5", *arguments])
    server = ModelServer(given)
    await server.start()
    unlimited = [("grpc.max_receive_message_length", -1)]
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(server.stop)
        target = f"127.0.0.1:{server.grpc_port}"
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(target, options=unlimited))
        session = await stack.enter_async_context(aiohttp.ClientSession(auto_decompress=False))
        yield Endpoint(server, channel, session)
