"""Regions that a person parts by hand: links as long as real ones, cut and healed one by one; hints that can die.

The search (`story`) draws its faults; here each one is an order, and nothing is left to chance. What becomes of hints
is as it was seen on real nodes (docs/cluster.md, "What hints bring, and what they don't").
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar

from eslab.faults.simulation.cluster import NEAR, Cluster, Mutation, Network
from eslab.faults.simulation.replica import Replica
from eslab.faults.simulation.world import World

Found = TypeVar("Found")
ROUND_TRIPS = {("us", "eu"): 0.080, ("us", "asia"): 0.150, ("eu", "asia"): 0.230}  # seconds; the last one by way of us
HINTS_AFTER = 10.0  # seconds from the end of a fault until hints are delivered
HINTS_ON_DISK_AFTER = 10.0  # seconds for which a hint is in memory only
HINT_WINDOW = 3 * 3600.0  # seconds for which hints are kept for a region that doesn't answer


class Hint(NamedTuple):
    """A write that a region missed, kept by the coordinator that sent it."""

    made: float  # the second of the world
    by: str  # the coordinator's region
    replica: Replica
    mutation: Mutation


class PartedCluster(Cluster):
    """Regions of one replica each, with a coordinator in each."""

    def __init__(self, world: World, round_trips: Mapping[tuple[str, str], float] = ROUND_TRIPS) -> None:
        """`round_trips` has the seconds to another region and back, for each pair of regions."""
        regions = dict.fromkeys((region for pair in round_trips for region in pair), 1)
        super().__init__(world, regions, {}, Network())
        self.hint_window = HINT_WINDOW
        self.dead: set[str] = set()
        self.dropped = 0  # hints that nobody keeps any more
        self._ways = {frozenset(pair): seconds / 2 for pair, seconds in round_trips.items()}
        self._kept: list[Hint] = []
        self._silent_since: dict[frozenset[str], float] = {}

    @property
    def hints(self) -> int:
        """The hints that wait for their region."""
        return len(self._kept)

    def replica(self, region: str) -> Replica:
        """The replica of a region."""
        return next(replica for replica in self.replicas if replica.region == region)

    def cut(self, one: str, other: str) -> None:
        """Drop what two regions send each other, until the link is mended. What is on its way arrives."""
        self.network.cut.add(frozenset((one, other)))

    def mend(self, one: str, other: str) -> None:
        """Connect two regions again; hints follow after 10 s."""
        self.network.cut.discard(frozenset((one, other)))
        self.world.after(HINTS_AFTER, self._deliver_hints)

    def freeze_region(self, region: str) -> None:
        """Let a region answer nothing; what others send it meanwhile becomes a hint, as on nodes after 2 s."""
        self.freeze(self.replica(region))

    def thaw_region(self, region: str) -> None:
        """Let a region go on; hints follow after 10 s."""
        self.thaw(self.replica(region))
        self.world.after(HINTS_AFTER, self._deliver_hints)

    def kill(self, region: str) -> None:
        """Kill a region's node: its rows are on its disk, but the hints that it kept in memory are gone."""
        self.dead.add(region)
        young = self.world.now - HINTS_ON_DISK_AFTER
        self._forget(lambda hint: hint.by == region and hint.made > young)

    def revive(self, region: str) -> None:
        """Start a killed node again with what is on its disk; hints follow after 10 s."""
        self.dead.discard(region)
        self.world.after(HINTS_AFTER, self._deliver_hints)

    def lose(self, region: str) -> None:
        """Lose a region for good, with its disk: its rows, and all the hints that it kept."""
        self.dead.add(region)
        self._forget(lambda hint: hint.by == region)

    def ask(
        self,
        region: str,
        replica: Replica,
        look: Callable[[Replica], Found],
        receive: Callable[[Replica, Found], None],
    ) -> None:
        """Let a coordinator ask a replica something, with the delays and the faults of a read."""
        self._ask(region, replica, look, receive)  # type: ignore[arg-type] - a read's answer is passed on as it is

    def _send(self, source: str, target: str, arrive: Callable[[], None], replica: Replica | None = None) -> bool:
        frozen = source != target and (self.replica(source).frozen or self.replica(target).frozen)
        if frozen or source in self.dead or target in self.dead:
            return False
        return super()._send(source, target, arrive, replica)

    def _way(self, source: str, target: str) -> float:
        return NEAR if source == target else self._ways[frozenset((source, target))]

    def _keep_hint(self, region: str, replica: Replica, mutation: Mutation) -> None:
        link = frozenset((region, replica.region))
        since = self._silent_since.setdefault(link, self.world.now)
        if region in self.dead or self.world.now - since > self.hint_window:
            self.dropped += 1
        else:
            self._kept.append(Hint(self.world.now, region, replica, mutation))

    def _forget(self, is_gone: Callable[[Hint], bool]) -> None:
        left = [hint for hint in self._kept if not is_gone(hint)]
        self.dropped += len(self._kept) - len(left)
        self._kept = left

    def _deliver_hints(self) -> None:
        """Send every hint whose way is open; those whose way isn't wait on."""
        hints, self._kept = self._kept, []
        for hint in hints:
            arrive = lambda hint=hint: hint.replica.apply(hint.mutation)  # noqa: E731
            if self._send(hint.by, hint.replica.region, arrive, hint.replica):
                self._silent_since.pop(frozenset((hint.by, hint.replica.region)), None)
            else:
                self._kept.append(hint)
