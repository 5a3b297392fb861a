"""The replay on Cassandra: what each command asked of its store, sent again by the bare driver in as many waits."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from cassandra.query import BatchStatement, BoundStatement

from eslab.bench.baseline_cassandra import BareDriver, Write, stamp_of, writes_of
from eslab.bench.baselines import Step
from eslab.bench.replay import Call
from eslab.store import ReadRow
from eslab.stores.cassandra import read_tables
from eslab.stores.cassandra.statements import EARLIEST, ENTRIES, LATEST, PAYLOADS, RECORDED, SNAPSHOTS

Wait = Sequence[BoundStatement | BatchStatement]  # statements that are sent together and then waited for


class CassandraReplay:
    """The bare driver on a store's tables."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._driver = BareDriver(url)

    def prepare(self, calls: Sequence[Call]) -> Step:
        """Prepare the statements of one command: one wait for each call."""
        return partial(self._send, [self._wait(call) for call in calls])

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

    def _wait(self, call: Call) -> Wait:
        match call:
            case Call("heads", {"customer_id": customer, "aggregate_ids": ids, "event_time": event_time}):
                key = (customer, list(ids))
                reads = {ENTRIES: key, SNAPSHOTS: key, RECORDED: (*key, event_time)}
                return [self._bound(cql, values) for cql, values in reads.items()]
            case Call("read_many", {"customer_id": customer, "after": after}):
                return [self._bound(PAYLOADS, (customer, id, low or EARLIEST, LATEST)) for id, low in after.items()]
            case Call("append", {"customer_id": customer, "commits": commits, **options}):
                return [self._driver.batch([*writes_of(customer, commits), *_read_rows(options.get("read_rows", ()))])]
            case Call("put_read_rows", {"rows": rows}):
                return [self._driver.batch(_read_rows(batch)) for batch in read_tables.batches(rows)]
        raise NotImplementedError(f"Expected a call that a command makes, got {call}.")

    def _bound(self, cql: str, values: tuple[object, ...]) -> BoundStatement:
        return self._driver.statement(cql).bind(values)


def _read_rows(rows: Iterable[ReadRow]) -> Iterator[Write]:
    return ((read_tables.insert(row.layout), (*row.key, *row.commit, *stamp_of(row.commit))) for row in rows)
