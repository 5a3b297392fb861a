"""The stored rows as a table: what each commit says about itself."""

from typing import TYPE_CHECKING

from eslab.operations.inspection import Inspector
from eslab.store import EventStore

if TYPE_CHECKING:
    import pandas


def rows(store: EventStore, customer: str, prefix: str = "") -> "pandas.DataFrame":
    """Every commit of the customer's aggregates whose id has the prefix, in the store's order; needs no domain code."""
    import pandas

    return pandas.DataFrame(
        {
            "aggregate": id,
            "event time": commit.event_time,
            "request": commit.request,
            "digest": (commit.digest or "")[:8],
            "commits": commit.commits,
            "events": commit.types,
            "bytes": commit.bytes,
        }
        for id in store.heads_of_type(customer, prefix)
        for commit in Inspector(store, customer).commits(id)
    )
