"""Compares the read tables with a customer's commits: rows that are missing, and rows that no commit explains."""

from collections.abc import Sequence
from contextlib import closing
from functools import partial
from itertools import chain
from uuid import UUID

from eslab.display import quantity
from eslab.errors import InvalidInput
from eslab.event import Event
from eslab.hydration import Hydrator
from eslab.operations.audit import is_lost
from eslab.operations.findings import Finding, contradiction, moment
from eslab.payload.skipped import Skipped
from eslab.read_table import rows_in
from eslab.repository import Repository
from eslab.store import Commit, Consistency, ReadRow, place
from eslab.writable import check_read_rows

BATCH = 1000  # rows that are looked up or written together
Prefix = tuple[str, tuple[str, ...]]  # a table's name and what its rows are read by
Place = tuple[str, tuple[str, ...], str, UUID]  # a row: its table, key, aggregate and event time
REBUILD = "An `eslab read-tables rebuild` removes it."


class RowCheck:
    """The rows of one customer; memory holds those in the customer's partitions, and those that are missing."""

    def __init__(self, repository: Repository, hydrator: Hydrator) -> None:
        self.findings: list[Finding] = []
        self._repository = repository
        self._hydrator = hydrator
        own = [table.layout.name for table in repository.read_tables if table.layout.with_customer]
        self._there = {_place(row): row for row in self._read([(name, (hydrator.customer_id,)) for name in own])}
        self._spared: set[tuple[str | None, UUID | None]] = set()
        self._expected: set[Place] = set()
        self._batch: list[ReadRow] = []
        self._missing: list[ReadRow] = []

    def expect(self, commit: Commit, events: Sequence[Event]) -> None:
        """Look for the rows of a commit with these events."""
        if isinstance(events, Skipped):
            self.spare(commit.aggregate_id, commit.event_time)
            return
        by_id = {commit.aggregate_id: events}
        customer, types = self._hydrator.customer_id, self._hydrator.types
        try:
            rows = rows_in(self._repository.read_tables, customer, types, [commit], by_id)
            check_read_rows(rows)
        except InvalidInput as error:
            self.findings.append(Finding("read table", error))
            return
        self._expected.update(map(_place, rows))
        self._batch += rows
        if len(self._batch) >= BATCH:
            self._look()

    def spare(self, aggregate_id: str | None, event_time: UUID | None) -> None:
        """Pass over the rows of a commit that is broken or was skipped: one may hold the intact copy."""
        self._spared.add((aggregate_id, event_time))

    def end(self) -> list[Finding]:
        """All findings. What is missing is looked for once more: its service may have been about to write it."""
        self._look()
        found = {_place(row): row for row in self._read([(row.layout.name, row.key) for row in self._missing])}
        missing = [row for row in self._missing if not _is_there(found, row)]
        by_table: dict[tuple[str, str], list[ReadRow]] = {}
        for row in missing:
            by_table.setdefault((row.layout.name, row.commit.aggregate_id), []).append(row)
        gone = [self._gone(rows, found) for rows in by_table.values()]
        return [*self.findings, *gone, *map(self._surplus, self._lost())]

    def _look(self) -> None:
        """Look up the rows that wait; those in the customer's partitions are known already."""
        elsewhere = [(row.layout.name, row.key) for row in self._batch if not row.layout.with_customer]
        there = self._there | {_place(row): row for row in self._read(elsewhere)}
        self._missing += (row for row in self._batch if not _is_there(there, row))
        self._batch = []

    def _read(self, prefixes: Sequence[Prefix]) -> list[ReadRow]:
        """All rows under these keys of the tables."""
        found: list[ReadRow] = []
        for table in self._repository.read_tables:
            keys = list(dict.fromkeys(key for name, key in prefixes if name == table.layout.name))
            with closing(self._repository.store.read_rows(table.layout, keys, Consistency.EVERYWHERE)) as pages:
                found += chain.from_iterable(pages)
        return found

    def _lost(self) -> list[ReadRow]:
        """The rows in the customer's partitions that no commit explains."""
        return [
            row
            for place, row in self._there.items()
            if place not in self._expected
            and row.commit[:2] not in self._spared
            and is_lost(self._repository.store, row)
        ]

    def _gone(self, rows: list[ReadRow], found: dict[Place, ReadRow]) -> Finding:
        """A finding about rows of one aggregate that a table lacks, or has with a smaller or greater payload."""
        first = rows[0]
        greater = [it for it in rows if (there := found.get(_place(it))) and there.commit.payload > it.commit.payload]
        advice = "`eslab audit --repair` writes them." if not greater else REBUILD
        where = place(self._hydrator.customer_id, first.commit.aggregate_id)
        message = (
            f"Expected {quantity(len(rows), 'row')} of {where} in the read table {first.layout.name}, found none or "
            f"other payloads, the first for the commit at {moment(first.commit.event_time)}. {advice}"
        )
        return self._about(first, message, None if greater else rows)

    def _surplus(self, row: ReadRow) -> Finding:
        return self._about(
            row,
            f"Expected rows of commits in the read table {row.layout.name}, found one at {row.key} of "
            f"{place(row.customer_id, row.commit.aggregate_id)}, event time {moment(row.commit.event_time)}, which is "
            f"in no events. {REBUILD}",
        )

    def _about(self, row: ReadRow, message: str, missing: list[ReadRow] | None = None) -> Finding:
        repair = partial(self._write, missing) if missing else None
        kind = f"read table {row.layout.name}"
        customer, commit = self._hydrator.customer_id, row.commit
        return contradiction(kind, message, customer, commit.aggregate_id, commit.event_time, repair)

    def _write(self, rows: list[ReadRow]) -> None:
        for begin in range(0, len(rows), BATCH):
            self._repository.store.put_read_rows(rows[begin : begin + BATCH], Consistency.EVERYWHERE)


def _place(row: ReadRow) -> Place:
    return row.layout.name, row.key, row.commit.aggregate_id, row.commit.event_time


def _is_there(found: dict[Place, ReadRow], row: ReadRow) -> bool:
    there = found.get(_place(row))
    return there is not None and there.commit.payload == row.commit.payload
