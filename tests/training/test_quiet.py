import contextlib
import gc
import sys
from types import ModuleType
from typing import Any

import pytest

from training.quiet import import_tensorflow


@pytest.mark.parametrize("error", [None, RuntimeError("no such device")])
def test_no_garbage_is_looked_for_while_tensorflow_is_imported(
    monkeypatch: pytest.MonkeyPatch, error: Exception | None
) -> None:
    """That would take nearly as long as the import itself."""
    looked_for = []
    tensorflow: Any = ModuleType("tensorflow")

    def zeros(shape: list[int]) -> None:
        looked_for.append(gc.isenabled())
        if error is not None:
            raise error

    tensorflow.zeros = zeros
    monkeypatch.setitem(sys.modules, "tensorflow", tensorflow)
    with contextlib.suppress(RuntimeError):
        import_tensorflow()
    assert looked_for == [False]
    assert gc.isenabled()
