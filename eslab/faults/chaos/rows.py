"""What each region holds by itself: its rows while nobody repairs them, and how far it lags behind the others."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from cassandra import ConsistencyLevel
from cassandra.query import SimpleStatement

from eslab.clock import Clock
from eslab.errors import EslabError
from eslab.faults.history import Timeline
from eslab.faults.tally import Count, Tallies
from eslab.request import Request

if TYPE_CHECKING:
    from eslab.cluster.cluster import Cluster

Key = tuple[str, str, UUID]  # of a commit: customer, aggregate, event time
Rows = dict[Key, bytes]
BEAT = 1.0  # seconds
ALONE = ("1",)


class Regions:
    """Reads the commits in each region from that region's node alone, which repairs nothing."""

    def __init__(self, sessions: Mapping[str, Any], keyspace: str) -> None:
        self._sessions = sessions
        select = f'SELECT customer_id, aggregate_id, event_time, payload FROM "{keyspace}".events'  # noqa: S608 - ours
        self._select = SimpleStatement(select, consistency_level=ConsistencyLevel.LOCAL_ONE, fetch_size=5000)

    @classmethod
    @contextmanager
    def of(cls, cluster: "Cluster", keyspace: str) -> Iterator["Regions"]:
        """The regions of a cluster; each has one replica of everything."""
        with ExitStack() as stack:
            yield cls({region: stack.enter_context(cluster.session(region)) for region in cluster.regions}, keyspace)

    def rows(self) -> dict[str, Rows]:
        """All commits that each region holds."""
        return {region: self._rows(session) for region, session in self._sessions.items()}

    def missing(self) -> dict[str, int]:
        """How many commits each region lacks, or holds with a losing payload, compared with all regions together."""
        held = self.rows()
        newest: Rows = {}
        for rows in held.values():
            for key, payload in rows.items():
                newest[key] = max(payload, newest.get(key, b""))
        return {region: sum(rows.get(key) != it for key, it in newest.items()) for region, rows in held.items()}

    def _rows(self, session: Any) -> Rows:
        return {row[:3]: row[3] for row in map(tuple, session.execute(self._select))}


class Lag(NamedTuple):
    """How far a region lagged behind what the others had acknowledged."""

    at: float  # seconds since the start
    region: str
    seconds: float


class Beats:
    """A beat in each region once a second, and for each region the age of the first beat that it doesn't show."""

    def __init__(self, services: Mapping[str, Tallies], clock: Clock, timeline: Timeline) -> None:
        self.lags: list[Lag] = []
        self._services = services
        self._clock = clock
        self._timeline = timeline
        self._acknowledged: dict[str, dict[str, float]] = {region: {} for region in services}  # by request, since when

    def beat(self, region: str, sleep_until: Callable[[float], bool]) -> None:
        """Beat in a region until the run is over."""
        number = 0
        while sleep_until(self._timeline.now + BEAT):
            number += 1
            request = Request.at(self._clock(), f"{region} {number}")
            try:
                self._services[region].count(_beats_of(region), Count(keys=ALONE, limit=10**9), request)
                self._acknowledged[region][str(request.id)] = self._timeline.now
            except EslabError:
                continue  # a region that can't write sends no beat

    def watch(self, region: str, sleep_until: Callable[[float], bool]) -> None:
        """Measure a region's lag until the run is over; a region that can't be read lags as far as it is silent."""
        shown_at = 0.0
        while sleep_until(self._timeline.now + BEAT):
            began = self._timeline.now
            try:
                lag = max(self._lag(region, origin) for origin in self._services if origin != region)
                shown_at = self._timeline.now - lag
            except EslabError:
                pass
            self.lags.append(Lag(began, region, self._timeline.now - shown_at))

    def _lag(self, region: str, origin: str) -> float:
        acknowledged = dict(self._acknowledged[origin])
        now = self._timeline.now
        shown = self._services[region].load(_beats_of(origin), ALONE)["1"].places
        return max((now - at for request, at in acknowledged.items() if request not in shown), default=0.0)


def _beats_of(region: str) -> str:
    return f"beats of {region}"
