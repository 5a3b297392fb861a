"""Lesson 00: a store that loses an answer, and the database asked past all of eslab."""

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from eslab.errors import InvalidInput
from eslab.faults import Faulty, LoseReply, Script
from eslab.lab import cql
from eslab.lab.session import Lab
from eslab.store import EventStore
from eslab.stores.sqlite import SqliteStore

if TYPE_CHECKING:
    import pandas


def losing_an_answer(lab: Lab) -> Faulty:
    """The lab's store behind a line that carries the first append out, and loses its answer. Nothing else differs."""
    return Faulty(lab.store, Script(append=[LoseReply()]), lab.clock)


def ask(store: EventStore, statement: str) -> "pandas.DataFrame":
    """Ask the database itself: SQL for a SQLite file, CQL for Cassandra."""
    import pandas

    if not isinstance(store, SqliteStore):
        return cql.run(_with_rows(store), statement)
    with closing(sqlite3.connect(store.path)) as file:
        found = file.execute(statement)
        return pandas.DataFrame(found.fetchall(), columns=[name for name, *_ in found.description])


def _with_rows(store: EventStore) -> EventStore:
    """The store itself, if it is one that has tables."""
    if not hasattr(store, "session"):
        raise InvalidInput(
            f"Expected a store in a file or on Cassandra, got {type(store).__name__}, which has no tables. "
            'Run this lesson with store="sqlite:".'
        )
    return store
