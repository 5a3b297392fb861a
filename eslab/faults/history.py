"""The history of a schedule: every call of a client, when it began and ended, and what came of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Protocol

from eslab.errors import EslabError
from eslab.faults.tally import Answer, Tally
from eslab.request import Request


@dataclass
class Operation:
    """One call: its answer, or its error, or neither if its process was killed or hasn't ended."""

    number: int
    process: str
    what: str  # "count", "load", "kept", "build", "rotate", "audit", "compared", "snapshots", "recall" or "copied"
    region: str
    keys: tuple[str, ...]
    began: float  # seconds of the virtual clock
    request: Request | None = None
    limit: int = 0
    ended: float | None = None
    order: tuple[int, int] = (0, 0)  # of its begin and its end among all begins and ends; 0 if it never ended
    answer: Any = None
    error: EslabError | None = None
    final: bool = False  # was it made after everything was mended and made equal?

    @property
    def accepted(self) -> bool:
        """Was its request counted, now or before?"""
        return isinstance(self.answer, Answer) and not self.answer.rejected

    @property
    def repeated(self) -> bool:
        """Was it told the answer to a request that had been counted before?"""
        return isinstance(self.answer, Answer) and self.answer.repeated

    @property
    def places(self) -> dict[str, int]:
        """The places that its request was told, by tally."""
        return self.answer.places if isinstance(self.answer, Answer) else {}

    def before(self, other: "Operation") -> bool:
        """Did it end before the other one began?"""
        return 0 < self.order[1] < other.order[0]

    @property
    def rejected(self) -> bool:
        """Did the rule refuse it?"""
        return isinstance(self.answer, Answer) and self.answer.rejected

    def __str__(self) -> str:
        end = "never ended" if self.ended is None else f"ended {self.ended:9.3f}"
        who = f" {str(self.request.id)[-12:]}" if self.request else ""
        when = f"#{self.number:<3} {self.began:9.3f} {end}"
        return f"{when}  {self.process:20} {self.what}{who} {self.keys}: {self._came()}"

    def _came(self) -> str:
        if self.error:
            return f"{type(self.error).__name__}: {str(self.error)[:100]}"
        if isinstance(self.answer, Answer):
            how = "rejected" if self.answer.rejected else "repeated" if self.answer.repeated else "counted"
            return f"{how} {self.answer.places or ''} of {shown(self.answer.tallies)}"
        return shown(self.answer) if isinstance(self.answer, dict) else str(self.answer)[:60]


def shown(tallies: dict[Any, Tally]) -> str:
    """What tallies hold, with short names of requests."""
    return str({str(key): {name[-12:]: at for name, at in tally.places.items()} for key, tally in tallies.items()})


class Timeline(Protocol):
    """Tells the time of a world, simulated or real."""

    @property
    def now(self) -> float:
        """Seconds since its start."""
        ...


@dataclass
class History:
    """All operations of a schedule, in the order in which they began; several threads may record at once."""

    world: Timeline
    operations: list[Operation] = field(default_factory=list)
    _numbers: "count[int]" = field(default_factory=count)
    _moments: "count[int]" = field(default_factory=lambda: count(1))

    def record(self, call: Callable[[], Any], **about: Any) -> Operation:
        """Make a call in the running process, and keep what came of it; a killed process leaves it without an end."""
        operation = Operation(next(self._numbers), began=self.world.now, **about)
        self.operations.append(operation)
        begin = next(self._moments)
        operation.order = (begin, 0)
        try:
            operation.answer = call()
        except EslabError as error:
            operation.error = error
        operation.ended = self.world.now
        operation.order = (begin, next(self._moments))
        return operation
