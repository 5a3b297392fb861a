"""Lesson 09: one statement that two regions execute, each for itself, and what both hold when the link is back.

A `Region` executes statements and lists its rows. Here it is a SQLite file, a real database. `drift_on_cassandra` has
the same for two parted regions of a real cluster, and `scripts/drifted_ids.py` runs it there.
"""

import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple, Protocol

from eslab import Request
from eslab.lab.session import START

if TYPE_CHECKING:
    import pandas

EVALUATED, DERIVED = "evaluated by each region", "derived from the request"
TABLE = "CREATE TABLE downloads (id TEXT PRIMARY KEY, customer TEXT, title TEXT, at TEXT)"
SELECT = "SELECT id, customer, title, at FROM downloads ORDER BY id"


class Row(NamedTuple):
    """A download as a region holds it."""

    id: str
    customer: str
    title: str
    at: str


class Wish(NamedTuple):
    """A customer's wish, as it reaches both regions."""

    request: Request
    customer: str
    title: str = "glow"


class Statement(NamedTuple):
    """A statement with its values, as a replicator passes it on: the text is executed again on the other side."""

    text: str
    values: tuple[object, ...]


class Region(Protocol):
    """A region: what it executes, it executes for itself."""

    name: str

    def execute(self, statement: Statement) -> object:
        """Execute a statement here."""
        ...

    def rows(self) -> list[Row]:
        """The rows that are held here, in order."""
        ...


class SqliteRegion:
    """A region whose database is a SQLite file in a folder of its own; both are gone when it is closed."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._folder = TemporaryDirectory(prefix="eslab-")
        self._database = sqlite3.connect(Path(self._folder.name) / f"{name}.db", isolation_level=None)
        self._database.execute("PRAGMA synchronous = OFF")  # the file lives no longer than the lesson
        self._database.execute(TABLE)

    def execute(self, statement: Statement) -> int:
        """Execute a statement here; returns the number of rows that it changed."""
        return self._database.execute(*statement).rowcount

    def rows(self) -> list[Row]:
        """The rows that are held here, in order."""
        return [Row(*row) for row in self._database.execute(SELECT)]

    def close(self) -> None:
        """Close the file, and remove it."""
        self._database.close()
        self._folder.cleanup()


def evaluated(wish: Wish) -> Statement:
    """The failed design: the database makes the id and reads the clock, wherever the statement is executed."""
    text = (
        "INSERT OR IGNORE INTO downloads (id, customer, title, at) "
        "VALUES (hex(randomblob(16)), ?, ?, strftime('%Y-%m-%d %H:%M:%f', 'now'))"
    )
    return Statement(text, (wish.customer, wish.title))


def derived(wish: Wish) -> Statement:
    """Id and time come with the request, so they are the same wherever the statement is executed."""
    text = "INSERT OR IGNORE INTO downloads (id, customer, title, at) VALUES (?, ?, ?, ?)"
    return Statement(text, (str(wish.request.id), wish.customer, wish.title, str(wish.request.time)))


def wishes(count: int) -> list[Wish]:
    """One wish of each of so many customers, a second apart."""
    requests = [Request.at(START + timedelta(seconds=number), f"wish {number}") for number in range(count)]
    return [Wish(request, f"customer-{number:03}") for number, request in enumerate(requests)]


class Drift(NamedTuple):
    """What two regions hold: while they were parted, and after the link was healed."""

    ids: str
    where: str
    wishes: int
    us: int  # rows of a region while parted
    eu: int
    equal: int  # of these, the rows that are the same in both
    us_healed: int
    eu_healed: int
    equal_healed: int
    doubled: int  # wishes that have more than one row in the end

    def line(self) -> dict[str, object]:
        """The columns of a table."""
        return {
            "ids and times": self.ids,
            "parted: us, eu": f"{self.us}, {self.eu}",
            "in both": self.equal,
            "healed: us, eu": f"{self.us_healed}, {self.eu_healed}",
            "then in both": self.equal_healed,
            "doubled": self.doubled,
        }

    def __str__(self) -> str:
        line = {"wishes": self.wishes, **self.line(), "run on": self.where}
        return "; ".join(f"{name}: {value}" for name, value in line.items())


def execute_in_both(made: Sequence[Wish], statement: Callable[[Wish], Statement], us: Region, eu: Region) -> None:
    """Let each region execute the statement of each wish, for itself."""
    for region in (us, eu):
        for wish in made:
            region.execute(statement(wish))


def drift(
    ids: str,
    made: Sequence[Wish],
    statement: Callable[[Wish], Statement],
    regions: tuple[Region, Region],
    heal: Callable[[], None],
    where: str,
) -> Drift:
    """Let both regions, which are parted, execute the statement of each wish; count; heal the link, and count again."""
    us, eu = regions
    execute_in_both(made, statement, us, eu)
    parted = us.rows(), eu.rows()
    heal()
    healed = us.rows(), eu.rows()
    kept = Counter(row.customer for row in {*healed[0], *healed[1]})
    doubled = sum(count > 1 for count in kept.values())
    return Drift(ids, where, len(made), *_counted(*parted), *_counted(*healed), doubled)


def _counted(us: Sequence[Row], eu: Sequence[Row]) -> tuple[int, int, int]:
    return len(us), len(eu), len({*us} & {*eu})


def exchange(us: Region, eu: Region) -> None:
    """The link is back: each region gets the rows whose keys it lacks."""
    of_us, of_eu = us.rows(), eu.rows()
    for region, rows in ((us, of_eu), (eu, of_us)):
        for row in rows:
            region.execute(Statement("INSERT OR IGNORE INTO downloads VALUES (?, ?, ?, ?)", row))


DESIGNS = {EVALUATED: evaluated, DERIVED: derived}


def drift_on_sqlite(made: Sequence[Wish]) -> list[Drift]:
    """The drift of both designs, each on two new SQLite files."""
    drifts = []
    for ids, statement in DESIGNS.items():
        with closing(SqliteRegion("us")) as us, closing(SqliteRegion("eu")) as eu:
            healing = partial(exchange, us, eu)
            drifts.append(drift(ids, made, statement, (us, eu), healing, "two SQLite files"))
    return drifts


def side_by_side(us: Region, eu: Region, customer: str) -> "pandas.DataFrame":
    """The rows of a customer in both regions."""
    import pandas

    return pandas.DataFrame(
        {"region": region.name, "id": row.id[-6:], "customer": row.customer, "title": row.title, "at": row.at}
        for region in (us, eu)
        for row in region.rows()
        if row.customer == customer
    )
