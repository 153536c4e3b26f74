"""The surest mistakes, as a person can look at them."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from training.report.exhibits import Picture, Text, Value, Word
from training.report.markup import Markup, element, join
from training.report.mistakes import Mistake
from training.report.tables import MINUS, Row, percent, section, table

LEAD = "Wrong, and most confident of it. Some are the network's fault, some the label's."
NONE = "There is none: every test example was found."
SHOWN = 8
"""Words told with their weights below a text."""
FAINTEST = 0.12
"""Words that weigh less than this share of the heaviest are not marked: they would drown the others."""
CERTAIN = 0.99995
"""From here on a confidence would be rounded to 100%."""


def gallery(mistakes: Sequence[Mistake]) -> Markup:
    """Return what can be shown of each mistake: pictures and texts as such, all else in a table."""
    pictures = [_picture(each, each.exhibit) for each in mistakes if isinstance(each.exhibit, Picture)]
    texts = [_text(each, each.exhibit) for each in mistakes if isinstance(each.exhibit, Text)]
    values = [_value(each, each.exhibit) for each in mistakes if isinstance(each.exhibit, Value)]
    columns = ["example", "input", "true", "found", "confidence"]
    return section(
        "mistakes",
        "Surest mistakes",
        element("p", LEAD if mistakes else NONE, class_="lead"),
        element("div", pictures, class_="pictures") if pictures else None,
        _key() if texts else None,
        texts,
        table("Surest mistakes", columns, values, "values") if values else None,
    )


def _picture(mistake: Mistake, shown: Picture) -> Markup:
    source = f"data:image/png;base64,{base64.b64encode(shown.png).decode()}"
    return element(
        "figure",
        element(
            "img",
            src=source,
            alt=f"Test example {mistake.row}: {mistake.truth}, taken for {mistake.found}",
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
    last = shown.first + len(shown.words)
    whole = len(shown.words) == shown.length
    place = "in full" if whole else f"words {shown.first + 1:,} to {last:,} of {shown.length:,}"
    told = f"{_sure(mistake.confidence)} · test example {mistake.row}, {place}"
    chips = join(join([_chip(word), " "]) for word in shown.heaviest[:SHOWN] if word.weight)
    return element(
        "article",
        element("h3", _verdict(mistake), element("span", told, class_="note")),
        element(
            "p",
            "… " if shown.first else None,
            join(join([_word(word, shown.heaviest), " "]) for word in shown.words),
            "…" if last < shown.length else None,
            class_="review",
        ),
        element("p", element("span", "weigh most ", class_="note"), chips, class_="chips"),
    )


def _value(mistake: Mistake, shown: Value) -> Row:
    sure, shown_as = _sure(mistake.confidence), element("code", shown.text)
    return Row([f"#{mistake.row}", shown_as, mistake.truth, mistake.found, sure])


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


def _word(word: Word, heaviest: Sequence[Word]) -> Markup:
    """Mark a word that is among the heaviest, the more the heavier."""
    share = abs(word.weight / heaviest[0].weight) if word in heaviest and heaviest[0].weight else 0.0
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
    return f"{weight:+.2f}".replace("-", MINUS)


def _sure(confidence: float) -> str:
    return "> 99.99%" if confidence >= CERTAIN else percent(confidence)


def _odds(mistake: Mistake) -> str:
    given = ((mistake.found, mistake.confidence), (mistake.truth, mistake.truth_probability))
    return ", ".join(f"{label}: {percent(probability)}" for label, probability in given)
