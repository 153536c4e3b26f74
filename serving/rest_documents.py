"""What a REST request's body holds: read on the event loop, or in a thread where that would hold it up."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from numpy.typing import NDArray

from serving import rest_numbers
from serving.rest_numbers import Numbers
from serving.servable import DEFAULT_SIGNATURE, SignatureInfo
from wire import json_tensors

P = ParamSpec("P")
T = TypeVar("T")

# From so many bytes on, of text or of tensors, one is made of the other in a thread.
CONVERTED_OFF_LOOP_FROM = 256 * 1024


@dataclass(eq=False, slots=True)
class Instances:
    """Reads the tensors of a predict request, and remembers in which form they came.

    The body is one of `numbers`, or else the `document`.
    """

    body: bytes
    numbers: Numbers | None
    document: Mapping[str, Any] | None
    form: json_tensors.RequestForm = json_tensors.RequestForm.ROW

    @property
    def signature_name(self) -> str:
        """The signature that is named; StatusError as `wire.json_tensors.signature_name`."""
        if self.numbers is not None:
            return self.numbers.signature_name or DEFAULT_SIGNATURE
        return json_tensors.signature_name(self.document or {})

    async def read(self, signature: SignatureInfo) -> Mapping[str, NDArray[Any]]:
        """The inputs by alias; StatusError as `wire.json_tensors.predict_inputs`."""
        if self.numbers is not None and len(signature.inputs) == 1:
            ((alias, info),) = signature.inputs.items()
            tensor = self.numbers.tensor(info)
            if tensor is not None:
                self.form = self.numbers.form
                return {alias: tensor}
        document = self.document if self.document is not None else await read_document(self.body)
        inputs, self.form = await off_loop(
            len(self.body), json_tensors.predict_inputs, document, signature.inputs
        )
        return inputs


async def read_instances(body: bytes) -> Instances:
    """Those of a body; StatusError (INVALID_ARGUMENT) where it is no JSON object."""
    numbers = await off_loop(len(body), rest_numbers.read, body)
    return Instances(body, numbers, None if numbers is not None else await read_document(body))


async def read_document(body: bytes) -> Mapping[str, Any]:
    """A body's JSON object; StatusError (INVALID_ARGUMENT) where it is none."""
    return await off_loop(len(body), json_tensors.parse_object, body)


async def off_loop(size: int, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Call a function that works on `size` bytes, in a thread where it would hold up the loop."""
    if size < CONVERTED_OFF_LOOP_FROM:
        return function(*arguments, **named)
    return await asyncio.to_thread(function, *arguments, **named)
