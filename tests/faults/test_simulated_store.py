"""The Cassandra store above a simulated Cassandra keeps the contract of every store: so the simulation is true to it.

The tests are those of tests/stores; the ones with threads are left out, since the virtual world has processes instead.
"""

from collections.abc import Callable

import pytest

from eslab import EventStore
from eslab.faults.choices import Choices
from eslab.faults.cluster import Cluster, Network
from eslab.faults.driver import open_simulated
from eslab.faults.world import World
from eslab.stores.cassandra import CassandraStore
from tests.stores.test_contract import *  # noqa: F403 - the tests
from tests.support.sample import START


@pytest.fixture(params=[{"us": 1}, {"us": 3}, {"us": 1, "eu": 1, "asia": 1}], ids=["one", "three", "regions"])
def open_new(request: pytest.FixtureRequest) -> Callable[[], EventStore]:
    """Opens a new, empty cluster and a store of its first region."""

    def open_one() -> CassandraStore:
        world = World(Choices("", {}), START)
        cluster = Cluster(world, request.param, {}, Network())
        return open_simulated(world, cluster, "us", world.clock(), page=500)

    return open_one
