"""The walk visits every customer once, and after a crash it resumes at its checkpoint."""

from collections.abc import Callable, Generator
from typing import Any

import pytest

from eslab import EventStore, StoreUnavailable, Unreadable, open_store
from eslab.operations.walk import CUSTOMERS_PER_CHECKPOINT, Checkpoint, load_checkpoint, save_checkpoint, walk
from eslab.store import Consistency
from tests.support.sample import START, Counted, Faulty, at, commits

NAME = "count"
CUSTOMERS = [f"customer {number:03}" for number in range(2 * CUSTOMERS_PER_CHECKPOINT + 20)]
BEGAN = Checkpoint(began=START)


@pytest.fixture
def store() -> EventStore:
    """A store in memory with 120 customers."""
    store = open_store("memory:")
    for customer in CUSTOMERS:
        store.append(customer, commits(at(), {"counter:1": [Counted("tea")]}))
    return store


class FaultyCustomers(Faulty):
    """A faulty store whose list of customers fails too."""

    def customers(self, after: str, consistency: Consistency) -> Generator[str, None, None]:
        self._call("customers", consistency)
        return self.store.customers(after, consistency)


def failing_at(customer: str, visited: list[str]) -> Callable[[str], int]:
    """Work that notes whom it visited, and fails at one customer."""

    def work(visiting: str) -> int:
        if visiting == customer:
            raise ZeroDivisionError(visiting)
        visited.append(visiting)
        return 2

    return work


def test_every_customer_is_visited_once_in_the_stores_order(store: EventStore) -> None:
    """The rows add up, and progress is reported after each customer."""
    visited: list[str] = []
    progress: list[int] = []
    walked = walk(store, NAME, BEGAN, failing_at("nobody", visited), progress.append)
    assert visited == CUSTOMERS == list(store.customers())
    assert walked == (len(CUSTOMERS), 2 * len(CUSTOMERS))
    assert progress == [2] * len(CUSTOMERS)


@pytest.mark.parametrize("finished", [0, 1, 49, 50, 51, 99, 100, 119])
def test_a_walk_that_failed_resumes_at_its_checkpoint(store: EventStore, finished: int) -> None:
    """It repeats at most fifty customers, misses none, and remembers when it began."""
    visited: list[str] = []
    with pytest.raises(ZeroDivisionError, match=CUSTOMERS[finished]):
        walk(store, NAME, BEGAN, failing_at(CUSTOMERS[finished], visited))
    checkpoint = load_checkpoint(store, NAME)
    done = finished - finished % CUSTOMERS_PER_CHECKPOINT
    assert checkpoint == Checkpoint(began=START, after=CUSTOMERS[done - 1] if done else "")
    again: list[str] = []
    assert walk(store, NAME, checkpoint, failing_at("nobody", again)).customers == len(CUSTOMERS) - done
    assert visited[:done] + again == CUSTOMERS


def test_a_failure_to_report_progress_keeps_the_checkpoint_behind(store: EventStore) -> None:
    """A checkpoint is saved only once the customer is done and reported."""

    def die(rows: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        walk(store, NAME, BEGAN, failing_at("nobody", []), die)
    assert load_checkpoint(store, NAME) == BEGAN


def test_problems_hold_up_nobody_and_are_kept_in_the_checkpoint(store: EventStore) -> None:
    """A walk that was interrupted behind them resumes behind them, and still names the first twenty at its end."""

    def work(customer: str) -> int:
        if int(customer[-3:]) < 30:
            raise Unreadable(f"{customer} is broken", customer_id=customer)
        if killed and customer == CUSTOMERS[70]:
            raise KeyboardInterrupt
        return 1

    killed = True
    with pytest.raises(KeyboardInterrupt):
        walk(store, NAME, BEGAN, work)
    checkpoint, killed = load_checkpoint(store, NAME), False
    assert (checkpoint.after, checkpoint.unnamed) == (CUSTOMERS[49], 10)
    with pytest.raises(Unreadable, match=r"30 rows can't be used. Written: 70 rows of 70 customers") as error:
        walk(store, NAME, checkpoint, work)
    assert error.value.customer_id == CUSTOMERS[0]
    assert str(error.value).endswith(f"{CUSTOMERS[19]} is broken\nand 10 more")
    assert load_checkpoint(store, NAME) == Checkpoint()


def test_a_walk_reads_its_customers_everywhere(store: EventStore) -> None:
    """While a region can't be reached, customers might be missing: nobody is visited."""
    faulty: Any = FaultyCustomers(store)
    faulty.refuse[Consistency.EVERYWHERE] = StoreUnavailable("Asia is away")
    visited: list[str] = []
    with pytest.raises(StoreUnavailable, match="Asia is away"):
        walk(faulty, NAME, BEGAN, failing_at("nobody", visited))
    assert visited == []


def test_walks_of_different_names_have_their_own_checkpoints(store: EventStore) -> None:
    """And a walk that never ran has an empty one."""
    complete = Checkpoint(complete=START)
    save_checkpoint(store, NAME, complete)
    assert load_checkpoint(store, NAME) == complete
    assert load_checkpoint(store, "another") == Checkpoint()


def test_checkpoints_keep_their_form() -> None:
    """As older code saved them, so that a walk in progress survives an upgrade."""
    store = open_store("memory:")
    stored = '{"complete":null,"began":"2026-03-01T12:00:00Z","after":"ann"}'
    store.set_checkpoint(NAME, stored)
    checkpoint = load_checkpoint(store, NAME)
    save_checkpoint(store, NAME, checkpoint)
    assert (checkpoint.after, store.checkpoint(NAME)) == ("ann", stored)
