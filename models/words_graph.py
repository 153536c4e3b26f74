"""The further signatures of IMDB: `models.words` once more, in TensorFlow's graph.

This module is imported only where signatures are made: it imports TensorFlow.
"""

import re
from typing import Any

import keras
import tensorflow as tf

from models.model import Entries, Vocabulary
from models.words import DICTIONARY, OFFSET, PAD, SPACES, START, UNKNOWN


def signatures(network: keras.Model, vocabulary: Vocabulary | None) -> Entries:
    """Make `token_ids`, and `text` where there is a vocabulary; and the function for batch jobs."""

    def answer(tokens: Any) -> dict[str, Any]:
        return on_occurrences(network, *occurrences(tokens), tf.shape(tokens)[0])

    token_ids = tf.function(answer, input_signature=[tf.TensorSpec([None, None], tf.int32, name="tokens")])
    bulk = tf.function(
        lambda rows, columns, count: on_occurrences(network, rows, columns, count),
        input_signature=[
            tf.TensorSpec([None], tf.int32, name="rows"),
            tf.TensorSpec([None], tf.int32, name="columns"),
            tf.TensorSpec([], tf.int32, name="count"),
        ],
    )
    if vocabulary is None:
        return Entries({"token_ids": token_ids}, bulk=bulk)
    table = word_table(vocabulary)
    text = tf.function(
        lambda texts: answer(encode(texts, table)),
        input_signature=[tf.TensorSpec([None], tf.string, name="text")],
    )
    return Entries({"token_ids": token_ids, "text": text}, [table], bulk, ranks(table))


def on_occurrences(network: keras.Model, rows: Any, columns: Any, count: Any) -> dict[str, Any]:
    """Answer `count` reviews, given as the rows and columns int32 [T] of the ones in their multi-hot rows.

    A multi-hot row is 40 kB, nearly all zeros; its product with the first kernel is the sum of the kernel's
    rows at the ones. Added up one after the other, as a sparse product does, hundreds of them are less exact.
    """
    _, first, *rest = network.layers
    tensor = tf.sparse.segment_sum(first.kernel, columns, rows, num_segments=count)
    tensor = first.activation(tensor + first.bias)
    for layer in rest:
        tensor = layer(tensor)
    return {"probability": tensor}


def occurrences(tokens: Any) -> tuple[Any, Any]:
    """Turn tokens int32 [N, L] into the rows and columns int32 [T] of the ones in multi-hot rows, each once.

    Tokens that are not in 0..9999 and empty reviews are errors.
    """
    checks = [
        tf.debugging.assert_non_negative(tokens, "a token is negative; expected tokens in 0..9999"),
        tf.debugging.assert_less(tokens, DICTIONARY, "a token is too large; expected tokens in 0..9999"),
        tf.debugging.Assert(
            tf.reduce_all(tf.reduce_any(tokens != PAD, axis=1)),
            ["a review is empty: it has no token but pads (0)"],
        ),
    ]
    with tf.control_dependencies([check for check in checks if check is not None]):
        rows = tf.range(tf.shape(tokens, tf.int64)[0])[:, tf.newaxis]
    keys, _ = tf.unique(tf.boolean_mask(rows * DICTIONARY + tf.cast(tokens, tf.int64), tokens != PAD))
    return tf.cast(keys // DICTIONARY, tf.int32), tf.cast(keys % DICTIONARY, tf.int32)


def ranks(table: tf.lookup.StaticHashTable) -> Any:
    """Make the function that gives the words of a table, in UTF-8, and their ranks."""

    def read() -> dict[str, Any]:
        words, tokens = table.export()
        return {"words": words, "ranks": tokens - OFFSET}

    return tf.function(read, input_signature=[])


def word_table(vocabulary: Vocabulary) -> tf.lookup.StaticHashTable:
    """Make the table from words, in UTF-8, to tokens; it knows those of the dictionary only."""
    known = {word: rank + OFFSET for word, rank in vocabulary.items() if rank + OFFSET < DICTIONARY}
    entries = tf.lookup.KeyValueTensorInitializer(
        [word.encode() for word in known], list(known.values()), key_dtype=tf.string, value_dtype=tf.int64
    )
    return tf.lookup.StaticHashTable(entries, default_value=UNKNOWN)


def encode(texts: Any, table: tf.lookup.StaticHashTable) -> Any:
    """Turn texts string [N] into tokens int32 [N, L], the start token in front, 0 pads."""
    spaces = f"[{re.escape(SPACES.decode())}]"
    # Without an encoding, lower() is on ASCII only, by bytes.
    words = tf.strings.split(tf.strings.regex_replace(tf.strings.lower(texts), spaces, " "))
    has_words = tf.reduce_all(words.row_lengths() > 0)
    with tf.control_dependencies(
        [tf.debugging.Assert(has_words, ["a review is empty: it has no word in it"])]
    ):
        tokens = tf.cast(table.lookup(words.to_tensor(default_value="")), tf.int32)
    present = tf.sequence_mask(words.row_lengths())
    starts = tf.fill([tf.shape(tokens)[0], 1], START)
    return tf.concat([starts, tf.where(present, tokens, PAD)], axis=1)
