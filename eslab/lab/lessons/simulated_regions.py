"""Lesson 08: the three regions in a virtual world, on a simulated Cassandra."""

from collections.abc import Callable, Mapping
from typing import Any

from eslab import EventStore
from eslab.faults.choices import Choices
from eslab.faults.simulation.driver import open_simulated
from eslab.faults.simulation.parted import PartedCluster
from eslab.faults.simulation.world import World
from eslab.lab.lessons.regions import NAMES, Regions
from eslab.lab.session import START

PAGE = 500  # rows in a page of the simulated store


class SimulatedRegions(Regions):
    """Regions in a virtual world: the unchanged service and Cassandra store, above a simulated Cassandra.

    Time passes only when something waits for it, so hours cost nothing, and every run is the same.
    """

    where = "the simulator"

    def __init__(self, seed: int = 7) -> None:
        super().__init__(seed)
        self.world = World(Choices("", {}), START)
        self.cluster = PartedCluster(self.world)
        self.clock = self.world.clock()
        self._stores = {
            region: open_simulated(self.world, self.cluster, region, self.clock, page=PAGE) for region in NAMES
        }

    @property
    def now(self) -> float:
        return self.world.now

    def store(self, region: str) -> EventStore:
        return self._stores[region]

    def wait(self, seconds: float) -> None:
        passed: list[bool] = []
        self.world.after(seconds, lambda: passed.append(True))
        self.world.run(until=lambda: bool(passed))

    def at_once(self, calls: Mapping[str, Callable[[], Any]]) -> dict[str, Any]:
        processes = {name: self.world.spawn(name, call) for name, call in calls.items()}
        return {name: process.ended.wait() for name, process in processes.items()}

    def kill(self, region: str) -> None:
        """Kill a region's node; its rows are on its disk, but the hints that it kept in memory are gone."""
        self.cluster.kill(region)

    def revive(self, region: str) -> None:
        """Start a killed node again."""
        self.cluster.revive(region)

    def lose(self, region: str) -> None:
        """Lose a region with its disk, for good."""
        self.cluster.lose(region)

    def close(self) -> None:
        self.world.close()

    def _do(self, fault: str, *regions: str) -> None:
        cluster = self.cluster
        {"cut": cluster.cut, "heal": cluster.mend, "freeze": cluster.freeze_region, "thaw": cluster.thaw_region}[fault](
            *regions
        )
