import io

import pytest

from serving import options
from serving.options import FLAGS, OptionsError, ServerOptions, parse, without_effect

MODEL = "--model_base_path=/models/m"

# Flags of TensorFlow Serving's contract with their defaults there.
CONTRACT = {
    "port": 8500, "grpc_socket_path": "", "rest_api_timeout_in_ms": 30000,
    "rest_api_enable_cors_support": False,
    "model_name": "default", "model_base_path": "", "model_config_file": "",
    "model_config_file_poll_wait_seconds": 0, "file_system_poll_wait_seconds": 1,
    "allow_version_labels_for_unavailable_models": False, "max_num_load_retries": 5,
    "num_load_threads": 0, "num_unload_threads": 0, "flush_filesystem_caches": True,
    "enable_batching": False,
    "batching_parameters_file": "", "enable_per_model_batching_parameters": False,
    "enable_model_warmup": True,
    "num_request_iterations_for_warmup": 0, "monitoring_config_file": "", "ssl_config_file": "",
    "use_alts_credentials": False, "platform_config_file": "", "tensorflow_session_config_file": "",
    "tensorflow_session_parallelism": 0, "tensorflow_intra_op_parallelism": 0,
    "tensorflow_inter_op_parallelism": 0, "per_process_gpu_memory_fraction": 0.0, "saved_model_tags": "serve",
    "grpc_channel_arguments": "", "enable_grpc_healthcheck_service": False,
    "enable_signature_method_name_check": False, "enable_serialization_as_tensor_content": False,
    "enable_profiler": True, "remove_unused_fields_from_bundle_metagraph": True,
    "thread_pool_factory_config_file": "", "mixed_precision": "", "prefer_tflite_model": False,
    "num_tflite_interpreters_per_pool": 1, "xla_cpu_compilation_enabled": False,
    "xla_gpu_compilation_enabled": False, "skip_initialize_tpu": False, "version": False,
}  # fmt: skip
# Flags whose default differs: REST is on, and what TensorFlow Serving reckons from the number of CPUs.
DIFFERENT = {"rest_api_port", "rest_api_num_threads", "load_retry_interval_micros", "grpc_max_threads",
             "num_tflite_pools"}  # fmt: skip
# Limits of which 0 has a meaning, and less than 0 has none.
NOT_NEGATIVE = ("rest_api_max_connections", "max_requests_in_flight", "max_request_bytes_in_flight",
                "num_load_threads")  # fmt: skip


def test_flags_are_those_of_the_contract_and_others_say_that_they_are_ours():
    known = CONTRACT.keys() | DIFFERENT

    assert known <= {flag.name for flag in FLAGS}
    assert [flag.name for flag in FLAGS if flag.name not in known and "own addition" not in flag.help] == []


def test_flags_have_the_defaults_of_the_contract():
    defaults = {flag.name: flag.default for flag in FLAGS}

    assert {name: defaults[name] for name in CONTRACT} == CONTRACT


@pytest.mark.parametrize(
    ("arguments", "name", "value"),
    [
        (["--port=9000"], "port", 9000),
        (["--port", "9000"], "port", 9000),
        (["--port=-1"], "port", -1),
        (["--enable_batching"], "enable_batching", True),
        (["--enable_model_warmup=false"], "enable_model_warmup", False),
        (["--enable_model_warmup=0"], "enable_model_warmup", False),
        (["--per_process_gpu_memory_fraction=0.5"], "per_process_gpu_memory_fraction", 0.5),
        (["--load_retry_interval_micros=-1"], "load_retry_interval_micros", -1),
        (["--model_name=a=b"], "model_name", "a=b"),
        (["--port=1", "--port=2"], "port", 2),
    ],
)
def test_parse_reads_a_flag(arguments, name, value):
    assert getattr(parse([MODEL, *arguments]), name) == value


def test_parse_unknown_argument_is_told_and_left_out():
    told = io.StringIO()

    parsed = parse([MODEL, "--no_such=1", "stray", "-x"], told)

    assert parsed == ServerOptions(model_base_path="/models/m")
    assert told.getvalue().splitlines() == [
        "unknown argument: --no_such=1", "unknown argument: stray", "unknown argument: -x"
    ]  # fmt: skip


@pytest.mark.parametrize(
    "argument", ["--port=abc", "--port=", "--enable_batching=maybe", "--port=1.5", "--port"]
)
def test_parse_value_of_another_type_is_refused_by_name(argument):
    with pytest.raises(OptionsError, match=argument.partition("=")[0]) as caught:
        parse([MODEL, argument])

    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "--model_base_path"),
        ([MODEL, "--port=0"], "--grpc_socket_path"),
        ([MODEL, "--batching_parameters_file=f"], "--enable_batching"),
        ([MODEL, "--ssl_config_file=f", "--use_alts_credentials"], "--use_alts_credentials"),
        ([MODEL, "--use_alts_credentials"], "--ssl_config_file"),
        ([MODEL, *(f"--tensorflow_{each}_parallelism=1" for each in ("session", "intra_op", "inter_op"))],
         "--tensorflow_session_parallelism"),
        ([MODEL, "--port=70000"], "65535"),
        *(([MODEL, f"--{name}=-1"], f"less than 0.*--{name}") for name in NOT_NEGATIVE),
    ],
)  # fmt: skip
def test_parse_contradiction_is_refused_and_says_what_to_do(arguments, named):
    with pytest.raises(OptionsError, match=named):
        parse(arguments)


@pytest.mark.parametrize("argument", ["--model_config_file=f", "--model_store_root=d", "--version"])
def test_parse_base_path_is_not_needed_with(argument):
    assert parse([argument])


def test_parse_port_0_with_a_socket_is_grpc_on_the_socket_alone():
    assert parse([MODEL, "--port=0", "--grpc_socket_path=s"]).port == 0


def test_without_effect_names_flags_given_in_vain():
    assert without_effect(
        parse([MODEL, "--port=1", "--grpc_max_threads=4", "--noenable"], io.StringIO())
    ) == ("grpc_max_threads",)


def test_from_values_leaves_out_what_is_none():
    assert options.from_values({"model_base_path": "m", "port": None}) == ServerOptions(model_base_path="m")


def test_every_flag_has_help_that_ends_as_a_sentence():
    assert [flag.name for flag in FLAGS if not flag.help.endswith(".")] == []
