"""wire's messages are TensorFlow's byte for byte, and live beside them in one process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import text_format

from wire import compile_protos, messages

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("first", ["api", "wire"])
def test_messages_beside_tensorflow_serving_api_have_equal_bytes_and_text(first: str) -> None:
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT)}
    program = Path(__file__).with_name("both_pools.py")
    result = subprocess.run(
        [sys.executable, program, first], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr[-2000:]
    assert int(result.stdout) > 50


def test_descriptors_committed_are_what_the_protos_compile_to() -> None:
    """Otherwise: python -m wire.compile_protos."""
    assert compile_protos.descriptor_set() == compile_protos.DESCRIPTORS.read_bytes()


def test_stub_committed_is_what_the_descriptors_say() -> None:
    """Otherwise: python -m wire.compile_protos."""
    assert compile_protos.stub(compile_protos.DESCRIPTORS.read_bytes()) == compile_protos.STUB.read_text()


def test_stub_names_every_message() -> None:
    classes = {
        name for name, value in vars(messages).items() if isinstance(value, type) and name[0].isupper()
    }
    classes.discard("Path")
    assert all(f"\nclass {name}(Message):" in compile_protos.STUB.read_text() for name in classes)
    assert {"PredictRequest", "PredictionLog", "SignatureDefMap", "ModelServerConfig"} <= classes


def test_version_wrapper_present_with_zero_differs_from_absent() -> None:
    """`version {}` asks for version 0; without it the latest is asked for."""
    zero = text_format.Parse("version {}", messages.ModelSpec())
    assert zero.HasField("version")
    assert zero.version.value == 0
    assert not messages.ModelSpec().HasField("version")


def test_any_packs_the_signatures_under_their_own_type() -> None:
    response = messages.GetModelMetadataResponse()
    response.metadata["signature_def"].Pack(messages.SignatureDefMap())
    assert (
        response.metadata["signature_def"].type_url
        == "type.googleapis.com/tensorflow.serving.SignatureDefMap"
    )


def test_model_config_text_with_an_any_is_parsed_in_the_own_pool() -> None:
    config = text_format.Parse(
        'model_config_list { config { name: "m", version_labels { key: "stable" value: 2 } } }',
        messages.ModelServerConfig(),
        descriptor_pool=messages.POOL,
    )
    assert config.model_config_list.config[0].version_labels["stable"] == 2


def test_import_of_every_module_does_not_load_tensorflow() -> None:
    program = """
import pkgutil, importlib, sys, wire
for module in pkgutil.iter_modules(wire.__path__):
    importlib.import_module(f"wire.{module.name}")
loaded = {"tensorflow", "tensorflow_serving", "grpc", "ml_dtypes", "grpc_tools"} & set(sys.modules)
sys.exit(f"loaded {loaded}" if loaded else 0)
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
