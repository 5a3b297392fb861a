"""The public API: a wish in, an answer out, and what was answered is what the next hydration shows."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eslab import (
    Accepted,
    Aggregate,
    AggregateService,
    Command,
    Event,
    EventStore,
    InvalidInput,
    ManualClock,
    OutOfTime,
    Rejected,
    Request,
    RequestConflict,
    StoreUnavailable,
    TimeBounds,
    open_store,
)
from eslab.payload.serializer import command_hash
from eslab.store import Consistency
from eslab.testing import given as specification
from tests.support.sample import (
    DAY,
    HOUR,
    LIMIT,
    MINUTE,
    START,
    Count,
    Counted,
    Counter,
    Faulty,
    at,
    commits,
    everything,
    handle,
    rows,
)

OpenNew = Callable[[], EventStore]
Service = AggregateService[Counter]


@pytest.fixture
def service(store: EventStore, clock: ManualClock) -> Service:
    """The counters of the shop."""
    return AggregateService(store, Counter, handle, clock)


def send(service: Service, command: Count, request: Request) -> Accepted[Counter]:
    """Ann's wish about her first counter, which is granted."""
    answer = service.send("ann", "counter:1", command, request)
    assert isinstance(answer, Accepted)
    return answer


def test_an_accepted_wish_becomes_events(service: Service, store: EventStore) -> None:
    """The answer holds the request, its events and the new state; the log holds one row."""
    answer = send(service, Count("tea", 2), at())
    assert answer == Accepted(at(), [Counted("tea", 2)], Counter({"tea": 2}), repeated=False)
    assert rows(store) == commits(at(), {"counter:1": [Counted("tea", 2)]}, command_hash(Count("tea", 2)))


def test_a_wish_that_is_fulfilled_already_needs_no_event(service: Service, store: EventStore) -> None:
    """It is accepted, and leaves no record."""
    answer = send(service, Count("tea", 0), at())
    assert (answer.events, answer.repeated, everything(store)) == ([], False, {})


def test_G7_a_rejection_writes_nothing(service: Service, store: EventStore) -> None:
    """Every row stays as it was, and the answer says which rule, which limit and which count."""
    send(service, Count("tea", LIMIT), at())
    before = everything(store)
    answer = service.send("ann", "counter:1", Count("milk"), at(1))
    assert isinstance(answer, Rejected)
    assert (answer.rule, answer.limit, answer.count) == ("limit", LIMIT, LIMIT)
    assert everything(store) == before


def test_G7_a_rejected_wish_may_come_again(service: Service) -> None:
    """A rejection is no record: the same request is decided anew."""
    send(service, Count("tea", LIMIT), at())
    assert isinstance(service.send("ann", "counter:1", Count("milk"), at(1)), Rejected)
    send(service, Count("tea", -1), at(0.5))
    assert send(service, Count("milk"), at(1)).state.total == LIMIT


@pytest.mark.parametrize("later", [timedelta(0), HOUR, 2 * DAY])
def test_G3_a_repeat_is_the_same_row(service: Service, store: EventStore, clock: ManualClock, later: timedelta) -> None:
    """However often and late it comes, it counts once and gets the recorded answer."""
    first = send(service, Count("tea", 2), at())
    before = rows(store)
    clock.advance(later)
    again = [send(service, Count("tea", 2), at()) for _ in range(3)]
    assert [(each.events, each.state, each.repeated) for each in again] == [(first.events, first.state, True)] * 3
    assert rows(store) == before


def test_G3_a_repeat_is_answered_even_if_it_would_be_rejected_now(service: Service) -> None:
    """What was granted stays granted, whatever the rules say later."""
    send(service, Count("tea", 1), at())
    send(service, Count("tea", LIMIT - 1), at(1))
    assert send(service, Count("tea", 1), at()).repeated


def test_G3_a_repeat_from_another_process_is_the_same_row(store: EventStore, clock: ManualClock) -> None:
    """Two services share nothing but the store."""
    for _ in range(2):
        service = AggregateService(store, Counter, handle, clock)
        service.send("ann", "counter:1", Count("tea"), at())
    assert [each.event_time for each in rows(store)] == [at().event_time]


def test_G3_a_repeat_while_the_first_is_under_way_counts_once(store: EventStore, clock: ManualClock) -> None:
    """Two services decide one request at the same moment: neither sees the other, and one row stays."""
    faulty = Faulty(store)
    other = AggregateService(store, Counter, handle, clock)
    faulty.before = lambda: other.send("ann", "counter:1", Count("tea", 2), at()) and None
    AggregateService(faulty, Counter, handle, clock).send("ann", "counter:1", Count("tea", 2), at())
    assert len(rows(store)) == 1
    assert other.load("ann", "counter:1") == Counter({"tea": 2})


def test_G3_a_lost_reply_is_mended_by_a_repeat(store: EventStore, clock: ManualClock) -> None:
    """The append arrived, its acknowledgement didn't: sending again finds it."""
    faulty = Faulty(store)
    service = AggregateService(faulty, Counter, handle, clock)

    def lose() -> None:
        raise StoreUnavailable("the line went dead")

    faulty.after = lose
    with pytest.raises(StoreUnavailable):
        service.send("ann", "counter:1", Count("tea"), at())
    assert send(service, Count("tea"), at()).repeated
    assert len(rows(store)) == 1


def test_G3_another_wish_by_the_same_request_is_a_conflict(service: Service, store: EventStore) -> None:
    """Other fields are another wish."""
    send(service, Count("tea", 2), at())
    before = everything(store)
    with pytest.raises(RequestConflict):
        service.send("ann", "counter:1", Count("tea", 3), at())
    assert everything(store) == before


def test_G5_a_service_keeps_its_bounds(store: EventStore, clock: ManualClock) -> None:
    """Those that it was given, not the defaults; beyond them nothing is written."""
    bounds = TimeBounds(late=HOUR)
    service = AggregateService(store, Counter, handle, clock, bounds)
    clock.advance(HOUR)
    send(service, Count("tea"), at())
    with pytest.raises(OutOfTime, match="at most 1 h old"):
        service.send("ann", "counter:1", Count("tea"), at(-1))
    assert len(rows(store)) == 1


def test_G10_a_handler_gets_state_wish_and_request(store: EventStore, clock: ManualClock) -> None:
    """And nothing else: no store, no clock, no chance."""
    seen: list[tuple[Any, ...]] = []

    def remember(*given: Any) -> Sequence[Event]:
        seen.append(given)
        return []

    AggregateService(store, Counter, remember, clock).send("ann", "counter:1", Count("tea"), at())
    assert seen == [(Counter(), Count("tea"), at())]


def test_an_error_in_a_handler_writes_nothing(store: EventStore, clock: ManualClock) -> None:
    """It is the handler's own, and goes through."""

    def fail(*given: Any) -> Sequence[Event]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        AggregateService(store, Counter, fail, clock).send("ann", "counter:1", Count("tea"), at())
    assert everything(store) == {}


@pytest.mark.parametrize("id", ["card:1", "counter", "counter:", "", "Counter:1"])
def test_the_id_of_another_type_is_refused(service: Service, id: str) -> None:
    """Before anything is read."""
    with pytest.raises(InvalidInput, match='Expected the id of a Counter, such as "counter:1"'):
        service.send("ann", id, Count("tea"), at())
    with pytest.raises(InvalidInput):
        service.load("ann", id)


def test_a_state_is_loaded_as_of_a_moment(service: Service) -> None:
    """Now, or as it was."""
    send(service, Count("tea"), at())
    send(service, Count("milk"), at(1))
    assert service.load("ann", "counter:1", as_of=at().time) == Counter({"tea": 1})
    assert service.load("ann", "counter:1") == Counter({"tea": 1, "milk": 1})


def test_a_hydration_and_an_append_are_two_calls(store: EventStore, clock: ManualClock) -> None:
    """One wait to read, one to write."""
    faulty = Faulty(store)
    AggregateService(faulty, Counter, handle, clock).send("ann", "counter:1", Count("tea"), at())
    assert faulty.calls == [(name, Consistency.LOCAL) for name in ("read", "append")]


WISHES = st.lists(
    st.tuples(
        st.integers(-25 * 60, 10),  # minutes: some of them too late, some too early
        st.sampled_from(["1", "2"]),
        st.builds(Count, st.sampled_from(["tea", "milk"]), st.integers(0, 60)),
    ),
    max_size=12,
)


@given(WISHES)
def test_law_what_was_answered_is_what_the_next_hydration_shows(open_new: OpenNew, wishes: list[Any]) -> None:
    """Whatever order wishes come in, repeats and refusals among them; and a rejection changes no row."""
    store, clock = open_new(), ManualClock(START)
    service = AggregateService(store, Counter, handle, clock)
    for minutes, key, command in [*wishes, *wishes]:
        before = everything(store)
        try:
            answer = service.send("ann", f"counter:{key}", command, at(minutes, f"{key} {command}"))
        except OutOfTime:
            answer = Rejected("time", "too late")
        if isinstance(answer, Accepted):
            assert service.load("ann", f"counter:{key}") == answer.state
        else:
            assert everything(store) == before
        clock.advance(MINUTE)


def test_threads_share_a_service(service: Service) -> None:
    """It keeps no state of its own; each wish of each thread counts once."""

    def work(thread: int) -> None:
        for number in range(20):
            for _ in range(2):
                service.send("ann", f"counter:{thread % 2}", Count("tea", 1), at(-number, f"{thread}"))

    threads = [Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [service.load("ann", f"counter:{number}").total for number in (0, 1)] == [40, 40]


def test_answers_read_as_sentences(service: Service) -> None:
    """For people: what was needed, and what stands now; repeats say so."""
    first, again = (send(service, Count("tea"), at()) for _ in range(2))
    nothing = send(service, Count("tea", 0), at(1))
    assert repr(first).startswith("Accepted: Counted(what='tea', amount=1); now Counter(counts={'tea': 1}")
    assert repr(again).startswith("Accepted before: Counted(what='tea', amount=1); now ")
    assert repr(nothing).startswith("Accepted: no event was needed; now ")
    assert "✓ Accepted before" in again._repr_html_() and "none was needed" in nothing._repr_html_()


def counted_in_vain(counter: Counter, command: Count, request: Request) -> Any:
    """Yields instead of returning a list."""
    yield Counted("tea")


async def counted_later(counter: Counter, command: Count, request: Request) -> Any:
    """Returns a list, but only to who waits for it."""
    return [Counted("tea")]


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        (lambda state, command, request: None, r"got None; write `return \[\]` where no event is needed"),
        (lambda state, command, request: Counted("tea"), r"got Counted\(.*\); write `return \[Counted\(...\)\]`"),
        (lambda state, command, request: Rejected("limit", "no"), r"write `raise Rejected\(...\)`"),
        (lambda state, command, request: "tea", r"got 'tea'; write `return \[...\]` with the events"),
        (lambda state, command, request: {"tea": Counted("tea")}, r"write `return \[...\]` with the events"),
        (counted_in_vain, r"from counted_in_vain, got <generator .*; write `return \[...\]` instead of `yield`"),
        (counted_later, r"from counted_later, got <coroutine .*; write `def` instead of `async def`"),
        (lambda state, command, request: ["tea"], r"Expected an event that Counter.apply knows .* got 'tea'"),
    ],
)
def test_a_handler_that_returns_no_list_of_events_is_told_what_to_write(
    handler: Any, message: str, clock: ManualClock
) -> None:
    """In a service and in a specification; nothing is written."""
    store = open_store("memory:")
    with pytest.raises(InvalidInput, match=message):
        AggregateService(store, Counter, handler, clock).send("ann", "counter:1", Count("tea"), at())
    assert everything(store) == {}
    if "apply knows" not in message:
        with pytest.raises(InvalidInput, match=message):
            specification(Counter).when(handler, Count("tea"))


def test_a_tuple_of_events_will_do(clock: ManualClock) -> None:
    """Any sequence of events is one."""
    service = AggregateService(open_store("memory:"), Counter, lambda *_: (Counted("tea"),), clock)
    assert send(service, Count("tea"), at()).events == [Counted("tea")]


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        (None, "Expected a handler, a function of state, command and request; got None"),
        (
            lambda state, command: [],
            r"Expected a handler <lambda>\(state, command, request\), got <lambda>\(state, command\)",
        ),
    ],
)
def test_a_handler_that_cannot_be_called_is_refused_at_once(handler: Any, message: str, clock: ManualClock) -> None:
    """When the service is made, not when the first command comes."""
    with pytest.raises(InvalidInput, match=message):
        AggregateService(open_store("memory:"), Counter, handler, clock)


@pytest.mark.parametrize("command", [Counted("tea"), Count, "tea", None])
def test_a_command_is_an_instance_of_a_command_class(service: Service, command: Any) -> None:
    """An event, a class, a text are refused before anything is read."""
    with pytest.raises(InvalidInput, match=r"Expected Command as command, got .*`class AddColor\(Command\)`"):
        service.send("ann", "counter:1", command, at())


def in_a_cell() -> tuple[Any, Any]:
    """An event and a command, as a cell of a notebook defines them: each run of the cell makes new classes."""

    class Seen(Event):
        what: str

    class See(Command):
        what: str

    return Seen, See


def test_a_class_that_was_defined_again_is_named(clock: ManualClock) -> None:
    """The message says which cells to run again, for an event as for a command."""
    (seen, see), (seen_again, see_again) = in_a_cell(), in_a_cell()

    class Sight(Aggregate):
        whats: set[str] = set()

        def apply(self, event: seen) -> None:  # type: ignore[valid-type]
            self.whats.add(event.what)  # type: ignore[attr-defined]

    def look(sight: Sight, command: see, request: Request) -> list[Event]:  # type: ignore[valid-type]
        return [seen_again("sea")]

    service = AggregateService(open_store("memory:"), Sight, look, clock)
    with pytest.raises(
        InvalidInput, match=r"knows \(Seen\), got Seen\(.* The class Seen was defined again after Sight: run"
    ):
        service.send("ann", "sight:1", see("sea"), at())
    with pytest.raises(InvalidInput, match=r"class See that look names, got one that was defined again. Run the cell"):
        service.send("ann", "sight:1", see_again("sea"), at(1))


def test_apply_changes_the_state_and_returns_nothing(clock: ManualClock) -> None:
    """A state that it returns would be lost."""

    class Functional(Aggregate):
        counts: int = 0

        def apply(self, event: Counted) -> Any:
            return Functional(self.counts + event.amount)

    service = AggregateService(store := open_store("memory:"), Functional, handle_all, clock)
    with pytest.raises(
        InvalidInput, match=r"Expected Functional.apply to change the state and return nothing, got Func"
    ):
        service.send("ann", "functional:1", Count("tea"), at())
    assert everything(store) == {}


def handle_all(state: Any, command: Count, request: Request) -> list[Event]:
    """Grants everything."""
    return [Counted(command.what)]
