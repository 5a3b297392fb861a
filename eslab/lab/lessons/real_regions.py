"""Lesson 08: the same three regions on real Cassandra nodes, if a cluster of them runs on this machine."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from eslab import EventStore, open_store, system_clock
from eslab.lab import reader
from eslab.lab.emptying import make_empty
from eslab.lab.lessons.regions import NAMES, Regions

if TYPE_CHECKING:
    from eslab.cluster import Cluster

KEYSPACE = "lab_regions"
TIMEOUT = 4  # seconds until a region counts as silent
START = "eslab cluster start --regions us,eu,asia --keep"


class RealRegions(Regions):
    """Regions of real nodes, whose links and processes are broken and mended; time passes by itself."""

    def __init__(self, cluster: "Cluster", seed: int = 7) -> None:
        """Empties the lesson's keyspace."""
        super().__init__(seed)
        self.cluster = cluster
        self.where = f"real Cassandra nodes, cluster {cluster.name}"
        self.clock = system_clock
        self._began = time.monotonic()
        cluster.heal()
        for region in NAMES:
            cluster.thaw(region)
        urls = {region: f"{cluster.url(KEYSPACE, region)}&timeout={TIMEOUT}" for region in NAMES}
        self._stores = {region: open_store(url) for region, url in urls.items()}
        make_empty(self._stores[NAMES[0]], urls[NAMES[0]])
        self.service(NAMES[0])  # the first service shares its settings EVERYWHERE, which no region can do while parted

    @property
    def now(self) -> float:
        return time.monotonic() - self._began

    def store(self, region: str) -> EventStore:
        return self._stores[region]

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

    def at_once(self, calls: Mapping[str, Callable[[], Any]]) -> dict[str, Any]:
        with ThreadPoolExecutor(len(calls)) as threads:
            futures = {name: threads.submit(call) for name, call in calls.items()}
            return {name: future.result() for name, future in futures.items()}

    def close(self) -> None:
        """Mend everything; the cluster itself runs on."""
        self.heal_all()
        for store in self._stores.values():
            store.close()

    def _do(self, fault: str, *regions: str) -> None:
        getattr(self.cluster, fault)(*regions)


def running_cluster() -> "Cluster | None":
    """The first running cluster that the reader keeps and that has the three regions; None without one or a reader.

    Throw-away clusters belong to somebody's tests or lesson.
    """
    if not reader.is_reading():
        return None
    try:
        from eslab.cluster import Cluster
    except ImportError:
        return None
    kept = (cluster for cluster in Cluster.find_all() if not cluster.plan.throwaway)
    found = (cluster for cluster in kept if sorted(cluster.regions) == sorted(NAMES))
    return next((cluster for cluster in found if cluster.is_running), None)
