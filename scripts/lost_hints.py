"""Count the rows that no hint brings to a region after a fault, on three real regions under load.

    python scripts/lost_hints.py                                          every fault, a quarter of an hour
    python scripts/lost_hints.py "cut 30 s" "killed 25 s"                 only these
    python scripts/lost_hints.py --set max_hint_window=1s "cut 30 s"      with another setting of cassandra.yaml

Clients write at LOCAL_QUORUM in us and in eu, from 3 s before a fault until 3 s after it, and asia misses something. A
row counts as lost if it was acknowledged, and asia still lacks it when no row has come for 45 s. docs/cluster.md says
what was seen.
"""

import argparse
import time
from collections.abc import Callable
from threading import Event, Semaphore, Thread
from typing import Any

from cassandra import ConsistencyLevel, DriverException, OperationTimedOut
from cassandra.cluster import NoHostAvailable, Session
from cassandra.query import SimpleStatement

from eslab.cluster import Cluster

KEYSPACE = "CREATE KEYSPACE hints WITH replication = {'class': 'NetworkTopologyStrategy', 'us': 1, 'eu': 1, 'asia': 1}"
TABLE = "CREATE TABLE hints.written (fault text, number int, text text, PRIMARY KEY (fault, number))"
INSERT = "INSERT INTO hints.written (fault, number, text) VALUES (?, ?, ?)"
SELECT = "SELECT number FROM hints.written WHERE fault = %s"
IN_FLIGHT = 32  # writes of one region
QUIET = 45  # seconds without a new row after which no more is expected: hints are sent every 10 s
TEXT = "x" * 200


def cut(cluster: Cluster, seconds: float) -> None:
    """Cut the link from us to asia for a while."""
    cluster.cut("us", "asia")
    time.sleep(seconds)
    cluster.heal()


def freeze(cluster: Cluster, seconds: float) -> None:
    """Freeze asia for a while."""
    cluster.freeze("asia")
    time.sleep(seconds)
    cluster.thaw("asia")


def kill(cluster: Cluster, region: str, seconds: float) -> None:
    """Kill a region, and start it again after a while."""
    cluster.kill(region)
    time.sleep(seconds)
    cluster.revive(region)


def cut_and_kill(cluster: Cluster) -> None:
    """Cut the link for 30 s, and kill us before it heals."""
    cluster.cut("us", "asia")
    time.sleep(30)
    kill(cluster, "us", 3)
    cluster.heal()


def freeze_and_kill(cluster: Cluster) -> None:
    """Freeze asia for 8 s, too short to be marked down, and kill us 1 s after it thawed."""
    freeze(cluster, 8)
    time.sleep(1)
    kill(cluster, "us", 3)


FAULTS: dict[str, Callable[[Cluster], None]] = {
    "cut 4 s": lambda cluster: cut(cluster, 4),
    "cut 30 s": lambda cluster: cut(cluster, 30),
    "frozen 3 s": lambda cluster: freeze(cluster, 3),
    "frozen 8 s": lambda cluster: freeze(cluster, 8),
    "frozen 30 s": lambda cluster: freeze(cluster, 30),
    "killed for a moment": lambda cluster: kill(cluster, "asia", 0),
    "killed 25 s": lambda cluster: kill(cluster, "asia", 25),
    "cut 30 s, writer killed": cut_and_kill,
    "frozen 8 s, writer killed": freeze_and_kill,
}


class Load:
    """A client that writes up to 1,000 rows a second until it is ended; remembers which were acknowledged."""

    def __init__(self, session: Session, fault: str, first: int) -> None:
        self.acknowledged: set[int] = set()
        self._insert = session.prepare(INSERT)
        self._insert.consistency_level = ConsistencyLevel.LOCAL_QUORUM
        self._session = session
        self._fault = fault
        self._free = Semaphore(IN_FLIGHT)
        self._ending = Event()
        self._thread = Thread(target=self._write, args=(first,))
        self._thread.start()

    def end(self) -> None:
        """Write no more, and wait for the answers."""
        self._ending.set()
        self._thread.join()
        for _ in range(IN_FLIGHT):
            self._free.acquire()

    def _write(self, number: int) -> None:
        while not self._ending.is_set():
            self._free.acquire()
            future = self._session.execute_async(self._insert, (self._fault, number, TEXT), timeout=5)
            future.add_callbacks(lambda _, number=number: self._answered(number), lambda _: self._free.release())
            number += 1
            time.sleep(0.001)

    def _answered(self, number: int) -> None:
        self.acknowledged.add(number)
        self._free.release()


def held(cluster: Cluster, fault: str) -> set[int]:
    """The rows of asia's own replica; nobody else is asked."""
    select = SimpleStatement(SELECT, consistency_level=ConsistencyLevel.LOCAL_ONE)
    while True:
        try:
            with cluster.session("asia") as session:
                rows: Any = session.execute(select, (fault,), timeout=30)
                return {row.number for row in rows}
        except (DriverException, NoHostAvailable, OperationTimedOut):  # the node has just started
            time.sleep(1)


def lost(cluster: Cluster, fault: str, acknowledged: set[int]) -> int:
    """How many acknowledged rows asia lacks, when no more are coming."""
    missing, since = len(acknowledged), time.monotonic()
    while missing and time.monotonic() - since < QUIET:
        time.sleep(2)
        left = len(acknowledged - held(cluster, fault))
        if left < missing:
            missing, since = left, time.monotonic()
    return missing


def try_fault(cluster: Cluster, fault: str) -> str:
    """Cause one fault under load, and tell what it cost."""
    with cluster.session("us") as us, cluster.session("eu") as eu:
        loads = [Load(us, fault, 0), Load(eu, fault, 10**9)]
        time.sleep(3)
        FAULTS[fault](cluster)
        time.sleep(3)
        for load in loads:
            load.end()
    cluster.wait()
    acknowledged = loads[0].acknowledged | loads[1].acknowledged
    return f"{fault}: asia lacks {lost(cluster, fault, acknowledged):,} of {len(acknowledged):,} acknowledged rows"


def main() -> None:
    """Try the faults that are named, or all."""
    parser = argparse.ArgumentParser()
    parser.add_argument("faults", nargs="*", metavar="FAULT", help=", ".join(FAULTS))
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of cassandra.yaml")
    arguments = parser.parse_args()
    for fault in arguments.faults:
        if fault not in FAULTS:
            parser.error(f"expected faults among {', '.join(FAULTS)}, got {fault!r}")
    config = dict(setting.split("=", 1) for setting in arguments.set)
    with Cluster.start(regions="us,eu,asia", config=config) as cluster:
        with cluster.session("us") as us:
            us.execute(KEYSPACE)
            us.execute(TABLE)
        for fault in arguments.faults or FAULTS:
            print(try_fault(cluster, fault), flush=True)


if __name__ == "__main__":
    main()
