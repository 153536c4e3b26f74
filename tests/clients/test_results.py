"""Results as a notebook shows them."""

import re
from html.parser import HTMLParser

from clients import Metadata, Prediction, Predictions, SignatureInfo
from wire.tensors import TensorInfo

HOSTILE = "<script>alert('&\"')</script>"


class Reader(HTMLParser):
    """Reads the tags and the text of a document, and holds that every tag is closed."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(document)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_prediction_shows_a_bar_for_each_label() -> None:
    prediction = Prediction("7", 0.75, {"6": 0.25, "7": 0.75}, "mnist", 3)
    document = prediction._repr_html_()
    shown = Reader(document)
    assert shown.text[:3] == ["7", " 0.7500 ", "mnist version 3"]
    assert re.findall(r"width:([\d.]+)em'></span>", document) == ["2.50", "7.50"]


def test_list_of_predictions_shows_the_first_ones() -> None:
    prediction = Prediction("positive", 0.9, {"negative": 0.1, "positive": 0.9}, "imdb", None)
    shown = Reader(Predictions([prediction] * 1200)._repr_html_())
    assert shown.tags.count("tr") == 51
    assert shown.text[-1] == "and 1,150 more"


def test_metadata_shows_every_tensor() -> None:
    info = TensorInfo("x:0", 1, (None, 784))
    signature = SignatureInfo({"pixels": info}, {"probabilities": info}, "tensorflow/serving/predict")
    shown = Reader(Metadata("mnist", 3, {"serving_default": signature})._repr_html_())
    assert {"mnist", "serving_default", "pixels", "probabilities", "float32", "[any, 784]"} <= set(shown.text)


def test_text_of_a_server_is_no_markup() -> None:
    prediction = Prediction(HOSTILE, 1.0, {HOSTILE: float("nan")}, HOSTILE, None)
    info = TensorInfo(HOSTILE, 99, None)
    signature = SignatureInfo({HOSTILE: info}, {}, HOSTILE)
    documents = (prediction, Predictions([prediction]), Metadata(HOSTILE, 1, {HOSTILE: signature}))
    for document in documents:
        shown = Reader(document._repr_html_())
        assert "script" not in shown.tags
        assert HOSTILE in "".join(shown.text)
