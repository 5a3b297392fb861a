"""The cost of hydration by the length of the stream and the interval of its snapshots, from the bare read upwards.

baseline      a bare one-column SELECT of the payloads, on the same tables, page by page
baseline:row  one bare SELECT of a single row by its whole key
read          the store's `read_many`, all pages dropped
decode        checksums and typed decode of the same pages, which are in memory already
hydrate       `Repository.hydrate` when all events have settled: look-up, snapshot, read, decode, fold; cold and warm
live          the same at the moment of the last event: no snapshot holds the events younger than `fold_after` yet
build         the real builder folds one interval of events into a snapshot, and deletes the fourth newest
peer:NAME     a peer's own way to load the same events from its own store of the same kind, by its own snapshots

Without snapshots, hydrate is a replay of all events, and there is neither live nor build.
"""

from collections.abc import Sequence
from contextlib import ExitStack, closing
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from eslab import ManualClock
from eslab.bench.baselines import Step
from eslab.bench.keeper import KEPT, SLACK, Keeper
from eslab.bench.loads import TEMPERATURES, Load, Wanted, costs_of, repeat_of
from eslab.bench.measure import RUNS, Measure, Report, Row, single_row, time_calls, versions_of
from eslab.bench.peers import open_peer
from eslab.bench.reads import read_measures, row_measure
from eslab.bench.sample import CUSTOMER, FROSTING, Sample, state_after
from eslab.bench.steps import OnStep, Steps, unseen
from eslab.bench.stream import END, SPREAD, Stream, spread_in_words
from eslab.bench.targets import Target, target
from eslab.display import duration
from eslab.errors import EslabError, InvalidInput

LENGTHS = (1_000, 10_000, 100_000)
INTERVALS = (None, 100)
NOTE = (
    "One aggregate of small events that one process reads again and again while they are in memory: this can't show "
    "a cold disk, a network, large events, or what your own apply costs. Cold means a repository that has not seen the "
    "aggregate; connection, prepared statements and file cache are warm."
)


def measure_hydration(
    store: str = "sqlite",
    lengths: Sequence[int] = LENGTHS,
    intervals: Sequence[int | None] = INTERVALS,
    spread: timedelta = SPREAD,
    runs: int = RUNS,
    peers: Sequence[str] = (),
    sample: Sample = FROSTING,
    on_step: OnStep = unseen,
) -> Report:
    """Measure hydration for each length without snapshots (None) and at each interval; measures take turns.

    Writes each length once, as an aggregate of its own whose events are spread evenly over `spread`; each measure loads
    it `runs + 1` times, a short one many times in each of them. Snapshots are deleted afterwards. Peers know no other
    sample than frosting. Raises `InvalidInput` for a spread that is too short for its events or for a snapshot.
    """
    if peers and sample is not FROSTING:
        raise InvalidInput(
            f"Expected no peer beside {sample.aggregate_type.__name__}, got {', '.join(peers)}: peers store frosting."
        )
    if not intervals or any(it is not None and it < 1 for it in intervals):
        raise InvalidInput(f"Expected intervals of 1 event or more, or None for no snapshots, got {intervals}.")
    streams = [Stream(length, spread, sample) for length in dict.fromkeys(lengths)]
    with target(store) as place:
        rows = []
        for stream in streams:
            with ExitStack() as stack:
                rows += _Bench(stack, place, stream, runs, peers, on_step).rows(intervals)
    return Report(rows, NOTE, {**versions_of(*peers), **place.versions})


class _Bench:
    """The measures of one stream on one store; whatever is opened is closed with the stack."""

    def __init__(
        self, stack: ExitStack, place: Target, stream: Stream, runs: int, peers: Sequence[str], on_step: OnStep
    ) -> None:
        self._scheme = place.scheme
        self._stream = stream
        self._runs = runs
        self._steps = Steps(f"{stream.events:,} events", on_step)
        self._store = stack.enter_context(closing(place.open()))
        self._baseline = place.read_baseline(self._store)
        if self._baseline:
            stack.enter_context(closing(self._baseline))
        self._peers = [stack.enter_context(closing(open_peer(name, place.scheme, place.folder))) for name in peers]
        self._in_peers = 0  # events in the peers' newest snapshots
        stream.fill(self._store, self._steps.storing(place.scheme))
        for peer in self._peers:
            peer.fill(stream.key, stream.events, self._steps.storing(peer.name))
        self._state = stream.sample.state_after(stream.events)

    def rows(self, intervals: Sequence[int | None]) -> list[Row]:
        """The rows of all intervals, in their order."""
        # Of a peer's snapshots the newest counts, so the interval whose snapshots reach furthest comes last.
        in_turn = sorted({*intervals}, key=lambda it: self._folded(it) if it else -1)
        rows = {interval: self._at_interval(interval) if interval else self._replays() for interval in in_turn}
        return [row for interval in dict.fromkeys(intervals) for row in rows[interval]]

    def _replays(self) -> list[Row]:
        """The rows without snapshots."""
        stream = self._stream
        reads = read_measures(self._store, self._baseline, self._wanted(END), stream.events)
        peers = [self._peer_measure(peer.name, partial(peer.load, stream.key), stream.events) for peer in self._peers]
        return self._timed("hydrate", 0, END, None, [*reads, *peers])

    def _at_interval(self, interval: int) -> list[Row]:
        """The rows at one interval; its snapshots are deleted afterwards."""
        stream = self._stream
        keeper = Keeper(self._store, stream, interval)
        _check_spread(stream.spread, keeper.fold_after)
        settled = END + keeper.fold_after
        newest = stream.request(stream.events - 1).event_time
        keeper.discard()
        try:
            self._steps.say(f"snapshots at interval {interval:,}")
            seconds = keeper.build(END, self._runs + KEPT)
            live = self._timed("live", interval, END, keeper.newest, [])
            seconds += keeper.build(settled)
            others = row_measure(self._baseline, CUSTOMER, stream.id, newest)
            rows = self._timed("hydrate", interval, settled, keeper.newest, [*others, *self._snapshots(interval)])
        except EslabError as error:
            raise keeper.disturbed() or error from error
        finally:
            keeper.discard()
        return [*rows, *live, *self._built(interval, seconds)]

    def _snapshots(self, interval: int) -> list[Measure]:
        """The measures of peers that load from their snapshot at this interval."""
        key, folded = self._stream.key, self._folded(interval)
        for peer in self._peers:
            if folded > self._in_peers:
                peer.snapshot(key, folded)
        self._in_peers = folded
        waiting = self._stream.events - folded
        return [self._peer_measure(it.name, partial(it.load_from_snapshot, key), waiting) for it in self._peers]

    def _folded(self, interval: int) -> int:
        """The number of events in the newest snapshot, when all have settled."""
        return self._stream.events // interval * interval

    def _peer_measure(self, name: str, call: Step, replayed: int) -> Measure:
        return Measure(f"peer:{name}", call, state_after(self._stream.events), repeat_of(replayed))

    def _wanted(self, now: datetime) -> Wanted:
        return Wanted(CUSTOMER, self._stream.sample.aggregate_type, self._stream.key, ManualClock(now + SLACK))

    def _timed(
        self, name: str, interval: int, now: datetime, base: UUID | None, others: Sequence[Measure]
    ) -> list[Row]:
        """The rows of cold and warm hydrations that begin from this base, beside other measures, all in turn."""
        loads = {temperature: Load(self._store, self._wanted(now), temperature) for temperature in TEMPERATURES}
        own = [load.measure(f"{name} {temperature}", base, self._state) for temperature, load in loads.items()]
        what = f"interval {interval:,}" if interval else "replay"
        timed = time_calls([*others, *own], self._runs, self._steps.rounds(f"{name}, {what}", self._runs))
        rows = [self._row(it.name, timed[it.name], interval) for it in others]
        for temperature, load in loads.items():
            costs = costs_of(load)
            rows.append(self._row(name, timed[f"{name} {temperature}"], interval, temperature=temperature, **costs))
        return rows

    def _built(self, interval: int, seconds: Sequence[float]) -> list[Row]:
        """The row of the builder; none if no snapshot was due."""
        return [self._row("build", seconds, interval, replayed=interval)] if seconds else []

    def _row(self, name: str, seconds: Sequence[float], interval: int, **columns: int | str) -> Row:
        stream = self._stream
        place = {"interval": interval, "spread": spread_in_words(stream.spread), "padding": stream.sample.padding}
        return single_row(name, self._scheme, seconds, stream.events, **{**place, "temperature": "", **columns})


def _check_spread(spread: timedelta, fold_after: timedelta) -> None:
    if spread <= fold_after:
        raise InvalidInput(
            f"Expected a spread of more than {duration(fold_after)}, got {duration(spread)}: snapshots hold only what "
            "is older than that (fold_after). Give a longer --spread, or --interval off alone."
        )
