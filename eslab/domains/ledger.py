"""The bank ledger: money comes and goes, and once a year the books are closed.

    ids        account:KEY, within a customer
    events     Deposited, Withdrawn, Reversed
    commands   Deposit, Withdraw, Reverse
    aggregate  Account
    handler    handle, a pure function
    service    open_bank; beside it close_year and reconcile

An account is a sum, so `apply` commutes and never refuses. The rule, no overdraft, is the handler's, on the balance
that it sees. Parted regions see only their own bookings: n of them can spend the balance B of before n times, which
leaves -(n - 1) * B and never less. `reconcile` finds that, and returns the newest debits that are not covered. A late
withdrawal is decided on the balance at its arrival, so the balance as of a moment before that may be below zero too.

**A year-end closing is a snapshot, not an event.** Nobody decides anything in it: the balance follows from the
bookings. An event with the balance would be a second truth in the same log, and a booking of 31 December that arrives
from another region would contradict it for ever. The snapshot claims nothing. It is built when no decision can be made
behind it any more, 26 hours after midnight (`fold_after`), and every balance is the same with or without it. A letter
that tells somebody the balance is another matter: it was sent, and that would be an event.

**A late booking** of the old year is accepted for 24 hours (`late`), while its books are open. After that it is
`OutOfTime` and nothing is written: book it into the new year, by a new request, with a text that names its day.
"""

import re
from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import UUID

from eslab import (
    Accepted,
    Aggregate,
    AggregateService,
    Clock,
    Command,
    Event,
    EventStore,
    Rejected,
    Repository,
    Request,
)
from eslab.aggregate import SnapshotPolicy, aggregate_id
from eslab.clock import MILLISECOND
from eslab.errors import InvalidInput, Unreadable
from eslab.operations.snapshots import build_snapshot
from eslab.store import StoredSnapshot

MOST = 10**12  # cents in one booking, so that the sum of nine million of them fits in 64 bits
CLOSINGS = SnapshotPolicy(every=1, keep=1000)  # one a year, and all of them are kept


# The names of events and fields are stored; rename a class only with tag= holding the old name.
class Deposited(Event):
    """Money came in: `cents` are the smallest unit of the currency."""

    currency: str
    cents: int
    text: str


class Withdrawn(Event):
    """Money went out."""

    currency: str
    cents: int
    text: str


class Reversed(Event):
    """A withdrawal was returned; currency and cents are those of the booking, which is named by its request."""

    booking: UUID
    currency: str
    cents: int


class Deposit(Command):
    """Put money into the account."""

    currency: str
    cents: int
    text: str = ""


class Withdraw(Command):
    """Take money out of the account, which must cover it."""

    currency: str
    cents: int
    text: str = ""


class Reverse(Command):
    """Return a withdrawal of an overdrawn account; only `reconcile`, which has read the booking, sends this."""

    booking: UUID
    currency: str
    cents: int


class Account(Aggregate):
    """The balance of an account, however many bookings it adds up. Its only snapshots are closings, by `close_year`."""

    snapshot_policy = None
    # No set of all bookings: the key of their rows, not the state, keeps repeats from counting twice.
    cents: dict[str, int] = {}  # by currency
    reversed: set[UUID] = set()  # two regions may return the same withdrawal, under different requests

    def apply(self, event: Deposited | Withdrawn | Reversed) -> None:
        match event:
            case Deposited():
                self._add(event.currency, event.cents)
            case Withdrawn():
                self._add(event.currency, -event.cents)
            case Reversed() if event.booking not in self.reversed:
                self.reversed.add(event.booking)
                self._add(event.currency, event.cents)

    def balance(self, currency: str) -> int:
        """The cents that the account holds in a currency; below zero if regions overdrew it together."""
        return self.cents.get(currency, 0)

    def _add(self, currency: str, cents: int) -> None:
        """Add to the sum of a currency."""
        self.cents[currency] = self.cents.get(currency, 0) + cents


def handle(
    account: Account, command: Deposit | Withdraw | Reverse, request: Request
) -> list[Deposited | Withdrawn | Reversed]:
    """Decide which booking fulfils the command, given the balance; raises `Rejected` if a rule forbids it."""
    match command:
        case Deposit(currency, cents, text):
            _check_money(currency, cents)
            return [Deposited(currency, cents, text)]
        case Withdraw(currency, cents, text):
            _check_money(currency, cents)
            if cents > account.balance(currency):
                held = account.balance(currency)
                raise Rejected("funds", f"the account does not hold that much {currency}", limit=held, count=cents)
            return [Withdrawn(currency, cents, text)]
        case Reverse(booking, currency, cents):
            if booking in account.reversed:
                return []
            if account.balance(currency) >= 0:
                raise Rejected("overdrawn", f"the account is not overdrawn in {currency}, so nothing is returned")
            return [Reversed(booking, currency, cents)]
    raise InvalidInput(f"Expected Deposit, Withdraw or Reverse, got {command!r}.")


def _check_money(currency: str, cents: int) -> None:
    if not re.fullmatch("[A-Z]{3}", currency):
        raise Rejected("currency", f"a currency has a code such as EUR, not {currency!r}")
    if not 0 < cents <= MOST:
        raise Rejected("amount", "an amount is above zero and within the limit", limit=MOST, count=cents)


def open_bank(store: EventStore, clock: Clock) -> AggregateService[Account]:
    """Open the bank's service on a store."""
    return AggregateService(store, Account, handle, clock)


def close_year(repository: Repository, customer: str, key: str, year: int) -> StoredSnapshot | None:
    """Keep an account's state at the end of a year in UTC: `Repository.load(..., as_of=...)` begins from it.

    Idempotent; None if nothing was booked since the closing before. Raises `InvalidInput` while the year's books are
    open.
    """
    end = datetime(year + 1, 1, 1, tzinfo=UTC) - MILLISECOND
    return build_snapshot(repository, customer, Account, key, CLOSINGS, as_of=end)


def reconcile(bank: AggregateService[Account], customer: str) -> list[Reversed]:
    """Return the newest withdrawals that overdrawn accounts of a customer do not cover, as banks return debits.

    Idempotent. Which they are follows from the rows alone, so regions with the same rows return the same. Reads all
    accounts, and the whole history of an overdrawn one; one append for each withdrawal. Raises `Unreadable` if a row
    was skipped: a lost deposit would make a covered withdrawal one too many.
    """
    reversals: list[Reversed] = []
    for key, account in bank.repository.load_all(customer, Account).items():
        if account.skipped_rows:
            raise Unreadable(
                f"Expected all bookings of customer {customer!r}, found skipped rows in {account!r}. Restore the rows: "
                "docs/troubleshooting.md.",
                customer_id=customer,
            )
        for currency in account.cents:
            reversals += _return(bank, customer, key, _uncovered(bank.repository, customer, key, account, currency))
    return reversals


def _uncovered(repository: Repository, customer: str, key: str, account: Account, currency: str) -> Iterable[Reverse]:
    """The newest withdrawals that add up to what the account lacks, newest first; none if it is not overdrawn."""
    lacking = -account.balance(currency)
    newest: deque[Reverse] = deque()
    if lacking <= 0:
        return newest
    id = aggregate_id((Account, key))
    hydrator = repository.hydrator(customer, {id: Account})
    for commit in repository.store.rows(customer, id):
        booking = Request.from_event_time(commit.event_time).id
        for event in hydrator.events_of(commit):
            if isinstance(event, Withdrawn) and event.currency == currency and booking not in account.reversed:
                newest.append(Reverse(booking, currency, event.cents))
                lacking -= event.cents
        while newest and lacking + newest[0].cents <= 0:
            lacking += newest.popleft().cents
    return reversed(newest)


def _return(bank: AggregateService[Account], customer: str, key: str, reversals: Iterable[Reverse]) -> list[Reversed]:
    """Send these reversals; one that a new deposit covers meanwhile is rejected, and nothing is written for it."""
    events: list[Reversed] = []
    for command in reversals:
        request = Request.at(bank.repository.clock(), f"reverse:{command.booking}")
        answer = bank.send(customer, aggregate_id((Account, key)), command, request)
        if isinstance(answer, Accepted):
            events += [event for event in answer.events if isinstance(event, Reversed)]
    return events
