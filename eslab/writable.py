"""Checks before a write or a delete, the same for every store: what is refused here changed nothing.

Refused are ids that no store can keep, read rows outside the customer's partition, and history above its floor.
"""

from collections.abc import Iterable, Sequence
from uuid import UUID

from eslab.aggregate import check_id
from eslab.errors import InvalidInput
from eslab.request import sort_key
from eslab.store import Commit, ReadRow, place


def check_append(customer_id: str, commits: Sequence[Commit], read_rows: Sequence[ReadRow] = ()) -> None:
    """Refuse an append with an id that no store can keep, or with a read row outside the customer's partition."""
    checked: set[str] = set()
    _check_ids("customer id", [customer_id], checked)
    _check_ids("aggregate id", [commit.aggregate_id for commit in commits], checked)
    _check_keys(read_rows, checked)
    for row in read_rows:
        # A row in another partition would not be part of the one mutation, which alone is atomic.
        if not row.layout.with_customer or row.customer_id != customer_id:
            raise InvalidInput(
                f"Expected read rows in the partition of customer {customer_id!r}, got one of {row.layout.name} at "
                f"{row.key}; write it with put_read_rows after the append.",
                customer_id=customer_id,
                aggregate_id=row.commit.aggregate_id,
                event_time=row.commit.event_time,
            )


def check_read_rows(rows: Sequence[ReadRow]) -> None:
    """Refuse rows whose key doesn't fit their layout, or holds a value that no store can keep; names the row."""
    _check_keys(rows, set())


def check_floor(floor: UUID | None, up_to: UUID, customer_id: str, aggregate_id: str) -> None:
    """Refuse to delete events above the floor: a reader that saw no floor would miss them silently (G6)."""
    if floor is None or sort_key(floor) < sort_key(up_to):
        raise InvalidInput(
            f"Expected the floor of {place(customer_id, aggregate_id)} at {up_to} or above before its events are "
            f"deleted, found {floor}; raise the floor first.",
            customer_id=customer_id,
            aggregate_id=aggregate_id,
            event_time=up_to,
        )


def _check_keys(rows: Sequence[ReadRow], checked: set[str]) -> None:
    try:
        for row in rows:
            _check_length(row)
        _check_ids("key", [value for row in rows for value in (*row.key, row.commit.aggregate_id)], checked)
    except InvalidInput:
        for row in rows:
            _check_read_row(row)
        raise


def _check_read_row(row: ReadRow) -> None:
    try:
        _check_length(row)
        _check_ids(f"key of {row.layout.name}", [*row.key, row.commit.aggregate_id], set())
    except InvalidInput as error:
        raise InvalidInput(
            f"{error} It is the key of a row of aggregate {row.commit.aggregate_id!r}, event time "
            f"{row.commit.event_time}: correct the table's definition. This row was not written.",
            aggregate_id=row.commit.aggregate_id,
            event_time=row.commit.event_time,
        ) from None


def _check_ids(kind: str, ids: Iterable[str], checked: set[str]) -> None:
    """Check each id that isn't among the checked: the rows of one append repeat their customer and few aggregates."""
    for id in ids:
        # Only text gets into the set, so whatever is not text reaches check_id and is refused there.
        if not (isinstance(id, str) and id in checked):
            checked.add(check_id(kind, id))


def _check_length(row: ReadRow) -> None:
    columns = row.layout.key[:-2]
    if len(row.key) != len(columns):
        raise InvalidInput(
            f"Expected a key of {row.layout.name} with values for {', '.join(columns)}, got {row.key}.",
            aggregate_id=row.commit.aggregate_id,
            event_time=row.commit.event_time,
        )
