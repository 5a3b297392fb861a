"""Works on several items at once, in threads, and returns the results in the order of the items."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from eslab.errors import InvalidInput

AHEAD = 50  # items that each thread may be ahead of the first one that isn't done
MOST_JOBS = 256
Item = TypeVar("Item")
Result = TypeVar("Result")


def check_jobs(jobs: int) -> None:
    """Refuse a number of threads that can't work."""
    if not 1 <= jobs <= MOST_JOBS:
        raise InvalidInput(f"Expected 1 to {MOST_JOBS} jobs, got {jobs}.")


def in_order(
    items: Iterable[Item], work: Callable[[Item], Result], jobs: int = 1
) -> Generator[tuple[Item, Result], None, None]:
    """Yield each item with the result of its work, in the order of the items.

    Up to `jobs` threads work ahead, on at most AHEAD items each, so memory doesn't grow with the number of items; with
    one job, the caller's own thread does the work. After an error, of an item or of the iteration, no later item is
    begun; it is raised when the items before it are done. Close the generator to end earlier: that waits for the items
    in progress.
    """
    if jobs == 1:
        yield from ((item, work(item)) for item in items)
        return
    pool = ThreadPoolExecutor(jobs)
    try:
        rest = _begun(items, _until_an_error(work), pool)
        ahead = deque(islice(rest, jobs * AHEAD))
        while ahead:
            yield ahead.popleft().result()
            ahead.extend(islice(rest, 1))
    finally:
        pool.shutdown(cancel_futures=True)


def _begun(
    items: Iterable[Item], work: Callable[[int, Item], tuple[Item, Result]], pool: Executor
) -> Generator[Future[tuple[Item, Result]], None, None]:
    """The work on each item, in progress; an error of the iteration takes its place in the order."""
    try:
        for number, item in enumerate(items):
            yield pool.submit(work, number, item)
    except Exception as error:
        failed: Future[tuple[Item, Result]] = Future()
        failed.set_exception(error)
        yield failed


def _until_an_error(work: Callable[[Item], Result]) -> Callable[[int, Item], tuple[Item, Result]]:
    """The same work on numbered items, but behind one that raised an error it only raises that error."""
    errors: list[tuple[int, BaseException]] = []

    def work_or_raise(number: int, item: Item) -> tuple[Item, Result]:
        for failed, error in errors:
            if failed < number:
                raise error
        try:
            return item, work(item)
        except BaseException as error:
            errors.append((number, error))
            raise

    return work_or_raise
