"""The tables in Cassandra, made once in a keyspace; several processes may make them at the same time."""

from collections import Counter
from collections.abc import Callable, Mapping
from time import monotonic, sleep
from typing import TypeVar
from uuid import NAMESPACE_URL, uuid5

from cassandra import InvalidRequest, RequestValidationException, Unauthorized
from cassandra.cluster import Session
from cassandra.protocol import ConfigurationException, ErrorMessage, ServerError

from eslab.clock import Clock, to_ms
from eslab.errors import InvalidInput, StoreError, StoreUnavailable
from eslab.stores.cassandra.connection import Options
from eslab.stores.cassandra.write_times import LAST_EXPIRY, SECONDS_A_DAY, expires_late

T = TypeVar("T")
VERSION = 2
COMPATIBILITY = "SELECT value FROM system_views.settings WHERE name = 'storage_compatibility_mode'"
UNSETTLED = ("unknown cf", "unknown table", "unknown keyspace", "unconfigured table", "mismatch", "schema")
MARK = f"eslab schema {VERSION}"
TABLES = {
    "events": (
        """customer_id text, aggregate_id text, event_time timeuuid, event_type text, version int, payload blob,
    safe_at bigint, PRIMARY KEY ((customer_id), aggregate_id, event_time)""",
        "",
        "one row per commit; event_type and version are for people, the payload counts; safe_at: see docs, G5",
    ),
    "snapshots": (
        """customer_id text, aggregate_id text, up_to timeuuid, fold int, payload blob,
    PRIMARY KEY ((customer_id), aggregate_id, up_to, fold)""",
        "CLUSTERING ORDER BY (aggregate_id ASC, up_to DESC, fold DESC) AND ",
        "the state up to an event time, with the version of the code that folded it",
    ),
    "aggregates": (
        """customer_id text, aggregate_id text, first timeuuid, floor timeuuid, intended timeuuid,
    late_since timeuuid, late_until bigint, PRIMARY KEY ((customer_id), aggregate_id)""",
        "",
        "the directory: when an aggregate began, its floors, and the mark of its late commits",
    ),
    "checkpoints": (
        "name text PRIMARY KEY, text text",
        "speculative_retry = 'ALWAYS' AND ",  # every process begins with such a read, even beside a node that just died
        "how far long work has come, such as a rebuild of a read table, and the settings that all processes share",
    ),
}


def table(keyspace: str, name: str, columns: str, order: str, comment: str) -> str:
    """The CQL that makes a table; all names in it have been checked."""
    # The id follows from the name, so two processes that make the table at once, on two nodes, make the same one. By
    # default each node draws an id of its own, and the rows of the table that loses are gone.
    return (
        f"CREATE TABLE IF NOT EXISTS {keyspace}.{name} (\n    {columns}\n) "
        f"WITH {order}comment = '{MARK}: {comment}' AND id = {uuid5(NAMESPACE_URL, f'eslab:{keyspace}.{name}')}"
    )


def may_make(options: Options) -> bool:
    """May a store make missing tables? Only in a lab's keyspace; elsewhere a person runs `eslab schema apply`."""
    return options.keyspace.startswith("lab")


def statements(keyspace: str, replicas: Mapping[str, int]) -> list[str]:
    """The CQL that makes the keyspace and its tables."""
    replication = ", ".join(f"'{dc}': {count}" for dc, count in sorted(replicas.items()))
    create = (
        f"CREATE KEYSPACE IF NOT EXISTS {keyspace} "
        f"WITH replication = {{'class': 'NetworkTopologyStrategy', {replication}}}"
    )
    return [create, *(table(keyspace, name, *definition) for name, definition in TABLES.items())]


def replicas(session: Session) -> dict[str, int]:
    """The number of replicas in each region: three, or all of its nodes if it has fewer."""
    hosts = session.cluster.metadata.all_hosts()  # type: ignore[union-attr] - there is one once connected
    nodes = Counter(host.datacenter for host in hosts)
    return {dc: min(3, count) for dc, count in nodes.items()}


def apply(session: Session, options: Options, regions: Mapping[str, int] | None = None) -> None:
    """Make the keyspace and its tables if they are missing, in the given regions or in all that the cluster has."""
    for cql in statements(options.keyspace, regions or replicas(session)):
        until_valid(lambda cql=cql: session.execute(cql, timeout=60), options)


def ensure_schema(session: Session, options: Options) -> None:
    """Use the keyspace. Make it if it is missing and a lab's; refuse a schema of another version."""
    comment = _comment(session, options)
    if not comment and may_make(options):
        apply(session, options)
        end = monotonic() + options.timeout
        # The query may go to another node than the last CREATE did, and that node may not list the table yet.
        while not (comment := _comment(session, options)) and monotonic() < end:
            sleep(0.05)
    if not comment:
        raise StoreUnavailable(f"{options} has no tables of eslab; make them with `eslab schema apply`.")
    if not comment.startswith(f"{MARK}:"):
        raise StoreError(f"Expected {MARK} in {options}, found {comment!r}: use the version of eslab that made it.")
    session.cluster.control_connection.wait_for_schema_agreement()  # type: ignore[union-attr] - there is one by now
    until_valid(lambda: session.set_keyspace(options.keyspace), options)


def check_lifetime(session: Session, options: Options, lifetime: int, clock: Clock) -> None:
    """Refuse a lifetime with which every append would fail, since the cluster can't store when its rows expire.

    Asks the cluster, one wait, only if the lifetime reaches beyond 2038. Raises `InvalidInput`.
    """
    if not expires_late(lifetime, clock):
        return
    try:
        row = session.execute(COMPATIBILITY).one()
        found = (row[0] if row else None) or "none or CASSANDRA_4"
    except (
        RequestValidationException,
        Unauthorized,
    ) as error:  # the table is missing in old versions, or the user may not read it
        found = f"none that can be read ({error})"
    if found != "NONE":
        most = (LAST_EXPIRY - to_ms(clock()) // 1000) // SECONDS_A_DAY - 1
        raise InvalidInput(
            f"Expected a lifetime of at most {most} days for {options}, got {lifetime}: rows that expire after "
            "2038-01-19 need Cassandra 5 with storage_compatibility_mode: NONE in every node's cassandra.yaml, found "
            f"{found}."
        )


def until_valid(ask: Callable[[], T], options: Options) -> T:
    """Ask again until the statement is valid, or the timeout is over.

    A table that this or another process has just made appears on one node after the other, so a node that doesn't have
    it yet refuses a statement that is right.
    """
    end = monotonic() + options.timeout
    while True:
        try:
            return ask()
        except (InvalidRequest, ErrorMessage) as error:
            if monotonic() > end or not is_unsettled(error):
                raise
            sleep(0.05)


def is_unsettled(error: Exception) -> bool:
    """May this error be over once all nodes have the same schema?"""
    if isinstance(error, ServerError | ConfigurationException):  # "Unknown CF", in the words of Cassandra's source
        return any(words in error.message.lower() for words in UNSETTLED)
    return isinstance(error, InvalidRequest)


def _comment(session: Session, options: Options) -> str:
    query = "SELECT comment FROM system_schema.tables WHERE keyspace_name = %s AND table_name = 'aggregates'"
    row = session.execute(query, (options.keyspace,)).one()
    return row[0] if row else ""
