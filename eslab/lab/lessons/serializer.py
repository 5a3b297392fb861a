"""Lesson 05: how the stored rows of a till load, the class desk, and one flipped bit."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import ipywidgets
import msgspec
import pandas

from eslab import Event, EventStore
from eslab.aggregate import serializer_of
from eslab.errors import InvalidInput, Unreadable
from eslab.event import version
from eslab.lab.lessons.till import till_of
from eslab.lab.tables import html_table
from eslab.lab.widgets import Desk
from eslab.payload.checksum import Checksum

CURRENCY = ("not there", 'with the default "EUR"', "without a default")
PRICE = {"euros: int": ("euros", int), "euros: float": ("euros", float), "cents: int": ("cents", int)}
BODY = 4  # the place of the events in the array that a payload is


def how_they_load(store: EventStore, customer: str, aggregate_id: str, fold: Any) -> pandas.DataFrame:
    """For each stored event of an aggregate, what this aggregate type reads, or the error that it raises."""
    checksum = Checksum.of_commits(customer, aggregate_id)
    payloads = [commit.payload for commit in store.rows(customer, aggregate_id)]
    lines = []
    for payload in payloads:
        stored = events_in(payload)[0]
        fields = ", ".join(f"{name}: {value}" for name, value in stored.items() if name != "type")
        lines.append({"row": stored["type"], "loads as": _loaded(payload, checksum, fold), "stored": fields})
    return pandas.DataFrame(lines)


def class_desk(store: EventStore, customer: str, aggregate_id: str, upcasters: Mapping[Any, Any]) -> Desk:
    """Return menus that change the class `Sold`, and a table of how the stored rows then load.

    It opens without the upcasters. A class that they don't fit is refused; the desk shows the error.
    """
    number: Any = ipywidgets.Dropdown(options=[1, 2, 3], value=3, description="version")
    currency: Any = ipywidgets.Dropdown(options=CURRENCY, value=CURRENCY[1], description="currency")
    price: Any = ipywidgets.Dropdown(options=list(PRICE), value="cents: int", description="price")
    use: Any = ipywidgets.Checkbox(value=False, description="with the upcasters")
    table = ipywidgets.HTML()

    def show(_: object = None) -> None:
        try:
            fold = _till(number.value, currency.value, price.value, upcasters if use.value else {})
            loaded = how_they_load(store, customer, aggregate_id, fold).to_dict("records")
        except InvalidInput as error:
            loaded = [{"The service doesn't start": f"✗ InvalidInput: {error}"}]
        table.value = f'<div role="status">{html_table(loaded)}</div>'

    for control in (number, currency, price, use):
        control.observe(show, names="value")
    show()
    controls = ipywidgets.HBox([number, currency, price, use], layout={"flex_flow": "row wrap"})
    return Desk([controls, table])


def events_in(payload: bytes) -> list[dict[str, Any]]:
    """The events in the payload of a commit, read without its checksum."""
    return msgspec.msgpack.decode(payload)[BODY]


def price_at(data: bytes, read: Callable[[bytes], Any] = events_in) -> int:
    """The position of the byte that holds the price of a sale for 4 euros.

    It is found by reading: the one byte whose lowest bit turns 4 into 5, and leaves everything else as it is.
    """
    dearer = _dearer(read(data))
    for at in range(len(data)):
        with suppress(Exception):  # most other bytes, flipped, can't be read
            if read(flipped(data, at)) == dearer:
                return at
    raise InvalidInput(f"Expected the bytes of a sale for 4 euros, got {data!r}.")


def flipped(data: bytes, at: int) -> bytes:
    """The bytes with the lowest bit of one of them flipped."""
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def compare_bytes(one: bytes, other: bytes) -> pandas.DataFrame:
    """The bytes in which two payloads differ, in bits, and the events of both, read without the checksum."""
    differing = [at for at in range(len(one)) if one[at] != other[at]]
    lines = [
        {
            "": name,
            "byte": ", ".join(map(str, differing)),
            "its bits": ", ".join(f"{data[at]:08b}" for at in differing),
            "read without the checksum": str(events_in(data)[0]),
        }
        for name, data in (("before", one), ("after", other))
    ]
    return pandas.DataFrame(lines)


def _dearer(sale: Any) -> Any:
    """The same sale for 5 euros."""
    if isinstance(sale, Sequence):
        return [_dearer(each) for each in sale]
    return {**sale, "euros": 5} if sale.get("euros") == 4 else {}


def _till(number: int, currency: str, price: str, upcasters: Mapping[Any, Any]) -> Any:
    """The aggregate of the class `Sold` that the menus describe."""
    added: dict[str, list[Any]] = {CURRENCY[0]: [], CURRENCY[1]: [("currency", str, "EUR")]}
    fields = [("cake", str), PRICE[price], *added.get(currency, [("currency", str)])]
    return till_of(msgspec.defstruct("Sold", fields, bases=(Event,), tag=version(number), frozen=True), upcasters)


def _loaded(payload: bytes, checksum: Checksum, fold: Any) -> str:
    serializer = serializer_of(fold)
    try:
        return f"✓ {serializer.events(payload, checksum)[0]!r}"
    except Unreadable as error:
        return f"✗ {error}"
