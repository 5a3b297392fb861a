"""A fork answers "what if" on a copy of one customer's rows; the original is never written."""

from collections import Counter as Tally
from collections.abc import Callable
from datetime import datetime
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eslab import (
    AggregateService,
    EventStore,
    HistoryGone,
    InvalidInput,
    ManualClock,
    Repository,
    Request,
    SnapshotPolicy,
    StoreError,
)
from eslab.operations.fork import ForkedKeys, fork
from eslab.operations.history import history
from eslab.operations.rebuild import rebuild
from eslab.operations.snapshots import build_snapshot
from eslab.payload.encryption import NO_CIPHER
from eslab.request import latest_at
from eslab.snapshot import snapshot_of
from eslab.stores.keys import MemoryKeys
from eslab.stores.memory import MemoryStore
from tests.support.sample import DAY, LIMIT, MINUTE, START, Count, Counter, at, everything, handle
from tests.support.ward import Chart, diagnose
from tests.test_read_table import BY_DAY, ON_SHELF


def counter(store: EventStore, clock: ManualClock) -> AggregateService[Counter]:
    """The sample's service."""
    return AggregateService(store, Counter, handle, clock)


def count(store: EventStore, minutes: float, what: str, amount: int = 1, id: str = "counter:1") -> Request:
    """Count something at a minute after the start."""
    request = at(minutes, what)
    counter(store, ManualClock(START + minutes * MINUTE)).send("ann", id, Count(what, amount), request)
    return request


def moment(minutes: float) -> datetime:
    """So many minutes after the start."""
    return START + minutes * MINUTE


def load(store: EventStore, id: str = "1") -> Counter:
    """The state of a counter."""
    return Repository(store, ManualClock(START)).load("ann", Counter, id)


def test_a_fork_is_the_store_at_a_moment(store: EventStore) -> None:
    """Up to and including its millisecond; its clock shows that moment."""
    for minutes, what in enumerate(["tea", "milk", "rum"]):
        count(store, minutes, what)
    then = fork(store, "ann", as_of=moment(1))
    assert load(then).counts == {"tea": 1, "milk": 1}
    assert then.clock() == moment(1)
    assert load(fork(store, "ann", as_of=moment(-1))) == Counter()
    whole = fork(store, "ann")
    assert everything(whole) == everything(store)
    assert whole.clock() == moment(2)


def test_a_fork_leaves_requests_out_of_all_their_aggregates(store: EventStore) -> None:
    """As if they had never been made."""
    count(store, 0, "tea")
    second = count(store, 1, "milk")
    count(store, 1, "milk", id="counter:2")  # the same request
    count(store, 2, "rum")
    other = fork(store, "ann", without=[second])
    assert load(other).counts == {"tea": 1, "rum": 1}
    assert load(other, "2") == Counter()
    assert list(everything(other)) == ["counter:1"]


def test_a_fork_decides_as_the_store_would_have(store: EventStore) -> None:
    """Refused then; granted if the second request had not been made; and the store stays what it was."""
    count(store, 0, "tea", LIMIT - 1)
    second = count(store, 1, "milk")
    before = everything(store)
    then = fork(store, "ann", as_of=moment(2))
    assert "too many" in str(counter(then, then.clock).send("ann", "counter:1", Count("rum"), at(2)))
    other = fork(store, "ann", as_of=moment(2), without=[second])
    accepted = counter(other, other.clock).send("ann", "counter:1", Count("rum"), at(2))
    assert accepted.state.counts == {"tea": LIMIT - 1, "rum": 1}
    assert everything(store) == before


def test_a_retried_request_is_recorded_in_a_fork_too(store: EventStore) -> None:
    """Left out, it is decided anew, there and nowhere else."""
    request = count(store, 0, "tea")
    then = fork(store, "ann")
    assert counter(then, then.clock).send("ann", "counter:1", Count("tea"), request).repeated
    other = fork(store, "ann", without=[request])
    assert not counter(other, ManualClock(START)).send("ann", "counter:1", Count("tea"), request).repeated
    assert everything(other) == everything(store)


class Sealed:
    """A store that may only be read."""

    READS = ("heads", "heads_of_type", "read_many", "rows_many", "rows", "read_rows", "customers", "checkpoint")

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self.calls = Tally[str]()

    def __getattr__(self, name: str) -> object:
        assert name in self.READS, f"a fork called {name} of the original"
        self.calls[name] += 1
        return getattr(self._store, name)


def test_a_fork_never_writes_to_the_original(store: EventStore) -> None:
    """Whatever is done to it: commands, snapshots, floors, deletes, read tables."""
    for minutes in range(5):
        count(store, minutes, "tea")
    sealed = Sealed(store)
    then = fork(sealed, "ann", as_of=moment(3))  # type: ignore[arg-type]
    assert sealed.calls == {"heads_of_type": 1, "rows_many": 1}
    repository = Repository(then, ManualClock(START + 3 * DAY), read_tables=[ON_SHELF, BY_DAY])
    counter(then, then.clock).send("ann", "counter:1", Count("rum"), at(3, "more"))
    assert build_snapshot(repository, "ann", Counter, "1", SnapshotPolicy(every=1))
    rebuild(repository)
    then.mark("ann", "counter:1", floor=at(2).event_time)
    then.delete_events("ann", "counter:1", at(2).event_time)
    then.close()
    assert sealed.calls == {"heads_of_type": 1, "rows_many": 1}


def test_a_snapshot_that_holds_too_much_is_not_copied(store: EventStore) -> None:
    """One after the moment, or one that holds what is left out; while the events exist only the cost differs (G6)."""
    requests = [count(store, minutes, what) for minutes, what in enumerate(["tea", "milk", "rum"])]
    repository = Repository(store, ManualClock(START + 2 * DAY))
    assert build_snapshot(repository, "ann", Counter, "1", SnapshotPolicy(every=1))
    assert load(fork(store, "ann", as_of=moment(1))).counts == {"tea": 1, "milk": 1}
    assert load(fork(store, "ann", without=requests[:1])).counts == {"milk": 1, "rum": 1}
    count(store, 3 * 24 * 60, "late")
    other = fork(store, "ann", without=[at(3 * 24 * 60, "late")])
    hydration = Repository(other, other.clock).hydrate("ann", Counter, "1")
    assert (hydration.base, hydration.state.counts) == (latest_at(START + 2 * DAY - repository.bounds.fold_after),
                                                        {"tea": 1, "milk": 1, "rum": 1})  # fmt: skip


def rotated(store: EventStore) -> list[Request]:
    """Five requests, a snapshot of the first three, and their events deleted."""
    requests = [count(store, minutes, what) for minutes, what in enumerate("abcde")]
    then = fork(store, "ann", as_of=moment(2))
    up_to = at(2, "c").event_time
    base = snapshot_of("ann", "counter:1", load(then), 3, up_to, START + 2 * DAY, NO_CIPHER)
    store.save_snapshot("ann", "counter:1", base, START)
    store.mark("ann", "counter:1", floor=base.up_to)
    store.delete_events("ann", "counter:1", base.up_to)
    return requests


def test_a_fork_above_the_floor_begins_at_its_snapshot(store: EventStore) -> None:
    """Also without a request above it."""
    requests = rotated(store)
    assert load(fork(store, "ann", as_of=moment(3))).counts == dict.fromkeys("abcd", 1)
    assert load(fork(store, "ann", without=[requests[3]])).counts == dict.fromkeys("abce", 1)


def test_a_fork_below_the_floor_says_that_history_is_gone(store: EventStore) -> None:
    """Of the aggregate that has a floor, when it is loaded; the others are answered."""
    requests = rotated(store)
    other = count(store, 1, "milk", id="counter:2")
    for forked in (fork(store, "ann", as_of=moment(1)), fork(store, "ann", without=[requests[1]])):
        with pytest.raises(HistoryGone, match="counter:1"):
            load(forked)
        assert load(forked, "2").counts == {"milk": 1}
        with pytest.raises(HistoryGone):
            history(Repository(forked, forked.clock), "ann", Counter, "1")
    # Before the aggregate began there was nothing to lose.
    assert load(fork(store, "ann", as_of=moment(-1))) == Counter()
    assert load(fork(store, "ann", without=[other]), "2") == Counter()


def test_history_of_a_fork_is_that_of_its_rows(store: EventStore) -> None:
    """A left out beginning is no gap."""
    first = count(store, 0, "tea")
    count(store, 1, "milk")
    other = fork(store, "ann", without=[first])
    assert list(history(Repository(other, other.clock), "ann", Counter, "1")["what"]) == ["milk"]


@given(st.lists(st.integers(0, 9), unique=True, min_size=1), st.integers(-1, 10))
def test_G4_a_fork_without_requests_is_a_store_without_them(left_out: list[int], as_of: int) -> None:
    """For every set of requests and every moment."""
    store, expected = MemoryStore(), MemoryStore()
    for minutes in range(10):
        count(store, minutes, f"thing {minutes % 3}")
        if minutes <= as_of and minutes not in left_out:
            count(expected, minutes, f"thing {minutes % 3}")
    without = [at(minutes, f"thing {minutes % 3}") for minutes in left_out]
    assert everything(fork(store, "ann", as_of=moment(as_of), without=without)) == everything(expected)


def test_an_encrypted_aggregate_is_forked_with_its_keys(store: EventStore, clock: ManualClock) -> None:
    """What the fork makes or destroys is not made or destroyed in the original."""
    keys = MemoryKeys()
    diagnose(Repository(store, clock, keys=keys), "measles")
    then = fork(store, "ann")
    forked = ForkedKeys(keys)
    repository = Repository(then, clock, keys=forked)
    assert repository.load("ann", Chart, "1").illnesses == {"measles"}
    diagnose(repository, "flu", at(1))
    assert repository.load("ann", Chart, "1").illnesses == {"measles", "flu"}
    repository.forget("ann")
    assert Repository(store, clock, keys=keys).load("ann", Chart, "1").illnesses == {"measles"}
    forked.make("bob")
    assert forked.key("bob") == forked.make("bob") and keys.key("bob") is None


def test_the_read_tables_of_a_fork_are_rebuilt_from_its_events(store: EventStore) -> None:
    """Before that a query is refused: an empty table would lie."""
    for minutes, what in enumerate(["tea", "milk"]):
        count(store, minutes, what)
    then = fork(store, "ann", as_of=moment(0))
    repository = Repository(then, then.clock, read_tables=[ON_SHELF])
    with pytest.raises(StoreError, match=r"read table shelf that was rebuilt in Fork\(customer 'ann', 1 commit of 1 "):
        repository.read(ON_SHELF, ("ann",))
    rebuild(repository)
    (found,) = repository.read(ON_SHELF, ("ann",))
    assert found.state.counts == {"tea": 1}


@pytest.mark.parametrize("without", [at(5), [at(5), "text"], "text", [None]])
def test_leaving_out_what_is_no_request_is_refused(without: object) -> None:
    """With the right way to write it."""
    with pytest.raises(InvalidInput, match=r"write without=\[request\]"):
        fork(MemoryStore(), "ann", without=without)  # type: ignore[arg-type]


def test_leaving_out_what_is_not_there_is_refused(store: EventStore) -> None:
    """It would answer about a fork that differs in nothing. After the moment everything is left out anyway."""
    count(store, 1, "tea")
    with pytest.raises(InvalidInput, match="found no row of Request") as refused:
        fork(store, "ann", without=[at(0, "typo")])
    assert (refused.value.customer_id, refused.value.event_time) == ("ann", at(0, "typo").event_time)
    assert load(fork(store, "ann", as_of=moment(0), without=[at(1, "tea")])) == Counter()
    with pytest.raises(InvalidInput, match="time zone"):
        fork(store, "ann", as_of=datetime(2026, 1, 1))


def test_only_the_asked_aggregates_are_copied(open_new: Callable[[], EventStore]) -> None:
    """Any of them, whether it exists or not."""
    store = open_new()
    for id in "abc":
        count(store, 0, "tea", id=f"counter:{id}")
    for ids in combinations([f"counter:{id}" for id in "abcd"], 2):
        assert set(everything(fork(store, "ann", aggregates=ids))) == set(ids) - {"counter:d"}
