"""The event store as the core sees it: the protocol that every store keeps, and the rows that they exchange.

A store keeps three tables, all partitioned by customer (docs/architecture.md): `events`, one row per commit;
`snapshots`; and `aggregates`, the directory. Beside them it keeps read tables: each holds commits a second time, under
the key that one query needs (eslab/read_table.py).

A new store is one class with these methods and a URL scheme; it passes tests/stores/test_contract.py and
tests/stores/test_read_tables.py unchanged.

Orders are Cassandra's: aggregate ids by their UTF-8 bytes, event times as `eslab.request.sort_key` says.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from enum import Enum
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from eslab.errors import Unreadable
from eslab.layout import OF_A_COMMIT, Layout
from eslab.request import latest_of, time_of

FEW_SNAPSHOTS = 3  # as many as are kept of a fold by default: so most often these are all there are


class Consistency(Enum):
    """How many replicas must answer before a read or write is done; a store on one machine treats all levels alike."""

    LOCAL = "a majority of the replicas in this region"
    QUORUM = "a majority of all replicas"
    EVERYWHERE = "a majority of the replicas in every region"
    ALL = "all replicas"  # only for `eslab repair`, which makes them equal


class Commit(NamedTuple):
    """One row: what one request did to one aggregate. The payload is the authority; type and version are for people."""

    aggregate_id: str
    event_time: UUID
    event_type: str
    version: int
    payload: bytes


class LateCommits(NamedTuple):
    """The mark of the commits that were made safe, since snapshots may have missed them (G5).

    A snapshot that reaches to `since` or beyond holds them all only if it was built after `until`.
    """

    since: UUID  # the earliest of them
    until: datetime  # when the last of them was in every region, at the latest


class StoredSnapshot(NamedTuple):
    """One row of snapshots: the state up to and including `up_to`, folded by version `fold` of the code."""

    up_to: UUID
    fold: int
    payload: bytes


class Head(NamedTuple):
    """What a store knows of one aggregate before its commits are read."""

    first: UUID | None = None  # the event time of its first commit; None if it has none
    floor: UUID | None = None  # history at or below may be gone
    snapshots: Sequence[StoredSnapshot] = ()  # newest first, then by greater fold
    recorded: Commit | None = None  # the commit of the request that was asked about
    safe: bool = False  # was `recorded` made safe by a late append or repeat?
    intended: UUID | None = None  # the floor that somebody is about to raise
    late: LateCommits | None = None  # None if no commit was ever made safe
    older: bool = False  # are there snapshots behind these, which were not read?

    @property
    def highest_floor(self) -> UUID | None:
        """The floor, or the intended one if that is higher: no commit may be written at or below it."""
        return latest_of(self.floor, self.intended)

    def shortened(self) -> "Head":
        """The same with no more than the newest few snapshots."""
        return self._replace(snapshots=self.snapshots[:FEW_SNAPSHOTS], older=len(self.snapshots) > FEW_SNAPSHOTS)


class Log(NamedTuple):
    """What one read gives of one aggregate: its head, and the first of its commits after the base that was named."""

    head: Head
    payloads: Sequence[bytes] = ()  # of these commits
    last: UUID | None = None  # the event time of the last of them
    more: bool = False  # do other commits follow?
    commits: Callable[[], Sequence[Commit]] = list  # the same commits as rows: whoever needs no keys needn't make them


class ReadRow(NamedTuple):
    """One row of a read table: a commit, and the values of the layout's key before aggregate id and event time."""

    layout: Layout
    key: tuple[str, ...]
    commit: Commit

    @classmethod
    def of(cls, layout: Layout, values: Sequence[Any]) -> "ReadRow":
        """The row with these values in the columns of the layout."""
        length = len(OF_A_COMMIT)
        return cls(layout, tuple(values[:-length]), Commit(*values[-length:]))

    @property
    def customer_id(self) -> str:
        """The customer of the commit, first or last in every key."""
        return self.key[0] if self.layout.with_customer else self.key[-1]

    @property
    def partition(self) -> tuple[str, ...]:
        """The values of the key that choose the partition."""
        return self.key[: len(self.layout.partition)]


class EventStore(Protocol):
    """Holds commits, snapshots, the directory and read tables; safe to share between threads.

    A store inherits from this. A method that fails raises a `StoreError` and has changed nothing, or, where nobody can
    know, `OutcomeUnknown`. All writes are idempotent. "One wait" means that all statements are sent before the first
    answer is waited for.
    """

    lifetime: int = 0  # days that a commit is kept, counted from its request; 0 is for ever

    def append(
        self,
        customer_id: str,
        commits: Sequence[Commit],
        consistency: Consistency = Consistency.LOCAL,
        read_rows: Sequence[ReadRow] = (),
    ) -> None:
        """Write commits, their directory entries and read rows of one customer atomically: all of them or none.

        Of two commits with one key, the one with the greater payload in bytes stays, and so for read rows. So appending
        the same again changes nothing, and commits may arrive in any order (G1).

        One wait, one batch. Raises `InvalidInput` for an id that no store can keep and for a read row outside the
        customer's partition.
        """
        ...

    def replace(self, customer_id: str, commit: Commit, damaged: bytes) -> bool:
        """Write a commit over a row whose payload is still `damaged` or no bytes at all; was it written?

        For operations that restore a row. Unlike an append it wins against a greater payload. On Cassandra it is
        stamped with the row's own write time plus one, and waits EVERYWHERE. Changes nothing if there is no row, or if
        it holds other bytes by now. Two waits.
        """
        ...

    def read(
        self,
        customer_id: str,
        after: Mapping[str, UUID | None],
        event_time: UUID | None = None,
        up_to: UUID | None = None,
        consistency: Consistency = Consistency.LOCAL,
        all_snapshots: bool = False,
    ) -> dict[str, Log]:
        """Read the heads of several aggregates, and of each its first commits later than `after`, up to `up_to`.

        A head need not have more than the newest `FEW_SNAPSHOTS` that are not later than `up_to`; `older` says whether
        others follow them. With `all_snapshots` it has all, later ones too.

        One wait, and on Cassandra three statements while all of `after` are equal. In a head, `recorded` is the commit
        at `event_time`; it is never older than the commits beside it. If they end before `event_time`, it may be left
        out: ask again when all that follow have been read. An aggregate that does not exist has an empty log.
        """
        ...

    def heads(
        self,
        customer_id: str,
        aggregate_ids: Sequence[str],
        event_time: UUID | None = None,
        consistency: Consistency = Consistency.LOCAL,
    ) -> dict[str, Head]:
        """Read directory entry, snapshots and the commit at `event_time` of several aggregates.

        One wait, and on Cassandra three statements, however many aggregates are asked for. An aggregate that does not
        exist has a head of empty fields.
        """
        ...

    def heads_of_type(
        self, customer_id: str, prefix: str, consistency: Consistency = Consistency.LOCAL
    ) -> dict[str, Head]:
        """Read the heads of all aggregates of the customer whose ids start with `prefix`, in the order of their ids.

        One wait. Lists aggregates with a commit or a floor; no head has `recorded`.
        """
        ...

    def ids_of_commits(self, customer_id: str, consistency: Consistency = Consistency.LOCAL) -> list[str]:
        """List the ids of all aggregates that have a commit, in order, whatever the directory says.

        For operations: on Cassandra it reads through all of the customer's commits.
        """
        ...

    def read_many(
        self,
        customer_id: str,
        after: Mapping[str, UUID | None],
        up_to: UUID | None = None,
        consistency: Consistency = Consistency.LOCAL,
    ) -> Generator[tuple[str, Sequence[bytes]], None, None]:
        """Read the payloads of several aggregates, later than `after` and up to and including `up_to`, page by page.

        The pages of one aggregate come in order; pages of different aggregates may mix. One wait for all first pages;
        a further page is fetched while the one before it is used, so memory holds a page or two.
        """
        ...

    def rows_many(
        self,
        customer_id: str,
        after: Mapping[str, UUID | None],
        up_to: UUID | None = None,
        consistency: Consistency = Consistency.LOCAL,
    ) -> Generator[tuple[str, Sequence[Commit]], None, None]:
        """Read the same commits with all their columns, in as many waits as `read_many`.

        Slower, and needed only where the payload is bound to its key: encrypted commits (docs/encryption.md).
        """
        ...

    def rows(
        self, customer_id: str, aggregate_id: str, after: UUID | None = None, up_to: UUID | None = None
    ) -> Generator[Commit, None, None]:
        """Read the commits of one aggregate in order: for people, and to name a broken row."""
        with closing(self.rows_many(customer_id, {aggregate_id: after}, up_to)) as pages:
            for _, page in pages:
                yield from page

    def save_snapshot(
        self, customer_id: str, aggregate_id: str, snapshot: StoredSnapshot, written_at: datetime
    ) -> None:
        """Write one snapshot EVERYWHERE; of several with one `up_to` and `fold` the last stays, by `written_at`."""
        ...

    def delete_snapshot(
        self, customer_id: str, aggregate_id: str, up_to: UUID, fold: int, written_at: datetime
    ) -> None:
        """Delete one snapshot EVERYWHERE, unless it was saved later than `written_at`."""
        ...

    def mark(
        self,
        customer_id: str,
        aggregate_id: str,
        *,
        floor: UUID | None = None,
        intended: UUID | None = None,
        late: LateCommits | None = None,
    ) -> None:
        """Raise marks in the directory EVERYWHERE; what is None stays.

        The highest floor stays, and so the highest intended one, the earliest `late.since` and the latest `late.until`.
        One wait.
        """
        ...

    def note_safe(self, customer_id: str, commits: Sequence[Commit], safe_at: datetime) -> None:
        """Note EVERYWHERE that these commits, which are stored, were made safe. One wait."""
        ...

    def delete_events(self, customer_id: str, aggregate_id: str, up_to: UUID) -> None:
        """Delete commits up to and including `up_to` EVERYWHERE; the floor must have been raised that far before (G6).

        A commit that arrives later is deleted only if it is not younger than `up_to`. Raises `InvalidInput` for a lower
        floor. Two waits.
        """
        ...

    def time(self) -> datetime | None:
        """The time on the clock of the store's machine; None for a store that is on this one."""
        ...

    def missing_read_tables(self, layouts: Sequence[Layout]) -> list[Layout]:
        """The read tables that don't exist; raises `StoreError` for one with other columns. Writes nothing."""
        ...

    def make_read_tables(self, layouts: Sequence[Layout]) -> list[Layout]:
        """Check that these read tables exist, and make the missing ones where the store may. Idempotent.

        Returns those that were missing. Raises `StoreUnavailable` for a missing table that the store may not make,
        `StoreError` for other columns.
        """
        ...

    def put_read_rows(self, rows: Sequence[ReadRow], consistency: Consistency = Consistency.LOCAL) -> None:
        """Write rows of any partitions, those of one partition of one table in one batch. Idempotent (G1).

        Not atomic across partitions: if it fails, some batches may have been written. Write the same rows again.
        """
        ...

    def read_rows(
        self, layout: Layout, keys: Sequence[tuple[str, ...]], consistency: Consistency = Consistency.LOCAL
    ) -> Generator[Sequence[ReadRow], None, None]:
        """Read the rows under full keys or key prefixes, each at least a whole partition's key, page by page.

        Rows come key by key as they are asked for, and under one key in the order of the table. One wait for the first
        pages of all keys. Raises `InvalidInput` for a key that is too short or too long.
        """
        ...

    def empty_read_table(self, layout: Layout) -> None:
        """Delete all rows of a read table, so that it can be rebuilt; rows written afterwards are kept, however old."""
        ...

    def customers(self, after: str = "", consistency: Consistency = Consistency.LOCAL) -> Generator[str, None, None]:
        """List all customers who have an aggregate, in a stable order, starting after `after`."""
        ...

    def checkpoint(self, name: str, consistency: Consistency = Consistency.QUORUM) -> str:
        """Read a text that processes share, such as how far a long operation has come; empty if there is none."""
        ...

    def set_checkpoint(self, name: str, text: str) -> None:
        """Keep the checkpoint of a long operation, so that it can resume."""
        ...

    def swap_checkpoint(self, name: str, before: str, after: str, consistency: Consistency = Consistency.QUORUM) -> str:
        """Keep a checkpoint if what is kept still is `before`, empty for none; return what is kept then.

        Atomic: of several processes that do this at once one succeeds, and the others are told its text. So repeating
        it changes nothing. On Cassandra a conditional write: don't mix it with `set_checkpoint` under one name. Raises
        `StoreReadOnly` where nothing may be written.
        """
        ...

    def close(self) -> None:
        """Release all connections; closing twice is fine, and any other call afterwards raises `StoreClosed`."""
        ...


def place(customer_id: str, aggregate_id: str) -> str:
    """A customer and an aggregate, as messages name them."""
    return f"customer {customer_id!r}, aggregate {aggregate_id!r}"


def unreadable(customer_id: str, commit: Commit, error: Unreadable) -> Unreadable:
    """The same error, with the row in which the bytes are (G8)."""
    return Unreadable(
        f"Unreadable commit: {place(customer_id, commit.aggregate_id)}, event time {commit.event_time} "
        f"({time_of(commit.event_time).isoformat()}), type {commit.event_type}, version {commit.version}: {error}.",
        customer_id=customer_id,
        aggregate_id=commit.aggregate_id,
        event_time=commit.event_time,
    )
