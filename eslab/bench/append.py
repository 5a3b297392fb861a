"""What one append of a one-event commit costs, from the bare upsert upwards, at the same durability for all.

    insert           on Cassandra: one bare insert of the commit's row, without the directory's
    baseline            the bare driver: the same two rows upserted in one transaction or batch
    store            `EventStore.append` of the same commit, sealed before
    append           `Command.append`: seal one event of an aggregate at hand, then store it
    command             `AggregateService.send`: look-up, hydration, decision, append
    peer:NAME        a peer stores one event of an aggregate at hand, to compare with append
    peer-command:NAME   a peer loads the aggregate, decides and stores, to compare with command

Events are spread over 100 aggregates, so that none grows long. With a list of commits in each append only baseline and
store are measured: a command is one commit in each aggregate that it touches.
"""

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from uuid import uuid4

from eslab import AggregateService, EventStore, ManualClock, Repository
from eslab.aggregate import aggregate_id
from eslab.bench.baselines import Baseline, Step, check_settings
from eslab.bench.measure import Report, Row, single_row, versions_of
from eslab.bench.peers import Peer, open_peer
from eslab.bench.sample import BEGAN, CUSTOMER, AddColor, ColorAdded, Frosting, color, commit, handle, request
from eslab.bench.targets import Target, durabilities, target
from eslab.errors import EslabError, InvalidInput
from eslab.store import Commit

APPENDS = 2000
ROUND = 50  # appends of one measure, all made ready first, before the next one's turn
SPREAD = 100  # aggregates; more than a round has appends, so none of a round waits for another
NOTE = (
    "One writer, one event a commit, one disk, whose fsync decides wherever acknowledged is on disk: this can't show "
    "several writers, a network, replicas, or a disk that lies about fsync."
)


@dataclass(frozen=True)
class Appender:
    """One way to append: `prepare` makes ready what isn't timed and returns the step that is."""

    name: str
    prepare: Callable[[int], Step]
    stored: Callable[[], int]  # how many events are there in the end


def measure_appends(store: str = "sqlite", appends: int = APPENDS, peers: Sequence[str] = (), batch: int = 1) -> Report:
    """Measure appends of `batch` commits, each timed alone, at each durability that the store has.

    Writes `appends` appends and one round more for each measure and durability, under new ids each time.
    Raises `EslabError` if an event is missing in the end, or a side runs at another durability.
    """
    if batch > 1 and peers:
        raise InvalidInput(f"Expected no peer beside lists of {batch} commits, got {', '.join(peers)}: none has them.")
    rows, versions = [], versions_of(*peers)
    for durability in durabilities(store):
        with target(store, durability) as place:
            rows += _measure_setting(place, durability, appends, peers, batch)
            versions |= place.versions
    return Report(rows, NOTE, versions)


def _measure_setting(place: Target, durability: str, appends: int, peers: Sequence[str], batch: int) -> list[Row]:
    with ExitStack() as stack:
        run, settings = uuid4().hex, {}
        appenders = [*_own(stack.enter_context(closing(place.open())), run, batch)]
        if baseline := place.append_baseline(durability):
            stack.enter_context(closing(baseline))
            settings = baseline.settings()
            check_settings("baseline", settings, {**settings, **place.expected(durability)})
            appenders[:0] = _baseline(baseline, run, batch)
        for name in peers:
            peer = stack.enter_context(closing(open_peer(name, place.scheme, place.folder, durability)))
            check_settings(name, peer.settings(), settings)
            appenders += _peer(peer)
        timed = _time_in_turn(appenders, appends)
        for appender in appenders:
            _check_count(appender, (appends + ROUND) * batch)
    return [single_row(name, place.scheme, seconds, batch, **settings) for name, seconds in timed.items()]


def _own(store: EventStore, run: str, batch: int) -> Iterator[Appender]:
    clock = ManualClock(BEGAN)
    service, repository = AggregateService(store, Frosting, handle, clock), Repository(store, clock)

    def bare(number: int) -> Step:
        return partial(store.append, CUSTOMER, _commits(f"store {run}", number, batch))

    def append(number: int) -> Step:
        asked, key = request(number), f"append {run} {number % SPREAD}"
        clock.now = asked.time
        work = repository.begin(CUSTOMER, asked, AddColor(color(number)))
        (frosting,) = work.load((Frosting, key))
        work.add(frosting, ColorAdded(color(number)))
        return work.append

    def send(number: int) -> Step:
        asked, id = request(number), f"frosting:command {run} {number % SPREAD}"
        clock.now = asked.time
        return partial(service.send, CUSTOMER, id, AddColor(color(number)), asked)

    def stored(kind: str) -> int:
        keys = [f"{kind} {run} {number}" for number in range(SPREAD)]
        return sum(sum(repository.load(CUSTOMER, Frosting, key).colors.values()) for key in keys)

    ways = {"store": bare, "append": append, "command": send} if batch == 1 else {"store": bare}
    for name, prepare in ways.items():
        yield Appender(name, prepare, partial(stored, name))


def _baseline(baseline: Baseline, run: str, batch: int) -> Iterator[Appender]:
    def stored(kind: str) -> int:
        return sum(baseline.read(aggregate_id((Frosting, f"{kind} {run} {number}"))) for number in range(SPREAD))

    insert: Callable[[Commit], Step] | None = getattr(baseline, "prepare_insert", None)
    if insert and batch == 1:
        yield Appender(
            "insert", lambda number: insert(*_commits(f"insert {run}", number, 1)), partial(stored, "insert")
        )
    yield Appender(
        "baseline",
        lambda number: baseline.prepare(_commits(f"baseline {run}", number, batch)),
        partial(stored, "baseline"),
    )


def _commits(key: str, number: int, batch: int) -> list[Commit]:
    """The commits of the `number`th append, all of one aggregate."""
    numbers = range(number * batch, number * batch + batch)
    return [commit(f"{key} {number % SPREAD}", each, request(each)) for each in numbers]


def _peer(peer: Peer) -> Iterator[Appender]:
    for number in range(SPREAD):
        peer.fill(f"append {number}", 0)
        peer.fill(f"command {number}", 0)

    def append(number: int) -> Step:
        return partial(peer.save, peer.prepare(f"append {number % SPREAD}", number))

    def send(number: int) -> Step:
        return partial(peer.send, f"command {number % SPREAD}", number)

    def stored(kind: str) -> int:
        return sum(sum(peer.load(f"{kind} {number}").values()) for number in range(SPREAD))

    yield Appender(f"peer:{peer.name}", append, partial(stored, "append"))
    yield Appender(f"peer-command:{peer.name}", send, partial(stored, "command"))


def _time_in_turn(appenders: Sequence[Appender], appends: int) -> dict[str, list[float]]:
    """Seconds of each append of each appender, after one round that isn't counted."""
    seconds: dict[str, list[float]] = {appender.name: [] for appender in appenders}
    for start in range(0, appends + ROUND, ROUND):
        for appender in appenders:
            numbers = range(start, min(start + ROUND, appends + ROUND))
            steps = [appender.prepare(number) for number in numbers]
            gc.collect()
            seconds[appender.name] += map(_time, steps)
    return {name: times[ROUND:] for name, times in seconds.items()}


def _time(step: Step) -> float:
    begin = perf_counter()
    step()
    return perf_counter() - begin


def _check_count(appender: Appender, expected: int) -> None:
    if (found := appender.stored()) != expected:
        raise EslabError(f"Expected {expected:,} events from {appender.name} in its store, found {found:,}.")
