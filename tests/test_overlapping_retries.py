"""A retry that overlaps its first delivery is answered as that is, and never decided on its own commit (G3)."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import Any

import pytest

from eslab import Accepted, AggregateService, Command, EventStore, ManualClock, Rejected, Request
from tests.conftest import REAL, alone
from tests.support.between import Between
from tests.support.sample import MINUTE, START, Counted, Counter, at, fill

PAGES = 2500  # so many commits need several pages


class Fill(Command):
    """Count one more, of at most so many."""

    limit: int


def fill_up(counter: Counter, command: Fill, request: Request) -> Sequence[Counted]:
    """Reject what exceeds the limit of the command."""
    if counter.total >= command.limit:
        raise Rejected("limit", "it is full", limit=command.limit, count=counter.total)
    return [Counted("tea")]


def filling(store: Any, clock: ManualClock) -> AggregateService[Counter]:
    """A service of counters that can be full."""
    return AggregateService(store, Counter, fill_up, clock)


@alone
@pytest.mark.parametrize(
    ("number", "when", "name"),
    [
        (0, "before", "read"),
        (0, "after", "read"),
        (PAGES, "before", "read"),
        (PAGES, "after", "read"),
        (PAGES, "before", "heads"),
    ],
)
def test_G3_an_overlapping_retry_is_answered_as_its_first_delivery(
    store: EventStore, clock: ManualClock, number: int, when: str, name: str
) -> None:
    """The request fills the counter to its limit; whenever the other delivery comes, neither is rejected for itself."""
    fill(store, number)
    clock.now = START + number * MINUTE
    other, request, command = filling(store, clock), at(number), Fill(number + 1)
    deliveries: list[Any] = []
    hooked = Between(store, when, name, lambda: deliveries.append(other.send("ann", "counter:1", command, request)))
    deliveries.append(filling(hooked, clock).send("ann", "counter:1", command, request))
    assert hooked.ran
    state = other.load("ann", "counter:1")
    assert state.total == number + 1
    assert [(type(it), it.events, it.state) for it in deliveries] == [(Accepted, [Counted("tea")], state)] * 2


@pytest.mark.parametrize(
    ("open_new", "rounds"),
    [
        ("memory", 1500),
        ("sqlite", 1500),
        pytest.param("cassandra", 150, marks=REAL),
        pytest.param("sqlite", 10_000, marks=pytest.mark.full),
        pytest.param("cassandra", 10_000, marks=(*REAL, pytest.mark.full)),
    ],
    indirect=["open_new"],
)
def test_G3_overlapping_retries_of_two_threads_are_answered_alike(
    store: EventStore, clock: ManualClock, rounds: int
) -> None:
    """Each request fills its counter to the limit, and is delivered twice at the same moment."""
    services, together = [filling(store, clock) for _ in range(2)], Barrier(2)

    def deliver(service: AggregateService[Counter], number: int) -> Any:
        bowl, portion = divmod(number, 12)
        together.wait()
        return service.send("ann", f"counter:{bowl}", Fill(portion + 1), at(key=str(number)))

    with ThreadPoolExecutor(2) as threads:
        for number in range(rounds):
            one, other = threads.map(partial(deliver, number=number), services)
            state = services[0].load("ann", f"counter:{number // 12}")
            assert [(type(it), it.events, it.state) for it in (one, other)] == [
                (Accepted, [Counted("tea")], state)
            ] * 2, f"request {number}"
