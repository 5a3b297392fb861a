"""The rows that a store and the core exchange, and the checks that every store makes before it writes."""

from collections import Counter
from typing import Any

import pytest

from eslab import InvalidInput, Unreadable, writable
from eslab.store import ReadRow, unreadable
from eslab.writable import check_append, check_floor, check_read_rows
from tests.support.sample import DAYS, SHELF, at, row

KEYS = [(SHELF, ("ann", "red")), (DAYS, ("monday", "0", "ann"))]


@pytest.mark.parametrize(("layout", "key"), KEYS, ids=["the customer's partition", "another partition"])
def test_the_key_of_a_read_row_is_whole(layout: Any, key: tuple[str, ...]) -> None:
    """It holds all columns of the layout's key before aggregate id and event time, so the customer is always in it."""
    made = ReadRow(layout, key, row())
    assert len(key) == len(layout.key) - 2
    assert (made.customer_id, made.partition) == ("ann", key[: len(layout.partition)])
    assert ReadRow.of(layout, [*made.key, *made.commit]) == made


@pytest.mark.parametrize("key", [(), ("monday", "0"), ("monday", "0", "ann", "more")], ids=len)
def test_a_key_of_another_length_is_refused(key: tuple[str, ...]) -> None:
    """With the columns that it must have values for."""
    with pytest.raises(InvalidInput, match="Expected a key of days with values for day, shard, customer_id, got "):
        check_read_rows([ReadRow(DAYS, key, row())])


def test_an_append_checks_each_id_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many commits and read rows name it."""
    checked = list[str]()
    check_id = writable.check_id
    monkeypatch.setattr(writable, "check_id", lambda kind, id: checked.append(id) or check_id(kind, id))
    commits = [row(minutes, id=id) for minutes in range(3) for id in ("counter:1", "counter:2")]
    check_append("ann", commits, [ReadRow(SHELF, ("ann", "red"), commit) for commit in commits])
    assert Counter(checked) == dict.fromkeys(["ann", "counter:1", "counter:2", "red"], 1)


@pytest.mark.parametrize("id", ["", None, 7, b"counter:1", ["counter:1"]], ids=str)
@pytest.mark.parametrize("kind", ["customer id", "aggregate id", "key of shelf"])
def test_what_is_no_id_is_refused_with_its_kind(kind: str, id: Any) -> None:
    """Text and nothing else is an id, even where the same text is named beside it."""
    commits = [row(), row(id=id if kind == "aggregate id" else "counter:1")]
    rows = [ReadRow(SHELF, ("ann", id), row())] if kind == "key of shelf" else []
    with pytest.raises(InvalidInput, match=f"Expected a {kind} of 1 to 1024 bytes, got "):
        check_append(id if kind == "customer id" else "ann", commits, rows)


PLACE = ("ann", "counter:1", at().event_time)


def place_of(error: Any) -> tuple[object, ...]:
    """The attributes of an error that say where."""
    return error.customer_id, error.aggregate_id, error.event_time


def test_errors_carry_the_row_that_they_name() -> None:
    """Customer, aggregate and event time, for programs."""
    with pytest.raises(InvalidInput, match="raise the floor first") as refused:
        check_floor(None, at().event_time, "ann", "counter:1")
    assert place_of(refused.value) == PLACE
    with pytest.raises(InvalidInput, match="Expected read rows in the partition of customer 'ann'") as refused:
        check_append("ann", [row()], [ReadRow(SHELF, ("bob", "red"), row())])
    assert place_of(refused.value) == PLACE
    assert place_of(unreadable("ann", row(), Unreadable("the checksum does not match"))) == PLACE
