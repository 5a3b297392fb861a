"""Writes read tables from events: `rebuild` makes them anew, `catch_up` closes the gap that a crash left.

Both go from customer to customer, keep a checkpoint in the store, and go on from there when they are called again, so
they may be killed at any moment; and both may run while services write, since a row written twice is the same row.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from datetime import datetime
from itertools import islice
from typing import NamedTuple
from uuid import UUID

import msgspec

from eslab.aggregate import Aggregate, type_name
from eslab.errors import Forgotten
from eslab.payload.encryption import CustomerCipher
from eslab.repository import Repository
from eslab.request import latest_at
from eslab.store import Consistency, ReadRow

ROWS = 1000  # written together, about
CUSTOMERS = 50  # from one checkpoint to the next
Say = Callable[[int], None]  # is told after each customer how many rows were written for them


class Checkpoint(msgspec.Struct):
    """How far a piece of work has come: since when it runs, and behind which customer."""

    complete: datetime | None = None  # what was acknowledged before this moment is in the tables
    began: datetime | None = None  # of the run under way
    after: str = ""  # the customer who was done last in it


class Done(NamedTuple):
    """What one call wrote, and in which tables; its run is over."""

    customers: int
    rows: int
    tables: tuple[str, ...]


def rebuild(repository: Repository, say: Say = lambda rows: None) -> Done:
    """Empty the repository's read tables and write them anew, from all commits of all customers.

    Until it is over a query finds what is written so far. Called again after a crash, it goes on where it was.
    """
    name = _name("rebuild", repository)
    mark = _checkpoint(repository, name)
    if mark.began is None:
        for table in repository.read_tables:
            repository.store.empty_read_table(table.layout)
        mark = Checkpoint(began=repository.clock())
    done = _walk(repository, name, mark, None, say)
    elsewhere = _elsewhere(repository)
    _keep(elsewhere, _name("catch-up", elsewhere), Checkpoint(complete=mark.began))
    _keep(repository, name, Checkpoint())
    return done


def catch_up(repository: Repository, say: Say = lambda rows: None) -> Done:
    """Write the rows that a crash left out, of tables whose rows stand outside the customers' partitions.

    Reads the commits of all customers since the last run that came to its end (at first all), so run it as often as
    you can bear to miss such a row. Reads EVERYWHERE: while a region can't be reached it raises `StoreUnavailable`.
    """
    repository = _elsewhere(repository)
    name = _name("catch-up", repository)
    mark = _checkpoint(repository, name)
    if mark.began is None:
        mark = Checkpoint(mark.complete, repository.clock())
    # A commit that came after the last run began may belong to a request so much older.
    since = latest_at(mark.complete - repository.bounds.fold_after) if mark.complete else None
    done = _walk(repository, name, mark, since, say)
    _keep(repository, name, Checkpoint(complete=mark.began))
    return done


def caught_up(repository: Repository) -> datetime | None:
    """What was acknowledged before this moment is in the read tables for sure; None if nobody has caught up yet.

    Later rows are there too, but for those of a service that died between an append and its read rows.
    """
    return _checkpoint(repository, _name("catch-up", _elsewhere(repository))).complete


def _walk(repository: Repository, name: str, mark: Checkpoint, since: UUID | None, say: Say) -> Done:
    """Write the rows of each customer's commits later than `since`; a checkpoint now and then."""
    customers = total = 0
    _keep(repository, name, mark)
    for customer in repository.store.customers(mark.after, Consistency.EVERYWHERE):
        rows = _write(repository, customer, since)
        mark.after, customers, total = customer, customers + 1, total + rows
        say(rows)
        if customers % CUSTOMERS == 0:
            _keep(repository, name, mark)
    return Done(customers, total, _tables(repository))


def _write(repository: Repository, customer: str, since: UUID | None) -> int:
    rows, written = _rows(repository, customer, since), 0
    while some := list(islice(rows, ROWS)):
        repository.store.put_read_rows(some)
        written += len(some)
    return written


def _rows(repository: Repository, customer: str, since: UUID | None) -> Iterator[ReadRow]:
    """The read rows of a customer's commits; what nobody can read any more has none."""
    wanted = {type_name(each): each for table in repository.read_tables for each in table.keys}
    ciphers = dict(_ciphers(repository, customer, wanted.values()))
    heads = repository.store.heads_of_type(customer, "", Consistency.EVERYWHERE)
    types = {id: each for id in heads if (each := wanted.get(id.partition(":")[0])) in ciphers}
    with closing(
        repository.store.rows_many(customer, dict.fromkeys(types, since), consistency=Consistency.EVERYWHERE)
    ) as pages:
        for id, commits in pages:
            for commit in commits:
                events = repository.events_of(customer, types[id], commit, ciphers[types[id]])
                yield from repository.read_rows_of(customer, types, [commit], {id: events})


def _ciphers(
    repository: Repository, customer: str, types: Iterable[type[Aggregate]]
) -> Iterator[tuple[type[Aggregate], CustomerCipher | None]]:
    for each in types:
        with suppress(Forgotten):
            yield each, repository.cipher(customer, [each])


def _elsewhere(repository: Repository) -> Repository:
    """The same with only those read tables whose rows are no part of an append."""
    tables = [table for table in repository.read_tables if not table.layout.with_customer]
    return Repository(repository.store, repository.clock, repository.bounds, repository.keys, tables)


def _checkpoint(repository: Repository, name: str) -> Checkpoint:
    text = repository.store.checkpoint(name)
    return msgspec.json.decode(text, type=Checkpoint) if text else Checkpoint()


def _keep(repository: Repository, name: str, mark: Checkpoint) -> None:
    repository.store.set_checkpoint(name, msgspec.json.encode(mark).decode())


def _name(work: str, repository: Repository) -> str:
    return " ".join([work, *_tables(repository)])


def _tables(repository: Repository) -> tuple[str, ...]:
    return tuple(sorted(table.layout.name for table in repository.read_tables))
