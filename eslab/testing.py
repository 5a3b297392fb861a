"""Tests of a command handler as specifications: given events, when a command, then events or a rejection.

given(Frosting, ColorAdded("red")).when(handle, MakeColor("purple")).then(ColorAdded("blue"))
given(Frosting, ColorAdded("yellow")).when(handle, MakeColor("purple")).then_rejected("mixing")
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from eslab.aggregate import Aggregate, check_event
from eslab.event import Command, Event, Rejected
from eslab.request import Request
from eslab.service import events_from

REQUEST = Request.at(datetime(2026, 1, 5, 9, 0, tzinfo=UTC), "a specification")


@dataclass(frozen=True)
class Outcome:
    """The answer of a handler: events or a rejection."""

    given: Sequence[Event]
    command: Command
    answer: Sequence[Event] | Rejected

    def then(self, *expected: Event) -> None:
        """Assert that the handler decided exactly these events, in this order; without arguments, none."""
        if isinstance(self.answer, Rejected) or list(self.answer) != list(expected):
            raise AssertionError(self._message(list(expected)))

    def then_rejected(self, rule: str, *, limit: Any = None, count: Any = None) -> None:
        """Assert that the handler rejected the command by this rule, with this limit and count."""
        rejected = self.answer if isinstance(self.answer, Rejected) else None
        if rejected is None or (rejected.rule, rejected.limit, rejected.count) != (rule, limit, count):
            raise AssertionError(self._message(f"Rejected by {rule} (limit {limit}, count {count})"))

    def _message(self, expected: object) -> str:
        return f"given {list(self.given)}, when {self.command}: expected {expected}, got {self.answer}"


@dataclass(frozen=True)
class Given:
    """An aggregate type and the events before the command."""

    aggregate_type: type[Aggregate]
    events: Sequence[Event]

    def when(self, handle: Callable[..., Sequence[Event]], command: Command, request: Request = REQUEST) -> Outcome:
        """Let the handler decide the command on the state that the events add up to."""
        state = self.aggregate_type()
        for event in self.events:
            check_event(self.aggregate_type, event)
            state.apply(event)
        try:
            return Outcome(self.events, command, events_from(handle, handle(state, command, request)))
        except Rejected as rejected:
            return Outcome(self.events, command, rejected)


def given(aggregate_type: type[Aggregate], *events: Event) -> Given:
    """Begin a specification with the events that happened before."""
    return Given(aggregate_type, events)
