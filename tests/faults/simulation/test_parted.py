"""Regions that are parted by hand: links have their lengths, and hints come, die, or are never kept."""

import pytest

from eslab.faults.choices import Choices
from eslab.faults.simulation.driver import open_simulated
from eslab.faults.simulation.parted import PartedCluster
from eslab.faults.simulation.world import World
from eslab.store import Consistency
from tests.support.sample import START, row


class Parted:
    """Three regions, with a store in each."""

    def __init__(self) -> None:
        self.world = World(Choices("", {}), START)
        self.cluster = PartedCluster(self.world)
        clock = self.world.clock()
        self.stores = {name: open_simulated(self.world, self.cluster, name, clock) for name in self.cluster.regions}

    def append(self, region: str = "us", level: Consistency = Consistency.LOCAL) -> float:
        """Append a row; the milliseconds that it took."""
        began = self.world.now
        self.stores[region].append("ann", [row()], level)
        return round(1000 * (self.world.now - began))

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        passed: list[bool] = []
        self.world.after(seconds, lambda: passed.append(True))
        self.world.run(until=lambda: bool(passed))

    def rows(self, region: str) -> int:
        """The rows that a region shows."""
        return len(list(self.stores[region].rows("ann", row().aggregate_id)))


@pytest.fixture
def parted() -> Parted:
    """Three regions whose links are open."""
    return Parted()


@pytest.mark.parametrize(
    ("region", "local", "quorum", "everywhere"), [("us", 1, 80, 150), ("eu", 1, 80, 230), ("asia", 1, 150, 230)]
)
def test_an_answer_takes_the_round_trip_of_the_level(
    parted: Parted, region: str, local: int, quorum: int, everywhere: int
) -> None:
    """Of a majority here, of a majority of all, and of the farthest region."""
    levels = (Consistency.LOCAL, Consistency.QUORUM, Consistency.EVERYWHERE)
    assert [parted.append(region, level) for level in levels] == [local, quorum, everywhere]


@pytest.mark.parametrize("fault", ["cut", "freeze", "kill"])
def test_hints_follow_ten_seconds_after_a_fault(parted: Parted, fault: str) -> None:
    """Whatever kept the region from hearing."""
    cluster = parted.cluster
    begin, end = {
        "cut": (lambda: cluster.cut("us", "asia"), lambda: cluster.mend("us", "asia")),
        "freeze": (lambda: cluster.freeze_region("asia"), lambda: cluster.thaw_region("asia")),
        "kill": (lambda: cluster.kill("asia"), lambda: cluster.revive("asia")),
    }[fault]
    begin()
    parted.append()
    assert cluster.hints == 1
    end()
    parted.wait(9)
    assert parted.rows("asia") == 0
    parted.wait(2)
    assert (parted.rows("asia"), cluster.hints) == (1, 0)


def test_a_cut_link_leaves_the_others_open(parted: Parted) -> None:
    """Hints for a link that is still cut wait on."""
    parted.cluster.cut("us", "asia")
    parted.cluster.cut("us", "eu")
    parted.append()
    parted.cluster.mend("us", "eu")
    parted.wait(11)
    assert (parted.rows("eu"), parted.rows("asia"), parted.cluster.hints) == (1, 0, 1)


@pytest.mark.parametrize(("age", "left"), [(5, 0), (15, 1)])
def test_a_kill_loses_the_hints_of_the_last_ten_seconds(parted: Parted, age: float, left: int) -> None:
    """Older ones are on the disk of the node that keeps them."""
    parted.cluster.cut("us", "asia")
    parted.append()
    parted.wait(age)
    parted.cluster.kill("us")
    parted.cluster.mend("us", "asia")
    parted.cluster.revive("us")
    parted.wait(11)
    assert (parted.rows("us"), parted.rows("asia"), parted.cluster.dropped) == (1, left, 1 - left)


def test_no_hint_is_kept_beyond_the_window(parted: Parted) -> None:
    """It begins with the first write that is missed, and anew after hints were delivered."""
    parted.cluster.hint_window = 5
    parted.cluster.cut("us", "asia")
    for _ in range(2):
        parted.append()
        parted.wait(6)
    assert (parted.cluster.hints, parted.cluster.dropped) == (1, 1)
    parted.cluster.mend("us", "asia")
    parted.wait(11)
    parted.cluster.cut("us", "asia")
    parted.append()
    assert parted.cluster.hints == 1


def test_a_region_that_is_lost_takes_its_hints_with_it(parted: Parted) -> None:
    """What it had not sent is nowhere."""
    parted.cluster.cut("us", "asia")
    parted.cluster.cut("us", "eu")
    parted.append()
    parted.cluster.lose("us")
    parted.cluster.mend("us", "asia")
    parted.cluster.mend("us", "eu")
    parted.wait(60)
    assert (parted.rows("eu"), parted.rows("asia"), parted.cluster.dropped) == (0, 0, 2)
