"""Audit: finds rows that only a losing decision wrote.

A request may have been decided twice: in two regions that were parted, or by two versions of the code. The decision
with the greatest digest wins in every aggregate that both touched (G1). In an aggregate that only the losing decision
touched, its row remains and takes part in the state: a stray. An audit writes nothing; only the domain knows how to
undo the events of a stray.
"""

from collections import defaultdict
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from eslab.aggregate import Address, Aggregate, address, aggregate_id, type_name
from eslab.errors import Unreadable
from eslab.event import Event
from eslab.payload.serializer import decode_envelope
from eslab.repository import Repository
from eslab.request import Request
from eslab.store import Commit, EventStore, unreadable


@dataclass(frozen=True)
class Stray:
    """A row that only the losing decision of a request wrote."""

    address: Address
    request: Request
    events: Sequence[Event]

    @property
    def aggregate_id(self) -> str:
        """The stored id of the aggregate that the row belongs to."""
        return aggregate_id(self.address)


class _Row(NamedTuple):
    """A commit, the decision that wrote it, and the number of commits that this decision announces."""

    address: Address
    commit: Commit
    digest: bytes
    announced: int


def find_strays(repository: Repository, customer_id: str, aggregate_types: Iterable[type[Aggregate]]) -> list[Stray]:
    """The strays among a customer's aggregates of these types, in order of their requests.

    Name every type that the requests touched: a request is passed over while the winner's commits are not all seen.
    Costs two waits for each type, and memory for all of the customer's rows. Undone strays are still found, since
    their rows remain. Raises `Unreadable` with the row that can't be trusted, and `Forgotten` for an encrypted stray
    of a customer who was forgotten.
    """
    rows_of: defaultdict[UUID, list[_Row]] = defaultdict(list)
    for aggregate_type in aggregate_types:
        for row in _rows(repository.store, customer_id, aggregate_type):
            rows_of[row.commit.event_time].append(row)
    lost = [row for rows in rows_of.values() for row in _lost(rows)]
    strays = [_stray(repository, customer_id, row) for row in lost]
    return sorted(strays, key=lambda stray: (stray.request.id, stray.aggregate_id))


def _rows(store: EventStore, customer_id: str, aggregate_type: type[Aggregate]) -> Generator[_Row, None, None]:
    ids = store.heads_of_type(customer_id, f"{type_name(aggregate_type)}:")
    with closing(store.rows_many(customer_id, dict.fromkeys(ids))) as pages:
        for id, commits in pages:
            for commit in commits:
                yield _row(customer_id, address(aggregate_type, id), commit)


def _row(customer_id: str, where: Address, commit: Commit) -> _Row:
    try:
        envelope = decode_envelope(commit.payload)
    except Unreadable as error:
        raise unreadable(customer_id, commit, error) from error
    return _Row(where, commit, envelope.digest, envelope.commits)


def _lost(rows: Sequence[_Row]) -> Sequence[_Row]:
    """The rows of a request's losing decisions; none while the winner's are not all seen.

    A commit of the winner that is still on its way may replace a losing row, which then is no stray.
    """
    winner = max(rows, key=lambda row: row.digest)
    lost = [row for row in rows if row.digest != winner.digest]
    return lost if len(rows) - len(lost) == winner.announced else []


def _stray(repository: Repository, customer_id: str, row: _Row) -> Stray:
    aggregate_type, _ = row.address
    cipher = repository.cipher(customer_id, [aggregate_type])
    events = repository.events_of(customer_id, aggregate_type, row.commit, cipher)
    return Stray(row.address, Request.from_event_time(row.commit.event_time), events)
