"""Gives a lesson an empty store: empties what earlier lessons left, and refuses what may be somebody's own.

A Cassandra keyspace belongs to lessons if its name begins with `lab_`. A SQLite file belongs to them if it was empty
when a lesson opened it: since then it carries a mark. All of eslab's tables count, read tables and checkpoints too;
other tables are left alone.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from eslab import EventStore, InvalidInput
from eslab.layout import OF_A_COMMIT, TABLES, quoted

if TYPE_CHECKING:
    from eslab.stores.cassandra import CassandraStore

MARK = 0x65736C62  # SQLite's application id of a file that belongs to lessons: "eslb"
PATIENCE = 5.0  # seconds to wait for another writer


def make_empty(store: EventStore, url: str) -> None:
    """Empty the store if it belongs to lessons; refuse it with `InvalidInput` if it holds rows and doesn't.

    On SQLite this is one transaction. On Cassandra it is one TRUNCATE for each table; if it is interrupted, the next
    lesson finishes it.
    """
    opened: Any = store
    if hasattr(opened, "session"):
        _empty_keyspace(opened)
    elif hasattr(opened, "path"):
        _empty_file(opened.path, read_only=parse_qs(urlsplit(url).query).get("mode") == ["ro"])


def _empty_keyspace(store: "CassandraStore") -> None:
    from eslab.stores.cassandra.schema import MARK as COMMENT

    keyspace = store.options.keyspace
    found = store.session.execute(
        "SELECT table_name, comment FROM system_schema.tables WHERE keyspace_name = %s", (keyspace,)
    )
    tables = _in_order([name for name, comment in found if comment.startswith(COMMENT)])
    first_row = "SELECT * FROM {} LIMIT 1"
    filled = [name for name in tables if store.session.execute(first_row.format(quoted(name))).one()]
    if filled and not keyspace.startswith("lab_"):
        raise InvalidInput(
            f"Expected an empty keyspace for a lesson, found rows in {', '.join(filled)} of {keyspace}. Name one that "
            "begins with lab_, such as lab_lesson: it is created if missing, and emptied when a lesson opens it."
        )
    for name in filled:
        store.session.execute(f"TRUNCATE {quoted(name)}")


def _empty_file(path: Path, read_only: bool) -> None:
    from eslab.stores.sqlite.errors import translate_errors

    uri = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rw'}"
    with translate_errors(path), closing(sqlite3.connect(uri, uri=True, timeout=PATIENCE)) as connection:
        connection.isolation_level = None
        connection.execute("BEGIN" if read_only else "BEGIN IMMEDIATE")
        filled = _filled(connection)
        (mark,) = connection.execute("PRAGMA application_id").fetchone()
        if filled and (read_only or mark != MARK):
            raise InvalidInput(
                f"Expected an empty file for a lesson, found rows in {', '.join(filled)} of {path}, and no lesson made "
                "it, or it is opened with mode=ro. Name another file, or sqlite: for a temporary one; if you don't "
                "need these rows, delete the file. Nothing was changed."
            )
        for name in filled:
            connection.execute(f"DELETE FROM {quoted(name)}")  # noqa: S608 - a table's own name
        if not read_only:
            connection.execute(f"PRAGMA application_id = {MARK}")
        connection.execute("COMMIT")


def _filled(connection: sqlite3.Connection) -> list[str]:
    """The tables of eslab that hold rows."""
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return [
        name
        for name in _in_order([name for name in names if name in TABLES or _is_read_table(connection, name)])
        if connection.execute(f"SELECT 1 FROM {quoted(name)} LIMIT 1").fetchone()  # noqa: S608 - a table's own name
    ]


def _is_read_table(connection: sqlite3.Connection, name: str) -> bool:
    columns = {row[1] for row in connection.execute("SELECT * FROM pragma_table_info(?)", (name,))}
    return columns.issuperset(OF_A_COMMIT)


def _in_order(names: list[str]) -> list[str]:
    """A store's own tables first, then read tables."""
    return sorted(names, key=lambda name: (TABLES.index(name) if name in TABLES else len(TABLES), name))
