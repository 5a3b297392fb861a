"""Lesson 05: the till of a bakery, deployed three times; `v1`, `v2` and `v3` hold the class of sale of each version.

The class is called `Sold` in all of them, as in one program that changes.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from eslab import Aggregate, Command, Event, Request


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
