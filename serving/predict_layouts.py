"""Predict requests that differ from an earlier one in nothing but the elements of their tensor.

A client that asks the same model again and again sends the same bytes again and again, up to the elements.
Of such a request nothing is parsed: what the earlier one asked for is known, and the tensor is a view of its
bytes.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from serving.inference import ModelSpec
from wire import wire_format

Array = NDArray[Any]

# As many layouts are known at once.
MOST_LAYOUTS = 256
# So much of a request tells layouts apart at first: the model's name, or its beginning. No head is shorter.
KEY_BYTES = 16
# The longest head, which has the model's name and the output filter: a client's, and kept.
LONGEST_HEAD = 1024
_REQUEST_INPUTS = 2
_ENTRY_VALUE = 2
_TENSOR_CONTENT = 4


class Layout(NamedTuple):
    """A request without the elements of its tensor, which come after `head`: what it asks for."""

    head: bytes
    spec: ModelSpec
    alias: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    output_filter: tuple[str, ...]

    def tensor(self, body: bytes) -> Array:
        """The tensor of a request of this layout, as a read-only view."""
        return np.frombuffer(body, self.dtype, offset=len(self.head)).reshape(self.shape)


class Layouts:
    """The layouts of the last requests. Used on the event loop."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, bytes], Layout] = {}

    def find(self, body: bytes) -> Layout | None:
        """The layout of a request, where an earlier one had the same."""
        layout = self._known.get((len(body), body[:KEY_BYTES]))
        return layout if layout is not None and body.startswith(layout.head) else None

    def learn(
        self, body: bytes, spec: ModelSpec, inputs: Mapping[str, Array], outputs: tuple[str, ...]
    ) -> None:
        """Remember the layout of a request that was parsed, if it ends with the elements of its tensor."""
        if len(inputs) != 1:
            return
        start = wire_format.last_at(body, (_REQUEST_INPUTS, _ENTRY_VALUE, _TENSOR_CONTENT))
        if start is None or start > LONGEST_HEAD:
            return
        # Decodes the tensor once more, which pays only where a layout may be learnt.
        ((alias, array),) = inputs.items()
        # Strings are not in memory as they were sent, even where they happen to take as many bytes.
        if array.dtype.hasobject or array.nbytes != len(body) - start:
            return
        if len(self._known) >= MOST_LAYOUTS:
            self._known.clear()
        layout = Layout(body[:start], spec, alias, array.dtype, array.shape, outputs)
        self._known[len(body), body[:KEY_BYTES]] = layout
