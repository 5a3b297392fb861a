"""The history of an aggregate as a table, one row for each event."""

from typing import TYPE_CHECKING

from eslab import display
from eslab.aggregate import Aggregate, aggregate_id
from eslab.errors import HistoryGone
from eslab.payload.skipped import Skipped
from eslab.repository import Repository
from eslab.request import Request, time_of
from eslab.store import place

if TYPE_CHECKING:
    import pandas

HEAD = ["time", "request", "event"]
SKIPPED = "(skipped)"  # in place of the events of a row whose bytes are lost


def history(repository: Repository, customer_id: str, aggregate_type: type[Aggregate], key: str) -> "pandas.DataFrame":
    """Every event of an aggregate in log order, one row each: time, request, event, then its fields.

    A field with the name of one of the first three columns is put under its type, such as `DownloadCounted.time`.
    A skipped row is one row with the event `(skipped)` and its reason. Raises `HistoryGone` if the beginning was
    deleted: a table that is silently short would lie.
    """
    import pandas

    id = aggregate_id((aggregate_type, key))
    hydrator = repository.hydrator(customer_id, {id: aggregate_type})
    first = repository.store.heads(customer_id, [id])[id].first
    commits = list(repository.store.rows(customer_id, id))
    if first and (not commits or commits[0].event_time.time > first.time):
        raise HistoryGone(
            f"Expected the history of {place(customer_id, id)} from {time_of(first).isoformat()} on, found "
            f"{len(commits)} commits that begin later. Restore the archived events; its state loads.",
            customer_id=customer_id,
            aggregate_id=id,
        )
    rows = []
    for commit in commits:
        request = Request.from_event_time(commit.event_time)
        events = hydrator.events_of(commit)
        if isinstance(events, Skipped):
            reason = events.mark.reason
            rows.append({"time": request.time, "request": str(request.id), "event": SKIPPED, "reason": reason})
        for event in events:
            name = type(event).__name__
            fields = {f"{name}.{it}" if it in HEAD else it: value for it, value in display.fields(event).items()}
            rows.append({"time": request.time, "request": str(request.id), "event": name, **fields})
    return pandas.DataFrame(rows, columns=None if rows else HEAD)
