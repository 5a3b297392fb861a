"""Lesson 04: one set of downloads, as relations and as tables made for a question.

All times are measured on the reader's machine, when a function is called.
"""

import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import altair
import pandas

from eslab import EventStore
from eslab.bench.sample import BEGAN
from eslab.lab import charts
from eslab.request import Request

if TYPE_CHECKING:
    from eslab.domains.downloads.read_tables import TitleOnPage
    from eslab.stores.cassandra import CassandraStore

CUSTOMERS = 200
TITLES = 40
STUDIOS = 5
DEVICES = ("phone", "tablet", "laptop")
RUNS = 5  # of each question; the median counts
FETCHED = 50  # customers whose names a list of downloads shows
WRITES = 300  # downloads, each written in every way


class Download(NamedTuple):
    """One download, with the fields that its event would have."""

    request: Request
    customer: str
    device: str
    title: str
    studio: str


def downloads(count: int, seed: int) -> list[Download]:
    """Make this many downloads, the same for the same seed; some titles are far more popular than others."""
    random = Random(seed)  # noqa: S311 - repeatable on purpose
    weights = [1 / (rank + 1) for rank in range(TITLES)]
    made = []
    for number in range(count):
        (title,) = random.choices(range(TITLES), weights)
        customer = f"customer {random.randrange(CUSTOMERS)}"
        device = random.choice(DEVICES)
        request = Request.at(BEGAN.replace(day=1 + number % 28, second=number % 60), f"download {number}")
        made.append(Download(request, customer, device, f"title {title}", f"studio {title % STUDIOS}"))
    return made


# The relational habit

RELATIONS = """
CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT UNIQUE);
CREATE TABLE device (id INTEGER PRIMARY KEY, customer INTEGER REFERENCES customer, name TEXT, UNIQUE (customer, name));
CREATE TABLE title (id INTEGER PRIMARY KEY, name TEXT UNIQUE, studio TEXT);
CREATE TABLE download (device INTEGER REFERENCES device, title INTEGER REFERENCES title, at TEXT);
CREATE INDEX download_title ON download (title);
"""
WHO_HAS = """
SELECT customer.name, device.name FROM download
JOIN title ON title.id = download.title JOIN device ON device.id = download.device
JOIN customer ON customer.id = device.customer WHERE title.name = ?
"""


def relational(made: list[Download]) -> sqlite3.Connection:
    """Return an in-memory database of the downloads in four relations, each fact in one place."""
    db = sqlite3.connect(":memory:")
    db.executescript(RELATIONS)
    db.executemany("INSERT OR IGNORE INTO customer (name) VALUES (?)", [(one.customer,) for one in made])
    db.executemany(
        "INSERT OR IGNORE INTO title (name, studio) VALUES (?, ?)", [(one.title, one.studio) for one in made]
    )
    db.executemany(
        "INSERT OR IGNORE INTO device (customer, name) SELECT id, ? FROM customer WHERE name = ?",
        [(one.device, one.customer) for one in made],
    )
    db.executemany(
        "INSERT INTO download SELECT device.id, title.id, ? FROM device "
        "JOIN customer ON customer.id = device.customer, title "
        "WHERE device.name = ? AND customer.name = ? AND title.name = ?",
        [(one.request.time.isoformat(), one.device, one.customer, one.title) for one in made],
    )
    return db


def by_join(db: sqlite3.Connection, title: str) -> "Asked":
    """Ask who has the title by one statement that joins four relations."""
    return _asked("one join", lambda: (db.execute(WHO_HAS, (title,)).fetchall(), 1))


def by_objects(db: sqlite3.Connection, title: str) -> "Asked":
    """Ask who has the title as a lazy object mapper does: one statement per object."""

    def one(query: str, id: object) -> tuple[Any, ...]:
        return db.execute(query, (id,)).fetchone()

    def ask() -> tuple[list[tuple[str, str]], int]:
        (wanted,) = one("SELECT id FROM title WHERE name = ?", title)
        rows = []
        for (device_id,) in db.execute("SELECT device FROM download WHERE title = ?", (wanted,)).fetchall():
            customer_id, device = one("SELECT customer, name FROM device WHERE id = ?", device_id)
            (customer,) = one("SELECT name FROM customer WHERE id = ?", customer_id)
            rows.append((customer, device))
        return rows, 2 + 2 * len(rows)

    return _asked("object by object", ask)


@dataclass(frozen=True)
class Asked:
    """The cost of a question: rows returned, waits on the store, and median milliseconds."""

    way: str
    rows: int
    waits: int
    ms: float


def _asked(way: str, ask: Callable[[], tuple[list[Any], int]]) -> Asked:
    took = []
    rows: list[Any] = []
    waits = 0
    for _ in range(RUNS):
        began = time.perf_counter()
        rows, waits = ask()
        took.append((time.perf_counter() - began) * 1000)
    return Asked(way, len(rows), waits, round(median(took), 2))


# Query first, on Cassandra

TABLES = {
    "downloads": "request timeuuid PRIMARY KEY, customer text, device text, title text",
    "customers": "name text PRIMARY KEY, country text",
    "indexed": "request timeuuid PRIMARY KEY, customer text, device text, title text",
    "by_title": "title text, request timeuuid, customer text, device text, PRIMARY KEY ((title), request)",
}
INSERT = "INSERT INTO lesson_{} (request, customer, device, title) VALUES (?, ?, ?, ?)"
INDEX = "CREATE INDEX IF NOT EXISTS lesson_title ON lesson_indexed (title) USING 'sai'"


class Tables:
    """The same downloads on Cassandra, in three ways: bare rows, rows with an index, and a table for the question."""

    def __init__(self, store: EventStore) -> None:
        self.session = cast("CassandraStore", store).session
        for name, columns in TABLES.items():
            self.session.execute(f"DROP TABLE IF EXISTS lesson_{name}")
            self.session.execute(f"CREATE TABLE lesson_{name} ({columns})")
        self.session.execute(INDEX)
        self._insert = {name: self.session.prepare(INSERT.format(name)) for name in TABLES if name != "customers"}

    def fill(self, made: list[Download]) -> None:
        """Write all downloads to all tables, and a row for each customer."""
        customer = self.session.prepare("INSERT INTO lesson_customers (name, country) VALUES (?, 'NL')")
        statements = [(customer, (name,)) for name in {one.customer for one in made}]
        for one in made:
            statements += [(insert, _values(one)) for insert in self._insert.values()]
        for start in range(0, len(statements), 100):
            for future in [self.session.execute_async(*one) for one in statements[start : start + 100]]:
                future.result()

    def ask(self, title: str) -> pandas.DataFrame:
        """Ask who has the title in three ways: by a join in the client, by the index, and by its table."""
        select = "SELECT customer, device FROM lesson_{} WHERE title = ?"
        scan, index, table = (
            self.session.prepare(select.format(name) + more)
            for name, more in (("downloads", " ALLOW FILTERING"), ("indexed", ""), ("by_title", ""))
        )
        country = self.session.prepare("SELECT country FROM lesson_customers WHERE name = ?")

        def join() -> tuple[list[Any], int]:
            rows = self.session.execute(scan, (title,)).all()
            for customer, _ in rows[:FETCHED]:
                self.session.execute(country, (customer,)).one()
            return rows, 1 + len(rows[:FETCHED])

        ways = [
            _asked("scan, then a read for each customer", join),
            _asked("an index on title (SAI)", lambda: (self.session.execute(index, (title,)).all(), 1)),
            _asked("a table for the question", lambda: (self.session.execute(table, (title,)).all(), 1)),
        ]
        return pandas.DataFrame(ways)

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
                for future in [self.session.execute_async(self._insert[name], _values(one)) for name in names]:
                    future.result()
                took[way].append((time.perf_counter() - began) * 1000)
        return pandas.DataFrame(
            {"way": way, "p50 ms": round(median(all), 2), "p99 ms": round(quantiles(all, n=100)[98], 2)}
            for way, all in took.items()
        )


def cost_of_ways(asked: pandas.DataFrame) -> charts.Figure:
    """Chart the cost of each way to ask the same question."""
    chart = (
        altair.Chart(asked)
        .mark_bar()
        .encode(
            x=altair.X("ms:Q", title="milliseconds"),
            y=altair.Y("way:N", sort=None, title=None, axis=altair.Axis(labelLimit=250)),
        )
    )
    words = ", ".join(f"{way} {ms} ms in {waits} waits" for way, _, waits, ms in asked.itertuples(index=False))
    return charts.show(chart, alt=f"What the same question costs: {words}.", table=asked)


def page_table(page: Sequence["TitleOnPage"]) -> pandas.DataFrame:
    """Return a customer's page as a table, one row per licence."""
    rows = [
        {"title": title.title, "downloads": title.downloads, "device": licence.device, "licence": str(licence.status)}
        for title in page
        for licence in title.licences
    ]
    return pandas.DataFrame(rows, columns=["title", "downloads", "device", "licence"])


def _values(one: Download) -> tuple[Any, ...]:
    return one.request.event_time, one.customer, one.device, one.title
