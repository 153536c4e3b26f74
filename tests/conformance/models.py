"""The SavedModels that the rows ask for, written so that any server can be started on them.

`python -m tests.conformance.models DIR` fills DIR with the models, models.config and the other files that
the server's flags name. The models are TF1 graphs: there a signature may have any keys, any tensors and any
method name, which is what most of the contract's rules are about. None of them has weights.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

tf1 = tf.compat.v1
PREDICT = "tensorflow/serving/predict"
CLASSIFY = "tensorflow/serving/classify"
REGRESS = "tensorflow/serving/regress"
DTYPES = (
    *("float32", "float64", "float16", "bfloat16", "int8", "int16", "int32", "int64"),
    *("uint8", "uint16", "uint32", "uint64", "bool", "string", "complex64", "complex128"),
)
"""Each is a signature of the model `echo`, from `x` to `y`, of unknown rank."""
WARM_UP_FILE = "assets.extra/tf_serving_warmup_requests"


@dataclass(frozen=True)
class Signature:
    """A signature to be: its tensors by key, its method name, and its inputs' defaults."""

    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    method: str = PREDICT
    defaults: Mapping[str, Any] = field(default_factory=dict)


Build = Callable[[], Mapping[str, Signature]]


def save(directory: Path, build: Build) -> None:
    """Write a SavedModel with the signatures that `build` makes in a graph of their own.

    It is written beside its place and renamed into it, so that a server that polls never sees half of it.
    """
    beside = directory.parent / f".{directory.name}"
    with tf.Graph().as_default() as graph, tf1.Session(graph=graph) as session:
        signatures = {key: _signature_def(signature) for key, signature in build().items()}
        builder = tf1.saved_model.Builder(str(beside))
        builder.add_meta_graph_and_variables(session, ["serve"], signature_def_map=signatures)
        builder.save()
    beside.rename(directory)


def _signature_def(signature: Signature) -> Any:
    def infos(tensors: Mapping[str, Any]) -> dict[str, Any]:
        return {key: tf1.saved_model.build_tensor_info(tensor) for key, tensor in tensors.items()}

    definition = tf1.saved_model.build_signature_def(
        infos(signature.inputs), infos(signature.outputs), signature.method
    )
    for key, value in signature.defaults.items():
        definition.defaults[key].CopyFrom(tf.make_tensor_proto(value))
    return definition


def _input(dtype: str, shape: list[int | None] | None = None) -> Any:
    return tf1.placeholder(dtype, shape)


def _one(x: Any, y: Any, **options: Any) -> Signature:
    return Signature({"x": x}, {"y": y}, **options)


def half_plus(number: float) -> Build:
    """y = x / 2 + number, by Predict, and on Examples with a feature `x` by Classify and Regress."""

    def build() -> dict[str, Signature]:
        x = _input("float32", [None])
        examples = _input("string", [None])
        y = _feature(examples, "x", "float32") * 0.5 + number
        return {
            "serving_default": _one(x, x * 0.5 + number),
            "regress_x_to_y": Signature({"inputs": examples}, {"outputs": y}, REGRESS),
            "classify_x_to_y": Signature({"inputs": examples}, {"scores": y}, CLASSIFY),
        }

    return build


def sums() -> dict[str, Signature]:
    """Several inputs, several outputs, defaults, none at all, and outputs that are no batch."""
    a, b, x = _input("float32", [None]), _input("int32", [None]), _input("float32", [None])
    grid, many = _input("float32", [None, None]), tf.cast(b, tf.float32)
    both = {"a": a, "b": b}
    return {
        "serving_default": Signature(both, {"sum": a + many, "product": a * many}),
        "sum": Signature(both, {"sum": a + many}),
        "defaulted": Signature(both, {"sum": a + many}, defaults={"b": [10]}),
        "constant": Signature({}, {"c": tf.constant([7.0, 8.0])}),
        "total": Signature({"x": x}, {"total": tf.reduce_sum(x)}),
        "total_and_each": Signature({"x": x}, {"each": x, "total": tf.reduce_sum(x)}),
        "unequal": Signature({"x": x}, {"all": x, "first": x[:1]}),
        "first_only": Signature({"x": x}, {"first": x[:1]}),
        "none": Signature({"x": x}, {"y": x[:0]}),
        "row_sums": Signature({"x": grid}, {"y": tf.reduce_sum(grid, axis=1)}),
        "foreign": _one(x, x + 1, method="somebody/elses/method"),
        "no_method": _one(x, x + 1, method=""),
    }


def echo() -> dict[str, Signature]:
    """Every dtype in and out, outputs of a dtype that REST cannot write, and the `_bytes` suffix."""
    signatures = {dtype: _one(x := _input(dtype), tf.identity(x)) for dtype in DTYPES}
    x, text = _input("float32"), _input("string")
    for dtype in ("float16", "bfloat16", "uint16", "complex64"):
        signatures[f"to_{dtype}"] = _one(x, tf.cast(x, dtype))
    signatures["bytes"] = Signature({"x": text}, {"y_bytes": tf.identity(text)})
    signatures["bytes_in"] = Signature({"x_bytes": text}, {"y": tf.identity(text)})
    signatures["text_and_bytes"] = Signature(
        {"x": text}, {"text": tf.identity(text), "text_bytes": tf.identity(text)}
    )
    return signatures


def matrix() -> dict[str, Signature]:
    """[n, 3] to [n, 2]: the first two columns, each plus the third; and a check inside the graph."""
    x = _input("float32", [None, 3])
    weights = tf.constant([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    # The message is far over gRPC's 1,024 bytes, so that what a server does with it can be seen.
    with tf.control_dependencies([tf1.debugging.assert_less(x, 100.0, message="too large " * 300)]):
        checked = tf.identity(x)
    return {"serving_default": _one(x, tf.matmul(x, weights)), "checked": _one(x, checked)}


def scalar() -> dict[str, Signature]:
    """No batch dimension: y = 2 x."""
    x = _input("float32", [])
    return {"serving_default": _one(x, x * 2)}


def slow() -> dict[str, Signature]:
    """Counts up to the largest of x, one step after the other: some microseconds each, and can be stopped."""
    x = _input("int64", [None])
    limit = tf.reduce_max(x)
    counted = tf.while_loop(lambda i: i < limit, lambda i: (i + 1,), (tf.constant(0, tf.int64),))
    return {"serving_default": _one(x, x * 0 + counted[0])}


def _feature(examples: Any, name: str, dtype: str, default: Any = 0) -> Any:
    """The feature of serialized Examples [n] as [n, 1]."""
    spec = {name: tf.io.FixedLenFeature([1], dtype, default_value=[default])}
    return tf.io.parse_example(examples, spec)[name]


def examples() -> dict[str, Signature]:
    """Classify and Regress: right ones of each kind, and each wrong one that a rule names."""
    text = _input("string", [None])
    x = _feature(text, "x", "float32")
    n = tf.shape(text)[0]
    label = _feature(text, "label", "string", "none")
    names = tf.tile(tf.constant([["low", "high"]]), [n, 1])
    scores = tf.concat([1 - x, x], axis=1)
    count = tf.cast(_feature(text, "count", "int64"), tf.float32)

    def classify(outputs: Mapping[str, Any], inputs: Mapping[str, Any] | None = None) -> Signature:
        return Signature(inputs or {"inputs": text}, outputs, CLASSIFY)

    def regress(outputs: Mapping[str, Any], inputs: Mapping[str, Any] | None = None) -> Signature:
        return Signature(inputs or {"inputs": text}, outputs, REGRESS)

    return {
        "serving_default": classify({"classes": names, "scores": scores}),
        "classes_only": classify({"classes": names}),
        "scores_only": classify({"scores": scores}),
        "given_label": classify({"classes": label, "scores": x}),
        "regress": regress({"outputs": x * 0.5 + 2}),
        "regress_flat": regress({"outputs": tf.reshape(x, [-1]) + 1}),
        "regress_count": regress({"outputs": count}),
        "classify_two_inputs": classify({"scores": scores}, {"inputs": text, "more": _input("float32")}),
        "classify_three_outputs": classify({"classes": names, "scores": scores, "extra": x}),
        "classify_input_key": classify({"scores": scores}, {"examples": text}),
        "classify_output_keys": classify({"label": names}),
        "classify_flat_scores": classify({"scores": tf.reshape(x, [-1])}),
        "classify_flat_classes": classify({"classes": tf.reshape(label, [-1])}),
        "classify_int_scores": classify({"scores": tf.cast(scores, tf.int32)}),
        "classify_float_classes": classify({"classes": scores}),
        "classify_one_row": classify({"scores": scores[:1]}),
        "classify_unequal": classify({"classes": names, "scores": x}),
        "regress_two_inputs": regress({"outputs": x}, {"inputs": text, "more": _input("float32")}),
        "regress_two_outputs": regress({"outputs": x, "extra": x}),
        "regress_input_key": regress({"outputs": x}, {"examples": text}),
        "regress_output_key": regress({"value": x}),
        "regress_wide": regress({"outputs": scores}),
        "regress_int": regress({"outputs": tf.cast(x, tf.int32)}),
        "regress_one_row": regress({"outputs": x[:1]}),
        "predicts": Signature({"inputs": text}, {"y": x}, PREDICT),
    }


def save_module(directory: Path) -> None:
    """A TF2 SavedModel, whose graph has the internal signature `__saved_model_init_op`."""
    module = tf.Module()
    module.v = tf.Variable(1.0)
    signature = tf.TensorSpec([None], tf.float32, name="x")
    module.plus = tf.function(lambda x: {"y": x + module.v}, input_signature=[signature])
    tf.saved_model.save(module, str(directory), signatures=module.plus)


def warm_up(directory: Path, *records: bytes) -> None:
    """Give the SavedModel in a directory a warm-up file with these records."""
    path = directory / WARM_UP_FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as file:
        for record in records:
            file.write(record)


MODELS: Mapping[str, Mapping[str, Build]] = {
    "half_plus_two": {"1": half_plus(2), "2": half_plus(3)},
    "padded": {"00000123": half_plus(2)},
    "a/b": {"1": half_plus(4)},
    "plus+name": {"1": half_plus(5)},
    "warm": {"1": half_plus(2)},
    "sums": {"1": sums},
    "echo": {"1": echo},
    "matrix": {"1": matrix},
    "scalar": {"1": scalar},
    "slow": {"1": slow},
    "examples": {"1": examples},
}
LABELS = {"half_plus_two": {"stable": 1, "canary": 2, "dangling": 9}}
MONITORING = "prometheus_config { enable: true }\n"
WARM_UP = """predict_log { request {
    model_spec { name: "recorded" }
    inputs { key: "x" value { dtype: DT_FLOAT tensor_shape { dim { size: 1 } } float_val: 1 } }
} }"""
BATCHING = """max_batch_size { value: 8 }
batch_timeout_micros { value: 300000 }
max_enqueued_batches { value: 2 }
num_batch_threads { value: 1 }
allowed_batch_sizes: 4
allowed_batch_sizes: 8
"""


def model_config(
    name: str, base_path: Path, *, policy: str = "all {}", labels: Mapping[str, int] | None = None
) -> str:
    """One `config` entry of a ModelServerConfig, in text form."""
    entries = " ".join(f'version_labels {{ key: "{k}" value: {v} }}' for k, v in (labels or {}).items())
    return (
        f'config {{ name: "{name}" base_path: "{base_path}" model_platform: "tensorflow" '
        f"model_version_policy {{ {policy} }} {entries} }}"
    )


def write(store: Path) -> Path:
    """Fill an empty directory with the models and the configuration files; return models.config."""
    store = store.resolve()
    configs = []
    for name, versions in MODELS.items():
        base_path = store / name.replace("/", "_")
        base_path.mkdir(parents=True)
        for version, build in versions.items():
            save(base_path / version, build)
        configs.append(model_config(name, base_path, labels=LABELS.get(name, {})))
    save_module(store / "module" / "1")
    configs.append(model_config("module", store / "module"))
    _write_what_is_no_version(store / "half_plus_two")
    warm_up(store / "warm" / "1", prediction_log(WARM_UP))
    (store / "monitoring.config").write_text(MONITORING)
    (store / "batching.config").write_text(BATCHING)
    config = store / "models.config"
    config.write_text("model_config_list {\n  " + "\n  ".join(configs) + "\n}\n")
    return config


def _write_what_is_no_version(base_path: Path) -> None:
    for name in ("not_a_version", "3.5", "4x", "0x5"):
        (base_path / name).mkdir()


def prediction_log(text: str) -> bytes:
    """A warm-up record from its text form."""
    from google.protobuf import text_format
    from tensorflow_serving.apis import prediction_log_pb2

    return text_format.Parse(text, prediction_log_pb2.PredictionLog()).SerializeToString()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tests.conformance.models DIR")
    print(write(Path(sys.argv[1])))
