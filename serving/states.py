"""The states of a version, and what is told of them."""

import enum
from dataclasses import dataclass

from wire.errors import Code


class State(enum.IntEnum):
    """A version's state, numbered as in `ModelVersionStatus.State`; it only ever moves on.

    AVAILABLE is told after requests can reach the version, UNLOADING before they no longer can. A version
    whose load failed goes from LOADING to END.
    """

    UNKNOWN = 0
    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(frozen=True)
class VersionStatus:
    """What GetModelStatus tells of one version: a failed load ends with its code and message, others OK."""

    version: int
    state: State
    code: Code = Code.OK
    message: str = ""
