"""A process in which four threads at a time first use the same new types; it crashed inside msgspec 0.22.

python -m tests.support.first_use 20        so many rounds, each with types of its own
"""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import msgspec

from eslab import Aggregate, AggregateService, Command, Event, ManualClock, open_store
from eslab.payload.decoding import built, decoder
from tests.support.sample import START, at

THREADS = 4


def new_types() -> tuple[Any, Callable[..., Any], Any]:
    """An aggregate, its handler and its command, with a nested type that all of them share."""

    class Place(msgspec.Struct, frozen=True):
        row: int = 0
        names: dict[str, list[int]] = {}

    class Moved(Event):
        to: Place
        later: list[Place] | None = None

    class Move(Command):
        to: Place

    class Shelf(Aggregate):
        last: Place | None = None

        def apply(self, event: Moved) -> None:
            self.last = event.to

    return Shelf, lambda state, command, request: [Moved(command.to, [command.to])], Move


def first_use(number: int) -> None:
    """Every thread makes a service, sends, loads, and converts, all at the same moment."""
    store, clock = open_store("memory:"), ManualClock(START)
    aggregate_type, handle, command_type = new_types()
    place_type: Any = command_type.__annotations__["to"]
    barrier = Barrier(THREADS)

    def run(thread: int) -> None:
        barrier.wait()
        decoder(command_type)
        service = AggregateService(store, aggregate_type, handle, clock)
        service.send(f"ann{thread}", "shelf:1", command_type(place_type(thread)), at(0, f"{number}/{thread}"))
        assert service.load(f"ann{thread}", "shelf:1").last == place_type(thread)
        msgspec.convert({"row": 1}, built(place_type))

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(run, range(THREADS)))


if __name__ == "__main__":
    sys.setswitchinterval(1e-6)
    for number in range(int(sys.argv[1])):
        first_use(number)
