"""IMDB: whether a film review is positive or negative."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from models import checks, reviews, words
from models.model import (
    Array,
    Arrays,
    BulkRequest,
    DataFile,
    Dataset,
    Entries,
    Examples,
    FitForm,
    InputError,
    Inputs,
    Model,
    RaggedArray,
    Reading,
    Recipe,
    Signature,
    Splits,
    TensorSpec,
    Vocabulary,
)

if TYPE_CHECKING:
    import keras

LABELS = ("negative", "positive")
THRESHOLD = 0.5
DATA, WORD_INDEX = "imdb.npz", "imdb_word_index.json"
SHOWN = 24
KERAS_DATA = "https://storage.googleapis.com/tensorflow/tf-keras-datasets"


def preprocess(inputs: Inputs, vocabulary: Vocabulary | None = None) -> dict[str, Array]:
    """Turn reviews into `multi_hot` float32 [N, 10000]; see `models.words`. Texts need the vocabulary."""
    checked = words.reviews(inputs)
    if isinstance(checked, list):
        if vocabulary is None:
            raise InputError(
                "the reviews are texts and came without a vocabulary; expected one, or token ids"
            )
        checked = words.encode(checked, vocabulary)
    return {"multi_hot": words.multi_hot(checked)}


def raw_request(inputs: Inputs) -> tuple[str, dict[str, Array]]:
    """Return the signature `text` with UTF-8 bytes [N], or `token_ids` with int32 [N, L]."""
    checked = words.reviews(inputs)
    if isinstance(checked, RaggedArray):
        return "token_ids", {"tokens": words.padded(checked).astype(np.int32)}
    texts = np.empty(len(checked), dtype=np.object_)
    texts[:] = [text.encode() for text in checked]
    return "text", {"text": texts}


def bulk_request(vocabulary: Vocabulary | None) -> BulkRequest:
    """Prepare to turn reviews into the rows and columns int32 [T] of `multi_hot`'s ones, and their number."""
    of_texts = None
    if vocabulary is not None:
        from models.tokenizer import tokenizer

        of_texts = tokenizer(vocabulary)

    def request(inputs: Inputs) -> Sequence[Any]:
        if of_texts is not None and isinstance(inputs, list) and isinstance(inputs[0], str):
            return *of_texts(inputs), np.int32(len(inputs))
        tokens = words.reviews(inputs)
        if isinstance(tokens, list):
            raise InputError("the reviews are texts and came without a vocabulary; expected token ids")
        return *words.occurrences(tokens), np.int32(len(tokens))

    return request


def read(outputs: Arrays) -> list[Reading]:
    """Read `probability` [N, 1], that of a positive review: positive from 0.5 on."""
    rows = checks.output(outputs, "probability", 1)
    negative, positive = LABELS
    return [
        Reading(positive, yes, {negative: 1 - yes, positive: yes})
        if yes >= THRESHOLD
        else Reading(negative, 1 - yes, {negative: 1 - yes, positive: yes})
        for yes in rows[:, 0].tolist()
    ]


def show(instance: Any, vocabulary: Vocabulary | None = None) -> str:
    """Return the first words of a review, on one line."""
    checked = words.reviews([instance])
    if isinstance(checked, list):
        parts = checked[0].split()
    elif vocabulary is None:
        parts = [str(token) for token in checked[0].tolist()]
    else:
        parts = words.decode(checked[0], vocabulary)
    return " ".join(parts[:SHOWN]) + (" ..." if len(parts) > SHOWN else "")


def read_bytes(data: bytes, source: str) -> list[str]:
    """Read a UTF-8 text of one review a line; blank lines are left out."""
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{source} is no UTF-8 text: {error.reason} at byte {error.start}") from None
    texts = [line for line in lines if line.strip()]
    if not texts:
        raise InputError(f"{source} has no review in it; expected one a line")
    return texts


def build(hidden: tuple[int, ...]) -> keras.Model:
    """Build the network: `multi_hot` float32 [N, 10000] → probability float32 [N, 1]."""
    import keras

    from models.network import dense

    entry = keras.Input(shape=(words.DICTIONARY,), dtype="float32", name="multi_hot")
    return dense(entry, hidden, outputs=("probability", 1), activation="sigmoid")


def build_on_tokens(hidden: tuple[int, ...]) -> keras.Model:
    """Build the same network on the tokens that occur in each review, int16 [N, L], 0 pads."""
    import keras

    from models.network import dense
    from models.token_layer import TokenDense

    entry = keras.Input(shape=(None,), dtype="int16", name="tokens")
    return dense(entry, hidden, outputs=("probability", 1), activation="sigmoid", first=TokenDense)


def distinct_tokens(inputs: Inputs) -> Array:
    """Turn token ids into those that occur in each review, int16 [N, L], 0 pads."""
    checked = words.reviews(inputs)
    if isinstance(checked, list):
        raise InputError("the reviews are texts; expected token ids to fit on")
    return words.padded(words.distinct(checked))


def transfer(fitted: keras.Model, built: keras.Model) -> None:
    """Copy the fitted weights into the network that is exported: both have the same layers."""
    built.set_weights(fitted.get_weights())


def signatures(network: keras.Model, vocabulary: Vocabulary | None) -> Entries:
    """Make `token_ids`, and with a vocabulary `text`, which do the preprocessing in the graph."""
    from models import words_graph

    return words_graph.signatures(network, vocabulary)


def read_dataset(contents: Mapping[str, Any]) -> Splits:
    """Check the arrays of imdb.npz (x_* ragged word ranks from 1, y_* 0 or 1 [N]) and the word index."""
    return Splits(
        train=_examples(contents, "train"), test=_examples(contents, "test"), vocabulary=_vocabulary(contents)
    )


def _examples(contents: Mapping[str, Any], split: str) -> Examples:
    ranks = checks.member(contents, DATA, f"x_{split}")
    if not isinstance(ranks, RaggedArray):
        raise InputError(f"x_{split} of {DATA} is {checks.describe(ranks)}; expected lists of word ranks")
    wrong = np.flatnonzero(ranks.values < 1)
    if wrong.size:
        raise InputError(
            f"x_{split} of {DATA} has the rank {ranks.values[wrong[0]]}; expected ranks from 1 on"
        )
    return Examples(words.from_ranks(ranks), checks.labels(contents, DATA, f"y_{split}", len(LABELS)))


def _vocabulary(contents: Mapping[str, Any]) -> Vocabulary:
    index = contents.get(WORD_INDEX)
    if not isinstance(index, dict) or not index:
        raise InputError(
            f"{WORD_INDEX} is {checks.describe(index)}; expected an object of words and their ranks"
        )
    for word, rank in index.items():
        if type(rank) is not int or rank < 1:
            raise InputError(
                f"{WORD_INDEX} gives {word!r} the rank {rank!r}; expected whole numbers from 1 on"
            )
    return index


MODEL = Model(
    name="imdb",
    title="IMDB: the sentiment of film reviews",
    labels=LABELS,
    signature_specs={
        "serving_default": Signature(
            inputs=(TensorSpec("multi_hot", "float32", (None, words.DICTIONARY)),),
            outputs=(TensorSpec("probability", "float32", (None, 1)),),
        ),
        "token_ids": Signature(
            inputs=(TensorSpec("tokens", "int32", (None, None)),),
            outputs=(TensorSpec("probability", "float32", (None, 1)),),
        ),
        "text": Signature(
            inputs=(TensorSpec("text", "string", (None,)),),
            outputs=(TensorSpec("probability", "float32", (None, 1)),),
        ),
    },
    preprocess=preprocess,
    raw_request=raw_request,
    is_one=words.is_one,
    read=read,
    read_argument=str,
    read_bytes=read_bytes,
    show=show,
    dataset=Dataset(
        files=(
            DataFile(
                name=DATA,
                url=f"{KERAS_DATA}/imdb.npz",
                checksum="sha256:69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f",
            ),
            DataFile(
                name=WORD_INDEX,
                url=f"{KERAS_DATA}/imdb_word_index.json",
                checksum="md5:bfafd718b763782e994055a2d397834f",
            ),
        ),
        read=read_dataset,
        sample=reviews.sample,
    ),
    recipe=Recipe(
        hidden=(16, 16),
        loss="binary_crossentropy",
        optimizer="rmsprop",
        epochs=20,
        batch_size=512,
        validation=10_000,
        min_accuracy=0.86,
        sample_min_accuracy=0.7,
    ),
    source_accuracy=0.883,
    build=build,
    fit_form=FitForm(build=build_on_tokens, inputs=distinct_tokens, transfer=transfer),
    signatures=signatures,
    bulk_request=bulk_request,
)
