"""Lesson 04: a thousand downloads, as relations that are joined; and the cost of a question.

Times are measured on the reader's machine, when a function is called; waits are counted.
"""

import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from random import Random
from statistics import median
from typing import Any, NamedTuple

from eslab import Request
from eslab.bench.sample import BEGAN
from eslab.display import quantity
from eslab.domains.downloads.catalogue import load_catalogue

POPULAR = ("glow", "bolt", "amadeus", "casablanca", "12-angry-men")  # first, the others after them
TITLES = 40
NAMES = ("ann", "bob", "cleo", "dan", "eve", "fay", "gus", "hal", "ida", "jon")
CUSTOMERS = 100
COUNTRIES = ("US", "GB", "DE", "JP", "BR")
DEVICES = ("phone", "tablet", "laptop")
RUNS = 5  # of each question; the median counts
Row = tuple[str, str, str]  # customer, device, country


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
        return f"{self.way}: {quantity(self.rows, 'row')} in {quantity(self.waits, 'wait')}, {self.ms} ms"

    def line(self) -> dict[str, Any]:
        """The columns of a table."""
        return {name.replace("_", " "): value for name, value in asdict(self).items() if name != "found"}


def timed(way: str, ask: Callable[[], tuple[list[Row], int]], rows_read: int | None = None) -> Asked:
    """Ask a few times; the median of the time counts."""
    took = []
    rows: list[Row] = []
    waits = 0
    for _ in range(RUNS):
        began = time.perf_counter()
        rows, waits = ask()
        took.append((time.perf_counter() - began) * 1000)
    return Asked(way, waits, rows_read, len(rows), round(median(took), 2), sorted(rows))


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
    return timed("one join", lambda: (db.execute(WHO_HAS, (title,)).fetchall(), 1))


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

    return timed("object by object", ask)
