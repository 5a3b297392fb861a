"""A region is cut off from the others: who answers, who refuses with which error, and what is left after healing.

Clients in the region that is cut off and in another one send wishes, in turns, to one stream for each way, once both
sides take the other for dead. An acknowledged event that no region shows after healing is *lost*: two regions that lock
by themselves give one version to two events, and Cassandra keeps the one that was written later.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from time import monotonic, perf_counter, sleep
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from eslab.bench.lock.ways import Way, new_request
from eslab.bench.lock.writers import STORE
from eslab.bench.measure import Row
from eslab.bench.steps import OnStep
from eslab.display import quantity
from eslab.errors import EslabError, OutcomeUnknown, StoreUnavailable

if TYPE_CHECKING:
    from eslab.cluster.cluster import Cluster

TRIES = 3  # wishes of each client
PATIENCE = 60.0  # seconds until both sides take the other for dead, or hints have made all equal
LOOK_EVERY = 0.5
Clients = Mapping[str, Sequence[Way]]  # by region; the same ways in each


@dataclass
class Told:
    """What clients in one region were told about the wishes that they sent one way."""

    seconds: list[float] = field(default_factory=list)  # until the answer or the refusal
    acknowledged: list[UUID] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def row(self, region: str, way: str) -> Row:
        """The row of these clients."""
        answers = {"tries": len(self.seconds), "answered": len(self.acknowledged)}
        error = {"error": self.errors[-1]} if self.errors else {}
        return _row(f"{region}: {way}", self.seconds, part="a region is cut off", **answers, **error)


def measure_parted(cluster: "Cluster", clients: Clients, region: str, on_step: OnStep) -> list[Row]:
    """Cut the region off, let all clients write, heal, and compare what was told with what each region shows.

    Raises `EslabError` if the sides never notice that they are parted, or idempotent appends lose an acknowledged one.
    """
    customer = f"parted {uuid4().hex}"
    told = {(home, way.name): Told() for home, ways in clients.items() for way in ways}
    names = [way.name for way in next(iter(clients.values()))]
    before = {name: new_request() for name in names}  # so that both sides know of the same version
    for way in clients[region]:
        on_step(f"before the cut: {way.name}")
        way.wish(f"{customer} {way.name}", before[way.name])
    with cut_off(cluster, region):
        on_step(f"{region} is cut off: until each side takes the other for dead")
        _wait(lambda: _is_parted(cluster, region), f"both sides to notice that {region} is cut off")
        for number in range(TRIES):
            for home, ways in clients.items():
                for way in ways:
                    on_step(f"{region} is cut off: wish {number + 1} of {TRIES} in {home}, {way.name}")
                    _try(way, f"{customer} {way.name}", told[home, way.name])
    on_step("healed: until all regions show the same")
    healed = monotonic()
    _wait(lambda: _are_equal(clients, names, customer), "all regions to show the same events")
    took = monotonic() - healed
    rows = [told[home, name].row(home, name) for home in clients for name in names]
    for name in names:
        acknowledged = [before[name].id, *(id for home in clients for id in told[home, name].acknowledged)]
        rows.append(_healed(name, took, acknowledged, _held(clients[region], name, f"{customer} {name}")))
    return rows


@contextmanager
def cut_off(cluster: "Cluster", region: str) -> Generator[None, None, None]:
    """The region can't be reached from any other one meanwhile."""
    cluster.cut(region)
    try:
        yield
    finally:
        cluster.heal()


def _try(way: Way, customer: str, told: Told) -> None:
    request = new_request()
    began = perf_counter()
    try:
        way.wish(customer, request)
    except (OutcomeUnknown, StoreUnavailable) as error:
        told.errors.append(f"{type(error).__name__}: {_cause(error)}")
    else:
        told.acknowledged.append(request.id)
    told.seconds.append(perf_counter() - began)


def _cause(error: Exception) -> str:
    """The name of the driver's error; if all hosts were tried, of what the last one said."""
    cause = error.__cause__
    of_hosts = getattr(cause, "errors", None) or {}
    return type([*of_hosts.values()][-1] if of_hosts else cause).__name__


def _healed(name: str, took: float, acknowledged: Sequence[UUID], held: Sequence[UUID]) -> Row:
    """The row of what all regions show of what one way acknowledged."""
    lost = len({*acknowledged} - {*held})
    if lost and name.startswith("append"):
        raise EslabError(
            f"Expected all {quantity(len(acknowledged), 'acknowledged event')} of {name} after healing, lost {lost}."
        )
    counts = {"acknowledged": len(acknowledged), "held": len(held), "lost": lost}
    return _row(f"healed: {name}", [took], part="after healing", **counts)


def _held(ways: Sequence[Way], name: str, customer: str) -> list[UUID]:
    (way,) = (it for it in ways if it.name == name)
    return sorted(way.held(customer))


def _are_equal(clients: Clients, names: Sequence[str], customer: str) -> bool:
    try:
        return all(
            len({tuple(_held(ways, name, f"{customer} {name}")) for ways in clients.values()}) == 1 for name in names
        )
    except StoreUnavailable:
        return False


def _is_parted(cluster: "Cluster", region: str) -> bool:
    """Does each node take all nodes on the other side for dead?"""
    down = cluster.down()
    sides = {node.name: node.region == region for node in cluster.plan.nodes}
    return all(
        {other for other, there in sides.items() if there != here} <= {*down.get(name, ())}
        for name, here in sides.items()
    )


def _wait(happened: Callable[[], bool], what: str) -> None:
    end = monotonic() + PATIENCE
    while not happened():
        if monotonic() > end:
            raise EslabError(f"Expected {what} within {PATIENCE:.0f} s, it did not happen. Look at the nodes' logs.")
        sleep(LOOK_EVERY)


def _row(name: str, seconds: Sequence[float], **extra: object) -> Row:
    middle = median(seconds)
    return Row(name, STORE, 1, middle, 1 / middle, min(seconds), max(seconds), len(seconds), extra)
