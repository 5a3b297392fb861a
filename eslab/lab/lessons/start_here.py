"""Lesson 00: a store that loses an answer, and the database asked past all of eslab."""

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

from eslab.errors import InvalidInput, OutcomeUnknown
from eslab.lab import cql
from eslab.store import EventStore
from eslab.stores.sqlite import SqliteStore

if TYPE_CHECKING:
    import pandas


class LosesAnAnswer:
    """A store that writes its first append, and then raises: the answer is lost. Nothing else differs."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._has_lost = False

    def append(self, *args: Any, **options: Any) -> None:
        self._store.append(*args, **options)
        if not self._has_lost:
            self._has_lost = True
            raise OutcomeUnknown("The write got no answer. Send the same request again.")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


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
