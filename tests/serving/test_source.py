import logging
import os
import shutil

import pytest

from serving import source as source_module
from serving.config_files import ModelConfig
from serving.policy import Specific
from serving.source import Source, fingerprint, version_number
from wire.errors import Code, StatusError


def publish(base, *names):
    for name in names:
        (base / name).mkdir(parents=True)
        (base / name / "saved_model.pb").write_bytes(b"model")


def names(found):
    return {number: path.name for number, path in found.items()}


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("1", 1), ("00000123", 123), ("-5", -5), ("+5", 5), ("0", 0), ("9223372036854775807", 2**63 - 1),
        ("9223372036854775808", None), ("1.0", None), ("1a", None), ("", None), ("v1", None), (" 1", None),
        ("1_000", None), ("٣", None), (".1", None), ("9" * 5000, None),
    ],
)  # fmt: skip
def test_version_number_is_a_whole_64_bit_decimal(name, number):
    assert version_number(name) == number


def test_versions_are_directories_with_a_saved_model(tmp_path):
    publish(tmp_path, "1", "00000123", "latest")
    (tmp_path / "3").mkdir()
    (tmp_path / "4").write_text("a file")
    (tmp_path / "5").mkdir()
    (tmp_path / "5" / "saved_model.pbtxt").write_text("")

    assert names(Source().versions(tmp_path)) == {1: "1", 123: "00000123", 5: "5"}


def test_versions_of_one_number_count_once_and_are_told_once(tmp_path, caplog):
    publish(tmp_path, "1", "01", "001")
    source = Source()

    assert names(source.versions(tmp_path)) == {1: "1"}
    source.versions(tmp_path)
    assert len(caplog.messages) == 2


def test_versions_of_an_empty_base_path_are_none(tmp_path):
    assert Source().versions(tmp_path) == {}


@pytest.mark.parametrize("name", ["missing", "file"])
def test_versions_of_a_base_path_that_cannot_be_read_is_an_error(tmp_path, name):
    (tmp_path / "file").write_text("")

    with pytest.raises(StatusError, match="Could not find base path") as caught:
        Source().versions(tmp_path / name)

    assert caught.value.code == Code.NOT_FOUND


def make_unreadable(path):
    """Whoever looks into it gets an error of the system, root too."""
    path.symlink_to("x" * 300)


def test_version_that_cannot_be_read_holds_up_no_other_and_is_told_once(tmp_path, caplog):
    publish(tmp_path, "1")
    make_unreadable(tmp_path / "2")
    source = Source()

    assert [names(source.versions(tmp_path)) for _ in range(2)] == [{1: "1"}] * 2
    assert len(caplog.messages) == 1
    assert f"{tmp_path / '2'}: cannot be read" in caplog.text


def test_version_that_can_no_longer_be_read_is_still_there(tmp_path):
    publish(tmp_path, "1", "2")
    source = Source()
    source.versions(tmp_path)
    (tmp_path / "2").rename(tmp_path / "whole")
    make_unreadable(tmp_path / "2")

    assert names(source.versions(tmp_path)) == {1: "1", 2: "2"}
    (tmp_path / "2").unlink()
    assert names(source.versions(tmp_path)) == {1: "1"}


def test_version_that_is_a_link_to_nowhere_is_not_there(tmp_path, caplog):
    publish(tmp_path, "1")
    (tmp_path / "2").symlink_to("gone")

    assert names(Source().versions(tmp_path)) == {1: "1"}
    assert not caplog.messages


def test_versions_of_a_base_path_whose_links_lead_in_a_circle_is_an_error(tmp_path):
    (tmp_path / "m").symlink_to("m")

    with pytest.raises(StatusError, match="Could not find base path"):
        Source().versions(tmp_path / "m")


def test_versions_that_are_links_out_of_the_base_path_are_refused(tmp_path, caplog):
    base = tmp_path / "base"
    publish(base, "1")
    publish(tmp_path, "secret")
    (base / "2").symlink_to(tmp_path / "secret")
    (base / "3").symlink_to("1")
    (base / "4").mkdir()
    (base / "4" / "saved_model.pb").symlink_to(tmp_path / "secret" / "saved_model.pb")

    assert names(Source().versions(base)) == {1: "1", 3: "3"}
    assert sum("leaves the base path" in message for message in caplog.messages) == 2


def test_versions_of_a_base_path_that_is_a_link_itself(tmp_path):
    publish(tmp_path / "real", "1")
    (tmp_path / "link").symlink_to(tmp_path / "real")

    assert names(Source().versions(tmp_path / "link")) == {1: "1"}


def test_look_tells_a_listed_version_that_is_missing(tmp_path, caplog):
    publish(tmp_path, "1")

    found = Source().look(ModelConfig("m", tmp_path, Specific((1, 2))))

    assert names(found) == {1: "1"}
    assert "versions [2]" in caplog.text


def test_look_at_a_missing_base_path_answers_why_and_tells_it_once(tmp_path, caplog):
    source, config = Source(), ModelConfig("m", tmp_path / "gone")

    with caplog.at_level(logging.WARNING):
        answers = [source.look(config) for _ in range(3)]

    assert all(isinstance(answer, StatusError) for answer in answers)
    assert len(caplog.messages) == 1


def test_models_are_directories_with_versions(tmp_path):
    publish(tmp_path / "m", "1")
    publish(tmp_path / ".staging", "1")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")

    assert Source().models(tmp_path) == (ModelConfig("m", tmp_path / "m"),)


@pytest.mark.parametrize("unreadable", ["m", "m/1"])
def test_model_that_can_no_longer_be_read_is_still_one(tmp_path, unreadable):
    publish(tmp_path / "m", "1")
    source = Source()
    models = source.models(tmp_path)
    (tmp_path / unreadable).rename(tmp_path / ".elsewhere")
    make_unreadable(tmp_path / unreadable)

    assert source.models(tmp_path) == models
    (tmp_path / unreadable).unlink()
    assert source.models(tmp_path) == ()


def test_model_that_could_never_be_read_is_none(tmp_path, caplog):
    publish(tmp_path / "m", "1")
    make_unreadable(tmp_path / "n")

    assert Source().models(tmp_path) == (ModelConfig("m", tmp_path / "m"),)
    assert f"{tmp_path / 'n'}: cannot be read" in caplog.text


def test_models_of_a_root_that_cannot_be_read_are_unknown(tmp_path):
    assert Source().models(tmp_path / "gone") is None


def test_fingerprint_changes_with_any_file(tmp_path):
    publish(tmp_path, "1")
    seen = [fingerprint(tmp_path / "1")]
    (tmp_path / "1" / "variables").mkdir()
    (tmp_path / "1" / "variables" / "data").write_bytes(b"half")
    seen.append(fingerprint(tmp_path / "1"))
    (tmp_path / "1" / "variables" / "data").write_bytes(b"whole")
    seen.append(fingerprint(tmp_path / "1"))
    os.utime(tmp_path / "1" / "saved_model.pb", ns=(1, 1))
    seen.append(fingerprint(tmp_path / "1"))

    assert len(set(seen)) == 4
    assert fingerprint(tmp_path / "1") == seen[-1]


def test_link_out_of_a_store_that_is_no_model_is_passed_over_in_silence(tmp_path, caplog):
    (tmp_path / "store").mkdir()
    (tmp_path / "other" / "documents").mkdir(parents=True)
    (tmp_path / "other" / "file").touch()
    for name in ("documents", "file"):
        (tmp_path / "store" / name).symlink_to(tmp_path / "other" / name)

    assert Source().models(tmp_path / "store") == ()
    assert caplog.messages == []


def test_version_that_goes_while_it_is_looked_at_is_not_there(tmp_path, caplog, monkeypatch):
    publish(tmp_path, "1")
    source = Source()
    assert 1 in source.versions(tmp_path)
    look = source_module._real

    def remove_and_look(path):
        if path.name == "1":
            shutil.rmtree(path)
        return look(path)

    monkeypatch.setattr(source_module, "_real", remove_and_look)
    assert source.versions(tmp_path) == {}
    assert caplog.messages == []


def test_fingerprint_of_what_cannot_be_read_is_empty(tmp_path):
    make_unreadable(tmp_path / "1")

    assert fingerprint(tmp_path / "1") == ()
