"""The store in memory, for unit tests and first steps: everything is lost when the process ends."""

from bisect import bisect_right, insort
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from threading import RLock
from uuid import UUID

from eslab.errors import InvalidInput
from eslab.layout import Layout, check_prefix
from eslab.request import sort_key
from eslab.store import (
    Commit,
    Consistency,
    EventStore,
    Head,
    ReadRow,
    StoredSnapshot,
    check_append,
    check_floor,
    check_read_rows,
    closed,
    no_read_table,
)

PAGE = 1000  # commits in a page
# A read table: its rows by partition, and there by the bytes of the whole key, which sort as Cassandra does.
Table = dict[tuple[str, ...], dict[tuple[bytes, ...], ReadRow]]


@dataclass
class _Log:
    """One aggregate: its commits by sort key, these keys in order, its snapshots and its directory entry."""

    commits: dict[bytes, Commit] = field(default_factory=dict)
    keys: list[bytes] = field(default_factory=list)
    snapshots: dict[tuple[bytes, int], StoredSnapshot] = field(default_factory=dict)
    first: UUID | None = None
    floor: UUID | None = None

    def put(self, commit: Commit) -> None:
        key = sort_key(commit.event_time)
        stored = self.commits.get(key)
        if stored is None:
            insort(self.keys, key)
        if stored is None or commit.payload > stored.payload:
            self.commits[key] = commit
        if self.first is None or key < sort_key(self.first):
            self.first = commit.event_time

    def head(self, event_time: UUID | None) -> Head:
        newest_first = [self.snapshots[key] for key in sorted(self.snapshots, reverse=True)]
        recorded = self.commits.get(sort_key(event_time)) if event_time else None
        return Head(self.first, self.floor, newest_first, recorded)

    def between(self, after: UUID | None, up_to: UUID | None) -> list[Commit]:
        start = bisect_right(self.keys, sort_key(after)) if after else 0
        stop = bisect_right(self.keys, sort_key(up_to)) if up_to else len(self.keys)
        return [self.commits[key] for key in self.keys[start:stop]]


class MemoryStore(EventStore):
    """An `EventStore` in dictionaries, behind one lock.

    Readers are given lists made under the lock, so a reader that pauses holds up nobody.
    """

    def __init__(self) -> None:
        self._logs: dict[str, dict[str, _Log]] = {}  # by customer and aggregate
        self._tables: dict[str, Table] = {}  # by name
        self._checkpoints: dict[str, str] = {}
        self._lock = RLock()
        self._closed = False

    @classmethod
    def open(cls, url: str) -> "MemoryStore":
        """Make a new, empty store; two stores share nothing."""
        if url != "memory:":
            raise InvalidInput(f"Expected memory: and nothing after it, got {url!r}.")
        return cls()

    def append(
        self,
        customer_id: str,
        commits: Sequence[Commit],
        consistency: Consistency = Consistency.LOCAL,
        read_rows: Sequence[ReadRow] = (),
    ) -> None:
        check_append(customer_id, commits, read_rows)
        with self._open():
            for row in read_rows:
                self._table(row.layout)  # raises if it doesn't exist, before anything is written
            for commit in commits:
                self._log(customer_id, commit.aggregate_id).put(commit)
            self._put(read_rows)

    def replace(self, customer_id: str, commit: Commit, damaged: bytes) -> bool:
        with self._open():
            commits = self._logs.get(customer_id, {}).get(commit.aggregate_id, _Log()).commits
            key = sort_key(commit.event_time)
            stored = commits.get(key)
            if stored is None or (isinstance(stored.payload, bytes) and stored.payload != damaged):
                return False
            commits[key] = commit
            return True

    def heads(
        self,
        customer_id: str,
        aggregate_ids: Sequence[str],
        event_time: UUID | None = None,
        consistency: Consistency = Consistency.LOCAL,
    ) -> dict[str, Head]:
        with self._open():
            logs = self._logs.get(customer_id, {})
            return {id: logs.get(id, _Log()).head(event_time) for id in aggregate_ids}

    def heads_of_type(
        self, customer_id: str, prefix: str, consistency: Consistency = Consistency.LOCAL
    ) -> dict[str, Head]:
        with self._open():
            known = [id for id in self._logs.get(customer_id, {}) if id.startswith(prefix)]
            heads = self.heads(customer_id, sorted(known, key=str.encode))
            # A log that has only snapshots has no entry in the directory.
            return {id: head for id, head in heads.items() if head.first or head.floor}

    def read_many(
        self,
        customer_id: str,
        after: Mapping[str, UUID | None],
        up_to: UUID | None = None,
        consistency: Consistency = Consistency.LOCAL,
    ) -> Generator[tuple[str, Sequence[bytes]], None, None]:
        for id, page in self.rows_many(customer_id, after, up_to, consistency):
            yield id, [commit.payload for commit in page]

    def rows_many(
        self,
        customer_id: str,
        after: Mapping[str, UUID | None],
        up_to: UUID | None = None,
        consistency: Consistency = Consistency.LOCAL,
    ) -> Generator[tuple[str, Sequence[Commit]], None, None]:
        for id, start in after.items():
            with self._open():
                commits = self._logs.get(customer_id, {}).get(id, _Log()).between(start, up_to)
            for begin in range(0, len(commits), PAGE):
                yield id, commits[begin : begin + PAGE]

    def save_snapshot(self, customer_id: str, aggregate_id: str, snapshot: StoredSnapshot) -> None:
        with self._open():
            key = sort_key(snapshot.up_to), snapshot.fold
            self._log(customer_id, aggregate_id).snapshots[key] = snapshot

    def delete_snapshot(self, customer_id: str, aggregate_id: str, up_to: UUID, fold: int) -> None:
        with self._open():
            self._log(customer_id, aggregate_id).snapshots.pop((sort_key(up_to), fold), None)

    def delete_snapshots(
        self, customer_id: str, aggregate_id: str, since: UUID, consistency: Consistency = Consistency.LOCAL
    ) -> None:
        with self._open():
            log = self._log(customer_id, aggregate_id)
            log.snapshots = {key: kept for key, kept in log.snapshots.items() if key[0] < sort_key(since)}

    def raise_floor(self, customer_id: str, aggregate_id: str, floor: UUID) -> None:
        with self._open():
            log = self._log(customer_id, aggregate_id)
            log.floor = max(log.floor or floor, floor, key=sort_key)

    def delete_events(self, customer_id: str, aggregate_id: str, up_to: UUID) -> None:
        with self._open():
            log = self._log(customer_id, aggregate_id)
            check_floor(log.floor, up_to, customer_id, aggregate_id)
            stop = bisect_right(log.keys, sort_key(up_to))
            for key in log.keys[:stop]:
                del log.commits[key]
            del log.keys[:stop]

    def make_read_tables(self, layouts: Sequence[Layout]) -> None:
        with self._open():
            for layout in layouts:
                self._tables.setdefault(layout.name, {})

    def put_read_rows(self, rows: Sequence[ReadRow], consistency: Consistency = Consistency.LOCAL) -> None:
        check_read_rows(rows)
        with self._open():
            self._put(rows)

    def read_rows(
        self, layout: Layout, keys: Sequence[tuple[str, ...]], consistency: Consistency = Consistency.LOCAL
    ) -> Generator[Sequence[ReadRow], None, None]:
        for key in keys:
            check_prefix(layout, key)
            with self._open():
                partition = self._table(layout).get(key[: len(layout.partition)], {})
                begin = tuple(map(str.encode, key))
                rows = [partition[whole] for whole in sorted(partition) if whole[: len(key)] == begin]
            for start in range(0, len(rows), PAGE):
                yield rows[start : start + PAGE]

    def empty_read_table(self, layout: Layout) -> None:
        with self._open():
            self._table(layout).clear()

    def customers(self, after: str = "", consistency: Consistency = Consistency.LOCAL) -> Generator[str, None, None]:
        with self._open():
            later = [customer for customer in self._logs if customer.encode() > after.encode()]
        yield from sorted(later, key=str.encode)

    def checkpoint(self, name: str) -> str:
        with self._open():
            return self._checkpoints.get(name, "")

    def set_checkpoint(self, name: str, text: str) -> None:
        with self._open():
            self._checkpoints[name] = text

    def close(self) -> None:
        self._closed = True

    def _log(self, customer_id: str, aggregate_id: str) -> _Log:
        return self._logs.setdefault(customer_id, {}).setdefault(aggregate_id, _Log())

    def _put(self, rows: Sequence[ReadRow]) -> None:
        for row in rows:
            partition = self._table(row.layout).setdefault(row.partition, {})
            key = *map(str.encode, (*row.key, row.commit.aggregate_id)), sort_key(row.commit.event_time)
            if key not in partition or row.commit.payload > partition[key].commit.payload:
                partition[key] = row

    def _table(self, layout: Layout) -> Table:
        if layout.name not in self._tables:
            raise no_read_table(layout, "memory:")
        return self._tables[layout.name]

    def _open(self) -> RLock:
        if self._closed:
            raise closed("memory:")
        return self._lock
