"""The baselines on Cassandra: what each command asked of its store, or the least of it, sent by the bare driver."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from uuid import UUID

from cassandra.query import BatchStatement, BoundStatement

from eslab.bench.baseline_cassandra import BareDriver, Write, stamp_of, writes_of
from eslab.bench.baselines import Step
from eslab.bench.replay import Call, commits_of, touched_by
from eslab.clock import to_ms
from eslab.request import is_after
from eslab.store import FEW_SNAPSHOTS, Commit, Consistency, LateCommits, ReadRow
from eslab.stores.cassandra import LEVELS, read_tables
from eslab.stores.cassandra.statements import (
    APPEND,
    EARLIEST,
    ENTRIES,
    FIRST_ROWS,
    LATE_SINCE,
    LATE_UNTIL,
    LATEST,
    NEWEST_SNAPSHOTS,
    RECORDED,
    SAFE,
    SNAPSHOTS,
)
from eslab.stores.cassandra.write_times import earliest_wins

LEAST = "SELECT payload FROM events WHERE customer_id = ? AND aggregate_id IN ?"
Wait = Sequence[BoundStatement | BatchStatement]  # statements that are sent together and then waited for
Waits = Callable[[BareDriver, Sequence[Call]], list[Wait]]


class CassandraReplay:
    """The bare driver on a store's tables."""

    def __init__(self, url: str, waits: Waits) -> None:
        """`waits` says what is sent for the calls of one command."""
        self.url = url
        self._driver = BareDriver(url)
        self._waits = waits

    def prepare(self, calls: Sequence[Call]) -> Step:
        """Prepare the statements of one command."""
        return partial(self._send, self._waits(self._driver, calls))

    def settings(self) -> dict[str, str]:
        """The commit log mode in force."""
        return self._driver.settings()

    def close(self) -> None:
        """Close all connections."""
        self._driver.close()

    def _send(self, waits: Iterable[Wait]) -> None:
        for statements in waits:
            for future in [self._driver.session.execute_async(statement) for statement in statements]:
                future.result()


def least(driver: BareDriver, calls: Sequence[Call]) -> list[Wait]:
    """What any design needs for a command: its aggregates' payloads, and the rows of its commits if it has any."""
    customer, ids = touched_by(calls)
    inserts = [(APPEND, (customer, *commit, *stamp_of(commit))) for commit in commits_of(calls)]
    return [[driver.bound(LEAST, (customer, ids))], *([[driver.batch(inserts)]] if inserts else [])]


def replayed(driver: BareDriver, calls: Sequence[Call]) -> list[Wait]:
    """What the store sent for the calls of a command: one wait for each."""
    return [_wait(driver, call) for call in calls]


def _wait(driver: BareDriver, call: Call) -> Wait:
    level = LEVELS[call.arguments.get("consistency", Consistency.EVERYWHERE)]
    match call:
        case Call("read", {"up_to": None, "all_snapshots": False, **about}):
            reads = _read(about["customer_id"], about["after"], about["event_time"])
            return [driver.bound(*read, level) for read in reads]
        case Call("heads", {"customer_id": customer, "aggregate_ids": ids, "event_time": event_time}):
            every = (SNAPSHOTS, (customer, list(ids)))
            return [driver.bound(*read, level) for read in _heads((customer, list(ids)), every, ids, event_time)]
        case Call("append", {"customer_id": customer, "commits": commits, "read_rows": rows}):
            return [driver.batch([*writes_of(customer, commits), *_read_rows(rows)], level)]
        case Call("put_read_rows", {"rows": rows}):
            return [driver.batch(_read_rows(batch), level) for batch in read_tables.batches(rows)]
        case Call("mark", {"customer_id": customer, "aggregate_id": id, "late": late}):
            return [driver.bound(*write, level) for write in _late(customer, id, late)]
        case Call("note_safe", {"customer_id": customer, "commits": commits, "safe_at": at}):
            return [driver.bound(*_safe(customer, commit, to_ms(at)), level) for commit in commits]
    raise NotImplementedError(f"Expected a call that a command makes, got {call}.")


def _read(customer: str, after: Mapping[str, UUID | None], event_time: UUID | None) -> Iterator[Write]:
    for base in dict.fromkeys(after.values()):  # one statement reads all aggregates that begin at the same place
        some = [id for id, start in after.items() if start == base]
        yield FIRST_ROWS, (customer, some, base or EARLIEST, LATEST)
    below = [id for id, base in after.items() if event_time and base and not is_after(event_time, base)]
    ids = list(after)
    newest = (NEWEST_SNAPSHOTS, (customer, *ids, LATEST, FEW_SNAPSHOTS + 1))
    yield from _heads((customer, ids), newest if len(ids) == 1 else (SNAPSHOTS, (customer, ids)), below, event_time)


def _heads(
    key: tuple[str, list[str]], snapshots: Write, with_recorded: Sequence[str], event_time: UUID | None
) -> Iterator[Write]:
    yield ENTRIES, key
    yield snapshots
    if event_time and with_recorded:
        yield RECORDED, (key[0], list(with_recorded), event_time)


def _late(customer: str, aggregate_id: str, late: LateCommits) -> Iterator[Write]:
    until = to_ms(late.until)
    yield LATE_SINCE, (earliest_wins(late.since), late.since, customer, aggregate_id)
    yield LATE_UNTIL, (until, until, customer, aggregate_id)


def _safe(customer: str, commit: Commit, at: int) -> Write:
    return SAFE, (*stamp_of(commit), at, customer, commit.aggregate_id, commit.event_time)


def _read_rows(rows: Iterable[ReadRow]) -> Iterator[Write]:
    return ((read_tables.insert(row.layout), (*row.key, *row.commit, *stamp_of(row.commit))) for row in rows)
