"""Lesson 03: a node, wide partitions, timed queries, and a kill -9."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import count, product
from statistics import median
from threading import Thread
from typing import TYPE_CHECKING, Any, cast

import altair
import pandas

from eslab import EventStore, InvalidInput, OutcomeUnknown, StoreError, display, open_store
from eslab.bench.sample import commit, request
from eslab.lab import charts
from eslab.store import Commit, Consistency

if TYPE_CHECKING:
    from eslab.cluster import Cluster
    from eslab.cluster.plan import CommitLogSync
    from eslab.stores.cassandra import CassandraStore

KEYSPACE = "lab_lesson"
BATCH = 500  # commits in one append while a partition is filled: about 100 KB
LATER = 10_000_000  # seconds after the others: the time of a partition's newest commits
RUNS = 5  # of each query; the median counts
APPENDS = 100  # at each consistency level; the median counts
NEWEST = 10  # rows that a small query returns
WRITERS = 16  # threads that append until the node is killed
PATIENCE = 3  # seconds until an append to a killed node counts as lost
IN_WORDS = {
    Consistency.LOCAL: ("LOCAL_QUORUM", "a majority of the replicas here", "2, all near"),
    Consistency.QUORUM: ("QUORUM", "a majority of all replicas", "5, some far away"),
    Consistency.EVERYWHERE: ("EACH_QUORUM", "a majority in every region", "2 in each region, so 6"),
}


@dataclass
class LessonNode:
    """The Cassandra node of a lesson: the reader's, or a throw-away node that ends with the lesson."""

    url: str
    own: "Cluster | None"
    seconds: float

    def close(self) -> None:
        """Stop the lesson's own node and delete its data; the reader's node is left alone."""
        if self.own:
            self.own.close()

    def __repr__(self) -> str:
        from eslab.stores.cassandra.connection import Options

        place = Options.parse(self.url)
        if not self.own:
            return f"{place}: yours, and the lesson's rows stay there."
        return f"{place}: the lesson's own, up after {self.seconds:.0f} s, and gone with the lesson."


def find_node(store: str, say: Callable[[str], None] = print) -> LessonNode:
    """Return the node that the URL names, or start a throw-away node if it names another store.

    A new node takes about 8 s and 0.8 GB of memory, and the very first one a download of 70 MB. It ends with
    `close()`, or with this process.
    """
    if store.startswith("cassandra:"):
        return LessonNode(store, None, 0.0)
    began = time.perf_counter()
    cluster = _start(say)
    return LessonNode(cluster.url(KEYSPACE), cluster, time.perf_counter() - began)


def fill_partitions(store: EventStore, sizes: Sequence[int]) -> dict[int, str]:
    """Write one customer per size: that many commits in one frosting, and a few newer ones in another.

    Every run writes the same rows; 100,000 take about 8 s.
    """
    customers = {size: f"partition of {size}" for size in sizes}
    for size, customer in customers.items():
        for commits in (*_batches("large", range(size)), *_batches("small", range(LATER, LATER + NEWEST))):
            store.append(customer, commits)
    return customers


def time_queries(store: EventStore, customers: dict[int, str]) -> pandas.DataFrame:
    """Time three queries on each partition: the median milliseconds, and the number of rows returned.

    The queries take turns and the first round isn't measured, so a node that is warming up favours none.
    """
    keys = "SELECT aggregate_id, event_time FROM events WHERE customer_id = ?"
    since = request(LATER - 1).event_time
    questions = {
        "one small aggregate": f"{keys} AND aggregate_id = 'frosting:small'",
        "the newest, filtered": f"{keys} AND event_time > {since} ALLOW FILTERING",
        "the whole partition": keys,
    }
    session = cast("CassandraStore", store).session
    prepared = {question: session.prepare(cql) for question, cql in questions.items()}
    asked = [(size, question) for size in customers for question in questions]
    timed = [
        {"partition": size + NEWEST, "question": question, "ms": ms, "rows": rows}
        for _ in range(RUNS + 1)
        for size, question in asked
        for ms, rows in [_time(session, prepared[question], customers[size])]
    ]
    measured = pandas.DataFrame(timed[len(asked) :])
    return measured.groupby(["partition", "question"], sort=False, as_index=False).median()


def cost_of_width(timed: pandas.DataFrame) -> charts.Figure:
    """Chart the time of each query by the width of its partition, both axes in powers of ten."""
    chart = (
        altair.Chart(timed)
        .mark_line(point=True)
        .encode(
            x=altair.X("partition:Q", title="rows in the partition").scale(type="log"),
            y=altair.Y("ms:Q", title="milliseconds").scale(type="log"),
            **charts.by(timed["question"], "question"),
        )
    )
    ends = timed[timed["partition"] == timed["partition"].max()].set_index("question")["ms"]
    words = ", ".join(f"{question} {ms:,.1f} ms" for question, ms in ends.items())
    widest = f"In the widest partition, of {timed['partition'].max():,} rows, each question costs: {words}."
    return charts.show(chart, alt=f"Milliseconds of three questions by the width of a partition. {widest}", table=timed)


def time_levels(store: EventStore) -> pandas.DataFrame:
    """Time one append at each consistency level: the median milliseconds, beside what the level waits for."""
    took: dict[Consistency, list[float]] = {level: [] for level in IN_WORDS}
    for number, level in product(range(APPENDS), IN_WORDS):
        made = commit(level.name, number, request(number))
        began = time.perf_counter()
        store.append("levels", [made], level)
        took[level].append((time.perf_counter() - began) * 1000)
    heads = ("level", "waits for", "of 3 regions with 3 replicas each")
    return pandas.DataFrame(
        {**dict(zip(heads, words, strict=True)), "ms here": round(median(took[level]), 1)}
        for level, words in IN_WORDS.items()
    )


@dataclass(frozen=True)
class Killed:
    """The result of one kill -9 amid appends: how many were acknowledged, and how many of them survived."""

    commitlog_sync: str
    acknowledged: int
    survived: int
    per_second: float

    @property
    def lost(self) -> int:
        """The number of acknowledged commits that are gone."""
        return self.acknowledged - self.survived

    def _repr_html_(self) -> str:
        return display.table(
            f"commitlog_sync: {self.commitlog_sync}",
            {
                "acknowledged": f"{self.acknowledged:,} ({self.per_second:,.0f} a second)",
                "survived kill -9": f"{self.survived:,}",
                "acknowledged and lost": f"{self.lost:,}",
            },
        )


def kill_amid_appends(commitlog_sync: "CommitLogSync", seconds: float = 2.0) -> Killed:
    """Append to a throw-away node of one replica until kill -9, start it again, and count the commits that survived.

    Takes about 20 s: the node starts twice. Its data is deleted.
    """
    acknowledged: list[Commit] = []
    with _start(commitlog_sync=commitlog_sync) as cluster:
        with closing(open_store(f"{cluster.url(KEYSPACE)}&timeout={PATIENCE}")) as store:
            writers = [Thread(target=_append_until_killed, args=(store, w, acknowledged)) for w in range(WRITERS)]
            for writer in writers:
                writer.start()
            time.sleep(seconds)
            cluster.kill("us")
            for writer in writers:
                writer.join()
        cluster.revive("us")
        with closing(open_store(cluster.url(KEYSPACE))) as store:
            there = {row for writer in range(WRITERS) for row in store.rows("ann", f"frosting:of {writer}")}
    survived = len(there.intersection(acknowledged))
    return Killed(commitlog_sync, len(acknowledged), survived, len(acknowledged) / seconds)


def _append_until_killed(store: EventStore, writer: int, acknowledged: list[Commit]) -> None:
    try:
        for number in count():
            made = commit(f"of {writer}", number, request(number))
            store.append("ann", [made])
            acknowledged.append(made)
    except (OutcomeUnknown, StoreError):
        return  # the node is dead; the outcome of this append is unknown


def _start(say: Callable[[str], None] = print, **options: Any) -> "Cluster":
    try:
        from eslab.cluster import Cluster
    except ImportError as error:
        raise InvalidInput(f"Expected the packages of Cassandra, {error}: pip install 'eslab[cassandra]'.") from None
    return Cluster.start(on_progress=say, **options)


def _batches(key: str, numbers: range) -> Iterator[list[Commit]]:
    for first in range(0, len(numbers), BATCH):
        yield [commit(key, number, request(number)) for number in numbers[first : first + BATCH]]


def _time(session: Any, statement: Any, customer: str) -> tuple[float, int]:
    began = time.perf_counter()
    rows = len(list(session.execute(statement, (customer,))))
    return (time.perf_counter() - began) * 1000, rows
