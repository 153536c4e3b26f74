"""The command `serve`: its flags, and what it says of wrong ones."""

import socket
import subprocess
import sys
from typing import Any

import pytest
from click.testing import CliRunner, Result

from serving import command_line, options
from serving.options import ServerOptions

BASE = "--model_base_path=/models/m"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[ServerOptions]:
    """The options of each server that would be run."""
    runs: list[ServerOptions] = []
    monkeypatch.setattr(command_line, "_run", runs.append)
    return runs


def _serve(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(command_line.serve, arguments, env=environment)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--port=9000"], {"port": 9000}),
        (["--port", "9000"], {"port": 9000}),
        (["--enable_batching"], {"enable_batching": True}),
        (["--enable_batching", "--port=1"], {"enable_batching": True, "port": 1}),
        (["--enable_batching=true"], {"enable_batching": True}),
        (["--enable_model_warmup=false"], {"enable_model_warmup": False}),
        (["--flush_filesystem_caches=0"], {"flush_filesystem_caches": False}),
        (["--load_retry_interval_micros=-1"], {"load_retry_interval_micros": -1}),
        (["--per_process_gpu_memory_fraction=0.5"], {"per_process_gpu_memory_fraction": 0.5}),
    ],
)
def test_flags_are_read_as_tensorflow_serving_writes_them(
    started: list[ServerOptions], arguments: list[str], expected: dict[str, Any]
) -> None:
    assert _serve(BASE, *arguments).exit_code == 0
    assert started == [ServerOptions(model_base_path="/models/m", **expected)]


def test_environment_sets_what_the_arguments_leave_out(started: list[ServerOptions]) -> None:
    _serve(BASE, "--port=1", KEDGE_SERVE_PORT="2", KEDGE_SERVE_ENABLE_BATCHING="true")
    assert (started[0].port, started[0].enable_batching) == (1, True)


def test_unknown_flags_are_told_and_left_out(started: list[ServerOptions]) -> None:
    result = _serve(BASE, "--this_is_unknown=1", "--that", "--port=7")
    assert started[0].port == 7
    assert result.stderr == "unknown argument: --this_is_unknown=1\nunknown argument: --that\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([BASE, "--port=many"], "--port=many: expected a value of type int"),
        ([BASE, "--enable_batching=perhaps"], "--enable_batching=perhaps: expected true or false"),
        ([], "there is nothing to serve; give --model_base_path"),
        ([BASE, "--port=8501"], "--port and --rest_api_port are the same"),
        ([BASE, "--log_format=xml"], "--log_format is neither text nor json"),
        ([BASE, "--otlp_endpoint=localhost:4317"], "--otlp_endpoint is no URL; give http://HOST:PORT"),
        ([BASE, "--request_log_sampling_rate=2"], "--request_log_sampling_rate is a share of the requests"),
        ([BASE, "--request_log_max_files=0"], "--request_log_max_files must be 1 or more"),
        ([BASE, "--batching_parameters_file=/f"], "without --enable_batching"),
    ],
)
def test_wrong_usage_is_one_line_with_code_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command_line.main(arguments)
    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert told.startswith("kedge: ")
    assert words in told
    assert told.count("\n") == 1


def test_configuration_file_that_is_not_there_is_one_line_with_code_2(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.logs.configure", lambda log_format: None)
    with pytest.raises(SystemExit) as ended:
        command_line.main(["--model_config_file=/nowhere/models.config", "--port=-1", "--rest_api_port=-1"])
    assert ended.value.code == 2
    assert capfd.readouterr().err == "kedge: /nowhere/models.config: No such file or directory\n"


def test_taken_port_is_told_without_tensorflow() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code = (
            "import sys; from serving import command_line; sys.modules['tensorflow'] = None; "
            f"command_line.main(['{BASE}', '--port={port}', '--rest_api_port=-1'])"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"kedge: cannot listen on 127.0.0.1 for --port={port}: ")


def test_traces_without_opentelemetry_are_one_line_with_code_2(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.logs.configure", lambda log_format: None)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(SystemExit) as ended:
        command_line.main([BASE, "--port=-1", "--rest_api_port=-1", "--otlp_endpoint=http://localhost:4317"])
    assert ended.value.code == 2
    told = capfd.readouterr().err
    assert told == (
        "kedge: --otlp_endpoint needs OpenTelemetry, which is not installed: pip install 'kedge[tracing]'\n"
    )


def test_version_prints_ours_and_tensorflows() -> None:
    result = _serve("--version")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert [line.partition(": ")[0] for line in lines] == ["TensorFlow ModelServer", "TensorFlow Library"]


def test_help_lists_every_flag_that_acts() -> None:
    text = _serve("--help").stdout
    assert [flag.name for flag in options.FLAGS if flag.acts and f"--{flag.name}" not in text] == []
    assert "--skip_initialize_tpu" not in text


def test_help_does_not_import_tensorflow() -> None:
    code = "import sys; from serving import command_line; print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
