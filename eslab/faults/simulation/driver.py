"""Stands where cassandra-driver stands: a session whose statements go to the simulated Cassandra.

The store above it is the one that production uses, unchanged: its statements, batches, pages and errors.
"""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from cassandra import OperationTimedOut
from cassandra.query import BatchStatement, PreparedStatement

from eslab.clock import Clock
from eslab.faults.simulation.cluster import Cluster
from eslab.faults.simulation.cql import Cut, Put, Query, Statement, Table
from eslab.faults.simulation.replica import Row
from eslab.faults.simulation.world import Answer, World
from eslab.layout import Layout
from eslab.stores.cassandra import CassandraStore, read_tables, schema, statements
from eslab.stores.cassandra.connection import Options

PAGE = 2  # rows in a page, at most: so that a story of a few rows has pages that follow
TIMEOUT = 10.0  # seconds until the driver gives up
LEVEL = 6  # LOCAL_QUORUM, of statements that name none


class Tables(dict[str, Table]):
    """The tables of a keyspace, from the store's own CREATE TABLE statements, and the statements prepared for them."""

    def __init__(self, layouts: Sequence[Layout] = ()) -> None:
        super().__init__()
        self._prepared: dict[str, Prepared] = {}
        for cql in (*schema.statements("lab", {})[1:], *read_tables.statements("lab", layouts)):
            table = Table.parse(cql)
            self[table.name] = table

    def prepared(self, cql: str) -> "Prepared":
        """The prepared statement of a CQL text; compiled once for all schedules."""
        if cql not in self._prepared:
            self._prepared[cql] = Prepared(cql, self)
        return self._prepared[cql]


class Prepared(PreparedStatement):  # a subclass, since the driver's batch asks for one
    """A statement that knows how to be given its values."""

    def __init__(self, cql: str, tables: Tables) -> None:
        self.query_id = self
        self.query_string = cql
        self.statement = Statement(cql, tables)

    def bind(self, values: Sequence[Any]) -> Any:
        """The statement with its values; the rest is what the driver's batch looks at."""
        return SimpleNamespace(
            prepared_statement=self, values=values, consistency_level=LEVEL, fetch_size=PAGE,
            keyspace=None, routing_key=None, custom_payload=None,
        )  # fmt: skip


class Rows(list[Row]):
    """A page of rows, as the driver's `ResultSet` gives them."""

    @property
    def current_rows(self) -> "Rows":
        """This page."""
        return self

    def one(self) -> Row | None:
        """The first row."""
        return self[0] if self else None


class Response:
    """An answer on its way, page by page, as the driver's `ResponseFuture`."""

    def __init__(self, ask: Callable[[Any], Answer[Any]], patience: float, page: int) -> None:
        self.message = SimpleNamespace(fetch_size=page)
        self.has_more_pages = False
        self._ask = ask
        self._patience = patience
        self._page = page
        self._answer = ask(())

    def result(self) -> Rows:
        """Wait for the page; raises what the driver raises."""
        try:
            found = self._answer.wait(self._patience)
        except TimeoutError:
            raise OperationTimedOut({"simulated": "no answer"}) from None
        self.has_more_pages = 0 < self._page == len(found)
        self._last = found[-1][0] if found else ()
        return Rows(row for _, row in found)

    def start_fetching_next_page(self) -> None:
        """Ask for the rows after this page: a read of its own, so it may see what the first one didn't."""
        self._answer = self._ask(self._last)


class Session:
    """A session of one service with the coordinators of one region."""

    def __init__(self, world: World, cluster: Cluster, region: str, tables: Tables, page: int) -> None:
        agreement = SimpleNamespace(wait_for_schema_agreement=lambda: None)
        self.cluster = SimpleNamespace(control_connection=agreement, shutdown=lambda: None)
        self._world = world
        self._nodes = cluster
        self._region = region
        self._tables = tables
        self._page = page

    def set_keyspace(self, keyspace: str) -> None:
        """There is only one."""

    def prepare(self, cql: str) -> Prepared:
        """A prepared statement; costs no time here."""
        return self._tables.prepared(cql)

    def execute(self, query: Any, parameters: Sequence[Any] = (), timeout: float = TIMEOUT) -> Rows:
        """Send a statement and wait for its answer."""
        if isinstance(query, str):
            return self._execute_text(query)
        return self.execute_async(query).result()

    def execute_async(self, query: Any) -> Response:
        """Send a statement or a batch."""
        self._world.step()
        if isinstance(query, BatchStatement):
            # The driver keeps them to itself, and only sends them.
            sent: Any = query._statements_and_parameters
            parts = [(prepared, values) for _, prepared, values in sent]
            mutation = [self._bound(prepared, values) for prepared, values in parts]
            return self._write(mutation, query.consistency_level)
        if "checkpoints" in query.prepared_statement.statement.cql:
            return self._checkpoint(query.prepared_statement.statement.cql, query.values)
        bound = self._bound(query.prepared_statement, query.values)
        if isinstance(bound, Query):
            page = 0 if bound.limit else self._page  # with a LIMIT, all rows come in one page
            return Response(lambda after: self._read(bound, after, query.consistency_level), TIMEOUT, page)
        return self._write([bound], query.consistency_level)

    def _checkpoint(self, cql: str, values: Sequence[Any]) -> Response:
        """Read or write a text that processes share: true at once, and everywhere."""
        kept = self._nodes.checkpoints
        rows: list[Row] = []
        if cql == statements.CHECKPOINT:
            rows = [(kept[name],) for name in values if name in kept]
        elif cql == statements.SET_CHECKPOINT:
            kept[values[0]] = values[1]
        else:
            after, name, before = values
            found = kept.get(name)
            if found == before:
                kept[name] = after
            rows = [(True,) if found == before else (False, found)]
        answer: Answer[list[tuple[Any, Row]]] = Answer(self._world)
        answer.give([((), row) for row in rows])
        return Response(lambda _: answer, TIMEOUT, self._page)

    def _write(self, mutation: Sequence[Any], level: int | None) -> Response:
        level = LEVEL if level is None else level
        return Response(lambda _: self._nodes.write(self._region, mutation, level), TIMEOUT, self._page)

    def _bound(self, prepared: Prepared, values: Sequence[Any]) -> Put | Cut | Query:
        server_time = self._nodes.server_time(self._region)
        return prepared.statement.compiled(values, self._world.now, server_time)

    def _read(self, query: Query, after: Any, level: int) -> Answer[Any]:
        if query.partition is None:
            answer: Answer[Any] = Answer(self._world)
            listed = self._nodes.list_partitions(self._region, query._replace(after=after or query.after))
            answer.give(listed[: self._page])
            return answer
        return self._nodes.read(self._region, query._replace(after=after, limit=query.limit or self._page), level)

    def _execute_text(self, cql: str) -> Rows:
        """What the store asks about its schema, and what it does once: true at once, and everywhere."""
        if cql == statements.TIME:
            self._world.step()
            return Rows([(self._nodes.server_time(self._region) // 1000,)])
        if "system_schema.tables" in cql:
            return Rows([(f"{schema.MARK}: simulated",)])
        if "system_schema.columns" in cql:
            return Rows((table.name, column) for table in self._tables.values() for column in table.columns)
        if cql.startswith("TRUNCATE "):
            self._nodes.truncate(cql.removeprefix("TRUNCATE ").strip('"'))
        return Rows()


TABLES = Tables()


def open_simulated(
    world: World, cluster: Cluster, region: str, clock: Clock, tables: Tables = TABLES, page: int = PAGE
) -> CassandraStore:
    """A `CassandraStore` of one service in a region."""
    session = Session(world, cluster, region, tables, page)
    options = Options(hosts=(region,), keyspace="lab")
    connected: Any = (session.cluster, session)  # in place of the driver's
    return CassandraStore(options, clock, connect=lambda _: connected)
