"""Repository: hydration from the log and at a moment of the past, named broken rows, and memory."""

import gc
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eslab import (
    Aggregate,
    Event,
    EventStore,
    InvalidInput,
    ManualClock,
    Repository,
    Request,
    Unreadable,
    open_store,
)
from eslab.store import Commit, Consistency
from tests.support.logs import LOG
from tests.support.sample import (
    DAY,
    ROOT,
    START,
    Counted,
    Counter,
    Faulty,
    Stamped,
    Voided,
    append,
    at,
    commits,
    fill,
    replayed,
)

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
    assert faulty.calls == [("read", Consistency.LOCAL)]  # heads_of_type is the other one


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


@pytest.mark.parametrize("as_of", [datetime(2026, 1, 1), datetime.fromisoformat("1969-12-31T23:59Z")])
def test_a_moment_that_no_request_can_have_is_refused(repository: Repository, as_of: datetime) -> None:
    """Without a zone, or before 1970."""
    with pytest.raises(InvalidInput):
        repository.load("ann", Counter, "1", as_of=as_of)


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
        "does not match: a bit flipped, bytes were cut, or the row was copied from another customer or aggregate."
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
