import threading
import weakref
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from serving.config_files import ModelConfig
from serving.lifecycle import Lifecycle, Watch
from serving.loading import RetryPolicy
from serving.policy import All, Latest, Specific
from serving.states import State
from wire.errors import Code, StatusError

AVAILABLE, END, LOADING, UNLOADING = State.AVAILABLE, State.END, State.LOADING, State.UNLOADING


class Loaded:
    """Stands in for a servable."""

    def __init__(self, path):
        self.path = path
        self.closed = threading.Event()

    def close(self):
        self.closed.set()


class Loads:
    """A loader: `failing` has the versions that fail, and what each attempt was is in `attempts`."""

    def __init__(self):
        self.attempts = []
        self.failing = set()
        self.loaded = {}

    def __call__(self, path):
        name = f"{path.parent.name}/{path.name}"
        self.attempts.append(name)
        if name in self.failing:
            raise StatusError(Code.DATA_LOSS, f"{name} is damaged")
        self.loaded[name] = Loaded(path)
        return self.loaded[name]


class Inline:
    """An executor that runs at once what it is given, or, while it is `held`, when it is told to."""

    def __init__(self):
        self.held = False
        self._later = []

    def submit(self, work, *arguments):
        if self.held:
            self._later.append((work, arguments))
        else:
            work(*arguments)
        return Future()

    def run_held(self):
        self.held = False
        later, self._later = self._later, []
        for work, arguments in later:
            work(*arguments)

    def shutdown(self, **_):
        self.run_held()


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Stage:
    """A lifecycle over a directory, of which each `round` is one second later than the last."""

    def __init__(self, root):
        self.root = root
        self.loads, self.executor, self.clock = Loads(), Inline(), Clock()
        self.lifecycle = None

    def open(self, *configs, **options):
        self.lifecycle = Lifecycle(
            configs, self.loads, clock=self.clock, executor=self.executor, **{"watch": Watch(), **options}
        )
        self.round()
        return self.lifecycle

    def round(self, seconds=1.0):
        self.clock.now += seconds
        pause = self.lifecycle.step()
        # What has ended may let the policy go on, as the woken thread does.
        self.lifecycle.step()
        return pause

    def model(self, name, **config):
        (self.root / name).mkdir(exist_ok=True)
        return ModelConfig(name, self.root / name, **config)

    def publish(self, name, *versions):
        for version in versions:
            directory = self.root / name / str(version)
            directory.mkdir(parents=True, exist_ok=True)
            (directory / "saved_model.pb").write_bytes(b"model")

    def remove(self, name, version):
        (self.root / name / str(version) / "saved_model.pb").unlink()

    def states(self, name):
        return {status.version: status.state for status in self.lifecycle.status(name)}

    def latest(self, name, **which):
        with self.lifecycle.handle(name, **which) as handle:
            return handle.version


@pytest.fixture
def stage(tmp_path):
    made = Stage(tmp_path.resolve())
    yield made
    if made.lifecycle is not None:
        made.lifecycle.stop(grace=0)


def refusal(function, *arguments, **keywords):
    with pytest.raises(StatusError) as caught:
        function(*arguments, **keywords)
    return caught.value.code, caught.value.message


def test_version_on_disk_becomes_available(stage):
    stage.publish("m", 1)
    lifecycle = stage.open(stage.model("m"))

    assert stage.states("m") == {1: AVAILABLE}
    assert lifecycle.ready()
    with lifecycle.handle("m") as handle:
        assert (handle.name, handle.version, handle.servable) == ("m", 1, stage.loads.loaded["m/1"])


def test_new_version_replaces_the_old_one(stage):
    stage.publish("m", 1)
    stage.open(stage.model("m"))
    stage.publish("m", 2)
    stage.round()

    assert stage.states("m") == {2: AVAILABLE, 1: END}
    assert stage.loads.loaded["m/1"].closed.is_set()
    assert stage.latest("m") == 2


def test_old_version_serves_while_the_new_one_loads(stage):
    stage.publish("m", 1)
    stage.open(stage.model("m"))
    stage.publish("m", 2)
    stage.executor.held = True
    stage.round()

    assert stage.states("m") == {2: LOADING, 1: AVAILABLE}
    assert stage.latest("m") == 1
    assert refusal(stage.lifecycle.handle, "m", 2)[0] == Code.NOT_FOUND


def test_version_that_cannot_be_freed_ends_all_the_same_and_the_log_says_why(stage, caplog):
    stage.publish("m", 1)
    stage.open(stage.model("m"))

    def close():
        raise ZeroDivisionError

    stage.loads.loaded["m/1"].close = close
    stage.publish("m", 2)
    stage.round()

    assert stage.states("m") == {2: AVAILABLE, 1: END}
    assert "m version 1 could not be freed" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_failed_version_keeps_nothing_of_what_its_loader_had(stage, monkeypatch):
    held = []

    def load(path):
        loaded = Loaded(path)
        held.append(weakref.ref(loaded))
        raise StatusError(Code.DATA_LOSS, f"{path} is damaged")

    monkeypatch.setattr(Loads, "__call__", lambda _, path: load(path))
    stage.publish("m", 1)
    stage.open(stage.model("m"), retries=RetryPolicy(retries=0))

    assert stage.lifecycle.status("m", 1)[0].code == Code.DATA_LOSS
    assert [each() for each in held] == [None]


def test_old_version_stays_when_the_new_one_fails(stage):
    stage.publish("m", 1)
    stage.open(stage.model("m"), retries=RetryPolicy(retries=0))
    stage.loads.failing.add("m/2")
    stage.publish("m", 2)
    stage.round()

    failed = stage.lifecycle.status("m", 2)[0]
    assert (failed.state, failed.code, failed.message) == (END, Code.DATA_LOSS, "m/2 is damaged")
    assert stage.latest("m") == 1


@pytest.mark.parametrize("retries", [0, 5])
def test_newest_version_that_loads_serves_where_newer_ones_are_broken_at_the_start(stage, retries):
    for version in (1, 2, 3, 4):
        stage.publish("m", version)
    stage.loads.failing |= {"m/3", "m/4"}
    lifecycle = stage.open(stage.model("m"), retries=RetryPolicy(retries=retries))
    stage.round()

    assert stage.latest("m") == 2
    assert lifecycle.ready()
    assert lifecycle.settle(0)
    assert 1 not in stage.states("m")
    # It stays beside the attempts that go on, and goes once one of them goes well.
    stage.loads.failing.clear()
    (stage.root / "m" / "4" / "saved_model.pb").write_bytes(b"mended")
    stage.round()
    assert stage.latest("m") == 4
    assert stage.states("m")[2] == END


def test_older_version_is_not_loaded_where_another_serves(stage):
    stage.publish("m", 1)
    stage.open(stage.model("m"), retries=RetryPolicy(retries=0))
    stage.loads.failing.add("m/3")
    stage.publish("m", 2)
    stage.publish("m", 3)
    stage.round()

    assert stage.latest("m") == 1
    assert 2 not in stage.states("m")


def test_held_version_is_destroyed_after_its_last_holder(stage):
    stage.publish("m", 1)
    lifecycle = stage.open(stage.model("m"))
    stage.publish("m", 2)
    with lifecycle.handle("m") as first:
        with lifecycle.handle("m", 1):
            stage.round()
            assert stage.states("m")[1] == UNLOADING
            assert refusal(lifecycle.handle, "m", 1)[0] == Code.NOT_FOUND
        assert not first.servable.closed.is_set()

    assert first.servable.closed.is_set()
    assert stage.states("m")[1] == END


def test_holder_of_one_model_does_not_hold_up_another(stage):
    stage.publish("m", 1)
    stage.publish("n", 1)
    lifecycle = stage.open(stage.model("m"), stage.model("n"))
    stage.publish("n", 2)
    with lifecycle.handle("m"):
        stage.round()

        assert stage.states("n") == {2: AVAILABLE, 1: END}


@pytest.mark.parametrize(
    ("policy", "served"),
    [
        (Latest(), {3}),
        (Latest(2), {2, 3}),
        (All(), {1, 2, 3}),
        (Specific((1,)), {1}),
        (Specific((7,)), set()),
    ],
)
def test_policy_decides_what_is_served(stage, policy, served):
    stage.publish("m", 1, 2, 3)
    stage.open(stage.model("m", policy=policy))

    states = {each.version for each in stage.lifecycle.statuses()["m"] if each.state == AVAILABLE}
    assert states == served


def test_missing_base_path_holds_up_no_other_model(stage):
    stage.publish("m", 1)
    lifecycle = stage.open(ModelConfig("gone", stage.root / "gone"), stage.model("m"))

    assert stage.latest("m") == 1
    assert not lifecycle.ready()
    assert lifecycle.settle(0)
    assert refusal(lifecycle.status, "gone")[0] == Code.NOT_FOUND


def test_version_that_cannot_be_read_holds_up_no_version(stage):
    stage.publish("m", 1)
    stage.publish("n", 1)
    (stage.root / "m" / "2").symlink_to("x" * 300)
    lifecycle = stage.open(stage.model("m"), stage.model("n"))
    assert lifecycle.settle(0)
    for name in ("m", "n"):
        assert stage.latest(name) == 1
        stage.publish(name, 3)
    stage.round()

    assert [stage.latest(name) for name in ("m", "n")] == [3, 3]


def test_emptied_base_path_unloads_but_a_removed_one_does_not(stage):
    for name in ("emptied", "removed"):
        stage.publish(name, 1)
    stage.open(stage.model("emptied"), stage.model("removed"))
    stage.remove("emptied", 1)
    (stage.root / "removed").rename(stage.root / "elsewhere")
    stage.round()

    assert stage.states("emptied") == {1: END}
    assert stage.states("removed") == {1: AVAILABLE}


def test_failed_load_is_tried_again_after_growing_pauses(stage):
    stage.publish("m", 1)
    stage.loads.failing.add("m/1")
    stage.open(stage.model("m"), retries=RetryPolicy(retries=3))
    attempts = []
    for _ in range(10):
        attempts.append(len(stage.loads.attempts))
        stage.round()

    assert attempts == [1, 2, 2, 3, 3, 3, 3, 4, 4, 4]
    assert stage.states("m") == {1: END}


@pytest.mark.parametrize(
    ("policy", "pauses"),
    [
        (RetryPolicy(), [1, 2, 4, 8, 16, None]),
        (RetryPolicy(retries=8), [1, 2, 4, 8, 16, 32, 60, 60, None]),
        (RetryPolicy(retries=2, pause=60), [60, 60, None]),
        (RetryPolicy(retries=1, pause=-1), [0, None]),
        (RetryPolicy(retries=0), [None]),
    ],
)
def test_retry_policy_pauses(policy, pauses):
    assert [policy.pause_after(failures) for failures in range(1, len(pauses) + 1)] == pauses


def test_version_that_loads_at_last_is_available(stage):
    stage.publish("m", 1)
    stage.loads.failing.add("m/1")
    stage.open(stage.model("m"))
    assert stage.states("m") == {1: LOADING}
    stage.loads.failing.clear()
    stage.round()

    assert stage.states("m") == {1: AVAILABLE}


def test_given_up_version_is_tried_again_when_its_files_change(stage):
    stage.publish("m", 1)
    stage.loads.failing.add("m/1")
    stage.open(stage.model("m"), retries=RetryPolicy(retries=0))
    stage.round()
    assert len(stage.loads.attempts) == 1

    stage.loads.failing.clear()
    (stage.root / "m" / "1" / "variables").write_bytes(b"the rest of the copy")
    stage.round()

    assert stage.states("m") == {1: AVAILABLE}


def test_failed_version_that_is_no_longer_wanted_is_not_tried_again(stage):
    stage.publish("m", 1)
    stage.loads.failing.add("m/1")
    stage.open(stage.model("m"))
    stage.remove("m", 1)
    stage.round(60)

    assert stage.loads.attempts == ["m/1"]
    assert stage.lifecycle.status("m", 1)[0].code == Code.DATA_LOSS


def test_load_that_ends_when_no_longer_wanted_is_cancelled(stage):
    stage.publish("m", 1)
    stage.executor.held = True
    stage.open(stage.model("m"))
    stage.remove("m", 1)
    stage.round()
    stage.executor.run_held()

    status = stage.lifecycle.status("m", 1)[0]
    assert (status.state, status.code, status.message) == (
        END, Code.CANCELLED, "Loading of servable cancelled"
    )  # fmt: skip
    assert stage.loads.loaded["m/1"].closed.is_set()


def test_version_that_comes_back_is_loaded_again(stage):
    stage.publish("m", 1)
    stage.open(stage.model("m"))
    stage.remove("m", 1)
    stage.round()
    assert stage.states("m") == {1: END}
    stage.publish("m", 1)
    stage.round()

    assert stage.states("m") == {1: AVAILABLE}


def test_rollback_by_removing_the_newest_version(stage):
    stage.publish("m", 1, 2)
    stage.open(stage.model("m"))
    stage.remove("m", 2)
    stage.round()

    assert stage.latest("m") == 1
    assert stage.states("m") == {2: END, 1: AVAILABLE}


@pytest.mark.parametrize(
    ("name", "version", "label", "expected"),
    [
        ("", None, None, (Code.INVALID_ARGUMENT, "ModelSpec has no name specified.")),
        ("x", None, None, (Code.NOT_FOUND, "Servable not found for request: Latest(x)")),
        ("x", 3, None, (Code.NOT_FOUND, "Servable not found for request: Specific(x, 3)")),
        ("m", 0, None, (Code.NOT_FOUND, "Servable not found for request: Specific(m, 0)")),
        ("m", None, "none", (Code.INVALID_ARGUMENT, "Unrecognized servable version label: none")),
        ("x", None, "good", (Code.INVALID_ARGUMENT, "Unrecognized servable version label: good")),
        ("m", None, "next", (Code.NOT_FOUND, "Servable not found for request: Specific(m, 9)")),
    ],
)  # fmt: skip
def test_handle_of_what_is_not_there_is_refused(stage, name, version, label, expected):
    stage.publish("m", 1)
    lifecycle = stage.open(stage.model("m", labels={"good": 1, "next": 9}))

    assert refusal(lifecycle.handle, name, version, label) == expected
    assert stage.latest("m", label="good") == 1


def test_label_in_the_first_configuration_applies_when_its_version_comes(stage):
    stage.publish("m", 1)
    stage.open(stage.model("m", policy=All(), labels={"next": 2}))
    stage.publish("m", 2)
    stage.round()

    assert stage.latest("m", label="next") == 2


def test_label_moves_once_its_new_version_is_available(stage):
    stage.publish("m", 1)
    lifecycle = stage.open(stage.model("m", policy=All(), labels={"good": 1}))
    lifecycle.reload([stage.model("m", policy=All(), labels={"good": 2})])
    before = stage.latest("m", label="good")
    stage.publish("m", 2)
    stage.round()

    assert (before, stage.latest("m", label="good")) == (1, 2)


def test_status_tells_newest_first_or_not_found(stage):
    stage.publish("m", 1, 3, 2)
    lifecycle = stage.open(stage.model("m", policy=All()))

    assert [status.version for status in lifecycle.status("m")] == [3, 2, 1]
    assert refusal(lifecycle.status, "m", 9) == (Code.NOT_FOUND, "Could not find version 9 of model m")
    assert refusal(lifecycle.status, "") == (Code.NOT_FOUND, "Could not find any versions of model ")


def test_store_root_serves_models_as_they_come_and_go(stage):
    stage.publish("m", 1)
    (stage.root / "no_model").mkdir()
    lifecycle = stage.open(watch=Watch(store_root=stage.root))
    assert set(lifecycle.statuses()) == {"m"}
    stage.publish("n", 1)
    stage.round()
    assert stage.latest("n") == 1
    (stage.root / "m").rename(stage.root / ".m")
    stage.round()

    assert refusal(lifecycle.handle, "m")[0] == Code.NOT_FOUND
    assert lifecycle.ready()


def test_model_of_a_store_root_that_cannot_be_read_for_a_while_stays(stage):
    stage.publish("m", 1)
    stage.open(watch=Watch(store_root=stage.root))
    (stage.root / "m").rename(stage.root / ".m")
    (stage.root / "m").symlink_to("x" * 300)
    stage.round()
    assert stage.states("m") == {1: AVAILABLE}
    (stage.root / "m").unlink()
    (stage.root / ".m").rename(stage.root / "m")
    stage.publish("m", 2)
    stage.round()

    assert stage.latest("m") == 2


def test_empty_store_root_is_not_ready(stage):
    assert not stage.open(watch=Watch(store_root=stage.root)).ready()


def test_configuration_file_is_applied_when_it_changes(stage):
    stage.publish("m", 1)
    stage.publish("n", 1)
    files = [[stage.model("m")]]

    def read():
        if isinstance(files[-1], StatusError):
            raise files[-1]
        return files[-1]

    lifecycle = stage.open(*files[0], watch=Watch(read_configs=read, config_seconds=1))
    lifecycle._apply([stage.model("n")])
    stage.round()
    assert stage.latest("n") == 1, "the file has not changed, so a reload by request stays"
    files.append(StatusError(Code.INVALID_ARGUMENT, "Invalid protobuf file"))
    stage.round()
    assert stage.latest("n") == 1, "a file that does not parse changes nothing"
    files.append([stage.model("m"), stage.model("n")])
    stage.round()

    assert stage.latest("m") == 1


def test_polling_off_looks_once(stage):
    stage.publish("m", 1)
    stage.open(stage.model("m"), watch=Watch(poll_seconds=0))
    stage.publish("m", 2)
    stage.round(3600)

    assert stage.states("m") == {1: AVAILABLE}


@pytest.fixture
def running(tmp_path):
    """Makes a started lifecycle over a directory, of real threads, with polling off."""
    made = []

    def start(load, *configs, **options):
        made.append(Lifecycle(configs, load, watch=Watch(poll_seconds=0), **options))
        made[-1].start()
        return made[-1]

    yield start
    for each in made:
        each.stop(grace=5)


def config(root: Path, name: str, *versions: int) -> ModelConfig:
    for version in versions:
        (root / name / str(version)).mkdir(parents=True)
        (root / name / str(version) / "saved_model.pb").write_bytes(b"model")
    return ModelConfig(name, root / name)


def test_slow_load_holds_up_no_other_model(running, tmp_path):
    go_on = threading.Event()

    def load(path):
        if path.parent.name == "slow":
            assert go_on.wait(10)
        return Loaded(path)

    lifecycle = running(load, config(tmp_path, "slow", 1))
    lifecycle.reload([config(tmp_path, "slow"), config(tmp_path, "quick", 1)], timeout=10)
    with lifecycle.handle("quick") as handle:
        assert handle.version == 1
    assert lifecycle.status("slow")[0].state == LOADING
    go_on.set()

    assert lifecycle.settle(10)
    assert lifecycle.ready()


def test_reload_waits_for_new_models_and_drops_the_others(running, tmp_path):
    lifecycle = running(Loaded, config(tmp_path, "old", 1))
    assert lifecycle.settle(10)
    lifecycle.reload([config(tmp_path, "new", 1)], timeout=10)

    with lifecycle.handle("new") as handle:
        assert handle.version == 1
    assert refusal(lifecycle.handle, "old")[0] == Code.NOT_FOUND


def test_reload_tells_which_new_models_are_not_there(running, tmp_path):
    loads = Loads()
    loads.failing.add("damaged/1")
    lifecycle = running(loads)
    configs = [config(tmp_path, "good", 1), config(tmp_path, "damaged", 1), config(tmp_path, "gone")]

    code, message = refusal(lifecycle.reload, configs, timeout=10)

    assert code == Code.UNKNOWN
    assert message.startswith(
        "2 model(s) did not become available: {{{name: damaged version: 1} due to error: "
    )
    assert "DATA_LOSS: damaged/1 is damaged" in message
    assert "{{name: gone} due to error: NOT_FOUND: " in message
    with lifecycle.handle("good") as handle:
        assert handle.version == 1


def test_reload_does_not_wait_for_ever(running, tmp_path):
    go_on = threading.Event()

    def load(path):
        assert go_on.wait(10)
        return Loaded(path)

    lifecycle = running(load)

    assert refusal(lifecycle.reload, [config(tmp_path, "slow", 1)], timeout=0.05) == (
        Code.DEADLINE_EXCEEDED, "Still loading after 0.05 s: {slow}"
    )  # fmt: skip
    lifecycle.reload([], timeout=10)
    go_on.set()


def test_reload_that_waits_ends_when_the_server_stops(tmp_path):
    go_on = threading.Event()

    def load(path):
        assert go_on.wait(10)
        return Loaded(path)

    with ThreadPoolExecutor() as executor:
        lifecycle = Lifecycle([], load)
        lifecycle.start()
        reload = executor.submit(lifecycle.reload, [config(tmp_path, "slow", 1)], timeout=20)
        with lifecycle.changed:
            assert lifecycle.changed.wait_for(lambda: lifecycle.statuses().get("slow"), 10)
        stop = executor.submit(lifecycle.stop, 5)
        error = reload.exception(10)
        go_on.set()
        stop.result(10)

    assert isinstance(error, StatusError)
    assert (error.code, error.message) == (Code.UNAVAILABLE, "The server is shutting down")


def test_loader_that_raises_anything_ends_as_internal(running, tmp_path):
    def load(path):
        raise RuntimeError("a fault")

    lifecycle = running(load, config(tmp_path, "m", 1), retries=RetryPolicy(retries=0))
    assert lifecycle.settle(10)

    assert lifecycle.status("m")[0].code == Code.INTERNAL


def test_stop_frees_everything(tmp_path):
    loads = Loads()
    lifecycle = Lifecycle([config(tmp_path, "m", 1)], loads)
    lifecycle.start()
    assert lifecycle.settle(10)
    lifecycle.stop()

    assert loads.loaded["m/1"].closed.is_set()
    assert refusal(lifecycle.handle, "m")[0] == Code.NOT_FOUND
    assert lifecycle.status("m")[0].state == END
