"""Rows of Cassandra as the core sees them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from eslab.clock import from_ms
from eslab.layout import Layout
from eslab.store import Commit, Head, LateCommits, Log, ReadRow, StoredSnapshot

Row = tuple[Any, ...]
NO_BYTES = b""  # stands for a null payload: it fails its checksum like any other damage, and the row is named (G8)
NO_ENTRY = (None,) * 5
NO_LOG = Log(Head())


def commit_in(aggregate_id: str, event_time: UUID, event_type: str, version: int, payload: bytes | None) -> Commit:
    """The commit in a row of events."""
    return Commit(aggregate_id, event_time, event_type, version, payload or NO_BYTES)


def read_row(layout: Layout, values: Row) -> ReadRow:
    """The row of a read table."""
    *others, payload = values
    return ReadRow.of(layout, (*others, payload or NO_BYTES))


def heads_in(
    ids: Sequence[str], entries: Iterable[Row], snapshots: Iterable[Row], recorded: Iterable[Row] = ()
) -> dict[str, Head]:
    """The heads of aggregates, from the rows of the directory, of snapshots, and of the request's own commits."""
    known = {id: entry for id, *entry in entries}
    saved: dict[str, list[StoredSnapshot]] = {}
    for id, up_to, fold, payload in snapshots:
        saved.setdefault(id, []).append(StoredSnapshot(up_to, fold, payload or NO_BYTES))
    own = {row[1]: row for row in recorded}
    return {id: _head(known.get(id, NO_ENTRY), saved.get(id, []), own.get(id)) for id in ids}


def logs_in(heads: Mapping[str, Head], pages: Iterable[tuple[Sequence[str], Sequence[Row], bool]]) -> dict[str, Log]:
    """The logs of aggregates, from their heads and the first pages of one answer or several.

    A page comes with the ids that were asked for together, and says whether others follow it.
    """
    found: dict[str, Log] = dict.fromkeys(heads, NO_LOG)  # in the order of the heads
    for ids, rows, follows in pages:
        own: dict[str, list[Row]] = {id: [] for id in ids}
        for row in rows:
            own[row[1]].append(row)
        # The aggregates of an answer come one after the other, in the order of their bytes.
        last = rows[-1][1].encode() if rows else b""
        found |= {id: _log(heads[id], own[id], follows and id.encode() >= last) for id in ids}
    return found


def _log(head: Head, rows: Sequence[Row], more: bool) -> Log:
    payloads = [row[-1] or NO_BYTES for row in rows]
    return Log(head, payloads, rows[-1][2] if rows else None, more, lambda: [commit_in(*row[1:]) for row in rows])


def _head(entry: Sequence[Any], snapshots: Sequence[StoredSnapshot], own: Row | None) -> Head:
    first, floor, intended, since, until = entry
    # Each mark is a cell of its own: a replica may have the one and not yet the other.
    late = LateCommits(since, from_ms(until or 0)) if since else None
    safe_at, *columns = own or (None,)
    return Head(first, floor, snapshots, commit_in(*columns) if own else None, safe_at is not None, intended, late)
