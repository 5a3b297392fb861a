"""Lesson 04: the same downloads on Cassandra, joined in the program, and in a table made for the question.

Times are measured on the reader's machine, when a function is called; waits and rows read are counted.
"""

import re
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any, TypeVar, cast

import altair
import pandas

from eslab import EventStore
from eslab.bench.meters import metered
from eslab.display import quantity
from eslab.lab import charts
from eslab.lab.lessons.cassandra import rows_read, traced
from eslab.lab.lessons.relations import Asked, Download, Row, timed

if TYPE_CHECKING:
    from eslab.domains.downloads.read_tables import TitleOnPage
    from eslab.stores.cassandra import CassandraStore

WRITES = 300  # downloads, each written in every way
Answer = TypeVar("Answer")

TABLES = {
    "downloads": "request timeuuid PRIMARY KEY, customer text, device text, title text",
    "customers": "name text PRIMARY KEY, country text",
    "indexed": "request timeuuid PRIMARY KEY, customer text, device text, title text",
    "by_title": "title text, request timeuuid, customer text, device text, country text, "
    "PRIMARY KEY ((title), request)",
}
INDEX = "CREATE INDEX IF NOT EXISTS lesson_title ON lesson_indexed (title) USING 'sai'"
INSERTS = {
    "downloads": "(request, customer, device, title) VALUES (?, ?, ?, ?)",
    "indexed": "(request, customer, device, title) VALUES (?, ?, ?, ?)",
    "by_title": "(request, customer, device, title, country) VALUES (?, ?, ?, ?, ?)",
    "customers": "(name, country) VALUES (?, ?)",
}
WAYS = {
    "a scan, joined in the program": "SELECT customer, device FROM lesson_downloads WHERE title = %s ALLOW FILTERING",
    "an index, joined in the program": "SELECT customer, device FROM lesson_indexed WHERE title = %s",
    "a table for the question": "SELECT customer, device, country FROM lesson_by_title WHERE title = %s",
}
COUNTRY = "SELECT country FROM lesson_customers WHERE name = ?"
RANGES, PARTITION = re.compile(r"on (\d+) ranges"), "Executing single-partition"


class Tables:
    """The same downloads on Cassandra, in three ways: bare rows, rows with an index, and a table for the question."""

    def __init__(self, store: EventStore) -> None:
        self.session = cast("CassandraStore", store).session
        for name, columns in TABLES.items():
            self.session.execute(f"DROP TABLE IF EXISTS lesson_{name}")
            self.session.execute(f"CREATE TABLE lesson_{name} ({columns})")
        self.session.execute(INDEX)
        self._insert = {
            name: self.session.prepare(f"INSERT INTO lesson_{name} {values}") for name, values in INSERTS.items()
        }
        self._country = self.session.prepare(COUNTRY)

    def fill(self, made: list[Download]) -> None:
        """Write all downloads to all tables, and a row for each customer."""
        statements = [(self._insert[name], _values(name, one)) for one in made for name in TABLES]
        for start in range(0, len(statements), 100):
            for future in [self.session.execute_async(*one) for one in statements[start : start + 100]]:
                future.result()

    def ask(self, title: str) -> list[Asked]:
        """Ask who has the title, on which device and in which country: the same rows and fields in three ways."""
        asked = []
        for way, cql in WAYS.items():
            is_joined = "country" not in cql
            rows = self.session.execute(cql, (title,)).all()
            customers = len({row[0] for row in rows}) if is_joined else 0
            asked.append(
                timed(way, lambda cql=cql: self._ask(cql, title), self._traced(cql, title)["rows read"] + customers)
            )
        return asked

    def trace(self, title: str) -> pandas.DataFrame:
        """What the node did for the first statement of each way, counted in its own trace."""
        return pandas.DataFrame({"way": way, **self._traced(cql, title)} for way, cql in WAYS.items())

    def write(self, made: list[Download]) -> pandas.DataFrame:
        """Time the write of a download in three ways: the row alone, with an index, and with the table's row."""
        ways = {
            "the row alone": ["downloads"],
            "the row and its index": ["indexed"],
            "the row and the table's": ["downloads", "by_title"],
        }
        took: dict[str, list[float]] = {way: [] for way in ways}
        for one in made[:WRITES]:
            for way, names in ways.items():
                began = time.perf_counter()
                for future in [self.session.execute_async(self._insert[name], _values(name, one)) for name in names]:
                    future.result()
                took[way].append((time.perf_counter() - began) * 1000)
        return pandas.DataFrame({"way": way, "median ms": round(median(all), 2)} for way, all in took.items())

    def _ask(self, cql: str, title: str) -> tuple[list[Row], int]:
        """The answer, and the number of waits; where the country is missing, it is read for each customer."""
        rows = [tuple(row) for row in self.session.execute(cql, (title,))]
        if "country" in cql:
            return cast(list[Row], rows), 1
        customers = {customer for customer, _ in rows}
        country = {name: self.session.execute(self._country, (name,)).one()[0] for name in customers}
        return [(customer, device, country[customer]) for customer, device in rows], 1 + len(customers)

    def _traced(self, cql: str, title: str) -> dict[str, int]:
        did = traced(self.session, cql, (title,))
        return {
            "token ranges": sum(int(found[1]) for text in did if (found := RANGES.search(text))),
            "single partitions": sum(text.startswith(PARTITION) for text in did),
            "rows read": rows_read(did),
        }


def _values(table: str, one: Download) -> tuple[Any, ...]:
    if table == "customers":
        return one.customer, one.country
    values = (one.request.event_time, one.customer, one.device, one.title)
    return (*values, one.country) if table == "by_title" else values


def cost_of_ways(asked: Sequence[Asked]) -> charts.Figure:
    """Chart the three costs of each way to ask the same question."""
    table = pandas.DataFrame([one.line() for one in asked])
    costs = table.drop(columns="rows").melt("way", var_name="cost", value_name="count")
    bars = (
        altair.Chart(costs)
        .mark_bar()
        .encode(
            x=altair.X("count:Q", title=None, axis=altair.Axis(tickCount=3)),
            y=altair.Y("way:N", sort=None, title=None, axis=altair.Axis(labelLimit=220)),
            column=altair.Column("cost:N", sort=["waits", "rows read", "ms"], title=None),
        )
        .properties(width=110)
        .resolve_scale(x="independent")
    )
    words = "; ".join(
        f"{one.way}: {quantity(one.waits, 'wait')}, {quantity(one.rows_read or 0, 'row')} read, {one.ms} ms"
        for one in asked
    )
    return charts.show(bars, alt=f"What the same {quantity(asked[0].rows, 'row')} cost. {words}.", table=table)


def counted(store: EventStore, ask: Callable[[], Answer]) -> tuple[Answer, int]:
    """The answer, and how often the program waited for the store, which is SQLite or Cassandra."""
    with metered(store) as (_, meter):
        answer = ask()
        return answer, meter.take().read_waits


def page_table(page: Sequence["TitleOnPage"]) -> pandas.DataFrame:
    """Return a customer's page as a table, one row per licence."""
    rows = [
        {"title": title.title, "downloads": title.downloads, "device": licence.device, "licence": str(licence.status)}
        for title in page
        for licence in title.licences
    ]
    return pandas.DataFrame(rows, columns=["title", "downloads", "device", "licence"])
