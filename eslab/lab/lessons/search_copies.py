"""Lesson 09: a model of one node's network link, on which rows and the files of a search index travel together.

The index is kept as Solr's own replication kept it: a file is never changed. Each commit writes a new one, a segment;
when a level has `merge` of them, they are merged into one of the next level, a new file again. The copies ask for the
newest commit, fetch every file of it that they lack, whole, and only then search in it.

The bytes of a download are measured (`weights`). All else is assumed, and told by `Link.assumptions`. Time is a count
of seconds, and how the load varies follows from the seed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import accumulate
from random import Random
from typing import Any, NamedTuple

import pandas

from eslab.display import quantity, table
from eslab.lab.lessons.weights import Weights

INDEX, TABLE = "search index", "read tables"
REPLICAS = 3  # of each row
COMMIT = 5  # seconds from one commit of the index to the next
HOUR, LOAD_TEST = 3_600, 300  # seconds
VARIES = 0.1  # the load of a second is up to so much above or below the mean
MEGABIT = 1_000_000 / 8  # bytes
LONGEST_LAG, LONGEST_WAIT = 40, 1  # seconds: what is demanded of searches and of writes


@dataclass(frozen=True, repr=False)
class Link:
    """A node, what travels over its link, and the load. The node also is the one that writes the index files."""

    weights: Weights
    writes: int = 4_000  # downloads a second, of all nodes
    copies: int = 2  # of the index, each whole
    merge: int = 10  # segments that become one
    megabits: int = 100  # a second: what the link carries
    nodes: int = 6
    seed: int = 7

    @property
    def capacity(self) -> float:
        """The bytes that the link carries in a second."""
        return self.megabits * MEGABIT

    def row_bytes(self, design: str) -> float:
        """The bytes of rows that the node sends for each download: its share of three replicas."""
        own = self.weights.rows + (self.weights.table if design == TABLE else 0)
        return own * REPLICAS / self.nodes

    @property
    def assumptions(self) -> dict[str, str]:
        """Each figure with its unit, and whether it was measured."""
        bytes_of = {"rows": self.weights.rows, "read tables": self.weights.table, "index": self.weights.entry}
        measured = {
            f"{name} of a download": f"{quantity(round(size), 'byte')}, measured" for name, size in bytes_of.items()
        }
        assumed = {
            "load": f"{quantity(self.writes, 'download')} a second, and up to {VARIES:.0%} more or less",
            "link": f"{self.megabits:,} Mbit/s: {self.capacity / 1e6:g} MB in a second",
            "nodes": f"{self.nodes}, and {REPLICAS} replicas of each row",
            "index": f"a commit every {COMMIT} s; {self.merge} segments become one",
            "copies": f"{quantity(self.copies, 'whole copy', 'whole copies')} of the index",
            "sharing": f"rows have {REPLICAS - 1} connections, each copy has one, and all get the same",
            "left out": "what a protocol adds, the time of merging and searching, and texts that an index keeps",
        }
        return measured | {name: f"{words}, assumed" for name, words in assumed.items()}

    def __repr__(self) -> str:
        return f"Link({'; '.join(f'{name}: {value}' for name, value in self.assumptions.items())})"

    def _repr_html_(self) -> str:
        return table("A node's link", self.assumptions)


class Segment(NamedTuple):
    """A file of the index."""

    number: int
    level: int
    size: float


class Files:
    """The files of the newest commit."""

    def __init__(self, merge: int) -> None:
        self.merge = merge
        self.segments: list[Segment] = []
        self._number = 0

    def commit(self, size: float) -> None:
        """Write a segment, then merge each level that is full."""
        self._add(0, size)
        level = 0
        while len(full := [one for one in self.segments if one.level == level]) >= self.merge:
            self.segments = [one for one in self.segments if one.level != level]
            level += 1
            self._add(level, sum(one.size for one in full))

    def _add(self, level: int, size: float) -> None:
        """Write a new file."""
        self._number += 1
        self.segments.append(Segment(self._number, level, size))


@dataclass
class Fetch:
    """The files of a commit on their way to all copies."""

    until: int  # the second of the commit
    numbers: set[int]
    left: float  # bytes that are not there yet


def travel(link: Link, design: str = INDEX, seconds: int = HOUR) -> pandas.DataFrame:
    """What the link carries in each second, how long a write waits for it, and how far the copies are behind."""
    return pandas.DataFrame(_travel(link, design, seconds))


def _travel(link: Link, design: str, seconds: int) -> Iterator[dict[str, float]]:
    random = Random(link.seed)  # noqa: S311 - repeatable on purpose
    came = [link.writes * random.uniform(1 - VARIES, 1 + VARIES) for _ in range(seconds)]
    so_far = [0.0, *accumulate(came)]
    files, fetch, held, committed, found = Files(link.merge), None, set(), 0, 0
    rows = 0.0  # bytes that wait
    for second in range(1, seconds + 1):
        rows += came[second - 1] * link.row_bytes(design)
        if design == INDEX and second % COMMIT == 0:
            files.commit((so_far[second] - so_far[committed]) * link.weights.entry)
            committed = second
        if fetch is None and found < committed:
            lacking = [one.size for one in files.segments if one.number not in held]
            fetch = Fetch(committed, {one.number for one in files.segments}, link.copies * sum(lacking))
        sent, copied = _shared(link, rows, fetch.left if fetch else 0.0)
        rows -= sent
        if fetch:
            fetch.left -= copied
            if fetch.left < 1:
                held, found, fetch = fetch.numbers, fetch.until, None
        until = found if design == INDEX else second
        yield {
            "second": second,
            "rows, MB/s": sent / 1e6,
            "index, MB/s": copied / 1e6,
            "wait, s": rows / sent if rows >= 1 else 0.0,
            "lag, s": second - until,
            "not found": round(so_far[second] - so_far[until]),
        }


def _shared(link: Link, rows: float, index: float) -> tuple[float, float]:
    """The bytes of rows and of the index that travel in a second: equal parts for connections that want more."""
    part = (REPLICAS - 1) / (REPLICAS - 1 + link.copies)
    sent = min(rows, max(part * link.capacity, link.capacity - index))
    return sent, min(index, link.capacity - sent)


class Worst(NamedTuple):
    """The worst seconds of a run."""

    lag: float
    wait: float
    not_found: int
    busy: float  # the mean share of the link

    @property
    def passes(self) -> bool:
        """Are searches and writes as quick as demanded?"""
        return self.lag <= LONGEST_LAG and self.wait <= LONGEST_WAIT

    def __str__(self) -> str:
        told = [f"{brief(self.lag)} behind"] if self.lag else []
        told += [f"writes wait {brief(self.wait)}"] if self.wait > LONGEST_WAIT else []
        return f"{'✓' if self.passes else '✗'} {', '.join(told) or 'nothing waits'}"


def brief(seconds: float) -> str:
    """A time in seconds, or in minutes if it is longer than two of them."""
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s" if seconds <= 120 else f"{seconds / 60:.0f} min"


def worst(ran: Any, link: Link) -> Worst:
    """The worst of a run."""
    carried = (ran["rows, MB/s"] + ran["index, MB/s"]).mean() * 1e6
    lag, wait, not_found = (ran[column].max() for column in ("lag, s", "wait, s", "not found"))
    return Worst(float(lag), float(wait), int(not_found), carried / link.capacity)


def times_sent(link: Link) -> float:
    """How often each byte of the index is sent to each copy in an hour, on a link that is never full."""
    wide = replace(link, megabits=10_000)
    ran: Any = travel(wide)
    return float(ran["index, MB/s"].sum()) * 1e6 / (HOUR * link.writes * link.weights.entry * link.copies)


GROWTH = (1, 4, 8)
PLANS = {  # what is changed before the load grows, and what grows along with it
    "the index as it is": (INDEX, {}, False),
    "a link ten times as fast": (INDEX, {"megabits": 10}, False),
    "merges of 40 segments": (INDEX, {"merge": 4}, False),
    "nodes that grow with the load": (INDEX, {}, True),
    "read tables, on nodes that grow": (TABLE, {}, True),
}


def growth(link: Link) -> pandas.DataFrame:
    """An hour of each plan, as the load grows."""
    return pandas.DataFrame(
        {"plan": plan, **{f"load x {times}": str(after(link, plan, times)) for times in GROWTH}} for plan in PLANS
    )


def after(link: Link, plan: str, times: int) -> Worst:
    """The worst of an hour under so many times the load, with this plan."""
    design, factors, grows = PLANS[plan]
    changed = {name: factor * getattr(link, name) for name, factor in factors.items()}
    nodes = link.nodes * times if grows else link.nodes
    grown = replace(link, writes=link.writes * times, nodes=nodes, **changed)
    return worst(travel(grown, design), grown)
