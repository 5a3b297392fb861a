"""What an audit finds: an error that names the place and the next step, and a repair, where one is safe."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from eslab.errors import EslabError, Inconsistent
from eslab.request import time_of


@dataclass(frozen=True)
class Finding:
    """A contradiction in what is stored of one aggregate or request."""

    kind: str  # "commit", "append", "snapshot", "directory" or "read table NAME"
    error: EslabError
    repair: Callable[[], object] | None = None  # None: nothing is done without a person who knows more
    repaired: bool = False

    @property
    def key(self) -> tuple[Any, ...]:
        """The same for the same contradiction, whenever it is found."""
        return self.kind, self.error.aggregate_id, self.error.event_time

    def __str__(self) -> str:
        done = " Repaired." if self.repaired else ""
        return f"{self.kind}: {self.error}{done}"


def contradiction(
    kind: str,
    message: str,
    customer_id: str | None,
    aggregate_id: str | None,
    event_time: UUID | None,
    repair: Callable[[], object] | None = None,
) -> Finding:
    """A finding about this place."""
    error = Inconsistent(message, customer_id=customer_id, aggregate_id=aggregate_id, event_time=event_time)
    return Finding(kind, error, repair)


def moment(event_time: UUID) -> str:
    """An event time with its time, as messages name it."""
    return f"{event_time} ({time_of(event_time).isoformat()})"
