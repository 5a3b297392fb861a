"""The faults that a call may meet on its way, and the death of a process.

    Refuse        the other side can't be reached; nothing happened, and the caller knows
    LoseRequest   the call never arrives, and the caller waits in vain
    LoseReply     the call is carried out, and the caller waits in vain
    Delay         the call arrives late; if that takes longer than the caller waits, it is carried out all the same
    Duplicate     the call arrives twice, the second time at once or behind later calls
    Hold          the caller waits in vain, and the call arrives behind later ones
    Crash         the caller's process dies, before the call or after it

A caller can't tell `LoseRequest`, `LoseReply` and `Hold` apart. That is why a retry must keep its request.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from eslab.display import duration
from eslab.errors import InvalidInput


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong with one call; reads as a sentence."""


@dataclass(frozen=True)
class Refuse(Fault):
    """The other side can't be reached, and the caller is told so at once."""

    def __str__(self) -> str:
        return "the connection is refused"


@dataclass(frozen=True)
class LoseRequest(Fault):
    """The call never arrives."""

    def __str__(self) -> str:
        return "the request is lost on its way"


@dataclass(frozen=True)
class LoseReply(Fault):
    """The call is carried out, and its answer never arrives."""

    def __str__(self) -> str:
        return "the answer is lost on its way back"


@dataclass(frozen=True)
class Delay(Fault):
    """The call arrives this much later."""

    by: timedelta

    def __post_init__(self) -> None:
        _check(isinstance(self.by, timedelta) and self.by >= timedelta(), "a duration of 0 or more", self.by)

    def __str__(self) -> str:
        return f"the request takes {duration(self.by)}"


@dataclass(frozen=True)
class Duplicate(Fault):
    """The call arrives twice; the second time behind so many later calls, or at once."""

    behind: int = 0

    def __post_init__(self) -> None:
        _check(self.behind >= 0, "0 or more later calls", self.behind)

    def __str__(self) -> str:
        return f"the request arrives twice{_behind(self.behind)}"


@dataclass(frozen=True)
class Hold(Fault):
    """The call arrives behind so many later calls, when its caller has stopped waiting."""

    behind: int = 1

    def __post_init__(self) -> None:
        _check(self.behind >= 1, "1 or more later calls", self.behind)

    def __str__(self) -> str:
        return f"the request arrives late{_behind(self.behind)}"


@dataclass(frozen=True)
class Crash(Fault):
    """The process that calls dies before the call is sent, or after it was carried out."""

    when: Literal["before", "after"] = "after"

    def __post_init__(self) -> None:
        _check(self.when in ("before", "after"), '"before" or "after"', self.when)

    def __str__(self) -> str:
        return f"the process dies {self.when} the call"


class Crashed(BaseException):
    """The end of a process that met a `Crash`.

    Like `KeyboardInterrupt` it is no `Exception`, since a dead process runs no handler: what catches `Exception` in
    order to log it and go on, as a service does around its DRM server, must not outlive its own death. Only what stands
    for another machine catches it: the `Line` to the process that died.
    """


def _check(is_right: bool, expected: str, found: object) -> None:
    if not is_right:
        raise InvalidInput(f"Expected {expected} for a fault, got {found!r}.")


def _behind(calls: int) -> str:
    return f", behind the next {'call' if calls == 1 else f'{calls} calls'}" if calls else ""
