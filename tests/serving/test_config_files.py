from pathlib import Path

import pytest

from serving.batching import BatchingParameters
from serving.config_files import (
    ModelConfig,
    Monitoring,
    Tls,
    model_configs,
    models_from_options,
    read_batching,
    read_model_server_config,
    read_monitoring,
    read_tls,
)
from serving.options import ServerOptions
from serving.policy import All, Latest, Specific
from wire.errors import Code, StatusError


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "config"
        path.write_text(text)
        return path

    return write


def models(path):
    return model_configs(read_model_server_config(path))


def refused(function, *arguments):
    with pytest.raises(StatusError) as caught:
        function(*arguments)
    assert caught.value.code == Code.INVALID_ARGUMENT
    return caught.value.message


def test_models_are_read_with_policies_and_labels(file):
    path = file("""
        # comments, commas, semicolons, both quotes, with and without a colon
        model_config_list: {
          config { name: 'a', base_path: "/models/a"; model_platform: "tensorflow" }
          config: { name: "b" base_path: "/models/b" model_platform: "tensorflow"
                    model_version_policy { latest { num_versions: 2 } } }
          config { name: "c" base_path: "file:///models/c" model_type: TENSORFLOW
                   model_version_policy { specific { versions: 3 versions: 5 } }
                   version_labels { key: "good" value: 3 } version_labels { key: "next" value: 5 } }
          config { name: "d" base_path: "/models/d" model_platform: "tensorflow"
                   model_version_policy { all {} } }
        }""")

    assert models(path) == (
        ModelConfig("a", Path("/models/a"), Latest(1)),
        ModelConfig("b", Path("/models/b"), Latest(2)),
        ModelConfig("c", Path("/models/c"), Specific((3, 5)), {"good": 3, "next": 5}),
        ModelConfig("d", Path("/models/d"), All()),
    )


@pytest.mark.parametrize("text", ["", "model_config_list {}"])
def test_models_none_are_legal(file, text):
    assert models(file(text)) == ()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ('name: "m" base_path: "models" model_platform: "tensorflow"',
         "Expected model m to have an absolute path or URI; got base_path()=models"),
        ('name: "m" base_path: "/m"',
         "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
         "ModelServerConfig::model_platform, model name is m"),
        ('name: "m" base_path: "/m" model_platform: "tensorflow" model_type: TENSORFLOW',
         "Illegal setting both ModelServerConfig::model_type (deprecated) and "
         "ModelServerConfig::model_platform, model name is m"),
        ('name: "m" base_path: "/m" model_platform: "torch"', "Model m requests unsupported platform torch"),
        ('name: "m" base_path: "/m" model_platform: "tensorflow" logging_config {}',
         "No request-logger-creator provided. The logging_config of model m must have a log_collector_config "
         "with filename_prefix, its type none or 'file', and no custom_logging_config"),
        ('name: "m" base_path: "/m" model_platform: "tensorflow" logging_config { '
         'log_collector_config { filename_prefix: "/l/r" } sampling_config { sampling_rate: 1.5 } }',
         "Model m has sampling_rate 1.5 in its logging_config: give 0 to 1"),
        ('base_path: "/m" model_platform: "tensorflow"',
         "A model in the config list has no name; give each a name"),
        ('name: "m" base_path: "gs://bucket/m" model_platform: "tensorflow"',
         "Model m has base_path gs://bucket/m: only local paths and file:// are read; mount it, or copy it"),
    ],
)  # fmt: skip
def test_models_that_are_not_possible_are_refused(file, fields, message):
    assert refused(models, file(f"model_config_list {{ config {{ {fields} }} }}")) == message


def test_models_of_one_name_are_refused(file):
    config = 'config { name: "m" base_path: "/m" model_platform: "tensorflow" }'

    assert refused(models, file(f"model_config_list {{ {config} {config} }}")) == (
        "Illegal to list model m multiple times in config list"
    )


@pytest.mark.parametrize(
    "text", ["model_config_list {", "no_such_field: 1", "model_config_list { config { name: 1 } }"]
)
@pytest.mark.parametrize("read", [read_model_server_config, read_batching, read_monitoring, read_tls])
def test_file_that_does_not_parse_is_refused_by_its_path(file, read, text):
    path = file(text)

    assert refused(read, path).startswith(f"Invalid protobuf file: '{path}'")


def test_file_that_is_not_there_is_not_found(tmp_path):
    with pytest.raises(StatusError, match="No such file") as caught:
        read_model_server_config(tmp_path / "gone")

    assert caught.value.code == Code.NOT_FOUND


def test_batching_numbers_are_wrappers_and_have_defaults(file):
    path = file("max_batch_size { value: 32 } batch_timeout_micros { value: 0 } allowed_batch_sizes: 8 "
                "allowed_batch_sizes: 32 pad_variable_length_inputs: true "
                "thread_pool_name { value: 'pool' }")  # fmt: skip

    assert read_batching(path) == BatchingParameters(
        max_batch_size=32,
        allowed_batch_sizes=(8, 32),
        pad_variable_length_inputs=True,
        thread_pool_name="pool",
    )


def test_batching_file_without_a_pool_name_has_the_contracts(file):
    assert read_batching(file("")) == BatchingParameters(thread_pool_name="batch_threads")
    assert BatchingParameters().thread_pool_name == "model_server_batch_threads"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Monitoring(False, "/monitoring/prometheus/metrics")),
        ("prometheus_config { enable: true }", Monitoring(True, "/monitoring/prometheus/metrics")),
        ('prometheus_config { enable: true path: "/metrics" }', Monitoring(True, "/metrics")),
    ],
)
def test_monitoring_is_read(file, text, expected):
    assert read_monitoring(file(text)) == expected


def test_tls_texts_are_inline(file):
    path = file(r'server_key: "-----BEGIN KEY" server_cert: "-----BEGIN CERT" client_verify: true')

    assert read_tls(path) == Tls("-----BEGIN KEY", "-----BEGIN CERT", "", True)


def test_tls_path_in_place_of_the_text_is_refused(file):
    path = file('server_key: "/etc/key.pem" server_cert: "-----BEGIN CERT"')

    assert "server_key must be a PEM text, inline, not a path" in refused(read_tls, path)


def test_options_of_one_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert models_from_options(ServerOptions(model_name="m", model_base_path="store/m")) == (
        ModelConfig("m", tmp_path / "store" / "m"),
    )


def test_options_config_file_wins_over_the_model(file):
    path = file('model_config_list { config { name: "a" base_path: "/a" model_platform: "tensorflow" } }')
    chosen = ServerOptions(model_base_path="/m", model_config_file=str(path))

    assert models_from_options(chosen) == (ModelConfig("a", Path("/a")),)


def test_options_store_root_alone_configures_no_model():
    assert models_from_options(ServerOptions(model_store_root="/models")) == ()
