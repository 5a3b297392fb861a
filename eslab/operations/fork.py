"""A fork answers "what if": a copy of one customer's rows in memory, cut at a moment, with some requests left out.

    then = fork(store, "ann", as_of=refused_at)                      # the rows of that moment
    other = fork(store, "ann", as_of=refused_at, without=[second])   # as if the second request had never been made
    DownloadService(other, other.clock).request_download("ann", "tv", "glow", request)

The original is only read. What is written to a fork stays in memory and is gone with it. A fork is cut by the times of
requests, since nothing stored says when a row arrived: a request that was made before the moment and arrived after it
is in the fork. Leave it out if you know better.
"""

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from uuid import UUID

from eslab.aggregate import check_id
from eslab.clock import EPOCH, ManualClock
from eslab.display import quantity
from eslab.errors import InvalidInput, StoreError
from eslab.layout import Layout
from eslab.payload.encryption import KeyProvider, forgotten
from eslab.recorded import is_below
from eslab.request import Request, latest_at, latest_of, sort_key, time_of
from eslab.store import Commit, Consistency, EventStore, Head, ReadRow, StoredSnapshot
from eslab.stores.memory import MemoryStore


class Fork(MemoryStore):
    """A store in memory that holds what `fork` copied; `clock` shows the moment of the fork and moves when told to.

    Read tables are empty at first, and a query of one is refused: `rebuild` (operations/rebuild.py), given a repository
    on the fork, writes them from the fork's own events. Those outside the customer's partition then hold this customer
    alone.
    """

    def __init__(self, customer_id: str, moment: datetime) -> None:
        super().__init__()
        self.customer_id = customer_id
        self.clock = ManualClock(moment)
        self._rebuilt: set[str] = set()  # read tables that were emptied to be rebuilt

    def __repr__(self) -> str:
        logs = self._logs.get(self.customer_id, {}).values()
        commits = sum(len(log.keys) for log in logs)
        held = f"{quantity(commits, 'commit')} of {quantity(len(logs), 'aggregate')}"
        return f"Fork(customer {self.customer_id!r}, {held}, {self.clock})"

    def take(self, aggregate_id: str, head: Head, commits: Iterable[Commit]) -> None:
        """Copy an aggregate: its floor, the beginning and the snapshots in `head`, and these commits."""
        log = self._log(self.customer_id, aggregate_id)
        for commit in commits:
            log.put(commit)
        log.floor, log.intended, log.late = head.floor, head.intended, head.late
        # Without a floor the commits tell the beginning. With one, earlier commits may be deleted, and only the
        # directory knows that there were any.
        if head.floor:
            log.first = head.first
        for snapshot in head.snapshots:
            log.save(snapshot, EPOCH)

    def empty_read_table(self, layout: Layout) -> None:
        super().empty_read_table(layout)
        self._rebuilt.add(layout.name)

    def read_rows(
        self, layout: Layout, keys: Sequence[tuple[str, ...]], consistency: Consistency = Consistency.LOCAL
    ) -> Generator[Sequence[ReadRow], None, None]:
        if layout.name not in self._rebuilt:
            raise StoreError(
                f"Expected a read table {layout.name} that was rebuilt in {self}, found it as empty as it began. Run: "
                "rebuild(Repository(fork, fork.clock, read_tables=...)) from eslab.operations.rebuild."
            )
        return super().read_rows(layout, keys, consistency)


class ForkedKeys:
    """The keys of customers for a fork: read from the real ones; what is made or destroyed stays in memory."""

    def __init__(self, keys: KeyProvider) -> None:
        from eslab.stores.keys import MemoryKeys

        self._keys = keys
        self._made = MemoryKeys()
        self._destroyed: set[str] = set()

    def key(self, customer_id: str) -> bytes | None:
        """The customer's real key, or the one that the fork made."""
        if customer_id in self._destroyed:
            raise forgotten(customer_id)
        return self._keys.key(customer_id) or self._made.key(customer_id)

    def make(self, customer_id: str) -> bytes:
        """The customer's key, made in memory if there is none."""
        return self.key(customer_id) or self._made.make(customer_id)

    def destroy(self, customer_id: str) -> None:
        """Forget the customer in the fork alone."""
        self._destroyed.add(customer_id)


def fork(
    store: EventStore,
    customer_id: str,
    *,
    as_of: datetime | None = None,
    without: Iterable[Request] = (),
    aggregates: Iterable[str] | None = None,
) -> Fork:
    """Copy a customer's rows up to and including a moment into memory, without those of some requests.

    `aggregates` limits the copy to these ids. The fork's clock shows `as_of`, or the time of its newest commit. Costs
    two waits, and memory for the copied rows. Loading an aggregate whose history before the moment is gone, or from
    whose snapshot a request can't be taken out, raises `HistoryGone`; an encrypted one needs its keys (`ForkedKeys`).

    Raises `InvalidInput` for a request in `without` that the customer's rows up to the moment don't hold.
    """
    check_id("customer id", customer_id)
    until = latest_at(as_of) if as_of else None
    left_out = _event_times(without, until)
    heads = _heads(store, customer_id, aggregates)
    logs = _logs(store, customer_id, heads, until)
    _check_found(customer_id, left_out, heads, logs)
    newest = latest_of(*(commit.event_time for log in logs.values() for commit in log))
    copy = Fork(customer_id, as_of or (time_of(newest) if newest else EPOCH))
    for id, head in heads.items():
        kept = [commit for commit in logs[id] if commit.event_time not in left_out]
        gone = {commit.event_time for commit in logs[id]} & left_out
        copy.take(id, _cut(head, until, gone, left_out), kept)
    return copy


def _event_times(without: Iterable[Request], until: UUID | None) -> set[UUID]:
    """The event times of the requests; those after the moment are left out anyway."""
    requests: list[Request] = [without] if isinstance(without, Request) else list(without)
    for request in requests:
        if not isinstance(request, Request) or request is without:
            raise InvalidInput(
                f"Expected a list of requests to leave out, got {without!r}; write without=[request], with "
                "Request.parse(text) for a request id."
            )
    times = {request.event_time for request in requests}
    return {time for time in times if until is None or sort_key(time) <= sort_key(until)}


def _heads(store: EventStore, customer_id: str, aggregates: Iterable[str] | None) -> dict[str, Head]:
    return store.heads_of_type(customer_id, "") if aggregates is None else store.heads(customer_id, list(aggregates))


def _logs(
    store: EventStore, customer_id: str, heads: Mapping[str, Head], until: UUID | None
) -> dict[str, list[Commit]]:
    logs: dict[str, list[Commit]] = {id: [] for id in heads}
    with closing(store.rows_many(customer_id, dict.fromkeys(heads), until)) as pages:
        for id, commits in pages:
            logs[id] += commits
    return logs


def _check_found(
    customer_id: str, left_out: Iterable[UUID], heads: Mapping[str, Head], logs: Mapping[str, Sequence[Commit]]
) -> None:
    """Refuse to leave out what isn't there: the answer would be about a fork that differs in nothing."""
    found = {commit.event_time for log in logs.values() for commit in log}
    for event_time in left_out:
        # At or below a floor its rows may be deleted; then loading says `HistoryGone`.
        if event_time not in found and not any(is_below(event_time, head.floor) for head in heads.values()):
            raise InvalidInput(
                f"Expected a request of customer {customer_id!r} to leave out, found no row of "
                f"{Request.from_event_time(event_time)}; look with: eslab inspect",
                customer_id=customer_id,
                event_time=event_time,
            )


def _cut(head: Head, until: UUID | None, gone: set[UUID], left_out: set[UUID]) -> Head:
    """The head as the fork has it: only with the snapshots that hold nothing that is left out."""
    if head.first and until and sort_key(head.first) > sort_key(until):
        return Head()  # at that moment the aggregate had not begun
    # Below the floor nobody knows which aggregates a request touched.
    out = gone | {event_time for event_time in left_out if is_below(event_time, head.floor)}
    return head._replace(snapshots=[it for it in head.snapshots if _holds_nothing_of(it, until, out)])


def _holds_nothing_of(snapshot: StoredSnapshot, until: UUID | None, out: Iterable[UUID]) -> bool:
    up_to = sort_key(snapshot.up_to)
    return (until is None or up_to <= sort_key(until)) and all(sort_key(event_time) > up_to for event_time in out)
