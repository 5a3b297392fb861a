"""One replica's rows: cells merged as Cassandra merges them, so that the order of arrival doesn't count.

Of two cells of one column the one with the later write time stays; on a tie the one that expires later, then the
greater value in bytes. A deletion hides everything in its range that isn't younger, also what arrives afterwards.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from eslab.faults.simulation.cql import Cell, Cut, Key, Put, Query

Cells = Mapping[str, Cell]  # never changed: replicas and answers share them
Row = tuple[Any, ...]
NEVER = float("-inf")


@dataclass
class Partition:
    """The rows of one partition, by clustering key, and the deletions in it."""

    rows: dict[Key, Cells] = field(default_factory=dict)
    cuts: set[Cut] = field(default_factory=set)

    def put(self, key: Key, cells: Cells) -> None:
        """Merge cells into a row."""
        stored = self.rows.setdefault(key, cells)
        if stored is not cells:
            newer = {name: cell for name, cell in cells.items() if name not in stored or _wins(cell, stored[name])}
            if newer:
                self.rows[key] = {**stored, **newer}

    def merge(self, other: "Partition") -> None:
        """Merge another replica's answer."""
        for key, cells in other.rows.items():
            self.put(key, cells)
        self.cuts |= other.cuts

    def visible(self, key: Key, now: float) -> Cells | None:
        """The cells of a row that are neither deleted nor expired; None if none is left but the key's own columns."""
        hidden = max((cut.time for cut in self.cuts if cut.range.holds(key)), default=NEVER)
        cells = {name: cell for name, cell in self.rows[key].items() if cell.expiry > now and cell.time > hidden}
        return cells if any(cell.data for cell in cells.values()) else None


def _wins(cell: Cell, stored: Cell) -> bool:
    return cell is not stored and cell[:3] > stored[:3]


class Replica:
    """One node's copy of all tables."""

    def __init__(self, name: str, region: str) -> None:
        self.name = name
        self.region = region
        self.frozen = False
        self.waiting: list[Callable[[], None]] = []  # what arrived while it was frozen
        self._tables: dict[str, dict[Key, Partition]] = {}

    def take(self, arrive: Callable[[], None]) -> None:
        """Do what arrived, or keep it until the replica thaws."""
        if self.frozen:
            self.waiting.append(arrive)
        else:
            arrive()

    def apply(self, mutation: Iterable[Put | Cut]) -> None:
        """Write a mutation: all of it, as one."""
        for change in mutation:
            partition = self.partition(change.table.name, change.partition)
            if isinstance(change, Put):
                partition.put(change.key, change.cells)
            else:
                partition.cuts.add(change)

    def answer(self, query: Query) -> Partition:
        """The rows and deletions that a query asks about, as they are now."""
        stored = self._tables.get(query.table.name, {}).get(query.partition or ())
        if stored is None:
            return Partition()
        rows = {key: cells for key, cells in stored.rows.items() if query.holds(key)}
        return Partition(rows, set(stored.cuts))

    def partition(self, table: str, key: Key) -> Partition:
        """One partition of a table; empty if there is none yet."""
        return self._tables.setdefault(table, {}).setdefault(key, Partition())

    def known(self) -> list[tuple[str, Key]]:
        """The table and key of every partition."""
        return [(table, key) for table, partitions in self._tables.items() for key in partitions]

    def truncate(self, table: str) -> None:
        """Forget all rows and deletions of a table."""
        self._tables.pop(table, None)


def selected(query: Query, answer: Partition, now: float) -> list[tuple[Key, Row]]:
    """The rows of a merged answer in the table's order, cut to the page that was asked for."""
    order = query.table.order
    keys = sorted(answer.rows, key=order)
    if query.after:
        after = order(query.after)
        keys = [key for key in keys if order(key) > after]
    rows: list[tuple[Key, Row]] = []
    for key in keys:
        if cells := answer.visible(key, now):
            rows.append((key, tuple(cells[name].value if name in cells else None for name in query.columns)))
            if len(rows) == query.limit:
                break
    return rows
