"""The cost of appending a one-event commit, from the bare upsert upwards, at the same durability for all sides.

    insert             on Cassandra: one bare insert of the commit's row, without the directory row
    baseline           the bare driver: the same two rows upserted in one transaction or batch
    store              `EventStore.append` of the same commit, encoded before
    append             `UnitOfWork.append`: encode one event of an aggregate at hand, then store it
    command            `AggregateService.send`: look-up, hydration, decision, append
    peer:NAME          a peer stores one event of an aggregate at hand: compare with append
    peer-command:NAME  a peer loads the aggregate, decides and stores: compare with command

Events are spread over 100 aggregates, so that none grows long. If an append has several commits, only baseline and
store are measured: a command leaves one commit in each aggregate that it touches.
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
from eslab.bench.baselines import BareInserts, Baseline, Step, baseline_settings, check_settings
from eslab.bench.measure import Report, Row, single_row, small_heap, versions_of
from eslab.bench.peers import Peer, open_peer
from eslab.bench.sample import BEGAN, CUSTOMER, AddColor, ColorAdded, Frosting, color, commit, handle, request
from eslab.bench.targets import Target, durabilities, target
from eslab.display import quantity
from eslab.errors import EslabError, InvalidInput
from eslab.store import Commit

APPENDS = 2000
ROUND = 50  # appends of one measure, all prepared first, before the next measure's turn
SPREAD = 100  # aggregates; more than a round has appends, so that no append of a round waits for another
NOTE = (
    "One writer, one event a commit, one disk, whose fsync decides wherever acknowledged is on disk: this can't show "
    "several writers, a network, replicas, or a disk that lies about fsync."
)


@dataclass(frozen=True)
class Appender:
    """One way to append: `prepare` does what isn't timed and returns the step that is."""

    name: str
    prepare: Callable[[int], Step]
    stored: Callable[[], int]  # counts the events that it has stored


def measure_appends(store: str = "sqlite", appends: int = APPENDS, peers: Sequence[str] = (), batch: int = 1) -> Report:
    """Measure appends of `batch` commits, each append timed alone, at each durability of the store.

    Writes `appends` appends and one more round for each measure and durability, under new ids in every run.
    Raises `EslabError` if an event is missing in the end, or a side runs at another durability.
    """
    if batch > 1 and peers:
        raise InvalidInput(f"Expected no peer beside appends of {batch} commits, got {', '.join(peers)}: none has any.")
    rows = []
    versions = versions_of(*peers)
    for durability in durabilities(store):
        with target(store, durability) as place:
            rows += _measure_durability(place, durability, appends, peers, batch)
            versions |= place.versions
    return Report(rows, NOTE, versions)


def _measure_durability(place: Target, durability: str, appends: int, peers: Sequence[str], batch: int) -> list[Row]:
    run = uuid4().hex  # new requests in every run: a second run on the same store must not find the first one's
    with ExitStack() as stack:
        appenders = list(_own_appenders(stack.enter_context(closing(place.open())), run, batch))
        settings = {}
        if baseline := place.append_baseline(durability):
            stack.enter_context(closing(baseline))
            settings = baseline_settings(baseline, place.expected(durability))
            appenders = [*_baseline_appenders(baseline, run, batch), *appenders]
        for name in peers:
            peer = stack.enter_context(closing(open_peer(name, place.scheme, place.folder, durability)))
            check_settings(name, peer.settings(), settings)
            appenders += _peer_appenders(peer)
        timed = _time_in_turn(appenders, appends)
        for appender in appenders:
            _check_count(appender, (appends + ROUND) * batch)
    return [single_row(name, place.scheme, seconds, batch, **settings) for name, seconds in timed.items()]


def _own_appenders(store: EventStore, run: str, batch: int) -> Iterator[Appender]:
    clock = ManualClock(BEGAN)
    service = AggregateService(store, Frosting, handle, clock)
    repository = Repository(store, clock)

    def bare(number: int) -> Step:
        return partial(store.append, CUSTOMER, _commits(f"store {run}", number, batch))

    def append(number: int) -> Step:
        made = request(number)
        clock.now = made.time
        work = repository.begin(CUSTOMER, made, AddColor(color(number)))
        (frosting,) = work.load((Frosting, f"append {run} {number % SPREAD}"))
        work.add(frosting, ColorAdded(color(number)))
        return work.append

    def send(number: int) -> Step:
        made = request(number)
        clock.now = made.time
        id = f"frosting:command {run} {number % SPREAD}"
        return partial(service.send, CUSTOMER, id, AddColor(color(number)), made)

    def stored(kind: str) -> int:
        keys = [f"{kind} {run} {number}" for number in range(SPREAD)]
        return sum(sum(repository.load(CUSTOMER, Frosting, key).colors.values()) for key in keys)

    ways = {"store": bare, "append": append, "command": send} if batch == 1 else {"store": bare}
    for name, prepare in ways.items():
        yield Appender(name, prepare, partial(stored, name))


def _baseline_appenders(baseline: Baseline, run: str, batch: int) -> Iterator[Appender]:
    def insert(bare: BareInserts, number: int) -> Step:
        return bare.prepare_insert(*_commits(f"insert {run}", number, 1))

    def append(number: int) -> Step:
        return baseline.prepare(_commits(f"baseline {run}", number, batch))

    def stored(kind: str) -> int:
        return sum(baseline.read(aggregate_id((Frosting, f"{kind} {run} {number}"))) for number in range(SPREAD))

    if batch == 1 and isinstance(baseline, BareInserts):
        yield Appender("insert", partial(insert, baseline), partial(stored, "insert"))
    yield Appender("baseline", append, partial(stored, "baseline"))


def _commits(key: str, number: int, batch: int) -> list[Commit]:
    """The commits of the `number`th append, all of one aggregate."""
    events = range(number * batch, number * batch + batch)
    return [commit(f"{key} {number % SPREAD}", event, request(event)) for event in events]


def _peer_appenders(peer: Peer) -> Iterator[Appender]:
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
    with small_heap():
        for start in range(0, appends + ROUND, ROUND):
            numbers = range(start, min(start + ROUND, appends + ROUND))
            for appender in appenders:
                steps = [appender.prepare(number) for number in numbers]
                gc.collect()
                seconds[appender.name] += map(_time, steps)
    return {name: times[ROUND:] for name, times in seconds.items()}


def _time(step: Step) -> float:
    begin = perf_counter()
    step()
    return perf_counter() - begin


def _check_count(appender: Appender, expected: int) -> None:
    stored = appender.stored()
    if stored != expected:
        raise EslabError(f"Expected {quantity(expected, 'event')} from {appender.name} in its store, got {stored:,}.")
