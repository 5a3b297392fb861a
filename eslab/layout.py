"""The layout of a read table: the columns that make its key. Every store makes the same table from it."""

import re
from collections.abc import Collection
from typing import NamedTuple

from eslab.errors import InvalidInput, StoreError

TABLES = ("events", "snapshots", "aggregates", "checkpoints")  # the names of a store's own tables
OF_A_COMMIT = ("aggregate_id", "event_time", "event_type", "version", "payload")  # the columns of a commit, in order
NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")


class Layout(NamedTuple):
    """The key of a read table: text columns that make the partition, then text columns that order its rows.

    Customer, aggregate and event time always follow, so that a commit has one row under each key.
    """

    name: str
    partition: tuple[str, ...]
    clustering: tuple[str, ...] = ()

    @property
    def with_customer(self) -> bool:
        """Is each partition that of one customer, so that its rows are written with the append?"""
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

    def row_key(self, customer_id: str, values: tuple[str, ...]) -> tuple[str, ...]:
        """The key of a customer's row, down to its customer, from the values of the partition's and clustering columns.

        >>> Layout("shelf", ("customer_id",), ("color",)).row_key("ann", ("ann", "red"))
        ('ann', 'red')
        >>> Layout("days", ("day",)).row_key("ann", ("monday",))
        ('monday', 'ann')
        """
        return values if self.with_customer else (*values, customer_id)


def check_layout(layout: Layout) -> Layout:
    """Refuse a layout without a partition, and names that SQL or CQL can't take or that are taken already."""
    names = (*layout.partition, *layout.clustering)
    taken = {*OF_A_COMMIT}
    if not layout.with_customer:
        taken.add("customer_id")  # it follows the clustering columns
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
    """Refuse to read less than a partition's key, which would ask every node, or more columns than the key has."""
    if not len(layout.partition) <= len(key) < len(layout.key):
        raise InvalidInput(f"Expected values for {', '.join(layout.key[:-1])} or for the first of them, got {key}.")


def check_columns(layout: Layout, columns: Collection[str], store: object) -> None:
    """Refuse a table whose columns are not those of its layout; no columns mean that there is no table yet."""
    if columns and set(columns) != set(layout.columns):
        raise StoreError(
            f"Expected the columns {', '.join(layout.columns)} in the read table {layout.name} of {store}, found "
            f"{', '.join(sorted(columns))}. Give the new layout a new name, and rebuild it."
        )


def quoted(*names: str) -> str:
    """Names of tables or columns as SQL and CQL write them; checked names hold no quote to escape."""
    return ", ".join(f'"{name}"' for name in names)
