"""The compose file's stack with our server: trained, served, asked, renewed."""

import threading

import httpx
import numpy as np
import pytest

import clients
from tests.conftest import REAL_DATA
from tests.containers.engine import ROOT, Container, Stack, run, until

QUESTIONS = ROOT / "clients" / "questions"
DIGITS = ("zero.png", "two.png", "seven.png")
GRPC, REST = "grpc://tensorflow-serving:8500", "http://tensorflow-serving:8501"


def urls(server: Container) -> tuple[str, str]:
    return f"grpc://127.0.0.1:{server.port(8500)}", f"http://127.0.0.1:{server.port(8501)}"


@pytest.mark.parametrize("profile", ["tensorflow-serving", "embedded"])
def test_compose_reads_the_file_as_it_is(compose_command: list[str], profile: str) -> None:
    file = ("--file", str(ROOT / "docker-compose.yml"), "--project-directory", str(ROOT))
    done = run(*compose_command, *file, "--profile", profile, "config", "--services", cwd=ROOT)
    assert {profile, "train-mnist", "train-imdb", "prometheus", "pushgateway", "grafana"} <= set(
        done.stdout.split()
    )
    assert done.stderr == ""


@pytest.mark.parametrize("service", ["train-mnist", "train-imdb", "embedded-client"])
def test_job_ended_well(stack: Stack, service: str) -> None:
    container = stack.container(service)
    assert container.inspect()["State"]["ExitCode"] == 0, container.log()


@pytest.mark.parametrize("service", ["embedded", "embedded-playground", "prometheus", "pushgateway"])
def test_service_is_healthy_and_hardened(stack: Stack, service: str) -> None:
    container = stack.container(service)
    until(lambda: container.inspect()["State"]["Health"]["Status"] == "healthy", 60, f"{service} healthy")
    host = container.inspect()["HostConfig"]
    assert (host["ReadonlyRootfs"], host["CapDrop"], host["Privileged"]) == (True, ["ALL"], False)
    assert host["Memory"] > 0
    assert host["NanoCpus"] > 0


@pytest.mark.parametrize("url", [GRPC, REST])
def test_client_container_gets_right_answers(stack: Stack, url: str) -> None:
    digits = stack.ask("predict", "mnist", *(f"/questions/{name}" for name in DIGITS), "--url", url)
    reviews = stack.ask("predict", "imdb", "--file", "/questions/reviews.txt", "--url", url)
    assert (len(digits["predictions"]), len(reviews["predictions"])) == (3, 2)
    if stack.real:
        assert [one["label"] for one in digits["predictions"]] == ["0", "2", "7"]
        assert [one["label"] for one in reviews["predictions"]] == ["positive", "negative"]


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_playground_asks_the_server(stack: Stack, protocol: str) -> None:
    url = f"http://localhost:{stack.container('embedded-playground').port(8600)}"
    question = {"protocol": protocol, "text": "one of the best films of the year"}
    assert "<title>kedge playground</title>" in httpx.get(url).text
    assert httpx.post(f"{url}/api/review", json=question).json()["label"] == "positive"


@pytest.mark.real_data
@pytest.mark.parametrize("protocol", [0, 1], ids=["grpc", "rest"])
def test_served_model_is_as_good_as_the_trained_one(stack: Stack, protocol: int) -> None:
    if not stack.real:
        pytest.skip("the stack has trained on the sample")
    with np.load(REAL_DATA / "mnist.npz") as data:
        images, labels = data["x_test"][:300], data["y_test"][:300]
    with clients.connect(urls(stack.container("embedded"))[protocol]) as client:
        answers = client.predict("mnist", list(images))
    right = sum(int(one.label) == label for one, label in zip(answers, labels, strict=True))
    assert right >= 0.95 * len(labels)


def test_second_job_renews_the_model_without_one_failed_request(stack: Stack) -> None:
    server = stack.container("embedded")
    renewed = threading.Event()
    failures: list[Exception] = []
    seen: dict[str, set[int]] = {url: set() for url in urls(server)}

    def ask(url: str) -> None:
        with clients.connect(url) as client:
            while not renewed.is_set():
                try:
                    seen[url].add(client.predict("mnist", np.zeros((28, 28), np.uint8)).version)
                except Exception as error:  # noqa: BLE001 - whatever a caller would have met
                    failures.append(error)

    threads = [threading.Thread(target=ask, args=(url,)) for url in seen for _ in range(2)]
    with clients.connect(urls(server)[0]) as client:
        before = client.status("mnist")[0].version
        for thread in threads:
            thread.start()
        try:
            stack.compose("run", "--rm", "-T", "train-mnist", "mnist", "--epochs=1", "--min-accuracy=0.9")
            until(
                lambda: (
                    [(one.version, one.state) for one in client.status("mnist")]
                    == [(before + 1, "AVAILABLE"), (before, "END")]
                ),
                60,
                "the change of versions",
            )
            until(lambda: all(before + 1 in versions for versions in seen.values()), 10, "new answers")
        finally:
            renewed.set()
            for thread in threads:
                thread.join()
    assert failures == []
    assert list(seen.values()) == [{before, before + 1}] * 2
