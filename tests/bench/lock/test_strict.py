"""The strict log settles every write: applied, lost, or never happened; an event stands in its stream once."""

from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import pytest

from eslab import OutcomeUnknown, StoreUnavailable
from eslab.bench.lock.strict import TRIES, Place, Settled, Stream, StrictEvent, StrictLog

PLACE = Place("ann", "frosting:1")


@dataclass
class Partition:
    """A stream in memory, written under a condition. `faults` holds what happens to each write, one after the other.

    lose request    it never arrives
    lose reply      it is applied, and nobody is told
    leave pending   it is half done: the next settled read or the next write completes it
    surface late    the next write finds that it has just been applied
    """

    events: list[StrictEvent] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    pending: StrictEvent | None = None
    late: StrictEvent | None = None
    writes: int = 0

    def read(self, place: Place, settled: bool = False) -> Stream:
        if settled:
            self._complete()
        return Stream(len(self.events), list(self.events))

    def write(self, place: Place, event: StrictEvent) -> bool:
        self.writes += 1
        self._complete()
        if self.late:
            self._apply(self.late)
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "leave pending":
            self.pending = event
        elif fault == "surface late":
            self.late = event
        elif fault != "lose request":
            applied = self._apply(event)
            if not fault:
                return applied
        raise OutcomeUnknown("no answer")

    def _complete(self) -> None:
        if self.pending:
            self._apply(self.pending)
            self.pending = None

    def _apply(self, event: StrictEvent) -> bool:
        if event.version != len(self.events) + 1:
            return False
        self.events.append(event)
        return True

    @property
    def requests(self) -> list[UUID]:
        return [event.request_id for event in self.events]


def settle(table: Partition, request: UUID, again: bool = False) -> Settled:
    """Append an event that says how many its decision saw."""
    return StrictLog(table, pause=lambda tries: None).append(PLACE, request, seen, again)


def seen(stream: Stream) -> bytes:
    return str(stream.version).encode()


def test_events_take_the_versions_of_their_stream_in_turn() -> None:
    """Each one write, and each decided on all events before it."""
    table = Partition()
    ids = [uuid4() for _ in range(3)]
    assert [settle(table, id).version for id in ids] == [1, 2, 3]
    assert table.events == [StrictEvent(1, ids[0], b"0"), StrictEvent(2, ids[1], b"1"), StrictEvent(3, ids[2], b"2")]
    assert table.writes == 3


def test_a_repeat_is_answered_from_the_stream() -> None:
    """Nothing is written."""
    table = Partition()
    first, other = uuid4(), uuid4()
    settle(table, first)
    settle(table, other)
    assert settle(table, first) == Settled(version=1, repeated=True)
    assert table.requests == [first, other]
    assert table.writes == 2


def racing(table: Partition, rivals: list[UUID]) -> Callable[[Stream], bytes]:
    """A decision during which a rival writes, until there is none left."""

    def decide(stream: Stream) -> bytes:
        if rivals:
            settle(table, rivals.pop(0))
        return seen(stream)

    return decide


def test_a_lost_race_is_counted_once_and_decided_again() -> None:
    """On what the rival wrote."""
    table = Partition()
    own, rival = uuid4(), uuid4()
    log = StrictLog(table, pause=lambda tries: None)
    assert log.append(PLACE, own, racing(table, [rival])) == Settled(version=2, conflicts=1)
    assert table.events == [StrictEvent(1, rival, b"0"), StrictEvent(2, own, b"1")]


def test_a_race_lost_without_an_answer_is_a_conflict_too() -> None:
    """The reply that said so was lost; the stream shows it."""
    table = Partition(faults=["", "lose reply"])
    own, rival = uuid4(), uuid4()
    log = StrictLog(table, pause=lambda tries: None)
    assert log.append(PLACE, own, racing(table, [rival])) == Settled(version=2, conflicts=1, unknown=1)
    assert table.requests == [rival, own]


@pytest.mark.parametrize("fault", ["lose reply", "leave pending"])
def test_a_write_that_happened_unanswered_is_found_by_reading_again(fault: str) -> None:
    """One settled read shows it, and nothing is written a second time."""
    table = Partition(faults=[fault])
    request = uuid4()
    assert settle(table, request) == Settled(version=1, surfaced=True, unknown=1)
    assert table.requests == [request]
    assert table.writes == 1


def test_a_write_that_never_happened_is_written_again() -> None:
    """No other writer was there, so there was no conflict."""
    table = Partition(faults=["lose request"])
    request = uuid4()
    assert settle(table, request) == Settled(version=1, unknown=1)
    assert table.requests == [request]


def test_a_write_that_surfaces_after_it_was_looked_for_does_not_count_twice() -> None:
    """The second write is under the same condition, and finds the first one there."""
    table = Partition(faults=["surface late"])
    request = uuid4()
    assert settle(table, request) == Settled(version=1, surfaced=True, unknown=1)
    assert table.requests == [request]
    assert table.writes == 2


def test_a_request_that_was_sent_before_begins_with_a_settled_read() -> None:
    """Its first write may still be half done."""
    request = uuid4()
    table = Partition(pending=StrictEvent(1, request, b"0"))
    assert settle(table, request, again=True) == Settled(version=1, repeated=True)
    assert table.writes == 0


def test_a_table_that_cannot_be_read_leaves_the_outcome_to_the_client() -> None:
    """Who sends the same request again."""

    class CutOff(Partition):
        def read(self, place: Place, settled: bool = False) -> Stream:
            if settled:
                raise StoreUnavailable("cut off")
            return super().read(place)

    with pytest.raises(StoreUnavailable, match="cut off"):
        settle(CutOff(faults=["lose reply"]), uuid4())


def test_a_log_that_always_loses_gives_up() -> None:
    """With the number of its tries, and what became of them."""
    table = Partition(faults=["lose request"] * TRIES)
    with pytest.raises(OutcomeUnknown, match=f"in {TRIES} tries; lost 0, got no answer to {TRIES}. Send the same"):
        settle(table, uuid4())
