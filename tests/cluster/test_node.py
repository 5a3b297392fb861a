"""One real node: its version and settings, its addresses, faults from the command line, the token, and keys."""

import ssl
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from eslab.cluster import Cluster, ClusterError
from eslab.cluster.certificates import PASSWORD, make_certificates, private_key
from eslab.cluster.cli import app
from eslab.cluster.jars import cassandra_version
from eslab.cluster.runtime import find_java

on_cassandra = [pytest.mark.cassandra, pytest.mark.timeout(600)]


def command(*args: str) -> str:
    """The output of `eslab cluster ...`."""
    result = CliRunner().invoke(app, list(args), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def one(cluster: Cluster, query: str, region: str | None = None) -> Any:
    """The first row of an answer."""
    with cluster.session(region) as session:
        return session.execute(query).one()


class TestOneNode:
    """Tests that share one node, started once."""

    pytestmark = on_cassandra

    def test_it_is_the_cassandra_that_the_lock_pins(self, node: Cluster) -> None:
        """In the data centre `us`, with the commit log in batch mode."""
        row = one(node, "SELECT release_version, data_center FROM system.local")
        assert row == (cassandra_version(), "us")
        setting = one(node, "SELECT value FROM system_views.settings WHERE name = 'commitlog_sync'")
        assert setting.value == "batch"

    def test_a_store_finds_it_by_its_url(self, node: Cluster) -> None:
        """Hosts, port, keyspace, data centre."""
        assert node.url("lab") == f"cassandra://{node.addresses('us')[0]}:{node.port}/lab?dc=us"
        assert node.regions == {"us": 1}

    def test_status_shows_state_memory_and_address(self, node: Cluster) -> None:
        """As an object, and printed."""
        (only,) = node.status().nodes
        assert (only.name, only.state, only.cql) == ("us/1", "up", f"{node.addresses()[0]}:{node.port}")
        assert 200e6 < only.memory < 2e9
        assert only.cql in str(node.status()) and f"pid {only.pid}" in str(node.status())

    def test_what_java_unpacks_stays_in_the_nodes_folder(self, node: Cluster) -> None:
        """The next start removes it, even after kill -9."""
        folder = node.folder / node.plan.nodes[0].folder / "tmp"
        assert any(path.suffix == ".so" for path in folder.iterdir())

    def test_a_second_start_finds_what_runs(self, node: Cluster) -> None:
        """Same process, and it goes on when the second block ends."""
        with Cluster.start(name=node.name) as again:
            assert again.status().nodes[0].pid == node.status().nodes[0].pid
        assert node.status().nodes[0].state == "up"

    @pytest.mark.parametrize(
        ("regions", "options", "message"),
        [
            ("us,eu", {}, "made with the regions us and can't be started with us,eu"),
            ("us", {"heap": "1g"}, "heap='512m', not '1g'"),
        ],
    )
    def test_a_second_start_that_asks_for_something_else_is_refused(
        self, node: Cluster, regions: str, options: dict[str, Any], message: str
    ) -> None:
        """The cluster stays as it is."""
        with pytest.raises(ClusterError, match=message):
            Cluster.start(regions, node.name, **options)
        assert len(node.status().owners) == 1

    def test_one_node_has_no_link_to_cut(self, node: Cluster) -> None:
        """The message says so."""
        with pytest.raises(ClusterError, match="there is no link between them"):
            node.cut("us")

    def test_the_commands_do_as_the_api(self, node: Cluster) -> None:
        """status, freeze, thaw, logs."""
        assert f"Cluster {node.name}: us, running" in command("status", "--name", node.name)
        command("freeze", "us", "--name", node.name)
        assert "frozen" in command("status", "--name", node.name)
        command("thaw", "us/1", "--name", node.name)
        assert node.status().nodes[0].state == "up"
        assert len(command("logs", "us", "-n", "3", "--name", node.name).splitlines()) >= 3

    def test_only_orders_with_the_token_are_obeyed(self, node: Cluster) -> None:
        """Another user of this machine gets no answer."""
        from eslab.cluster import control

        address = control.find_supervisor(node.folder)
        assert address and control.address_file(node.folder).stat().st_mode & 0o077 == 0
        stranger = control.Order("stop", token="guess")
        assert control.exchange(address.port, stranger) == b""


def test_a_name_that_nobody_started_is_refused(home: Path) -> None:
    """The message shows the command that starts it."""
    with pytest.raises(ClusterError, match="eslab cluster start --name nowhere"):
        Cluster.find("nowhere")
    assert "There is no cluster" in command("status")


def test_the_keys_of_a_cluster_fit_each_other(tmp_path: Path) -> None:
    """keytool made them, and Python's ssl takes them: the client's key belongs to its certificate."""
    make_certificates(tmp_path, ["127.64.0.1", "127.64.0.2"], find_java())
    context = ssl.create_default_context(cafile=tmp_path / "ca.pem")
    context.load_cert_chain(tmp_path / "client.pem", tmp_path / "client-key.pem")
    assert (tmp_path / "client-key.pem").stat().st_mode & 0o077 == 0
    (certificate,) = context.get_ca_certs()
    assert dict(entry for part in certificate["subject"] for entry in part) == {"commonName": "eslab node"}
    keystore = (tmp_path / "client.jks").read_bytes()
    assert private_key(keystore, PASSWORD)[0] == 0x30
    with pytest.raises(ValueError, match="doesn't open the key"):
        private_key(keystore, "wrong")
    with pytest.raises(ValueError, match="Expected a JKS keystore"):
        private_key(b"PK", PASSWORD)
