"""Hydration: from the log, from a snapshot and its tail, at a moment of the past; and the building of snapshots."""

import gc
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eslab import (
    Aggregate,
    Event,
    EventStore,
    HistoryGone,
    InvalidInput,
    ManualClock,
    Repository,
    Request,
    SnapshotPolicy,
    StoreUnavailable,
    Unreadable,
    open_store,
)
from eslab.operations.history import history
from eslab.operations.snapshots import build_snapshot
from eslab.payload.serializer import command_hash
from eslab.request import latest_at
from eslab.store import Commit, Consistency
from tests.support.sample import (
    DAY,
    HOUR,
    MINUTE,
    ROOT,
    START,
    Count,
    Counted,
    Counter,
    Faulty,
    Stamped,
    Voided,
    at,
    commits,
    everything,
    fill,
    rows,
    snapshot,
)

ONE = SnapshotPolicy(every=1)
LATER = START + 30 * HOUR  # when all that happened in the first hours may be folded
LOG = st.lists(
    st.tuples(
        st.integers(0, 300),
        st.sampled_from([Counted("tea"), Counted("milk", 3), Counted("salt", -1), Voided("milk"), Voided("salt")]),
    ),
    unique_by=lambda pair: pair[0],
    min_size=1,
    max_size=12,
)


class Recounted(Aggregate):
    """The same events, folded another way."""

    stored_as = "counter"
    fold_version = 2
    kinds: set[str] = set()

    def apply(self, event: Counted | Voided) -> None:
        self.kinds.add(event.what)


def append(store: EventStore, *events: tuple[float, Event], id: str = "counter:1") -> None:
    """One commit for each event, at its minute."""
    for minutes, event in events:
        store.append("ann", commits(at(minutes), {id: [event]}))


def replayed(*events: Event) -> Counter:
    """The state that the events add up to, without any store."""
    counter = Counter()
    for event in events:
        counter.apply(event)
    return counter


def forget(store: EventStore, id: str = "counter:1") -> None:
    """Delete every snapshot."""
    store.delete_snapshots("ann", id, Request.at(datetime.fromisoformat("1970-01-01T00:00Z"), "x").event_time)


# Loading


def test_an_aggregate_that_nothing_happened_to_is_empty(repository: Repository) -> None:
    """Nobody needs to create it."""
    assert repository.load("ann", Counter, "1") == Counter()
    assert repository.load_all("ann", Counter) == {}


def test_events_add_up_in_order_of_wishes(repository: Repository, store: EventStore) -> None:
    """Whatever order they arrived in; hydration says what it cost."""
    append(store, (2, Counted("tea")), (1, Voided("milk")), (3, Counted("milk")))
    hydration = repository.hydrate("ann", Counter, "1")
    assert hydration.state == Counter({"tea": 1, "milk": 1}, {"milk"})
    assert (hydration.base, hydration.commits, hydration.tail) == (None, 3, 3)


def test_a_log_of_several_pages_is_folded_whole(repository: Repository, store: EventStore) -> None:
    """Page by page, in one state."""
    fill(store, 2345)
    assert repository.load("ann", Counter, "1").total == repository.hydrate("ann", Counter, "1").tail == 2345


def test_all_of_a_type_are_loaded_by_key(repository: Repository, store: EventStore) -> None:
    """Those of one customer and one type, in the order of their ids; wildcards in a key are letters."""
    for id in ("counter:b", "counter:%", "counter:a:x", "counters:1", "card:1"):
        event = Stamped(1) if id.startswith("card") else Counted(id)
        append(store, (1, event), id=id)
    found = repository.load_all("ann", Counter)
    assert list(found.items()) == [(key, Counter({f"counter:{key}": 1})) for key in ("%", "a:x", "b")]
    assert repository.load_all("bob", Counter) == {}


def test_all_of_a_type_are_loaded_in_two_waits(store: EventStore, clock: ManualClock) -> None:
    """One for the heads and one for the commits, however many aggregates there are."""
    faulty = Faulty(store)
    for number in range(5):
        append(store, (1, Counted("tea")), id=f"counter:{number}")
    assert len(Repository(faulty, clock).load_all("ann", Counter)) == 5
    assert faulty.calls == [("read_many", Consistency.LOCAL)]  # heads_of_type is the other one


@given(LOG, st.randoms(use_true_random=False))
def test_G4_the_same_rows_in_any_order_give_the_same_state(
    open_new: Callable[[], EventStore], log: list[tuple[int, Event]], random: object
) -> None:
    """Arrival doesn't count, on any store, and neither does the order in which they are applied."""
    store, arrival = open_new(), list(log)
    random.shuffle(arrival)  # type: ignore[attr-defined]
    append(store, *arrival)
    state = Repository(store, ManualClock(START)).load("ann", Counter, "1")
    assert state == replayed(*(event for _, event in sorted(log))) == replayed(*(event for _, event in arrival))


# Time travel


def test_a_moment_of_the_past_is_shown_as_it_was(repository: Repository, store: EventStore) -> None:
    """`as_of` includes its millisecond and nothing later."""
    append(store, (1, Counted("tea")), (2, Counted("tea")), (3, Voided("tea")))
    as_of = [START, at(1).time, at(2).time - timedelta(milliseconds=1), at(2).time, at(9).time]
    found = [repository.load("ann", Counter, "1", as_of=time) for time in as_of]
    once, twice = Counter({"tea": 1}), Counter({"tea": 2})
    assert found == [Counter(), once, once, twice, Counter({"tea": 2}, {"tea"})]
    assert repository.load_all("ann", Counter, as_of=at(1).time) == {"1": once}


@given(LOG, st.integers(0, 300), st.integers(0, 300))
def test_a_snapshot_does_not_change_the_past(
    open_new: Callable[[], EventStore], log: list[tuple[int, Event]], cut: int, moment: int
) -> None:
    """Before, at or after a snapshot, a moment shows what a replay up to it shows."""
    store = open_new()
    append(store, *log)
    repository = Repository(store, ManualClock(START + 26 * HOUR + cut * MINUTE))
    build_snapshot(repository, "ann", Counter, "1", ONE)
    expected = replayed(*(event for minutes, event in log if minutes <= moment))
    assert repository.load("ann", Counter, "1", as_of=at(moment).time) == expected


@pytest.mark.parametrize("as_of", [datetime(2026, 1, 1), datetime.fromisoformat("1969-12-31T23:59Z")])
def test_a_moment_that_no_request_can_have_is_refused(repository: Repository, as_of: datetime) -> None:
    """Without a zone, or before 1970."""
    with pytest.raises(InvalidInput):
        repository.load("ann", Counter, "1", as_of=as_of)


# Snapshots (G5, G6)


@given(LOG, st.integers(0, 300), st.randoms(use_true_random=False))
def test_G5_snapshot_plus_tail_equals_full_replay(
    open_new: Callable[[], EventStore], log: list[tuple[int, Event]], cut: int, random: object
) -> None:
    """Wherever the snapshot was cut, and in whatever order the tail arrived after it."""
    store, tail = open_new(), [pair for pair in log if pair[0] > cut]
    append(store, *(pair for pair in log if pair[0] <= cut))
    repository = Repository(store, ManualClock(START + 26 * HOUR + cut * MINUTE))
    built = build_snapshot(repository, "ann", Counter, "1", ONE)
    random.shuffle(tail)  # type: ignore[attr-defined]
    append(store, *tail)
    hydration = repository.hydrate("ann", Counter, "1")
    assert hydration.state == replayed(*(event for _, event in log))
    assert (hydration.tail, hydration.commits) == (len(tail) if built else len(log), len(log))


def test_G5_a_snapshot_folds_only_what_is_older_than_w(
    repository: Repository, store: EventStore, clock: ManualClock
) -> None:
    """A commit of exactly W ago is folded, one of a millisecond later isn't."""
    append(store, (0, Counted("tea")), (1 / 60_000, Counted("milk")))
    clock.advance(26 * HOUR - timedelta(milliseconds=1))
    assert build_snapshot(repository, "ann", Counter, "1", ONE) is None
    clock.advance(timedelta(milliseconds=1))
    built = build_snapshot(repository, "ann", Counter, "1", ONE)
    assert built == snapshot(Request(at().id), Counter({"tea": 1}))._replace(up_to=latest_at(START))
    assert list(store.heads("ann", ["counter:1"])["counter:1"].snapshots) == [built]


def test_G5_a_snapshot_is_built_from_a_read_of_every_region(store: EventStore, clock: ManualClock) -> None:
    """Heads and commits are read EVERYWHERE, so the acknowledged commits of each region are in it."""
    fill(store, 3)
    faulty = Faulty(store)
    clock.advance(30 * HOUR)
    assert build_snapshot(Repository(faulty, clock), "ann", Counter, "1", ONE)
    assert faulty.calls == [("heads", Consistency.EVERYWHERE), ("read_many", Consistency.EVERYWHERE)]


def test_G5_no_snapshot_is_built_while_a_region_is_cut_off(store: EventStore, clock: ManualClock) -> None:
    """It only makes hydration longer; nothing is written."""
    fill(store, 3)
    before, faulty = everything(store), Faulty(store)
    faulty.refuse[Consistency.EVERYWHERE] = StoreUnavailable("Asia is cut off")
    clock.advance(30 * HOUR)
    with pytest.raises(StoreUnavailable, match="Asia"):
        build_snapshot(Repository(faulty, clock), "ann", Counter, "1", ONE)
    assert everything(store) == before
    assert Repository(faulty, clock).load("ann", Counter, "1").total == 3


@pytest.mark.parametrize(("every", "built"), [(3, True), (4, False)])
def test_a_snapshot_waits_for_enough_commits(
    repository: Repository, store: EventStore, clock: ManualClock, every: int, built: bool
) -> None:
    """The policy counts the commits that wait to be folded, not those in the last snapshot."""
    policy = SnapshotPolicy(every)
    fill(store, 3)
    clock.advance(30 * HOUR)
    assert (build_snapshot(repository, "ann", Counter, "1", policy) is not None) == built
    assert build_snapshot(repository, "ann", Counter, "1", policy) is None or not built


def test_a_new_snapshot_begins_from_the_last(repository: Repository, store: EventStore, clock: ManualClock) -> None:
    """Only the commits since are read, and all are counted; the policy keeps the newest."""
    for day in range(4):
        append(store, (day * 1440, Counted("tea")), (day * 1440 + 1, Counted("tea")))
        clock.now = START + day * DAY + 30 * HOUR
        build_snapshot(repository, "ann", Counter, "1", SnapshotPolicy(1, keep=2))
    standing = store.heads("ann", ["counter:1"])["counter:1"].snapshots
    assert [each.up_to for each in standing] == [latest_at(START + day * DAY + 4 * HOUR) for day in (3, 2)]
    hydration = repository.hydrate("ann", Counter, "1")
    assert (hydration.state.total, hydration.commits, hydration.tail) == (8, 8, 0)


def test_G6_the_policy_spares_what_stands_on_the_floor(
    repository: Repository, store: EventStore, clock: ManualClock
) -> None:
    """Later snapshots may be deleted by a late commit; the one on the floor is then the only base there is."""
    append(store, (0, Counted("tea")))
    clock.now = LATER
    base = build_snapshot(repository, "ann", Counter, "1", ONE)
    assert base
    store.raise_floor("ann", "counter:1", base.up_to)
    store.delete_events("ann", "counter:1", base.up_to)
    for day in (1, 2):
        append(store, (day * 1440, Counted("tea")))
        clock.now = LATER + day * DAY
        build_snapshot(repository, "ann", Counter, "1", SnapshotPolicy(1, keep=1))
    late = Request.at(START + 6 * HOUR, "from another region")
    store.append("ann", commits(late, {"counter:1": [Counted("tea")]}, command_hash(Count("tea"))))
    work = repository.begin("ann", late, Count("tea"))
    assert work.load((Counter, "1")) == (Counter({"tea": 4}),)


def test_G6_without_its_snapshots_only_the_cost_changes(
    repository: Repository, store: EventStore, clock: ManualClock
) -> None:
    """Deleted, broken, or folded by other code: the state is the same, read from further back."""
    fill(store, 10)
    clock.now = LATER
    built = build_snapshot(repository, "ann", Counter, "1", ONE)
    assert built
    expected = repository.hydrate("ann", Counter, "1")
    for spoil in (
        lambda: store.save_snapshot("ann", "counter:1", built._replace(payload=built.payload[:-1])),
        lambda: forget(store),
        lambda: store.save_snapshot("ann", "counter:1", built._replace(fold=7)),
    ):
        spoil()
        found = repository.hydrate("ann", Counter, "1")
        assert (found.state, found.commits) == (expected.state, expected.commits)
        assert (expected.tail, found.tail) == (0, 10)


def test_G6_another_fold_reads_the_events_anew(repository: Repository, store: EventStore, clock: ManualClock) -> None:
    """Two versions of the code keep snapshots beside each other, and neither reads the other's."""
    fill(store, 10)
    clock.now = LATER
    for aggregate_type in (Counter, Recounted):
        build_snapshot(repository, "ann", aggregate_type, "1", SnapshotPolicy(1, keep=1))
    standing = store.heads("ann", ["counter:1"])["counter:1"].snapshots
    assert [each.fold for each in standing] == [2, 1]
    assert repository.load("ann", Recounted, "1") == Recounted({f"thing {i}" for i in range(7)})
    assert repository.load("ann", Counter, "1").total == 10


def test_G6_below_the_floor_only_a_snapshot_helps(
    repository: Repository, store: EventStore, clock: ManualClock
) -> None:
    """With the events gone, the base carries their part; without it, `HistoryGone` says what is missing."""
    made = fill(store, 10)
    clock.now = LATER
    built = build_snapshot(repository, "ann", Counter, "1", ONE)
    assert built
    store.raise_floor("ann", "counter:1", built.up_to)
    store.delete_events("ann", "counter:1", built.up_to)
    assert rows(store) == []
    assert repository.load("ann", Counter, "1").total == 10
    with pytest.raises(HistoryGone, match="customer 'ann', aggregate 'counter:1' up to 2026-01-05T09:02:00"):
        repository.load("ann", Counter, "1", as_of=at(2).time)
    forget(store)
    with pytest.raises(HistoryGone, match=r"customer 'ann', aggregate 'counter:1' at or above .*found no snapshot"):
        repository.load("ann", Counter, "1")
    store.append("ann", made)
    with pytest.raises(HistoryGone):
        repository.load("ann", Counter, "1")


# What can't be trusted (G8)


@pytest.mark.parametrize("number", [0, 1, 999, 1000, 1500])
def test_G8_a_broken_row_is_named(repository: Repository, store: EventStore, number: int) -> None:
    """In any page: customer, aggregate, event time, type and version, and what is wrong; no state is given."""
    made = fill(store, 1600)
    broken = made[number]._replace(payload=b"\xff" + made[number].payload)
    store.append("ann", [broken])
    with pytest.raises(Unreadable) as error:
        repository.load("ann", Counter, "1")
    assert str(error.value) == (
        f"Unreadable commit: customer 'ann', aggregate 'counter:1', event time {broken.event_time} "
        f"({at(number).time.isoformat()}), type Counted, version 1: the checksum of {len(broken.payload)} bytes "
        "does not match: a bit flipped or bytes were cut."
    )


def test_G8_an_event_of_another_type_is_named(repository: Repository, store: EventStore) -> None:
    """A commit that `apply` doesn't know is not skipped."""
    append(store, (1, Counted("tea")), (2, Stamped(1)), (3, Counted("tea")))
    with pytest.raises(Unreadable, match=f"{at(2).event_time} .* type Stamped, version 1: found event type Stamped"):
        repository.load("ann", Counter, "1")


def test_G8_among_many_aggregates_the_broken_one_is_named(repository: Repository, store: EventStore) -> None:
    """Loading all of a type fails by the name of the one."""
    for id in ("counter:a", "counter:b", "counter:c"):
        append(store, (1, Counted("tea")), id=id)
    store.append("ann", [Commit("counter:b", at(2).event_time, "Counted", 1, b"broken")])
    with pytest.raises(Unreadable, match="aggregate 'counter:b'"):
        repository.load_all("ann", Counter)
    assert repository.load("ann", Counter, "a") == Counter({"tea": 1})


def test_G8_what_is_broken_after_the_moment_asked_for_does_not_matter(
    repository: Repository, store: EventStore
) -> None:
    """Only what is read is judged."""
    append(store, (1, Counted("tea")))
    store.append("ann", [Commit("counter:1", at(2).event_time, "Counted", 1, b"broken")])
    assert repository.load("ann", Counter, "1", as_of=at(1).time) == Counter({"tea": 1})


# History for people


class Seen(Event):
    """Its fields are called like the columns before them."""

    time: datetime
    event: str


class Diary(Aggregate):
    seen: ClassVar[list[str]] = []

    def apply(self, event: Seen) -> None: ...


def test_history_is_a_table_of_every_event(repository: Repository, store: EventStore) -> None:
    """One row for each event, in log order, with the time and the request that it came from."""
    store.append("ann", commits(at(2), {"counter:1": [Counted("tea", 2), Voided("milk")]}))
    append(store, (1, Counted("milk")))
    table = history(repository, "ann", Counter, "1")
    assert list(table.columns) == ["time", "request", "event", "what", "amount"]
    assert list(table["time"]) == [at(1).time, at(2).time, at(2).time]
    assert list(table["request"]) == [str(at(1).id), str(at(2).id), str(at(2).id)]
    assert list(zip(table["event"], table["what"], strict=True)) == [
        ("Counted", "milk"), ("Counted", "tea"), ("Voided", "milk"),
    ]  # fmt: skip


def test_history_keeps_its_columns_apart_from_the_fields(repository: Repository, store: EventStore) -> None:
    """A field called `time` doesn't hide when it was wished."""
    append(store, (1, Seen(at(7).time, "a bird")), id="diary:1")
    table = history(repository, "ann", Diary, "1")
    assert table.to_dict("records") == [
        {"time": at(1).time, "request": str(at(1).id), "event": "Seen", "Seen.time": at(7).time, "Seen.event": "a bird"}
    ]


def test_the_history_of_nothing_has_its_columns(repository: Repository) -> None:
    """An empty table can be asked like a full one."""
    table = history(repository, "ann", Counter, "1")
    assert (list(table.columns), len(table)) == (["time", "request", "event"], 0)


def test_G6_a_history_whose_beginning_is_gone_says_so(repository: Repository, store: EventStore) -> None:
    """A table that is silently short would lie about what happened."""
    made = fill(store, 3)
    store.raise_floor("ann", "counter:1", made[1].event_time)
    store.delete_events("ann", "counter:1", made[1].event_time)
    with pytest.raises(HistoryGone, match=r"aggregate 'counter:1' from .* found 1 commits that begin later"):
        history(repository, "ann", Counter, "1")


def test_G8_history_names_a_broken_row(repository: Repository, store: EventStore) -> None:
    """For people too, nothing is skipped."""
    store.append("ann", [Commit("counter:1", at(2).event_time, "Counted", 1, b"broken")])
    with pytest.raises(Unreadable, match=f"event time {at(2).event_time}"):
        history(repository, "ann", Counter, "1")


# Memory


class Total(Aggregate):
    """A state that doesn't grow."""

    number: int = 0

    def apply(self, event: Counted) -> None:
        self.number += event.amount


def log_of(folder: Path, number: int) -> str:
    """The URL of a store with a log of `number` commits, spread over ten years."""
    url, step = f"sqlite:///{folder}/{number}.db", 10 * 365 * DAY / number
    store, events = open_store(url), {"total:1": [Counted("tea")]}
    payload = commits(at(), events)[0].payload
    for start in range(0, number, 10_000):
        times = (Request.at(START + each * step, "key").event_time for each in range(start, start + 10_000))
        store.append("ann", [Commit("total:1", time, "Counted", 1, payload) for time in times])
    store.close()
    return url


def peak(url: str, number: int) -> int:
    """How many bytes a hydration needs at its peak, above what was there before."""
    store = open_store(url)
    repository = Repository(store, ManualClock(START))
    repository.load("ann", Total, "none")
    gc.collect()
    tracemalloc.start()
    assert repository.load("ann", Total, "1").number == number
    _, found = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    store.close()
    return found


@pytest.mark.parametrize("number", [100_000, pytest.param(1_000_000, marks=pytest.mark.full)])
def test_a_long_log_needs_no_more_memory_than_a_short_one(tmp_path: Path, number: int) -> None:
    """Hydrating it takes at most 1.2 times the peak of 10,000 events: a page is in memory, not the log."""
    short, long = (peak(log_of(tmp_path, each), each) for each in (10_000, number))
    assert long <= 1.2 * short, f"peak of 10,000: {short:,} bytes, of {number:,}: {long:,} bytes"


RESIDENT = """
import resource, sys
from eslab import ManualClock, Repository, open_store
from tests.support.sample import START
from tests.test_repository import Total
number = Repository(open_store(sys.argv[1]), ManualClock(START)).load("ann", Total, "1").number
print(number, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.parametrize("number", [100_000, pytest.param(1_000_000, marks=pytest.mark.full)])
def test_a_process_with_a_long_log_grows_no_further(tmp_path: Path, number: int) -> None:
    """The same of a whole process, SQLite's own memory included."""
    found = []
    for each in (10_000, number):
        command = [sys.executable, "-c", RESIDENT, log_of(tmp_path, each)]
        out = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
        assert int(out[0]) == each
        found.append(int(out[1]))
    assert found[1] <= 1.2 * found[0], f"{found} KiB"
