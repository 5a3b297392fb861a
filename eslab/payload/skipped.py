"""A skipped row: its bytes are lost, and an operator chose to go on without its events (operations/restore.py).

A mark takes the place of the broken payload. It holds the broken bytes, the reason and the row's key, and whoever reads
the row meets it: the state says that it lacks a row, history and `eslab inspect` show it (G8).
"""

from uuid import UUID

import msgspec

from eslab.event import Event


class Skip(msgspec.Struct, frozen=True):
    """The mark of a skipped row."""

    customer_id: str
    aggregate_id: str
    event_time: UUID
    reason: str
    payload: bytes = b""  # the broken bytes, as they were found

    def __str__(self) -> str:
        return f"the row of {self.aggregate_id!r} at {self.event_time} was skipped: {self.reason}"


class Skipped(tuple[Event, ...]):
    """The events of a skipped row: none are known. It stands in a page where the events of a commit do."""

    mark: Skip

    def __new__(cls, mark: Skip) -> "Skipped":
        events = super().__new__(cls)
        events.mark = mark
        return events
