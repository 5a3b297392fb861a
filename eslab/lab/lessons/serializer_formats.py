"""Lesson 05: five formats, what they do with bytes that can't be trusted, and what they cost."""

import json
import pickle  # for comparison only; nothing in eslab stores or reads pickles
import pickletools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from statistics import median
from time import perf_counter
from typing import Any
from zlib import crc32

import altair
import msgspec
import pandas

from eslab import Aggregate, Event, Request
from eslab.aggregate import serializer_of
from eslab.lab import charts
from eslab.lab.lessons.serializer import flipped, price_at
from eslab.lab.lessons.till import till_of, v1, v2
from eslab.payload.checksum import Checksum
from eslab.payload.serializer import FORMAT, Envelope, encode_append, encode_envelope, touched_hash

COMMITS = 1000  # measured in one go
ROUNDS = 7  # of all formats in turn; the median counts
COMMAND_HASH = bytes(8)
BEGAN = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
CUSTOMER, TILL = "ann", "till:1"
EVENT_TIME = Request.at(BEGAN, "a sale").event_time
CHECKSUM = Checksum.of_commits(CUSTOMER, TILL)
CRC = 4  # bytes
SALE = {"cake": "lemon", "euros": 4}


@dataclass
class PlainSale:
    """A sale as a plain Python object, in its second version: `currency` came later."""

    cake: str
    euros: int
    currency: str = "EUR"


rung: list[str] = []


def ring(words: str) -> str:
    """Stand in for an attacker's code."""
    rung.append(words)
    return words


class Bell:
    """An object whose pickle calls `ring` when it is read."""

    def __reduce__(self) -> Any:
        return ring, ("your files, please",)


@dataclass(frozen=True)
class Keeper:
    """A way to keep a sale: its bytes, those that an attacker would send, and a reader of both."""

    name: str
    stored: bytes
    price: int  # the position of the byte that holds it
    hostile: bytes
    read: Callable[[bytes], object]

    def outcome(self, data: bytes) -> str:
        """What a reader gets from these bytes."""
        rung.clear()
        try:
            outcome = f"loads: {self.read(data)!r}"
        except Exception as error:  # show whatever the reader raises
            outcome = f"{type(error).__name__}: {str(error)[:120]}"
        return f"RAN THEIR CODE: ring({rung[0]!r})" if rung else outcome


def keepers() -> list[Keeper]:
    """The five formats; only the last two have a checksum."""
    plain = json.dumps(SALE).encode()
    packed = msgspec.msgpack.encode(SALE)
    deep = b'{"cake": "lemon", "euros": ' + b"[" * 100_000
    commit = _old_commit()
    checked_price = price_at(_with_crc(plain), lambda data: json.loads(data[:-CRC]))
    unpack = msgspec.msgpack.decode
    return [
        Keeper("pickle", _old_pickle(), _price_in_pickle(_old_pickle()), pickle.dumps(Bell()), _read_pickle),
        Keeper("JSON", plain, price_at(plain, json.loads), deep, json.loads),
        Keeper("msgpack", packed, price_at(packed, unpack), b"\x91" * 100_000 + b"\xc0", unpack),
        Keeper("JSON + CRC", _with_crc(plain), checked_price, _with_crc(deep), _read_checked),
        Keeper("commit", commit, price_at(commit), _nested(), _commit_reader()),
    ]


def untrusted_bytes() -> pandas.DataFrame:
    """What each format makes of a flipped bit, half a row, hostile bytes, and bytes of version 1.

    Every cell of the table is the result of a real call.
    """
    return pandas.DataFrame(
        {
            "format": keeper.name,
            "one bit of the price flipped": keeper.outcome(flipped(keeper.stored, keeper.price)),
            "half of it": keeper.outcome(keeper.stored[: len(keeper.stored) // 2]),
            "bytes made to harm": keeper.outcome(keeper.hostile),
            "bytes of version 1": keeper.outcome(keeper.stored),
        }
        for keeper in keepers()
    )


class Delivered(Event):
    """A cake reached its table: the event that every format stores."""

    order: str
    cake: str
    cents: int
    at: datetime


class Positional(msgspec.Struct, array_like=True, tag="Delivered:1", frozen=True, gc=False):
    """The same event without its field names."""

    order: str
    cake: str
    cents: int
    at: datetime


class Deliveries(Aggregate):
    """An aggregate that only reads deliveries."""

    def apply(self, event: Delivered) -> None:
        """Nothing to fold: the events are only read."""


@dataclass(frozen=True)
class Format:
    """A way to write an event as bytes, and to read events from bytes."""

    name: str
    write: Callable[[Delivered], bytes]
    read: Callable[[Sequence[bytes]], object]


def compare_formats() -> pandas.DataFrame:
    """Measure the bytes of one event in each format, and the microseconds to write and read it. Takes a second."""
    cakes = ("sponge", "lemon", "cherry")
    events = [Delivered(f"order {n}", cakes[n % 3], 100 + n, BEGAN + timedelta(seconds=n)) for n in range(COMMITS)]
    formats = _formats()
    stored = {form.name: [form.write(event) for event in events] for form in formats}
    took: dict[tuple[str, str], list[float]] = {}
    for _ in range(ROUNDS):
        for form in formats:
            writing = _time(lambda f=form: [f.write(event) for event in events])
            reading = _time(lambda f=form: f.read(stored[f.name]))
            took.setdefault((form.name, "write"), []).append(writing)
            took.setdefault((form.name, "read"), []).append(reading)
    return pandas.DataFrame(
        {
            "format": form.name,
            "bytes": round(sum(map(len, stored[form.name])) / COMMITS),
            **{f"µs to {do}": round(median(took[form.name, do]) / COMMITS * 1e6, 2) for do in ("write", "read")},
        }
        for form in formats
    )


def formats_chart(compared: pandas.DataFrame) -> charts.Figure:
    """Chart the bytes of an event in each format, and the time to read it."""

    def bars(column: str) -> Any:
        return (
            altair.Chart(compared)
            .mark_bar()
            .encode(x=altair.X(f"{column}:Q"), y=altair.Y("format:N", sort=None, title=None))
            .properties(height=150)
        )

    words = ", ".join(f"{name} {size} bytes and {read} µs" for name, size, _, read in compared.itertuples(index=False))
    return charts.show(
        altair.vconcat(bars("bytes"), bars("µs to read")),
        alt=f"Bytes of one event, and microseconds to read it, by format: {words}.",
        table=compared,
    )


def ratios(compared: pandas.DataFrame, one: str, other: str) -> pandas.DataFrame:
    """What one format takes of the bytes and of the times of another, in percent, by the measured table."""
    by_format = compared.set_index("format")
    share = by_format.loc[one] / by_format.loc[other]
    return pandas.DataFrame([{"": f"{one}, of {other}", **{name: f"{value:.0%}" for name, value in share.items()}}])


def _formats() -> list[Format]:
    read_json = msgspec.json.Decoder(Delivered).decode
    read_named = msgspec.msgpack.Decoder(Delivered).decode
    read_positional = msgspec.msgpack.Decoder(Positional).decode
    encode = msgspec.msgpack.encode
    return [
        Format("commit", _commit, partial(serializer_of(Deliveries).page, checksum=CHECKSUM)),
        Format("msgpack, named", encode, lambda rows: [read_named(row) for row in rows]),
        Format(
            "msgpack, positional",
            lambda e: encode(Positional(e.order, e.cake, e.cents, e.at)),
            lambda rows: [read_positional(row) for row in rows],
        ),
        Format("JSON", msgspec.json.encode, lambda rows: [read_json(row) for row in rows]),
        Format("pickle", pickle.dumps, lambda rows: [pickle.loads(row) for row in rows]),  # noqa: S301 - made above
    ]


def _time(job: Callable[[], object]) -> float:
    began = perf_counter()
    job()
    return perf_counter() - began


def _old_pickle() -> bytes:
    """A sale that was pickled before `currency` was there."""
    old = object.__new__(PlainSale)
    old.__dict__.update(SALE)
    return pickle.dumps(old, protocol=0)


def _price_in_pickle(data: bytes) -> int:
    """The position of the price in a pickle, which is taken apart and not run."""
    return next(at for code, _, at in pickletools.genops(data) if code.name == "INT" and at is not None) + 1


def _read_pickle(data: bytes) -> object:
    """The fields of an unpickled sale, since a program that uses it would read them."""
    loaded = pickle.loads(data)  # noqa: S301 - the bytes were made here
    return (loaded.cake, loaded.euros, loaded.currency) if isinstance(loaded, PlainSale) else loaded


def _with_crc(data: bytes) -> bytes:
    return data + crc32(data).to_bytes(CRC, "little")


def _read_checked(data: bytes) -> object:
    if _with_crc(data[:-CRC]) != data:
        raise ValueError("the checksum does not match")
    return json.loads(data[:-CRC])


def _commit_reader() -> Callable[[bytes], object]:
    """A reader of commits by the second version of the sale."""
    serializer = serializer_of(till_of(v2.Sold))
    return lambda data: serializer.events(data, CHECKSUM)[0]


def _old_commit() -> bytes:
    """A commit with a sale of version 1."""
    return _commit(v1.Sold(**SALE))


def _nested() -> bytes:
    """A commit of deeply nested lists with a correct checksum."""
    raw = msgspec.Raw(b"\x91" * 100_000 + b"\xc0")
    return encode_envelope(Envelope(bytes(16), FORMAT, touched_hash(TILL), COMMAND_HASH, raw), CHECKSUM)


def _commit(event: Event) -> bytes:
    return encode_append(CUSTOMER, EVENT_TIME, {TILL: [event]}, COMMAND_HASH)[TILL]
