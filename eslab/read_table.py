"""A read table: commits once more, under the key that one query needs, so that the query is one read and no join.

    OF_DEVICE = ReadTable(
        Layout("licences_by_device", partition=("customer_id",), clustering=("device",)),
        {License: lambda customer, key, events: [(customer, key.partition("/")[0])]},
    )
    repository = Repository(store, clock, read_tables=[OF_DEVICE])
    found = repository.read(OF_DEVICE, ("ann", "phone"))

A row holds what one commit holds, its whole payload, and is never updated; the query folds rows with the aggregate's
own `apply`. So late and concurrent commits give the same answer as hydration does (G4); of two decisions of a request
the same one wins here (G1); a damaged row is named (G8); old versions are read (G9); what is encrypted stays so.

Rows in the customer's partition are part of the append. Others are written right after it, and once more when the
request is repeated; what a crash left out, `eslab read-tables catch-up` writes (eslab/operations/rebuild.py).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from eslab.aggregate import Aggregate, address
from eslab.event import Event
from eslab.layout import Layout, check_layout
from eslab.store import Commit, ReadRow

Keys = Callable[[str, str, Sequence[Event]], Iterable[tuple[str, ...]]]


class Found(NamedTuple):
    """What a query found of one aggregate: the state that its rows add up to."""

    customer_id: str
    key: str
    state: Any


@dataclass(frozen=True)
class ReadTable:
    """A layout, and where each commit of some aggregate types stands in it.

    `keys` maps a type to a function of the customer's id, the aggregate's key and the commit's events: the values of
    the partition's and the clustering columns, once for each row. It has to follow from these alone (G4). In a
    customer's partition it should follow from the first two, so that a request that was decided twice has one row.
    """

    layout: Layout
    keys: Mapping[type[Aggregate], Keys]

    def __post_init__(self) -> None:
        check_layout(self.layout)

    def rows(
        self, customer_id: str, aggregate_type: type[Aggregate], commit: Commit, events: Sequence[Event]
    ) -> list[ReadRow]:
        """The rows of one commit, whose events are these; none for a type that isn't in this table."""
        if aggregate_type not in self.keys:
            return []
        _, key = address(aggregate_type, commit.aggregate_id)
        keys = dict.fromkeys(self.keys[aggregate_type](customer_id, key, events))  # without repeats, in order
        return [ReadRow(self.layout, self.layout.row_key(customer_id, values), commit) for values in keys]
