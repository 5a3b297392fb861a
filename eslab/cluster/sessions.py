"""Plain sessions of cassandra-driver: to wait until the nodes see each other, to make logins, and for tests."""

import secrets
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from cassandra import ConsistencyLevel, DriverException
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, ExecutionProfile, NoHostAvailable, Session
from cassandra.cluster import Cluster as Driver
from cassandra.policies import DCAwareRoundRobinPolicy, RoundRobinPolicy, TokenAwarePolicy
from cassandra.query import SimpleStatement

from eslab.cluster.errors import NodeFailed
from eslab.cluster.plan import Plan

PROTOCOL = 5
PATIENCE = 60.0
PAUSE = 0.3  # seconds between two tries
# system_distributed lives on every node of our clusters, so a read at ALL is answered when all are seen.
PROBE = "SELECT view_name FROM system_distributed.view_build_status WHERE keyspace_name = 'any' AND view_name = 'any'"


class Login(msgspec.Struct, frozen=True):
    """Who may enter a cluster with authentication; kept in its folder."""

    user: str
    password: str


FIRST_LOGIN = Login("cassandra", "cassandra")  # every new Cassandra has it, and everybody knows it


def login_of(folder: Path) -> Login:
    """The cluster's own superuser."""
    return msgspec.json.decode(_login_file(folder).read_bytes(), type=Login)


def tls_context(plan: Plan, folder: Path) -> ssl.SSLContext | None:
    """What a client of an encrypted cluster needs: it trusts the CA, checks addresses, shows its certificate."""
    if not plan.settings.encrypted:
        return None
    context = ssl.create_default_context(cafile=folder / "keys" / "ca.pem")
    if plan.settings.client_certificates:
        context.load_cert_chain(folder / "keys" / "client.pem", folder / "keys" / "client-key.pem")
    return context


@contextmanager
def session(plan: Plan, folder: Path, region: str | None = None, login: Login | None = None) -> Iterator[Session]:
    """A session that stays in one region, or takes all nodes in turn; closed at the end of the block."""
    policy = DCAwareRoundRobinPolicy(region) if region else RoundRobinPolicy()
    options: dict[str, Any] = {
        "contact_points": [node.host for node in (plan.pick(region) if region else plan.nodes)],
        "port": plan.nodes[0].cql_port,
        "protocol_version": PROTOCOL,
        "ssl_context": tls_context(plan, folder),
        "execution_profiles": {EXEC_PROFILE_DEFAULT: ExecutionProfile(TokenAwarePolicy(policy), request_timeout=30)},
    }
    if plan.settings.authentication:
        login = login or login_of(folder)
        options["auth_provider"] = PlainTextAuthProvider(login.user, login.password)
    driver = Driver(**options)
    try:
        yield driver.connect()
    finally:
        driver.shutdown()


def wait_until_settled(plan: Plan, folder: Path, patience: float = PATIENCE) -> None:
    """Until every node sees every other as up, and bytes pass between all of them. Raises NodeFailed.

    Asks each node for a read that all must answer.
    """

    def probe() -> None:
        statement = SimpleStatement(PROBE, consistency_level=ConsistencyLevel.ALL)
        with session(plan, folder) as everywhere:
            for host in everywhere.hosts or ():
                everywhere.execute(statement, host=host)

    _try_until(probe, f"all {len(plan.nodes)} nodes of cluster {plan.name} to see each other", patience)


def make_login(plan: Plan, folder: Path, patience: float = PATIENCE) -> None:
    """Replace Cassandra's well-known first login by the cluster's own, once. Raises NodeFailed.

    Each region keeps all logins, so that one that is cut off still lets people in.
    """
    if _login_file(folder).exists():
        return
    login = Login("lab", secrets.token_hex(8))
    regions = ", ".join(f"'{region}': {count}" for region, count in plan.regions.items())
    replication = f"{{'class': 'NetworkTopologyStrategy', {regions}}}"

    def open_door() -> None:
        with session(plan, folder, login=FIRST_LOGIN) as first:
            first.execute(f"ALTER KEYSPACE system_auth WITH replication = {replication}")
            first.execute(f"CREATE ROLE IF NOT EXISTS {login.user} WITH SUPERUSER = true AND LOGIN = true")
            first.execute(f"ALTER ROLE {login.user} WITH PASSWORD = '{login.password}'")

    _try_until(open_door, f"cluster {plan.name} to let its first user in", patience)
    _login_file(folder).touch(mode=0o600)
    _login_file(folder).write_bytes(msgspec.json.encode(login))
    with session(plan, folder) as own:
        own.execute(f"ALTER ROLE {FIRST_LOGIN.user} WITH SUPERUSER = false AND LOGIN = false")


def _login_file(folder: Path) -> Path:
    return folder / "login.json"


def _try_until(action: Callable[[], None], goal: str, patience: float) -> None:
    deadline = time.monotonic() + patience
    while True:
        try:
            return action()
        except (DriverException, NoHostAvailable, OSError) as error:
            if time.monotonic() > deadline:
                raise NodeFailed(
                    f"Expected {goal} within {patience:.0f} s, found {error!r}. "
                    "See: eslab cluster status, and eslab cluster logs."
                ) from error
            time.sleep(PAUSE)
