"""An event log that locks: every event has the next version of its stream, and a write with a stale one is refused.

A baseline of the benchmarks, to show what a lock costs. It is no store of eslab, and must not become one: a region that
can't reach the others can't write, or, if it locks by itself, loses what it acknowledged (`eslab bench lock`).

A conditional write has three ends: it was applied; it lost the race; or nobody knows, since the answer is missing. The
last two are settled alike: read the stream again, which also completes a round that was left half done, and look for
the request's own id. If it is there, the write had happened. If it isn't, decide again on what was read, and write that
under the condition of its version: of this write and an earlier one that surfaces late, only one can be applied.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import SystemRandom
from typing import NamedTuple, Protocol
from uuid import UUID

from eslab.errors import OutcomeUnknown

TRIES = 50
PAUSE = 0.02  # seconds before the second try; twice as long before each further one, with full jitter
LONGEST_PAUSE = 0.5
_random = SystemRandom()


class StrictEvent(NamedTuple):
    """An event at its place in a stream, with the request that it came from."""

    version: int  # 1 for the first event of a stream
    request_id: UUID
    payload: bytes


class Place(NamedTuple):
    """The key of a stream."""

    customer_id: str
    aggregate_id: str


class Stream(NamedTuple):
    """All events of an aggregate, and the version that the next writer must have seen."""

    version: int
    events: Sequence[StrictEvent]

    def version_of(self, request_id: UUID) -> int | None:
        """The version that a request's event has; None if the request has none."""
        return next((it.version for it in self.events if it.request_id == request_id), None)


class Table(Protocol):
    """Where streams are kept: one partition each, and one condition for each write."""

    def read(self, place: Place, settled: bool = False) -> Stream:
        """Read a stream. `settled` completes or ends every round that was left half done, which costs a round."""
        ...

    def write(self, place: Place, event: StrictEvent) -> bool:
        """Write an event if the stream is at the version before it; was it? `OutcomeUnknown` if there is no answer."""
        ...


Decide = Callable[[Stream], bytes]  # the payload of the event that a request adds to what it saw


@dataclass
class Settled:
    """How a request ended: its event stands once, at this version."""

    version: int = 0
    repeated: bool = False  # it stood there before anything was written
    surfaced: bool = False  # a write without an answer had happened
    conflicts: int = 0  # decisions that came too late
    unknown: int = 0  # writes without an answer


def back_off(tries: int) -> None:
    """Pause at random, longer after each try, so that writers who met don't meet again."""
    time.sleep(_random.uniform(0, min(LONGEST_PAUSE, PAUSE * 2**tries)))


class StrictLog:
    """Appends events one after the other; several writers on one stream wait for each other by trying again."""

    def __init__(self, table: Table, pause: Callable[[int], object] = back_off) -> None:
        """`pause` is called between two tries with the number of those that failed."""
        self.table = table
        self._pause = pause

    def append(self, place: Place, request_id: UUID, decide: Decide, again: bool = False) -> Settled:
        """Read, decide, write; again until the request's event stands in the stream once.

        `again` says that the request was sent before and never answered. Costs a read and a conditional write, and as
        much for each conflict. Raises `StoreUnavailable` if the table can't be read, also after a time-out, and
        `OutcomeUnknown` if every try lost: send the same request again.
        """
        settled = Settled()
        tried = 0
        for tries in range(TRIES):
            stream = self.table.read(place, settled=again or tries > 0)
            version = stream.version_of(request_id)
            if version:
                settled.version, settled.repeated, settled.surfaced = version, not tries, tries > 0
                return settled
            if tries and stream.version >= tried:
                settled.conflicts += 1
            tried = stream.version + 1
            if self._write(place, StrictEvent(tried, request_id, decide(stream)), settled):
                settled.version = tried
                return settled
            self._pause(tries + 1)
        raise OutcomeUnknown(
            f"Expected to write request {request_id} to {place.aggregate_id} of {place.customer_id} in {TRIES} tries; "
            f"lost {settled.conflicts}, got no answer to {settled.unknown}. Send the same request again."
        )

    def _write(self, place: Place, event: StrictEvent, settled: Settled) -> bool:
        """Was the event written? False if it was not, or if nobody knows."""
        try:
            return self.table.write(place, event)
        except OutcomeUnknown:
            settled.unknown += 1
            return False
