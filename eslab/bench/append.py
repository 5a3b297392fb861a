"""What one append of a one-event commit costs, from the bare upsert upwards, at the same durability for all.

    floor            bare sqlite3: the same two rows upserted in one transaction
    store            `EventStore.append` of the same commit, sealed before
    append           `Wish.append`: seal one event of an aggregate at hand, then store it
    wish             `AggregateService.send`: look-up, hydration, decision, append
    peer:NAME        a peer stores one event of an aggregate at hand, to compare with append
    peer-wish:NAME   a peer loads the aggregate, decides and stores, to compare with wish

Events are spread over 100 aggregates, so that none grows long.
"""

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from uuid import uuid4

from eslab import AggregateService, EventStore, ManualClock, Repository
from eslab.bench.floors import SqliteFloor, Target, target
from eslab.bench.measure import Report, Row, single_row, versions_of
from eslab.bench.peers import Peer, open_peer
from eslab.bench.sample import BEGAN, CUSTOMER, AddColor, ColorAdded, Frosting, color, commit, handle, request
from eslab.errors import EslabError

APPENDS = 2000
ROUND = 50  # appends of one measure, all made ready first, before the next one's turn
SPREAD = 100  # aggregates; more than a round has appends, so none of a round waits for another
NOTE = (
    "One writer, one event a commit, one disk, whose fsync decides the full setting: this can't show several "
    "writers, a network, or a disk that lies about fsync."
)
Step = Callable[[], object]


@dataclass(frozen=True)
class Appender:
    """One way to append: `prepare` makes ready what isn't timed and returns the step that is."""

    name: str
    prepare: Callable[[int], Step]
    stored: Callable[[], int]  # how many events are there in the end


def measure_appends(store: str = "sqlite", appends: int = APPENDS, peers: Sequence[str] = ()) -> Report:
    """Measure single appends, each timed alone, at each durability that the store has.

    Writes `appends` commits and one round more for each measure and durability, under new ids each time.
    Raises `EslabError` if an event is missing in the end, or a side runs at another durability.
    """
    with target(store) as place:
        rows = [row for setting in place.durabilities for row in _measure_setting(place, setting, appends, peers)]
    return Report(rows, NOTE, versions_of(*peers))


def _measure_setting(place: Target, durability: str, appends: int, peers: Sequence[str]) -> list[Row]:
    with ExitStack() as stack:
        appenders = [*_own(stack.enter_context(closing(place.open(durability))), uuid4().hex)]
        if durability:
            appenders.insert(0, _floor(stack, place, durability))
        for name in peers:
            peer = stack.enter_context(closing(open_peer(name, place.scheme, place.folder, durability)))
            _check_settings(name, peer.settings(), durability)
            appenders += _peer(peer)
        timed = _time_in_turn(appenders, appends)
        for appender in appenders:
            _check_count(appender, appends + ROUND)
    extra = _settings(durability)
    return [single_row(name, place.scheme, seconds, **extra) for name, seconds in timed.items()]


def _own(store: EventStore, run: str) -> Iterator[Appender]:
    clock = ManualClock(BEGAN)
    service, repository = AggregateService(store, Frosting, handle, clock), Repository(store, clock)

    def bare(number: int) -> Step:
        ready = commit(f"store {run} {number % SPREAD}", number, request(number))
        return partial(store.append, CUSTOMER, [ready])

    def append(number: int) -> Step:
        asked, key = request(number), f"append {run} {number % SPREAD}"
        clock.now = asked.time
        wish = repository.begin(CUSTOMER, asked, AddColor(color(number)))
        (frosting,) = wish.load((Frosting, key))
        wish.add(frosting, ColorAdded(color(number)))
        return wish.append

    def send(number: int) -> Step:
        asked, id = request(number), f"frosting:wish {run} {number % SPREAD}"
        clock.now = asked.time
        return partial(service.send, CUSTOMER, id, AddColor(color(number)), asked)

    def stored(kind: str) -> int:
        keys = [f"{kind} {run} {number}" for number in range(SPREAD)]
        return sum(sum(repository.load(CUSTOMER, Frosting, key).colors.values()) for key in keys)

    for name, prepare in {"store": bare, "append": append, "wish": send}.items():
        yield Appender(name, prepare, partial(stored, name))


def _floor(stack: ExitStack, place: Target, durability: str) -> Appender:
    store = stack.enter_context(closing(place.open_beside(f"floor-{durability}", durability)))
    floor = stack.enter_context(closing(SqliteFloor(store.path, durability)))
    _check_settings("floor", floor.settings(), durability)

    def prepare(number: int) -> Step:
        return partial(floor.append, commit(str(number % SPREAD), number, request(number)))

    ids = [f"frosting:{number}" for number in range(SPREAD)]
    return Appender("floor", prepare, lambda: sum(map(floor.read, ids)))


def _peer(peer: Peer) -> Iterator[Appender]:
    for number in range(SPREAD):
        peer.fill(f"append {number}", 0)
        peer.fill(f"wish {number}", 0)

    def append(number: int) -> Step:
        return partial(peer.save, peer.prepare(f"append {number % SPREAD}", number))

    def send(number: int) -> Step:
        return partial(peer.send, f"wish {number % SPREAD}", number)

    def stored(kind: str) -> int:
        return sum(sum(peer.load(f"{kind} {number}").values()) for number in range(SPREAD))

    yield Appender(f"peer:{peer.name}", append, partial(stored, "append"))
    yield Appender(f"peer-wish:{peer.name}", send, partial(stored, "wish"))


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


def _settings(durability: str) -> dict[str, str]:
    return {"journal_mode": "wal", "synchronous": durability} if durability else {}


def _check_settings(name: str, found: dict[str, str], durability: str) -> None:
    if found != _settings(durability):
        raise EslabError(f"Expected {name} to run at {_settings(durability)}, found {found}; it can't be compared.")


def _check_count(appender: Appender, expected: int) -> None:
    if (found := appender.stored()) != expected:
        raise EslabError(f"Expected {expected:,} events from {appender.name} in its store, found {found:,}.")
