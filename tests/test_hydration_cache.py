"""A process may keep snapshots of hot aggregates for itself: hydration gets shorter, its states stay (G5, G6)."""

import logging
from collections.abc import Callable
from datetime import timedelta
from threading import Barrier, Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eslab import (
    Aggregate,
    AggregateService,
    EventStore,
    Forgotten,
    HistoryGone,
    HydrationCache,
    InvalidInput,
    ManualClock,
    Repository,
    SnapshotPolicy,
    StoreUnavailable,
)
from eslab.late_commits import make_safe
from eslab.operations.full_audit import audit_customer
from eslab.operations.restore import restore, skip
from eslab.operations.retention import rotate
from eslab.operations.snapshots import build_snapshot
from eslab.read_table import rows_in
from eslab.request import latest_at
from eslab.store import Consistency
from eslab.stores.keys import MemoryKeys
from eslab.stores.memory import MemoryStore
from tests.conftest import alone
from tests.operations.test_restore import FLIP, damage
from tests.support.sample import (
    DAY,
    HOUR,
    MINUTE,
    START,
    Count,
    Counted,
    Counter,
    Faulty,
    Voided,
    append,
    at,
    commits,
    fill,
    handle,
    replayed,
    rows,
    snapshot,
)
from tests.test_read_table import ON_SHELF, told

LOCAL, EVERYWHERE = ("read", Consistency.LOCAL), ("read", Consistency.EVERYWHERE)
ONE = SnapshotPolicy(every=1)
LATER = START + 2 * DAY
SETTLED = 20  # commits, all of them old enough to be folded


@pytest.fixture
def clock() -> ManualClock:
    """Two days after the first commits."""
    return ManualClock(LATER)


@pytest.fixture
def faulty(store: EventStore) -> Faulty:
    """A store with a hot aggregate, of which no snapshot is stored."""
    fill(store, SETTLED)
    return Faulty(store)


@pytest.fixture
def cache() -> HydrationCache:
    """A cache that keeps an aggregate after ten commits."""
    return HydrationCache(after=10)


@pytest.fixture
def cached(faulty: Faulty, clock: ManualClock, cache: HydrationCache) -> Repository:
    """A repository with the cache, which has kept the hot aggregate by now."""
    repository = Repository(faulty, clock, cache=cache)
    for _ in range(2):
        repository.load("ann", Counter, "1")
    faulty.calls.clear()
    return repository


def total(*events: Any) -> Counter:
    """The state of the hot aggregate, with these events after its own."""
    return replayed(*(Counted(f"thing {i % 7}") for i in range(SETTLED)), *events)


# What it costs


def test_a_hot_aggregate_is_folded_once_and_then_begins_from_there(
    faulty: Faulty, clock: ManualClock, cache: HydrationCache
) -> None:
    """The first hydration finds that it is due, the second one folds it, and all of them give the same state."""
    repository = Repository(faulty, clock, cache=cache)
    found = [repository.hydrate("ann", Counter, "1") for _ in range(4)]
    assert faulty.calls == [LOCAL, EVERYWHERE, LOCAL, LOCAL, LOCAL]
    assert [(it.base is not None, it.tail) for it in found] == [(False, SETTLED), (True, 0), (True, 0), (True, 0)]
    assert all((it.state, it.commits) == (total(), SETTLED) for it in found)
    assert (cache.hits, cache.misses, cache.advances, cache.aggregates) == (3, 1, 1, 1)
    assert "of 1 aggregates in" in repr(cache) and "3 hits, 1 misses, 1 advances" in repr(cache)


def test_it_keeps_what_a_builder_would_save(store: EventStore, cached: Repository, clock: ManualClock) -> None:
    """The same moment, the same state: only the place differs."""
    hydration = cached.hydrate("ann", Counter, "1")
    built = build_snapshot(Repository(store, clock), "ann", Counter, "1", ONE)
    assert built and hydration.base == built.up_to == latest_at(clock.now - 26 * HOUR)


@pytest.mark.parametrize(("number", "advances"), [(9, 1), (10, 2)])
def test_it_goes_on_when_enough_commits_have_settled(
    store: EventStore, clock: ManualClock, number: int, advances: int
) -> None:
    """From where it was, and not before so many wait; those that have not settled don't count."""
    fill(store, SETTLED)
    cache = HydrationCache(after=10, age=9 * DAY)
    cached = Repository(store, clock, cache=cache)
    for _ in range(2):
        cached.load("ann", Counter, "1")
    append(store, *((2 * 1440 + minute, Counted("tea")) for minute in range(number)))
    clock.now = LATER + DAY
    append(store, *((3 * 1440 - minute, Counted("milk")) for minute in range(30)))
    for _ in range(2):
        cached.load("ann", Counter, "1")
    assert cache.advances == 1
    clock.now = LATER + 27 * HOUR
    hydrations = [cached.hydrate("ann", Counter, "1") for _ in range(3)]
    assert cache.advances == advances
    assert hydrations[-1].tail == (30 if advances == 2 else 30 + number)
    assert hydrations[-1].state == total(*[Counted("tea")] * number, *[Counted("milk")] * 30)


def test_a_region_that_cannot_be_reached_costs_one_attempt_in_a_pause(
    faulty: Faulty, clock: ManualClock, cache: HydrationCache, caplog: pytest.LogCaptureFixture
) -> None:
    """The answers are the same."""
    caplog.set_level(logging.INFO)
    faulty.refuse[Consistency.EVERYWHERE] = StoreUnavailable("Asia is cut off")
    repository = Repository(faulty, clock, cache=cache)
    assert all(repository.load("ann", Counter, "1") == total() for _ in range(5))
    assert faulty.calls.count(EVERYWHERE) == 1 and cache.aggregates == 0
    assert "No snapshot of customer 'ann', aggregate 'counter:1' in the hydration cache: Asia is cut off" in caplog.text
    clock.advance(MINUTE + timedelta(seconds=1))
    assert all(repository.load("ann", Counter, "1") == total() for _ in range(5))
    assert faulty.calls.count(EVERYWHERE) == 2
    faulty.refuse.clear()
    clock.advance(MINUTE + timedelta(seconds=1))
    assert [repository.hydrate("ann", Counter, "1").tail for _ in range(2)] == [0, 0]


def test_while_a_region_is_away_one_call_finds_out(store: EventStore, clock: ManualClock) -> None:
    """Not one for each hot aggregate, since a call may wait long for a region that says nothing."""
    faulty = Faulty(store)
    for key in "abc":
        fill(store, 3, f"counter:{key}")
    repository = Repository(faulty, clock, cache=HydrationCache(after=1))
    faulty.refuse[Consistency.EVERYWHERE] = StoreUnavailable("Asia is cut off")
    for minutes in (0, 0.5, 1.1):
        clock.now = LATER + minutes * MINUTE
        for key in "abcabc":
            assert repository.load("ann", Counter, key).total == 3
    assert faulty.calls.count(EVERYWHERE) == 2


class Loose(Aggregate):
    """A state that no snapshot gives back as it is."""

    stored_as = "counter"
    kept: Any = ()

    def apply(self, event: Counted | Voided) -> None:
        self.kept = (*self.kept, event.what)


def test_G5_a_state_that_does_not_survive_is_not_kept(
    faulty: Faulty, clock: ManualClock, cache: HydrationCache, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once in a pause, and hydration goes on as before."""
    repository = Repository(faulty, clock, cache=cache)
    assert {len(repository.load("ann", Loose, "1").kept) for _ in range(4)} == {SETTLED}
    assert cache.aggregates == 0 and caplog.text.count("that a snapshot gives back as it is") == 1


def test_it_holds_the_aggregates_that_were_used_last(store: EventStore, clock: ManualClock) -> None:
    """No more of them than it was told: a third one takes the place of the one that was not used for longest."""
    cache = HydrationCache(most=2, after=1)
    repository = Repository(store, clock, cache=cache)
    for key in "abc":
        fill(store, 3, f"counter:{key}")
    for key in "aabbacc":
        repository.load("ann", Counter, key)
    assert cache.aggregates == 2
    assert [repository.hydrate("ann", Counter, key).tail for key in "acb"] == [0, 0, 3]


def test_several_aggregates_are_folded_one_after_the_other(store: EventStore, clock: ManualClock) -> None:
    """At most one further read in a call, so none of them waits for all."""
    faulty, cache = Faulty(store), HydrationCache(after=1)
    for key in "abc":
        fill(store, 3, f"counter:{key}")
    repository = Repository(faulty, clock, cache=cache)
    for _ in range(5):
        assert {key: it.total for key, it in repository.load_all("ann", Counter).items()} == {"a": 3, "b": 3, "c": 3}
    assert [call for call in faulty.calls if call[0] == "read"] == [LOCAL, *[EVERYWHERE, LOCAL] * 3, LOCAL]


def test_of_threads_that_hydrate_at_once_one_folds(store: EventStore, clock: ManualClock) -> None:
    """And all give the same state."""
    fill(store, SETTLED)
    cache = HydrationCache(after=10)
    repository = Repository(store, clock, cache=cache)
    repository.load("ann", Counter, "1")
    states: list[Counter] = []
    barrier = Barrier(8)

    def hydrate() -> None:
        barrier.wait()
        for _ in range(20):
            states.append(repository.load("ann", Counter, "1"))

    threads = [Thread(target=hydrate) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(states) == 160 and all(state == total() for state in states)
    assert (cache.advances, cache.hits + cache.misses) == (1, 161)


# What it gives


@alone
@given(
    st.lists(
        st.tuples(
            st.sampled_from([MINUTE, HOUR, 3 * HOUR, 27 * HOUR]),
            st.integers(0, 1439),
            st.sampled_from([Counted("tea"), Counted("milk", 3), Voided("milk")]),
            st.sampled_from(["hydrate", "build", "rotate", "as of"]),
        ),
        max_size=20,
    )
)
def test_G5_what_is_kept_and_the_tail_equal_a_full_replay(
    open_new: Callable[[], EventStore], steps: list[tuple[timedelta, int, Any, str]]
) -> None:
    """At every moment, whichever requests arrive as late as they may, beside builders and rotations."""
    store, clock = open_new(), ManualClock(START)
    plain = Repository(store, clock)
    cached = Repository(store, clock, cache=HydrationCache(after=1, pause=timedelta()))
    log: list[tuple[Any, Any]] = []
    for number, (passed, minutes, event, also) in enumerate(steps):
        clock.advance(passed)
        request = at((clock.now - START) / MINUTE - minutes, f"{number}")
        if not store.heads("ann", ["counter:1"])["counter:1"].floor or minutes == 0:
            store.append("ann", commits(request, {"counter:1": [event]}))
            log.append((request.time, event))
        if also in ("build", "rotate"):
            build_snapshot(plain, "ann", Counter, "1", ONE)
        if also == "rotate":
            rotate(plain, "ann", Counter, "1", len, wait=lambda seconds: None)
        moment = clock.now - HOUR if also == "as of" else None
        expected = replayed(*(event for time, event in log if moment is None or time <= moment))
        try:
            assert cached.load("ann", Counter, "1", as_of=moment) == expected
        except HistoryGone:
            assert also == "as of"


@pytest.mark.parametrize("back", [0, 5, SETTLED + 1])
def test_G5_a_late_commit_that_was_made_safe_is_shown(
    store: EventStore, cached: Repository, clock: ManualClock, cache: HydrationCache, back: int
) -> None:
    """Wherever it lies behind what is kept, and whichever process wrote it; what is folded later holds it too."""
    late = at(back, "late")
    rum = commits(late, {"counter:1": [Counted("rum")]})
    store.append("ann", rum)
    assert cached.load("ann", Counter, "1") == total(), "nobody was told of it yet"
    make_safe(Repository(store, clock).environment, "ann", late, rum)
    for minutes in (0, 5, 5, 10):
        clock.advance(minutes * MINUTE)
        assert cached.load("ann", Counter, "1") == total(Counted("rum"))
    hydration = cached.hydrate("ann", Counter, "1")
    assert (hydration.tail, cache.advances) == (0, 2)


def test_G5_nothing_is_folded_that_readers_would_pass_over(
    faulty: Faulty, cached: Repository, clock: ManualClock
) -> None:
    """As long as a late commit may be on its way into a region: there would be an attempt in every pause."""
    rum = commits(at(5, "late"), {"counter:1": [Counted("rum")]})
    make_safe(Repository(faulty.store, clock).environment, "ann", at(5, "late"), rum)
    for _ in range(10):
        clock.advance(MINUTE + timedelta(seconds=1))
        cached.load("ann", Counter, "1")
    assert EVERYWHERE not in faulty.calls


def test_G5_what_nobody_was_told_of_is_shown_when_it_grows_old(
    store: EventStore, cached: Repository, clock: ManualClock, cache: HydrationCache
) -> None:
    """A writer died before it made its commit safe: no mark tells of it. What was folded since is not younger."""
    append(store, (5.5, Counted("rum")))
    for minutes in range(0, 60, 12):
        append(store, *((2 * 1440 - 26 * 60 + minutes + 1 + second / 60, Counted("tea")) for second in range(10)))
        clock.advance(12 * MINUTE)
        cached.load("ann", Counter, "1")
        counter = cached.load("ann", Counter, "1")
        assert "rum" not in counter.counts
    assert cache.advances > 3
    clock.advance(MINUTE)
    for _ in range(2):
        assert cached.load("ann", Counter, "1") == total(*[Counted("tea")] * 50, Counted("rum"))
    assert cached.hydrate("ann", Counter, "1").tail == 0


@alone
def test_G6_what_is_kept_is_not_used_below_a_floor(store: EventStore, cached: Repository, clock: ManualClock) -> None:
    """However it came to lie there; without the snapshot on the floor, history is gone."""
    clock.advance(DAY)
    other = Repository(store, clock)
    built = build_snapshot(other, "ann", Counter, "1", ONE)
    assert built and rotate(other, "ann", Counter, "1", len, wait=lambda seconds: None) == SETTLED
    hydration = cached.hydrate("ann", Counter, "1")
    assert (hydration.state, hydration.base) == (total(), built.up_to)
    store.delete_snapshot("ann", "counter:1", built.up_to, 1, clock.now + DAY)
    with pytest.raises(HistoryGone, match="found no snapshot"):
        cached.load("ann", Counter, "1")


def test_G6_on_a_floor_only_the_stored_snapshot_counts(
    store: EventStore, cached: Repository, clock: ManualClock
) -> None:
    """A rotation has proved that one."""
    up_to = latest_at(clock.now - 26 * HOUR)
    proved = snapshot(at(1), Counter({"proved": 1}), 1)
    state = build_snapshot(Repository(store, clock), "ann", Counter, "1", ONE)
    assert proved and state and state.up_to == up_to
    store.mark("ann", "counter:1", floor=up_to)
    assert cached.hydrate("ann", Counter, "1").base == up_to
    store.delete_snapshot("ann", "counter:1", up_to, 1, clock.now + DAY)
    with pytest.raises(HistoryGone):
        cached.load("ann", Counter, "1")


@pytest.mark.parametrize(("back", "tail"), [(27, SETTLED), (25, 0)])
def test_a_moment_of_the_past_begins_from_what_is_kept_before_it(
    faulty: Faulty, cached: Repository, clock: ManualClock, back: int, tail: int
) -> None:
    """Otherwise it is replayed, and nothing is folded for it."""
    for _ in range(2):
        hydration = cached.hydrate("ann", Counter, "1", as_of=clock.now - back * HOUR)
        assert (hydration.state, hydration.tail) == (total(), tail)
    assert EVERYWHERE not in faulty.calls


def test_an_aggregate_whose_rows_were_all_deleted_is_empty(clock: ManualClock) -> None:
    """Behind the back of the process, together with its entry in the directory."""
    store = MemoryStore()
    fill(store, SETTLED)
    cached = Repository(store, clock, cache=HydrationCache(after=10))
    for _ in range(3):
        assert cached.load("ann", Counter, "1") == total()
    store._logs.clear()
    assert cached.load("ann", Counter, "1") == Counter()


# What others do


def test_G5_what_came_of_a_wrong_snapshot_is_passed_over_once_an_audit_has_deleted_it(
    store: EventStore, clock: ManualClock, cache: HydrationCache
) -> None:
    """At once, in every process."""
    fill(store, SETTLED)
    store.save_snapshot("ann", "counter:1", snapshot(at(9), Counter({"wrong": 10}), 10), START)
    cached = Repository(store, clock, cache=cache)
    append(store, *((20 + minute, Counted("tea")) for minute in range(10)))
    for _ in range(3):
        assert cached.load("ann", Counter, "1").counts["wrong"] == 10
    assert cache.advances == 1
    findings = audit_customer(Repository(store, clock), [Counter], "ann", repair=True)
    assert [finding.repaired for finding in findings] == [True]
    for _ in range(3):
        assert cached.load("ann", Counter, "1") == total(*[Counted("tea")] * 10)


def test_a_builder_does_not_begin_from_what_a_process_keeps(
    store: EventStore, clock: ManualClock, cache: HydrationCache
) -> None:
    """Whoever deletes all snapshots by hand gets none back that came of them."""
    fill(store, SETTLED)
    store.save_snapshot("ann", "counter:1", snapshot(at(9), Counter({"wrong": 10}), 10), START)
    cached = Repository(store, clock, cache=cache)
    for _ in range(2):
        assert cached.load("ann", Counter, "1").counts["wrong"] == 10
    store.delete_snapshot("ann", "counter:1", at(9).event_time, 1, clock.now)
    assert build_snapshot(cached, "ann", Counter, "1", ONE)
    assert Repository(store, clock).load("ann", Counter, "1") == total()


def test_G8_a_row_that_is_skipped_and_restored_is_missing_only_meanwhile(
    store: EventStore, cached: Repository, clock: ManualClock, cache: HydrationCache
) -> None:
    """What was kept before is passed over, and nothing is kept over the mark."""
    broken = rows(store)[5]
    told(store, clock)
    store.put_read_rows(rows_in([ON_SHELF], "ann", {"counter:1": Counter}, [broken], {"counter:1": [Counted("red")]}))
    damage(store, broken, FLIP(broken.payload))
    assert skip(store, "ann", "counter:1", broken.event_time, "lost", clock=clock)
    for _ in range(3):
        clock.advance(2 * MINUTE)
        state = cached.load("ann", Counter, "1")
        assert (state.total, len(state.skipped_rows)) == (SETTLED - 1, 1)
    assert cache.advances == 1
    restore(store, [ON_SHELF], "ann", "counter:1", broken.event_time)
    for _ in range(3):
        assert cached.load("ann", Counter, "1") == total()
    clock.advance(cached.bounds.append + 3 * cached.bounds.skew)  # till then a builder may have missed the mark
    assert cached.load("ann", Counter, "1") == total()
    assert cached.hydrate("ann", Counter, "1").tail == 0


class Secret(Counter):
    """A counter that is encrypted."""

    stored_as = "counter"
    encrypted = True


def test_a_forgotten_customer_is_not_kept(store: EventStore, clock: ManualClock) -> None:
    """What is kept of others is encrypted, as a stored snapshot would be."""
    cache = HydrationCache(after=1)
    repository = Repository(store, clock, keys=MemoryKeys(), cache=cache)
    for customer in ("ann", "bob"):
        made = commits(at(), {"counter:1": [Counted("a secret")]}, customer=customer)
        store.append(customer, made)
        for _ in range(2):
            assert repository.load(customer, Secret, "1").total == 1
    assert cache.aggregates == 2
    kept = [entry.snapshot for entry in cache._entries.values()]  # private, since nobody else may read them
    assert all(it and b"secret" not in it.payload for it in kept)
    repository.forget("ann")
    assert cache.aggregates == 1
    with pytest.raises(Forgotten):
        repository.load("ann", Secret, "1")


def test_a_customer_who_is_forgotten_meanwhile_is_not_kept(store: EventStore, clock: ManualClock) -> None:
    """Whatever another thread has begun to fold before, what was never encrypted too."""
    fill(store, 3)
    cache = HydrationCache(after=1)
    ran: list[bool] = []

    class Forgetting(Faulty):
        """Ann is forgotten while her aggregate is read EVERYWHERE."""

        def read(self, *arguments: Any, **options: Any) -> Any:
            found = super().read(*arguments, **options)
            if self.calls[-1] == EVERYWHERE:
                repository.forget("ann")
                ran.append(True)
            return found

    repository = Repository(Forgetting(store), clock, keys=MemoryKeys(), cache=cache)
    for _ in range(2):
        repository.load("ann", Counter, "1")
    assert ran and cache.aggregates == 0


def test_a_service_sends_from_what_is_kept(store: EventStore, clock: ManualClock) -> None:
    """A request, its repeat, and a rejection."""
    cache = HydrationCache(after=1)
    service = AggregateService(store, Counter, handle, clock, cache=cache)
    fill(store, SETTLED)
    requests = [at((clock.now - START) / MINUTE + number, f"{number}") for number in range(3)]
    clock.advance(2 * MINUTE)
    sent = [service.send("ann", "counter:1", Count("tea", 40), each) for each in (*requests, requests[0])]
    told_of = [getattr(answer, "state", None) and answer.state.total for answer in sent]  # type: ignore[union-attr]
    assert told_of == [60, 100, None, 100] and cache.hits == 3
    assert (sent[3].repeated, sent[2].count) == (True, 100)  # type: ignore[union-attr]


# How it is made


def test_each_repository_needs_a_cache_of_its_own(store: EventStore, clock: ManualClock) -> None:
    """One of another store would give the states of the other store."""
    cache = HydrationCache()
    Repository(store, clock, cache=cache)
    with pytest.raises(InvalidInput, match="of its own for each repository"):
        Repository(store, clock, cache=cache)
    with pytest.raises(InvalidInput, match=r"cache.*HydrationCache\(\)"):
        Repository(store, clock, cache=1000)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong", [{"most": 0}, {"after": 0}, {"most": 1.5}, {"pause": 60}, {"age": None}, {"age": MINUTE}, {"pause": -DAY}]
)
def test_a_cache_of_other_values_is_refused(wrong: dict[str, Any]) -> None:
    """The name and the value are in the error."""
    with pytest.raises(InvalidInput, match=f"{next(iter(wrong))}.*got .*{next(iter(wrong.values()))}"):
        HydrationCache(**wrong)
