"""A story: what happens in one schedule. Every detail is a choice, so a seed is a story and a story can be replayed.

Some requests are counted long before; then clients send requests, late or repeated or twice at once, while keepers
build snapshots, raise floors and delete events, links are cut, nodes freeze, and processes pause and die. In the end
everything is mended and made equal, and the services of all regions are asked once more; code that loads fewer
aggregates repeats a request; and a row is copied to a place where nobody may believe it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import NamedTuple

from eslab.aggregate import SnapshotPolicy
from eslab.bounds import TimeBounds
from eslab.clock import Clock
from eslab.errors import OutOfTime
from eslab.faults.choices import Choices, Stream
from eslab.faults.history import History, Operation
from eslab.faults.simulation.cluster import Cluster, Network
from eslab.faults.simulation.driver import open_simulated
from eslab.faults.simulation.stepwise import Stepwise
from eslab.faults.simulation.world import World
from eslab.faults.tally import Count, Tallies, Tally
from eslab.hydration_cache import HydrationCache
from eslab.operations.full_audit import audit_customer
from eslab.operations.retention import rotate
from eslab.operations.snapshots import build_snapshot
from eslab.payload.encryption import NO_CIPHER
from eslab.repository import Repository
from eslab.request import Request, time_of
from eslab.snapshot import Candidates, Validity
from eslab.store import EventStore
from eslab.stores.memory import MemoryStore

START = datetime(2026, 1, 5, 9, tzinfo=UTC)
CUSTOMER = "ann"
SECOND = timedelta(seconds=1)
BOUNDS = TimeBounds(
    late=60 * SECOND, early=5 * SECOND, skew=2 * SECOND, append=10 * SECOND, fold_after=80 * SECOND, grace=20 * SECOND
)
Topologies = tuple[Mapping[str, int], ...]
FILE: Mapping[str, int] = {"file": 0}  # one store without a network, each call a step
CLUSTERS: Topologies = (
    {"us": 1},
    {"us": 1, "eu": 1},
    {"us": 3},
    {"us": 1, "eu": 1, "asia": 1},
    {"us": 3, "eu": 3},
)
ALL: Topologies = (*[FILE] * 4, *CLUSTERS)  # a story without a network costs least
SKEWS = (0.0, 0.9, -0.9)  # seconds: two clocks differ by at most S
LENGTHS = (0.5, 5.0, 12.0, 25.0, 90.0)  # of pauses: below and above P, H and W
AGES = (0.0, 0.0, 1.0, 30.0, 57.0, 59.5, 61.0)  # of a request when it is first sent: R is 60
PATIENCE = (30.0, 0.0, 0.001, 0.05, 1.0)  # until a client sends again
KEYS = (("1",), ("1", "2"), ("2",))
PARTED = tuple(topology for topology in CLUSTERS if len(topology) > 1)
EVERY = SnapshotPolicy(every=1, keep=1)
CACHES = 2  # of so many services one has a hydration cache, about
WARM = 3  # hydrations until a cache keeps what there is of two tallies
KEPT_FOR = 200.0  # seconds after which what it keeps begins anew
MEETINGS = (0.0, 0.0, 0.001, 0.01, 0.1, 1.0, 20.0, 90.0)  # seconds until a process begins: few, so that they meet


class Mood(NamedTuple):
    """What is likely in a story: one of few kinds of faults goes further into each of them."""

    ages: tuple[float, ...] = AGES
    lengths: tuple[float, ...] = LENGTHS
    pauses: tuple[float, ...] = (0.0, 0.02, 0.08, 0.25)  # chances
    clients: int = 1  # at least
    keepers: int = 0  # at least
    works: tuple[str, ...] = ("build", "rotate", "build, rotate")
    meetings: tuple[float, ...] = MEETINGS  # seconds until a keeper begins
    parted: bool = False  # are the regions parted from the start?


MOODS = (
    Mood(),
    # Clients that sleep between their check and their append, and snapshots that are built meanwhile.
    Mood(
        AGES[4:6],
        lengths=(90.0,),
        pauses=(0.08, 0.15),
        keepers=1,
        works=("build", "build, rotate"),
        meetings=(30.0, 60.0),
    ),
    # Hydrations that take long while events are deleted under them.
    Mood(AGES[:1], lengths=(0.5, 5.0, 12.0), pauses=(0.08, 0.25), keepers=2, works=("build, rotate",)),
    # Requests that are decided in two regions.
    Mood(AGES[:3], pauses=(0.0,), clients=3, parted=True),
)


@dataclass
class Service:
    """One service instance in a region, with a clock of its own."""

    region: str
    tallies: Tallies
    cache: HydrationCache | None


class Story:
    """One schedule: the world, what is in it, and the history that it leaves."""

    def __init__(self, choices: Choices, topologies: Topologies = ALL) -> None:
        self.world = World(choices, START)
        self.choices = choices.stream("story")
        self.caches = choices.stream("caches")
        self.history = History(self.world)
        self.network = Network()
        self.mood = self.choices.among(MOODS)
        topology = self.choices.among(PARTED if self.mood.parted else topologies)
        skews = {region: self.choices.among(SKEWS) for region in topology}
        self.cluster = None if topology is FILE else Cluster(self.world, topology, skews, self.network)
        self.file = MemoryStore()
        self.limit = self.choices.among((9, 1, 2, 3))
        self.services = [self._service(region) for region in topology]
        # Where snapshots are stored early, caches have little to add.
        self.unbuilt = any(it.cache is not None for it in self.services) and self.caches.below(2) == 1

    def run(self) -> History:
        """Let it all happen."""
        try:
            self.world.spawn("before", self._before)
            self.world.run()
            self._arm()
            self._cast()
            self.world.run()
            self._end()
        finally:
            self.world.close()
        return self.history

    def _service(self, region: str) -> Service:
        clock = self.world.clock(self.choices.among(SKEWS))
        cache = eager_cache() if self.caches.below(CACHES) == 1 else None
        repository = Repository(self._open(region, clock), clock, BOUNDS, stopwatch=self.world.stopwatch, cache=cache)
        return Service(region, Tallies(repository), cache)

    def _open(self, region: str, clock: Clock) -> EventStore:
        if self.cluster is None:
            return Stepwise(self.file, self.world)  # type: ignore[return-value] - it passes every call on to one
        return open_simulated(self.world, self.cluster, region, clock)

    def _before(self) -> None:
        """Requests from long before, some of which a snapshot may fold by now."""
        choices = self.choices
        for number in range(choices.below(5)):
            self._send(self.services[0], Request.at(self._now(), f"before {number}"), KEYS[1], 99)
            self.world.sleep(choices.among((1.0, 30.0, 70.0)))
        self.world.sleep(choices.among((100.0, 0.0, 75.0)))
        for key in KEYS[1][: choices.below(3)]:
            if not self.unbuilt:
                self._build("before", self.services[0], key)
        for service in self.services:
            for _ in range(WARM if service.cache is not None else 0):
                self._read(service, KEYS[1])
        self.world.sleep(choices.among((0.0, 30.0)))

    def _arm(self) -> None:
        """Let faults begin."""
        choices = self.choices
        self.world.lengths = self.mood.lengths
        self.world.pauses = choices.among(self.mood.pauses)
        self.world.kills = choices.among((0.0, 0.0, 0.01))
        self.network.late = choices.among((0.0, 0.05, 0.3))
        self.network.lost = choices.among((0.0, 0.0, 0.05))
        self.network.hints_lost = choices.among((0.0, 0.5))

    def _cast(self) -> None:
        """Start the processes."""
        choices = self.choices
        for number in range(max(self.mood.clients, 1 + choices.below(3))):
            self.world.spawn(f"client {number}", lambda number=number: self._client(number))
        for number in range(max(self.mood.keepers, choices.below(4))):
            self.world.spawn(f"keeper {number}", lambda number=number: self._keeper(f"keeper {number}"))
        cluster = self.cluster
        if cluster and (self.mood.parted or choices.below(3) == 2):
            self.world.spawn("chaos", lambda: self._chaos(cluster))

    def _client(self, number: int) -> None:
        choices = self.world.current().choices
        self.world.sleep(choices.among(MEETINGS))
        keys = KEYS[number] if self.mood.parted else choices.among(KEYS)
        request = Request.at(self._now() - choices.among(self.mood.ages) * SECOND, f"client {number}")
        for attempt in range(1 + choices.below(3)):
            if attempt:
                self.world.sleep(choices.among((0.0, 0.01, 2.0, 65.0, 150.0)))
            if self._deliver(f"client {number}.{attempt}", request, keys, choices):
                self._read(choices.among(self.services), keys)

    def _deliver(self, name: str, request: Request, keys: tuple[str, ...], choices: Stream) -> bool:
        """Send a request, and wait for its answer until patience is over; True if there was one."""
        service = choices.among(self.services)
        delivery = self.world.spawn(name, lambda: self._send(service, request, keys, self.limit))
        try:
            return delivery.ended.wait(choices.among(PATIENCE)).error is None
        except TimeoutError:
            self.world.meet("retries overlapped")
            return False

    def _send(self, service: Service, request: Request, keys: tuple[str, ...], limit: int) -> Operation:
        return self.history.record(
            lambda: service.tallies.count(CUSTOMER, Count(keys=keys, limit=limit), request),
            process=self.world.who(), what="count", region=service.region, keys=keys, request=request,
            limit=limit,
        )  # fmt: skip

    def _read(self, service: Service, keys: tuple[str, ...], final: bool = False, what: str = "load") -> None:
        self.history.record(
            lambda: service.tallies.load(CUSTOMER, keys),
            process=self.world.who(), what=what, region=service.region, keys=keys,
            final=final,
        )  # fmt: skip

    def _keeper(self, name: str) -> None:
        """Build snapshots, and rotate, one after the other."""
        choices = self.world.current().choices
        for _ in range(1 + choices.below(3)):
            self.world.sleep(choices.among(self.mood.meetings))
            service, key = choices.among(self.services), choices.among(KEYS[1])
            work = choices.among(self.mood.works)
            if "build" in work:
                self._build(name, service, key)
            if "rotate" in work:
                self._rotate(name, service, key)

    def _build(self, name: str, service: Service, key: str) -> None:
        built = self.history.record(
            lambda: build_snapshot(service.tallies.repository, CUSTOMER, Tally, key, EVERY),
            process=name, what="build", region=service.region, keys=(key,),
        )  # fmt: skip
        if built.answer:
            self.world.meet("snapshots built")

    def _rotate(self, name: str, service: Service, key: str) -> None:
        """Delete the events that a usable snapshot holds."""
        rotated = self.history.record(
            lambda: rotate(service.tallies.repository, CUSTOMER, Tally, key, lambda commits: None, self.world.sleep),
            process=name, what="rotate", region=service.region, keys=(key,),
        )  # fmt: skip
        if rotated.answer:
            self.world.meet("rotations")

    def _chaos(self, cluster: Cluster) -> None:
        choices = self.world.current().choices
        regions = list(cluster.regions)
        if self.mood.parted:
            self._part(regions, 100.0)
        for _ in range(1 + choices.below(3)):
            self.world.sleep(choices.among(MEETINGS))
            if len(regions) > 1 and choices.below(2) == 0:
                pair = choices.among(regions), choices.among(regions[::-1])
                self._part(pair, choices.among((5.0, 30.0, 100.0)))
            else:
                self.world.meet("freezes")
                replica = choices.among(cluster.replicas)
                cluster.freeze(replica)
                self.world.sleep(choices.among((1.0, 5.0, 40.0)))
                cluster.thaw(replica)

    def _part(self, regions: Sequence[str], seconds: float) -> None:
        """Cut the links between these regions for a while."""
        self.world.meet("cuts")
        self.network.cut.update(map(frozenset, combinations(regions, 2)))
        self.world.sleep(seconds)
        self.network.cut.clear()

    def _end(self) -> None:
        """Mend everything, make all replicas equal, and ask every region for its states and its snapshots."""
        self.world.pauses = self.world.kills = 0.0
        self.network.late = self.network.lost = 0.0
        if self.cluster:
            self.cluster.heal()
            self.world.run()
            self.cluster.repair()
        self._end_caches()
        for service in self.services:
            self._read(service, KEYS[1], final=True)
        for key in KEYS[1]:
            self.history.record(
                lambda key=key: self._snapshots(self.services[0], key),
                process="end", what="snapshots", region=self.services[0].region, keys=(key,), final=True,
            )  # fmt: skip
        self._recall()
        self._sweep()
        self._copy()

    def _end_caches(self) -> None:
        """Ask the services with a cache, which begin from what they keep; then let that grow old.

        What nobody was told of may be missing in it till then: only some services show it, so these can't be compared.
        """
        caches = [service.cache for service in self.services if service.cache is not None]
        for service in self.services if caches else ():
            self._read(service, KEYS[1], final=True, what="kept")
        if any(cache.hits for cache in caches):
            self.world.meet("hits of a cache")
        if caches:
            self.world.now += KEPT_FOR + 1

    def _recall(self) -> None:
        """Repeat a request that was counted in several tallies, also by code that loads only one of them."""
        counted = next((it for it in self.history.operations[::-1] if it.accepted and len(it.places) > 1), None)
        if counted and (request := counted.request):
            service = next(it for it in self.services if it.region == counted.region)
            self._send(service, request, counted.keys, counted.limit)
            command = Count(keys=counted.keys, limit=counted.limit)
            self.history.record(
                lambda: service.tallies.recall(CUSTOMER, command, request, counted.keys[:1]),
                process="end", what="recall", region=service.region, keys=counted.keys[:1], request=request,
                final=True,
            )  # fmt: skip

    def _sweep(self) -> None:
        """Audit the customer and repair, then compare what every region shows with a replay of its rows.

        Left out where no snapshot was built, or each writer was answered or refused: then nobody left a late commit.
        """
        built = any(it.what == "build" and it.answer for it in self.history.operations)
        if not built or all(map(_is_decided, self.history.operations)):
            return
        self.history.record(
            lambda: audit_customer(self.services[0].tallies.repository, [Tally], CUSTOMER, repair=True),
            process="end", what="audit", region=self.services[0].region, keys=KEYS[1], final=True,
        )  # fmt: skip
        for service in self.services:
            for key in KEYS[1]:
                self.history.record(
                    lambda service=service, key=key: service.tallies.compared(CUSTOMER, key),
                    process="end", what="compared", region=service.region, keys=(key,), final=True,
                )  # fmt: skip

    def _copy(self) -> None:
        """Copy a row of one tally to another, where it must not be believed."""
        service = self.services[0]
        store = service.tallies.repository.store
        for commit in list(store.rows(CUSTOMER, "tally:1"))[:1]:
            store.append(CUSTOMER, [commit._replace(aggregate_id="tally:3")])
            self.history.record(
                lambda: service.tallies.load(CUSTOMER, ["3"]),
                process="end", what="copied", region=service.region, keys=("3",), final=True,
            )  # fmt: skip

    def _snapshots(self, service: Service, key: str) -> dict[datetime, Tally]:
        """The states in all usable snapshots of a tally, by the time up to which they go."""
        repository = service.tallies.repository
        id = f"tally:{key}"
        head = repository.store.heads(CUSTOMER, [id])[id]
        validity = Validity(BOUNDS, repository.clock)
        found = Candidates(CUSTOMER, id, Tally, head, validity, NO_CIPHER)
        return {time_of(usable.snapshot.up_to): usable.base.state for usable in found}

    def _now(self) -> datetime:
        return START + timedelta(seconds=self.world.now)


def eager_cache() -> HydrationCache:
    """A hydration cache that folds whatever has settled."""
    return HydrationCache(after=1, pause=SECOND, age=KEPT_FOR * SECOND)


def _is_decided(operation: Operation) -> bool:
    """Is it no request, or one that was answered, or refused as too late or too early?"""
    return operation.what != "count" or bool(operation.answer) or isinstance(operation.error, OutOfTime)
