"""`%%cql`: query the lesson's Cassandra in CQL, and see the real rows.

from eslab.lab.cql import enable_cql
enable_cql(lab.store)

%%cql                       only reads
SELECT * FROM events LIMIT 5

%%cql --trace               also shows what each replica did
%%cql --write               allows the statements to change rows; a semicolon at the end of a line ends each of them
"""

import re
from typing import TYPE_CHECKING, Any, cast

from IPython.core.getipython import get_ipython
from IPython.display import display

from eslab.errors import InvalidInput
from eslab.store import EventStore

if TYPE_CHECKING:
    import pandas

    from eslab.stores.cassandra import CassandraStore

READING = ("select", "describe")
FLAGS = {"--write", "--trace"}
END = re.compile(r";\s*\n")


def enable_cql(store: EventStore) -> None:
    """Bind `%%cql` in this notebook to a store on Cassandra; with another store `%%cql` raises `InvalidInput`."""
    shell = get_ipython()
    if shell is None:
        raise InvalidInput("Expected to run in a notebook: %%cql works only in Jupyter and IPython.")

    def cql(line: str, cell: str) -> "pandas.DataFrame | None":
        *_, rows = [run(store, statement, *line.split()) for statement in END.split(cell.strip())]
        return rows if len(rows.columns) else None

    shell.register_magic_function(cql, magic_kind="cell")  # type: ignore[call-arg] - IPython decorates it


def run(store: EventStore, statement: str, *flags: str) -> "pandas.DataFrame":
    """Run a statement and return its rows; one that could change rows is refused without `--write`."""
    import pandas
    from cassandra.query import SimpleStatement

    from eslab.stores.cassandra.errors import translate_errors

    if unknown := set(flags) - FLAGS:
        raise InvalidInput(f"Expected %%cql with {' or '.join(sorted(FLAGS))}, got {' '.join(sorted(unknown))}.")
    cassandra = _cassandra(store)
    statement = statement.strip().rstrip(";")
    if "--write" not in flags and not statement.lower().startswith(READING):
        raise InvalidInput(f"Expected a SELECT, got {statement[:40]!r}; use %%cql --write to change rows.")
    with translate_errors(cassandra.options):
        result = cassandra.session.execute(SimpleStatement(statement), trace="--trace" in flags)
    rows = pandas.DataFrame(list(result), columns=result.column_names)
    if "--trace" in flags:
        display(trace(result))
    return rows


def trace(result: Any) -> "pandas.DataFrame":
    """The steps of each replica for a query, with the microseconds since its start."""
    import pandas

    events = result.get_query_trace(max_wait_sec=10).events
    return pandas.DataFrame(
        {"us": event.source_elapsed.microseconds, "replica": event.source, "did": " ".join(event.description.split())}
        for event in events
    )


def _cassandra(store: EventStore) -> "CassandraStore":
    if not hasattr(store, "session"):
        raise InvalidInput(
            f"Expected a store on Cassandra, got {type(store).__name__}; run this lesson with "
            "store=cassandra://host/keyspace."
        )
    return cast("CassandraStore", store)
