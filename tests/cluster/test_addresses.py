"""Loopback addresses: a range for each cluster, one address on systems that have no more."""

import socket
import sys

import pytest

from eslab.cluster import NoAddress
from eslab.cluster.addresses import alias_command, check_free, place_nodes

ELSEWHERE = ["203.0.113"]  # for documentation, so no machine has it


def test_nodes_get_two_addresses_each() -> None:
    """Nodes and clients use one; the node itself listens on the other, behind the relay."""
    nodes = place_nodes({"us": 2, "eu": 1}, taken=[], ranges=["127.99.1"])
    assert [(node.name, node.host, node.inside) for node in nodes] == [
        ("us/1", "127.99.1.1", "127.99.1.101"),
        ("us/2", "127.99.1.2", "127.99.1.102"),
        ("eu/1", "127.99.1.3", "127.99.1.103"),
    ]


def test_a_range_that_is_taken_or_in_use_is_passed_over() -> None:
    """A stopped cluster keeps its range, because its data refers to it; a program that listens there blocks it."""
    with socket.create_server(("127.99.2.1", 9042)):
        nodes = place_nodes({"us": 1}, taken=["127.99.1.1"], ranges=["127.99.1", "127.99.2", "127.99.3"])
        assert nodes[0].host == "127.99.3.1"
        with pytest.raises(NoAddress, match=r"127.99.2.\* and 127.99.2.\*"):
            place_nodes({"us": 1}, taken=[], ranges=["127.99.2"])


def test_a_port_that_somebody_took_meanwhile_is_named() -> None:
    """A cluster that starts again can only have its own addresses."""
    nodes = place_nodes({"us": 1}, taken=[], ranges=["127.99.4"])
    with (
        socket.create_server(("127.99.4.1", 7000)),
        pytest.raises(NoAddress, match=r"127\.99\.4\.1:7000 free for node us/1"),
    ):
        check_free(nodes)


def test_one_node_runs_where_there_is_one_address() -> None:
    """On free ports of 127.0.0.1, and without a relay."""
    (node,) = place_nodes({"us": 1}, taken=[], ranges=ELSEWHERE)
    assert node.host == node.inside == "127.0.0.1"
    assert len({node.cql_port, node.storage_port, 9042, 7000}) == 4


def test_several_nodes_need_addresses_and_the_message_is_the_command() -> None:
    """It adds all addresses that are needed."""
    with pytest.raises(NoAddress, match=r"for a in 203.0.113.1 203.0.113.2 203.0.113.101 203.0.113.102; do sudo "):
        place_nodes({"us": 2}, taken=[], ranges=ELSEWHERE)


def test_the_command_is_that_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """macOS has another command than Linux."""
    monkeypatch.setattr(sys, "platform", "darwin")
    assert alias_command(["127.64.0.1"]) == "for a in 127.64.0.1; do sudo ifconfig lo0 alias $a up; done"
