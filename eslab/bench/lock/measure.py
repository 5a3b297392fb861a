"""`eslab bench lock`: all measures on one cluster of three regions, whose links are delayed like the real world."""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from eslab.bench.lock.parted import measure_parted
from eslab.bench.lock.unanswered import measure_impatient, measure_in_flight
from eslab.bench.lock.ways import Way, open_ways
from eslab.bench.lock.writers import Plan, measure_writers
from eslab.bench.measure import Report, versions_of
from eslab.bench.steps import OnStep, unseen

if TYPE_CHECKING:
    from eslab.cluster.cluster import Cluster

KEYSPACE = "lab_lock"
REGIONS = "us,eu,asia"
HOME = "us"
CUT_OFF = "asia"
ROUND_TRIPS = {("us", "eu"): 80, ("us", "asia"): 150, ("eu", "asia"): 230}  # milliseconds
LONG_AWAY = ("append QUORUM", "strict SERIAL")  # the ways that wait for another region, and so may be cut in mid-flight
NOTE = (
    "One replica a region, all on one machine's cores and disk; the links are delayed, without jitter or loss, and "
    "nobody else writes: this can't show a real network, larger clusters, or a lock service beside the store."
)


def measure_lock(plan: Plan, on_step: OnStep = unseen) -> Report:
    """Measure on a fresh cluster of three regions, which ends with the measure, also by Ctrl-C.

    Raises `EslabError` if a request is missing in the end or counted twice.
    """
    from eslab.cluster.cluster import Cluster

    # Hints that wait 10 s to be written would only be waited for.
    with Cluster.start(regions=REGIONS, on_progress=on_step, config={"hints_flush_period": "1s"}) as cluster:
        return measure_on(cluster, plan, on_step)


def measure_on(cluster: "Cluster", plan: Plan, on_step: OnStep = unseen) -> Report:
    """The same on a cluster of these regions, whose links are neither cut nor delayed afterwards."""
    from eslab.bench.baseline_cassandra import versions_at

    versions = versions_of() | versions_at(cluster.url(KEYSPACE, HOME))
    with ExitStack() as stack:
        clients = {region: stack.enter_context(open_ways(cluster.url(KEYSPACE, region))) for region in (HOME, CUT_OFF)}
        stack.enter_context(delayed(cluster))
        ways = clients[HOME]
        rows = measure_writers(ways, plan, on_step)
        takes = next(row.median_s for row in rows if row.measure == LONG_AWAY[-1])
        far = [_named(ways, name) for name in LONG_AWAY]
        rows.append(measure_impatient(far[-1], on_step))
        rows += measure_in_flight(cluster, HOME, far, takes, on_step)
        rows += measure_parted(cluster, clients, CUT_OFF, on_step)
    return Report(rows, NOTE, versions)


@contextmanager
def delayed(cluster: "Cluster") -> Generator[None, None, None]:
    """The links take as long as between real regions meanwhile."""
    try:
        for (one, other), round_trip in ROUND_TRIPS.items():
            cluster.delay(one, other, f"{round_trip / 2:g}ms")
        yield
    finally:
        for one, other in ROUND_TRIPS:
            cluster.delay(one, other, "0ms")


def _named(ways: list[Way], name: str) -> Way:
    return next(way for way in ways if way.name == name)
