"""The history of an aggregate as a table, one row for each event."""

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from eslab import display
from eslab.aggregate import Aggregate, aggregate_id
from eslab.clock import MILLISECOND, aware
from eslab.errors import HistoryGone
from eslab.operations.archive import Archive
from eslab.payload.skipped import Skipped
from eslab.repository import Repository
from eslab.request import Request, is_after, latest_at, time_of
from eslab.store import Commit, place

if TYPE_CHECKING:
    import pandas

HEAD = ["time", "request", "event"]
SKIPPED = "(skipped)"  # in place of the events of a row whose bytes are lost


def history(
    repository: Repository,
    customer_id: str,
    aggregate_type: type[Aggregate],
    key: str,
    since: datetime | None = None,
    until: datetime | None = None,
    archive: Archive | None = None,
) -> "pandas.DataFrame":
    """Every event of an aggregate in log order, one row each: time, request, event, then its fields.

    Only those of requests from `since` on and before `until` are read, such as a month's.

    A field with the name of one of the first three columns is put under its type, such as `DownloadCounted.time`.
    A skipped row is one row with the event `(skipped)` and its reason. With an `archive` the events that were moved to
    it are among them. Raises `HistoryGone` if some may have been deleted: a table that is silently short would lie.
    """
    import pandas

    id = aggregate_id((aggregate_type, key))
    hydrator = repository.hydrator(customer_id, {id: aggregate_type})
    after, up_to = _before(since, "since"), _before(until, "until")
    rows = []
    for commit in _commits(repository, customer_id, id, after, up_to, archive):
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


def _before(time: datetime | None, name: str) -> UUID | None:
    """The greatest event time of a request before a moment."""
    return None if time is None else latest_at(aware(time, name) - MILLISECOND, name)


def _commits(
    repository: Repository,
    customer_id: str,
    id: str,
    after: UUID | None,
    up_to: UUID | None,
    archive: Archive | None,
) -> list[Commit]:
    """The commits between these event times; raises `HistoryGone` if some of them may be missing."""
    if archive is None:
        commits = list(repository.store.rows(customer_id, id, after, up_to))
        _check_complete(repository, customer_id, id, after)
        return commits
    return [
        commit
        for commit in archive.past(repository.store, customer_id, id)
        if (after is None or is_after(commit.event_time, after))
        and (up_to is None or not is_after(commit.event_time, up_to))
    ]


def _check_complete(repository: Repository, customer_id: str, id: str, after: UUID | None) -> None:
    """Raise `HistoryGone` if commits later than `after` may have been deleted before they were read."""
    head = repository.store.heads(customer_id, [id])[id]
    if head.first is None or (after and not (head.floor and is_after(head.floor, after))):
        return
    earliest = next(repository.store.rows(customer_id, id), None)
    if earliest is None or earliest.event_time.time > head.first.time:
        found = f"commits from {time_of(earliest.event_time).isoformat()} on" if earliest else "no commit"
        raise HistoryGone(
            f"Expected the history of {place(customer_id, id)} from {time_of(head.first).isoformat()} on, found "
            f"{found}. Name the archive, or restore the archived events; its state loads.",
            customer_id=customer_id,
            aggregate_id=id,
        )
