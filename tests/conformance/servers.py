"""The servers that the rows are asked of, by the name that a row gives, and their flags."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc

from . import talk
from .table import MODEL, Grpc, spec

PLAIN = (
    "--model_config_file={store}/models.config",
    "--monitoring_config_file={store}/monitoring.config",
    "--allow_version_labels_for_unavailable_models=true",
    "--enable_grpc_healthcheck_service=true",
)
"""What a server that is given as --target has to run with; README.md has the whole command."""

FLAGS: Mapping[str, Sequence[str]] = {
    "plain": PLAIN,
    # Flags that do not meddle with one another.
    "flags": (
        "--model_config_file={store}/models.config",
        "--monitoring_config_file={store}/monitoring.config",
        "--allow_version_labels_for_unavailable_models=true",
        "--enable_batching=true",
        "--batching_parameters_file={store}/batching.config",
        "--rest_api_enable_cors_support=true",
        "--rest_api_timeout_in_ms=700",
        "--enable_signature_method_name_check=true",
        "--enable_serialization_as_tensor_content=true",
    ),
    "lifecycle": (
        "--model_config_file={store}/models.config",
        "--file_system_poll_wait_seconds=1",
        "--max_num_load_retries=1",
        "--load_retry_interval_micros=1000",
        "--this_flag_is_unknown=1",
    ),
    "polled": (
        "--model_config_file={store}/models.config",
        "--model_config_file_poll_wait_seconds=1",
        "--file_system_poll_wait_seconds=1",
        "--max_num_load_retries=0",
        "--enable_batching",
        "--enable_per_model_batching_parameters",
    ),
}


@contextlib.contextmanager
def running(name: str, store: Path) -> Iterator[talk.Server]:
    """A kedge server of its own with the flags of this name, on free ports of this machine."""
    from serving import embedded

    arguments = [placed(flag, {"{store}": str(store)}) for flag in FLAGS[name]]
    with (
        embedded.running(arguments) as server,
        talk.talking(
            f"127.0.0.1:{server.grpc_port}", f"127.0.0.1:{server.rest_port}", server.pid
        ) as open_server,
    ):
        yield open_server


def command(arguments: Sequence[str], places: Mapping[str, str]) -> list[str]:
    """The command line of `kedge serve` with these arguments, on free ports unless they name some."""
    given = [placed(each, places) for each in arguments]
    return [sys.executable, "-m", "kedge", "serve", "--port=-1", "--rest_api_port=-1", *given]


def placed(text: str, places: Mapping[str, str]) -> str:
    """The text with each place's name, such as `{store}`, replaced."""
    for name, value in places.items():
        text = text.replace(name, value)
    return text


@dataclass(frozen=True)
class Single:
    """A server of one model on a UNIX socket, and the first answer that it ever gave."""

    server: talk.Server
    first_answer: talk.GrpcAnswer


@contextlib.contextmanager
def single(base_path: Path, socket_path: Path) -> Iterator[Single]:
    """Start one model by its path, on a UNIX socket alone."""
    arguments = (
        *("--port=0", "--rest_api_port=0"),
        f"--grpc_socket_path={socket_path}",
        f"--model_base_path={base_path}",
    )
    process = subprocess.Popen(command(arguments, {}), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with talk.talking(f"unix:{socket_path}", "") as server:
            yield Single(server, _first_answer(server, process))
    finally:
        process.terminate()
        process.wait(30)


def _first_answer(server: talk.Server, process: subprocess.Popen[bytes]) -> talk.GrpcAnswer:
    request = f"model_spec {{ {spec('default')} }}"
    row = Grpc(id="", rule="1.8", call=f"{MODEL}/GetModelStatus", request=request, timeout=1)
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        answer = talk.call(server, row)
        if answer.code not in (grpc.StatusCode.UNAVAILABLE.name, grpc.StatusCode.DEADLINE_EXCEEDED.name):
            return answer
        time.sleep(0.02)
    raise AssertionError(f"the server gave no answer; its exit code is {process.poll()}")
