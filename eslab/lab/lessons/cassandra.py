"""Lesson 03: a node, questions that a key answers or refuses, wide partitions, and timed queries."""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import median
from typing import TYPE_CHECKING, Any, cast

import altair
import pandas

from eslab import EventStore, InvalidInput
from eslab.bench.sample import commit, request
from eslab.display import quantity
from eslab.lab import charts
from eslab.store import Commit, Consistency

if TYPE_CHECKING:
    from eslab.cluster import Cluster
    from eslab.stores.cassandra import CassandraStore

KEYSPACE = "lab_lesson"
BATCH = 500  # commits in one append while a partition is filled: about 100 KB
LATER = 10_000_000  # seconds after the others: the time of a partition's newest commits
RUNS = 5  # of each query; the median counts
APPENDS = 100  # at each consistency level; the median counts
READ = re.compile(r"Read (\d+) live rows")
NEWEST = 10  # rows that a small query returns
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
    cluster = start_node(say)
    return LessonNode(cluster.url(KEYSPACE), cluster, time.perf_counter() - began)


LOG = "lesson_log"
OF_FAY = f"SELECT aggregate_id, event_time FROM {LOG} WHERE customer_id = 'fay'"  # noqa: S608
SINCE = "minTimeuuid('2026-01-05')"
QUESTIONS = {
    "one aggregate": f"{OF_FAY} AND aggregate_id = 'downloaded:glow'",
    "one aggregate since a moment": (f"{OF_FAY} AND aggregate_id = 'downloaded:glow' AND event_time > {SINCE}"),
    "all licences": f"{OF_FAY} AND aggregate_id >= 'license:' AND aggregate_id < 'license;'",
    "everything since a moment": f"{OF_FAY} AND event_time > {SINCE}",
}


def ask_with_key(store: EventStore, key: str) -> pandas.DataFrame:
    """Copy the keys of Fay's events to a table with this primary key, and ask it four questions."""
    session = cast("CassandraStore", store).session
    session.execute(f"DROP TABLE IF EXISTS {LOG}")
    session.execute(f"CREATE TABLE {LOG} (customer_id text, aggregate_id text, event_time timeuuid, PRIMARY KEY {key})")
    insert = f"INSERT INTO {LOG} (customer_id, aggregate_id, event_time) VALUES ('fay', %s, %s)"  # noqa: S608
    for row in session.execute("SELECT aggregate_id, event_time FROM events WHERE customer_id = 'fay'"):
        session.execute(insert, tuple(row))
    return pandas.DataFrame(
        {
            "question": name,
            "asks": cql.removeprefix(f"{OF_FAY} AND ").replace(SINCE, "t"),
            "answer": _answer(session, cql),
        }
        for name, cql in QUESTIONS.items()
    )


def _answer(session: Any, cql: str) -> str:
    """The number of rows, or Cassandra's reason to refuse the question."""
    from cassandra import InvalidRequest

    try:
        return quantity(len(session.execute(cql).all()), "row")
    except InvalidRequest as error:
        return f"refused: {refusal(error)}"


def refusal(error: Exception) -> str:
    """Cassandra's own words in an error of the driver; the whole error if it holds none."""
    found = re.search(r'message="(.*)"', str(error), re.DOTALL)
    return found[1] if found else f"{type(error).__name__}: {error}"


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
    """Ask each partition three questions: the median milliseconds, and the numbers of rows returned and read.

    The queries take turns and the first round isn't measured, so a node that is warming up favours none. The rows
    read are those that the node counts in its own trace.
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
    medians = pandas.DataFrame(timed[len(asked) :]).groupby(["partition", "question"], sort=False, as_index=False)
    read = [rows_read(traced(session, prepared[question], (customers[size],))) for size, question in asked]
    return medians.median().assign(**{"rows read": read})


def traced(session: Any, statement: Any, values: Sequence[Any]) -> list[str]:
    """What the node did for a query, over all its pages, in the words of its trace."""
    found = session.execute(statement, values, trace=True)
    list(found)  # the later pages are read only when they are asked for
    return [event.description for trace in found.get_all_query_traces(10) for event in trace.events]


def rows_read(did: Sequence[str]) -> int:
    """The rows that were read, whether or not they were returned."""
    return sum(int(found[1]) for text in did if (found := READ.search(text)))


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


def start_node(say: Callable[[str], None] = print, **options: Any) -> "Cluster":
    try:
        from eslab.cluster import Cluster
    except ImportError as error:
        raise InvalidInput(f"Expected the packages of Cassandra, {error}: pip install 'eslab[cassandra]'.") from None
    return Cluster.start(on_progress=say, brief=True, **options)


def _batches(key: str, numbers: range) -> Iterator[list[Commit]]:
    for first in range(0, len(numbers), BATCH):
        yield [commit(key, number, request(number)) for number in numbers[first : first + BATCH]]


def _time(session: Any, statement: Any, customer: str) -> tuple[float, int]:
    began = time.perf_counter()
    rows = len(list(session.execute(statement, (customer,))))
    return (time.perf_counter() - began) * 1000, rows
