"""The rows as they are stored, for people: what each commit says about itself."""

from typing import TYPE_CHECKING

from eslab.request import Request
from eslab.serializer import open_envelope, raw_events
from eslab.store import EventStore

if TYPE_CHECKING:
    import pandas


def rows(store: EventStore, customer: str, prefix: str = "") -> "pandas.DataFrame":
    """Every commit of the customer's aggregates of a type, or of all, in the store's order; needs no domain code."""
    import pandas

    found = []
    for id in store.heads_of_type(customer, prefix):
        for commit in store.rows(customer, id):
            envelope = open_envelope(commit.payload)
            found.append(
                {
                    "aggregate": commit.aggregate_id,
                    "event time": str(commit.event_time),
                    "request": str(Request.from_event_time(commit.event_time).id),
                    "digest": envelope.digest.hex()[:8],
                    "commits": envelope.commits,
                    "events": ", ".join(event["type"] for event in raw_events(commit.payload)),
                    "bytes": len(commit.payload),
                }
            )
    return pandas.DataFrame(found)
