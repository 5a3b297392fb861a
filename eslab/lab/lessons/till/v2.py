"""The sale in its second version: tourists pay in francs."""

from eslab import Event, version


class Sold(Event, tag=version(2)):
    """A cake was sold, for a price in a currency."""

    cake: str
    euros: int
    currency: str = "EUR"
