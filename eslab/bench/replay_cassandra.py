"""Replays the calls of a store by the bare Cassandra driver, on the tables of a store."""

from collections.abc import Sequence
from functools import partial

from cassandra.query import BatchStatement, BoundStatement

from eslab.bench.baseline_cassandra import CassandraBaseline, append_batch, stamp
from eslab.bench.baselines import Step
from eslab.bench.replay import Call
from eslab.store import Commit, ReadRow
from eslab.stores.cassandra import read_tables
from eslab.stores.cassandra.statements import EARLIEST, ENTRIES, LATEST, PAYLOADS, RECORDED, SNAPSHOTS

Part = list[BoundStatement] | BatchStatement  # reads that are sent together, or a write


class CassandraReplay:
    """Sends what each command asked of its store, in as many waits."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._driver = CassandraBaseline(url)

    def prepare(self, calls: Sequence[Call]) -> Step:
        """The statements of one command: all reads of a call together, then wait; each write as its batches."""
        return partial(self._send, [part for call in calls for part in self._parts(call)])

    def settings(self) -> dict[str, str]:
        """The commit log mode in force."""
        return self._driver.settings()

    def close(self) -> None:
        """Close the connections."""
        self._driver.close()

    def _parts(self, call: Call) -> list[Part]:
        given = call.given
        if call.method == "heads":
            key = (given["customer_id"], list(given["aggregate_ids"]))
            reads = {ENTRIES: key, SNAPSHOTS: key, RECORDED: (*key, given["event_time"])}
            return [[self._driver.bind(cql, values) for cql, values in reads.items()]]
        if call.method == "read_many":
            customer = given["customer_id"]
            keys = [(customer, id, base or EARLIEST, LATEST) for id, base in given["after"].items()]
            return [[self._driver.bind(PAYLOADS, key) for key in keys]]
        if call.method == "append":
            return [self._batch(given["customer_id"], given["commits"], given.get("read_rows", ()))]
        return [self._batch("", (), rows) for rows in read_tables.batches(given["rows"])]

    def _batch(self, customer: str, commits: Sequence[Commit], rows: Sequence[ReadRow]) -> BatchStatement:
        batch = append_batch(self._driver, customer, commits)
        for row in rows:
            values = (*row.key, *row.commit, *stamp(row.commit))
            batch.add(self._driver.bind(read_tables.insert(row.layout), values))
        return batch

    def _send(self, parts: Sequence[Part]) -> None:
        for part in parts:
            if isinstance(part, list):
                self._driver.execute_together(part)
            else:
                self._driver.execute(part)
