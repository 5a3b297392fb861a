"""The store that keeps everything in memory: for unit tests and first steps; what was acknowledged dies with it."""

from bisect import bisect_right, insort
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from threading import RLock
from uuid import UUID

from eslab.errors import InvalidInput, StoreClosed
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
    no_read_table,
    place,
)

PAGE = 1000  # commits in a page


@dataclass
class _Log:
    """One aggregate: its commits by sort key, the keys in order, its snapshots, its directory entry."""

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
    """An `EventStore` in dictionaries, behind one lock."""

    def __init__(self) -> None:
        self._logs: dict[str, dict[str, _Log]] = {}  # by customer and aggregate
        self._tables: dict[str, dict[tuple[str, ...], dict[tuple[bytes, ...], ReadRow]]] = {}  # by partition and key
        self._checkpoints: dict[str, str] = {}
        self._lock = RLock()
        self._closed = False

    @classmethod
    def open(cls, url: str) -> "MemoryStore":
        """A new empty store; each `memory:` is its own."""
        if url != "memory:":
            raise InvalidInput(f"Expected memory: with nothing behind it, got {url!r}.")
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
                self._table(row.layout)  # says so if it isn't there, before anything is written
            for commit in commits:
                self._log(customer_id, commit.aggregate_id).put(commit)
            self.put_read_rows(read_rows)

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
            log.snapshots = {key: s for key, s in log.snapshots.items() if key[0] < sort_key(since)}

    def raise_floor(self, customer_id: str, aggregate_id: str, floor: UUID) -> None:
        with self._open():
            log = self._log(customer_id, aggregate_id)
            log.floor = max(log.floor or floor, floor, key=sort_key)

    def delete_events(self, customer_id: str, aggregate_id: str, up_to: UUID) -> None:
        with self._open():
            log = self._log(customer_id, aggregate_id)
            check_floor(log.floor, up_to, place(customer_id, aggregate_id))
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
            for row in rows:
                partition = self._table(row.layout).setdefault(row.key[: len(row.layout.partition)], {})
                key = *map(str.encode, (*row.place, row.commit.aggregate_id)), sort_key(row.commit.event_time)
                if key not in partition or row.commit.payload > partition[key].commit.payload:
                    partition[key] = row

    def read_rows(
        self, layout: Layout, keys: Sequence[tuple[str, ...]], consistency: Consistency = Consistency.LOCAL
    ) -> Generator[Sequence[ReadRow], None, None]:
        for key in keys:
            check_prefix(layout, key)
            with self._open():
                partition = self._table(layout).get(key[: len(layout.partition)], {})
                begin = tuple(map(str.encode, key))
                rows = [partition[place] for place in sorted(partition) if place[: len(key)] == begin]
            for start in range(0, len(rows), PAGE):
                yield rows[start : start + PAGE]

    def empty_read_table(self, layout: Layout) -> None:
        with self._open():
            self._table(layout).clear()

    def customers(self, after: str = "", consistency: Consistency = Consistency.LOCAL) -> Generator[str, None, None]:
        with self._open():
            behind = [customer for customer in self._logs if customer.encode() > after.encode()]
        yield from sorted(behind, key=str.encode)

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

    def _table(self, layout: Layout) -> dict[tuple[str, ...], dict[tuple[bytes, ...], ReadRow]]:
        if layout.name not in self._tables:
            raise no_read_table(layout, "memory:")
        return self._tables[layout.name]

    def _open(self) -> RLock:
        if self._closed:
            raise StoreClosed("Expected an open store, but memory: was closed; open it anew.")
        return self._lock
