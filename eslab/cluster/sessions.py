"""Sessions of cassandra-driver: to wait until the nodes see each other, to create the login, and for tests."""

import secrets
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cassandra import ConsistencyLevel, DriverException
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, ExecutionProfile, NoHostAvailable, Session
from cassandra.cluster import Cluster as Driver
from cassandra.policies import DCAwareRoundRobinPolicy, RoundRobinPolicy, TokenAwarePolicy
from cassandra.query import SimpleStatement

from eslab.cluster.errors import NodeFailed
from eslab.cluster.folder import LOGIN, Login, client_keys, read_login, write_login
from eslab.cluster.plan import Plan

PROTOCOL = 5
PATIENCE = 60.0
PAUSE = 0.3  # seconds between two tries
# Every node has a replica of system_distributed (`config` sets its replication factor to the number of nodes), so a
# read at ALL succeeds only if the coordinator sees every node.
PROBE = "SELECT view_name FROM system_distributed.view_build_status WHERE keyspace_name = 'any' AND view_name = 'any'"


FIRST_LOGIN = Login("cassandra", "cassandra")  # built into every new Cassandra, and public knowledge


def tls_context(plan: Plan, folder: Path) -> ssl.SSLContext | None:
    """The TLS settings of a client: trust the cluster's CA, check addresses, show a certificate if one is required."""
    if not plan.settings.encrypted:
        return None
    keys = client_keys(folder, plan)
    context = ssl.create_default_context(cafile=keys["ca"])
    if plan.settings.client_certificates:
        context.load_cert_chain(keys["cert"], keys["key"])
    return context


@contextmanager
def session(plan: Plan, folder: Path, region: str | None = None, login: Login | None = None) -> Iterator[Session]:
    """A session in one region, or over all nodes in turn; closed at the end of the block."""
    policy = DCAwareRoundRobinPolicy(region) if region else RoundRobinPolicy()
    options: dict[str, Any] = {
        "contact_points": [node.host for node in (plan.pick(region) if region else plan.nodes)],
        "port": plan.nodes[0].cql_port,
        "protocol_version": PROTOCOL,
        "ssl_context": tls_context(plan, folder),
        "execution_profiles": {EXEC_PROFILE_DEFAULT: ExecutionProfile(TokenAwarePolicy(policy), request_timeout=30)},
    }
    if plan.settings.authentication:
        login = login or read_login(folder)
        options["auth_provider"] = PlainTextAuthProvider(login.user, login.password)
    driver = Driver(**options)
    try:
        yield driver.connect()
    finally:
        driver.shutdown()


def wait_until_settled(plan: Plan, folder: Path, patience: float = PATIENCE) -> None:
    """Wait until every node sees every other node as up, and bytes pass between them. Raises NodeFailed.

    Every node in turn coordinates a read at ALL.
    """

    def probe() -> None:
        statement = SimpleStatement(PROBE, consistency_level=ConsistencyLevel.ALL)
        with session(plan, folder) as everywhere:
            for host in everywhere.hosts or ():
                everywhere.execute(statement, host=host)

    _try_until(probe, f"every node of cluster {plan.name} to see all of them", patience)


def make_login(plan: Plan, folder: Path, patience: float = PATIENCE) -> None:
    """Replace Cassandra's default login by the cluster's own, once. Raises NodeFailed.

    Logins are replicated to every region, so clients can log in to a region that is cut off.
    """
    if (folder / LOGIN).exists():
        return
    login = Login("lab", secrets.token_hex(8))
    regions = ", ".join(f"'{region}': {count}" for region, count in plan.regions.items())
    replication = f"{{'class': 'NetworkTopologyStrategy', {regions}}}"

    # Retried as a whole until the node has created its default login, so every statement is idempotent.
    def create_login() -> None:
        with session(plan, folder, login=FIRST_LOGIN) as first:
            first.execute(f"ALTER KEYSPACE system_auth WITH replication = {replication}")
            first.execute(f"CREATE ROLE IF NOT EXISTS {login.user} WITH SUPERUSER = true AND LOGIN = true")
            first.execute(f"ALTER ROLE {login.user} WITH PASSWORD = '{login.password}'")

    _try_until(create_login, f"the default login of cluster {plan.name} to work", patience)
    # Stored before the default login is disabled: a crash in between must not lock everybody out.
    write_login(folder, login)
    with session(plan, folder) as own:
        own.execute(f"ALTER ROLE {FIRST_LOGIN.user} WITH SUPERUSER = false AND LOGIN = false")


def _try_until(action: Callable[[], None], goal: str, patience: float) -> None:
    deadline = time.monotonic() + patience
    while True:
        try:
            return action()
        except (DriverException, NoHostAvailable, OSError) as error:
            if time.monotonic() > deadline:
                raise NodeFailed(
                    f"Expected {goal} within {patience:.0f} s, got {error!r}. "
                    "See: eslab cluster status, and eslab cluster logs TARGET"
                ) from error
            time.sleep(PAUSE)
