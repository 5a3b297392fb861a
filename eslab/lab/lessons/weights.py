"""Lesson 09: what one download weighs, measured: the rows that eslab writes for it, and its entries in an index.

The rows are weighed as they are handed to the lesson's store. The index is a real one, SQLite's FTS5, which also keeps
its words in segments that are merged.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, cast

import pandas

from eslab import Clock, EventStore, Request
from eslab.domains.downloads.service import DownloadService
from eslab.lab.lessons.relations import downloads
from eslab.operations.inspection import Inspector
from eslab.store import Commit, Consistency, ReadRow

MOMENT, NUMBER = 16, 4  # bytes of a timeuuid and of an int, as Cassandra's protocol writes them
INDEX = "CREATE VIRTUAL TABLE searched USING fts5(words, content='')"  # it keeps no text, only where each word is
SIZE = "SELECT sum(length(block)) FROM searched_data"


@dataclass(frozen=True)
class Weights:
    """The mean bytes of one download."""

    downloads: int  # that were granted and weighed
    payload: float  # what carries its events
    rows: float  # its commits with their keys and their entries in the directory, payloads among them
    table: float  # its rows in the read tables
    entry: float  # in the index

    def table_of_bytes(self) -> pandas.DataFrame:
        """Each figure with where it comes from."""
        source = f"measured, mean of {self.downloads} downloads"
        lines = {
            "payloads of its events": (self.payload, source),
            "all rows of its events": (self.rows, source),
            "its rows in three read tables": (self.table, source),
            "its entries in the index": (self.entry, f"{source}, in SQLite's FTS5"),
        }
        return pandas.DataFrame(
            {"one download": what, "bytes": round(size), "from": where} for what, (size, where) in lines.items()
        )


class Scales:
    """A store that weighs what is written to it, and passes everything on."""

    def __init__(self, store: EventStore) -> None:
        self.store = store
        self.payload = self.rows = self.table = 0

    def append(
        self,
        customer_id: str,
        commits: Sequence[Commit],
        consistency: Consistency = Consistency.LOCAL,
        read_rows: Sequence[ReadRow] = (),
    ) -> None:
        """Weigh an append, then do it."""
        for commit in commits:
            key = [customer_id, commit.aggregate_id]
            self.payload += len(commit.payload)
            self.rows += _commit_bytes(commit) + _text_bytes([customer_id]) + _text_bytes(key) + MOMENT
        self._weigh(read_rows)
        self.store.append(customer_id, commits, consistency, read_rows)

    def put_read_rows(self, rows: Sequence[ReadRow], consistency: Consistency = Consistency.LOCAL) -> None:
        """Weigh rows of read tables, then write them."""
        self._weigh(rows)
        self.store.put_read_rows(rows, consistency)

    def _weigh(self, rows: Iterable[ReadRow]) -> None:
        self.table += sum(_commit_bytes(row.commit) + _text_bytes(row.key) for row in rows)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


def weigh(store: EventStore, clock: Clock, count: int, seed: int) -> Weights:
    """Send so many downloads through the real service, and weigh those that are granted."""
    scales = Scales(store)
    service = DownloadService(cast(EventStore, scales), clock)
    granted = 0
    for number, one in enumerate(downloads(count, seed)):
        request = Request.at(clock(), f"download {number}")
        answer = service.request_download(one.customer, one.device, one.title, request, country=one.country)
        granted += not isinstance(answer, Exception)
    weights = (scales.payload, scales.rows, scales.table, index_bytes(documents(store)))
    return Weights(granted, *(weight / granted for weight in weights))


def documents(store: EventStore) -> list[str]:
    """The words of every commit in the store, as a search engine would get them: the values of its events."""
    return [
        " ".join(str(value) for event in commit.events for value in event.values())
        for customer in store.customers()
        for id in store.heads_of_type(customer, "")
        for commit in Inspector(store, customer).commits(id)
    ]


def index_bytes(documents: Sequence[str]) -> int:
    """The size of an index over these documents, merged into one segment."""
    with closing(sqlite3.connect(":memory:")) as index:
        index.execute(INDEX)
        index.executemany("INSERT INTO searched (rowid, words) VALUES (?, ?)", enumerate(documents, 1))
        index.execute("INSERT INTO searched (searched) VALUES ('optimize')")
        return index.execute(SIZE).fetchone()[0]


def _commit_bytes(commit: Commit) -> int:
    """The bytes of a commit without its customer: key and values, without what a protocol puts around them."""
    return _text_bytes([commit.aggregate_id, commit.event_type]) + MOMENT + NUMBER + len(commit.payload)


def _text_bytes(texts: Iterable[str]) -> int:
    return sum(len(text.encode()) for text in texts)
