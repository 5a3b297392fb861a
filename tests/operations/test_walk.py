"""The walk visits every customer once, and after a crash it resumes at its checkpoint."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from concurrent.futures import Executor, Future
from contextlib import closing, suppress
from functools import partial
from itertools import chain, repeat
from pathlib import Path
from subprocess import PIPE
from threading import Barrier, current_thread, main_thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eslab import EventStore, InvalidInput, ManualClock, StoreUnavailable, Unreadable, open_store
from eslab.operations import parallel
from eslab.operations import walk as walking
from eslab.operations.walk import (
    CUSTOMERS_PER_CHECKPOINT,
    Checkpoint,
    load_checkpoint,
    save_checkpoint,
    silent,
    unusable,
    walk,
    walk_or_visit,
)
from eslab.store import Consistency
from tests.support.sample import ROOT, START, Counted, Faulty, at, commits, new_url

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


# In several threads


class Killed(BaseException):
    """The end of the process, which no code may catch."""


class AnyOrder(Executor):
    """A pool in which as many items as there are threads are in progress, and end in the order that is drawn."""

    def __init__(self, draw: Callable[[Any], Any], jobs: int) -> None:
        self.draw, self.jobs = draw, jobs
        self.waiting: list[tuple[Future[Any], Callable[[], Any]]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Begin the work; perhaps something ends meanwhile."""
        future: Future[Any] = Future()
        self.waiting.append((future, partial(fn, *args, **kwargs)))
        if self.draw(st.booleans()):
            self.end_one()
        future.result = partial(self.result, future)  # type: ignore[method-assign]
        return future

    def end_one(self) -> None:
        """End the work on one of the items in progress."""
        future, work = self.waiting.pop(self.draw(st.integers(0, min(self.jobs, len(self.waiting)) - 1)))
        try:
            future.set_result(work())
        except Exception as error:
            future.set_exception(error)

    def result(self, future: "Future[Any]") -> Any:
        """Wait: others end before it, or don't."""
        while not future.done():
            self.end_one()
        return Future.result(future)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Begin nothing else; nothing is in progress between two ends."""
        assert cancel_futures
        self.waiting.clear()


class Mortal(Faulty):
    """A store that dies at a step: before a customer's work, in the middle of it, or before or after a checkpoint."""

    def __init__(self, store: EventStore, customers: list[str], broken: set[str], away: set[str]) -> None:
        super().__init__(store)
        self.order, self.broken, self.away = customers, broken, away  # away: at their first visit
        self.steps = 0
        self.done: set[str] = set()

    def walk(self, jobs: int, steps: int) -> list[str]:
        """Walk until death, or to the end; gives what is named there."""
        self.steps = steps
        try:
            store: Any = self
            walk_or_visit(store, ManualClock(START), NAME, self.work, silent, unusable, None, jobs)
        except Unreadable as error:
            return str(error).splitlines()[1:]
        return []

    def step(self) -> None:
        self.steps -= 1
        if self.steps < 0:
            raise Killed

    def work(self, customer: str) -> int:
        self.step()
        if customer in self.away:
            self.away.remove(customer)
            raise StoreUnavailable("Asia is away")
        self.done.add(customer)
        self.step()
        if customer in self.broken:
            raise Unreadable(f"{customer} is broken", customer_id=customer)
        return 1

    def set_checkpoint(self, name: str, text: str) -> None:
        """No checkpoint is beyond a customer whose work isn't done."""
        self.step()
        self.store.set_checkpoint(name, text)
        after = load_checkpoint(self.store, name).after
        assert {customer for customer in self.order if customer <= after} <= self.done
        self.step()


@given(st.data(), st.integers(0, 12), st.lists(st.tuples(st.integers(1, 4), st.integers(0, 40)), max_size=4))
def test_killed_at_any_moment_it_resumes_with_any_number_of_threads(
    data: st.DataObject, number: int, killed: list[tuple[int, int]]
) -> None:
    """In whatever order they end: nobody is left out, and all that is broken is named once, in the store's order."""
    customers = CUSTOMERS[:number]
    some = st.sets(st.sampled_from(customers)) if customers else st.just(set[str]())
    broken, away = data.draw(some), data.draw(some)
    mortal = Mortal(open_store("memory:"), customers, broken, away)
    for customer in customers:
        mortal.append(customer, commits(at(), {"counter:1": [Counted("tea")]}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walking, "CUSTOMERS_PER_CHECKPOINT", 3)
        patch.setattr(parallel, "AHEAD", 2)
        patch.setattr(parallel, "ThreadPoolExecutor", partial(AnyOrder, data.draw))
        for jobs, steps in chain(killed, repeat((data.draw(st.integers(1, 4)), 10**9))):
            with suppress(Killed, StoreUnavailable):
                named = mortal.walk(jobs, steps)
                assert named == [f"{customer} is broken" for customer in sorted(broken)]
                assert mortal.done == set(customers)
                mortal.done.clear()
                if steps == 10**9:
                    break
    assert load_checkpoint(mortal.store, NAME) == Checkpoint()


def test_each_thread_visits_other_customers(store: EventStore) -> None:
    """As many as jobs; each customer is visited once, and reported by the caller's thread in the store's order."""
    visited: list[str] = []
    reported: list[int] = []
    together = Barrier(4)

    def work(customer: str) -> int:
        together.wait(60)
        visited.append(customer)
        return int(customer[-3:])

    def report(rows: int) -> None:
        assert current_thread() is main_thread()
        reported.append(rows)

    assert walk(store, NAME, BEGAN, work, report, jobs=4).customers == len(CUSTOMERS)
    assert sorted(visited) == CUSTOMERS
    assert reported == list(range(len(CUSTOMERS)))


def test_the_first_error_ends_the_work_of_all_threads(store: EventStore) -> None:
    """A region is away: hardly anybody is visited in vain, and the walk can be resumed."""
    visited: list[str] = []

    def work(customer: str) -> int:
        visited.append(customer)
        if customer >= CUSTOMERS[60]:
            raise StoreUnavailable("Asia is away")
        return 1

    with pytest.raises(StoreUnavailable, match="Asia is away"):
        walk(store, NAME, BEGAN, work, jobs=4)
    assert load_checkpoint(store, NAME).after == CUSTOMERS[49]
    assert len(visited) < 60 + 20
    assert walk(store, NAME, load_checkpoint(store, NAME), lambda customer: 1, jobs=2) == (70, 70)


def test_a_number_of_threads_that_can_not_work_is_refused_at_once(store: EventStore) -> None:
    """Before a checkpoint is written."""
    with pytest.raises(InvalidInput, match="Expected 1 to 256 jobs, got 0"):
        walk(store, NAME, BEGAN, lambda customer: 1, jobs=0)
    assert load_checkpoint(store, NAME) == Checkpoint()


WALKER = """
import os, sys, time
from contextlib import closing
from eslab import open_store
from eslab.operations.walk import walk
from tests.operations.test_walk import BEGAN, CUSTOMERS, NAME

def work(customer):
    os.write(1, f"{customer}\\n".encode())
    time.sleep(0 if customer < CUSTOMERS[80] else 1)
    return 1

with closing(open_store(sys.argv[1])) as store:
    walk(store, NAME, BEGAN, work, jobs=4)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["kill -9", "Ctrl-C"])
def test_a_process_that_ends_leaves_a_checkpoint(tmp_path: Path, how: signal.Signals) -> None:
    """All threads end with it, after the customers that they are at; another number of them does the rest."""
    url = new_url("sqlite", tmp_path)
    with closing(open_store(url)) as store:
        for customer in CUSTOMERS:
            store.append(customer, commits(at(), {"counter:1": [Counted("tea")]}))
        command = [sys.executable, "-c", WALKER, url]
        with subprocess.Popen(command, cwd=ROOT, stdout=PIPE, stderr=PIPE, text=True) as walker:
            assert walker.stdout
            visited = [walker.stdout.readline().strip() for _ in range(84)]
            while not load_checkpoint(store, NAME).after:
                time.sleep(0.01)
            os.kill(walker.pid, how)
            more, said = walker.communicate(timeout=60)
        visited += more.splitlines()
        assert (walker.returncode, "KeyboardInterrupt" in said) == (-how, how is signal.SIGINT), said
        assert {*visited} < {*CUSTOMERS}
        rest: list[str] = []
        walk(store, NAME, load_checkpoint(store, NAME), failing_at("nobody", rest), jobs=2)
    assert len(rest) <= 70 and {*visited} | {*rest} == {*CUSTOMERS}
