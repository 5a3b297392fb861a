"""Lesson 09: one active site with a warm standby. What distance costs its customers, and what a failover loses."""

import sqlite3
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from random import Random
from typing import Any, NamedTuple

import altair
import pandas

from eslab import EventStore, ManualClock, Request, open_store
from eslab.domains.bakery import AddColor, open_bakery
from eslab.domains.downloads.service import DownloadService
from eslab.faults import Line, Script
from eslab.faults.simulation.parted import ROUND_TRIPS
from eslab.lab import charts
from eslab.lab.session import START

HEADER = altair.Header(labelAnchor="start", labelOrient="top", labelFontSize=13, labelFontWeight="bold")
NEAR = 10  # ms to a site in one's own region, assumed
EUROPE, ASIA = (round(1000 * ROUND_TRIPS["us", region]) for region in ("eu", "asia"))
DISTANCES = {"US": NEAR, "Europe": EUROPE, "Asia": ASIA}  # ms to a site in the US
BOWL = "frosting:1"
ONE, EACH = "one active site, in the US", "a site in each region"


def session(round_trip: int) -> tuple[int, float]:
    """The calls of an evening on one phone, one after another, and the seconds that they spend on the way.

    The service is the real one, and the way is a `Line` with this round trip. No other time passes.
    """
    clock = ManualClock(START)
    service = DownloadService(open_store("memory:"), clock)
    line = Line(Script(), clock, latency=timedelta(milliseconds=round_trip) / 2, calls=CALLS)
    download, play, renew = (line.over(getattr(service, name)) for name in CALLS)
    for title in ("glow", "bolt", "amadeus"):
        granted: Any = download("ann", "phone", title, Request.at(clock(), f"get {title}"))
        play("ann", "phone", title, granted.license_id, Request.at(clock(), f"play {title}"))
        renew("ann", "phone", title, granted.license_id, Request.at(clock(), f"renew {title}"))
    return len(line.log), (clock() - START).total_seconds()


CALLS = ("request_download", "start_playback", "renew")


def distances() -> pandas.DataFrame:
    """What the same session costs customers near and far, with one active site and with a site in each region."""
    lines = []
    for region, round_trip in DISTANCES.items():
        for design, way in ((ONE, round_trip), (EACH, NEAR)):
            calls, seconds = session(way)
            lines.append({"customers in": region, "design": design, "calls": calls, "on the way, s": seconds})
    return pandas.DataFrame(lines)


def distance_chart(found: pandas.DataFrame) -> charts.Figure:
    """Bars of the seconds on the way, by region and design."""
    bars = (
        altair.Chart(found)
        .mark_bar()
        .encode(
            x=altair.X("on the way, s:Q", title="seconds on the way"),
            y=altair.Y("design:N", title=None, axis=altair.Axis(labelLimit=200)),
            row=altair.Row("customers in:N", title=None, sort=list(DISTANCES), header=HEADER),
            color=altair.Color("design:N", legend=None),
        )
        .properties(width=360, height=52)
    )
    far: Any = found[found["design"] == ONE]
    told = ", ".join(
        f"{seconds:g} s from {region}"
        for region, seconds in zip(far["customers in"], far["on the way, s"], strict=True)
    )
    near = found.loc[found["design"] == EACH, "on the way, s"].max()
    words = f"Seconds that {found['calls'].iloc[0]} calls spend on the way. With one active site: {told}. "
    return charts.show(bars, alt=f"{words}With a site in each region: {near:g} s from everywhere.", table=found)


class Acknowledged(NamedTuple):
    """A wish that a customer was told is kept."""

    customer: str
    request: Request


class Sites:
    """An active site that answers, and a standby to which its rows are copied, each of them `lag` later."""

    def __init__(self, lag: timedelta) -> None:
        self.lag = lag
        self.active, self.standby = open_store("memory:"), open_store("memory:")
        self.serving = self.active
        self.clock = ManualClock(START)
        self.acknowledged: list[Acknowledged] = []
        self._under_way: deque[tuple[datetime, str]] = deque()  # when the rows of a customer arrive

    def serve(self, writes: float, seconds: float, seed: int) -> None:
        """Acknowledge wishes for a while, as many a second on average; each is a customer of its own."""
        random = Random(seed)  # noqa: S311 - repeatable on purpose
        bakery, end = open_bakery(self.serving, self.clock), self.clock() + timedelta(seconds=seconds)
        while (at := self.clock() + timedelta(seconds=random.expovariate(writes))) < end:
            self.clock.now = at
            wish = Acknowledged(f"customer-{len(self.acknowledged):05}", Request.new(self.clock, random))
            bakery.send(wish.customer, BOWL, AddColor("red"), wish.request)
            self.acknowledged.append(wish)
            self._under_way.append((at + self.lag, wish.customer))
            self._copy()
        self.clock.now = end
        self._copy()

    def _copy(self) -> None:
        while self.serving is self.active and self._under_way and self._under_way[0][0] <= self.clock():
            _, customer = self._under_way.popleft()
            self.standby.append(customer, list(self.active.rows(customer, BOWL)))

    def fail_over(self) -> None:
        """The active site is dead, with all that was not copied. The standby takes over."""
        self.serving = self.standby

    def missing(self, store: EventStore) -> list[Acknowledged]:
        """The acknowledged wishes that a site doesn't hold."""
        return [wish for wish in self.acknowledged if not list(store.rows(wish.customer, BOWL))]

    def come_back(self) -> None:
        """The dead site is back after all: both sites get the rows of the other."""
        for store, other in ((self.standby, self.active), (self.active, self.standby)):
            for customer in list(other.customers()):
                store.append(customer, list(other.rows(customer, BOWL)))


def failovers(lags: Sequence[float], writes: Sequence[int], seed: int, seconds: float = 20) -> pandas.DataFrame:
    """What is lost when the active site dies after some seconds, for each lag in seconds and each load."""
    lines = []
    for lag in lags:
        for load in writes:
            sites = Sites(timedelta(seconds=lag))
            sites.serve(load, seconds, seed)
            counts = {
                "acknowledged": len(sites.acknowledged),
                "lost": len(sites.missing(sites.standby)),
                "lag x writes": lag * load,
            }
            lines.append({"lag, s": lag, "writes a second": load, **counts})
    return pandas.DataFrame(lines)


class Numbered(NamedTuple):
    """Two sites that number their rows, after a failover and the return of the old site."""

    lost: int
    taken_over: int  # wishes that the standby acknowledged
    collided: int  # numbers that both sites gave away, to different wishes
    example: tuple[int, str, str]  # a number, and its wish in either site


def numbered(acknowledged: int, copied: int, taken_over: int) -> Numbered:
    """Fail over between two SQLite databases that give each row the next number, as AUTO_INCREMENT does."""
    insert = "INSERT INTO wishes (wish) VALUES (?)"
    with _numbering() as active, _numbering() as standby:
        active.executemany(insert, [(f"customer-{number:03}",) for number in range(acknowledged)])
        first = active.execute("SELECT id, wish FROM wishes ORDER BY id LIMIT ?", (copied,)).fetchall()
        standby.executemany("INSERT INTO wishes (id, wish) VALUES (?, ?)", first)
        standby.executemany(insert, [(f"new customer-{number:03}",) for number in range(taken_over)])
        old, new = (dict(site.execute("SELECT id, wish FROM wishes").fetchall()) for site in (active, standby))
    collided = [number for number in old if number in new and old[number] != new[number]]
    return Numbered(acknowledged - copied, taken_over, len(collided), (collided[0], old[collided[0]], new[collided[0]]))


@contextmanager
def _numbering() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE wishes (id INTEGER PRIMARY KEY AUTOINCREMENT, wish TEXT)")
        yield database
