"""A story: what happens in one schedule. Every detail is a choice, so a seed is a story and a story can be replayed.

Some requests are counted long before; then clients send requests, late or repeated or twice at once, while builders
save snapshots, a rotator raises floors and deletes events, links are cut, nodes freeze, and processes pause and die. In
the end everything is mended and made equal, and the services of all regions are asked once more.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from eslab.bounds import TimeBounds
from eslab.faults.choices import Choices, Stream
from eslab.faults.cluster import Cluster, Network
from eslab.faults.driver import Tables, open_simulated
from eslab.faults.history import History, Operation
from eslab.faults.tally import Count, Tallies, Tally
from eslab.faults.world import World
from eslab.operations.snapshots import build_snapshot
from eslab.repository import Repository
from eslab.request import Request
from eslab.snapshot import SnapshotPolicy, usable
from eslab.store import Consistency

START = datetime(2026, 1, 5, 9, tzinfo=UTC)
CUSTOMER = "ann"
SECOND = timedelta(seconds=1)
BOUNDS = TimeBounds(late=60 * SECOND, early=5 * SECOND, skew=2 * SECOND, append=10 * SECOND, fold_after=80 * SECOND)
GRACE = 20.0  # H: seconds between the raised floor and the deletes
TOPOLOGIES = ({"us": 1}, {"us": 1, "eu": 1}, {"us": 3}, {"us": 1, "eu": 1, "asia": 1}, {"us": 3, "eu": 3})
SKEWS = (0.0, 0.9, -0.9)
LENGTHS = (0.5, 5.0, 12.0, 25.0, 90.0)  # of pauses: below and above P, H and W
AGES = (0.0, 0.0, 1.0, 30.0, 57.0, 59.5, 61.0)  # of a request when it is first sent: R is 60
PATIENCE = (30.0, 0.0, 0.001, 0.05, 1.0)  # until a client sends again
KEYS = (("1",), ("1", "2"), ("2",))
EVERY = SnapshotPolicy(every=1, keep=2)


@dataclass
class Service:
    """One service instance in a region, with a clock of its own."""

    region: str
    tallies: Tallies


class Story:
    """One schedule: the world, what is in it, and the history that it leaves."""

    def __init__(self, choices: Choices) -> None:
        self.world = World(choices, START)
        self.choices = choices.stream("story")
        self.history = History(self.world)
        self.network = Network()
        self.cluster = Cluster(self.world, self.choices.among(TOPOLOGIES), {}, self.network)
        self.limit = self.choices.among((9, 1, 2, 3))
        tables = Tables()
        self.services = [self._service(region, tables) for region in self.cluster.regions]

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

    def _service(self, region: str, tables: Tables) -> Service:
        clock = self.world.clock(self.choices.among(SKEWS))
        store = open_simulated(self.world, self.cluster, region, tables, clock)
        return Service(region, Tallies(Repository(store, clock, BOUNDS)))

    def _before(self) -> None:
        """Requests from long before, some of which a snapshot may fold by now."""
        for number in range(self.choices.below(4)):
            self._send(self.services[0], Request.at(self._now(), f"before {number}"), KEYS[1], 99)
            self.world.sleep(self.choices.among((1.0, 30.0, 70.0)))
        self.world.sleep(self.choices.among((100.0, 0.0, 75.0)))

    def _arm(self) -> None:
        """Choose the kinds of faults: a schedule with few kinds goes further into each of them."""
        choices = self.choices
        self.world.lengths = LENGTHS
        self.world.pauses = choices.among((0.0, 0.02, 0.08))
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
        if choices.below(3) == 2:
            self.world.spawn("rotator", self._rotator)
        if choices.below(3) == 2:
            self.world.spawn("chaos", self._chaos)

    def _client(self, number: int) -> None:
        choices = self.world.current().choices
        self._wander(choices)
        keys = choices.among(KEYS)
        request = Request.at(self._now() - choices.among(AGES) * SECOND, f"client {number}")
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
            self._wander(choices)
            service = choices.among(self.services)
            key = choices.among(("1", "2"))
            built = self.history.record(
                lambda service=service, key=key: build_snapshot(
                    service.tallies.repository, CUSTOMER, Tally, key, EVERY
                ),
                process=name, what="build", region=service.region, keys=(key,),
            )  # fmt: skip
            if built.answer:
                self.world.meet("snapshots built")

    def _rotator(self) -> None:
        choices = self.world.current().choices
        self._wander(choices)
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

    def _chaos(self) -> None:
        choices = self.world.current().choices
        regions = list(self.cluster.regions)
        for _ in range(1 + choices.below(3)):
            self._wander(choices)
            if len(regions) > 1 and choices.below(2) == 0:
                self.world.meet("cuts")
                self.network.cut.add(frozenset((choices.among(regions), choices.among(regions[::-1]))))
                self.world.sleep(choices.among((5.0, 30.0, 100.0)))
                self.network.cut.clear()
            else:
                self.world.meet("freezes")
                replica = choices.among(self.cluster.replicas)
                self.cluster.freeze(replica)
                self.world.sleep(choices.among((1.0, 5.0, 40.0)))
                self.cluster.thaw(replica)

    def _end(self) -> None:
        """Mend everything, make all replicas equal, and ask every region."""
        self.world.pauses = self.world.kills = 0.0
        self.network.late = self.network.lost = 0.0
        self.cluster.heal()
        self.world.run()
        self.cluster.repair()
        for service in self.services:
            self._read(service, ("1", "2"), final=True)

    def _wander(self, choices: Stream) -> None:
        """Let a drawn time pass: most often next to none, so that processes meet."""
        self.world.sleep(choices.among((0.0, 0.0, 0.001, 0.01, 0.1, 1.0, 20.0, 90.0)))

    def _now(self) -> datetime:
        return START + timedelta(seconds=self.world.now)
