"""The Cassandra store above a simulated Cassandra keeps the contract of every store: so the simulation is true to it.

The tests are those of tests/stores. Left out are those with threads, since the virtual world has processes instead, and
those with logs of thousands of rows, which take long here.
"""

import re
from collections.abc import Callable
from typing import Any

import pytest

from eslab import EventStore
from eslab.faults.choices import Choices
from eslab.faults.simulation.cluster import Cluster, Network
from eslab.faults.simulation.driver import open_simulated
from eslab.faults.simulation.world import World
from eslab.stores.cassandra import CassandraStore
from tests.stores import test_contract
from tests.support.sample import START

LEFT_OUT = re.compile("thread|closing_amid|pages|a_page|between_its_rows|many_aggregates|replace")
globals().update({
    name: test
    for name, test in vars(test_contract).items()
    if name.startswith("test_") and not LEFT_OUT.search(name)
})  # fmt: skip


@pytest.fixture(params=[{"us": 1}, {"us": 3}, {"us": 1, "eu": 1, "asia": 1}], ids=["one", "three", "regions"])
def open_new(request: pytest.FixtureRequest) -> Callable[[], EventStore]:
    """Opens a new, empty cluster and a store of its first region."""

    def open_one() -> CassandraStore:
        world = World(Choices("", {}), START)
        cluster = Cluster(world, request.param, {}, Network())
        return open_simulated(world, cluster, "us", world.clock(), page=500)

    return open_one


@pytest.fixture
def store(open_new: Any) -> EventStore:
    """A new store."""
    return open_new()
