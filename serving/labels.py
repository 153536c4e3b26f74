"""Version labels: names such as "stable" that stand for a version of a model."""

from collections.abc import Collection, Mapping


def settle(
    applied: Mapping[str, int], configured: Mapping[str, int], available: Collection[int]
) -> dict[str, int]:
    """The version that each configured label stands for now.

    A label moves once its new version is available; until then it stays where it was, as long as that
    version is available. So one file works at the start, on a restart and for a switch, in any order.
    """
    return {
        label: version if version in available else _kept(applied.get(label), version, available)
        for label, version in configured.items()
    }


def _kept(applied: int | None, configured: int, available: Collection[int]) -> int:
    return applied if applied is not None and applied in available else configured
