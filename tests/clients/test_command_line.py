"""The commands as a person runs them: what they print, where, and how they end."""

import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import grpc
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import kedge
from tests.clients import exchanges, stubs
from tests.clients.stubs import SILENCE, HttpAnswer, Stub
from wire import messages, tensors

ROOT = Path(__file__).resolve().parents[2]
FULL = Path("/dev/full")
ONE_DIGIT = "[[0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.91, 0.01, 0.01]]"


@dataclass(frozen=True)
class Outcome:
    exit_code: int
    stdout: str
    stderr: str


def run(*arguments: str, stdin: bytes = b"", env: dict[str, str] | None = None) -> Outcome:
    """Run the command `kedge` in this process."""
    with CliRunner().isolation(input=stdin, env=env) as (out, err, _):
        exit_code = kedge.run(arguments)
        sys.stdout.flush()
        return Outcome(exit_code, out.getvalue().decode(), err.getvalue().decode())


@pytest.fixture
def digits(stub: Stub) -> Stub:
    values = np.array(json.loads(ONE_DIGIT), np.float32)
    exchanges.answer_outputs(stub, "mnist", {"probabilities": values}, ONE_DIGIT)
    return stub


@pytest.fixture
def image(tmp_path: Path) -> Path:
    pixels = np.zeros((28, 28), np.uint8)
    pixels[4:24, 10] = 255
    Image.fromarray(pixels).save(tmp_path / "7.png")
    return tmp_path / "7.png"


@pytest.fixture
def reviews(stub: Stub) -> Stub:
    """A server that finds every review positive, however many come."""
    exchanges.answer_metadata(stub, "imdb")

    def count(body: bytes) -> int:
        if exchanges.is_grpc(stub):
            return int(messages.PredictRequest.FromString(body).inputs["text"].tensor_shape.dim[0].size)
        return len(json.loads(body)["inputs"]["text"])

    def answer(body: bytes) -> Any:
        rows = [[0.875]] * count(body)
        if not exchanges.is_grpc(stub):
            return HttpAnswer(json.dumps({"outputs": rows}))
        response = messages.PredictResponse()
        response.model_spec.version.value = 3
        tensors.fill(response.outputs["probability"], np.array(rows, np.float32), as_content=False)
        return response

    stub.answers[exchanges.predict_path(stub, "imdb")] = answer
    return stub


def texts_sent(stub: Stub) -> list[int]:
    """How many texts each predict request brought."""
    path = exchanges.predict_path(stub, "imdb")
    bodies = [body for at, body in stub.requests if at == path]
    if exchanges.is_grpc(stub):
        requests = map(messages.PredictRequest.FromString, bodies)
        return [len(request.inputs["text"].string_val) for request in requests]
    return [len(json.loads(body)["inputs"]["text"]) for body in bodies]


class TestPredict:
    """kedge predict."""

    def test_image_is_a_row_of_an_aligned_table(self, digits: Stub, image: Path) -> None:
        outcome = run("predict", "mnist", str(image), "--url", digits.url)
        assert outcome.exit_code == 0, outcome.stderr
        version = "3" if exchanges.is_grpc(digits) else "-"
        assert outcome.stdout.splitlines() == [
            "label  probability  version  input",
            f"7      0.9100       {version}        {image}",
        ]
        assert outcome.stderr == ""

    def test_json_is_one_document(self, digits: Stub, image: Path) -> None:
        outcome = run("predict", "mnist", str(image), "--url", digits.url, "--json")
        document = json.loads(outcome.stdout)
        assert document["model"] == "mnist"
        (prediction,) = document["predictions"]
        assert prediction["input"] == str(image)
        assert prediction["label"] == "7"
        assert prediction["probability"] == pytest.approx(0.91, abs=1e-6)
        assert set(prediction["probabilities"]) == set("0123456789")
        assert prediction["version"] == (3 if exchanges.is_grpc(digits) else None)

    def test_npy_on_standard_input_is_images(self, digits: Stub) -> None:
        file = io.BytesIO()
        np.save(file, np.zeros((1, 28, 28), np.uint8))
        outcome = run("predict", "mnist", "-", "--url", digits.url, "--json", stdin=file.getvalue())
        assert outcome.exit_code == 0, outcome.stderr
        assert json.loads(outcome.stdout)["predictions"][0]["input"] == "standard input[0]"

    def test_texts_come_from_words_a_file_and_standard_input(self, reviews: Stub, tmp_path: Path) -> None:
        (tmp_path / "reviews.txt").write_text("second\n\nthird\u2028and\n", encoding="utf-8")
        outcome = run(
            "predict", "imdb", "first", "--file", str(tmp_path / "reviews.txt"), "--file", "-",
            "--url", reviews.url, "--json", stdin=b"last",
        )  # fmt: skip
        assert outcome.exit_code == 0, outcome.stderr
        predictions = json.loads(outcome.stdout)["predictions"]
        names = [prediction["input"] for prediction in predictions]
        assert names[0] == "first"
        assert names[-1] == "last"
        assert {prediction["label"] for prediction in predictions} == {"positive"}

    def test_many_texts_are_sent_in_chunks(self, reviews: Stub) -> None:
        lines = "\n".join(f"a film number {number} that is long enough" for number in range(5000))
        outcome = run("predict", "imdb", "-", "--url", reviews.url, "--json", stdin=lines.encode())
        predictions = json.loads(outcome.stdout)["predictions"]
        assert [p["input"] for p in predictions] == lines.splitlines()
        assert max(texts_sent(reviews)) == 64
        assert sum(texts_sent(reviews)) == 5000

    def test_controls_in_a_text_do_not_reach_the_terminal(self, reviews: Stub) -> None:
        outcome = run("predict", "imdb", "good\x1b[2J\tfilm", "--url", reviews.url)
        assert "\x1b" not in outcome.stdout
        assert outcome.stdout.splitlines()[1].endswith("good [2J film")

    @pytest.mark.parametrize(
        ("options", "place", "check"),
        [
            (("--version", "3"), "mnist/versions/3", lambda spec: spec.version.value == 3),
            (("--label", "stable"), "mnist/labels/stable", lambda spec: spec.version_label == "stable"),
            (("--signature", "uint8_images"), "mnist", lambda s: s.signature_name == "uint8_images"),
        ],
        ids=["version", "label", "signature"],
    )
    def test_options_choose_what_is_asked(
        self, stub: Stub, image: Path, options: tuple[str, str], place: str, check: Callable[[Any], bool]
    ) -> None:
        values = np.array(json.loads(ONE_DIGIT), np.float32)
        exchanges.answer_outputs(stub, place, {"probabilities": values}, ONE_DIGIT)
        outcome = run("predict", "mnist", str(image), "--url", stub.url, *options)
        assert outcome.exit_code == 0, outcome.stderr
        path, body = stub.requests[0]
        assert path == exchanges.predict_path(stub, place)
        if exchanges.is_grpc(stub):
            assert check(messages.PredictRequest.FromString(body).model_spec)

    def test_top_shows_the_most_probable_labels_under_each_other(self, digits: Stub, image: Path) -> None:
        outcome = run("predict", "mnist", str(image), "--url", digits.url, "--top", "3")
        assert outcome.exit_code == 0, outcome.stderr
        assert [line.split()[:2] for line in outcome.stdout.splitlines()[1:]] == [
            ["7", "0.9100"], ["0", "0.0100"], ["1", "0.0100"],
        ]  # fmt: skip

    def test_top_is_in_the_json_in_its_order(self, digits: Stub, image: Path) -> None:
        outcome = run("predict", "mnist", str(image), "--url", digits.url, "--top", "2", "--json")
        (prediction,) = json.loads(outcome.stdout)["predictions"]
        assert [entry["label"] for entry in prediction["top"]] == ["7", "0"]

    def test_json_lines_are_a_document_each(self, reviews: Stub) -> None:
        outcome = run("predict", "imdb", "first", "second", "--url", reviews.url, "--jsonl")
        documents = [json.loads(line) for line in outcome.stdout.splitlines()]
        assert [(d["model"], d["input"], d["label"]) for d in documents] == [
            ("imdb", "first", "positive"), ("imdb", "second", "positive"),
        ]  # fmt: skip

    def test_answers_come_before_the_input_has_ended(self, reviews: Stub) -> None:
        """Neither is held in memory: the first answers are out while the last inputs are not yet written."""
        reading, writing = os.pipe()
        process = subprocess.Popen(
            [sys.executable, "-m", "kedge", "predict", "imdb", "-", "--url", reviews.url, "--jsonl"],
            stdin=reading, stdout=subprocess.PIPE, cwd=ROOT,
        )  # fmt: skip
        os.close(reading)
        assert process.stdout is not None
        with open(writing, "wb") as inputs:  # noqa: PTH123
            inputs.write(b"a film that is good\n" * 5_000)
            inputs.flush()
            assert json.loads(process.stdout.readline())["label"] == "positive"
            inputs.write(b"the last film\n")
        rest = process.stdout.read().splitlines()
        assert process.wait() == 0
        process.stdout.close()
        assert len(rest) == 5_000
        assert json.loads(rest[-1])["input"] == "the last film"

    @pytest.mark.skipif(not FULL.exists(), reason="there is no device that is always full")
    @pytest.mark.parametrize("form", ["--json", "--jsonl"])
    def test_answers_that_nobody_can_write_are_one_line(self, reviews: Stub, form: str) -> None:
        lines = b"a film\n" * 256 + b"...\n"
        with FULL.open("wb") as full:
            done = subprocess.run(
                [sys.executable, "-m", "kedge", "predict", "imdb", "-", "--url", reviews.url, form],
                input=lines, stdout=full, stderr=subprocess.PIPE, cwd=ROOT, check=False,
            )  # fmt: skip
        assert done.stderr == b"kedge: standard output cannot be written: No space left on device\n"
        assert done.returncode == 3

    def test_token_and_headers_come_with_every_request(self, digits: Stub, image: Path) -> None:
        arguments = ("--header", "x-tenant=a=b", "--timeout", "5")
        outcome = run(
            "predict", "mnist", str(image), "--url", digits.url, *arguments, env={"KEDGE_PREDICT_TOKEN": "t"}
        )
        assert outcome.exit_code == 0, outcome.stderr
        assert digits.headers[0]["x-tenant"] == "a=b"
        assert digits.headers[0]["authorization"] == "Bearer t"

    def test_url_comes_from_the_environment(self, digits: Stub, image: Path) -> None:
        outcome = run("predict", "mnist", str(image), env={"KEDGE_PREDICT_URL": digits.url})
        assert outcome.exit_code == 0, outcome.stderr

    def test_digit_is_drawn_on_a_terminal_and_names_are_cut(self, grpc_stub: Stub, image: Path) -> None:
        values = np.array(json.loads(ONE_DIGIT), np.float32)
        exchanges.answer_outputs(grpc_stub, "mnist", {"probabilities": values}, ONE_DIGIT)
        long = image.with_name("7" * 90 + ".png")
        image.rename(long)
        lines = run_on_terminal("predict", "mnist", str(long), "--url", grpc_stub.url)
        assert lines[0] == "label  probability  version  input"
        assert sum(bool(re.fullmatch(r"\s*[@%#]\s*", line)) for line in lines) >= 8
        assert re.fullmatch(r"7      0\.9100       3        /.+\.\.\.", lines[-1])
        assert len(lines[-1]) == 80


def run_on_terminal(*arguments: str, **environment: str) -> list[str]:
    """Run the command on a terminal of 80 columns, and return its lines."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "kedge", *arguments],
        stdout=follower, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=ROOT,
        env={**os.environ, "COLUMNS": "80", "TERM": "dumb", **environment},
    )  # fmt: skip
    os.close(follower)
    written = b""
    with open(leader, "rb", buffering=0) as terminal:  # noqa: PTH123
        try:
            while data := terminal.read(4096):
                written += data
        except OSError:  # Linux's way to say that the other side is closed
            pass
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    return written.decode().replace("\r\n", "\n").rstrip("\n").split("\n")


class TestColours:
    """Only on a terminal that has them, and not where NO_COLOR is set."""

    @pytest.mark.parametrize(
        ("environment", "coloured"),
        [
            ({"TERM": "xterm"}, True),
            ({"TERM": "xterm", "NO_COLOR": ""}, True),
            ({"TERM": "xterm", "NO_COLOR": "1"}, False),
            ({"TERM": "dumb"}, False),
        ],
        ids=str,
    )
    def test_colours_on_a_terminal(
        self, environment: dict[str, str], coloured: bool, http_stub: Stub
    ) -> None:
        exchanges.answer_status(http_stub, "mnist", [(1, "AVAILABLE", "OK", "")])
        lines = run_on_terminal("status", "mnist", "--url", http_stub.url, **environment)
        assert ("\x1b[32mAVAILABLE\x1b[0m" in lines[1]) == coloured
        assert any("\x1b" in line for line in lines) == coloured

    def test_no_colours_in_a_file(self, stub: Stub) -> None:
        exchanges.answer_status(stub, "mnist", [(1, "AVAILABLE", "OK", "")])
        assert "\x1b" not in run("status", "mnist", "--url", stub.url, env={"TERM": "xterm"}).stdout


class TestCompletion:
    """kedge completion, and what a shell asks afterwards."""

    @pytest.fixture(autouse=True)
    def listed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(kedge.COMMANDS, "completion", ("clients.completion:completion", "Completion."))

    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_script_asks_the_program(self, shell: str) -> None:
        outcome = run("completion", shell)
        assert outcome.exit_code == 0, outcome.stderr
        assert f"_KEDGE_COMPLETE={shell}_complete" in outcome.stdout

    @pytest.mark.parametrize(
        ("words", "completed"), [("kedge predict mn", "mnist"), ("kedge predict mnist --sig", "--signature")]
    )
    def test_models_and_options_are_completed(self, words: str, completed: str) -> None:
        environment = {
            "COMP_WORDS": words,
            "COMP_CWORD": str(words.count(" ")),
            "_KEDGE_COMPLETE": "bash_complete",
        }
        done = subprocess.run(
            [sys.executable, "-c", "import kedge; kedge.main()"],
            env={**os.environ, **environment}, capture_output=True, text=True, check=False, cwd=ROOT,
        )  # fmt: skip
        assert done.stdout == f"plain,{completed}\n"


class TestStatus:
    """kedge status and kedge metadata."""

    def test_status_shows_versions_and_why_one_failed(self, stub: Stub) -> None:
        versions = [(12, "AVAILABLE", "OK", ""), (1, "END", "NOT_FOUND", "no saved_model.pb " * 12)]
        exchanges.answer_status(stub, "mnist", versions)
        outcome = run("status", "mnist", "--url", stub.url)
        assert outcome.exit_code == 0, outcome.stderr
        lines = outcome.stdout.splitlines()
        assert lines[:3] == ["model  version  state", "mnist  12       AVAILABLE", "mnist  1        END"]
        assert lines[3].startswith("    NOT_FOUND: no saved_model.pb no")
        assert len(lines) > 4
        assert max(map(len, lines)) < 80

    def test_status_of_a_version_asks_for_that_one(self, stub: Stub) -> None:
        exchanges.answer_status(stub, "mnist/versions/2", [(2, "AVAILABLE", "OK", "")])
        outcome = run("status", "mnist", "--version", "2", "--url", stub.url, "--json")
        status = {"version": 2, "state": "AVAILABLE", "code": "OK", "message": ""}
        assert json.loads(outcome.stdout) == {"url": stub.url, "models": {"mnist": [status]}}

    def test_status_without_a_model_shows_those_that_the_server_knows(self, http_stub: Stub) -> None:
        http_stub.answers["/v1/models"] = HttpAnswer('{"models": [{"name": "a"}, {"name": "b"}]}')
        for name in "ab":
            exchanges.answer_status(http_stub, name, [(1, "AVAILABLE", "OK", "")])
        outcome = run("status", "--url", http_stub.url)
        assert outcome.stdout.splitlines()[1:] == ["a      1        AVAILABLE", "b      1        AVAILABLE"]

    def test_status_of_a_server_that_knows_no_model_says_so_beside_the_output(self, stub: Stub) -> None:
        exchanges.answer_error(stub, (exchanges.STATUS, ""), grpc.StatusCode.NOT_FOUND, "no versions")
        outcome = run("status", "--url", stub.url)
        assert (outcome.exit_code, outcome.stdout) == (0, "")
        assert "knows none of the models imdb, mnist" in outcome.stderr

    def test_metadata_shows_every_tensor(self, stub: Stub) -> None:
        exchanges.answer_metadata(stub, "imdb", version=12, without=["token_ids"])
        outcome = run("metadata", "imdb", "--url", stub.url)
        assert outcome.stdout.splitlines() == [
            "imdb version 12",
            "signature               tensor       dtype    shape",
            "serving_default  takes  multi_hot    float32  [any, 10000]",
            "                 gives  probability  float32  [any, 1]",
            "text             takes  text         string   [any]",
            "                 gives  probability  float32  [any, 1]",
        ]

    def test_metadata_as_json_is_one_document(self, stub: Stub) -> None:
        exchanges.answer_metadata(stub, "mnist", version=12)
        outcome = run("metadata", "mnist", "--url", stub.url, "--json")
        document = json.loads(outcome.stdout)
        assert document["version"] == 12
        assert document["signatures"]["serving_default"]["inputs"] == {
            "pixels": {"dtype": "float32", "shape": [None, 784]}
        }


class TestFailures:
    """One line on standard error, nothing on standard output, and the exit code that tells what it was."""

    @pytest.mark.parametrize(
        ("arguments", "exit_code", "words"),
        [
            (("predict", "mnist", "x.png", "--url", "localhost:8500"), 2, "has no scheme"),
            (("predict", "mnist", "x.png", "--url", "ftp://localhost"), 2, "scheme ftp is not supported"),
            (("predict", "nosuch", "x"), 2, "the models are imdb, mnist"),
            (("predict", "mnist", "x", "--token", "t", "--url", "http://far"), 2, "in the clear"),
            (("predict", "mnist", "x", "--header", "Host=a"), 2, "cannot be sent as metadata"),
            (("predict", "mnist", "/no/such.png"), 3, "/no/such.png"),
            (("predict", "imdb", "--file", "/no/such.txt"), 3, "cannot read /no/such.txt"),
            (("predict", "imdb", "-"), 3, "standard input has no review in it"),
            (("predict", "imdb", "!!!"), 3, "has no word in it"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
    )
    def test_mistake_is_one_line(self, arguments: tuple[str, ...], exit_code: int, words: str) -> None:
        outcome = run(*arguments)
        assert outcome.exit_code == exit_code
        assert words in outcome.stderr
        assert len(outcome.stderr.splitlines()) == 1
        assert outcome.stdout == ""

    @pytest.mark.parametrize(
        "arguments",
        [
            ("predict", "mnist"),
            ("predict", "mnist", "x", "--version", "1", "--label", "a"),
            ("predict", "mnist", "x", "--version", "-1"),
            ("predict", "mnist", "x", "--timeout", "0"),
            ("predict", "mnist", "x", "--timeout", "1e300"),
            ("predict", "mnist", "x", "--json", "--jsonl"),
            ("predict", "mnist", "x", "--top", "0"),
            ("predict", "mnist", "x", "--header", "novalue"),
            ("predict", "mnist", "x", "--ca", "/no/such.pem"),
            ("status", "--version", "1"),
            ("metadata",),
        ],
        ids=" ".join,
    )
    def test_wrong_usage_is_exit_code_2(self, arguments: tuple[str, ...]) -> None:
        outcome = run(*arguments)
        assert outcome.exit_code == 2
        assert "Error: " in outcome.stderr
        assert outcome.stdout == ""

    @pytest.mark.parametrize("options", [(), ("--json",)])
    def test_refusal_is_exit_code_6(self, stub: Stub, image: Path, options: tuple[str, ...]) -> None:
        said = "Servable not found for request: Latest(mnist)"
        paths = (exchanges.PREDICT, "/v1/models/mnist:predict")
        exchanges.answer_error(stub, paths, grpc.StatusCode.NOT_FOUND, said)
        outcome = run("predict", "mnist", str(image), "--url", stub.url, *options)
        assert (outcome.exit_code, outcome.stdout) == (6, "")
        assert outcome.stderr.startswith(f"kedge: {stub.url} refused: NOT_FOUND: {said}")
        assert len(outcome.stderr.splitlines()) == 1

    @pytest.mark.parametrize("scheme", ["grpc", "http"])
    @pytest.mark.parametrize("command", [("status",), ("metadata", "mnist"), ("predict", "imdb", "a film")])
    def test_server_that_is_not_there_is_exit_code_5(self, scheme: str, command: tuple[str, ...]) -> None:
        with stubs.closed_port() as port:
            outcome = run(*command, "--url", f"{scheme}://127.0.0.1:{port}")
        assert (outcome.exit_code, outcome.stdout) == (5, "")
        assert len(outcome.stderr.splitlines()) == 1

    def test_server_that_does_not_answer_in_time_is_exit_code_5(self, stub: Stub) -> None:
        stub.answers.update({exchanges.STATUS: SILENCE, "/v1/models/mnist": SILENCE})
        outcome = run("status", "mnist", "--url", stub.url, "--timeout", "0.2")
        assert outcome.exit_code == 5
        assert "within 0.2 s" in outcome.stderr

    def test_interrupt_waits_for_no_request(self, reviews: Stub) -> None:
        arrived = threading.Semaphore(0)

        def stall(body: bytes) -> Any:
            arrived.release()
            return SILENCE

        reviews.answers[exchanges.predict_path(reviews, "imdb")] = stall
        command = [sys.executable, "-m", "kedge", "predict", "imdb", "-", "--url", reviews.url]
        with subprocess.Popen(
            [*command, "--timeout", "60"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT,
        ) as process:  # fmt: skip
            assert process.stdin is not None
            process.stdin.write(b"a film\n" * 256)
            process.stdin.close()
            assert all(arrived.acquire(timeout=60) for _ in range(4))
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=30) == 130
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.read() == b""
            assert process.stderr.read().strip() == b"kedge: interrupted"

    def test_refusal_of_a_later_chunk_leaves_the_document_unfinished(self, reviews: Stub) -> None:
        lines = b"a film\n" * 256 + b"...\n"
        outcome = run("predict", "imdb", "-", "--url", reviews.url, "--json", stdin=lines)
        assert outcome.exit_code == 3
        assert outcome.stdout.count('"label"') == 256
        with pytest.raises(json.JSONDecodeError):
            json.loads(outcome.stdout)


@pytest.mark.parametrize("command", ["predict", "status", "metadata", "bench", "completion"])
def test_help_fits_80_columns(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(kedge.COMMANDS, "bench", ("clients.bench_command:bench", "Load."))
    monkeypatch.setitem(kedge.COMMANDS, "completion", ("clients.completion:completion", "Completion."))
    outcome = run(command, "--help", env={"COLUMNS": "80"})
    assert outcome.exit_code == 0
    assert max(map(len, click.unstyle(outcome.stdout).splitlines())) <= 80
