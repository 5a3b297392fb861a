"""What a review once found in the core, one test each, on every store (the numbers are those of the review).

A store runs something between two calls of a process, as another process would. The tests of some findings lie where
their topic is: 4 (settings that all processes share) in `tests/test_settings.py`, and a builder's clock far ahead in
`tests/operations/test_snapshots.py`; 5 (a row's key is proved) in `tests/test_copied_rows.py`; 7 (`add` is all or
nothing) in `tests/test_unit_of_work.py`. `eslab.faults` looks for all of them by search.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from threading import Barrier
from typing import Any

import pytest

from eslab import (
    Accepted,
    AggregateService,
    Command,
    EventStore,
    ManualClock,
    OutcomeUnknown,
    Rejected,
    Repository,
    Request,
    SnapshotPolicy,
)
from eslab.operations.retention import rotate
from eslab.operations.snapshots import build_snapshot
from eslab.payload.serializer import command_hash
from eslab.store import Consistency
from eslab.unit_of_work import UnitOfWork
from tests.conftest import alone
from tests.support.sample import (
    DAY,
    HOUR,
    MINUTE,
    START,
    Card,
    Count,
    Counted,
    Counter,
    Faulty,
    Stamped,
    append,
    at,
    commits,
    fill,
    rows,
    snapshot,
)

pytestmark = alone
PAGES = 2500  # so many commits need several pages
ONE = SnapshotPolicy(every=1)
RUM = Count("rum")
LATE = at(5.5)  # a request among the first commits


class Between:
    """A store that runs something once, before or after the next call of a name."""

    def __init__(self, store: EventStore, when: str, name: str, run: Callable[[], object]) -> None:
        self._store, self._name = store, name
        self._runs = {"before": run if when == "before" else None, "after": run if when == "after" else None}

    @property
    def ran(self) -> bool:
        return not any(self._runs.values())

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._store, name)
        return partial(self._around, call) if name == self._name else call

    def _around(self, call: Callable[..., Any], *args: Any, **options: Any) -> Any:
        self._run("before")
        result = call(*args, **options)
        self._run("after")
        return result

    def _run(self, when: str) -> None:
        run, self._runs[when] = self._runs[when], None
        if run:
            run()


class Fill(Command):
    """Count one more, of at most so many."""

    limit: int


def fill_up(counter: Counter, command: Fill, request: Request) -> Sequence[Counted]:
    """Reject what exceeds the limit of the command."""
    if counter.total >= command.limit:
        raise Rejected("limit", "it is full", limit=command.limit, count=counter.total)
    return [Counted("tea")]


def filling(store: Any, clock: ManualClock) -> AggregateService[Counter]:
    """A service of counters that can be full."""
    return AggregateService(store, Counter, fill_up, clock)


# 1. A retry that overlaps its first delivery was decided on its own commit


@pytest.mark.parametrize(
    ("number", "when", "name"),
    [
        (0, "before", "read"),
        (0, "after", "read"),
        (PAGES, "before", "read"),
        (PAGES, "after", "read"),
        (PAGES, "before", "heads"),
    ],
)
def test_G3_finding_1_an_overlapping_retry_is_answered_as_its_first_delivery(
    store: EventStore, clock: ManualClock, number: int, when: str, name: str
) -> None:
    """The request fills the counter to its limit; whenever the other delivery comes, neither is rejected for itself."""
    fill(store, number)
    clock.now = START + number * MINUTE
    other, request, command = filling(store, clock), at(number), Fill(number + 1)
    deliveries: list[Any] = []
    hooked = Between(store, when, name, lambda: deliveries.append(other.send("ann", "counter:1", command, request)))
    deliveries.append(filling(hooked, clock).send("ann", "counter:1", command, request))
    assert hooked.ran
    state = other.load("ann", "counter:1")
    assert state.total == number + 1
    assert [(type(it), it.events, it.state) for it in deliveries] == [(Accepted, [Counted("tea")], state)] * 2


@pytest.mark.parametrize("rounds", [1500, pytest.param(10_000, marks=pytest.mark.full)])
def test_G3_finding_1_retries_of_two_threads_are_answered_alike(
    store: EventStore, clock: ManualClock, rounds: int
) -> None:
    """Each request fills its counter to the limit, and is delivered twice at the same moment."""
    services, together = [filling(store, clock) for _ in range(2)], Barrier(2)

    def deliver(service: AggregateService[Counter], number: int) -> Any:
        bowl, portion = divmod(number, 12)
        together.wait()
        return service.send("ann", f"counter:{bowl}", Fill(portion + 1), at(key=str(number)))

    with ThreadPoolExecutor(2) as threads:
        for number in range(rounds):
            one, other = threads.map(partial(deliver, number=number), services)
            state = services[0].load("ann", f"counter:{number // 12}")
            assert [(type(it), it.events, it.state) for it in (one, other)] == [
                (Accepted, [Counted("tea")], state)
            ] * 2, f"request {number}"


# 2. A floor was raised between two reads


class Interrupted(Exception):
    """The rotation has raised the floor, and waits."""


def rotation(store: EventStore, clock: ManualClock, whole: bool = True) -> Callable[[], None]:
    """Archive what the snapshot of an hour ago holds; stop after the floor was raised unless the whole is asked for."""

    def wait(seconds: float) -> None:
        if not whole:
            raise Interrupted
        clock.advance(timedelta(seconds=seconds))

    def run() -> None:
        build_snapshot(Repository(store, ManualClock(clock.now - HOUR)), "ann", Counter, "1", ONE)
        try:
            rotate(Repository(store, clock), "ann", Counter, "1", len, wait)
        except Interrupted:
            pass

    return run


@pytest.fixture
def long_ago(store: EventStore, clock: ManualClock) -> EventStore:
    """Pages of commits, all of which may be archived."""
    fill(store, PAGES)
    clock.now = START + 4 * DAY
    return store


BETWEEN_READS = pytest.mark.parametrize(
    ("when", "name", "whole"),
    [(when, name, whole) for when, name in [("before", "read"), ("after", "read")] for whole in (False, True)],
)


@BETWEEN_READS
def test_G5_finding_2a_no_reader_sees_a_blank_state(
    long_ago: EventStore, clock: ManualClock, when: str, name: str, whole: bool
) -> None:
    """Whether the events are gone already or not; so a full counter accepts no more."""
    hooked = Between(long_ago, when, name, rotation(long_ago, clock, whole))
    wish = Request.at(clock.now, "one more")
    answer = filling(hooked, clock).send("ann", "counter:1", Fill(PAGES), wish)
    assert hooked.ran and (rows(long_ago) == []) is whole
    assert isinstance(answer, Rejected) and answer.count == PAGES
    assert Repository(hooked, clock).load("ann", Counter, "1").total == PAGES


@BETWEEN_READS
def test_G5_finding_2b_no_builder_saves_a_part_of_the_state(
    long_ago: EventStore, clock: ManualClock, when: str, name: str, whole: bool
) -> None:
    """Every snapshot that there is holds all that happened."""
    hooked = Between(long_ago, when, name, rotation(long_ago, clock, whole))
    build_snapshot(Repository(hooked, clock), "ann", Counter, "1", ONE)
    assert hooked.ran
    for stored in long_ago.heads("ann", ["counter:1"])["counter:1"].snapshots:
        assert Repository(long_ago, clock).load("ann", Counter, "1").total == PAGES
        long_ago.delete_snapshot("ann", "counter:1", stored.up_to, stored.fold, START + 999 * DAY)


def late_commit(store: EventStore) -> None:
    """Append Ann's late wish, of which nobody was told."""
    store.append("ann", commits(LATE, {"counter:1": [Counted("rum")]}, command_hash(RUM)))


def repeat(store: Any, clock: ManualClock) -> UnitOfWork:
    """Send the late wish again: it is found, and made safe."""
    work = Repository(store, clock).begin("ann", LATE, RUM)
    work.load((Counter, "1"))
    assert work.recorded
    return work


@pytest.mark.parametrize("name", ["heads", "append", "mark"])
def test_G6_finding_2c_an_old_repeat_spares_the_snapshot_on_the_floor(
    store: EventStore, clock: ManualClock, name: str
) -> None:
    """Whenever a rotation comes between, the repeat is not answered, and the state stays whole."""
    fill(store, 10)
    late_commit(store)
    clock.advance(30 * HOUR)
    hooked = Between(store, "before", name, rotation(store, clock))
    with pytest.raises(OutcomeUnknown, match="below which history is archived"):
        repeat(hooked, clock)
    assert hooked.ran
    assert Repository(store, clock).load("ann", Counter, "1").total == 11


def test_G6_finding_2d_a_builder_that_tidies_spares_the_snapshot_on_the_floor(
    store: EventStore, clock: ManualClock
) -> None:
    """It looked before the floor was announced, and its delete arrives after that: what a rotation saved is newer."""
    fill(store, 10)
    clock.advance(30 * HOUR)
    build_snapshot(Repository(store, clock), "ann", Counter, "1", ONE)
    on_their_way: list[Callable[[], None]] = []

    class Slow(Faulty):
        def delete_snapshot(self, *args: Any) -> None:
            on_their_way.append(partial(store.delete_snapshot, *args))

    def build() -> None:
        append(store, (250, Counted("milk")))
        clock.advance(HOUR)
        build_snapshot(Repository(Slow(store), clock), "ann", Counter, "1", SnapshotPolicy(every=1, keep=1))

    def wait(seconds: float) -> None:
        assert len(on_their_way) == 1
        on_their_way.pop()()

    hooked = Between(store, "before", "mark", build)
    assert rotate(Repository(hooked, clock), "ann", Counter, "1", len, wait) == 10
    assert Repository(store, clock).load("ann", Counter, "1").total == 11


# 3. A snapshot outlived its deletion


@pytest.mark.parametrize("ahead", [0, 20, 30])
def test_G5_finding_3a_3c_a_snapshot_without_a_late_commit_is_not_believed(
    store: EventStore, clock: ManualClock, ahead: int
) -> None:
    """Read before the append, saved after it was made safe, by a builder whose clock is ahead or not."""
    fill(store, 10)
    clock.advance(30 * HOUR)

    def arrive() -> None:
        late_commit(store)
        repeat(store, clock)

    hooked = Between(store, "before", "save_snapshot", arrive)
    built = build_snapshot(
        Repository(hooked, ManualClock(clock.now + timedelta(seconds=ahead))), "ann", Counter, "1", ONE
    )
    assert hooked.ran
    assert built in store.heads("ann", ["counter:1"])["counter:1"].snapshots
    assert Repository(store, clock).load("ann", Counter, "1").counts["rum"] == 1


def test_G5_finding_3b_nor_is_one_that_was_built_on_it(store: EventStore, clock: ManualClock) -> None:
    """Its base became unusable after it was read: the new snapshot lacks the commit as well."""
    fill(store, 10)
    clock.advance(30 * HOUR)
    base = build_snapshot(Repository(store, clock), "ann", Counter, "1", ONE)
    append(store, (250, Counted("milk")))
    clock.advance(HOUR)

    def arrive() -> None:
        late_commit(store)
        repeat(store, clock)

    hooked = Between(store, "after", "read", arrive)
    built = build_snapshot(Repository(hooked, clock), "ann", Counter, "1", ONE)
    assert hooked.ran
    assert [*store.heads("ann", ["counter:1"])["counter:1"].snapshots] == [built, base]
    hydration = Repository(store, clock).hydrate("ann", Counter, "1")
    assert (hydration.base, hydration.state.counts["rum"], hydration.state.total) == (None, 1, 12)


# 6. The outcome was unknown for ever, or half a truth passed as whole


def test_G3_finding_6_code_that_loads_fewer_aggregates_finds_the_decision(
    repository: Repository, store: EventStore
) -> None:
    """What the decision touched besides is looked for in the directory."""
    store.append("ann", commits(at(), {"counter:1": [Counted("rum")], "card:1": [Stamped(1)]}, command_hash(RUM)))
    work = repository.begin("ann", at(), RUM)
    (counter,) = work.load((Counter, "1"))
    assert (work.recorded, work.events(counter)) == (True, [Counted("rum")])


def test_G3_finding_6_the_floor_of_an_untouched_aggregate_makes_nothing_whole(
    repository: Repository, store: EventStore
) -> None:
    """A commit is missing that only its own floor could explain."""
    both = commits(at(), {"counter:1": [Counted("rum")], "card:1": [Stamped(1)]}, command_hash(RUM))
    store.append("ann", [it for it in both if it.aggregate_id == "counter:1"])
    store.mark("ann", "card:2", floor=at(1).event_time)
    store.save_snapshot("ann", "card:2", snapshot(at(1), Card()), START)
    with pytest.raises(OutcomeUnknown, match="Expected 2 commits of Request .* found 1 of them missing"):
        repository.begin("ann", at(), RUM).load((Counter, "1"), (Card, "1"))


# 7. A month-old repeat deleted all snapshots every time


def test_G5_finding_7_an_old_repeat_is_made_safe_once_and_deletes_nothing(
    store: EventStore, clock: ManualClock
) -> None:
    """The snapshots stay, those built since are used again, and a second repeat is one read of this region."""
    fill(store, 10)
    late_commit(store)
    clock.advance(30 * DAY)
    build_snapshot(Repository(store, clock), "ann", Counter, "1", ONE)
    before = store.heads("ann", ["counter:1"])["counter:1"].snapshots
    repeat(store, clock)
    assert store.heads("ann", ["counter:1"])["counter:1"].snapshots == before
    faulty = Faulty(store)
    repeat(faulty, clock)
    assert faulty.calls == [("read", Consistency.LOCAL)]
    clock.advance(DAY)
    built = build_snapshot(Repository(store, clock), "ann", Counter, "1", ONE)
    assert built and Repository(store, clock).hydrate("ann", Counter, "1").base == built.up_to
