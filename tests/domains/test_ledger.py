"""The bank ledger: bookings and their rules, closings that change no balance, and regions that overdraw together."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from eslab import (
    Accepted,
    EventStore,
    InvalidInput,
    ManualClock,
    OutOfTime,
    Rejected,
    Repository,
    Request,
    Unreadable,
    open_store,
)
from eslab.domains.coffees import CURRENCY, DEAREST, Coffees, fill
from eslab.domains.ledger import (
    MOST,
    Account,
    Deposit,
    Deposited,
    Reverse,
    Reversed,
    Withdraw,
    Withdrawn,
    close_year,
    handle,
    open_bank,
    reconcile,
)
from eslab.operations.history import history
from eslab.operations.restore import skip
from eslab.payload.encoding import encode
from eslab.request import latest_at
from eslab.testing import given
from tests.domains.downloads.support import folded, id_at, stored
from tests.support.sample import DAY, HOUR, MINUTE, START, at

TEN, THREE = Deposited("EUR", 1000, ""), Withdrawn("EUR", 300, "coffee")
A = "account:1"
FIRST, LAST = datetime(2016, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
DECADE = Coffees(count=2000, years=10, first=2016)

CURRENCIES, CENTS = st.sampled_from(["EUR", "JPY"]), st.integers(1, MOST)
EVENTS = st.one_of(
    st.builds(Deposited, CURRENCIES, CENTS, st.just("")),
    st.builds(Withdrawn, CURRENCIES, CENTS, st.just("")),
    # The amount follows from the booking, so a booking never has two reversals that differ.
    st.integers(0, 3).map(lambda day: Reversed(id_at(day), "EUR", 100 + day)),
)
# An arrival: the minutes that pass, the age of the request by then, the cents, positive if they come in.
ARRIVALS = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 1400), st.integers(-500, 500).filter(bool)))


def command(cents: int) -> Deposit | Withdraw:
    return Deposit("EUR", cents) if cents > 0 else Withdraw("EUR", -cents)


def test_a_deposit_is_booked() -> None:
    """With its currency, its cents and its text."""
    given(Account).when(handle, Deposit("EUR", 1000, "salary")).then(Deposited("EUR", 1000, "salary"))


@pytest.mark.parametrize("cents", [1, 699, 700])
def test_what_the_account_holds_can_be_withdrawn(cents: int) -> None:
    """To the last cent."""
    given(Account, TEN, THREE).when(handle, Withdraw("EUR", cents, "rent")).then(Withdrawn("EUR", cents, "rent"))


@pytest.mark.parametrize("given_events", [[TEN, THREE], [THREE, TEN]])
def test_G7_what_the_account_does_not_hold_is_rejected(given_events: list[Any]) -> None:
    """The rejection says what it holds and what was asked for."""
    given(Account, *given_events).when(handle, Withdraw("EUR", 701)).then_rejected("funds", limit=700, count=701)


def test_currencies_are_apart() -> None:
    """Euros don't pay yen."""
    given(Account, TEN).when(handle, Withdraw("JPY", 1)).then_rejected("funds", limit=0, count=1)


@pytest.mark.parametrize("wish", [Deposit, Withdraw])
@pytest.mark.parametrize("cents", [0, -1, MOST + 1])
def test_G7_an_amount_is_above_zero_and_within_the_limit(wish: type, cents: int) -> None:
    """A negative deposit would be a withdrawal that no rule sees."""
    given(Account, TEN).when(handle, wish("EUR", cents)).then_rejected("amount", limit=MOST, count=cents)


@pytest.mark.parametrize("currency", ["", "eur", "EURO", "€", "EU1", "EUR\n"])
def test_a_currency_has_a_code(currency: str) -> None:
    """Of three capital letters."""
    given(Account).when(handle, Deposit(currency, 1)).then_rejected("currency")


def test_money_is_never_a_float() -> None:
    """Not even one that is a whole number: nothing is written."""
    bank = open_bank(open_store("memory:"), ManualClock(START))
    with pytest.raises(InvalidInput, match="Expected `int`, got `float`"):
        bank.send("ann", A, Deposit("EUR", 5.0), at())  # pyright: ignore[reportArgumentType] - that is the point
    assert stored(bank.repository.store) == []


OVERDRAWN = [TEN, Withdrawn("EUR", 800, ""), Withdrawn("EUR", 800, "")]
BACK = Reversed(id_at(1), "EUR", 800)


def test_a_withdrawal_of_an_overdrawn_account_is_returned_once() -> None:
    """Two regions may do it, under different requests: the second needs no event."""
    given(Account, *OVERDRAWN).when(handle, Reverse(id_at(1), "EUR", 800)).then(BACK)
    given(Account, *OVERDRAWN, BACK, *OVERDRAWN[1:]).when(handle, Reverse(id_at(1), "EUR", 800)).then()


def test_a_withdrawal_that_is_covered_is_not_returned() -> None:
    """A deposit may have arrived since the account was found overdrawn."""
    given(Account, TEN, THREE).when(handle, Reverse(id_at(1), "EUR", 300)).then_rejected("overdrawn")
    given(Account).when(handle, Reverse(id_at(1), "EUR", 300)).then_rejected("overdrawn")


@forall(data=st.data())
def test_G4_any_order_of_the_same_events_is_the_same_account(data: st.DataObject) -> None:
    """To the last byte; a reversal counts once, also if it arrives before the withdrawal that it names."""
    events = data.draw(st.lists(EVENTS, max_size=12))
    again = [event for event in events if isinstance(event, Reversed)]
    other = data.draw(st.permutations([*events, *again]))
    assert encode(folded(Account, other)) == encode(folded(Account, events))


def test_the_state_does_not_grow_with_its_bookings() -> None:
    """So a snapshot is as small after a hundred years as after one; bookings are in the history alone."""
    for count in (1, 100, 10_000):
        assert len(encode(folded(Account, [booking.event for booking in Coffees(count)]))) < 32


def play(store: EventStore, arrivals: Sequence[tuple[int, int, int]], start: datetime = START) -> list[Any]:
    """Let commands arrive; the answer to each is compared with what a fresh reader sees."""
    clock, answers = ManualClock(start), []
    for number, (passed, age, cents) in enumerate(arrivals):
        clock.advance(passed * MINUTE)
        request = Request.at(clock.now - age * MINUTE, f"booking {number} from {start}")
        answer = open_bank(store, clock).send("ann", A, command(cents), request)
        if isinstance(answer, Accepted):
            assert encode(open_bank(store, clock).load("ann", A)) == encode(answer.state)
        answers.append((request, command(cents), answer))
    return answers


@forall(ARRIVALS)
def test_G3_the_next_hydration_shows_what_was_answered_and_repeats_change_nothing(arrivals: list[Any]) -> None:
    """However late requests arrive, and however often."""
    store = open_store("memory:")
    answers = play(store, arrivals)
    before, bank = stored(store), open_bank(store, ManualClock(START + 30 * DAY))
    for request, wish, answer in answers:
        if isinstance(answer, Accepted):
            again = bank.send("ann", A, wish, request)
            assert isinstance(again, Accepted) and again.repeated and again.events == answer.events
    assert stored(store) == before


@forall(ARRIVALS)
def test_no_account_is_overdrawn_where_decisions_do_not_overlap(arrivals: list[Any]) -> None:
    """At one bank, one command after the other, however late; and each of the rejected ones would have done it."""
    store = open_store("memory:")
    balance = 0
    for _, wish, answer in play(store, arrivals):
        cents = wish.cents if isinstance(wish, Deposit) else -wish.cents
        assert isinstance(answer, Rejected) == (balance + cents < 0)
        balance += 0 if isinstance(answer, Rejected) else cents
    bank = open_bank(store, ManualClock(START + 30 * DAY))
    assert bank.load("ann", A).balance("EUR") == balance >= 0
    assert reconcile(bank, "ann") == []


def booked(store: EventStore) -> Repository:
    """The bank of a decade of coffees, two days after its end."""
    fill(store, DECADE)
    return Repository(store, ManualClock(LAST + 2 * DAY))


def test_time_travel_begins_from_the_closing_before_that_day(store: EventStore) -> None:
    """The balance on 3 March 2019 adds up two months instead of three years, and is the same as without closings."""
    repository, day = booked(store), datetime(2019, 3, 3, 23, 59, 59, tzinfo=UTC)
    long = repository.hydrate("ann", Account, "coffees", as_of=day)
    for year in range(2016, 2026):
        assert close_year(repository, "ann", "coffees", year)
    short = repository.hydrate("ann", Account, "coffees", as_of=day)
    bookings = [booking for booking in DECADE if booking.request.time <= day]
    assert short.state == long.state == folded(Account, [booking.event for booking in bookings])
    assert short.base == latest_at(datetime(2018, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC))
    assert (long.base, long.tail, short.commits) == (None, len(bookings), len(bookings))
    assert short.tail == sum(booking.request.time.year == 2019 for booking in bookings)
    assert repository.hydrate("ann", Account, "coffees").tail == 0


@forall(st.lists(st.integers(2016, 2025), max_size=6), st.dates(date(2015, 12, 31), date(2026, 1, 1)))
def test_G5_closings_change_no_balance_on_any_day(years: list[int], day: date) -> None:
    """Closed in any order, some years twice and some never; on the last moment of any day, and on the first."""
    here, there = open_store("memory:"), open_store("memory:")
    closed, bare = booked(here), booked(there)
    for year in years:
        close_year(closed, "ann", "coffees", year)
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    for moment in (midnight, midnight - timedelta(milliseconds=1), None):
        found = closed.load("ann", Account, "coffees", as_of=moment)
        assert encode(found) == encode(bare.load("ann", Account, "coffees", as_of=moment))


def test_G5_a_year_is_closed_when_its_last_bookings_have_settled(store: EventStore) -> None:
    """26 hours after midnight; closing it again changes nothing, and a year without bookings needs no closing."""
    end = datetime(2024, 1, 1, tzinfo=UTC)  # a real Cassandra's own clock counts too, so all of this is past
    clock = ManualClock(end - HOUR)
    bank, repository = open_bank(store, clock), Repository(store, clock)
    bank.send("ann", A, Deposit("EUR", 1000), Request.at(clock.now, "salary"))
    clock.now = end + 26 * HOUR - timedelta(milliseconds=2)
    with pytest.raises(InvalidInput, match="may still be decided"):
        close_year(repository, "ann", "1", 2023)
    clock.advance(timedelta(milliseconds=1))
    built = close_year(repository, "ann", "1", 2023)
    assert built and repository.hydrate("ann", Account, "1").base == built.up_to
    assert close_year(repository, "ann", "1", 2023) is None
    clock.advance(400 * DAY)
    assert close_year(repository, "ann", "1", 2024) is None


def test_a_late_booking_is_accepted_for_a_day_and_then_belongs_to_the_new_year(store: EventStore) -> None:
    """While the books are open it counts in the old year. Then it is refused, closed or not, and booked anew."""
    clock = ManualClock(LAST + 24 * HOUR - 2 * MINUTE)
    bank, eve = open_bank(store, clock), LAST - MINUTE
    assert isinstance(bank.send("ann", A, Deposit("EUR", 1000), Request.at(eve, "salary")), Accepted)
    assert isinstance(bank.send("ann", A, Withdraw("EUR", 300), Request.at(eve, "a slow till")), Accepted)
    clock.advance(2 * MINUTE)
    slower = Withdraw("EUR", 200, "coffee of 31 December")
    with pytest.raises(OutOfTime):
        bank.send("ann", A, slower, Request.at(eve, "a slower till"))
    clock.advance(2 * HOUR)
    close_year(bank.repository, "ann", "1", 2025)
    assert isinstance(bank.send("ann", A, slower, Request.at(clock.now, "a slower till, late")), Accepted)
    assert bank.load("ann", A, as_of=LAST).balance("EUR") == 700
    assert bank.load("ann", A).balance("EUR") == 500


def test_a_statement_is_a_part_of_the_history(store: EventStore) -> None:
    """The bookings of a month add up to the difference of two balances."""
    repository = booked(store)
    begin, end = datetime(2019, 3, 1, tzinfo=UTC), datetime(2019, 4, 1, tzinfo=UTC)
    statement = history(repository, "ann", Account, "coffees", since=begin, until=end)
    signs = statement["event"].map({"Deposited": 1, "Withdrawn": -1})
    before, after = (
        repository.load("ann", Account, "coffees", as_of=moment - timedelta(milliseconds=1)) for moment in (begin, end)
    )
    assert len(statement) > 10 and set(statement["text"]) > {"top-up", "coffee, till 0"}
    assert (signs * statement["cents"]).sum() == after.balance("EUR") - before.balance("EUR")


class Region:
    """A store and a bank of its own."""

    def __init__(self, rows: Sequence[Any] = (), off: int = 0) -> None:
        self.store, self.clock = open_store("memory:"), ManualClock(START + off * MINUTE)
        self.store.append("ann", rows)
        self.bank = open_bank(self.store, self.clock)

    def send(self, cents: int, key: str) -> Any:
        return self.bank.send("ann", A, command(cents), Request.at(self.clock.advance(MINUTE), key))

    def account(self) -> Account:
        return self.bank.load("ann", A)


def meet(*regions: Region) -> None:
    """The links are up again: all rows reach every region."""
    rows = sorted({row for region in regions for row in stored(region.store)})
    for region in regions:
        region.store.append("ann", rows)


SPENDING = st.lists(st.tuples(st.integers(0, 2), st.integers(-500, 300).filter(bool)), max_size=15)


@forall(st.integers(1, 1000), SPENDING)
def test_parted_regions_overdraw_by_at_most_what_each_saw(held: int, spending: list[tuple[int, int]]) -> None:
    """Of n regions each may spend the balance of before; `reconcile` returns what isn't covered, in each the same."""
    before = Region()
    before.send(held, "salary")
    regions = [Region(stored(before.store), off) for off in range(3)]
    for number, (which, cents) in enumerate(spending):
        regions[which].send(cents, f"booking {number}")
    meet(*regions)
    balance = regions[0].account().balance("EUR")
    assert balance >= -(len(regions) - 1) * held
    returned = [reconcile(region.bank, "ann") for region in regions]
    assert returned[0] == returned[1] == returned[2] and bool(returned[0]) == (balance < 0)
    meet(*regions)  # each returned them under requests of its own
    assert encode(regions[0].account()) == encode(regions[2].account())
    back = sum(reversal.cents for reversal in returned[0])
    assert regions[0].account().balance("EUR") == balance + back >= 0
    assert balance + back < max((reversal.cents for reversal in returned[0]), default=held + 300 * 15 + 1)
    assert reconcile(regions[0].bank, "ann") == []


def test_G1_regions_that_overdraw_together(open_new: Any) -> None:
    """The newest withdrawals are returned, whole, until the account is covered; a repeat returns nothing."""
    here, there = open_new(), open_store("memory:")
    clock = ManualClock(START + HOUR)
    us, europe = open_bank(here, clock), open_bank(there, clock)
    us.send("ann", A, Deposit("EUR", 1000), at(0))
    there.append("ann", stored(here))
    for bank, minutes, cents in ((us, 1, 400), (europe, 2, 900), (us, 3, 100), (us, 4, 50)):
        assert isinstance(bank.send("ann", A, Withdraw("EUR", cents), at(minutes)), Accepted)
    here.append("ann", stored(there))
    assert us.load("ann", A).balance("EUR") == -450
    newest = [Reversed(at(minutes).id, "EUR", cents) for minutes, cents in ((4, 50), (3, 100), (2, 900))]
    assert reconcile(us, "ann") == newest
    assert us.load("ann", A).balance("EUR") == 600
    before = stored(here)
    assert reconcile(us, "ann") == [] and stored(here) == before
    # Europe, which has not heard of it, spends on. What was returned is not returned a second time.
    europe.send("ann", A, Withdraw("EUR", 100), at(0.5))
    us.send("ann", A, Withdraw("EUR", 600), at(0.6))
    here.append("ann", stored(there))
    assert reconcile(us, "ann") == [Reversed(at(1).id, "EUR", 400)]


def test_G8_nothing_is_returned_over_a_skipped_row(store: EventStore) -> None:
    """A lost deposit would make a covered withdrawal one too many."""
    bank = open_bank(store, ManualClock(START + MINUTE))
    bank.send("ann", A, Deposit("EUR", 1000), at(0))
    bank.send("ann", A, Withdraw("EUR", 800), at(1))
    deposit = stored(store)[0]
    store.replace("ann", deposit._replace(payload=b"broken"), deposit.payload)
    skip(store, "ann", A, deposit.event_time, "the disk lost it", clock=bank.repository.clock)
    with pytest.raises(Unreadable, match="Expected all bookings of customer 'ann', found skipped rows"):
        reconcile(bank, "ann")


@pytest.mark.parametrize("coffees", [DECADE, Coffees(7), Coffees(0), Coffees(20_000, years=1, first=2016, seed=1)])
def test_the_coffees_are_as_many_as_they_say_and_always_paid(coffees: Coffees) -> None:
    """In order, spread over all of the years, each a request of its own, and the account is never overdrawn."""
    bookings, held = list(coffees), 0
    assert len(bookings) == len(coffees) == len({booking.request for booking in bookings})
    assert bookings == sorted(bookings, key=lambda booking: booking.request.time)
    for booking in bookings:
        held += booking.event.cents if isinstance(booking.event, Deposited) else -booking.event.cents
        assert held >= 0
    if len(coffees) > 100:
        assert {booking.request.time.year for booking in bookings} == {
            *range(coffees.first, coffees.first + coffees.years)
        }
    assert str(Coffees()) == "1,000,000 bookings from 1970 to 2069, seed 7"


def test_each_coffee_is_what_the_bank_would_have_decided() -> None:
    """The events that are written in bulk are those of the handler, on the balance of before."""
    account = Account()
    for booking in Coffees(500, years=1):
        assert handle(account, booking.command, booking.request) == [booking.event]
        account.apply(booking.event)
    assert account.balance(CURRENCY) < 30 * 2 * DEAREST + DEAREST


def test_G10_the_same_seed_writes_the_same_rows(store: EventStore) -> None:
    """Wherever and however often; another seed writes others. Each batch is reported."""
    there, reported = open_store("memory:"), list[int]()
    assert fill(store, DECADE, on_progress=reported.append) == fill(there, DECADE) == fill(store, DECADE) == 2000
    assert stored(store) == stored(there) and len(stored(store)) == sum(reported) == 2000 and len(reported) == 5
    assert [*Coffees(50, seed=8)] != [*Coffees(50)] == [*Coffees(50)]


@pytest.mark.parametrize("wrong", [{"count": -1}, {"years": 0}])
def test_coffees_that_can_not_be_are_refused(wrong: dict[str, int]) -> None:
    """Before anything is written."""
    with pytest.raises(InvalidInput, match="Expected a count of 0 or more over 1 year or more"):
        Coffees(**wrong)
