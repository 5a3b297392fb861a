"""The aggregate service is the public API: a command in, an answer out.

    bakery = AggregateService(store, Frosting, handle, clock)
    bakery.send("ann", "frosting:1", MakeColor("purple"), request)

The handler is pure: it gets the state, the command and the request, and returns the events that fulfil the command, or
raises `Rejected`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from reprlib import repr as short
from typing import Any, Generic, TypeVar

from eslab import display
from eslab.aggregate import Aggregate, address, type_name
from eslab.bounds import TimeBounds
from eslab.clock import Clock
from eslab.errors import InvalidInput
from eslab.event import Command, Event, Rejected
from eslab.payload.encryption import KeyProvider
from eslab.repository import Repository
from eslab.request import Request
from eslab.store import EventStore

State = TypeVar("State", bound=Aggregate)
Handler = Callable[[State, Any, Request], Sequence[Event]]


@dataclass(frozen=True)
class Accepted(Generic[State]):
    """The command is fulfilled: its events, and the state that the next hydration will show."""

    request: Request
    events: Sequence[Event]  # empty when nothing was needed
    state: State
    repeated: bool  # True if the request had been decided before; nothing was written now

    def __repr__(self) -> str:
        how = "Accepted before" if self.repeated else "Accepted"
        return f"{how}: {', '.join(map(repr, self.events)) or 'no event was needed'}; now {self.state!r}"

    def _repr_html_(self) -> str:
        rows = {"events": self.events or "none was needed", "state": self.state, "request": self.request.id}
        return display.table("Accepted before" if self.repeated else "Accepted", rows, mark="✓")


class AggregateService(Generic[State]):
    """Decides commands for aggregates of one type; safe to share between threads, since it has no state."""

    def __init__(
        self,
        store: EventStore,
        aggregate_type: type[State],
        handle: Handler[State],
        clock: Clock,
        bounds: TimeBounds | None = None,
        keys: KeyProvider | None = None,
    ) -> None:
        self.repository = Repository(store, clock, bounds, keys)
        type_name(aggregate_type)  # refuses what is no class of aggregates
        if not callable(handle):
            raise InvalidInput(f"Expected a function as handle, got {short(handle)}.")
        self.aggregate_type = aggregate_type
        self.handle = handle

    def send(
        self, customer_id: str, aggregate_id: str, command: Command, request: Request
    ) -> Accepted[State] | Rejected:
        """Decide a command once; a repeat of the same request gets the recorded answer (G3).

        Costs two waits to hydrate and one append. A rejection writes nothing (G7), nor does a command that needs no
        event. Raises `OutOfTime`, `RequestConflict`, `Forgotten`, `OutcomeUnknown` and `StoreError`; after the last
        two, send the same request again.
        """
        work = self.repository.begin(customer_id, request, command)
        (state,) = work.load(address(self.aggregate_type, aggregate_id))
        if not work.recorded:
            try:
                events = self.handle(state, command, request)
            except Rejected as rejected:
                return rejected
            work.add(state, *events)
            work.append()
        return Accepted(request, work.events(state), state, work.recorded)

    def load(self, customer_id: str, aggregate_id: str, as_of: datetime | None = None) -> State:
        """The state of one aggregate, now or as of a past moment."""
        _, key = address(self.aggregate_type, aggregate_id)
        return self.repository.load(customer_id, self.aggregate_type, key, as_of)
