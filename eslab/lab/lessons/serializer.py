"""Lesson 05: formats compared, bytes that can't be trusted, and a class to change."""

import json
import pickle  # for comparison only; nothing in eslab stores or reads pickles
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from statistics import median
from time import perf_counter
from types import MappingProxyType
from typing import Any

import altair
import msgspec
import pandas

from eslab import Aggregate, Command, Event, EventStore, Request
from eslab.aggregate import serializer_of
from eslab.errors import Unreadable
from eslab.event import version
from eslab.lab import charts
from eslab.lab.tables import html_table
from eslab.payload.checksum import Checksum
from eslab.payload.serializer import (
    FORMAT,
    Envelope,
    decode_envelope,
    encode_append,
    encode_envelope,
    raw_events,
    touched_hash,
)

COMMITS = 1000  # measured in one go
ROUNDS = 7  # of all formats in turn; the median counts
COMMAND_HASH = bytes(8)
BEGAN = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
CUSTOMER, TILL = "ann", "till:1"
EVENT_TIME = Request.at(BEGAN, "a sale").event_time
CHECKSUM = Checksum.of_commits(CUSTOMER, TILL)


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


class Sell(Command):
    """Sell a cake at a price, in the till's currency and unit."""

    cake: str
    price: int


def selling(sold: Any, *more: object) -> Callable[[Any, Sell, Request], list[Event]]:
    """Return a handler that records a sale as this class of event, with these values in its further fields."""
    return lambda till, command, request: [sold(command.cake, command.price, *more)]


def till_of(sold: Any, upcasters: Mapping[Any, Any] = MappingProxyType({})) -> Any:
    """Return the aggregate type `Till` for this class of sale: it counts how often each sale was made."""

    def apply(self: Any, event: Any) -> None:
        self.sales[str(event)] = self.sales.get(str(event), 0) + 1

    apply.__annotations__["event"] = sold
    namespace = {"apply": apply, "upcasters": upcasters}
    return msgspec.defstruct("Till", [("sales", dict[str, int], {})], bases=(Aggregate,), namespace=namespace)


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


def untrusted_bytes() -> pandas.DataFrame:
    """Read version 1 bytes, a flipped bit, half a row and hostile bytes with pickle, plain JSON and a commit.

    Every cell of the table is the result of a real call.
    """

    class Sold(Event, tag=version(2)):
        cake: str
        euros: int
        currency: str = "EUR"

    class First(Event, tag="Sold:1"):
        cake: str
        euros: int

    read = partial(serializer_of(till_of(Sold)).events, checksum=CHECKSUM)
    old = object.__new__(PlainSale)
    old.__dict__.update(cake="lemon", euros=4)
    stored = {
        "pickle": pickle.dumps(old, protocol=0),
        "JSON": json.dumps({"cake": "lemon", "euros": 4}).encode(),
        "commit": _commit(First("lemon", 4)),
    }
    hostile = {
        "pickle": pickle.dumps(Bell()),
        "JSON": b'{"cake": "lemon", "euros": ' + b"[" * 100_000,
        "commit": _nested(),
    }
    readers: dict[str, Callable[[bytes], object]] = {
        "pickle": lambda data: _sale(pickle.loads(data)),  # noqa: S301 - the bytes were made above
        "JSON": lambda data: json.loads(data),
        "commit": lambda data: read(data)[0],
    }
    damages: dict[str, Callable[[str], bytes]] = {
        "bytes of version 1": lambda name: stored[name],
        "the price's lowest bit flipped": lambda name: _dearer(stored[name]),
        "half of it": lambda name: stored[name][: len(stored[name]) // 2],
        "bytes made to harm": lambda name: hostile[name],
    }
    return pandas.DataFrame(
        {"given": given, **{name: _outcome(readers[name], damage(name)) for name in stored}}
        for given, damage in damages.items()
    )


CURRENCY = ("not there", 'with the default "EUR"', "without a default")
PRICE = {"euros: int": ("euros", int), "euros: float": ("euros", float), "cents: int": ("cents", int)}


def class_desk(store: EventStore, customer: str, aggregate_id: str, upcasters: Mapping[Any, Any]) -> Any:
    """Return menus that change the class `Sold`, and a table of how the stored commits then load."""
    import ipywidgets

    from eslab.lab.widgets import Desk

    payloads = [commit.payload for commit in store.rows(customer, aggregate_id)]
    checksum = Checksum.of_commits(customer, aggregate_id)
    number = ipywidgets.Dropdown(options=[1, 2, 3], value=3, description="version")
    currency = ipywidgets.Dropdown(options=CURRENCY, value=CURRENCY[1], description="currency")
    price = ipywidgets.Dropdown(options=list(PRICE), value="cents: int", description="price")
    use = ipywidgets.Checkbox(value=True, description="with the upcasters")
    table = ipywidgets.HTML()

    def show(_: object = None) -> None:
        values: Any = {"number": number.value, "currency": currency.value, "price": price.value}
        fold = _till(**values, upcasters=upcasters if use.value else {})
        table.value = _loaded(payloads, checksum, fold)

    for control in (number, currency, price, use):
        control.observe(show, names="value")
    show()
    controls = ipywidgets.HBox([number, currency, price, use], layout={"flex_flow": "row wrap"})
    return Desk([controls, table])


def _till(number: int, currency: str, price: str, upcasters: Mapping[Any, Any]) -> Any:
    """The aggregate of the class `Sold` that the menus describe."""
    there: dict[str, list[Any]] = {CURRENCY[0]: [], CURRENCY[1]: [("currency", str, "EUR")]}
    added = there.get(currency, [("currency", str)])
    required = [field for field in added if len(field) == 2]
    optional = [field for field in added if len(field) == 3]
    fields = [("cake", str), PRICE[price], *required, *optional]
    return till_of(msgspec.defstruct("Sold", fields, bases=(Event,), tag=version(number), frozen=True), upcasters)


def _loaded(payloads: Sequence[bytes], checksum: Checksum, fold: Any) -> str:
    rows = []
    for payload in payloads:
        stored = raw_events(decode_envelope(payload, checksum))[0]
        try:
            loaded = f"✓ {serializer_of(fold).events(payload, checksum)[0]!r}"
        except Unreadable as error:
            loaded = f"✗ {error}"
        rows.append({"stored": stored, "loads as": loaded})
    return html_table(rows)


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


def _sale(loaded: Any) -> object:
    """The fields of an unpickled sale, since a program that uses it would read them."""
    return (loaded.cake, loaded.euros, loaded.currency) if isinstance(loaded, PlainSale) else loaded


def _dearer(data: bytes) -> bytes:
    """The bytes with the price's lowest bit flipped: 4 euros become 5."""
    at = max(data.rfind(b"4"), data.rfind(b"\x04"))
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def _nested() -> bytes:
    """A commit of deeply nested lists with a correct checksum."""
    raw = msgspec.Raw(b"\x91" * 100_000 + b"\xc0")
    return encode_envelope(Envelope(bytes(16), FORMAT, touched_hash(TILL), COMMAND_HASH, raw), CHECKSUM)


def _commit(event: Event) -> bytes:
    return encode_append(CUSTOMER, EVENT_TIME, {TILL: [event]}, COMMAND_HASH)[TILL]


def _outcome(read: Callable[[bytes], object], data: bytes) -> str:
    rung.clear()
    try:
        outcome = f"loads: {read(data)!r}"
    except Exception as error:  # show whatever the reader raises
        outcome = f"{type(error).__name__}: {str(error)[:120]}"
    return f"RAN THEIR CODE: ring({rung[0]!r})" if rung else outcome
