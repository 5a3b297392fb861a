"""The store in memory, for unit tests and first steps: everything is lost when the process ends."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from eslab.errors import InvalidInput
from eslab.layout import Layout, check_prefix
from eslab.request import is_after, latest_of, sort_key
from eslab.store import Commit, Consistency, EventStore, Head, LateCommits, Log, ReadRow, StoredSnapshot
from eslab.stores.errors import closed, no_read_table
from eslab.stores.locks import alone, new_lock
from eslab.writable import check_append, check_floor, check_read_rows

T = TypeVar("T")
PAGE = 1000  # commits in a page
# A read table: its rows by partition, and there by the bytes of the whole key, which sort as Cassandra does.
Table = dict[tuple[str, ...], dict[tuple[bytes, ...], ReadRow]]


@dataclass
class _Log:
    """One aggregate: its commits by sort key, these keys in order, its snapshots and its directory entry."""

    commits: dict[bytes, Commit] = field(default_factory=dict)
    keys: list[bytes] = field(default_factory=list)
    snapshots: dict[tuple[bytes, int], tuple[datetime, StoredSnapshot]] = field(default_factory=dict)  # when written
    safe: set[bytes] = field(default_factory=set)
    first: UUID | None = None
    floor: UUID | None = None
    intended: UUID | None = None
    late: LateCommits | None = None

    def put(self, commit: Commit) -> None:
        key = sort_key(commit.event_time)
        stored = self.commits.get(key)
        if stored is None or commit.payload > stored.payload:
            self.commits[key] = commit
        # Look among the keys, not among the commits: an interrupt may have come between the two.
        index = bisect_left(self.keys, key)
        if index == len(self.keys) or self.keys[index] != key:
            self.keys.insert(index, key)
        if index == 0 and (self.first is None or key < sort_key(self.first)):
            self.first = commit.event_time

    def head(self, event_time: UUID | None) -> Head:
        newest_first = [self.snapshots[key][1] for key in sorted(self.snapshots, reverse=True)]
        key = sort_key(event_time) if event_time else b""
        recorded = self.commits.get(key)
        safe = recorded is not None and key in self.safe
        return Head(self.first, self.floor, newest_first, recorded, safe, self.intended, self.late)

    def page(self, after: UUID | None, up_to: UUID | None, most: int, head: Head) -> Log:
        found = self.between(after, up_to, most + 1)
        commits = found[:most]
        last = commits[-1].event_time if commits else None
        return Log(head, [it.payload for it in commits], last, len(found) > most, lambda: commits)

    def short_head(self, event_time: UUID | None, up_to: UUID | None) -> Head:
        head = self.head(event_time)
        early = [it for it in head.snapshots if not (up_to and is_after(it.up_to, up_to))]
        return head._replace(snapshots=early).shortened()

    def delete(self, up_to: UUID) -> None:
        stop = bisect_right(self.keys, sort_key(up_to))
        for key in self.keys[:stop]:
            self.commits.pop(key, None)
            self.safe.discard(key)
        del self.keys[:stop]

    def save(self, snapshot: StoredSnapshot, written_at: datetime) -> None:
        key = sort_key(snapshot.up_to), snapshot.fold
        stored = self.snapshots.get(key)
        if stored is None or (written_at, snapshot.payload) > (stored[0], stored[1].payload):
            self.snapshots[key] = written_at, snapshot

    def delete_snapshot(self, up_to: UUID, fold: int, written_at: datetime) -> None:
        key = sort_key(up_to), fold
        if key in self.snapshots and self.snapshots[key][0] <= written_at:
            self.snapshots.pop(key, None)

    def mark(self, floor: UUID | None, intended: UUID | None, late: LateCommits | None) -> None:
        self.floor = latest_of(self.floor, floor)
        self.intended = latest_of(self.intended, intended)
        self.late = _with_late(self.late, late)

    def between(self, after: UUID | None, up_to: UUID | None, most: int | None = None) -> list[Commit]:
        start = bisect_right(self.keys, sort_key(after)) if after else 0
        stop = bisect_right(self.keys, sort_key(up_to)) if up_to else len(self.keys)
        return [self.commits[key] for key in self.keys[start:stop][:most]]


class MemoryStore(EventStore):
    """An `EventStore` in dictionaries, behind one lock.

    Readers are given lists made under the lock, so a reader that pauses holds up nobody.
    """

    def __init__(self, page: int = PAGE) -> None:
        """`page` is the number of commits or read rows that are given at once."""
        self._page = page
        self._logs: dict[str, dict[str, _Log]] = {}  # by customer and aggregate
        self._tables: dict[str, Table] = {}  # by name
        self._checkpoints: dict[str, str] = {}
        self._lock = new_lock()
        self._closed = False

    def __repr__(self) -> str:
        return "memory:"

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

        def write() -> None:
            for commit in commits:
                self._log(customer_id, commit.aggregate_id).put(commit)
            self._put(read_rows)

        self._write(write, [row.layout for row in read_rows])

    def replace(self, customer_id: str, commit: Commit, damaged: bytes) -> bool:
        replaced: list[Commit] = []

        def write() -> None:
            commits = self._logs.get(customer_id, {}).get(commit.aggregate_id, _Log()).commits
            key = sort_key(commit.event_time)
            stored = commits.get(key)
            if stored and (stored.payload == damaged or not isinstance(stored.payload, bytes)):
                commits[key] = commit
                replaced.append(commit)

        self._write(write)
        return bool(replaced)

    def read(
        self,
        customer_id: str,
        after: Mapping[str, UUID | None],
        event_time: UUID | None = None,
        up_to: UUID | None = None,
        consistency: Consistency = Consistency.LOCAL,
        all_snapshots: bool = False,
    ) -> dict[str, Log]:
        def page(log: _Log, start: UUID | None) -> Log:
            head = log.head(event_time) if all_snapshots else log.short_head(event_time, up_to)
            return log.page(start, up_to, self._page, head)

        def read() -> dict[str, Log]:
            logs = self._logs.get(customer_id, {})
            return {id: page(logs.get(id) or _Log(), start) for id, start in after.items()}

        return self._read(read)

    def heads(
        self,
        customer_id: str,
        aggregate_ids: Sequence[str],
        event_time: UUID | None = None,
        consistency: Consistency = Consistency.LOCAL,
    ) -> dict[str, Head]:
        def read() -> dict[str, Head]:
            logs = self._logs.get(customer_id, {})
            return {id: (logs.get(id) or _Log()).head(event_time) for id in aggregate_ids}

        return self._read(read)

    def heads_of_type(
        self, customer_id: str, prefix: str, consistency: Consistency = Consistency.LOCAL
    ) -> dict[str, Head]:
        known = self._read(lambda: [id for id in self._logs.get(customer_id, {}) if id.startswith(prefix)])
        heads = self.heads(customer_id, sorted(known, key=str.encode))
        # A log that has only snapshots has no entry in the directory.
        return {id: head for id, head in heads.items() if head.first or head.floor}

    def ids_of_commits(self, customer_id: str, consistency: Consistency = Consistency.LOCAL) -> list[str]:
        known = self._read(lambda: [id for id, log in self._logs.get(customer_id, {}).items() if log.commits])
        return sorted(known, key=str.encode)

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
            commits = self._between(customer_id, id, start, up_to)
            for begin in range(0, len(commits), self._page):
                yield id, commits[begin : begin + self._page]

    def save_snapshot(
        self, customer_id: str, aggregate_id: str, snapshot: StoredSnapshot, written_at: datetime
    ) -> None:
        self._write(lambda: self._log(customer_id, aggregate_id).save(snapshot, written_at))

    def delete_snapshot(
        self, customer_id: str, aggregate_id: str, up_to: UUID, fold: int, written_at: datetime
    ) -> None:
        self._write(lambda: self._log(customer_id, aggregate_id).delete_snapshot(up_to, fold, written_at))

    def mark(
        self,
        customer_id: str,
        aggregate_id: str,
        *,
        floor: UUID | None = None,
        intended: UUID | None = None,
        late: LateCommits | None = None,
    ) -> None:
        self._write(lambda: self._log(customer_id, aggregate_id).mark(floor, intended, late))

    def note_safe(self, customer_id: str, commits: Sequence[Commit], safe_at: datetime) -> None:
        def note() -> None:
            for commit in commits:
                self._log(customer_id, commit.aggregate_id).safe.add(sort_key(commit.event_time))

        self._write(note)

    def delete_events(self, customer_id: str, aggregate_id: str, up_to: UUID) -> None:
        def delete() -> None:
            log = self._log(customer_id, aggregate_id)
            check_floor(log.floor, up_to, customer_id, aggregate_id)
            log.delete(up_to)

        self._write(delete)

    def time(self) -> None:
        return None

    def missing_read_tables(self, layouts: Sequence[Layout]) -> list[Layout]:
        return self._read(lambda: [layout for layout in layouts if layout.name not in self._tables])

    def make_read_tables(self, layouts: Sequence[Layout]) -> list[Layout]:
        missing = self.missing_read_tables(layouts)

        def make() -> None:
            for layout in missing:
                self._tables.setdefault(layout.name, {})

        self._write(make)
        return missing

    def put_read_rows(self, rows: Sequence[ReadRow], consistency: Consistency = Consistency.LOCAL) -> None:
        check_read_rows(rows)
        self._write(lambda: self._put(rows), [row.layout for row in rows])

    def read_rows(
        self, layout: Layout, keys: Sequence[tuple[str, ...]], consistency: Consistency = Consistency.LOCAL
    ) -> Generator[Sequence[ReadRow], None, None]:
        for key in keys:
            check_prefix(layout, key)
            rows = self._under(layout, key)
            for start in range(0, len(rows), self._page):
                yield rows[start : start + self._page]

    def empty_read_table(self, layout: Layout) -> None:
        self._write(lambda: self._table(layout).clear())

    def customers(self, after: str = "", consistency: Consistency = Consistency.LOCAL) -> Generator[str, None, None]:
        later = self._read(lambda: [customer for customer in self._logs if customer.encode() > after.encode()])
        yield from sorted(later, key=str.encode)

    def checkpoint(self, name: str, consistency: Consistency = Consistency.QUORUM) -> str:
        return self._read(lambda: self._checkpoints.get(name, ""))

    def set_checkpoint(self, name: str, text: str) -> None:
        self._write(lambda: self._checkpoints.update({name: text}))

    def swap_checkpoint(self, name: str, before: str, after: str, consistency: Consistency = Consistency.QUORUM) -> str:
        found: list[str] = []

        def swap() -> None:
            if self._checkpoints.get(name, "") == before:
                self._checkpoints[name] = after
            found.append(self._checkpoints.get(name, ""))

        self._write(swap)
        return found[-1]

    def close(self) -> None:
        self._closed = True

    def _log(self, customer_id: str, aggregate_id: str) -> _Log:
        logs = self._logs.setdefault(customer_id, {})
        return logs.get(aggregate_id) or logs.setdefault(aggregate_id, _Log())

    def _between(self, customer_id: str, aggregate_id: str, after: UUID | None, up_to: UUID | None) -> list[Commit]:
        return self._read(lambda: self._logs.get(customer_id, {}).get(aggregate_id, _Log()).between(after, up_to))

    def _under(self, layout: Layout, key: tuple[str, ...]) -> list[ReadRow]:
        begin = tuple(map(str.encode, key))

        def read() -> list[ReadRow]:
            partition = self._table(layout).get(key[: len(layout.partition)], {})
            return [partition[whole] for whole in sorted(partition) if whole[: len(key)] == begin]

        return self._read(read)

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

    def _read(self, work: Callable[[], T]) -> T:
        return alone(self._lock, lambda: self._open(work))

    def _write(self, work: Callable[[], object], layouts: Iterable[Layout] = ()) -> None:
        """Do an idempotent write into these read tables, all of it or nothing, whatever interrupts it."""

        def write() -> None:
            for layout in layouts:
                self._table(layout)  # raises if it doesn't exist, before anything is written
            try:
                work()
            except BaseException:
                work()  # once more, and to its end
                raise

        alone(self._lock, lambda: self._open(write))

    def _open(self, work: Callable[[], T]) -> T:
        if self._closed:
            raise closed("memory:")
        return work()


def _with_late(known: LateCommits | None, new: LateCommits | None) -> LateCommits | None:
    """The mark of late commits after it was raised: the earliest `since` and the latest `until`."""
    if known is None or new is None:
        return known or new
    return LateCommits(min(known.since, new.since, key=sort_key), max(known.until, new.until))
