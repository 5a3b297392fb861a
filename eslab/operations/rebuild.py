"""Writes read tables from events: `rebuild` writes them from scratch, `catch_up` adds the rows that a crash left out.

Both walk over all customers and resume after a crash (operations/walk.py). Both may run while services write, since a
row that is written twice is the same row.
"""

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from functools import partial
from itertools import islice
from typing import NamedTuple
from uuid import UUID

from eslab.aggregate import type_name
from eslab.clock import time_on
from eslab.errors import Forgotten
from eslab.hydration import Hydrator, cipher_of_types
from eslab.operations.walk import Checkpoint, OnProgress, load_checkpoint, save_checkpoint, silent, walk
from eslab.payload.encryption import NO_CIPHER
from eslab.read_table import rows_in
from eslab.repository import Repository
from eslab.request import latest_at
from eslab.store import Consistency, ReadRow

ROWS_PER_WRITE = 1000


class Done(NamedTuple):
    """The result of one call that reached the end of its walk."""

    customers: int
    rows: int
    tables: tuple[str, ...]


def rebuild(repository: Repository, on_progress: OnProgress = silent) -> Done:
    """Empty the repository's read tables and write them from all commits of all customers.

    Until it is done, a query finds the rows that are written so far. Called again after a crash, it resumes.
    """
    name = _name("rebuild", repository)
    checkpoint = load_checkpoint(repository.store, name)
    if checkpoint.began is None:
        for table in repository.read_tables:
            repository.store.empty_read_table(table.layout)
        checkpoint = Checkpoint(began=time_on(repository.clock))
    done = _write_all(repository, name, checkpoint, None, on_progress)
    elsewhere = _elsewhere(repository)
    save_checkpoint(repository.store, _name("catch-up", elsewhere), Checkpoint(complete=checkpoint.began))
    save_checkpoint(repository.store, name, Checkpoint())
    return done


def catch_up(repository: Repository, on_progress: OnProgress = silent) -> Done:
    """Write the rows that a crash left out of the tables outside the customers' partitions.

    Reads the commits of all customers since the last complete run, in the first run all of them. Run it at least as
    often as the staleness you can tolerate. Reads EVERYWHERE: while a region can't be reached, it raises
    `StoreUnavailable`.
    """
    repository = _elsewhere(repository)
    name = _name("catch-up", repository)
    checkpoint = load_checkpoint(repository.store, name)
    if checkpoint.began is None:
        checkpoint = Checkpoint(checkpoint.complete, time_on(repository.clock))
    # A commit that arrived after the last run began may belong to a request that is older by so much.
    since = latest_at(checkpoint.complete - repository.bounds.fold_after) if checkpoint.complete else None
    done = _write_all(repository, name, checkpoint, since, on_progress)
    save_checkpoint(repository.store, name, Checkpoint(complete=checkpoint.began))
    return done


def caught_up(repository: Repository) -> datetime | None:
    """The moment up to which the rows of acknowledged requests are certainly in the tables; None before any run.

    Later rows are there too, except those of a service that died between an append and its read rows.
    """
    elsewhere = _elsewhere(repository)
    return load_checkpoint(elsewhere.store, _name("catch-up", elsewhere)).complete


def _write_all(
    repository: Repository, name: str, checkpoint: Checkpoint, since: UUID | None, on_progress: OnProgress
) -> Done:
    """Write the rows of all commits later than `since`."""
    walked = walk(repository.store, name, checkpoint, partial(_write, repository, since), on_progress)
    return Done(*walked, _tables(repository))


def _write(repository: Repository, since: UUID | None, customer: str) -> int:
    rows = _rows(repository, since, customer)
    written = 0
    while batch := list(islice(rows, ROWS_PER_WRITE)):
        repository.store.put_read_rows(batch)
        written += len(batch)
    return written


def _rows(repository: Repository, since: UUID | None, customer: str) -> Iterator[ReadRow]:
    """The read rows of a customer's commits, a page at a time."""
    hydrator = _hydrator(repository, customer)
    after = dict.fromkeys(hydrator.types, since)
    with closing(repository.store.rows_many(customer, after, consistency=Consistency.EVERYWHERE)) as pages:
        for id, commits in pages:
            for commit in commits:
                events = {id: hydrator.events_of(commit)}
                yield from rows_in(repository.read_tables, customer, hydrator.types, [commit], events)


def _hydrator(repository: Repository, customer: str) -> Hydrator:
    """A hydrator of the customer's aggregates that have read rows; encrypted types of a forgotten one have none."""
    types = {type_name(it): it for table in repository.read_tables for it in table.keys}
    try:
        cipher = cipher_of_types(repository.keys, customer, types.values())
    except Forgotten:
        types = {name: it for name, it in types.items() if not it.encrypted}
        cipher = NO_CIPHER
    heads = repository.store.heads_of_type(customer, "", Consistency.EVERYWHERE)
    by_id = {id: types[name] for id in heads if (name := id.partition(":")[0]) in types}
    return Hydrator(repository.store, customer, by_id, cipher)


def _elsewhere(repository: Repository) -> Repository:
    """The same repository with only the read tables whose rows are not part of an append."""
    tables = [table for table in repository.read_tables if not table.layout.with_customer]
    return Repository(repository.store, repository.clock, repository.bounds, repository.keys, tables)


def _name(operation: str, repository: Repository) -> str:
    return " ".join([operation, *_tables(repository)])


def _tables(repository: Repository) -> tuple[str, ...]:
    return tuple(sorted(table.layout.name for table in repository.read_tables))
