"""The page: one file that needs no other, no network and no script."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from training.report import FILE, overview
from training.report.evidence import Evidence
from training.report.fitting import fitting
from training.report.gallery import gallery
from training.report.markup import Markup, element, join
from training.report.provenance import configuration, data
from training.report.results import results
from training.report.trust import calibration
from training.result import JobResult

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""What a browser lets the page do: show what is in it. Should a script ever get in, it does not run."""
FOOTER = "Written by kedge's training job. This file is whole: it loads nothing."
CONTENTS = (
    ("fit", "Fit"),
    ("test", "Test"),
    ("calibration", "Calibration"),
    ("mistakes", "Mistakes"),
    ("configuration", "Configuration"),
    ("data", "Data"),
)


def write(directory: Path, result: JobResult, evidence: Evidence, *, refused: str | None = None) -> Path:
    """Write report.html and return its path; `refused` says why the network is not published, if so."""
    path = directory / FILE
    path.write_text(render(result, evidence, refused=refused), encoding="utf-8", errors="xmlcharrefreplace")
    return path


def render(result: JobResult, evidence: Evidence, *, refused: str | None = None) -> str:
    """Return the page."""
    state = f"version {result.version}" if refused is None else "not published"
    body = element(
        "body",
        overview.header(result, evidence, refused),
        overview.contents(CONTENTS),
        element(
            "main",
            fitting(result, evidence),
            results(evidence),
            calibration(evidence),
            gallery(evidence.mistakes),
            configuration(result, evidence),
            data(result, evidence),
        ),
        element("footer", element("p", FOOTER)),
    )
    page = element("html", _head(f"{result.name} {state}"), body, lang="en")
    return f"<!doctype html>\n{page}\n"


def _head(title: str) -> Markup:
    style = resources.files(__package__).joinpath("style.css").read_text(encoding="utf-8")
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", join([Markup(style)])),
    )
