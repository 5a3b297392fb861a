"""Lesson 04: one set of downloads, as relations and as tables made for a question.

Times are measured on the reader's machine, when a function is called; waits and rows read are counted.
"""

import re
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from random import Random
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import altair
import pandas

from eslab import EventStore
from eslab.bench.meters import metered
from eslab.bench.sample import BEGAN
from eslab.domains.downloads.catalogue import load_catalogue
from eslab.lab import charts
from eslab.lab.lessons.cassandra import rows_read, traced
from eslab.request import Request

if TYPE_CHECKING:
    from eslab.domains.downloads.read_tables import TitleOnPage
    from eslab.stores.cassandra import CassandraStore

POPULAR = ("glow", "bolt", "amadeus", "casablanca", "12-angry-men")  # first, the others after them
TITLES = 40
NAMES = ("ann", "bob", "cleo", "dan", "eve", "fay", "gus", "hal", "ida", "jon")
CUSTOMERS = 100
COUNTRIES = ("US", "GB", "DE", "JP", "BR")
DEVICES = ("phone", "tablet", "laptop")
RUNS = 5  # of each question; the median counts
WRITES = 300  # downloads, each written in every way
Row = tuple[str, str, str]  # customer, device, country
Answer = TypeVar("Answer")


class Download(NamedTuple):
    """One download, with the fields that its event would have, and the customer's country."""

    request: Request
    customer: str
    country: str
    device: str
    title: str
    studio: str


def downloads(count: int, seed: int) -> list[Download]:
    """Make this many downloads, the same for the same seed; some titles are far more popular than others."""
    random = Random(seed)  # noqa: S311 - repeatable on purpose
    titles = _titles()
    weights = [1 / (rank + 1) for rank in range(TITLES)]
    made = []
    for number in range(count):
        (title,) = random.choices(titles, weights)
        customer = random.randrange(CUSTOMERS)
        name = f"{NAMES[customer % len(NAMES)]}-{customer // len(NAMES)}"
        request = Request.at(BEGAN.replace(day=1 + number % 28, second=number % 60), f"download {number}")
        country = COUNTRIES[customer % len(COUNTRIES)]
        made.append(Download(request, name, country, random.choice(DEVICES), title, load_catalogue()[title].studio))
    return made


def _titles() -> list[str]:
    others = [title for title in load_catalogue() if title not in POPULAR]
    return [*POPULAR, *others[:: len(others) // TITLES]][:TITLES]


@dataclass(frozen=True, repr=False)
class Asked:
    """The cost of a question: waits on the store, rows read and returned, and median milliseconds."""

    way: str
    waits: int
    rows_read: int | None  # None: nobody counted
    rows: int
    ms: float
    found: Sequence[Row]

    def __repr__(self) -> str:
        return f"{self.way}: {self.rows} rows in {self.waits} wait{'s' if self.waits > 1 else ''}, {self.ms} ms"

    def line(self) -> dict[str, Any]:
        """The columns of a table."""
        return {name.replace("_", " "): value for name, value in asdict(self).items() if name != "found"}


def _asked(way: str, ask: Callable[[], tuple[list[Row], int]], rows_read: int | None = None) -> Asked:
    took = []
    rows: list[Row] = []
    waits = 0
    for _ in range(RUNS):
        began = time.perf_counter()
        rows, waits = ask()
        took.append((time.perf_counter() - began) * 1000)
    return Asked(way, waits, rows_read, len(rows), round(median(took), 2), sorted(rows))


# The relational habit

RELATIONS = """
CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT UNIQUE, country TEXT);
CREATE TABLE device (id INTEGER PRIMARY KEY, customer INTEGER REFERENCES customer, name TEXT, UNIQUE (customer, name));
CREATE TABLE title (id INTEGER PRIMARY KEY, name TEXT UNIQUE, studio TEXT);
CREATE TABLE download (device INTEGER REFERENCES device, title INTEGER REFERENCES title, at TEXT);
CREATE INDEX download_title ON download (title);
"""
WHO_HAS = """
SELECT customer.name, device.name, customer.country FROM download
JOIN title ON title.id = download.title JOIN device ON device.id = download.device
JOIN customer ON customer.id = device.customer WHERE title.name = ?
"""


def relational(made: list[Download]) -> sqlite3.Connection:
    """Return an in-memory database of the downloads in four relations, each fact in one place."""
    db = sqlite3.connect(":memory:")
    db.executescript(RELATIONS)
    db.executemany(
        "INSERT OR IGNORE INTO customer (name, country) VALUES (?, ?)", [(one.customer, one.country) for one in made]
    )
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


def by_join(db: sqlite3.Connection, title: str) -> Asked:
    """Ask who has the title by one statement that joins four relations."""
    return _asked("one join", lambda: (db.execute(WHO_HAS, (title,)).fetchall(), 1))


def by_objects(db: sqlite3.Connection, title: str) -> Asked:
    """Ask who has the title as a lazy object mapper does: one statement per object."""

    def one(query: str, id: object) -> tuple[Any, ...]:
        return db.execute(query, (id,)).fetchone()

    def ask() -> tuple[list[Row], int]:
        (wanted,) = one("SELECT id FROM title WHERE name = ?", title)
        rows = []
        for (device_id,) in db.execute("SELECT device FROM download WHERE title = ?", (wanted,)).fetchall():
            customer_id, device = one("SELECT customer, name FROM device WHERE id = ?", device_id)
            customer, country = one("SELECT name, country FROM customer WHERE id = ?", customer_id)
            rows.append((customer, device, country))
        return rows, 2 + 2 * len(rows)

    return _asked("object by object", ask)


# Query first, on Cassandra

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
        read = self.trace(title).set_index("way")["rows read"]
        asked = []
        for way, cql in WAYS.items():
            is_joined = "country" not in cql
            rows = self.session.execute(cql, (title,)).all()
            customers = len({row[0] for row in rows}) if is_joined else 0
            asked.append(_asked(way, lambda cql=cql: self._ask(cql, title), int(read[way]) + customers))
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
    words = "; ".join(f"{one.way}: {one.waits} waits, {one.rows_read} rows read, {one.ms} ms" for one in asked)
    return charts.show(bars, alt=f"What the same {asked[0].rows} rows cost. {words}.", table=table)


# Read tables


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
