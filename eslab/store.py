"""What the core asks of a store, and the rows that they exchange.

A store keeps three tables, all partitioned by customer (docs/architecture.md): `events`, one row per commit;
`snapshots`; and `aggregates`, the directory. A new store is one class with these methods and a URL scheme;
it passes tests/stores/test_contract.py unchanged.

Beside them stand read tables: each holds commits once more, under the key that one query needs (eslab/read_table.py).

Orders are Cassandra's: aggregate ids by their UTF-8 bytes, event times as `eslab.request.sort_key` says.
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from enum import Enum
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from eslab.aggregate import check_id
from eslab.errors import InvalidInput, StoreUnavailable, Unreadable
from eslab.layout import Layout
from eslab.request import sort_key, time_of


class Consistency(Enum):
    """How far a read or write reaches before it counts as done; a store on one machine treats all alike."""

    LOCAL = "a majority of this region's replicas"
    QUORUM = "a majority of all replicas"
    EVERYWHERE = "a majority of the replicas of every region"


class Commit(NamedTuple):
    """What one request did to one aggregate: one row. Type and version are for people, the payload counts."""

    aggregate_id: str
    event_time: UUID
    event_type: str
    version: int
    payload: bytes


class StoredSnapshot(NamedTuple):
    """One row of snapshots: the state up to and including `up_to`, folded by version `fold` of the code."""

    up_to: UUID
    fold: int
    payload: bytes


class Head(NamedTuple):
    """What a store knows of one aggregate before its commits are read."""

    first: UUID | None  # when it began; None if it has no commit
    floor: UUID | None  # history at or below may be gone
    snapshots: Sequence[StoredSnapshot]  # newest first, then the greater fold
    recorded: Commit | None  # what the request asked about left here


class ReadRow(NamedTuple):
    """One row of a read table: a commit, under the values of the partition's and the clustering columns."""

    layout: Layout
    key: tuple[str, ...]
    customer_id: str
    commit: Commit

    @property
    def place(self) -> tuple[str, ...]:
        """The values of the key before aggregate and event time."""
        return self.key if self.layout.with_customer else (*self.key, self.customer_id)

    @classmethod
    def of(cls, layout: Layout, values: Sequence[Any]) -> "ReadRow":
        """The row that holds these values in the columns of the layout."""
        key, commit = tuple(values[:-5]), Commit(*values[-5:])
        return cls(layout, key, key[0], commit) if layout.with_customer else cls(layout, key[:-1], key[-1], commit)


class EventStore(Protocol):
    """Holds commits, snapshots and the directory; safe to share between threads. A store inherits from this.

    Every method raises a `StoreError` if the store can't do it, and then has changed nothing.
    """

    def append(
        self,
        customer_id: str,
        commits: Sequence[Commit],
        consistency: Consistency = Consistency.LOCAL,
        read_rows: Sequence[ReadRow] = (),
    ) -> None:
        """Write all commits, their directory entries and these rows of the customer, or none: one atomic write.

        A commit whose key exists already is kept if its payload is the greater one in bytes, so appending
        the same again changes nothing and rows may arrive in any order (G1). The same holds for a read row.
        """
        ...

    def heads(
        self,
        customer_id: str,
        aggregate_ids: Sequence[str],
        event_time: UUID | None = None,
        consistency: Consistency = Consistency.LOCAL,
    ) -> dict[str, Head]:
        """Directory entry, snapshots and the commit at `event_time` of each aggregate: one wait."""
        ...

    def heads_of_type(
        self, customer_id: str, prefix: str, consistency: Consistency = Consistency.LOCAL
    ) -> dict[str, Head]:
        """The heads of the customer's aggregates whose ids start with `prefix`, in order: one wait."""
        ...

    def read_many(
        self,
        customer_id: str,
        after: Mapping[str, UUID | None],
        up_to: UUID | None = None,
        consistency: Consistency = Consistency.LOCAL,
    ) -> Generator[tuple[str, Sequence[bytes]], None, None]:
        """Payloads of each aggregate in order, `after` exclusive, `up_to` inclusive, a page at a time.

        One wait for all first pages; memory holds a page or two. Pages of different aggregates may mix.
        """
        ...

    def rows_many(
        self,
        customer_id: str,
        after: Mapping[str, UUID | None],
        up_to: UUID | None = None,
        consistency: Consistency = Consistency.LOCAL,
    ) -> Generator[tuple[str, Sequence[Commit]], None, None]:
        """The same commits with their keys, in as many waits: slower, for what is encrypted with its key (docs)."""
        ...

    def rows(
        self, customer_id: str, aggregate_id: str, after: UUID | None = None, up_to: UUID | None = None
    ) -> Generator[Commit, None, None]:
        """The commits of one aggregate with their keys: for people, and for naming a broken row."""
        with closing(self.rows_many(customer_id, {aggregate_id: after}, up_to)) as pages:
            for _, page in pages:
                yield from page

    def save_snapshot(self, customer_id: str, aggregate_id: str, snapshot: StoredSnapshot) -> None:
        """Write one snapshot, replacing the one of the same `up_to` and `fold`."""
        ...

    def delete_snapshot(self, customer_id: str, aggregate_id: str, up_to: UUID, fold: int) -> None:
        """Delete one snapshot that newer ones have made needless."""
        ...

    def delete_snapshots(
        self, customer_id: str, aggregate_id: str, since: UUID, consistency: Consistency = Consistency.LOCAL
    ) -> None:
        """Delete every snapshot whose `up_to` is `since` or later, of every fold."""
        ...

    def raise_floor(self, customer_id: str, aggregate_id: str, floor: UUID) -> None:
        """Move the floor up; a lower one than what stands there changes nothing."""
        ...

    def delete_events(self, customer_id: str, aggregate_id: str, up_to: UUID) -> None:
        """Delete commits up to and including `up_to`; the floor must stand there already (G6)."""
        ...

    def make_read_tables(self, layouts: Sequence[Layout]) -> None:
        """Get ready to use these read tables; the store makes those that are missing, where it may.

        Raises `StoreUnavailable` if one is missing and the store may not make it, `StoreError` if it has other columns.
        """
        ...

    def put_read_rows(self, rows: Sequence[ReadRow], consistency: Consistency = Consistency.LOCAL) -> None:
        """Write rows of any partitions; those of one partition of one table at once. Again changes nothing (G1)."""
        ...

    def read_rows(
        self, layout: Layout, keys: Sequence[tuple[str, ...]], consistency: Consistency = Consistency.LOCAL
    ) -> Generator[Sequence[ReadRow], None, None]:
        """The rows whose keys begin with one of `keys`, each a whole partition or less; a page at a time, in order.

        One wait for all first pages.
        """
        ...

    def empty_read_table(self, layout: Layout) -> None:
        """Delete all of its rows, so that it can be built anew."""
        ...

    def customers(self, after: str = "", consistency: Consistency = Consistency.LOCAL) -> Generator[str, None, None]:
        """All customers who have an aggregate, in an order that stays the same; those behind `after`."""
        ...

    def checkpoint(self, name: str) -> str:
        """How far a long piece of work has come, as `set_checkpoint` last kept it; empty if never."""
        ...

    def set_checkpoint(self, name: str, text: str) -> None:
        """Keep how far a long piece of work has come."""
        ...

    def close(self) -> None:
        """Let go of everything; closing twice is fine, using it afterwards raises `StoreClosed`."""
        ...


def check_append(customer_id: str, commits: Sequence[Commit], read_rows: Sequence[ReadRow] = ()) -> None:
    """Refuse an append with an id that no store can keep, or a row of another partition, before anything is written."""
    check_id("customer id", customer_id)
    for commit in commits:
        check_id("aggregate id", commit.aggregate_id)
    check_read_rows(read_rows)
    for row in read_rows:
        if not row.layout.with_customer or row.place[0] != customer_id:
            raise InvalidInput(
                f"Expected read rows in the partition of customer {customer_id!r}, got one of {row.layout.name} at "
                f"{row.key}; write it with put_read_rows after the append."
            )


def check_read_rows(rows: Sequence[ReadRow]) -> None:
    """Refuse rows with a key that no store can keep, or that doesn't fit its layout."""
    for row in rows:
        expected = len(row.layout.partition) + len(row.layout.clustering)
        if len(row.key) != expected:
            raise InvalidInput(f"Expected {expected} values for a key of {row.layout}, got {row.key}.")
        for value in (*row.place, row.commit.aggregate_id):
            check_id(f"key of {row.layout.name}", value)


def no_read_table(layout: Layout, store: object) -> StoreUnavailable:
    """The error of who uses a read table that isn't there."""
    return StoreUnavailable(
        f"{store} has no read table {layout.name}. A repository or service that is given the read table makes it in a "
        "file or a lab's keyspace; in another keyspace run: eslab schema apply"
    )


def check_floor(floor: UUID | None, up_to: UUID, place: str) -> None:
    """Refuse to delete events above the floor: a reader that saw no floor would miss them silently (G6)."""
    if floor is None or sort_key(floor) < sort_key(up_to):
        raise InvalidInput(
            f"Expected the floor of {place} at {up_to} or above before its events are deleted, "
            f"found {floor}; raise the floor first."
        )


def place(customer_id: str, aggregate_id: str) -> str:
    """Where something stands, for messages."""
    return f"customer {customer_id!r}, aggregate {aggregate_id!r}"


def unreadable(customer_id: str, commit: Commit, error: Unreadable) -> Unreadable:
    """`error` with the row it stands in (G8)."""
    return Unreadable(
        f"Unreadable commit: {place(customer_id, commit.aggregate_id)}, event time {commit.event_time} "
        f"({time_of(commit.event_time).isoformat()}), type {commit.event_type}, version {commit.version}: {error}."
    )
