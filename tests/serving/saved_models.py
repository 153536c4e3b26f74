"""SavedModels with obvious answers, made in a moment: graphs of a few operations.

Each function writes one version to a directory that does not exist yet, and returns it.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

PREDICT = "tensorflow/serving/predict"
CLASSIFY = "tensorflow/serving/classify"
REGRESS = "tensorflow/serving/regress"

DTYPES = ("float32", "float64", "float16", "bfloat16", "int8", "int16", "int32", "int64", "uint8", "uint16")
DTYPES += ("uint32", "uint64", "bool", "complex64", "complex128")


def half_plus_two(path: Path) -> Path:
    """`x` [n] → `y` = x / 2 + 2; `classify_x_to_y` and `regress_x_to_y` do it to examples with feature x."""
    from serving.session import tensorflow

    tf = tensorflow().compat.v1

    def signatures() -> dict[str, Any]:
        half, two = tf.get_variable("half", initializer=0.5), tf.get_variable("two", initializer=2.0)
        x = tf.placeholder(tf.float32, [None], name="x")
        examples = tf.placeholder(tf.string, [None], name="examples")
        feature = tf.io.parse_example(examples, {"x": tf.io.FixedLenFeature([1], tf.float32)})["x"]
        scores = feature * half + two
        classes = tf.as_string(tf.argmax(scores, axis=1, output_type=tf.int32)[:, tf.newaxis])
        return {
            "serving_default": signature({"x": x}, {"y": x * half + two}),
            "classify_x_to_y": signature(
                {"inputs": examples}, {"scores": scores, "classes": classes}, CLASSIFY
            ),
            "regress_x_to_y": signature({"inputs": examples}, {"outputs": scores}, REGRESS),
        }

    return export(path, signatures)


def two_in_two_out(path: Path) -> Path:
    """`a` float [n, 2], `b` int64 [n] → `scaled` = a * b, `count` = b + 1; in signature `defaults` b is 1."""
    from serving.session import tensorflow

    tf = tensorflow()

    def signatures() -> dict[str, Any]:
        a = tf.compat.v1.placeholder(tf.float32, [None, 2], name="a")
        b = tf.compat.v1.placeholder(tf.int64, [None], name="b")
        outputs = {"scaled": a * tf.cast(b, tf.float32)[:, tf.newaxis], "count": b + 1}
        defaults = signature({"a": a, "b": b}, outputs)
        defaults.defaults["b"].CopyFrom(tf.make_tensor_proto([1], tf.int64))
        return {"serving_default": signature({"a": a, "b": b}, outputs), "defaults": defaults}

    return export(path, signatures)


def strings(path: Path) -> Path:
    """`text` string [n] → `upper` and `raw_bytes`, both its upper case."""
    from serving.session import tensorflow

    tf = tensorflow()

    def signatures() -> dict[str, Any]:
        text = tf.compat.v1.placeholder(tf.string, [None], name="text")
        upper = tf.strings.upper(text)
        return {
            "serving_default": signature({"text": text}, {"upper": upper, "raw_bytes": tf.identity(upper)})
        }

    return export(path, signatures)


def scalar(path: Path) -> Path:
    """`x` float [] → `y` = x + 1: no batch dimension."""
    from serving.session import tensorflow

    tf = tensorflow().compat.v1

    def signatures() -> dict[str, Any]:
        x = tf.placeholder(tf.float32, [], name="x")
        return {"serving_default": signature({"x": x}, {"y": x + 1.0})}

    return export(path, signatures)


def every_dtype(path: Path) -> Path:
    """A signature named as each dtype: `x` [n] → `y`, the same."""
    from serving.session import tensorflow

    tf = tensorflow().compat.v1

    def signatures() -> dict[str, Any]:
        made = {}
        for name in DTYPES:
            x = tf.placeholder(tf.as_dtype(name), [None], name=f"x_{name}")
            made[name] = signature({"x": x}, {"y": tf.identity(x)})
        return made

    return export(path, signatures)


def peculiar(path: Path) -> Path:
    """What batching must cope with, each a signature from `x` [n] to `y`.

    `positive` refuses a request with a number below 0; `kept` drops these numbers, so that its rows are not
    its input's; `lengths` sums rows of `x` [n, length]; `fed` gives back what it is given; `endless` counts
    until its time is over.
    """
    from serving.session import tensorflow

    tf = tensorflow()

    def signatures() -> dict[str, Any]:
        x = tf.compat.v1.placeholder(tf.float32, [None], name="x")
        rows = tf.compat.v1.placeholder(tf.float32, [None, None], name="rows")
        with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(x >= 0), ["below 0"])]):
            positive = x + 1.0
        count = tf.while_loop(lambda i: i < tf.reduce_max(x), lambda i: (i + 1.0,), [0.0])[0]
        return {
            "positive": signature({"x": x}, {"y": positive}),
            "kept": signature({"x": x}, {"y": tf.boolean_mask(x, x >= 0)}),
            "lengths": signature({"x": rows}, {"y": tf.reduce_sum(rows, axis=1)}),
            "fed": signature({"x": x}, {"y": x}),
            "endless": signature({"x": x}, {"y": x + count}),
        }

    return export(path, signatures)


def constant(path: Path, number: float) -> Path:
    """`x` [n] → `y` = the number, n times: versions that can be told from one another by their answers."""
    from serving.session import tensorflow

    tf = tensorflow().compat.v1

    def signatures() -> dict[str, Any]:
        x = tf.placeholder(tf.float32, [None], name="x")
        return {"serving_default": signature({"x": x}, {"y": tf.zeros_like(x) + number})}

    return export(path, signatures)


def gate(path: Path) -> Path:
    """`rows` [n, length] → `y` = their sums, in `wait` once `open` was asked, which has `x` [n] → `y` = x.

    Until then a run waits without work, as long as its deadline lets it.
    """
    from serving.session import tensorflow

    tf = tensorflow().compat.v1

    def signatures() -> dict[str, Any]:
        queue = tf.FIFOQueue(10, [tf.float32], [()])
        rows = tf.placeholder(tf.float32, [None, None], name="rows")
        x = tf.placeholder(tf.float32, [None], name="x")
        sums = tf.reduce_sum(rows, axis=1)
        token = queue.dequeue()
        with tf.control_dependencies([queue.enqueue(token)]):
            waited = tf.identity(sums)
        with tf.control_dependencies([queue.enqueue(0.0)]):
            opened = tf.identity(x)
        return {
            "serving_default": signature({"rows": rows}, {"y": sums}),
            "wait": signature({"rows": rows}, {"y": waited}),
            "open": signature({"x": x}, {"y": opened}),
        }

    return export(path, signatures)


def broken(path: Path) -> Path:
    """A version that fails to load: its saved_model.pb is no message."""
    path.mkdir(parents=True)
    (path / "saved_model.pb").write_bytes(b"\xff no model")
    return path


def signature(inputs: Mapping[str, Any], outputs: Mapping[str, Any], method: str = PREDICT) -> Any:
    """A SignatureDef over tensors of the default graph."""
    from serving.session import tensorflow

    v1 = tensorflow().compat.v1.saved_model
    info = v1.utils.build_tensor_info
    return v1.signature_def_utils.build_signature_def(
        {alias: info(tensor) for alias, tensor in inputs.items()},
        {alias: info(tensor) for alias, tensor in outputs.items()},
        method,
    )


def export(path: Path, signatures: Callable[[], Mapping[str, Any]]) -> Path:
    """Write a graph, made by `signatures` in a graph of its own, as a version."""
    from serving.session import tensorflow

    tf = tensorflow().compat.v1
    with tf.Graph().as_default(), tf.Session() as session:
        made = signatures()
        session.run(tf.global_variables_initializer())
        builder = tf.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(session, ["serve"], signature_def_map=made)
        builder.save()
    return path
