"""Writes read tables from events: `rebuild` writes them from scratch, `catch_up` adds the rows that a crash left out.

Both walk over all customers and resume after a crash (operations/walk.py). Both may run while services write, since a
row that is written twice is the same row.

What a table certainly holds is kept for each table, whichever tables were written together: the checkpoint `complete
NAME` says up to when, and `rebuilding` lists the tables that were emptied and are not complete again.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import NamedTuple
from uuid import UUID

import msgspec
from msgspec import UNSET

from eslab.clock import time_on
from eslab.errors import EslabError, InvalidInput, Unreadable
from eslab.hydration import Hydrator
from eslab.operations.parallel import check_jobs
from eslab.operations.readable import hydrator_of
from eslab.operations.walk import Checkpoint, Damaged, OnProgress, load_checkpoint, save_checkpoint, silent, walk
from eslab.read_table import COMPLETE, LATE, ReadTable, late_since, rows_in
from eslab.repository import Repository
from eslab.request import latest_at
from eslab.store import Commit, Consistency, EventStore, ReadRow
from eslab.writable import check_read_rows

ROWS_PER_WRITE = 1000
REBUILDING = "rebuilding"  # the checkpoint of the tables that were emptied, each with the rebuild that did it
MISSING = "missing: the first service that is given it makes it; then rebuild it"


class Done(NamedTuple):
    """The result of one call that reached the end of its walk."""

    customers: int
    rows: int
    tables: tuple[str, ...]


def rebuild(repository: Repository, on_progress: OnProgress = silent, jobs: int = 1) -> Done:
    """Empty the repository's read tables and write them from all commits of all customers, in `jobs` threads.

    Until it is done, a query finds the rows that are written so far. Called again after a crash, it resumes. Raises
    `Unreadable` at its end if there were rows that can't be used: all others are written, but no table is complete.
    """
    check_jobs(jobs)
    store = repository.store
    name = _name("rebuild", repository)
    checkpoint = load_checkpoint(store, name)
    if checkpoint.began is None:
        checkpoint = _begin(repository)
        # Before the tables are emptied: whatever happens from here on, they are incomplete until this rebuild is done.
        _save_rebuilding(store, _rebuilding(store) | dict.fromkeys(_tables(repository), _mark(name, checkpoint)))
        for table in repository.read_tables:
            store.empty_read_table(table.layout)
    done = _write_all(repository, name, checkpoint, None, on_progress, jobs)
    mark = _mark(name, checkpoint)
    rebuilding = _rebuilding(store)
    for table in repository.read_tables:
        # Another rebuild may have emptied the table meanwhile; then it is for that one to complete it.
        if rebuilding.get(table.layout.name, mark) == mark:
            rebuilding.pop(table.layout.name, None)
            _complete(repository, table, checkpoint)
    _save_rebuilding(store, rebuilding)
    save_checkpoint(store, name, Checkpoint())
    return done


def catch_up(repository: Repository, on_progress: OnProgress = silent, everything: bool = False, jobs: int = 1) -> Done:
    """Write the rows that a crash left out of the tables outside the customers' partitions.

    Reads the commits of all customers since the last complete run; in the first run, or with `everything`, all of them.
    Run it at least as often as the staleness you can tolerate. Reads EVERYWHERE: while a region can't be reached, it
    raises `StoreUnavailable`. Raises `Unreadable` at its end if there were rows that can't be used: all others are
    written, but the tables are not more complete than before.
    """
    repository = _elsewhere(repository)
    name = _name("catch-up", repository)
    checkpoint = load_checkpoint(repository.store, name)
    if checkpoint.began is None:
        checkpoint = _begin(repository)
    since = None if everything else _since(repository, checkpoint)
    done = _write_all(repository, name, checkpoint, since, on_progress, jobs)
    for table in repository.read_tables:
        _complete(repository, table, checkpoint)
    save_checkpoint(repository.store, name, Checkpoint())
    return done


def caught_up(repository: Repository) -> datetime | None:
    """The moment up to which the rows of acknowledged requests are certainly in the tables; None before any run.

    Later rows are there too, except those of a service that died between an append and its read rows.
    """
    moments = [complete_up_to(repository.store, table) for table in _elsewhere(repository).read_tables]
    return min((moment for moment in moments if moment), default=None) if all(moments) else None


def complete_up_to(store: EventStore, table: ReadTable) -> datetime | None:
    """The moment up to which one read table certainly has its rows; None if nobody knows, or while it is rebuilt."""
    return None if table.layout.name in _rebuilding(store) else _completed(store, table).complete


def status(store: EventStore, tables: Sequence[ReadTable]) -> dict[str, str]:
    """How complete each read table is, in words, by name. Makes no table and writes nothing."""
    missing = store.missing_read_tables([table.layout for table in tables])
    known = [table for table in tables if table.layout not in missing]
    words = {layout.name: MISSING for layout in missing}
    return words | {table.layout.name: _status(store, table) for table in known}


def _status(store: EventStore, table: ReadTable) -> str:
    complete = complete_up_to(store, table)
    if table.layout.name in _rebuilding(store):
        return "incomplete: a rebuild is at work, was interrupted, or met rows that can't be used; run it again"
    if complete and table.layout.with_customer:
        return "complete: its rows are a part of every append"
    if complete:
        return f"complete up to {complete:%Y-%m-%d %H:%M:%S} UTC"
    if table.layout.with_customer:
        return "unproved: there were events before it was made, or an older version made it; rebuild it"
    return "nobody has caught up yet"


def _begin(repository: Repository) -> Checkpoint:
    return Checkpoint(began=time_on(repository.clock), late=repository.store.checkpoint(LATE) or UNSET)


def _rebuilding(store: EventStore) -> dict[str, str]:
    text = store.checkpoint(REBUILDING)
    try:
        return msgspec.json.decode(text, type=dict[str, str]) if text else {}
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Unreadable(
            f"Unreadable row in checkpoints: {REBUILDING!r}: {error}. Delete the row, then rebuild the read tables."
        ) from None


def _save_rebuilding(store: EventStore, tables: dict[str, str]) -> None:
    store.set_checkpoint(REBUILDING, msgspec.json.encode(tables).decode())


def _mark(name: str, checkpoint: Checkpoint) -> str:
    """What tells a rebuild from others of the same table."""
    return f"{name} of {checkpoint.began}"


def _completed(store: EventStore, table: ReadTable) -> Checkpoint:
    return load_checkpoint(store, COMPLETE.format(table.layout.name))


def _complete(repository: Repository, table: ReadTable, walked: Checkpoint) -> None:
    """Note up to when a table is complete, now that a walk has reached its end."""
    before = _completed(repository.store, table).complete
    assert walked.began
    complete = max(before or walked.began, walked.began)  # another walk may have been quicker
    name = COMPLETE.format(table.layout.name)
    save_checkpoint(repository.store, name, Checkpoint(complete, late=walked.late))


def _since(repository: Repository, checkpoint: Checkpoint) -> UUID | None:
    """The event time after which commits may lack their rows in one of the tables; None for all commits."""
    done = [_completed(repository.store, table) for table in repository.read_tables]
    if not done or not all(it.complete for it in done):
        return None
    # A commit that arrived after the last run began may belong to a request that is older by so much.
    since = min(it.complete - repository.bounds.fold_after for it in done if it.complete)
    if checkpoint.late and any(it.late != checkpoint.late for it in done):
        late = late_since(checkpoint.late)
        since = min(since, late - timedelta(milliseconds=1)) if late else since
    return latest_at(since)


def _write_all(
    repository: Repository, name: str, checkpoint: Checkpoint, since: UUID | None, on_progress: OnProgress, jobs: int
) -> Done:
    """Write the rows of all commits later than `since`."""
    walked = walk(repository.store, name, checkpoint, partial(_write, repository, since), on_progress, jobs=jobs)
    return Done(*walked, _tables(repository))


def _write(repository: Repository, since: UUID | None, customer: str) -> int:
    problems: list[EslabError] = []
    rows = _rows(repository, since, customer, problems)
    written = 0
    while batch := list(islice(rows, ROWS_PER_WRITE)):
        repository.store.put_read_rows(batch)
        written += len(batch)
    if problems:
        raise Damaged(written, problems)
    return written


def _rows(repository: Repository, since: UUID | None, customer: str, problems: list[EslabError]) -> Iterator[ReadRow]:
    """The read rows of a customer's commits, a page at a time; commits that have none are added to the problems."""
    hydrator = _hydrator(repository, customer)
    for commit in _commits(repository.store, hydrator, since, problems):
        try:
            events = {commit.aggregate_id: hydrator.events_of(commit)}
            rows = rows_in(repository.read_tables, customer, hydrator.types, [commit], events)
            check_read_rows(rows)
        except (Unreadable, InvalidInput) as error:
            problems.append(error)
        else:
            yield from rows


def _commits(store: EventStore, hydrator: Hydrator, since: UUID | None, problems: list[EslabError]) -> Iterator[Commit]:
    """The commits of all aggregates; those of one whose rows the store can't read further are left out."""
    ids = list(hydrator.types)
    while ids:
        after = dict.fromkeys(ids, since)
        ids = []
        try:
            with closing(store.rows_many(hydrator.customer_id, after, consistency=Consistency.EVERYWHERE)) as pages:
                for _, commits in pages:
                    yield from commits
        except Unreadable as error:
            problems.append(error)
            if error.aggregate_id in after:
                ids = list(after)[list(after).index(error.aggregate_id) + 1 :]


def _hydrator(repository: Repository, customer: str) -> Hydrator:
    """A hydrator of the customer's aggregates that have read rows; encrypted types of a forgotten one have none."""
    heads = repository.store.heads_of_type(customer, "", Consistency.EVERYWHERE)
    return hydrator_of(repository, customer, (it for table in repository.read_tables for it in table.keys), heads)


def _elsewhere(repository: Repository) -> Repository:
    """The same repository with only the read tables whose rows are not part of an append."""
    tables = [table for table in repository.read_tables if not table.layout.with_customer]
    return Repository(repository.store, repository.clock, repository.bounds, repository.keys, tables)


def _name(operation: str, repository: Repository) -> str:
    return " ".join([operation, *_tables(repository)])


def _tables(repository: Repository) -> tuple[str, ...]:
    return tuple(sorted(table.layout.name for table in repository.read_tables))
