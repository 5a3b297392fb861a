"""The layout of a read table: which columns make its key. Every store makes the same table of it."""

import re
from collections.abc import Collection
from typing import NamedTuple

from eslab.errors import InvalidInput, StoreError

TABLES = ("events", "snapshots", "aggregates", "checkpoints")  # the names that are taken
OF_A_COMMIT = ("aggregate_id", "event_time", "event_type", "version", "payload")  # the columns of a row, in order
NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")


class Layout(NamedTuple):
    """The key of a read table: text columns, those of the partition first, in which a row stands by the others.

    Customer, aggregate and event time always follow, so that a commit has one row under each key.
    """

    name: str
    partition: tuple[str, ...]
    clustering: tuple[str, ...] = ()

    @property
    def with_customer(self) -> bool:
        """Is a partition of it a customer's, so that its rows are part of an append?"""
        return self.partition == ("customer_id",)

    @property
    def key(self) -> tuple[str, ...]:
        """All columns of the primary key, in order."""
        customer = () if self.with_customer else ("customer_id",)
        return (*self.partition, *self.clustering, *customer, "aggregate_id", "event_time")

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns of a row, in order."""
        return (*self.key[:-2], *OF_A_COMMIT)


def check_layout(layout: Layout) -> Layout:
    """Refuse a name that SQL and CQL can't bear or that is taken, and a layout without a partition."""
    names, taken = (*layout.partition, *layout.clustering), {*OF_A_COMMIT}
    if not layout.with_customer:
        taken.add("customer_id")  # it is added behind them
    for name in (layout.name, *names):
        if not NAME.fullmatch(name):
            raise InvalidInput(f"Expected a name of small letters, digits and _, up to 48, got {name!r} in {layout}.")
    if not layout.partition or len(set(names)) < len(names) or taken & set(names) or layout.name in TABLES:
        raise InvalidInput(
            f"Expected a table not called {', '.join(TABLES)}, with a partition and columns that differ from each "
            f"other and from {', '.join(sorted(taken))}; got {layout}."
        )
    return layout


def check_prefix(layout: Layout, key: tuple[str, ...]) -> None:
    """Refuse to read by less than a partition, which would ask every node, or by more than the key."""
    if not len(layout.partition) <= len(key) < len(layout.key):
        raise InvalidInput(f"Expected values for {', '.join(layout.key[:-1])} or for the first of them, got {key}.")


def check_columns(layout: Layout, found: Collection[str], store: object) -> None:
    """Refuse a table that has other columns than its layout; none at all is a table that isn't there."""
    if found and set(found) != set(layout.columns):
        raise StoreError(
            f"Expected the columns {', '.join(layout.columns)} in the read table {layout.name} of {store}, found "
            f"{', '.join(sorted(found))}. Give the new layout a new name, and rebuild it."
        )


def quoted(*names: str) -> str:
    """Names of tables or columns as SQL and CQL write them; checked ones need nothing more."""
    return ", ".join(f'"{name}"' for name in names)
