"""One request's wish: looked up first, decided once, appended as one; the promises G1, G3, G5, G6 and G7."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import count, permutations
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eslab import (
    Aggregate,
    Command,
    Event,
    EventStore,
    InvalidInput,
    ManualClock,
    OutcomeUnknown,
    OutOfTime,
    Repository,
    Request,
    RequestConflict,
    StoreUnavailable,
    TooLarge,
    Unreadable,
)
from eslab.payload.serializer import command_hash, raw_events
from eslab.store import Commit, Consistency, LateCommits
from eslab.unit_of_work import MAX_APPEND_BYTES, UnitOfWork
from tests.support.between import Between
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
    Voided,
    at,
    commits,
    envelope_of,
    everything,
    row,
    rows,
    snapshot,
)

WISH = Count("tea", 2)
HASH = command_hash(WISH)
TEA = [Counted("tea", 2)]
ANY = Counted | Voided | Stamped
BOTH = {"counter:1": TEA, "card:1": [Stamped(1)]}


@pytest.fixture
def faulty(store: EventStore) -> Faulty:
    """A real store behind a line that can fail."""
    return Faulty(store)


@pytest.fixture
def shop(faulty: Faulty, clock: ManualClock) -> Repository:
    """A repository over that store."""
    return Repository(faulty, clock)


def begin(repository: Repository, request: Request | None = None, command: Command = WISH) -> UnitOfWork:
    """Ann's wish."""
    return repository.begin("ann", request or at(), command)


def decide(repository: Repository, request: Request | None = None) -> UnitOfWork:
    """Ann's wish over two aggregates, as a service would fulfil it."""
    work = begin(repository, request)
    counter, card = work.load((Counter, "1"), (Card, "1"))
    if not work.recorded:
        work.add(counter, *TEA)
        work.add(card, Stamped(1))
        work.append()
    return work


def answer(work: UnitOfWork) -> dict[str, Sequence[Event]]:
    """What the wish did to each aggregate."""
    return dict(work._events)


def raw(commit: Commit) -> list[dict[str, Any]]:
    """The events of a row as plain maps."""
    return raw_events(envelope_of(commit))


# One append


def test_one_append_writes_all_with_one_digest(repository: Repository, store: EventStore) -> None:
    """Every aggregate gets one row at the request's time; the digest, wish and number are the same in all."""
    decide(repository)
    assert rows(store, "card:1") + rows(store) == commits(at(), BOTH, HASH)


def test_add_shows_in_the_state_at_once(repository: Repository, store: EventStore) -> None:
    """Added events are applied to the loaded state, and nothing is written before `append`."""
    work = begin(repository)
    (counter,) = work.load((Counter, "1"))
    work.add(counter, Counted("tea", 2), Voided("milk"))
    assert counter == Counter({"tea": 2}, {"milk"})
    assert work.events(counter) == [Counted("tea", 2), Voided("milk")]
    assert everything(store) == {}


def test_events_of_one_aggregate_are_one_row(repository: Repository, store: EventStore) -> None:
    """Several events, added in several steps, stand in one row in their order; its type is that of the first."""
    work = begin(repository)
    (counter,) = work.load((Counter, "1"))
    work.add(counter, Voided("milk"))
    work.add(counter, *TEA)
    work.append()
    assert rows(store) == commits(at(), {"counter:1": [Voided("milk"), *TEA]}, HASH)
    assert (rows(store)[0].event_type, rows(store)[0].version) == ("Voided", 1)


def test_an_aggregate_without_events_gets_no_row(repository: Repository, store: EventStore) -> None:
    """A loaded aggregate that the wish didn't touch isn't counted either."""
    work = begin(repository)
    _, card = work.load((Counter, "1"), (Card, "1"))
    work.add(card)
    work.append()
    assert everything(store) == {}
    work.add(card, Stamped(1))
    work.append()
    assert everything(store).keys() == {"card:1"}


def test_a_failed_append_may_be_tried_again(shop: Repository, faulty: Faulty, store: EventStore) -> None:
    """The same wish appends the same rows, so trying again is safe."""
    work = begin(shop)
    (counter,) = work.load((Counter, "1"))
    work.add(counter, *TEA)
    faulty.refuse[Consistency.LOCAL] = StoreUnavailable("cut off")
    with pytest.raises(StoreUnavailable):
        work.append()
    faulty.refuse.clear()
    work.append()
    work.append()
    assert rows(store) == commits(at(), {"counter:1": TEA}, HASH)


# Misuse


def test_a_second_load_is_refused(repository: Repository) -> None:
    """All aggregates are loaded in one call: one look-up for the whole wish."""
    work = begin(repository)
    work.load((Counter, "1"))
    with pytest.raises(InvalidInput, match="has loaded its aggregates; load all of them in one call"):
        work.load((Card, "1"))


def test_a_foreign_event_is_refused_and_nothing_of_it_added(repository: Repository, store: EventStore) -> None:
    """An event that `apply` doesn't know is refused with those it knows, before any beside it is applied."""
    work = begin(repository)
    (counter,) = work.load((Counter, "1"))
    with pytest.raises(InvalidInput, match=r"Counter\.apply knows \(Counted, Voided\), got Stamped\(place=1\)"):
        work.add(counter, *TEA, Stamped(1))  # type: ignore[arg-type]
    assert (counter, work.events(counter)) == (Counter(), [])


class Picky(Aggregate):
    """Breaks the law of `apply`: it refuses an event."""

    told: list[str] = []

    def apply(self, event: Counted) -> None:
        """Refuse milk."""
        if event.what == "milk":
            raise ValueError(event.what)
        self.told.append(event.what)


def test_after_a_failed_add_nothing_is_appended(repository: Repository, store: EventStore) -> None:
    """Not even the events before the one that failed."""
    work = begin(repository)
    (picky,) = work.load((Picky, "1"))
    with pytest.raises(ValueError, match="milk"):
        work.add(picky, Counted("tea"), Counted("milk"))
    assert work.events(picky) == []
    work.append()
    assert rows(store, "picky:1") == []


def test_a_foreign_state_is_refused(repository: Repository) -> None:
    """Events go to a state that this unit of work loaded; an equal one isn't it."""
    work = begin(repository)
    work.load((Counter, "1"))
    with pytest.raises(
        InvalidInput, match=r"a state that this unit of work loaded, got Counter\(.*; use what work\.load"
    ):
        work.add(Counter(), *TEA)


def test_a_recorded_wish_is_not_decided_again(repository: Repository, store: EventStore) -> None:
    """Adding or appending after the answer was found is refused; the state stays what is stored."""
    decide(repository)
    before = everything(store)
    work = begin(repository)
    (counter,) = work.load((Counter, "1"), (Card, "1"))[:1]
    with pytest.raises(InvalidInput, match=r"Cannot add events: .* is already decided; check work.recorded"):
        work.add(counter, *TEA)
    with pytest.raises(InvalidInput, match=r"was decided before; check work.recorded"):
        work.append()
    assert (counter, everything(store)) == (Counter({"tea": 2}), before)


def test_G1_one_request_is_one_decision(repository: Repository, store: EventStore) -> None:
    """After the append nothing can be added: a second decision of one request would overwrite the first."""
    work = begin(repository)
    counter, card = work.load((Counter, "1"), (Card, "1"))
    work.add(counter, *TEA)
    work.append()
    before = everything(store)
    with pytest.raises(InvalidInput, match="make a new request for a new command"):
        work.add(card, Stamped(1))
    work.append()
    assert everything(store) == before


@pytest.mark.parametrize("customer", ["", "\ud800", "x" * 1025])
def test_a_customer_that_no_store_can_keep_is_refused(repository: Repository, customer: str) -> None:
    """Before anything is read."""
    with pytest.raises(InvalidInput, match="customer id"):
        repository.begin(customer, at(), WISH)


class Packed(Event):
    data: bytes


class Box(Aggregate):
    packed: set[bytes] = set()

    def apply(self, event: Packed) -> None:
        self.packed.add(event.data)


@pytest.mark.parametrize("boxes", [1, 2])
def test_an_append_above_a_mebibyte_is_refused(repository: Repository, store: EventStore, boxes: int) -> None:
    """The limit counts for all rows of the append together; nothing is written, and the message has the numbers."""
    work = begin(repository)
    states = work.load(*((Box, str(number)) for number in range(boxes)))
    for state in states:
        work.add(state, Packed(bytes(MAX_APPEND_BYTES // boxes)))
    with pytest.raises(
        TooLarge, match=r"at most 1,048,576 bytes, got 1,048,\d\d\d for Request .*Nothing was written"
    ) as error:
        work.append()
    assert (error.value.customer_id, error.value.event_time) == ("ann", at().event_time)
    assert everything(store) == {}


def test_an_append_of_almost_a_mebibyte_is_written(repository: Repository, store: EventStore) -> None:
    """Up to the limit, rows come back whole."""
    work = begin(repository)
    (box,) = work.load((Box, "1"))
    work.add(box, Packed(bytes(MAX_APPEND_BYTES - 200)))
    work.append()
    assert repository.load("ann", Box, "1") == box


# G3: a repeat


@pytest.mark.parametrize("later", [timedelta(0), HOUR, 24 * HOUR, 25 * HOUR, 400 * DAY])
def test_G3_a_repeat_gets_the_recorded_answer(
    repository: Repository, clock: ManualClock, store: EventStore, later: timedelta
) -> None:
    """However late it comes, the answer is what was recorded, and nothing is counted twice."""
    first = decide(repository)
    before = {id: commits for id, (_, commits) in everything(store).items()}
    clock.advance(later)
    again = decide(repository)
    assert (first.recorded, again.recorded) == (False, True)
    assert answer(again) == answer(first) == BOTH
    assert {id: commits for id, (_, commits) in everything(store).items()} == before


def test_G3_a_repeat_sees_what_came_since(repository: Repository, clock: ManualClock) -> None:
    """The events are those of then, the state is that of now."""
    decide(repository)
    other = begin(repository, at(1))
    (counter,) = other.load((Counter, "1"))
    other.add(counter, Voided("tea"))
    other.append()
    again = begin(repository)
    counter, _ = again.load((Counter, "1"), (Card, "1"))
    assert (again.events(counter), counter) == (TEA, Counter({"tea": 2}, {"tea"}))


def test_G3_a_new_request_is_a_new_wish(repository: Repository) -> None:
    """Who makes a new id counts again, even at the same moment with the same command."""
    for key in ("one", "other"):
        decide(repository, at(key=key))
    assert repository.load("ann", Counter, "1") == Counter({"tea": 4})


def test_G3_one_request_of_two_customers_is_two_wishes(repository: Repository) -> None:
    """An id counts within its customer."""
    decide(repository)
    work = repository.begin("bob", at(), WISH)
    assert work.load((Counter, "1")) == (Counter(),)
    assert not work.recorded


def test_a_wish_that_needed_nothing_is_decided_anew(repository: Repository, store: EventStore) -> None:
    """No event, no row, no record: a repeat looks again."""
    begin(repository).append()
    work = begin(repository)
    work.load((Counter, "1"))
    assert (work.recorded, everything(store)) == (False, {})


# Time bounds (G5)


@pytest.mark.parametrize("off", [24 * HOUR, -MINUTE])
def test_G5_a_first_request_at_the_very_bound_is_decided(
    repository: Repository, clock: ManualClock, off: timedelta
) -> None:
    """A day late or a minute early is still in time."""
    clock.advance(off)
    assert not decide(repository).recorded


@pytest.mark.parametrize("off", [24 * HOUR + timedelta(milliseconds=1), -MINUTE - timedelta(milliseconds=1)])
def test_G5_a_first_request_beyond_the_bound_is_refused(
    repository: Repository, clock: ManualClock, store: EventStore, off: timedelta
) -> None:
    """A millisecond beyond either bound: refused with the service's time, and nothing is written."""
    clock.advance(off)
    with pytest.raises(OutOfTime) as error:
        decide(repository)
    assert error.value.service_time == clock()
    assert everything(store) == {}


# Conflicts, and half truths


def test_G3_one_request_for_two_wishes_is_a_conflict(repository: Repository, store: EventStore) -> None:
    """The id stands for the first wish for ever; the second writes nothing and is told where to look."""
    decide(repository)
    before = everything(store)
    work = begin(repository, command=Count("milk"))
    with pytest.raises(
        RequestConflict, match=r"of customer 'ann' was used before for another command \(see 'c"
    ) as error:
        work.load((Counter, "1"), (Card, "1"))
    assert everything(store) == before
    assert (error.value.customer_id, error.value.event_time) == ("ann", at().event_time)
    assert error.value.aggregate_id in BOTH


def test_G3_a_conflict_is_told_by_any_one_row(repository: Repository) -> None:
    """The other wish may look at a part of what the first one wrote; it isn't told to send again and again."""
    decide(repository)
    with pytest.raises(RequestConflict):
        begin(repository, command=Count("milk")).load((Card, "1"))


def test_G3_a_row_hidden_from_the_region_is_found_at_quorum(
    shop: Repository, faulty: Faulty, store: EventStore
) -> None:
    """Where LOCAL shows half a decision, QUORUM is asked, and its answer and rows are used."""
    decide(shop)
    faulty.hide[Consistency.LOCAL] = {"card:1"}
    faulty.calls.clear()
    work = decide(shop)
    assert (work.recorded, answer(work)) == (True, BOTH)
    assert faulty.calls == [("read", Consistency.LOCAL), ("read", Consistency.QUORUM)]


def test_G3_half_a_truth_is_an_unknown_outcome(shop: Repository, faulty: Faulty, store: EventStore) -> None:
    """If QUORUM can't see all touched aggregates either, nothing is decided: send the same request again."""
    decide(shop)
    before = everything(store)
    faulty.hide = {Consistency.LOCAL: {"card:1"}, Consistency.QUORUM: {"card:1"}}
    with pytest.raises(OutcomeUnknown, match=r"Expected 2 commits of Request .* found 1\..*send the same") as error:
        decide(shop)
    assert (error.value.customer_id, error.value.event_time) == ("ann", at().event_time)
    assert everything(store) == before


def test_G3_what_quorum_no_longer_shows_is_unknown_too(shop: Repository, faulty: Faulty) -> None:
    """Seen in part at LOCAL and not at all at QUORUM: still never decided a second time."""
    decide(shop)
    faulty.hide = {Consistency.LOCAL: {"card:1"}, Consistency.QUORUM: {"card:1", "counter:1"}}
    with pytest.raises(OutcomeUnknown, match=r"Expected 2 commits .* found 1\."):
        decide(shop)


def test_G3_an_unreachable_quorum_decides_nothing(shop: Repository, faulty: Faulty) -> None:
    """Where half is seen and QUORUM can't be asked, the store's error goes through."""
    decide(shop)
    faulty.hide[Consistency.LOCAL], faulty.refuse[Consistency.QUORUM] = {"card:1"}, StoreUnavailable("cut off")
    with pytest.raises(StoreUnavailable):
        decide(shop)


def test_G6_a_commit_below_its_floor_counts_as_found(repository: Repository, store: EventStore) -> None:
    """History that was archived away isn't missing; what is left of the decision answers."""
    decide(repository)
    store.mark("ann", "card:1", floor=at().event_time)
    store.delete_events("ann", "card:1", at().event_time)
    store.save_snapshot("ann", "card:1", snapshot(at(), Card({1})), START)
    work = decide(repository)
    assert (work.recorded, answer(work)) == (True, {"counter:1": TEA})


def test_G6_a_floor_below_the_request_hides_nothing(repository: Repository, store: EventStore) -> None:
    """A floor that the commit stands above doesn't count for it."""
    store.append("ann", commits(at(), BOTH, HASH)[:1])
    for id in ("counter:1", "card:1"):
        store.mark("ann", id, floor=at(-1).event_time)
        state = Counter() if id == "counter:1" else Card()
        store.save_snapshot("ann", id, snapshot(at(-1), state), START)
    with pytest.raises(OutcomeUnknown):
        begin(repository).load((Counter, "1"), (Card, "1"))


def decisions() -> tuple[list[Commit], list[Commit]]:
    """Two decisions of one request that share an aggregate: the loser's rows, then the winner's."""
    one = commits(at(), {"counter:1": TEA, "card:1": [Stamped(1)]}, HASH)
    two = commits(at(), {"counter:1": [Counted("tea", 1)], "card:2": [Stamped(2)]}, HASH)
    less, more = sorted([one, two], key=lambda rows: rows[0].payload)
    return less, more


@pytest.mark.parametrize("order", list(permutations(range(2))))
def test_G1_a_losing_decision_is_not_the_answer(repository: Repository, store: EventStore, order: list[int]) -> None:
    """Of two decisions the greater digest answers, in any order of arrival; the loser's own rows are passed over."""
    both = decisions()
    for number in order:
        store.append("ann", both[number])
    work = begin(repository)
    states = work.load((Counter, "1"), (Card, "1"), (Card, "2"))
    assert answer(work) == {each.aggregate_id: [msgspec.convert(event, ANY) for event in raw(each)]
                            for each in both[1]}  # fmt: skip
    assert work.recorded and len([state for state in states[1:] if work.events(state)]) == 1


@given(st.permutations([0, 1, 2, 3]))
def test_G1_the_answer_does_not_depend_on_the_order_of_rows(
    open_new: Callable[[], EventStore], order: list[int]
) -> None:
    """Row by row, in any order: the same answer and the same states."""
    store, arriving = open_new(), [each for decision in decisions() for each in decision]
    for number in order:
        store.append("ann", [arriving[number]])
    work = begin(Repository(store, ManualClock(START)))
    work.load((Counter, "1"), (Card, "1"), (Card, "2"))
    assert answer(work).keys() == {each.aggregate_id for each in decisions()[1]}


def test_G8_a_broken_row_of_the_request_is_named(repository: Repository, store: EventStore) -> None:
    """A look-up that meets bytes that can't be trusted decides nothing, and names the row."""
    store.append("ann", [row(payload=b"\xff broken")])
    with pytest.raises(Unreadable, match=f"aggregate 'counter:1', event time {at().event_time} .*, type Counted, ver"):
        begin(repository).load((Counter, "1"))


# G5: what a snapshot may have missed is made safe


@pytest.mark.parametrize(("seconds", "safe"), [(600, False), (600.001, True), (86_400, True)])
def test_G5_a_slow_append_is_made_safe(
    shop: Repository, faulty: Faulty, store: EventStore, clock: ManualClock, seconds: float, safe: bool
) -> None:
    """An append that took longer than P is written EVERYWHERE again, and marked as late between two looks."""
    faulty.after = lambda: clock.advance(timedelta(seconds=seconds)) and setattr(faulty, "after", lambda: None)
    decide(shop)
    assert everywhere(faulty) == (MADE_SAFE if safe else [])
    assert late(store) == (LateCommits(at().event_time, clock.now + timedelta(minutes=10)) if safe else None)
    assert rows(store, "card:1") + rows(store) == commits(at(), BOTH, HASH)


@pytest.mark.parametrize(("age", "safe"), [(24 * HOUR, False), (24 * HOUR + timedelta(milliseconds=1), True)])
def test_G5_a_late_look_up_is_made_safe(
    shop: Repository, faulty: Faulty, store: EventStore, clock: ManualClock, age: timedelta, safe: bool
) -> None:
    """Who finds commits older than R writes them EVERYWHERE and marks them as late, before answering; only once."""
    decide(shop)
    clock.advance(age)
    faulty.calls.clear()
    assert decide(shop).recorded and decide(shop).recorded
    assert everywhere(faulty) == (MADE_SAFE if safe else [])
    assert late(store) == (LateCommits(at().event_time, clock.now + timedelta(minutes=10)) if safe else None)


def test_G1_a_decision_that_arrives_while_a_late_repeat_is_made_safe_is_the_answer(
    store: EventStore, clock: ManualClock
) -> None:
    """From a region that was parted: answer and state tell of the same decision, and it is made safe too."""
    less, more = decisions()
    store.append("ann", less)
    clock.advance(25 * HOUR)
    faulty = Faulty(cast(EventStore, Between(store, "after", "note_safe", lambda: store.append("ann", more))))
    work = begin(Repository(faulty, clock))
    states = work.load((Counter, "1"), (Card, "1"), (Card, "2"))
    assert answer(work).keys() == {each.aggregate_id for each in more}
    assert states[0] == Repository(store, clock).load("ann", Counter, "1")
    assert everywhere(faulty) == 2 * MADE_SAFE


@pytest.mark.parametrize("look", range(12))
def test_G5_whenever_a_process_sleeps_its_late_append_is_made_safe(
    faulty: Faulty, store: EventStore, look: int
) -> None:
    """Between any two looks at a clock: then the wish is refused as too old, or made safe; a moment later than that."""
    looks = count()
    clock = ManualClock(START)

    def sleepy() -> datetime:
        now = clock.now
        if next(looks) == look:
            clock.advance(11 * MINUTE)
        return now

    try:
        decide(Repository(faulty, sleepy), at(-24 * 60))
    except OutOfTime:
        assert rows(store) == []
    else:
        assert clock.now == START or next(looks) <= look + 1 or late(store)


MADE_SAFE = ["heads", "append", "mark", "mark", "heads", "note_safe"]


def everywhere(faulty: Faulty) -> list[str]:
    return [name for name, reach in faulty.calls if reach is Consistency.EVERYWHERE]


def late(store: EventStore, id: str = "counter:1") -> LateCommits | None:
    return store.heads("ann", [id])[id].late


def test_G5_the_answer_to_a_late_look_up_counts_what_a_snapshot_missed(
    repository: Repository, store: EventStore, clock: ManualClock
) -> None:
    """No reader begins from a snapshot that reached past a commit without it, so the state holds the commit."""
    store.save_snapshot("ann", "counter:1", snapshot(at(5), Counter({"milk": 1})), START)
    store.append("ann", commits(at(1), {"counter:1": [Counted("milk")]}, HASH))
    store.append("ann", commits(at(), {"counter:1": TEA}, HASH))
    clock.advance(30 * HOUR)
    assert repository.load("ann", Counter, "1") == Counter({"milk": 1})
    assert begin(repository).load((Counter, "1")) == (Counter({"milk": 1, "tea": 2}),)
    assert repository.load("ann", Counter, "1") == Counter({"milk": 1, "tea": 2})


def test_G5_what_cannot_be_made_safe_is_not_answered(
    shop: Repository, faulty: Faulty, store: EventStore, clock: ManualClock
) -> None:
    """While a region can't be reached, a late look-up fails, and the next one tries again."""
    decide(shop)
    clock.advance(25 * HOUR)
    faulty.refuse[Consistency.EVERYWHERE] = StoreUnavailable("Asia is cut off")
    with pytest.raises(StoreUnavailable):
        decide(shop)
    faulty.refuse.clear()
    assert decide(shop).recorded and late(store)


@pytest.mark.parametrize("mark", ["floor", "intended"])
def test_G6_nothing_is_made_safe_at_or_below_a_floor(
    repository: Repository, store: EventStore, clock: ManualClock, mark: str
) -> None:
    """A commit at or below a floor may be in the base there or not: nobody can tell, so it is not answered."""
    decide(repository)
    base = snapshot(at(), Counter({"tea": 2}))
    store.save_snapshot("ann", "counter:1", base, START)
    store.mark("ann", "counter:1", **{mark: at().event_time})
    clock.advance(27 * HOUR)
    with pytest.raises(OutcomeUnknown, match=r"above the floor 2026-01-05T09:00:00\+00:00 of customer 'ann', aggreg"):
        decide(repository)
    assert repository.load("ann", Counter, "1") == Counter({"tea": 2})
    assert late(store) is None


def test_G6_a_slow_append_below_a_new_floor_is_not_acknowledged(
    shop: Repository, faulty: Faulty, store: EventStore, clock: ManualClock
) -> None:
    """So slow that the floor moved past it meanwhile: the base there holds it or not, and stays."""

    def archive() -> None:
        clock.advance(3 * DAY)
        store.save_snapshot("ann", "counter:1", snapshot(at(1), Counter()), START)
        store.mark("ann", "counter:1", floor=at(1).event_time)

    faulty.before = archive
    with pytest.raises(OutcomeUnknown, match="above the floor"):
        decide(shop)
    assert [each.up_to for each in store.heads("ann", ["counter:1"])["counter:1"].snapshots] == [at(1).event_time]


# What is stored can be read back


def test_G9_an_event_of_the_wrong_types_is_refused_and_nothing_written(
    repository: Repository, store: EventStore
) -> None:
    """Constructors don't look at types; what no reader could load again must not be stored."""
    work = begin(repository)
    (counter,) = work.load((Counter, "1"))
    with pytest.raises(InvalidInput, match="declared types"):
        work.add(counter, Counted(5, "tea"))  # pyright: ignore
    work.append()
    assert rows(store) == [] and counter == Counter()


@pytest.mark.parametrize("mark", ["floor", "intended"])
def test_a_request_below_a_floor_is_not_decided(repository: Repository, store: EventStore, mark: str) -> None:
    """A commit below the floor would never be folded, so the wish is refused and nothing is written."""
    store.mark("ann", "counter:1", **{mark: at(1).event_time})
    store.save_snapshot("ann", "counter:1", snapshot(at(1), Counter()), START)
    with pytest.raises(OutOfTime, match="above the floor") as error:
        begin(repository).load((Counter, "1"))
    assert error.value.event_time == at().event_time
    assert rows(store) == []


def test_one_id_of_two_types_is_refused(repository: Repository) -> None:
    """Two types that are stored under one name are one aggregate, read in two ways."""

    class Other(Counter):
        stored_as = "counter"

    with pytest.raises(InvalidInput, match="one aggregate type for each id"):
        begin(repository).load((Counter, "1"), (Other, "1"))


def test_G3_a_field_added_to_a_command_leaves_old_repeats_what_they_were() -> None:
    """Fields that have their default are not part of the hash, so a deploy makes no conflict of a retry."""

    class Buy(Command, tag="Buy"):
        what: str

    class BuyMore(Command, tag="Buy"):
        what: str
        size: int = 1

    assert command_hash(Buy("tea")) == command_hash(BuyMore("tea")) != command_hash(BuyMore("tea", 2))
