"""The domain that the simulator watches: a tally remembers which requests it counted, so that nothing hides in a sum.

It is a domain like any other: a command counts its request in one tally or several, as one unit of work, unless one of
them is full. An event says how full its tally was, so two decisions of one request differ if they saw other states.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from eslab.aggregate import Aggregate
from eslab.event import Command, Event
from eslab.hydration import Hydration
from eslab.repository import Repository
from eslab.request import Request
from eslab.unit_of_work import UnitOfWork


class Counted(Event):
    """A request was counted."""

    request: str
    place: int  # 1 for the first in its tally, as the decision saw it


class Count(Command):
    """Count this request in all of these tallies, unless one of them has counted so many."""

    keys: tuple[str, ...]
    limit: int


class Tally(Aggregate):
    """The places of each request; the right answer is one place, always."""

    places: dict[str, list[int]] = {}

    def apply(self, event: Counted) -> None:
        """Keep the place, in whatever order events come."""
        self.places[event.request] = sorted([*self.places.get(event.request, []), event.place])


@dataclass(frozen=True)
class Answer:
    """The places that a request got, by the keys of its tallies, or the rejection; and what the tallies hold now."""

    places: dict[str, int]
    tallies: dict[str, Tally]
    repeated: bool = False
    rejected: bool = False


class Tallies:
    """The service: one method, over as many tallies as the command names."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository

    def count(self, customer_id: str, command: Count, request: Request) -> Answer:
        """Count a request once; a repeat gets the recorded answer."""
        work = self.repository.begin(customer_id, request, command)
        tallies = work.load(*((Tally, key) for key in command.keys))
        if not work.recorded:
            if any(len(tally.places) >= command.limit for tally in tallies):
                return Answer({}, dict(zip(command.keys, tallies, strict=True)), rejected=True)
            for tally in tallies:
                work.add(tally, Counted(str(request.id), len(tally.places) + 1))
            work.append()
        return self._answer(work, command.keys, tallies)

    def recall(self, customer_id: str, command: Count, request: Request, keys: Sequence[str]) -> Answer:
        """Repeat a request with code that loads only some of the tallies; raises the errors of a unit of work."""
        work = self.repository.begin(customer_id, request, command)
        tallies = work.load(*((Tally, key) for key in keys))
        return self._answer(work, keys, tallies)

    def load(self, customer_id: str, keys: Sequence[str]) -> dict[str, Tally]:
        """What the tallies hold now."""
        return {key: self.repository.load(customer_id, Tally, key) for key in keys}

    def replayed(self, customer_id: str, key: str) -> Tally | None:
        """What all rows of a tally add up to, without a snapshot; None if some may be archived."""
        store, id = self.repository.store, f"tally:{key}"
        if store.heads(customer_id, [id])[id].highest_floor:
            return None
        hydrator = self.repository.hydrator(customer_id, {id: Tally})
        replay = Hydration(Tally())
        replay.apply([hydrator.events_of(commit) for commit in store.rows(customer_id, id)])
        return replay.state

    def compared(self, customer_id: str, key: str) -> tuple[Tally, Tally | None]:
        """What a tally holds now, and what its rows add up to."""
        return self.load(customer_id, [key])[key], self.replayed(customer_id, key)

    def _answer(self, work: UnitOfWork, keys: Sequence[str], tallies: Sequence[Tally]) -> Answer:
        loaded = dict(zip(keys, tallies, strict=True))
        events = {key: event for key, tally in loaded.items() for event in work.events(tally)}
        places = {key: event.place for key, event in events.items() if isinstance(event, Counted)}
        return Answer(places, loaded, work.recorded)
