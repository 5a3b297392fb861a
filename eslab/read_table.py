"""A read table: commits stored again under the key that one query needs, so that the query is one read without joins.

    OF_DEVICE = ReadTable(
        Layout("licences_by_device", partition=("customer_id",), clustering=("device",)),
        {License: lambda customer, key, events: [(customer, key.partition("/")[0])]},
    )
    repository = Repository(store, clock, read_tables=[OF_DEVICE])
    licences = repository.read(OF_DEVICE, ("ann", "phone"))

A row holds the whole payload of one commit and is never updated; the query folds rows with the aggregate's own
`apply`. So late and concurrent commits give the same answer as hydration (G4); of two decisions of a request the same
one wins here (G1); a damaged row is named (G8); old versions are read (G9); encrypted events stay encrypted.

Rows in the customer's partition are part of the append. Other rows are written right after it, and again when the
request is repeated; `eslab read-tables catch-up` writes the rows that a crash left out (operations/rebuild.py).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from eslab.aggregate import Aggregate, address, type_name
from eslab.declared import defined_again
from eslab.errors import Forgotten, InvalidInput, Unreadable
from eslab.event import Event
from eslab.hydration import Environment, Hydration, Hydrator, cipher_of_types
from eslab.layout import Layout, check_layout
from eslab.payload.encryption import NO_CIPHER, KeyProvider, RowCipher
from eslab.request import Request
from eslab.store import Commit, EventStore, ReadRow, place

# Two of the names under which a store keeps checkpoints.
LATE = "late appends"
COMPLETE = "complete {}"  # of one table
Keys = Callable[[str, str, Sequence[Event]], Iterable[tuple[str, ...]]]


class Found(NamedTuple):
    """One aggregate in the answer of a query: the state that its rows add up to."""

    customer_id: str
    key: str
    state: Any


@dataclass(frozen=True)
class ReadTable:
    """A layout, and the key of each commit of some aggregate types in it.

    `keys` maps a type to a function of the customer's id, the aggregate's key and the commit's events. It returns the
    values of the partition's and the clustering columns, a tuple for each row. They must follow from these arguments
    alone (G4). In a customer's partition they should follow from the first two, so that a request that was decided
    twice has one row.
    """

    layout: Layout
    keys: Mapping[type[Aggregate], Keys]

    def __post_init__(self) -> None:
        check_layout(self.layout)

    def rows(
        self, customer_id: str, aggregate_type: type[Aggregate], commit: Commit, events: Sequence[Event]
    ) -> list[ReadRow]:
        """The rows of one commit with these events; none for a type that isn't in this table."""
        if aggregate_type not in self.keys:
            self._check_not_defined_again(aggregate_type)
            return []
        _, key = address(aggregate_type, commit.aggregate_id)
        try:
            keys = dict.fromkeys(self.keys[aggregate_type](customer_id, key, events))  # without repetitions
        except Exception as error:
            raise self._refused(f"got {error!r}", customer_id, commit) from error
        for values in keys:
            if not isinstance(values, tuple) or (self.layout.with_customer and values[:1] != (customer_id,)):
                raise self._refused(f"as tuples in this customer's partition, got {values!r}", customer_id, commit)
        return [ReadRow(self.layout, self.layout.row_key(customer_id, values), commit) for values in keys]

    def _refused(self, found: str, customer_id: str, commit: Commit) -> InvalidInput:
        return InvalidInput(
            f"Expected keys for the read table {self.layout.name}, {found}: "
            f"{place(customer_id, commit.aggregate_id)}, event time {commit.event_time}. Correct the table's "
            "definition. This row was not written.",
            customer_id=customer_id,
            aggregate_id=commit.aggregate_id,
            event_time=commit.event_time,
        )

    def _check_not_defined_again(self, aggregate_type: type[Aggregate]) -> None:
        """Refuse a class of which the table knows an earlier definition: its rows would be left out."""
        if defined_again(aggregate_type, self.keys):
            raise InvalidInput(
                f"Expected the class {aggregate_type.__name__} that the read table {self.layout.name} names, got one "
                "that was defined again. Run the cell that defines the table again, then the one of the repository."
            )


def rows_in(
    tables: Iterable[ReadTable],
    customer_id: str,
    types: Mapping[str, type[Aggregate]],
    commits: Iterable[Commit],
    events: Mapping[str, Sequence[Event]],
) -> list[ReadRow]:
    """The rows of commits in all tables; types and events are by aggregate id."""
    return [
        row
        for commit in commits
        for table in tables
        for row in table.rows(customer_id, types[commit.aggregate_id], commit, events[commit.aggregate_id])
    ]


def note_late(store: EventStore, request: Request) -> None:
    """Note that commits of a request were appended later after their check than a catch-up expects.

    The next catch-up then reads from the time of the earliest such request. The note is never taken back: whoever has
    handled it remembers its text, which is another one for every request.
    """
    noted = late_since(store.checkpoint(LATE))
    earliest = min(noted, request.time) if noted else request.time
    store.set_checkpoint(LATE, f"{earliest.isoformat()} {request.id}")


def note_complete(store: EventStore, layout: Layout, now: datetime) -> None:
    """Note that a table is complete up to a moment, in the form of a walk's checkpoint (eslab/operations/walk.py)."""
    store.set_checkpoint(COMPLETE.format(layout.name), msgspec.json.encode({"complete": now}).decode())


def late_since(note: str) -> datetime | None:
    """The time of the earliest request in a note of late appends; None if there is none."""
    try:
        return datetime.fromisoformat(note.split(" ")[0]) if note else None
    except (ValueError, TypeError) as error:
        raise Unreadable(f"Unreadable row in checkpoints: {LATE!r}: {error}. Delete the row, then rebuild.") from None


def query(environment: Environment, table: ReadTable, prefixes: Sequence[tuple[str, ...]]) -> list[Found]:
    """Fold the rows under full keys or key prefixes; see `Repository.read`."""
    types = {type_name(cls): cls for cls in table.keys}
    states = []
    ciphers: dict[str, RowCipher | None] = {}
    for (customer_id, id), commits in _commits_in(environment.store, table, prefixes).items():
        aggregate_type = _type_in(table, types, id)
        if customer_id not in ciphers:
            ciphers[customer_id] = _cipher(environment.keys, customer_id, types.values())
        cipher = ciphers[customer_id] if aggregate_type.encrypted else NO_CIPHER
        if cipher is None:
            continue
        hydration = Hydration(aggregate_type())
        hydrator = Hydrator(environment, customer_id, {id: aggregate_type}, cipher)
        hydration.apply(hydrator.decode_rows(id, list(commits.values())))
        states.append(Found(customer_id, address(aggregate_type, id)[1], hydration.state))
    return states


def _commits_in(
    store: EventStore, table: ReadTable, prefixes: Sequence[tuple[str, ...]]
) -> dict[tuple[str, str], dict[UUID, Commit]]:
    """The commits of each customer and aggregate, by event time, in the order of the table."""
    logs: dict[tuple[str, str], dict[UUID, Commit]] = {}
    with closing(store.read_rows(table.layout, prefixes)) as pages:
        for row in chain.from_iterable(pages):
            commits = logs.setdefault((row.customer_id, row.commit.aggregate_id), {})
            known = commits.get(row.commit.event_time)
            # Under two of the keys it is still one commit, and of two decisions the greater one.
            if known is None or row.commit.payload > known.payload:
                commits[row.commit.event_time] = row.commit
    return logs


def _type_in(table: ReadTable, types: Mapping[str, type[Aggregate]], id: str) -> type[Aggregate]:
    name = id.partition(":")[0]
    if name not in types:
        raise InvalidInput(
            f"Expected {', '.join(types)} in the read table {table.layout.name}, found {id!r}: the table's definition "
            "no longer names that type. Rebuild the table, or name the type."
        )
    return types[name]


def _cipher(keys: KeyProvider | None, customer_id: str, types: Iterable[type[Aggregate]]) -> RowCipher | None:
    """The customer's cipher, or None if the customer was forgotten."""
    try:
        return cipher_of_types(keys, customer_id, types)
    except Forgotten:
        return None
