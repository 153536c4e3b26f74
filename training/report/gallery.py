"""The surest mistakes, as a person can look at them."""

from __future__ import annotations

import base64

from training.report.exhibits import Picture, Text, Value, Word
from training.report.markup import Markup, element, join
from training.report.mistakes import Mistake
from training.report.tables import Row, percent, section, table

FAINTEST = 0.12
"""Words that weigh less than this share of the heaviest are not marked: they would drown the others."""


def gallery(mistakes: tuple[Mistake, ...]) -> Markup:
    """Return what can be shown of each mistake: pictures and texts as such, all else in a table."""
    if not mistakes:
        return section(
            "mistakes", "Surest mistakes", element("p", "There is none: every test example was found.")
        )
    pictures = [_picture(each, each.exhibit) for each in mistakes if isinstance(each.exhibit, Picture)]
    texts = [_text(each, each.exhibit) for each in mistakes if isinstance(each.exhibit, Text)]
    values = [_value(each, each.exhibit) for each in mistakes if isinstance(each.exhibit, Value)]
    return section(
        "mistakes",
        "Surest mistakes",
        element("p", "Wrong, and most confident of it. Some are the network's fault, some the label's.", class_="lead"),
        element("div", pictures, class_="pictures") if pictures else None,
        _key() if texts else None,
        texts,
        table("Surest mistakes", ["example", "input", "true", "found", "confidence"], values, "values") if values else None,
    )  # fmt: skip


def _picture(mistake: Mistake, shown: Picture) -> Markup:
    source = f"data:image/png;base64,{base64.b64encode(shown.png).decode()}"
    said = f"Test example {mistake.row}: {mistake.truth}, taken for {mistake.found}"
    return element(
        "figure",
        element(
            "img",
            src=source,
            alt=said,
            width=shown.width,
            height=shown.height,
            class_="dark-ground" if shown.dark else None,
        ),
        element(
            "figcaption",
            _verdict(mistake),
            element("span", f"{_sure(mistake.confidence)} · #{mistake.row}", class_="note"),
            title=_odds(mistake),
        ),
    )


def _text(mistake: Mistake, shown: Text) -> Markup:
    largest = max((abs(word.weight) for word in shown.heaviest), default=0.0)
    last = shown.first + len(shown.words)
    place = (
        f"words {shown.first + 1} to {last} of {shown.length}"
        if len(shown.words) < shown.length
        else "in full"
    )
    return element(
        "article",
        element(
            "h3",
            _verdict(mistake),
            element(
                "span", f"{_sure(mistake.confidence)} · test example {mistake.row}, {place}", class_="note"
            ),
        ),
        element(
            "p",
            "… " if shown.first else None,
            join(join([_word(word, largest), " "]) for word in shown.words),
            "…" if last < shown.length else None,
            class_="review",
        ),
        element(
            "p",
            element("span", "weigh most ", class_="note"),
            join(join([_chip(word), " "]) for word in shown.heaviest if word.weight),
            class_="chips",
        ),
    )


def _value(mistake: Mistake, shown: Value) -> Row:
    return Row([
        f"#{mistake.row}", element("code", shown.text), mistake.truth, mistake.found, _sure(mistake.confidence)
    ])  # fmt: skip


def _key() -> Markup:
    return element(
        "p",
        "Each word was left out in turn, and the network asked again. ",
        element("mark", "Words like this", class_="toward", style="--weight:.7"),
        " pushed it to its mistake, ",
        element("mark", "words like this", class_="away", style="--weight:.7"),
        " spoke for the truth; the numbers are what a word adds to the log-odds of the label found. "
        "A word beyond the dictionary is shown as ?.",
        class_="key",
    )


def _word(word: Word, largest: float) -> Markup:
    share = abs(word.weight) / largest if largest else 0.0
    if share < FAINTEST:
        return join([word.text])
    return element(
        "mark", word.text, class_=_side(word), style=f"--weight:{share:.2f}", title=_signed(word.weight)
    )


def _chip(word: Word) -> Markup:
    weight = element("span", _signed(word.weight), class_="weight")
    return element("span", word.text, " ", weight, class_=f"chip {_side(word)}")


def _verdict(mistake: Mistake) -> Markup:
    return element(
        "span",
        element("span", mistake.truth, class_="truth"),
        element("span", " taken for ", class_="taken"),
        element("span", mistake.found, class_="found"),
        class_="verdict",
    )


def _side(word: Word) -> str:
    return "toward" if word.weight > 0 else "away"


def _signed(weight: float) -> str:
    return f"{weight:+.2f}".replace("-", "−")


def _sure(confidence: float) -> str:
    """Write a confidence; one that rounds to 100% is none the more certain for it."""
    return "> 99.99%" if 0.99995 <= confidence else percent(confidence)  # noqa: PLR2004, SIM300 (rounds to 100.00%)


def _odds(mistake: Mistake) -> str:
    return f"{mistake.found}: {percent(mistake.confidence)}, {mistake.truth}: {percent(mistake.truth_probability)}"
