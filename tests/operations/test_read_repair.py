"""`eslab repair` reads all rows at ALL, after which every region holds the same (G2, G4)."""

from contextlib import closing
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from eslab import EventStore, ManualClock, StoreUnavailable, open_store
from eslab.cli import app
from eslab.faults.choices import Choices
from eslab.faults.simulation.cluster import Cluster, Network
from eslab.faults.simulation.driver import open_simulated
from eslab.faults.simulation.world import World
from eslab.operations.cli import jobs_on
from eslab.operations.read_repair import has_replicas, repair
from eslab.operations.walk import Walked
from eslab.store import Consistency
from tests.conftest import alone
from tests.operations.test_walk import FaultyCustomers
from tests.support.sample import LAYOUTS, SHELF, START, Counter, Faulty, at, everything, fill, new_url, row, snapshot

CLOCK = ManualClock(START)
REGIONS = ("us", "eu", "asia")


def apart() -> tuple[Cluster, dict[str, EventStore]]:
    """Three regions with a replica each; what two of them wrote while they were parted reached nobody else."""
    network = Network(hints_lost=1.0)
    world = World(Choices(seed=1), START)
    cluster = Cluster(world, dict.fromkeys(REGIONS, 1), {}, network)
    stores: dict[str, EventStore] = {
        region: open_simulated(world, cluster, region, world.clock()) for region in REGIONS
    }
    for customer in "ann", "bob":  # the simulated Cassandra lists the customers that one region knows
        stores["us"].append(customer, [row(20)], Consistency.EVERYWHERE)
    network.cut.update(map(frozenset, combinations(REGIONS, 2)))
    fill(stores["us"], 5)
    fill(stores["eu"], 3, customer="bob")
    stores["asia"].append("ann", [row(9, id="license:a")])
    cluster.heal()
    return cluster, stores


def test_G4_after_a_repair_all_regions_hold_the_same() -> None:
    """Nobody else asked for these rows, and no hint brought them."""
    _, stores = apart()
    before = [everything(store) for store in stores.values()]
    assert before[0] != before[1] != before[2]
    assert repair(stores["eu"], CLOCK) == Walked(2, (2 + 5 + 1 + 1) + (1 + 3 + 1))
    after = [everything(store) for store in stores.values()]
    assert [len(rows) for _, rows in after[0].values()] == [6, 1]
    assert after[0] == after[1] == after[2]
    assert everything(stores["us"], "bob") == everything(stores["asia"], "bob")


def test_G2_while_a_replica_is_away_nothing_is_called_repaired() -> None:
    """The walk ends, and is run again when it is back."""
    cluster, stores = apart()
    cluster.freeze(cluster.replicas[-1])
    with pytest.raises(StoreUnavailable):
        repair(stores["us"], CLOCK)
    cluster.thaw(cluster.replicas[-1])
    assert repair(stores["us"], CLOCK).customers == 2


@alone
def test_every_row_of_a_customer_is_read(store: EventStore) -> None:
    """Directory, snapshots, commits without an entry too, and the rows in the customer's read tables."""
    fill(store, 5)
    store.save_snapshot("ann", "counter:1", snapshot(at(2), Counter(), 3), START)
    store.make_read_tables(LAYOUTS)
    store.append("bob", [row(1)])
    assert repair(store, CLOCK, LAYOUTS) == Walked(2, 7 + 2)
    assert repair(store, CLOCK, [SHELF], customer_id="ann") == Walked(1, 7)


def test_everything_is_read_at_all() -> None:
    """The list of customers too: a first append that nobody confirmed may be on a single replica."""
    store = open_store("memory:")
    fill(store, 5)
    faulty: Any = FaultyCustomers(store)
    repair(faulty, CLOCK)
    assert faulty.calls == [("customers", Consistency.ALL), ("rows_many", Consistency.ALL)]


@alone
def test_a_repair_that_was_killed_resumes(store: EventStore) -> None:
    """At its checkpoint."""
    for number in range(60):
        store.append(f"customer {number:02}", [row(1)])
    left = iter(range(55))

    def die(rows: int) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        repair(Faulty(store), CLOCK, (), die)  # type: ignore[arg-type]
    assert repair(store, CLOCK) == Walked(10, 20)


def test_a_store_with_one_copy_of_each_row_says_so(tmp_path: Path) -> None:
    """Exit code 0: there is nothing to repair."""
    url = new_url("sqlite", tmp_path)
    with closing(open_store(url)) as store:
        fill(store, 1)
        assert not has_replicas(store)
    done = CliRunner().invoke(app, ["repair", "--store", url, "--all"])
    assert (done.exit_code, done.output) == (
        0,
        f"Nothing to repair: {url.removeprefix('sqlite:///')} keeps one copy of each row.\n",
    )
    assert has_replicas(apart()[1]["us"])


def test_a_walk_over_a_network_has_several_threads_by_default(tmp_path: Path) -> None:
    """Most of its time is a wait; on this machine the threads would share one processor."""
    with closing(open_store(new_url("sqlite", tmp_path))) as store:
        assert (jobs_on(store, None), jobs_on(store, 3)) == (1, 3)
    assert (jobs_on(apart()[1]["us"], None), jobs_on(apart()[1]["us"], 1)) == (8, 1)
