"""The aggregate service is the public API: a command in, an answer out.

    bakery = AggregateService(store, Frosting, handle, clock)
    bakery.send("ann", "frosting:1", MakeColor("purple"), request)

The handler is pure: it gets the state, the command and the request, and returns the events that fulfil the command, or
raises `Rejected`.
"""

from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from inspect import signature
from typing import Any, Generic, TypeVar

from eslab import display
from eslab.aggregate import Aggregate, address, serializer_of
from eslab.bounds import TimeBounds
from eslab.clock import Clock
from eslab.declared import annotation_of, defined_again, members
from eslab.errors import InvalidInput
from eslab.event import Command, Event, Rejected
from eslab.hydration_cache import HydrationCache
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
        cache: HydrationCache | None = None,
    ) -> None:
        """Check the aggregate type and the handler; `InvalidInput` says what is wrong with them."""
        serializer_of(aggregate_type)
        self._commands = _commands_of(handle)
        self.repository = Repository(store, clock, bounds, keys, cache=cache)
        self.aggregate_type = aggregate_type
        self.handle = handle

    def send(
        self, customer_id: str, aggregate_id: str, command: Command, request: Request
    ) -> Accepted[State] | Rejected:
        """Decide a command once; a repeat of the same request gets the recorded answer (G3).

        Costs one wait to hydrate, or two, and one append. A rejection writes nothing (G7), nor does a command that
        needs no event. Raises `OutOfTime`, `RequestConflict`, `Forgotten`, `OutcomeUnknown` and `StoreError`; after
        the last two, send the same request again.
        """
        self._check_class_of(command)
        work = self.repository.begin(customer_id, request, command)
        (state,) = work.load(address(self.aggregate_type, aggregate_id))
        if not work.recorded:
            try:
                events = events_from(self.handle, self.handle(state, command, request))
            except Rejected as rejected:
                return rejected
            work.add(state, *events)
            work.append()
        return Accepted(request, work.events(state), state, work.recorded)

    def load(self, customer_id: str, aggregate_id: str, as_of: datetime | None = None) -> State:
        """The state of one aggregate, now or as of a past moment."""
        _, key = address(self.aggregate_type, aggregate_id)
        return self.repository.load(customer_id, self.aggregate_type, key, as_of)

    def _check_class_of(self, command: Command) -> None:
        """Refuse a command whose class was defined again in a notebook: the handler would not know it."""
        if defined_again(type(command), self._commands):
            raise InvalidInput(
                f"Expected the class {type(command).__name__} that {_name(self.handle)} names, got one that was "
                "defined again. Run the cell that defines the handler again, then the one that makes this service."
            )


def events_from(handle: Handler[Any], answer: Any) -> Sequence[Event]:
    """The events that a handler returned; `InvalidInput` if it returned something else than a list of them."""
    if isinstance(answer, Sequence) and not isinstance(answer, str | bytes):
        return answer
    advice = "write `return [...]` with the events that it decided"
    if answer is None:
        advice = "write `return []` where no event is needed"
    elif isinstance(answer, Event):
        advice = f"write `return [{type(answer).__name__}(...)]`"
    elif isinstance(answer, Rejected):
        advice = "write `raise Rejected(...)`"
    elif isinstance(answer, Iterator):
        advice = "write `return [...]` instead of `yield`"
    elif isinstance(answer, Coroutine):
        answer.close()  # or Python warns that nobody waited for it
        advice = "write `def` instead of `async def`"
    raise InvalidInput(
        f"Expected a list of events from {_name(handle)}, got {answer!r}; {advice}. Nothing was written."
    )


def _commands_of(handle: Handler[Any]) -> list[type]:
    """The classes of commands in the handler's annotation, if there is one; `InvalidInput` if it can't be called."""
    if not callable(handle):
        raise InvalidInput(f"Expected a handler, a function of state, command and request; got {handle!r}.")
    try:
        bound = signature(handle).bind("state", "command", "request")
    except TypeError:
        raise InvalidInput(
            f"Expected a handler {_name(handle)}(state, command, request), got {_name(handle)}{signature(handle)}."
        ) from None
    named = next((name for name, value in bound.arguments.items() if value == "command"), "")
    try:
        return [member for member in members(annotation_of(handle, named)) if isinstance(member, type)]
    except (AttributeError, NameError, TypeError):  # a callable object or a local class: no annotation is needed
        return []


def _name(handle: Handler[Any]) -> str:
    return getattr(handle, "__name__", repr(handle))
