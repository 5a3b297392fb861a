"""What the lesson on the serializer needs: formats side by side, bytes that can't be trusted, a class to change."""

import json
import pickle  # shown beside the others, to see what it does; nothing in eslab stores or reads it
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape
from statistics import median
from time import perf_counter
from types import MappingProxyType
from typing import Any
from zlib import crc32

import altair
import msgspec
import pandas

from eslab import Aggregate, Command, Event, EventStore, Request
from eslab.aggregate import serializer_of
from eslab.errors import Unreadable
from eslab.event import version
from eslab.lab import charts
from eslab.payload.serializer import FORMAT, PLACEHOLDER, Envelope, decode_envelope, encode_append, raw_events

COMMITS = 1000  # measured in one go
ROUNDS = 7  # of all formats in turn; the median counts
WISH = bytes(8)
BEGAN = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


class Delivered(Event):
    """A cake reached its table: the event whose forms are compared."""

    order: str
    cake: str
    cents: int
    at: datetime


class Positional(msgspec.Struct, array_like=True, tag="Delivered:1", frozen=True, gc=False):
    """The same without the names of its fields."""

    order: str
    cake: str
    cents: int
    at: datetime


class Deliveries(Aggregate):
    """Whatever was delivered."""

    def apply(self, event: Delivered) -> None:
        """Formats are compared, not folds."""


@dataclass(frozen=True)
class Format:
    """One way to make bytes of an event, and to make the event of the bytes."""

    name: str
    write: Callable[[Delivered], bytes]
    read: Callable[[Sequence[bytes]], object]


def compare_formats() -> pandas.DataFrame:
    """Bytes, and microseconds to write and to read, of one event in each format; takes about a second."""
    cakes = ("sponge", "lemon", "cherry")
    events = [Delivered(f"order {n}", cakes[n % 3], 100 + n, BEGAN + timedelta(seconds=n)) for n in range(COMMITS)]
    formats = _formats()
    stored = {each.name: [each.write(event) for event in events] for each in formats}
    took: dict[tuple[str, str], list[float]] = {}
    for _ in range(ROUNDS):
        for each in formats:
            writing = _time(lambda f=each: [f.write(event) for event in events])
            reading = _time(lambda f=each: f.read(stored[f.name]))
            took.setdefault((each.name, "write"), []).append(writing)
            took.setdefault((each.name, "read"), []).append(reading)
    return pandas.DataFrame(
        {
            "format": each.name,
            "bytes": round(sum(map(len, stored[each.name])) / COMMITS),
            **{f"µs to {do}": round(median(took[each.name, do]) / COMMITS * 1e6, 2) for do in ("write", "read")},
        }
        for each in formats
    )


def formats_chart(compared: pandas.DataFrame) -> charts.Figure:
    """Two rows of bars: how many bytes an event takes in each format, and how long it takes to read one."""

    def bars(column: str) -> Any:
        return (
            altair.Chart(compared)
            .mark_bar()
            .encode(x=altair.X(f"{column}:Q"), y=altair.Y("format:N", sort=None, title=None))
            .properties(height=150)
        )

    told = ", ".join(f"{name} {size} bytes and {read} µs" for name, size, _, read in compared.itertuples(index=False))
    return charts.show(
        altair.vconcat(bars("bytes"), bars("µs to read")),
        alt=f"Bytes of one event, and microseconds to read it, by format: {told}.",
        table=compared,
    )


class Sell(Command):
    """Sell a cake at a price, in whatever money and unit the till counts."""

    cake: str
    price: int


def selling(sold: Any, *more: object) -> Callable[[Any, Sell, Request], list[Event]]:
    """A handler that records each sale as this class of event, with these values in its further fields."""
    return lambda till, command, request: [sold(command.cake, command.price, *more)]


def till_of(sold: Any, upcasters: Mapping[Any, Any] = MappingProxyType({})) -> Any:
    """The aggregate type `Till`, which knows this class of sale: how often each was made, as it is read now."""

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
    """Stands for whatever an attacker would run."""
    rung.append(words)
    return words


class Bell:
    """An object whose pickle calls `ring` when it is read."""

    def __reduce__(self) -> Any:
        return ring, ("your files, please",)


def untrusted_bytes() -> pandas.DataFrame:
    """What pickle, plain JSON and a commit make of version 1 bytes, a flipped bit, half a row, and hostile bytes.

    Every cell is what happened just now.
    """

    class Sold(Event, tag=version(2)):
        cake: str
        euros: int
        currency: str = "EUR"

    class First(Event, tag="Sold:1"):
        cake: str
        euros: int

    read = serializer_of(till_of(Sold)).events
    old = object.__new__(PlainSale)
    old.__dict__.update(cake="lemon", euros=4)
    stored = {
        "pickle": pickle.dumps(old, protocol=0),
        "JSON": json.dumps({"cake": "lemon", "euros": 4}).encode(),
        "commit": encode_append({"till:1": [First("lemon", 4)]}, WISH)["till:1"],
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
    """Menus that change the class `Sold`, and beside them which stored commits still load, and as what."""
    import ipywidgets

    payloads = [commit.payload for commit in store.rows(customer, aggregate_id)]
    number = ipywidgets.Dropdown(options=[1, 2, 3], value=3, description="version")
    currency = ipywidgets.Dropdown(options=CURRENCY, value=CURRENCY[1], description="currency")
    price = ipywidgets.Dropdown(options=list(PRICE), value="cents: int", description="price")
    use = ipywidgets.Checkbox(value=True, description="with the upcasters")
    table = ipywidgets.HTML()

    def show(_: object = None) -> None:
        values: Any = {"number": number.value, "currency": currency.value, "price": price.value}
        fold = _till(**values, upcasters=upcasters if use.value else {})
        table.value = _loaded(payloads, fold)

    for control in (number, currency, price, use):
        control.observe(show, names="value")
    show()
    return ipywidgets.VBox([ipywidgets.HBox([number, currency]), ipywidgets.HBox([price, use]), table])


def _till(number: int, currency: str, price: str, upcasters: Mapping[Any, Any]) -> Any:
    """An aggregate that understands the class `Sold` as the menus say."""
    there: dict[str, list[Any]] = {CURRENCY[0]: [], CURRENCY[1]: [("currency", str, "EUR")]}
    added = there.get(currency, [("currency", str)])
    required = [field for field in added if len(field) == 2]
    optional = [field for field in added if len(field) == 3]
    fields = [("cake", str), PRICE[price], *required, *optional]
    return till_of(msgspec.defstruct("Sold", fields, bases=(Event,), tag=version(number), frozen=True), upcasters)


def _loaded(payloads: Sequence[bytes], fold: Any) -> str:
    rows = []
    for payload in payloads:
        stored = raw_events(decode_envelope(payload))[0]
        try:
            found, mark = repr(serializer_of(fold).events(payload)[0]), "✓"
        except Unreadable as error:
            found, mark = str(error), "✗"
        rows.append(f"<tr><td>{escape(str(stored))}</td><td>{mark} {escape(found)}</td></tr>")
    return f"<table><tr><th>stored</th><th>loads as</th></tr>{''.join(rows)}</table>"


def _formats() -> list[Format]:
    read_json = msgspec.json.Decoder(Delivered).decode
    read_named = msgspec.msgpack.Decoder(Delivered).decode
    read_positional = msgspec.msgpack.Decoder(Positional).decode
    encode = msgspec.msgpack.encode
    return [
        Format("commit", lambda e: encode_append({"x:1": [e]}, WISH)["x:1"], serializer_of(Deliveries).page),
        Format("msgpack, named", encode, lambda all: [read_named(each) for each in all]),
        Format(
            "msgpack, positional",
            lambda e: encode(Positional(e.order, e.cake, e.cents, e.at)),
            lambda all: [read_positional(each) for each in all],
        ),
        Format("JSON", msgspec.json.encode, lambda all: [read_json(each) for each in all]),
        Format("pickle", pickle.dumps, lambda all: [pickle.loads(each) for each in all]),  # noqa: S301 - made above
    ]


def _time(job: Callable[[], object]) -> float:
    began = perf_counter()
    job()
    return perf_counter() - began


def _sale(found: Any) -> object:
    """A pickled object as it would be used: its fields are asked for."""
    return (found.cake, found.euros, found.currency) if isinstance(found, PlainSale) else found


def _dearer(data: bytes) -> bytes:
    """The bytes with the price's lowest bit flipped: 4 euros become 5."""
    at = max(data.rfind(b"4"), data.rfind(b"\x04"))
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def _nested() -> bytes:
    """A commit whose event is a list in a list in a list, with a checksum that is right."""
    raw = msgspec.Raw(b"\x91" * 100_000 + b"\xc0")
    body = msgspec.msgpack.encode(Envelope(bytes(16), FORMAT, 1, WISH, raw))[: -len(PLACEHOLDER)]
    return body + crc32(body).to_bytes(4, "little")


def _outcome(read: Callable[[bytes], object], data: bytes) -> str:
    rung.clear()
    try:
        found = f"loads: {read(data)!r}"
    except Exception as error:  # whatever a reader does is what is shown
        found = f"{type(error).__name__}: {str(error)[:120]}"
    return f"RAN THEIR CODE: ring({rung[0]!r})" if rung else found
