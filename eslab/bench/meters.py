"""Meters count what a store sends while it is used: waits and statements, apart for reads and writes.

A wait is a moment at which the caller blocks for an answer after something was sent; several statements that are sent
together are one wait. The stores know nothing of it: on Cassandra the driver's session is wrapped, SQLite traces its
statements, and of the store in memory the calls are counted.

    Cassandra   a batch is one statement; what is prepared once for each process is not counted
    SQLite      a statement is one row written or one query; a transaction, or a query outside of one, is a wait
    memory      a call is one statement and one wait
"""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from eslab import EventStore
from eslab.errors import InvalidInput
from eslab.stores.memory import MemoryStore
from eslab.stores.sqlite import SqliteStore

READS = ("read", "heads", "heads_of_type", "read_many", "rows_many", "read_rows")
WRITES = ("append", "put_read_rows")


@dataclass
class Cost:
    """What was sent: the waits for reads and the statements in them, and the same of writes."""

    read_waits: int = 0
    reads: int = 0
    write_waits: int = 0
    writes: int = 0


class Meter:
    """Adds up what is sent and waited for, from the last `take` on."""

    def __init__(self) -> None:
        self._cost = Cost()
        self._sent: list[bool] = []  # since the last wait: is it a write?

    def sent(self, writes: bool) -> None:
        """Count a statement."""
        self._sent.append(writes)
        if writes:
            self._cost.writes += 1
        else:
            self._cost.reads += 1

    def waited(self) -> None:
        """Count a wait if anything was sent since the last one."""
        if any(self._sent):
            self._cost.write_waits += 1
        elif self._sent:
            self._cost.read_waits += 1
        self._sent.clear()

    def take(self) -> Cost:
        """What was counted since the last `take`."""
        cost = self._cost
        self._cost = Cost()
        return cost


@contextmanager
def metered(store: EventStore) -> Generator[tuple[EventStore, Meter], None, None]:
    """The same store, and a meter of what it sends in this thread."""
    meter = Meter()
    if isinstance(store, MemoryStore):
        yield cast(EventStore, CountedCalls(store, meter)), meter
    elif isinstance(store, SqliteStore):
        with _traced(store, meter):
            yield store, meter
    elif hasattr(store, "session"):  # a `CassandraStore`, whose driver is an extra
        with _counted_session(store, meter):
            yield store, meter
    else:
        raise InvalidInput(f"Expected a store in memory, in SQLite or on Cassandra, got {store!r}.")


class CountedCalls:
    """A store whose calls are counted and passed on."""

    def __init__(self, store: EventStore, meter: Meter) -> None:
        self._store = store
        self._meter = meter

    def __getattr__(self, name: str) -> Any:
        if name in READS + WRITES:
            self._meter.sent(name in WRITES)
            self._meter.waited()
        return getattr(self._store, name)


@contextmanager
def _traced(store: SqliteStore, meter: Meter) -> Iterator[None]:
    within = False  # a transaction

    def trace(sql: str) -> None:
        nonlocal within
        word = sql.split(None, 1)[0]
        if word in ("BEGIN", "COMMIT", "ROLLBACK"):
            within = word == "BEGIN"
        else:
            meter.sent(word != "SELECT")
        if not within:
            meter.waited()

    connection = store._file.connection()  # private, since nobody else has a reason to use it
    connection.set_trace_callback(trace)
    try:
        yield
    finally:
        connection.set_trace_callback(None)


@contextmanager
def _counted_session(store: Any, meter: Meter) -> Iterator[None]:
    session = store.session
    store.session = CountedSession(session, meter)
    try:
        yield
    finally:
        store.session = session


class CountedSession:
    """A session of the driver that counts what it sends and the waits for the answers."""

    def __init__(self, session: Any, meter: Meter) -> None:
        self._session = session
        self._meter = meter

    def execute(self, query: Any, *arguments: Any, **options: Any) -> Any:
        """Send a statement and wait for its answer."""
        self._meter.sent(_writes(query))
        self._meter.waited()
        return self._session.execute(query, *arguments, **options)

    def execute_async(self, query: Any) -> "CountedResponse":
        """Send a statement; waiting is counted when the answer is asked for."""
        self._meter.sent(_writes(query))
        return CountedResponse(self._session.execute_async(query), self._meter)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


class CountedResponse:
    """An answer of the driver on its way."""

    def __init__(self, future: Any, meter: Meter) -> None:
        self._future = future
        self._meter = meter

    def result(self) -> Any:
        """Wait for the answer."""
        self._meter.waited()
        return self._future.result()

    def start_fetching_next_page(self) -> None:
        """Send the same query again, for the rows that follow."""
        self._meter.sent(writes=False)
        self._future.start_fetching_next_page()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._future, name)


def _writes(query: Any) -> bool:
    """Is it a batch or a statement that writes?"""
    prepared = getattr(query, "prepared_statement", None)  # a batch has none
    text = query if isinstance(query, str) else prepared.query_string if prepared else ""
    return not text.startswith("SELECT")
