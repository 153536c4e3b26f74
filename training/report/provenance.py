"""What the version was made of, and what of it differs from the version now served."""

from __future__ import annotations

from collections.abc import Mapping

from training.report import baseline
from training.report.baseline import Baseline, Setting
from training.report.evidence import Evidence
from training.report.markup import Child, Markup, element
from training.report.overview import title
from training.report.tables import UNDEFINED, Row, plural, section, table
from training.result import JobResult

LONGEST = 160


def configuration(result: JobResult, evidence: Evidence) -> Markup:
    """Return all settings; beside them those of the version now served, the differences first."""
    other = evidence.baseline
    found = baseline.settings(result.document(), other.document if other else None)
    return section(
        "configuration",
        "Configuration",
        element("p", _summary(found, other), class_="lead"),
        _settings(found, other, result),
        _seconds(result.seconds),
    )


def data(result: JobResult, evidence: Evidence) -> Markup:
    """Return where the data came from, and the checksum of every file."""
    trained, tested = int(evidence.trained.sum()), int(evidence.counts.sum())
    counts = f"{plural(trained, 'training example')}, {plural(tested, 'test example')}"
    said = element("p", "From ", element("code", _cut(result.source)), f": {counts}.", class_="lead")
    if not result.sha256:
        none = element("p", "Made in memory: there are no files.", class_="note")
        return section("data", "Data", said, none)
    rows = [
        Row([
            element("code", name),
            element("code", digest, class_="digest"),
            *_same(name, digest, evidence.baseline),
        ])
        for name, digest in result.sha256.items()
    ]  # fmt: skip
    columns = ["file", "SHA-256", *([f"against {title(evidence.baseline)}"] if evidence.baseline else [])]
    return section("data", "Data", said, table("Data files", columns, rows, "values"))


def _summary(found: list[Setting], other: Baseline | None) -> list[Child]:
    if other is None:
        return ["There was no earlier version to compare with."]
    what = (
        f"{title(other)}, {'labelled ' + baseline.LABEL if other.labelled else 'the newest before this one'}"
    )
    changed = [setting for setting in found if setting.changed]
    if not changed:
        return [f"Nothing differs from {what}."]
    names: list[Child] = []
    for setting in changed:
        names += [", " if names else None, element("code", setting.name)]
    differ = "differs" if len(changed) == 1 else "differ"
    return [f"{plural(len(changed), 'setting')} {differ} from {what}: ", *names, "."]


def _settings(found: list[Setting], other: Baseline | None, result: JobResult) -> Markup:
    here = f"version {result.version}" if result.version else "this network"
    if other is None:
        rows = [Row([element("code", setting.name), _cut(setting.now)]) for setting in found]
        return table("Settings", ["setting", here], rows, "values settings")
    rows = [_beside(setting) for setting in found]
    columns = ["setting", here, title(other)]
    return table(f"Settings, and those of {title(other)}", columns, rows, "values settings")


def _beside(setting: Setting) -> Row:
    before = UNDEFINED if setting.before is None else _cut(setting.before)
    mark = [" ", element("span", "changed", class_="badge")] if setting.changed else None
    cells: list[Child] = [[element("code", setting.name), mark], _cut(setting.now), before]
    return Row(cells, "changed" if setting.changed else None)


def _seconds(seconds: Mapping[str, float]) -> Markup:
    rows = [Row([phase, f"{value:.2f}"]) for phase, value in seconds.items()]
    rows.append(Row(["all", f"{sum(seconds.values()):.2f}"], "total"))
    times = table("Seconds by phase", ["phase", "seconds"], rows, "numbers")
    return element("details", element("summary", "Where the time went"), times)


def _same(name: str, digest: str, other: Baseline | None) -> list[Child]:
    if other is None:
        return []
    before = other.document.get("sha256")
    same = isinstance(before, dict) and before.get(name) == digest
    return ["same file" if same else element("span", "other file", class_="badge")]


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
