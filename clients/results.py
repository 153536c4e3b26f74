"""What a client's methods give back."""

from collections.abc import Mapping
from dataclasses import dataclass

from clients import html
from models.model import Array
from wire.errors import Code
from wire.tensors import TensorInfo


@dataclass(frozen=True, repr=False)
class Prediction:
    """A model's answer for one input.

    `label` is the most probable label and `probability` its own, `probabilities` those of all labels in the
    model's order. `version` is the version that answered, or None where the server did not tell it, as
    TensorFlow Serving does not over REST.
    """

    label: str
    probability: float
    probabilities: Mapping[str, float]
    model: str
    version: int | None

    def __repr__(self) -> str:
        version = "" if self.version is None else f", version={self.version}"
        return (
            f"Prediction(label={self.label!r}, probability={self.probability:.4f}, "
            f"model={self.model!r}{version})"
        )

    def _repr_html_(self) -> str:
        """Show a bar for each label in a notebook."""
        return html.prediction(self)


class Predictions(list[Prediction]):
    """Predictions in the order of their inputs."""

    def _repr_html_(self) -> str:
        """Show a table in a notebook."""
        return html.predictions(self)


@dataclass(frozen=True)
class VersionStatus:
    """One version of a model on a server.

    `state` is START, LOADING, AVAILABLE, UNLOADING or END. A version that failed to load is in state END with
    a `code` that is not OK and the reason in `message`.
    """

    version: int
    state: str
    code: Code
    message: str


@dataclass(frozen=True)
class SignatureInfo:
    """One entry of a served model: its tensors by name."""

    inputs: Mapping[str, TensorInfo]
    outputs: Mapping[str, TensorInfo]
    method_name: str


@dataclass(frozen=True)
class Metadata:
    """What one version of a model takes and gives."""

    name: str
    version: int
    signatures: Mapping[str, SignatureInfo]

    def _repr_html_(self) -> str:
        """Show the tensors of each signature in a notebook."""
        return html.metadata(self)


@dataclass(frozen=True)
class Outputs:
    """Output tensors by name, and the version that computed them where the server tells it."""

    arrays: Mapping[str, Array]
    version: int | None
