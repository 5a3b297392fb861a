"""Pages of long answers, and several answers at once: the next page and the next query are sent ahead of their use."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from itertools import islice
from typing import Any, TypeVar

from cassandra.cluster import ResponseFuture

from eslab.stores.cassandra.rows import Row

FIRST_PAGE = 1000  # rows; how large they are is known only when they have come
WHOLE_ROWS = 128  # in the first page beside a head: a row with all its columns costs more; see docs/benchmarks.md
PAGE = 20_000  # rows in a further page, at most
PAGE_BYTES = 4_000_000  # of payload in a further page, about; see docs/benchmarks.md
IN_FLIGHT = 32  # queries or batches that are sent ahead
Item = TypeVar("Item")
Sent = TypeVar("Sent")


def pages(future: ResponseFuture, check: Callable[[], object]) -> Generator[list[Row], None, None]:
    """The pages of an answer. The next page is fetched while this one is used, as large as the size of its rows allows.

    One wait for the first page; memory holds two pages. `check` raises if nothing will answer any more.
    """
    # One future fetches them all: a future for each page would keep the pages before it alive, in a circle that only
    # the garbage collector breaks.
    more = True
    while more:
        check()
        rows: Any = future.result().current_rows
        more = future.has_more_pages
        if more:
            message: Any = future.message
            message.fetch_size = _rows_in_a_page(rows)
            future.start_fetching_next_page()
        yield rows


def first_page(future: ResponseFuture) -> tuple[list[Row], bool]:
    """The first page of an answer, and whether others follow. One wait."""
    rows: Any = future.result().current_rows
    return rows, future.has_more_pages


def send_ahead(items: Iterable[Item], send: Callable[[Item], Sent]) -> Generator[Sent, None, None]:
    """What `send` returns for each item, in order; up to `IN_FLIGHT` items are sent ahead of the one that is used."""
    rest = iter(items)
    sent = deque(send(item) for item in islice(rest, IN_FLIGHT))
    while sent:
        yield sent.popleft()
        sent.extend(send(item) for item in islice(rest, 1))


def _rows_in_a_page(rows: Sequence[Row]) -> int:
    """How many rows like these, which have the payload last, make a page of some PAGE_BYTES."""
    size = sum(len(row[-1]) for row in rows if isinstance(row[-1], bytes))
    return max(1, min(PAGE, PAGE_BYTES * len(rows) // max(1, size)))
