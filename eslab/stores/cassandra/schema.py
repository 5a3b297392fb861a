"""The tables in Cassandra, made once per keyspace; several processes may make them at the same time."""

from collections import Counter
from collections.abc import Callable, Mapping
from time import monotonic, sleep
from typing import TypeVar
from uuid import NAMESPACE_URL, uuid5

from cassandra import InvalidRequest
from cassandra.cluster import Session

from eslab.errors import StoreError, StoreUnavailable
from eslab.stores.cassandra.connection import Options

T = TypeVar("T")
VERSION = 1
MARK = f"eslab schema {VERSION}"
TABLES = {
    "events": (
        """customer_id text, aggregate_id text, event_time timeuuid, event_type text, version int, payload blob,
    PRIMARY KEY ((customer_id), aggregate_id, event_time)""",
        "",
        "one row per commit; event_type and version are for people, the payload counts",
    ),
    "snapshots": (
        """customer_id text, aggregate_id text, up_to timeuuid, fold int, payload blob,
    PRIMARY KEY ((customer_id), aggregate_id, up_to, fold)""",
        "CLUSTERING ORDER BY (aggregate_id ASC, up_to DESC, fold DESC) AND ",
        "the state up to an event time, with the version of the code that folded it",
    ),
    "aggregates": (
        """customer_id text, aggregate_id text, first timeuuid, floor timeuuid,
    PRIMARY KEY ((customer_id), aggregate_id)""",
        "",
        "the directory: when an aggregate began, and its floor",
    ),
}


def table(keyspace: str, name: str, columns: str, order: str, comment: str) -> str:
    """The CQL that makes a table; names are checked, and nothing else is put into it.

    Its id follows from its name: two processes that make it at once, on two nodes, make the same table.
    """
    return (
        f"CREATE TABLE IF NOT EXISTS {keyspace}.{name} (\n    {columns}\n) "
        f"WITH {order}comment = '{MARK}: {comment}' AND id = {uuid5(NAMESPACE_URL, f'eslab:{keyspace}.{name}')}"
    )


def may_make(options: Options) -> bool:
    """May a store make what is missing? In a lab's keyspace only; elsewhere a person runs `eslab schema apply`."""
    return options.keyspace.startswith("lab")


def statements(keyspace: str, replicas: Mapping[str, int]) -> list[str]:
    """The CQL that makes the keyspace and its tables."""
    replication = ", ".join(f"'{dc}': {count}" for dc, count in sorted(replicas.items()))
    made = (
        f"CREATE KEYSPACE IF NOT EXISTS {keyspace} "
        f"WITH replication = {{'class': 'NetworkTopologyStrategy', {replication}}}"
    )
    return [made, *(table(keyspace, name, *definition) for name, definition in TABLES.items())]


def replicas(session: Session) -> dict[str, int]:
    """How many replicas each region gets: three, or all of its nodes if there are fewer."""
    hosts = session.cluster.metadata.all_hosts()  # type: ignore[union-attr] - there is one once connected
    nodes = Counter(host.datacenter for host in hosts)
    return {dc: min(3, count) for dc, count in nodes.items()}


def apply(session: Session, options: Options, regions: Mapping[str, int] | None = None) -> None:
    """Make the keyspace and its tables where they are missing; regions are those that are found, or given."""
    for cql in statements(options.keyspace, regions or replicas(session)):
        patiently(lambda cql=cql: session.execute(cql, timeout=60), options)


def ensure_schema(session: Session, options: Options) -> None:
    """Use the keyspace; make it if it is missing and a lab's, refuse it if its schema is another version's."""
    comment = _comment(session, options)
    if not comment and may_make(options):
        apply(session, options)
        end = monotonic() + options.timeout
        # The next node that is asked may not list it yet, though the one before did.
        while not (comment := _comment(session, options)) and monotonic() < end:
            sleep(0.05)
    if not comment:
        raise StoreUnavailable(f"{options} has no tables of eslab; make them with `eslab schema apply`.")
    if not comment.startswith(f"{MARK}:"):
        raise StoreError(f"Expected {MARK} in {options}, found {comment!r}: use the version of eslab that made it.")
    session.cluster.control_connection.wait_for_schema_agreement()  # type: ignore[union-attr] - there is one by now
    patiently(lambda: session.set_keyspace(options.keyspace), options)


def patiently(ask: Callable[[], T], options: Options) -> T:
    """Ask until it isn't invalid: what another process makes shows on one node after the other, a moment later."""
    end = monotonic() + options.timeout
    while True:
        try:
            return ask()
        except InvalidRequest:
            if monotonic() > end:
                raise
            sleep(0.05)


def _comment(session: Session, options: Options) -> str:
    query = "SELECT comment FROM system_schema.tables WHERE keyspace_name = %s AND table_name = 'aggregates'"
    row = session.execute(query, (options.keyspace,)).one()
    return row[0] if row else ""
