"""Work in several threads gives its results in the order of the items, and ends at the first error."""

from collections.abc import Generator
from contextlib import closing
from itertools import islice
from threading import Barrier, Event, active_count
from time import sleep

import pytest

from eslab import InvalidInput
from eslab.operations.parallel import AHEAD, MOST_JOBS, check_jobs, in_order

JOBS = 4


def numbers(taken: list[int], last: int = 10**9) -> Generator[int, None, None]:
    """Numbers, each noted when it is taken."""
    for number in range(last):
        taken.append(number)
        yield number


@pytest.mark.parametrize("jobs", [1, 2, JOBS])
@pytest.mark.parametrize("items", [0, 1, 3, 4, 5, 1000])
def test_results_come_in_the_order_of_their_items(items: int, jobs: int) -> None:
    """However many items and threads there are; no thread is left."""
    threads = active_count()
    assert list(in_order(range(items), str, jobs)) == [(item, str(item)) for item in range(items)]
    assert active_count() == threads


def test_as_many_threads_work_at_once_as_there_are_jobs() -> None:
    """They meet in the middle of the work; nobody else comes in meanwhile."""
    together = Barrier(JOBS)
    working: set[int] = set()
    most: list[int] = []

    def meet(item: int) -> None:
        working.add(item)
        together.wait(60)
        most.append(len(working))
        together.wait(60)
        working.remove(item)
        together.wait(60)

    list(in_order(range(5 * JOBS), meet, JOBS))
    assert most == [JOBS] * 5 * JOBS


def test_one_job_is_the_callers_own_thread() -> None:
    """An item is begun when its result is asked for."""
    taken: list[int] = []
    assert list(islice(in_order(numbers(taken), str), 3)) == [(0, "0"), (1, "1"), (2, "2")]
    assert taken == [0, 1, 2]


def test_the_others_get_only_so_far_ahead_of_a_slow_item() -> None:
    """So memory is bounded; when it is done, they go on."""
    taken: list[int] = []
    far_ahead = Event()

    def work(item: int) -> bool:
        if item == JOBS * AHEAD - 1:
            far_ahead.set()
        return far_ahead.wait(60) if item == 0 else True

    with closing(in_order(numbers(taken), work, JOBS)) as results:
        assert next(results) == (0, True)
        assert len(taken) == JOBS * AHEAD
        assert list(islice(results, 10)) == [(item, True) for item in range(1, 11)]
        assert len(taken) == JOBS * AHEAD + 10


def test_after_an_error_nothing_else_is_begun() -> None:
    """It is raised when the items before it are done, whose results aren't lost."""
    worked: list[int] = []
    failing = Event()

    def work(item: int) -> int:
        worked.append(item)
        if item == 1:
            failing.set()
            raise ZeroDivisionError
        if item == 0:
            failing.wait(60)
            sleep(0.2)
        return item

    results = in_order(range(1000), work, 2)
    assert next(results) == (0, 0)
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert len(worked) < 10


def test_an_error_of_the_iteration_comes_behind_its_items() -> None:
    """As it does without threads."""

    def broken() -> Generator[int, None, None]:
        yield from range(10)
        raise ZeroDivisionError

    for jobs in 1, JOBS:
        done: list[int] = []
        with pytest.raises(ZeroDivisionError):
            done.extend(item for item, _ in in_order(broken(), str, jobs))
        assert done == list(range(10))


def test_when_the_caller_stops_nothing_else_is_begun() -> None:
    """Close waits for the work in progress, and no thread is left."""
    threads = active_count()
    begun: list[int] = []
    done: list[int] = []

    def work(item: int) -> None:
        begun.append(item)
        sleep(0.01)
        done.append(item)

    results = in_order(range(1000), work, JOBS)
    next(results)
    results.close()
    assert sorted(begun) == sorted(done) and len(begun) < JOBS * AHEAD
    assert active_count() == threads


@pytest.mark.parametrize("jobs", [0, -1, MOST_JOBS + 1])
def test_a_number_of_threads_that_can_not_work_is_refused(jobs: int) -> None:
    """The message says what can."""
    with pytest.raises(InvalidInput, match=f"Expected 1 to {MOST_JOBS} jobs, got {jobs}."):
        check_jobs(jobs)
    check_jobs(MOST_JOBS)
