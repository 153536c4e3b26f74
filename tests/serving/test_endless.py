"""Which parts of a graph may run without end."""

import tensorflow as tf

from serving import endless


def graph(build) -> frozenset[str]:
    made = tf.Graph()
    with made.as_default():
        build(tf.compat.v1.placeholder(tf.float32, [None], name="x"))
    return endless.nodes(made.as_graph_def())


def test_plain_operations_end():
    assert graph(lambda x: tf.identity(tf.reduce_sum(x) + 1, name="y")) == frozenset()


def test_loop_and_what_needs_it_may_not_end_and_what_does_not_need_it_does():
    def build(x):
        looped = tf.while_loop(lambda i: i < x[0], lambda i: i + 1, [tf.constant(0.0)])
        tf.identity(tf.add(looped[0] if isinstance(looped, list) else looped, 1), name="after")
        tf.identity(x + 1, name="beside")

    found = graph(build)
    assert "after" in found
    assert "beside" not in found


def test_loop_in_a_function_that_a_function_calls_may_not_end():
    @tf.function
    def inner(x):
        return tf.map_fn(lambda each: each * 2, x)

    @tf.function
    def outer(x):
        return inner(x) + 1

    def build(x):
        tf.identity(outer(x), name="y")

    assert "y" in graph(build)


def test_function_of_plain_operations_ends():
    @tf.function
    def double(x):
        return x * 2

    assert graph(lambda x: tf.identity(double(x), name="y")) == frozenset()
