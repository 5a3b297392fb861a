"""The life of a cluster: it ends with its caller, even by kill -9, or is kept; its data stays; no process stays."""

import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from cassandra import ConsistencyLevel, OperationTimedOut, Unavailable, WriteTimeout
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import Cluster as Driver
from cassandra.cluster import NoHostAvailable, Session
from cassandra.query import SimpleStatement
from typer.testing import CliRunner

from eslab.cluster import Cluster, ClusterError, NodeFailed, NotRunning
from eslab.cluster.cli import app
from eslab.cluster.control import find_supervisor
from eslab.cluster.folder import read_plan
from tests.cluster.conftest import Process, eventually, processes_in
from tests.cluster.test_node import command, one

pytestmark = [pytest.mark.cassandra, pytest.mark.full, pytest.mark.timeout(600)]

KEEP_ROW = """CREATE KEYSPACE lab WITH replication = {'class': 'NetworkTopologyStrategy', 'us': 1};
CREATE TABLE lab.t (k int PRIMARY KEY);
INSERT INTO lab.t (k) VALUES (7)"""
START = "import time; from eslab.cluster import Cluster; Cluster.start({}); print('up', flush=True); time.sleep(600)"


def nodes_in(home: Path) -> list[psutil.Process]:
    """The nodes that run, supervisors left out."""
    return [process for process in processes_in(home) if "java" in process.name()]


def put_row(cluster: Cluster) -> None:
    """A keyspace, a table and a row."""
    with cluster.session() as session:
        for statement in KEEP_ROW.split(";"):
            session.execute(statement)


def is_refused(cluster: Cluster, **options: Any) -> bool:
    """Does the cluster turn a client with these options away?"""
    driver = Driver(cluster.addresses(), port=cluster.port, connect_timeout=5, **options)
    try:
        driver.connect()
        return False
    except (NoHostAvailable, OperationTimedOut):
        return True
    finally:
        driver.shutdown()


def test_nothing_is_left_of_a_caller_that_was_killed(home: Path, python: Callable[[str], Process]) -> None:
    """kill -9 of the caller ends supervisor and node, and a throw-away cluster's data goes too."""
    caller = python(START.format(""))
    assert eventually(lambda: bool(nodes_in(home)))
    caller.kill()
    assert eventually(lambda: not processes_in(home), 15)
    assert not list(home.iterdir())


def test_nothing_is_left_of_a_supervisor_that_was_killed(home: Path, python: Callable[[str], Process]) -> None:
    """Its node dies with it, or the next start kills it and removes the throw-away data."""
    caller = python(START.format(""))
    assert eventually(lambda: bool(nodes_in(home)))
    (folder,) = (path for path in home.iterdir() if path.is_dir())
    assert eventually(lambda: find_supervisor(folder) is not None)
    address = find_supervisor(folder)
    assert address
    psutil.Process(address.pid).kill()
    assert eventually(lambda: not processes_in(home), 15)
    assert caller.wait(30) != 0
    with pytest.raises(ClusterError, match="64m"):  # a start that goes no further than to tidy up
        Cluster.start(heap="64m")
    assert not folder.exists()


def test_a_node_that_cannot_start_shows_its_log(home: Path) -> None:
    """A setting that Cassandra refuses ends the start with Cassandra's own message, and leaves nothing behind."""
    with pytest.raises(NodeFailed, match=r"(?s)Node us/1 .*has ended.*no_such_setting"):
        Cluster.start(config={"no_such_setting": 1})
    assert not processes_in(home)
    assert not list(home.iterdir())


def test_data_survives_stop_and_start_until_it_is_destroyed(home: Path) -> None:
    """A named cluster remembers its regions, settings, addresses and rows; destroy asks first."""
    with Cluster.start(name="shop", commitlog_sync="periodic") as cluster:
        put_row(cluster)
        before = cluster.addresses()
    assert not processes_in(home)
    assert "Cluster shop: us, stopped" in command("status")
    with pytest.raises(NotRunning, match="eslab cluster start --name shop"):
        Cluster.find("shop").freeze("us")
    with Cluster.start(name="shop", heap="384m") as again:
        assert one(again, "SELECT k FROM lab.t") == (7,)
        assert (again.addresses(), again.plan.settings.commitlog_sync) == (before, "periodic")
    with pytest.raises(ClusterError, match="made with the regions us and can't be started with eu"):
        Cluster.start("eu", "shop")
    refused = CliRunner().invoke(app, ["destroy", "--name", "shop"], input="n\n")
    assert refused.exit_code == 1 and read_plan(home / "shop").name == "shop"
    assert "gone" in command("destroy", "--name", "shop", "--yes")
    assert not (home / "shop").exists()


def test_a_kept_cluster_outlives_its_caller(home: Path, python: Callable[[str], Process]) -> None:
    """It runs until it is stopped; a caller that joins it meanwhile does not end it."""
    caller = python(START.format("name='kept', keep=True"))
    assert caller.stdout and caller.stdout.readline() == "up\n"
    caller.kill()
    with Cluster.start(name="kept") as joined:
        assert joined.status().keep
    assert "running" in command("status", "--name", "kept")
    assert "stopped" in command("stop", "--name", "kept")
    assert not processes_in(home)


def test_a_cluster_runs_until_its_last_owner_is_gone(home: Path, python: Callable[[str], Process]) -> None:
    """One caller is killed, the other goes on; two handles in one process count twice."""
    caller = python(START.format("name='shared'"))
    assert caller.stdout and caller.stdout.readline() == "up\n"
    with Cluster.start(name="shared") as mine:
        with Cluster.start(name="shared") as again:
            assert len(again.status().owners) == 3
        caller.kill()
        assert eventually(lambda: len(mine.status().owners) == 1)
        assert one(mine, "SELECT data_center FROM system.local") == ("us",)
    assert not processes_in(home)


def test_start_brings_dead_nodes_back(home: Path) -> None:
    """A second start says that the cluster runs; after kill -9 of its only node, it starts the node again."""
    with Cluster.start(name="shop") as cluster:
        put_row(cluster)
        first = cluster.status().nodes[0].pid
        assert "Cluster shop is already running\nRunning\nus/1     up" in command("start", "--name", "shop", "--keep")
        assert cluster.status().nodes[0].pid == first
        psutil.Process(first).kill()
        assert eventually(lambda: cluster.status().nodes[0].state == "dead")
        assert "dead" in command("status", "--name", "shop")
        said = command("start", "--name", "shop", "--keep")
        assert "Starting again what is dead: us/1\nRunning\nus/1     up" in said
        assert one(cluster, "SELECT k FROM lab.t") == (7,)
        cluster.freeze("us")
        said = command("start", "--name", "shop", "--keep")
        assert "No node of us is up. Resume a frozen one: eslab cluster thaw us --name shop" in said
        cluster.stop()


def test_two_starts_at_once_make_one_cluster(home: Path, python: Callable[[str], Process]) -> None:
    """Both get the same nodes; if the one that was first is interrupted, the cluster runs on for the other."""
    callers = [python(START.format("name='both'")) for _ in range(2)]
    assert eventually(lambda: bool(nodes_in(home)))
    mine = Cluster.start(name="both")
    assert len(nodes_in(home)) == 1
    for caller in callers:
        caller.send_signal(signal.SIGINT)
        caller.wait(60)
    assert one(mine, "SELECT data_center FROM system.local") == ("us",)
    mine.close()
    # The supervisor may have to notice first that the interrupted callers are gone.
    assert eventually(lambda: not processes_in(home), 15)


def test_odd_folders_are_used_in_the_locale_c(tmp_path: Path) -> None:
    """With letters outside ASCII, and with every sign that Java, logback or a shell would read as its own."""
    folder = tmp_path / "w&ird: döner=100% #!$X 'q\"" / ("long" * 50)
    environment = {**os.environ, "ESLAB_DATA": str(folder), "LC_ALL": "C"}
    code = "from eslab.cluster import Cluster; print(Cluster.start(tls=True).status().nodes[0].state)"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("up\n", "")


def test_clusters_run_side_by_side(home: Path, node: Cluster) -> None:
    """Every cluster has its own addresses."""
    with Cluster.start(name="other") as other:
        assert set(other.addresses()).isdisjoint(node.addresses())
        assert command("url", "--name", "other", "--keyspace", "shop").strip() == other.url("shop", "us")
        assert other.status().nodes[0].state == node.status().nodes[0].state == "up"


def test_a_login_opens_and_nothing_else_does(home: Path) -> None:
    """Only the cluster's own user can log in: neither Cassandra's default user nor an anonymous one."""
    with Cluster.start(authentication=True) as cluster:
        assert one(cluster, "SELECT data_center FROM system.local") == ("us",)
        assert cluster.login and f"{cluster.login[0]}:{cluster.login[1]}@" in cluster.url("lab")
        assert cluster.login[1] not in cluster.url("lab", login=False)
        for login in (None, PlainTextAuthProvider("cassandra", "cassandra")):
            assert eventually(lambda login=login: is_refused(cluster, auth_provider=login), 10)  # logins are cached 2 s


@pytest.mark.parametrize("options", [{"tls": True}, {"client_certificates": True}], ids=["tls", "certificates"])
def test_only_a_client_with_keys_gets_in(home: Path, options: dict[str, bool]) -> None:
    """With TLS, a plain client is refused; with client certificates, so is a client without one."""
    with Cluster.start(**options) as cluster:  # pyright: ignore[reportArgumentType]
        assert one(cluster, "SELECT data_center FROM system.local") == ("us",)
        assert f"ca={cluster.keys['ca']}" in cluster.url("lab")
        stranger = ssl.create_default_context(cafile=cluster.keys["ca"]) if "cert" in cluster.keys else None
        assert is_refused(cluster, ssl_context=stranger)


def test_a_replica_of_three_can_fall_out(home: Path) -> None:
    """us:3: a quorum survives one frozen node, but not a killed one as well; with both back, all answer."""
    with Cluster.start(regions="us:3") as cluster:
        with cluster.session("us") as session:
            session.execute("CREATE KEYSPACE lab WITH replication = {'class': 'NetworkTopologyStrategy', 'us': 3}")
            session.execute("CREATE TABLE lab.t (k int PRIMARY KEY)")
            cluster.freeze("us/3")
            insert_by(session, cluster.addresses("us/1")[0])
            cluster.kill("us/2")
            assert [node.state for node in cluster.status().nodes] == ["up", "dead", "frozen"]
            with pytest.raises((Unavailable, WriteTimeout)):
                insert_by(session, cluster.addresses("us/1")[0])
        cluster.thaw("us/3")
        cluster.revive("us/2")
        cluster.wait()
        with cluster.session("us") as session:
            for address in cluster.addresses("us"):
                insert_by(session, address)


def insert_by(session: Session, address: str) -> None:
    """One row at LOCAL_QUORUM, with the node at this address as coordinator."""
    insert = SimpleStatement("INSERT INTO lab.t (k) VALUES (1)", consistency_level=ConsistencyLevel.LOCAL_QUORUM)
    (host,) = (host for host in session.hosts or () if host.address == address)
    session.execute(insert, host=host)
