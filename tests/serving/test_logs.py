"""The log as a collector reads it: JSON lines, whoever writes them, and the line of each request."""

import io
import json
import logging
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving import access_log, logs
from serving.answered import Answered, Caller
from serving.inference import Call, ModelSpec
from tests.serving.servers import Question, serving
from wire.errors import Code, StatusError

ROOT = Path(__file__).resolve().parents[2]
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE_ID}-b7ad6b7169203331-01"


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What the root logger writes as JSON while the test runs."""
    stream, root = io.StringIO(), logging.getLogger()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonLines())
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


def _documents(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().removesuffix("\n").split("\n") if line]


def test_every_record_is_one_object_on_one_line(written: io.StringIO) -> None:
    log = logging.getLogger("a.library")
    log.warning('two\nlines, "quotes" and %s', "\udcff")
    try:
        raise ValueError("with\na line break")
    except ValueError:
        log.exception("it failed")
    log.error("where", stack_info=True)
    messages = [document["message"] for document in _documents(written)]
    assert messages == [
        'two\nlines, "quotes" and \udcff',
        "it failed",
        "where",
    ]
    first = _documents(written)[0]
    assert (first["level"], first["logger"]) == ("WARNING", "a.library")
    assert first["time"].endswith("+00:00")
    failed, where = _documents(written)[1:]
    assert failed["traceback"].startswith("Traceback ")
    assert failed["traceback"].endswith("ValueError: with\na line break")
    assert where["stack"].startswith("Stack ")


def test_record_with_the_wrong_arguments_is_an_object_too() -> None:
    record = logging.LogRecord("a.library", logging.ERROR, "f", 1, "too few %s %s", ("arguments",), None)
    assert json.loads(logs.JsonLines().format(record))["message"] == "too few %s %s ('arguments',)"


def test_warnings_and_uncaught_exceptions_of_a_process_are_json_lines_too() -> None:
    program = """
import threading, warnings
from serving import logs
logs.configure("json")
warnings.warn("careful")
thread = threading.Thread(target=lambda: 1 / 0, name="worker")
thread.start()
thread.join()
raise KeyError("oh")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False
    )
    documents = [json.loads(line) for line in done.stderr.splitlines()]
    assert [document["level"] for document in documents] == ["WARNING", "ERROR", "CRITICAL"]
    assert "careful" in documents[0]["message"]
    assert documents[1]["message"] == "thread worker has ended"
    assert documents[1]["traceback"].endswith("ZeroDivisionError: division by zero")
    assert documents[2]["traceback"].endswith("KeyError: 'oh'")
    assert done.returncode == 1


def test_all_that_a_server_with_json_lines_says_is_json(half_plus_two: Path) -> None:
    command = [sys.executable, "-m", "kedge", "serve", "--port=-1", "--rest_api_port=-1", "--log_format=json"]
    command += [f"--model_base_path={half_plus_two.parent}", "--grpc_max_threads=3"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            lines = []
            for line in process.stderr or ():
                lines.append(line)
                if "REST on http" in line:
                    break
            process.send_signal(signal.SIGTERM)
            lines += process.communicate(timeout=30)[1].splitlines()
        finally:
            process.kill()
    messages = [json.loads(line)["message"] for line in lines]
    assert "--grpc_max_threads has no effect on this server" in messages
    assert any(message.startswith("stopping: ") for message in messages)


@pytest.mark.parametrize("transport", ["grpc", "rest"])
async def test_access_log_has_a_line_for_each_request_with_the_callers_trace(
    half_plus_two: Path, written: io.StringIO, transport: str
) -> None:
    question = Question("m", {"x": np.array([1], np.float32)})
    async with serving(
        "--model_name=m", f"--model_base_path={half_plus_two.parent}", "--access_log"
    ) as endpoint:
        await endpoint.rest("GET", "/healthz")
        if transport == "grpc":
            call = endpoint.channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
            await call(
                question.request().SerializeToString(), metadata=(("traceparent", PARENT),), timeout=20
            )
        else:
            await endpoint.rest("POST", question.path, question.body(), TraceParent=PARENT)
        with pytest.raises(StatusError):
            await endpoint.predict(transport, Question("no"))
    found = [each for each in _documents(written) if each["logger"] == "serving.access_log"]
    api = "Predict" if transport == "grpc" else "predict"
    kept = [
        tuple(
            each.get(name)
            for name in ("transport", "api", "model", "version", "signature", "code", "trace_id")
        )
        for each in found
    ]
    assert kept == [
        (transport, api, "m", 1, "serving_default", "OK", TRACE_ID),
        (transport, api, "no", None, "", "NOT_FOUND", None),
    ]
    assert all(each["seconds"] > 0 for each in found)
    assert all("127.0.0.1" in each["peer"] for each in found)


async def test_requests_are_not_logged_unless_asked_for(half_plus_two: Path, written: io.StringIO) -> None:
    async with serving("--model_name=m", f"--model_base_path={half_plus_two.parent}") as endpoint:
        await endpoint.predict("rest", Question("m"))
    assert [each for each in _documents(written) if each["logger"] == "serving.access_log"] == []


def test_access_line_cannot_be_forged_by_a_models_name(caplog: pytest.LogCaptureFixture) -> None:
    call = Call(ModelSpec('m code=OK\n2026 "' + "x" * 500))
    answered = Answered("rest", "predict", call, 1.0, 1.5, Code.NOT_FOUND)
    with caplog.at_level(logging.INFO):
        access_log.log(answered, Caller(dict, lambda: "127.0.0.1"))
    [message] = caplog.messages
    expected = r'request transport=rest api=predict model="m code=OK\\n2026 \\"x{240}" version= signature= '
    assert re.fullmatch(expected + r"code=NOT_FOUND seconds=0\.5 peer=127\.0\.0\.1", message), message
