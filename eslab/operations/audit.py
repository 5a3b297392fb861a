"""Audit: finds rows that only a losing decision wrote, in the events and in read tables.

A request may have been decided twice: in two regions that were parted, or by two versions of the code. The decision
with the greatest digest wins in every aggregate that both touched (G1). In an aggregate that only the losing decision
touched, its row remains and takes part in the state: a stray. An audit writes nothing; only the domain knows how to
undo the events of a stray.

Only decisions of the same command compete. A client may have used one request id for two commands; where these touch no
aggregate in common, nobody can notice (docs/architecture.md), both were answered, and neither is a stray.

In a read table a losing decision may have a row under a key of its own, where the winner's row doesn't replace it.
`find_lost_rows` finds it; a rebuild of the table removes it.
"""

from collections import defaultdict
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from uuid import UUID

from eslab.aggregate import Address, Aggregate, address, aggregate_id, check_id, type_name
from eslab.event import Event
from eslab.read_table import ReadTable
from eslab.recorded import RecordedCommit, is_below, missing_in, parse, prove
from eslab.repository import Repository
from eslab.request import Request
from eslab.store import EventStore, ReadRow


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


def find_strays(repository: Repository, customer_id: str, aggregate_types: Iterable[type[Aggregate]]) -> list[Stray]:
    """The strays among a customer's aggregates of these types, in order of their requests.

    Name every type that the requests touched: a request is passed over while the winner's commits are not all seen.
    Commands are compared by the hash in their commits; it is keyed in an append that encrypted something, so decisions
    of which only one encrypted are not compared.
    Costs two waits for each type, and memory for all of the customer's rows. Undone strays are still found, since
    their rows remain. Raises `Unreadable` with the row that can't be trusted, and `Forgotten` for an encrypted stray
    of a customer who was forgotten.
    """
    check_id("customer id", customer_id)
    types = {type_name(cls): cls for cls in aggregate_types}
    decided: defaultdict[tuple[UUID, bytes], list[RecordedCommit]] = defaultdict(list)
    for name in types:
        for recorded in _recorded(repository.store, customer_id, name):
            decided[recorded.commit.event_time, recorded.envelope.command].append(recorded)
    for of_command in decided.values():
        _prove_all(customer_id, of_command)
    lost = [recorded for of_command in decided.values() for recorded in _lost(of_command)]
    strays = [_stray(repository, customer_id, types, recorded) for recorded in lost]
    return sorted(strays, key=lambda stray: (stray.request.id, stray.aggregate_id))


def find_lost_rows(repository: Repository, table: ReadTable, *keys: tuple[str, ...]) -> list[ReadRow]:
    """The rows of a read table, under full keys or key prefixes, whose commit is not the one in the events.

    Each wrongly counts in the answer of a query. Writes nothing. One wait for the rows, and one for each of them.
    """
    with closing(repository.store.read_rows(table.layout, keys)) as pages:
        return [row for row in chain.from_iterable(pages) if is_lost(repository.store, row)]


def is_lost(store: EventStore, row: ReadRow) -> bool:
    """Does a row of a read table hold a commit that is not the one in the events?"""
    id = row.commit.aggregate_id
    head = store.heads(row.customer_id, [id], row.commit.event_time)[id]
    if head.recorded is None:
        return not is_below(row.commit.event_time, head.floor)  # below the floor the events may be gone
    return head.recorded.payload != row.commit.payload


def _recorded(store: EventStore, customer_id: str, name: str) -> Generator[RecordedCommit, None, None]:
    """All commits of the customer's aggregates whose type has this name."""
    ids = store.heads_of_type(customer_id, f"{name}:")
    with closing(store.rows_many(customer_id, dict.fromkeys(ids))) as pages:
        for _, commits in pages:
            for commit in commits:
                yield parse(customer_id, commit)


def _prove_all(customer_id: str, recorded: Iterable[RecordedCommit]) -> None:
    """Prove by their digests the decisions whose commits are all seen; encrypted ones are bound to their row anyway."""
    decisions: defaultdict[bytes, list[RecordedCommit]] = defaultdict(list)
    for one in recorded:
        decisions[one.envelope.digest].append(one)
    for decision in decisions.values():
        prove(customer_id, decision)


def _lost(recorded: Sequence[RecordedCommit]) -> Sequence[RecordedCommit]:
    """The commits of a command's losing decisions; none while the winner's are not all seen.

    A commit of the winner that is still on its way may replace a losing row, which then is no stray.
    """
    winner = max(one.envelope.digest for one in recorded)
    won = [one for one in recorded if one.envelope.digest == winner]
    return [] if missing_in(won, {}) else [one for one in recorded if one.envelope.digest != winner]


def _stray(
    repository: Repository, customer_id: str, types: Mapping[str, type[Aggregate]], recorded: RecordedCommit
) -> Stray:
    id = recorded.commit.aggregate_id
    aggregate_type = types[id.partition(":")[0]]
    events = repository.hydrator(customer_id, {id: aggregate_type}).events_of(*recorded)
    return Stray(address(aggregate_type, id), Request.from_event_time(recorded.commit.event_time), events)
