"""What lies below a hydration: the bare read, the store's read, and the decode of what it read."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from uuid import UUID

from eslab import EventStore
from eslab.aggregate import aggregate_id, serializer_of
from eslab.bench.baselines import Baseline
from eslab.bench.loads import Wanted, repeat_of
from eslab.bench.measure import Measure
from eslab.payload.checksum import Checksum


def read_measures(store: EventStore, baseline: Baseline | None, wanted: Wanted, events: int) -> list[Measure]:
    """The measures of reading all commits of an aggregate, which holds so many."""
    id = aggregate_id((wanted.aggregate_type, wanted.key))
    pages = list(_pages(store, wanted.customer, id))
    checksum = Checksum.of_commits(wanted.customer, id)
    decode = partial(serializer_of(wanted.aggregate_type).page, checksum=checksum)
    counting: dict[str, Callable[[], object]] = {
        "read": lambda: sum(map(len, _pages(store, wanted.customer, id))),
        "decode": lambda: sum(len(decode(page)) for page in pages),
    }
    if baseline:
        counting = {"baseline": partial(baseline.read, id, wanted.customer), **counting}
    return [Measure(name, call, events, repeat_of(events)) for name, call in counting.items()]


def row_measure(baseline: Baseline | None, customer: str, id: str, event_time: UUID) -> list[Measure]:
    """The measure of one bare read of the row at an event time, which must be there; none without a baseline."""
    if baseline is None:
        return []
    call = partial(baseline.read_row, id, event_time, customer)
    return [Measure("baseline:row", call, 1, repeat_of(1))]


def _pages(store: EventStore, customer: str, id: str) -> Iterator[Sequence[bytes]]:
    return (payloads for _, payloads in store.read_many(customer, {id: None}))
