"""The messages of three text-format files that tensorflow-serving-api leaves out, with its names and numbers.

They are made here, in a pool of their own, from `config/monitoring_config.proto`, `config/ssl_config.proto`
and `servables/tensorflow/session_bundle_config.proto` of TensorFlow Serving.
"""

import functools
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2

PACKAGE = "tensorflow.serving"

# Fields of BatchingParameters that are wrapper messages, so that a value of 0 differs from none.
BATCHING_WRAPPERS = {
    "max_batch_size": (1, "Int64Value"),
    "batch_timeout_micros": (2, "Int64Value"),
    "max_enqueued_batches": (3, "Int64Value"),
    "num_batch_threads": (4, "Int64Value"),
    "thread_pool_name": (5, "StringValue"),
    "enable_large_batch_splitting": (8, "BoolValue"),
    "max_execution_batch_size": (9, "Int64Value"),
}
_Field = descriptor_pb2.FieldDescriptorProto
_FIELDS: dict[str, list[tuple[str, int, Any, str]]] = {
    "PrometheusConfig": [("enable", 1, _Field.TYPE_BOOL, ""), ("path", 2, _Field.TYPE_STRING, "")],
    "MonitoringConfig": [("prometheus_config", 1, _Field.TYPE_MESSAGE, f".{PACKAGE}.PrometheusConfig")],
    "SSLConfig": [
        ("server_key", 1, _Field.TYPE_STRING, ""),
        ("server_cert", 2, _Field.TYPE_STRING, ""),
        ("custom_ca", 3, _Field.TYPE_STRING, ""),
        ("client_verify", 4, _Field.TYPE_BOOL, ""),
    ],
    "BatchingParameters": [
        *(
            (name, number, _Field.TYPE_MESSAGE, f".google.protobuf.{wrapper}")
            for name, (number, wrapper) in BATCHING_WRAPPERS.items()
        ),
        ("allowed_batch_sizes", 6, _Field.TYPE_INT64, ""),
        ("pad_variable_length_inputs", 7, _Field.TYPE_BOOL, ""),
    ],
}


def monitoring_config() -> Any:
    """An empty MonitoringConfig."""
    return _new("MonitoringConfig")


def ssl_config() -> Any:
    """An empty SSLConfig."""
    return _new("SSLConfig")


def batching_parameters() -> Any:
    """An empty BatchingParameters."""
    return _new("BatchingParameters")


def _new(name: str) -> Any:
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"{PACKAGE}.{name}"))()


@functools.cache
def _pool() -> descriptor_pool.DescriptorPool:
    wrappers = descriptor_pb2.FileDescriptorProto()
    wrappers_pb2.DESCRIPTOR.CopyToProto(wrappers)
    file = descriptor_pb2.FileDescriptorProto(
        name="kedge/serving_config.proto", package=PACKAGE, syntax="proto3", dependency=[wrappers.name]
    )
    for message_name, message_fields in _FIELDS.items():
        message = file.message_type.add(name=message_name)
        for name, number, kind, type_name in message_fields:
            repeated = name == "allowed_batch_sizes"
            label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
            message.field.add(name=name, number=number, type=kind, label=label, type_name=type_name or None)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(wrappers)
    pool.Add(file)
    return pool
