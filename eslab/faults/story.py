"""A story: what happens in one schedule. Every detail is a choice, so a seed is a story and a story can be replayed.

Some requests are counted long before; then clients send requests, late or repeated or twice at once, while builders
save snapshots, a rotator raises floors and deletes events, links are cut, nodes freeze, and processes pause and die. In
the end everything is mended and made equal, and the services of all regions are asked once more.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from eslab.bounds import TimeBounds
from eslab.clock import Clock
from eslab.faults.choices import Choices, Stream
from eslab.faults.cluster import Cluster, Network
from eslab.faults.driver import open_simulated
from eslab.faults.history import History, Operation
from eslab.faults.stepwise import Stepwise
from eslab.faults.tally import Count, Tallies, Tally
from eslab.faults.world import World
from eslab.operations.snapshots import build_snapshot
from eslab.payload.encryption import NO_CIPHER
from eslab.repository import Repository
from eslab.request import Request, time_of
from eslab.snapshot import SnapshotPolicy, decode_base, usable
from eslab.store import Consistency, EventStore
from eslab.stores.memory import MemoryStore

START = datetime(2026, 1, 5, 9, tzinfo=UTC)
CUSTOMER = "ann"
SECOND = timedelta(seconds=1)
BOUNDS = TimeBounds(late=60 * SECOND, early=5 * SECOND, skew=2 * SECOND, append=10 * SECOND, fold_after=80 * SECOND)
GRACE = 20.0  # H: seconds between the raised floor and the deletes
FILE: Mapping[str, int] = {"file": 0}  # one store without a network, each call a step
CLUSTERS: tuple[Mapping[str, int], ...] = (
    {"us": 1},
    {"us": 1, "eu": 1},
    {"us": 3},
    {"us": 1, "eu": 1, "asia": 1},
    {"us": 3, "eu": 3},
)
SKEWS = (0.0, 0.9, -0.9)  # seconds: two clocks differ by at most S
LENGTHS = (0.5, 5.0, 12.0, 25.0, 90.0)  # of pauses: below and above P, H and W
AGES = (0.0, 0.0, 1.0, 30.0, 57.0, 59.5, 61.0)  # of a request when it is first sent: R is 60
PATIENCE = (30.0, 0.0, 0.001, 0.05, 1.0)  # until a client sends again
KEYS = (("1",), ("1", "2"), ("2",))
EVERY = SnapshotPolicy(every=1, keep=2)
MEETINGS = (0.0, 0.0, 0.001, 0.01, 0.1, 1.0, 20.0, 90.0)  # seconds until a process begins: few, so that they meet


@dataclass
class Service:
    """One service instance in a region, with a clock of its own."""

    region: str
    tallies: Tallies


class Story:
    """One schedule: the world, what is in it, and the history that it leaves."""

    def __init__(self, choices: Choices, topologies: tuple[Mapping[str, int], ...] = (FILE, *CLUSTERS)) -> None:
        self.world = World(choices, START)
        self.choices = choices.stream("story")
        self.history = History(self.world)
        self.network = Network()
        topology = self.choices.among(topologies)
        self.cluster = None if topology is FILE else Cluster(self.world, topology, {}, self.network)
        self.file = MemoryStore()
        self.ages = AGES
        self.limit = self.choices.among((9, 1, 2, 3))
        self.services = [self._service(region) for region in topology]

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
        return Service(region, Tallies(Repository(self._open(region, clock), clock, BOUNDS)))

    def _open(self, region: str, clock: Clock) -> EventStore:
        if self.cluster is None:
            return Stepwise(self.file, self.world)  # type: ignore[return-value] - it passes every call on to one
        return open_simulated(self.world, self.cluster, region, clock)

    def _before(self) -> None:
        """Requests from long before, some of which a snapshot may fold by now."""
        choices = self.choices
        for number in range(choices.below(4)):
            self._send(self.services[0], Request.at(self._now(), f"before {number}"), KEYS[1], 99)
            self.world.sleep(choices.among((1.0, 30.0, 70.0)))
        self.world.sleep(choices.among((100.0, 0.0, 75.0)))
        for key in KEYS[1][: choices.below(3)]:
            self._build("before", self.services[0], key)
        self.world.sleep(choices.among((0.0, 30.0)))

    def _arm(self) -> None:
        """Choose the kinds of faults: a schedule with few kinds goes further into each of them."""
        choices = self.choices
        self.ages = choices.among((AGES, AGES[-3:-1]))
        self.world.lengths = choices.among((LENGTHS, LENGTHS[2:4], LENGTHS[3:4]))
        self.world.pauses = choices.among((0.0, 0.02, 0.08, 0.25))
        self.world.kills = choices.among((0.0, 0.0, 0.01))
        self.network.late = choices.among((0.0, 0.05, 0.3))
        self.network.lost = choices.among((0.0, 0.0, 0.05))
        self.network.hints_lost = choices.among((0.0, 0.5))

    def _cast(self) -> None:
        """Start the processes."""
        choices = self.choices
        for number in range(1 + choices.below(3)):
            self.world.spawn(f"client {number}", lambda number=number: self._client(number))
        for number in range(choices.below(3)):
            self.world.spawn(f"builder {number}", lambda number=number: self._builder(f"builder {number}"))
        if choices.below(2):
            self.world.spawn("rotator", self._rotator)
        cluster = self.cluster
        if cluster and choices.below(3) == 2:
            self.world.spawn("chaos", lambda: self._chaos(cluster))

    def _client(self, number: int) -> None:
        choices = self.world.current().choices
        self.world.sleep(choices.among(MEETINGS))
        keys = choices.among(KEYS)
        request = Request.at(self._now() - choices.among(self.ages) * SECOND, f"client {number}")
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
            process=self.world.current().name, what="count", region=service.region, keys=keys, request=request,
            limit=limit,
        )  # fmt: skip

    def _read(self, service: Service, keys: tuple[str, ...], final: bool = False) -> None:
        self.history.record(
            lambda: service.tallies.load(CUSTOMER, keys),
            process="end" if final else self.world.current().name, what="load", region=service.region, keys=keys,
            final=final,
        )  # fmt: skip

    def _builder(self, name: str) -> None:
        choices = self.world.current().choices
        for _ in range(1 + choices.below(2)):
            self.world.sleep(choices.among(MEETINGS))
            self._build(name, choices.among(self.services), choices.among(("1", "2")))

    def _build(self, name: str, service: Service, key: str) -> None:
        built = self.history.record(
            lambda: build_snapshot(service.tallies.repository, CUSTOMER, Tally, key, EVERY),
            process=name, what="build", region=service.region, keys=(key,),
        )  # fmt: skip
        if built.answer:
            self.world.meet("snapshots built")

    def _rotator(self) -> None:
        choices = self.world.current().choices
        self.world.sleep(choices.among(MEETINGS))
        service = choices.among(self.services)
        key = choices.among(("1", "2"))
        rotated = self.history.record(
            lambda: self._rotate(service, key),
            process="rotator", what="rotate", region=service.region, keys=(key,),
        )  # fmt: skip
        if rotated.answer:
            self.world.meet("rotations")

    def _rotate(self, service: Service, key: str) -> str:
        """Delete the events that a usable snapshot holds."""
        store = service.tallies.repository.store
        id = f"tally:{key}"
        head = store.heads(CUSTOMER, [id], consistency=Consistency.EVERYWHERE)[id]
        base = next(usable(Tally, head), None)
        if not base:
            return ""
        store.raise_floor(CUSTOMER, id, base.up_to)
        self.world.sleep(GRACE + 0.001)
        store.delete_events(CUSTOMER, id, base.up_to)
        return f"up to {base.up_to}"

    def _chaos(self, cluster: Cluster) -> None:
        choices = self.world.current().choices
        regions = list(cluster.regions)
        for _ in range(1 + choices.below(3)):
            self.world.sleep(choices.among(MEETINGS))
            if len(regions) > 1 and choices.below(2) == 0:
                self.world.meet("cuts")
                self.network.cut.add(frozenset((choices.among(regions), choices.among(regions[::-1]))))
                self.world.sleep(choices.among((5.0, 30.0, 100.0)))
                self.network.cut.clear()
            else:
                self.world.meet("freezes")
                replica = choices.among(cluster.replicas)
                cluster.freeze(replica)
                self.world.sleep(choices.among((1.0, 5.0, 40.0)))
                cluster.thaw(replica)

    def _end(self) -> None:
        """Mend everything, make all replicas equal, and ask every region for its states and its snapshots."""
        self.world.pauses = self.world.kills = 0.0
        self.network.late = self.network.lost = 0.0
        if self.cluster:
            self.cluster.heal()
            self.world.run()
            self.cluster.repair()
        for service in self.services:
            self._read(service, KEYS[1], final=True)
        for key in KEYS[1]:
            self.history.record(
                lambda key=key: self._snapshots(self.services[0], key),
                process="end", what="snapshots", region=self.services[0].region, keys=(key,), final=True,
            )  # fmt: skip

    def _snapshots(self, service: Service, key: str) -> dict[datetime, Tally]:
        """The states in all usable snapshots of a tally, by the time up to which they go."""
        id = f"tally:{key}"
        head = service.tallies.repository.store.heads(CUSTOMER, [id])[id]
        states = {}
        for snapshot in usable(Tally, head):
            base = decode_base(CUSTOMER, id, Tally, snapshot, NO_CIPHER)
            states[time_of(snapshot.up_to)] = base.state
        return states

    def _now(self) -> datetime:
        return START + timedelta(seconds=self.world.now)
