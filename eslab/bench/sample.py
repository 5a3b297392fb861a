"""The domain that the benchmarks store: portions of colour in a bowl of frosting, the smallest one with a state.

Request, time and colour follow from an event's number, so that every run, store and peer holds the same events, and
filling a store twice writes the same rows. `Sample` lets a hydration take another aggregate in its place.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from eslab import Aggregate, Command, Event, EventStore, Request
from eslab.aggregate import aggregate_id
from eslab.event import split_tag, tag_of
from eslab.payload.serializer import command_hash, encode_append
from eslab.store import Commit

CUSTOMER = "bench"
COLORS = ("red", "yellow", "blue", "white", "green")
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
BATCH = 400  # commits in one append while a store is filled: less than 128 KB, to keep the latency low on Cassandra


class ColorAdded(Event):
    """A portion of colour went into the bowl."""

    color: str


class AddColor(Command):
    """Put a portion of colour into the bowl."""

    color: str


class Frosting(Aggregate):
    """The portions of each colour in the bowl."""

    colors: dict[str, int] = {}

    def apply(self, event: ColorAdded) -> None:
        """Add the portion."""
        self.colors[event.color] = self.colors.get(event.color, 0) + 1


class LabelledColor(Event):
    """A portion of colour went into the bowl, out of a tube with a long label."""

    color: str
    label: str


class LabelledFrosting(Aggregate):
    """The portions of each colour in the bowl; events of any size add up to the same state."""

    stored_as = "labelled"
    colors: dict[str, int] = {}

    def apply(self, event: LabelledColor) -> None:
        """Add the portion."""
        self.colors[event.color] = self.colors.get(event.color, 0) + 1


def handle(frosting: Frosting, command: AddColor, request: Request) -> list[ColorAdded]:
    """Decide on one event for every command: the benchmarks measure the path of a request, not the rules."""
    return [ColorAdded(command.color)]


class Fill(Command):
    """Store the event of this number."""

    number: int


@dataclass(frozen=True)
class Sample:
    """An aggregate type, the event of each number, and the state after the first events, known without a store."""

    aggregate_type: type[Aggregate]
    event: Callable[[int], Event]
    state_after: Callable[[int], Aggregate]
    padding: int = 0  # characters in each event that its state doesn't need


def color(number: int) -> str:
    """The colour of the `number`th event."""
    return COLORS[number % len(COLORS)]


def state_after(events: int) -> dict[str, int]:
    """The state after the first `events` events, counted without eslab."""
    return dict(Counter(map(color, range(events))))


FROSTING = Sample(Frosting, lambda number: ColorAdded(color(number)), lambda events: Frosting(state_after(events)))


def padded(characters: int) -> Sample:
    """Frosting whose events carry so many characters more; plain frosting for none."""
    if not characters:
        return FROSTING
    label = "x" * characters
    return Sample(
        LabelledFrosting,
        lambda number: LabelledColor(color(number), label),
        lambda events: LabelledFrosting(state_after(events)),
        characters,
    )


def request(number: int) -> Request:
    """The request of the `number`th event; there is one request each second."""
    return Request.at(BEGAN + timedelta(seconds=number), f"event {number}")


def commit(key: str, number: int, request: Request, customer: str = CUSTOMER, sample: Sample = FROSTING) -> Commit:
    """The commit of the `number`th event, with its payload encoded."""
    id = aggregate_id((sample.aggregate_type, key))
    event = sample.event(number)
    payload = encode_append(customer, request.event_time, {id: [event]}, command_hash(Fill(number)))[id]
    return Commit(id, request.event_time, *split_tag(tag_of(type(event))), payload)


def fill(
    store: EventStore,
    key: str,
    events: int,
    begin: int = 0,
    customer: str = CUSTOMER,
    sample: Sample = FROSTING,
) -> None:
    """Write `events` events of one aggregate, from the one with number `begin` on, a commit each, in batches."""
    for start in range(begin, begin + events, BATCH):
        numbers = range(start, min(start + BATCH, begin + events))
        store.append(customer, [commit(key, number, request(number), customer, sample) for number in numbers])
