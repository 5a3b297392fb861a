"""The sale in its third version: accounting wants cents."""

from eslab import Event, version


class Sold(Event, tag=version(3)):
    """A cake was sold, for a price in hundredths of a currency."""

    cake: str
    cents: int
    currency: str = "EUR"
