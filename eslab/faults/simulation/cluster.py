"""Cassandra in the virtual world: regions of replicas, links that delay, lose and are cut, hints, consistency levels.

A write goes to every replica; the coordinator answers when as many as the level asks for have written. What a replica
misses is kept as a hint, which arrives when the link is back, unless it gets lost. A read asks every replica, takes
the first answers that satisfy the level, merges them cell by cell, and repairs the replicas that gave them before it
answers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cassandra import ConsistencyLevel, ReadTimeout, WriteTimeout, WriteType

from eslab.clock import to_ms
from eslab.faults.simulation.cql import Cut, Key, Put, Query
from eslab.faults.simulation.replica import Partition, Replica, Row, selected
from eslab.faults.simulation.world import Answer, World

NEAR = 0.0005  # seconds one way within a region
FAR = 0.04  # and between two
LATE = (0.0, 0.0, 0.0, 0.002, 0.02, 0.3, 3.0)  # seconds that one message may be late by
SERVER_TIMEOUT = 2.0  # seconds until a coordinator gives up
Mutation = Sequence[Put | Cut]


@dataclass
class Network:
    """The faults that the links have in a schedule: chances by message, and the links that are cut now."""

    late: float = 0.0  # the chance that a message is late
    lost: float = 0.0  # the chance that a message is lost
    hints_lost: float = 0.0  # the chance that a hint is never delivered
    cut: set[frozenset[str]] = field(default_factory=set)  # pairs of regions


class Cluster:
    """Regions of replicas, and a coordinator in each region."""

    def __init__(self, world: World, regions: Mapping[str, int], skews: Mapping[str, float], network: Network) -> None:
        """`regions` says how many replicas each has; `skews` by how many seconds its coordinators' clocks are wrong."""
        self.world = world
        self.network = network
        self.replicas = [Replica(f"{region}{i}", region) for region, size in regions.items() for i in range(size)]
        self.regions = dict(regions)
        self.checkpoints: dict[str, str] = {}  # one copy for all regions: no schedule is about them
        self._skews = skews
        self._start = to_ms(world.start) * 1000
        self._choices = world.choices.stream("network")
        self._hints: list[tuple[str, Replica, Mutation]] = []

    def server_time(self, region: str) -> int:
        """The time of a region's coordinators in microseconds, which stamps writes that bring no time of their own."""
        return self._start + round((self.world.now + self._skews.get(region, 0.0)) * 1e6)

    def write(self, region: str, mutation: Mutation, level: int) -> Answer[list[Row]]:
        """Send a mutation to all replicas; the answer is empty, or `WriteTimeout`: it may have been written."""
        answer: Answer[list[Row]] = Answer(self.world)
        waits_for = self._needed(level, region)

        def acknowledge(replica: Replica) -> None:
            if waits_for.no_more(replica.region):
                answer.give([])

        for replica in self.replicas:
            self._deliver(region, replica, mutation, lambda replica=replica: acknowledge(replica))
        self._limit(answer, lambda: WriteTimeout("simulated", consistency=level, write_type=WriteType.SIMPLE))
        return answer

    def read(self, region: str, query: Query, level: int) -> Answer[list[tuple[Key, Row]]]:
        """Select rows; the answer has a page of them with their keys, or is `ReadTimeout`."""
        answer: Answer[list[tuple[Key, Row]]] = Answer(self.world)
        came: list[tuple[Replica, Partition]] = []
        waits_for = self._needed(level, region)

        def look(replica: Replica) -> Partition | None:
            return None if waits_for.done else replica.answer(query)

        def receive(replica: Replica, found: Partition | None) -> None:
            if waits_for.done or found is None:
                return
            came.append((replica, found))
            if waits_for.no_more(replica.region):
                merged, patience = self._repaired(region, query, came)
                rows = selected(query, merged, self.world.now)
                self.world.after(patience, lambda: answer.give(rows))

        for replica in self.replicas:
            self._ask(region, replica, look, receive)
        self._limit(answer, lambda: ReadTimeout("simulated", consistency=level))
        return answer

    def list_partitions(self, region: str, query: Query) -> list[tuple[Key, Row]]:
        """The partition keys that one replica of the region knows, in a stable order."""
        replica = next(one for one in self.replicas if one.region == region)
        known = (key for table, key in replica.known() if table == query.table.name)
        keys = sorted(key for key in known if key > query.after)
        return [(key, tuple(part.decode() if isinstance(part, bytes) else part for part in key)) for key in keys]

    def truncate(self, table: str) -> None:
        """Forget all rows of a table, everywhere at once."""
        for replica in self.replicas:
            replica.truncate(table)

    def heal(self) -> None:
        """Mend all links and replicas; hints that weren't lost are delivered now."""
        self.network.cut.clear()
        for replica in self.replicas:
            self.thaw(replica)
        hints, self._hints = self._hints, []
        for _, replica, mutation in hints:
            replica.apply(mutation)

    def repair(self) -> None:
        """Make all replicas equal, as a read of every partition at ALL does."""
        for table, key in {(name, key) for replica in self.replicas for name, key in replica.known()}:
            merged = Partition()
            for replica in self.replicas:
                merged.merge(replica.partition(table, key))
            for replica in self.replicas:
                replica.partition(table, key).merge(merged)

    def freeze(self, replica: Replica) -> None:
        """Stop a replica in mid-work: it answers nothing until it thaws, and then does what has arrived meanwhile."""
        replica.frozen = True

    def thaw(self, replica: Replica) -> None:
        """Let a replica go on."""
        replica.frozen = False
        waiting, replica.waiting = replica.waiting, []
        for call in waiting:
            call()

    def _limit(self, answer: Answer[Any], error: Callable[[], Exception]) -> None:
        def give_up() -> None:
            if not answer.done:
                answer.fail(error())

        self.world.after(SERVER_TIMEOUT, give_up)

    def _deliver(self, region: str, replica: Replica, mutation: Mutation, acknowledge: Callable[[], None]) -> None:
        def arrive() -> None:
            replica.apply(mutation)
            self._send(replica.region, region, acknowledge)

        sent = self._send(region, replica.region, arrive, replica)
        if not sent and not self._choices.chance(self.network.hints_lost):
            self._keep_hint(region, replica, mutation)

    def _keep_hint(self, region: str, replica: Replica, mutation: Mutation) -> None:
        self._hints.append((region, replica, mutation))

    def _ask(
        self,
        region: str,
        replica: Replica,
        look: Callable[[Replica], Partition | None],
        receive: Callable[[Replica, Partition | None], None],
    ) -> None:
        def arrive() -> None:
            found = look(replica)
            self._send(replica.region, region, lambda: receive(replica, found))

        self._send(region, replica.region, arrive, replica)

    def _send(self, source: str, target: str, arrive: Callable[[], None], replica: Replica | None = None) -> bool:
        """Send a message; False if it is lost, or the link is cut."""
        network = self.network
        is_cut = network.cut and frozenset((source, target)) in network.cut
        if is_cut or (network.lost and self._choices.chance(network.lost)):
            self.world.meet("messages lost")
            return False
        delay = self._way(source, target)
        if network.late and self._choices.chance(network.late):
            delay += self._choices.among(LATE)

        self.world.after(delay, arrive if replica is None else lambda: replica.take(arrive))
        return True

    def _way(self, source: str, target: str) -> float:
        """The seconds that a message takes one way."""
        return NEAR if source == target else FAR

    def _repaired(
        self, region: str, query: Query, came: Sequence[tuple[Replica, Partition]]
    ) -> tuple[Partition, float]:
        """The merged answer, and the seconds that it takes to write it to the replicas that didn't have all of it."""
        merged = Partition()
        for _, found in came:
            merged.merge(found)
        stale = [replica for replica, found in came if found != merged]
        for replica in stale:
            replica.partition(query.table.name, query.partition or ()).merge(merged)
        return merged, 2 * max((self._way(region, replica.region) for replica in stale), default=0.0)

    def _needed(self, level: int, region: str) -> "Needed":
        if level == ConsistencyLevel.LOCAL_QUORUM:
            return Needed({region: self.regions[region] // 2 + 1})
        if level == ConsistencyLevel.EACH_QUORUM:
            return Needed({name: size // 2 + 1 for name, size in self.regions.items()})
        everywhere = len(self.replicas)
        return Needed({}, everywhere if level == ConsistencyLevel.ALL else everywhere // 2 + 1)


class Needed:
    """The answers that a level still waits for: of some regions, or of any."""

    def __init__(self, of_regions: dict[str, int], of_any: int = 0) -> None:
        self.done = False
        self._of_regions = of_regions
        self._of_any = of_any

    def no_more(self, region: str) -> bool:
        """Count the answer of a replica in this region; are there enough?"""
        if self._of_any:
            self._of_any -= 1
            self.done = self.done or not self._of_any
        elif region in self._of_regions:
            self._of_regions[region] -= 1
            self.done = all(left <= 0 for left in self._of_regions.values())
        return self.done
