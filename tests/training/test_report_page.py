"""The page: whole, inert, and with all that a person asks of a version."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models import catalogue
from models.model import Examples, Model, RaggedArray, Splits
from training.fit import History
from training.job import JobOptions, train
from training.report import page
from training.report.baseline import Baseline
from training.report.evidence import Evidence, gather
from training.report.markup import VOID, Markup, element
from training.result import JobResult

HOSTILE = '<script>alert("1")</script>'
LOADS = ("src", "href", "data", "action", "poster", "srcset", "formaction", "background")


class Page(HTMLParser):
    """Reads a page, and fails where its elements are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def of_class(self, name: str) -> list[dict[str, str | None]]:
        return [
            attributes for _, attributes in self.elements if name in (attributes.get("class") or "").split()
        ]


def result_of(**changes: Any) -> JobResult:
    history = History((0.9, 0.5, 0.3), (0.6, 0.7, 0.8), (0.8, 0.4, 0.6), (0.6, 0.75, 0.7))
    facts: dict[str, Any] = {
        "name": "points", "version": 7, "path": Path("p"), "created": "2026-01-02T03:04:05+00:00",
        "source": "/data", "sample": False, "sha256": {"points.npz": "ab" * 32}, "seed": 1, "hidden": (8,),
        "batch_size": 16, "rows": 240, "epochs": 2, "best_epoch": 2, "held_out": 40, "loss": 0.5,
        "accuracy": 0.75, "history": history, "seconds": {"load": 0.5, "fit": 1.5},
    }  # fmt: skip
    return JobResult(**{**facts, **changes})


def network(tensor: Any) -> Any:
    """Finds everything to be the first label."""
    return np.array([[0.9, 0.06, 0.04]] * len(tensor), np.float32)


@pytest.fixture
def evidence(model: Model, tmp_path: Path) -> Evidence:
    splits = model.dataset.sample(0)
    return gather(model, network, splits, network(splits.test.inputs), tmp_path / "points")


def earlier(**changes: Any) -> Baseline:
    document = json.loads(json.dumps(result_of(version=6).document()))
    return Baseline(6, labelled=False, document={**document, **changes})


def with_baseline(evidence: Evidence, **changes: Any) -> Evidence:
    return replace(evidence, baseline=earlier(**changes))


def read(result: JobResult, evidence: Evidence, **options: Any) -> Page:
    return Page(page.render(result, evidence, **options))


def test_page_is_well_formed_and_loads_nothing(evidence: Evidence) -> None:
    text = page.render(result_of(), evidence)
    shown = Page(text)
    for tag, attributes in shown.elements:
        for name in LOADS:
            assert (attributes.get(name) or "#").startswith(("#", "data:")), (tag, name)
    assert not {"script", "link", "iframe", "object", "base", "form"} & {tag for tag, _ in shown.elements}
    assert not re.search(r"https?:|url\(|@import", text)
    (policy,) = (meta["content"] for meta in shown.of("meta") if "http-equiv" in meta)
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def test_page_is_readable_without_seeing_it(evidence: Evidence) -> None:
    shown = read(result_of(), evidence)
    assert all(image.get("aria-label") for image in shown.of("svg") if image.get("role") == "img")
    assert all(svg.get("role") == "img" or svg.get("aria-hidden") for svg in shown.of("svg"))
    assert all(header.get("scope") in {"row", "col"} for header in shown.of("th"))
    assert len(shown.of("caption")) == len(shown.of("table"))
    assert len(shown.of("h1")) == 1
    assert shown.of("html")[0]["lang"] == "en"
    names = [attributes["id"] for _, attributes in shown.elements if "id" in attributes]
    assert len(names) == len(set(names))
    assert {link["href"] for link in shown.of("a")} <= {f"#{name}" for name in names}


def test_page_tells_what_the_version_reached(evidence: Evidence) -> None:
    text = read(result_of(), evidence).text
    assert "Version 7 of points · 2 January 2026, 03:04 UTC" in text
    assert "Accuracy 75.00%" in text.replace("Accuracy75", "Accuracy 75")
    assert "points.npz" in text
    assert "ab" * 32 in text
    assert "Sample." not in text


def test_best_epoch_is_marked_in_both_figures_and_in_the_numbers(evidence: Evidence) -> None:
    shown = read(result_of(), evidence)
    assert shown.text.count("best epoch: 2 (lowest validation loss)") == 2
    assert "2 · best" in shown.text
    (row,) = shown.of_class("best-row")
    assert row is not None
    charts = [svg["aria-label"] or "" for svg in shown.of_class("chart")]
    assert [label.partition(" ")[0] for label in charts[:2]] == ["loss", "accuracy"]
    assert all("best epoch 2" in label for label in charts[:2])


def test_sample_is_marked(evidence: Evidence) -> None:
    shown = read(result_of(sample=True, sha256={}), evidence)
    assert len(shown.of_class("sample")) == 1
    assert "synthetic sample data" in shown.text


def test_refused_network_says_why(evidence: Evidence) -> None:
    shown = read(result_of(version=None), evidence, refused="the accuracy is 0.7500; asked was <0.9>")
    assert "Not published" in shown.text
    assert "asked was <0.9>" in shown.text
    assert "Version 0" not in shown.text


def test_network_that_diverged_still_has_a_report(evidence: Evidence) -> None:
    nan = float("nan")
    result = result_of(loss=nan, history=History((0.9, nan), (0.5, nan)), best_epoch=2, held_out=0)
    shown = read(result, evidence, refused="the fit diverged")
    assert not any("nan" in (value or "") for _, node in shown.elements for value in node.values())


def test_settings_that_differ_from_the_served_version_are_named_and_come_first(evidence: Evidence) -> None:
    shown = read(
        result_of(), with_baseline(evidence, hidden=[4, 4], libraries={"tensorflow": "2.0"}, extra={"old": 1})
    )
    found = re.search(
        r"(\d+) settings differ from version 6, the newest before this one: (.*?)\.Settings", shown.text
    )
    assert found is not None
    named = set(found[2].split(", "))
    assert {"hidden", "libraries.tensorflow", "extra.old"} <= named
    assert "batch_size" not in named
    assert len(shown.of_class("badge")) == len(named) == int(found[1])
    assert "hidden changed[8][4, 4]" in shown.text


def test_version_of_the_same_settings_says_so(evidence: Evidence) -> None:
    shown = read(result_of(), with_baseline(evidence))
    assert "Nothing differs from version 6" in shown.text
    assert not shown.of_class("badge")


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ({"accuracy": 0.7}, "+5.00 points against version 6: better"),
        ({"accuracy": 0.8}, "\N{MINUS SIGN}5.00 points against version 6: worse"),
        ({"loss": 0.4}, "+0.1000 against version 6: worse"),
        ({}, "the same as version 6"),
        ({"sample": True}, "version 6 was trained on sample data: not comparable"),
        ({"sha256": {"points.npz": "cd" * 32}}, "version 6 was tested on other files: not comparable"),
        ({"accuracy": "much"}, "The numbers"),
    ],
)
def test_comparison_is_made_where_it_means_something(
    evidence: Evidence, before: dict[str, Any], said: str
) -> None:
    assert said in read(result_of(), with_baseline(evidence, **before)).text


def test_files_that_differ_from_the_served_version_s_are_told(evidence: Evidence) -> None:
    result = result_of(sha256={"points.npz": "ab" * 32, "more.npz": "ef" * 32})
    text = read(result, with_baseline(evidence)).text
    assert "same file" in text
    assert "other file" in text


def test_hostile_text_is_inert_wherever_it_is_inserted(evidence: Evidence) -> None:
    model = replace(evidence.model, title=HOSTILE, labels=(HOSTILE, "b", "c"))
    held_against = earlier(**{"hidden": HOSTILE, HOSTILE: HOSTILE, "sha256": HOSTILE, "libraries": [HOSTILE]})
    result = result_of(name=HOSTILE, source=HOSTILE, sha256={HOSTILE: HOSTILE}, created=HOSTILE)
    hostile = replace(evidence, model=model, baseline=held_against)
    shown = read(result, hostile, refused=HOSTILE)
    assert not shown.of("script")
    assert HOSTILE in shown.text


def test_review_with_markup_in_it_is_inert() -> None:
    """The words come from a file that anyone may have made."""
    imdb = catalogue.find("imdb")
    vocabulary = {HOSTILE: 1, '" onmouseover="x': 2, "\ud800": 3}
    rows = RaggedArray.of([np.array([1, 4, 5, 6], np.int32)])
    examples = Examples(rows, np.array([0]))

    def positive(tensor: Any) -> Any:
        return 0.5 + 0.4 * np.asarray(tensor)[:, 4:5]  # the first word decides

    splits = Splits(examples, examples, vocabulary)
    gathered = gather(imdb, positive, splits, np.array([[0.9]], np.float32), Path("none"))
    shown = read(result_of(name="imdb"), gathered)
    assert not shown.of("script")
    assert not any("onmouseover" in attributes for _, attributes in shown.elements)
    assert HOSTILE in shown.text
    (word,) = [mark for mark in shown.of("mark") if "title" in mark]
    assert word["title"] == "+2.20"  # the log-odds of 0.9, less those of 0.5


def test_page_of_words_that_no_encoding_has_is_written(evidence: Evidence, tmp_path: Path) -> None:
    path = page.write(tmp_path, result_of(source="\ud800"), evidence)
    assert "&#55296;" in path.read_text(encoding="utf-8")


def test_page_of_very_many_labels_stays_small(evidence: Evidence) -> None:
    labels = tuple(f"label {number}" for number in range(500))
    counts = np.random.default_rng(0).integers(0, 9, (500, 500))
    many = replace(
        evidence, model=replace(evidence.model, labels=labels), counts=counts, trained=counts.sum(axis=1)
    )
    text = page.render(result_of(), many)
    assert len(text) < 400_000
    assert "the lowest 40 of 500" in text
    assert "Most often mistaken: label" in text


def test_job_of_a_model_it_never_heard_of_writes_a_report_with_its_mistakes_in_a_table(
    model: Model, tmp_path: Path
) -> None:
    weak = replace(model, recipe=model.recipe.changed(epochs=1, hidden=(1,)))
    options = JobOptions(model=weak, model_store=tmp_path, sample=True)
    result = train(options)
    shown = Page((result.path / "assets.extra" / "report.html").read_text())
    assert "Version 1 of points" in shown.text
    assert "There was no earlier version" in shown.text
    assert re.search(r"#\d+\[-?\d+, -?\d+, -?\d+\]", shown.text.replace(" -", "-").replace("[ ", "["))
    second = train(replace(options, seed=3))
    text = Page((second.path / "assets.extra" / "report.html").read_text()).text
    assert "Version 2 of points" in text
    assert "version 1 was tested on another sample: not comparable" in text
    assert "differ from version 1, the newest before this one: source, seed" in text


@pytest.mark.parametrize(("name", "kind"), [("mnist", "img"), ("imdb", "mark")])
def test_report_of_a_shipped_model_shows_its_mistakes(name: str, kind: str, tmp_path: Path) -> None:
    model = catalogue.find(name)
    weak = replace(model, recipe=model.recipe.changed(epochs=1, hidden=(2,)))
    options = JobOptions(model=weak, model_store=tmp_path, sample=True, seed=1, min_accuracy=0)
    path = train(options).path / "assets.extra" / "report.html"
    shown = Page(path.read_text())
    assert shown.of(kind)
    assert all(image["alt"] for image in shown.of("img"))
    assert path.stat().st_size < 400_000


def test_texts_are_escaped_and_markup_is_not() -> None:
    made = element("p", "a < b", element("b", '"'), None, ["x", Markup("<i></i>")], class_='"')
    assert made == '<p class="&quot;">a &lt; b<b>&quot;</b>x<i></i></p>'


def test_attributes_are_left_out_bare_or_rounded() -> None:
    made = element("line", x1=1 / 3, y1=2.0, hidden=True, id=None, open=False, stroke_width=-0.001)
    assert made == '<line x1="0.33" y1="2" hidden stroke-width="-0"></line>'
