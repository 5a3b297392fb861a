"""A client sends its wish until there is an answer, repeats only what is safe to repeat, and tells what it tried."""

from collections.abc import Callable
from datetime import timedelta
from random import Random
from threading import Event as Signal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eslab import (
    AggregateService,
    EventStore,
    InvalidInput,
    ManualClock,
    OutcomeUnknown,
    OutOfTime,
    Rejected,
    Request,
    RequestConflict,
    StoreUnavailable,
    open_store,
)
from eslab.domains.downloads.drm import LocalSigner
from eslab.domains.downloads.keys import lab_key
from eslab.domains.downloads.outcome import Granted
from eslab.faults import (
    STRATEGIES,
    Budget,
    Client,
    Delay,
    Duplicate,
    Faulty,
    FaultyDrm,
    Hold,
    Line,
    LoseReply,
    LoseRequest,
    Outcome,
    Refuse,
    Retry,
    Script,
    in_a_thread,
    new_request,
    new_time,
    same_request,
)
from eslab.faults.client import Requests
from eslab.faults.kinds import Fault
from eslab.faults.storm import recorded
from tests.domains.downloads.support import service as downloads_service
from tests.support.sample import DAY, HOUR, MINUTE, START, Count, Counter, at, handle

SECOND = timedelta(seconds=1)


class SetWrong:
    """A clock that is wrong by so much, and moves with the right one."""

    def __init__(self, clock: ManualClock, by: timedelta) -> None:
        self.clock, self.by = clock, by

    def __call__(self) -> Any:
        return self.clock() + self.by

    def advance(self, by: timedelta) -> None:
        self.clock.advance(by)


class Shop:
    """A counter's service behind a store that fails, and a client of it."""

    def __init__(
        self,
        requests: Requests = same_request,
        wrong: timedelta = timedelta(),
        retry: Retry | None = None,
        **script: Any,
    ) -> None:
        self.clock = ManualClock(START)
        self.store = Faulty(open_store("memory:"), Script(**script), self.clock, timeout=SECOND)
        self.service = AggregateService(self.store, Counter, handle, self.clock)
        self.client = Client(SetWrong(self.clock, wrong), Random(7), requests, retry or Retry(timeout=MINUTE))

    def count(self, amount: int = 1, request: Request | None = None) -> Outcome:
        return self.client.send(self.service.send, "ann", "counter:1", Count("a", amount), request=request)

    @property
    def rows(self) -> int:
        self.store.line.deliver()
        return len(recorded(self.store.store))


def answers(*told: Any) -> Callable[[Request], Any]:
    """A service that answers in a script; what it is told to raise, it raises."""
    left = list(told)

    def send(request: Request) -> Any:
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return send


def client(clock: ManualClock | None = None, retry: Retry | None = None, **settings: Any) -> Client:
    return Client(clock or ManualClock(START), Random(7), retry=retry, **settings)


# The right way, and two wrong ones


@pytest.mark.parametrize("fault", [LoseRequest(), LoseReply(), Hold(1), Hold(2), Refuse()], ids=str)
def test_G3_a_client_that_keeps_its_request_counts_once(fault: Fault) -> None:
    """Whatever happened to the first attempt, and though the client can't know what it was."""
    shop = Shop(append=[fault])
    outcome = shop.count()
    assert outcome.acknowledged and len(outcome.attempts) == 2
    assert len({attempt.request for attempt in outcome.attempts}) == 1
    assert shop.rows == 1


@pytest.mark.parametrize("requests", [new_request, new_time])
@pytest.mark.parametrize(
    ("fault", "rows"), [(LoseRequest(), 1), (LoseReply(), 2), (Hold(1), 2), (Refuse(), 1)], ids=str
)
def test_G3_a_client_that_makes_another_request_counts_what_was_written_unheard(
    requests: Requests, fault: Fault, rows: int
) -> None:
    """The service can't know that both are one wish: no promise is broken, and the count is wrong."""
    shop = Shop(requests, append=[fault])
    assert shop.count().acknowledged
    assert shop.rows == rows


def test_a_new_time_keeps_the_random_part_and_is_another_request() -> None:
    """Except within one millisecond."""
    clock, random = ManualClock(START), Random(7)
    first = new_time(None, clock, random)
    assert new_time(first, clock, random) == first
    clock.advance(timedelta(milliseconds=1))
    second = new_time(first, clock, random)
    assert (second.id != first.id, second.time) == (True, clock())
    assert second.id.int & (1 << 80) - 1 == first.id.int & (1 << 80) - 1


def test_a_wish_goes_on_with_its_request_after_the_client_gave_up() -> None:
    """Another process, or the same one later, is answered as if it had never stopped."""
    shop = Shop(append=[LoseReply()], retry=Retry(attempts=1))
    first = shop.count()
    assert first.unknown and first.answer is None
    with pytest.raises(OutcomeUnknown):
        first.result()
    second = shop.count(request=first.request)
    assert second.result().repeated and shop.rows == 1


def test_a_request_that_was_given_is_kept_by_a_client_that_makes_new_ones() -> None:
    """For its first attempt; after that it does what it always does."""
    shop = Shop(new_request, append=[LoseReply()])
    given = at(0, "given")
    outcome = shop.count(request=given)
    assert [attempt.request == given for attempt in outcome.attempts] == [True, False]


# What is repeated


@pytest.mark.parametrize(
    "error",
    [OutcomeUnknown("?"), StoreUnavailable("no"), TimeoutError("late"), ConnectionResetError("reset")],
    ids=repr,
)
def test_what_nobody_knows_is_sent_again(error: Exception) -> None:
    """A store that is unavailable to a read may have been available to the write before it."""
    outcome = client().send(answers(error, error, "yes"))
    assert (outcome.result(), len(outcome.attempts), outcome.unknown) == ("yes", 3, False)


@pytest.mark.parametrize(
    "error", [RequestConflict("another command"), InvalidInput("Expected an id."), OutOfTime("late", START)], ids=repr
)
def test_an_error_that_says_more_ends_the_attempts(error: Exception) -> None:
    """Sending it again would say the same. The error is kept, and raised by whoever asks for the result."""
    outcome = client().send(answers(error, "never asked"), request=at(0))
    assert (outcome.error, len(outcome.attempts), outcome.acknowledged, outcome.unknown) == (error, 1, False, False)
    with pytest.raises(type(error)):
        outcome.result()


def test_G7_a_rejection_is_an_answer() -> None:
    """The rule does not change by asking again."""
    shop = Shop()
    outcome = shop.count(amount=1000)
    assert isinstance(outcome.result(), Rejected)
    assert (len(outcome.attempts), outcome.acknowledged, shop.rows) == (1, False, 0)


def test_a_mistake_in_the_program_is_raised() -> None:
    """It says nothing about the wish."""
    with pytest.raises(KeyError):
        client().send(answers(KeyError("a bug")))


# The time of the service


@pytest.mark.parametrize("wrong", [5 * MINUTE, -25 * HOUR], ids=str)
def test_a_client_whose_clock_is_wrong_sets_it_and_asks_once_more(wrong: timedelta) -> None:
    """Nothing was written under the first request, so a new one is the same wish; the next wish is right at once."""
    shop = Shop(wrong=wrong)
    outcome = shop.count()
    assert [type(attempt.error) for attempt in outcome.attempts] == [OutOfTime, type(None)]
    assert (outcome.acknowledged, shop.rows, shop.client.time()) == (True, 1, shop.clock())
    assert len(shop.count().attempts) == 1


def test_a_clock_is_set_but_nothing_is_asked_again_beyond_the_limits() -> None:
    """Neither above the number of attempts nor after the deadline."""
    one = Shop(wrong=-25 * HOUR, retry=Retry(attempts=1))
    late = Shop(wrong=-25 * HOUR, retry=Retry(timeout=MINUTE, deadline=2 * SECOND), read=[Delay(3 * SECOND)])
    late.store.line.timeout = MINUTE
    for shop in (one, late):
        assert (len(shop.count().attempts), shop.rows, shop.client.time()) == (1, 0, shop.clock())


@pytest.mark.parametrize("given", [False, True])
def test_G3_a_request_that_is_a_little_too_early_is_sent_again_when_its_time_has_come(given: bool) -> None:
    """Under the same id: a copy of the first attempt may come when it is on time."""
    shop = Shop(wrong=70 * SECOND)
    request = at(70 / 60, "early") if given else None
    outcome = shop.count(request=request)
    assert [type(attempt.error) for attempt in outcome.attempts] == [OutOfTime, type(None)]
    assert len({attempt.request for attempt in outcome.attempts}) == shop.rows == 1
    assert shop.clock() - START == 10 * SECOND


@pytest.mark.parametrize(
    ("wrong", "attempts"),
    [(90.5, 1), (119.5, 1), (120.5, 2), (-86_420, 1), (-86_429, 1), (-86_431, 2)],
)
def test_G3_no_new_request_is_made_if_another_service_might_accept_the_first(wrong: float, attempts: int) -> None:
    """Their clocks differ by up to 30 s, and a copy may be under way until the deadline: it ends as out of time."""
    shop = Shop(wrong=wrong * SECOND)
    outcome = shop.count()
    assert (len(outcome.attempts), shop.rows) == (attempts, attempts - 1)
    assert outcome.acknowledged == (attempts == 2) and not outcome.unknown


def test_G3_no_new_request_is_made_while_the_first_one_may_have_been_written() -> None:
    """A late request whose write is still under way is out of time when it is repeated: the outcome stays unknown.

    A new request would count the wish a second time, when the write arrives.
    """
    shop = Shop(wrong=-(DAY - 0.5 * SECOND), append=[Hold(behind=9)])
    outcome = shop.count()
    assert [type(attempt.error) for attempt in outcome.attempts] == [OutcomeUnknown, OutOfTime]
    assert (outcome.unknown, outcome.acknowledged, shop.rows) == (True, False, 1)
    assert shop.count(request=outcome.request).result().repeated


FAULTS = st.lists(st.sampled_from([None, LoseRequest(), LoseReply(), Hold(1), Hold(3), Duplicate(2)]), max_size=6)
WRONG = [timedelta(), 61 * SECOND, 5 * MINUTE, -25 * HOUR, *(-(DAY - SECOND * wait / 10) for wait in (1, 5, 15, 25))]


@given(FAULTS, FAULTS, FAULTS, st.sampled_from(WRONG))
def test_G3_whatever_the_clock_and_the_network_do_a_wish_counts_at_most_once(
    send: list[Any], read: list[Any], append: list[Any], wrong: timedelta
) -> None:
    """And once if it was acknowledged."""
    shop = Shop(wrong=wrong, read=read, append=append)
    line = Line(Script(send=send), shop.clock, timeout=2 * SECOND)
    outcome = shop.client.send(line.over(shop.service.send), "ann", "counter:1", Count("a"))
    line.deliver()
    assert outcome.acknowledged <= shop.rows <= 1


def test_G3_no_new_request_is_made_for_a_wish_that_was_begun_before() -> None:
    """Nobody here knows what happened to it then; the clock is set all the same."""
    shop = Shop(wrong=5 * MINUTE)
    outcome = shop.count(request=at(-2 * 24 * 60))
    assert (len(outcome.attempts), shop.rows, shop.client.time()) == (1, 0, shop.clock())
    assert isinstance(outcome.error, OutOfTime)


def test_a_service_that_refuses_every_time_is_not_asked_for_ever() -> None:
    """Once more, and then its error is the answer."""
    outcome = client().send(answers(OutOfTime("no", START + 2 * DAY), OutOfTime("no", START + 4 * DAY)))
    assert len(outcome.attempts) == 2 and isinstance(outcome.error, OutOfTime) and not outcome.unknown


# Patience


def failing(retry: Retry, **settings: Any) -> Outcome:
    """A wish that is never answered."""
    return client(retry=retry, **settings).send(answers(*[OutcomeUnknown("?")] * 99))


def test_pauses_are_drawn_from_a_range_that_doubles_up_to_the_longest() -> None:
    """Full jitter: all of the range, from 0 on."""
    retry = Retry(attempts=99, deadline=DAY, pause=SECOND, longest_pause=5 * SECOND)
    for number, most in (1, 1), (2, 2), (3, 4), (4, 5), (50, 5), (10_000, 5):
        pauses = [retry.pause_after(number, Random(seed)).total_seconds() for seed in range(500)]
        assert 0 <= min(pauses) < 0.05 * most and 0.95 * most < max(pauses) <= most


def test_a_client_stops_after_so_many_attempts() -> None:
    """And says why, and what it tried."""
    outcome = failing(Retry(attempts=3))
    assert (len(outcome.attempts), outcome.gave_up, outcome.unknown) == (3, "3 attempts are the limit", True)
    heading, *attempts = repr(outcome).splitlines()
    assert heading.startswith("Unknown after 3 attempts in 0.") and heading.endswith(": 3 attempts are the limit")
    assert attempts[0].startswith(f"    09:00:00.000 request {outcome.request.id}: ")
    assert "OutcomeUnknown; then a pause of 0.0" in attempts[0] and attempts[2].endswith(": OutcomeUnknown")


def test_no_attempt_is_begun_after_the_deadline() -> None:
    """Nor is a pause, if it would end behind it."""
    clock = ManualClock(START)
    retry = Retry(attempts=1000, deadline=10 * SECOND, pause=SECOND, longest_pause=SECOND)
    outcome = client(clock, retry, budget=Budget(10_000)).send(answers(*[OutcomeUnknown("?")] * 999))
    assert outcome.gave_up == "the deadline of 10 s is near"
    assert 9 * SECOND < outcome.attempts[-1].ended - START <= 10 * SECOND
    assert clock() == outcome.attempts[-1].ended


def test_a_budget_that_is_used_up_leaves_the_first_attempts() -> None:
    """gRPC's rule: ten tokens, one for each failure; none is repeated while five or fewer are left."""
    budget = Budget()
    attempts = [len(failing(Retry(attempts=3), budget=budget).attempts) for _ in range(4)]
    assert attempts == [3, 2, 1, 1]
    assert failing(Retry(), budget=budget).gave_up == "the budget for retries is used up: Budget(2 of 10 tokens)"


def test_answers_fill_the_budget_again() -> None:
    """A tenth of a token each, and never above the first number."""
    budget = Budget()
    for _ in range(100):
        client(budget=budget).send(answers("yes"))
    assert budget.tokens == 10
    failing(Retry(attempts=99, deadline=DAY), budget=budget)
    assert budget.tokens == 5
    for _ in range(11):
        client(budget=budget).send(answers("yes"))
    assert len(failing(Retry(attempts=9), budget=budget).attempts) == 2


@pytest.mark.parametrize("wrong", [{"attempts": 0}, {"timeout": -SECOND}, {"deadline": -SECOND}], ids=str)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    """Named, with their value."""
    with pytest.raises(InvalidInput, match=r"Expected .*, got (0|-1 day, 23:59:59)\."):
        Retry(**wrong)
    with pytest.raises(InvalidInput, match="Expected tokens above 0"):
        Budget(0)


def test_an_answer_after_the_timeout_is_none() -> None:
    """On a virtual clock, which moves only within the call."""
    clock = ManualClock(START)
    slow = iter([2 * SECOND, SECOND])

    def send(request: Request) -> str:
        clock.advance(next(slow))
        return "yes"

    outcome = client(clock, Retry(timeout=SECOND)).send(send)
    assert [type(attempt.error) for attempt in outcome.attempts] == [TimeoutError, type(None)]


def test_in_a_thread_a_client_really_stops_waiting() -> None:
    """What it called goes on; its answer and its error are passed on if they come in time."""
    go_on, ended = Signal(), Signal()

    def send(request: Request) -> str:
        go_on.wait(60)
        ended.set()
        return "yes"

    retry = Retry(attempts=1, timeout=timedelta(milliseconds=10))
    assert client(retry=retry, within=in_a_thread).send(send).unknown
    go_on.set()
    assert ended.wait(60)
    patient = client(retry=Retry(timeout=MINUTE), within=in_a_thread)
    assert patient.send(send).result() == "yes"
    assert isinstance(patient.send(answers(RequestConflict("no"))).error, RequestConflict)


# Downloads, whose answer may lack its token


def unsigned(answer: Any) -> bool:
    return isinstance(answer, Granted) and answer.token is None


@pytest.mark.parametrize(("strategy", "used"), [("same request", 1), ("new request", 3)])
def test_a_licence_that_could_not_be_signed_is_asked_for_again(strategy: str, used: int) -> None:
    """By the same request: no message was lost, and another one would use up a download for each attempt."""
    clock = ManualClock(START)
    signer = FaultyDrm(LocalSigner([lab_key(7)]), Script(sign=[Refuse(), LoseReply()]), clock)
    store: EventStore = open_store("memory:")
    downloads = downloads_service(store, clock, drm=signer)
    device = Client(clock, Random(7), STRATEGIES[strategy], Retry(timeout=MINUTE, deadline=HOUR), unfinished=unsigned)
    outcome = device.send(downloads.request_download, "ann", "phone", "glow", plan="standard", country="DE")
    answer = outcome.result()
    assert (answer.token is not None, answer.used, len(outcome.attempts)) == (True, used, 3)


def test_an_answer_that_stays_unfinished_is_returned_as_it_is() -> None:
    """With the reason for giving up."""
    outcome = client(retry=Retry(attempts=2), unfinished=lambda answer: True).send(answers("half", "half"))
    assert (outcome.result(), outcome.acknowledged, outcome.gave_up) == ("half", True, "2 attempts are the limit")


def test_an_outcome_is_shown_as_a_table() -> None:
    """One row for each attempt, for notebooks."""
    html = client().send(answers(OutcomeUnknown("<?>"), "yes"))._repr_html_()
    assert html.count("<tr>") == 2 and "✓ Answered after 2 attempts" in html
