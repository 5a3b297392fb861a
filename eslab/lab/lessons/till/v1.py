"""The till in its first version, written out."""

from eslab import Aggregate, Event, Request
from eslab.lab.lessons.till import Sell


class Sold(Event):
    """A cake was sold, for a price in euros."""

    cake: str
    euros: int


class Till(Aggregate):
    """How often each sale was made."""

    sales: dict[str, int] = {}

    def apply(self, event: Sold) -> None:
        self.sales[str(event)] = self.sales.get(str(event), 0) + 1


def sell(till: Till, command: Sell, request: Request) -> list[Sold]:
    """Every sale is one event."""
    return [Sold(command.cake, command.price)]
