"""`eslab bench hydrate` measures what it says: which events are replayed, from which snapshot, at which cost."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from eslab import EslabError, EventStore, InvalidInput, ManualClock, open_store
from eslab.bench import hydrate
from eslab.bench.cost_model import CostModel
from eslab.bench.hydrate import measure_hydration
from eslab.bench.keeper import SLACK, Keeper
from eslab.bench.loads import Load, Wanted, costs_of, peak_of
from eslab.bench.measure import Row
from eslab.bench.meters import metered
from eslab.bench.peer_eventsourcing import EventsourcingPeer
from eslab.bench.peers import open_peer
from eslab.bench.sample import CUSTOMER, FROSTING, Frosting, padded, state_after
from eslab.bench.stream import END, Stream
from tests.support.sample import everything, new_url

DAY = timedelta(days=1)
SETTLED = END + timedelta(hours=26)
COSTS = ("replayed", "waits", "statements")


def measured(store: str = "memory", **options: Any) -> Sequence[Row]:
    """The rows of one run."""
    return measure_hydration(store, runs=1, **options).rows


def costs(rows: Sequence[Row], *names: str) -> dict[str, tuple[Any, ...]]:
    """These columns of all hydrations at an interval, by measure."""
    return {row.label: tuple(map(row.extra.get, names)) for row in rows if "waits" in row.extra}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    with closing(open_store(new_url("sqlite", tmp_path))) as store:
        yield store


def test_what_is_measured_without_snapshots_and_with_them() -> None:
    """The bare read below the replay, one bare row below a snapshot; the builder where snapshots were due."""
    rows = measured("sqlite", lengths=[40], intervals=[None, 10, 50], spread=40 * DAY)
    names = {at: [row.label for row in rows if row.extra["interval"] == at] for at in (0, 10, 50)}
    loads = ["hydrate cold", "hydrate warm"]
    assert names[0] == ["baseline", "read", "decode", *loads]
    assert names[10] == ["baseline:row", *loads, "live cold", "live warm", "build"]
    assert names[50] == ["baseline:row", *loads, "live cold", "live warm"]


def test_events_behind_the_newest_snapshot_are_replayed() -> None:
    """When all have settled; at the moment of the last event also those younger than a day and two hours."""
    rows = measured(lengths=[47], intervals=[10], spread=47 * DAY / 12)  # an event every two hours
    assert costs(rows, "replayed") == {
        "hydrate cold": (7,),
        "hydrate warm": (7,),
        "live cold": (17,),
        "live warm": (17,),
    }


def test_a_process_that_knows_the_snapshot_waits_once() -> None:
    """One that doesn't reads the first events in vain, and waits twice if there are more of them."""
    rows = measured("sqlite", lengths=[100], intervals=[10])
    assert costs(rows, *COSTS) == {
        "hydrate cold": (0, 2, 4), "hydrate warm": (0, 1, 3), "live cold": (10, 2, 4), "live warm": (10, 1, 3),
    }  # fmt: skip


def test_a_cold_hydration_has_seen_nothing(store: EventStore) -> None:
    """Each time, not only the first: it waits twice where a process that knows the snapshot waits once."""
    stream = Stream(100)
    stream.fill(store)
    Keeper(store, stream, 10).build(SETTLED)
    waits = {}
    with metered(store) as (counted, meter):
        for temperature in ("cold", "warm"):
            wanted = Wanted(CUSTOMER, Frosting, stream.key, ManualClock(SETTLED + SLACK))
            load = Load(counted, wanted, temperature)
            load.hydrate()
            load.prepare()
            meter.take()
            load.hydrate()
            waits[temperature] = meter.take().read_waits
    assert waits == {"cold": 2, "warm": 1}


def test_bytes_are_those_of_the_payloads(store: EventStore) -> None:
    """Of all commits, and of the snapshots if there are any; those alone are told too."""
    stream = Stream(30)
    stream.fill(store)
    commits = [len(commit.payload) for commit in store.rows(CUSTOMER, stream.id)]
    load = Load(store, Wanted(CUSTOMER, Frosting, stream.key, ManualClock(SETTLED + SLACK)), "warm")
    assert costs_of(load)["bytes"] == sum(commits)
    Keeper(store, stream, 7).build(SETTLED)
    load.hydrate()
    snapshots = [len(it.payload) for it in store.heads(CUSTOMER, [stream.id])[stream.id].snapshots]
    found = costs_of(load)
    assert (len(snapshots), found["replayed"]) == (3, 2)
    assert (found["bytes"], found["snapshot_bytes"]) == (sum(commits[-2:]) + sum(snapshots), sum(snapshots))


def test_counting_leaves_no_trace(store: EventStore) -> None:
    """The statements of a store are counted for one hydration, not for those that are timed."""
    stream = Stream(3)
    stream.fill(store)
    load = Load(store, Wanted(CUSTOMER, Frosting, stream.key, ManualClock(END)), "cold")
    assert costs_of(load) | {"memory": 0} == costs_of(load) | {"memory": 0}


def test_memory_does_not_depend_on_the_length(store: EventStore) -> None:
    """Neither from a snapshot nor, beyond some pages, in a replay: events are folded a page at a time."""
    peaks = {}
    for events in (300, 3_000, 12_000):
        stream = Stream(events)
        stream.fill(store)
        wanted = Wanted(CUSTOMER, Frosting, stream.key, ManualClock(SETTLED + SLACK))
        replay = peak_of(Load(store, wanted, "warm"))
        Keeper(store, stream, 100).build(SETTLED)
        peaks[events] = replay, peak_of(Load(store, wanted, "warm"))
    assert peaks[12_000][0] < 1.5 * peaks[3_000][0]
    assert peaks[12_000][1] < 1.5 * peaks[300][1]
    assert peaks[300][1] < peaks[300][0] / 2


def test_a_hydration_from_another_base_is_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here somebody deletes the snapshots that were built: a replay must not pass for a hydration from one."""
    build = Keeper.build

    def build_and_lose(keeper: Keeper, *arguments: Any) -> list[float]:
        seconds = build(keeper, *arguments)
        keeper.discard()
        return seconds

    monkeypatch.setattr(Keeper, "build", build_and_lose)
    with pytest.raises(EslabError, match="Expected nobody else to build or delete snapshots of 'frosting:40 over 10y'"):
        measured(lengths=[40], intervals=[10])


def test_a_named_store_keeps_the_events_and_no_snapshot(tmp_path: Path) -> None:
    """So another run, with other intervals, finds what it needs and nothing else; it writes the same rows."""
    url = new_url("sqlite", tmp_path)
    for intervals in ([10], [None, 3]):
        measured(url, lengths=[20], intervals=intervals)
        with closing(open_store(url)) as store:
            (id,) = found = everything(store, CUSTOMER)
            assert (len(found[id][1]), found[id][0].snapshots) == (20, [])


def test_what_an_interrupted_run_left_is_discarded_first(tmp_path: Path) -> None:
    """Its snapshots are newer than those of the next run."""
    url = new_url("sqlite", tmp_path)
    with closing(open_store(url)) as store:
        stream = Stream(20)
        stream.fill(store)
        Keeper(store, stream, 2).build(SETTLED)
    assert costs(measured(url, lengths=[20], intervals=[15]), "replayed")["hydrate warm"] == (5,)


def test_an_interrupt_leaves_no_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in a measure."""

    def interrupt(*arguments: Any) -> None:
        raise KeyboardInterrupt

    url = new_url("sqlite", tmp_path)
    monkeypatch.setattr(hydrate, "time_calls", interrupt)
    with pytest.raises(KeyboardInterrupt):
        measured(url, lengths=[20], intervals=[10])
    with closing(open_store(url)) as store:
        (head, rows) = everything(store, CUSTOMER)["frosting:20 over 10y"]
        assert (head.snapshots, len(rows)) == ([], 20)


@pytest.mark.parametrize("scheme", ["memory", "sqlite"])
def test_a_peer_loads_from_its_own_snapshots(scheme: str, tmp_path: Path) -> None:
    """Beside the same tail, to the same state; without snapshots it replays all."""
    rows = measured(scheme, lengths=[25], intervals=[7, None, 10], peers=["eventsourcing"])
    assert [row.extra["interval"] for row in rows if row.measure == "peer:eventsourcing"] == [7, 0, 10]
    with closing(open_peer("eventsourcing", scheme, tmp_path)) as peer:
        peer.fill("7", 25)
        peer.snapshot("7", 20)
        assert peer.load("7") == peer.load_from_snapshot("7") == state_after(25)


def test_the_newest_snapshot_of_a_peer_is_that_of_the_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its newest one counts, so the interval whose snapshots reach furthest comes last."""
    kept: list[int] = []
    snapshot = EventsourcingPeer.snapshot

    def note_and_keep(peer: EventsourcingPeer, key: str, events: int) -> None:
        kept.append(events)
        snapshot(peer, key, events)

    monkeypatch.setattr(EventsourcingPeer, "snapshot", note_and_keep)
    measured(lengths=[35], intervals=[8, 30, 2, 10], peers=["eventsourcing"])
    assert kept == [30, 32, 34]  # those of 30 and 10 are the same


def test_a_snapshot_of_the_peer_spares_it_the_events_in_it(tmp_path: Path) -> None:
    """They may be gone, as a proof; the other way to load needs them."""
    with closing(open_peer("eventsourcing", "sqlite", tmp_path)) as peer:
        peer.fill("7", 25)
        peer.snapshot("7", 20)
        with closing(sqlite3.connect(tmp_path / "eventsourcing.db")) as file, file:
            file.execute("DELETE FROM stored_events WHERE originator_version <= 21")  # the first one is its creation
        assert peer.load_from_snapshot("7") == state_after(25)
        with pytest.raises(AssertionError):  # nothing made the aggregate that the other events change
            peer.load("7")


def test_padding_makes_events_larger_and_not_their_state() -> None:
    """So that the cost model can tell a byte's cost from an event's."""
    plain, larger = (measured(lengths=[10], intervals=[None], sample=it)[-1] for it in (FROSTING, padded(500)))
    assert larger.extra["bytes"] - plain.extra["bytes"] == pytest.approx(10 * 500, rel=0.1)
    assert (plain.extra["padding"], larger.extra["padding"]) == (0, 500)
    assert padded(500).state_after(7).colors == FROSTING.state_after(7).colors  # type: ignore[attr-defined]


def test_a_report_is_a_frame_from_which_the_model_follows() -> None:
    """The columns that a notebook needs, times in seconds."""
    frame = measure_hydration("memory", [10, 100, 300], [None, 5], runs=1).frame()
    assert {"name", "store", "events", "interval", "temperature", "replayed", "p50", "p99"} <= {*frame.columns}
    assert {"bytes", "snapshot_bytes", "waits", "statements", "memory"} <= {*frame.columns}
    assert set(frame.temperature) == {"cold", "warm", ""}
    model = CostModel.fit(frame)
    assert model.per_event > 0
    assert model.build > 0


def test_the_steps_are_told() -> None:
    """What is done now, in words, from the first event that is stored on."""
    steps: list[str] = []
    measure_hydration("memory", [500], [10], runs=1, on_step=steps.append)
    assert steps == [
        "500 events: 400 stored in memory",
        "500 events: 500 stored in memory",
        "500 events: snapshots at interval 10",
        "500 events: live, interval 10, warm up",
        "500 events: live, interval 10, round 1 of 1",
        "500 events: hydrate, interval 10, warm up",
        "500 events: hydrate, interval 10, round 1 of 1",
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lengths": [10], "spread": DAY}, "Expected a spread of more than 1 day 2 h, got 1 day: snapshots hold only"),
        ({"lengths": [10**9], "spread": 30 * DAY}, "Expected a spread of at least 115 days .* got 30 days"),
        ({"lengths": [10], "intervals": [0]}, "Expected intervals of 1 event or more, or None for no snapshots"),
        ({"lengths": [10], "intervals": []}, "Expected intervals of 1 event or more"),
        (
            {"lengths": [10], "peers": ["eventsourcing"], "sample": padded(5)},
            "Expected no peer beside LabelledFrosting",
        ),
    ],
)
def test_what_can_not_be_measured_is_refused(options: dict[str, Any], message: str) -> None:
    """With what would do."""
    with pytest.raises(InvalidInput, match=message):
        measured(**options)


def test_a_short_spread_does_without_snapshots() -> None:
    """A stream of an hour has no settled events, and may be replayed."""
    assert measured(lengths=[10], intervals=[None], spread=timedelta(hours=1))


def test_equal_lengths_and_intervals_are_measured_once() -> None:
    """In the order in which they were given."""
    rows = measured(lengths=[10, 20, 10], intervals=[5, None, 5])
    assert list(dict.fromkeys((row.events, row.extra["interval"]) for row in rows)) == [
        (10, 5),
        (10, 0),
        (20, 5),
        (20, 0),
    ]
    assert len({(row.label, row.events, row.extra["interval"]) for row in rows}) == len(rows)
