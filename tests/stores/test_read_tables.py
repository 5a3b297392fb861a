"""What every store promises of read tables, in the words of `eslab.store.EventStore`."""

from collections.abc import Callable, Sequence
from itertools import chain, permutations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eslab import EventStore, InvalidInput, StoreClosed, StoreError, StoreReadOnly, StoreUnavailable, open_store
from eslab.layout import Layout, check_layout
from eslab.store import Commit, ReadRow
from tests.conftest import REAL, alone
from tests.support.sample import DAYS, LAYOUTS, SHELF, cassandra_order, everything, new_url, row, time_at

WORDS = st.text(st.sampled_from("ab\0é\uffff\U00010000"), min_size=1, max_size=3)


def on_shelf(commit: Commit, what: str = "red", customer: str = "ann") -> ReadRow:
    return ReadRow(SHELF, (customer, what), commit)


def in_day(commit: Commit, day: str = "monday", shard: str = "0", customer: str = "ann") -> ReadRow:
    return ReadRow(DAYS, (day, shard, customer), commit)


def found(store: EventStore, layout: Layout, *keys: tuple[str, ...]) -> list[ReadRow]:
    return list(chain.from_iterable(store.read_rows(layout, keys)))


@pytest.fixture
def tables(store: EventStore) -> EventStore:
    """A new, empty store with both read tables."""
    store.make_read_tables(LAYOUTS)
    return store


# Stores where nobody else is, so that a test may look at all customers.


# Writing


def test_rows_of_the_customer_are_part_of_the_append(tables: EventStore) -> None:
    """The commit and its read row are there together."""
    tables.append("ann", [row()], read_rows=[on_shelf(row())])
    assert found(tables, SHELF, ("ann",)) == [on_shelf(row())]
    assert list(everything(tables)) == ["counter:1"]


@pytest.mark.parametrize(
    "wrong", [in_day(row()), on_shelf(row(), customer="bob")], ids=["another table", "another customer"]
)
def test_rows_of_another_partition_are_refused_in_an_append(tables: EventStore, wrong: ReadRow) -> None:
    """They would be no part of the one mutation; nothing is written."""
    with pytest.raises(InvalidInput, match=r"Expected read rows in the partition of customer '.*ann', got one of"):
        tables.append("ann", [row()], read_rows=[on_shelf(row()), wrong])
    assert everything(tables) == {}
    assert found(tables, SHELF, ("ann",)) == []


def test_an_append_that_fails_writes_no_read_row(tables: EventStore) -> None:
    """A key that no store can keep is found before anything is written."""
    with pytest.raises(InvalidInput, match="Expected a key of shelf of 1 to 1024 bytes, got ''"):
        tables.append("ann", [row()], read_rows=[on_shelf(row()), on_shelf(row(), "")])
    assert (everything(tables), found(tables, SHELF, ("ann",))) == ({}, [])


@pytest.mark.parametrize(  # Cassandra waits for the table as long as the store's timeout says
    "open_new", ["memory", "sqlite", pytest.param("cassandra", marks=(*REAL, pytest.mark.full))], indirect=True
)
def test_an_append_to_a_read_table_that_is_not_there_writes_nothing(open_new: Callable[[], EventStore]) -> None:
    """The commits and their read rows are one: all of them or none."""
    store = open_new()
    nowhere = Layout("nowhere", ("customer_id",))
    with pytest.raises(StoreError, match="nowhere"):
        store.append("ann", [row()], read_rows=[ReadRow(nowhere, ("ann",), row())])
    assert everything(store) == {}


def test_a_commit_stands_under_each_of_its_keys(tables: EventStore) -> None:
    """One commit, several rows, each with the whole payload."""
    rows = [on_shelf(row(), "blue"), on_shelf(row(), "red")]
    tables.put_read_rows(rows[::-1])
    assert found(tables, SHELF, ("ann",)) == rows


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_G1_of_two_payloads_of_one_key_the_greater_stays(tables: EventStore, order: Sequence[int]) -> None:
    """As in the events, in every order of arrival, so that the same decision wins in both."""
    payloads = [b"less", b"more", b"a"]
    for each in order:
        tables.put_read_rows([on_shelf(row(payload=payloads[each]))])
    assert [each.commit.payload for each in found(tables, SHELF, ("ann",))] == [b"more"]


def test_G1_the_same_rows_again_change_nothing(tables: EventStore) -> None:
    """Written with the append, by a repeat, by a catch-up: the same row."""
    rows = [in_day(row(minutes), shard=str(minutes % 2)) for minutes in range(4)]
    tables.put_read_rows(rows)
    before = found(tables, DAYS, ("monday", "0"), ("monday", "1"))
    tables.put_read_rows(rows[1:])
    assert found(tables, DAYS, ("monday", "0"), ("monday", "1")) == before


def test_many_rows_of_many_partitions(tables: EventStore) -> None:
    """What is written at once may be of any length and of any partitions."""
    rows = [in_day(row(number, b"x" * 2000), shard=str(number % 7)) for number in range(700)]
    tables.put_read_rows(rows)
    shards = [("monday", str(shard)) for shard in range(7)]
    assert sorted(found(tables, DAYS, *shards), key=lambda each: each.commit.event_time.time) == rows


# Reading


@given(st.lists(st.tuples(WORDS, WORDS, st.integers(0, 3)), unique=True, max_size=6))
def test_rows_stand_in_the_order_of_their_keys(tables: EventStore, places: list[tuple[str, str, int]]) -> None:
    """Text by its UTF-8 bytes, times as Cassandra orders them; a row is given back as it was written."""
    customer = f"ann {hash(tuple(places))}"
    rows = [
        on_shelf(Commit(f"counter:{id}", time_at(0, 0, low << 60), "Counted", 1, b"p"), what, customer)
        for what, id, low in places
    ]
    tables.put_read_rows(rows)

    def order(each: ReadRow) -> tuple[object, ...]:
        return each.key[1].encode(), each.commit.aggregate_id.encode(), cassandra_order(each.commit.event_time)

    assert found(tables, SHELF, (customer,)) == sorted(rows, key=order)


def test_a_longer_key_gives_fewer_rows(tables: EventStore) -> None:
    """The partition, the clustering columns, then the aggregate."""
    rows = [on_shelf(row(id=f"counter:{id}"), what) for what in ("blue", "red") for id in "12"]
    tables.put_read_rows(rows)
    assert found(tables, SHELF, ("ann", "red")) == rows[2:]
    assert found(tables, SHELF, ("ann", "red", "counter:2")) == rows[3:]
    assert found(tables, SHELF, ("ann", "green")) == found(tables, SHELF, ("bob",)) == []


def test_pages_of_a_long_partition_are_whole(tables: EventStore) -> None:
    """However many pages there are, each row comes once and in order."""
    rows = [in_day(row(number, key="k"), customer=f"customer {number // 500}") for number in range(2300)]
    tables.put_read_rows(rows)
    assert found(tables, DAYS, ("monday", "0")) == rows


@pytest.mark.parametrize("key", [(), ("ann", "red", "counter:1", "more")], ids=["nothing", "more than the key"])
def test_a_read_names_a_partition(tables: EventStore, key: tuple[str, ...]) -> None:
    """Less would ask every node, more is none of the key."""
    with pytest.raises(InvalidInput, match="Expected values for customer_id, what, aggregate_id or for the first"):
        found(tables, SHELF, key)


# Tables


@pytest.mark.parametrize(
    "layout",
    [
        Layout("events", ("day",)), Layout("Days", ("day",)), Layout("x; DROP TABLE events", ("day",)),
        Layout("days", ()), Layout("days", ("day",), ("day",)), Layout("days", ("day",), ("payload",)),
        Layout("days", ("day",), ("customer_id",)), Layout('d"', ("day",)), Layout("days", ('d"',)),
    ],
    ids=str,
)  # fmt: skip
def test_a_layout_that_no_store_can_make_is_refused(layout: Layout) -> None:
    """Names are the one thing that is put into statements, so they are small letters, digits and _."""
    with pytest.raises(InvalidInput, match=r"Expected a (name|table)"):
        check_layout(layout)


def test_making_tables_again_changes_nothing(tables: EventStore) -> None:
    """Every service makes them when it begins."""
    tables.put_read_rows([on_shelf(row())])
    tables.make_read_tables(LAYOUTS)
    assert found(tables, SHELF, ("ann",)) == [on_shelf(row())]


@alone
def test_a_table_that_is_emptied_takes_rows_of_any_time(tables: EventStore) -> None:
    """Emptying hides nothing that is written later, though its stamp is older."""
    tables.put_read_rows([on_shelf(row(5)), in_day(row(5))])
    tables.empty_read_table(SHELF)
    assert (found(tables, SHELF, ("ann",)), found(tables, DAYS, ("monday", "0"))) == ([], [in_day(row(5))])
    tables.put_read_rows([on_shelf(row(0)), on_shelf(row(5))])
    assert found(tables, SHELF, ("ann",)) == [on_shelf(row(0)), on_shelf(row(5))]


def test_a_table_that_is_missing_is_named(tmp_path: Path) -> None:
    """Nobody makes it in a store that may only be read."""
    url = new_url("sqlite", tmp_path)
    open_store(url).close()
    store = open_store(f"{url}?mode=ro")
    with pytest.raises(StoreUnavailable, match=r"has no read table shelf.*eslab schema apply"):
        store.make_read_tables(LAYOUTS)
    with pytest.raises(StoreUnavailable, match="memory: has no read table shelf"):
        found(open_store("memory:"), SHELF, ("ann",))


def test_a_table_with_other_columns_is_refused(tmp_path: Path) -> None:
    """A layout that changed is a new table."""
    store = open_store(new_url("sqlite", tmp_path))
    store.make_read_tables(LAYOUTS)
    with pytest.raises(StoreError, match=r"Expected the columns customer_id, who, .* table shelf of .*, found .*what"):
        store.make_read_tables([Layout("shelf", ("customer_id",), ("who",))])


def test_a_store_that_may_only_be_read_takes_no_rows(tmp_path: Path) -> None:
    """It says so, and reads what is there."""
    url = new_url("sqlite", tmp_path)
    store = open_store(url)
    store.make_read_tables(LAYOUTS)
    store.put_read_rows([on_shelf(row())])
    store.close()
    store = open_store(f"{url}?mode=ro")
    store.make_read_tables(LAYOUTS)
    with pytest.raises(StoreReadOnly):
        store.put_read_rows([on_shelf(row(1))])
    assert found(store, SHELF, ("ann",)) == [on_shelf(row())]


# All customers, and checkpoints


@alone
def test_all_customers_in_an_order_that_stays(tables: EventStore) -> None:
    """Each once, whatever they have; from the middle on, those behind."""
    names = [f"customer {number}" for number in range(1200)] + ["é", "\U00010000"]
    for name in names:
        tables.append(name, [row(), row(id="card:1")])
    everyone = list(tables.customers())
    assert sorted(everyone) == sorted(names)
    assert list(tables.customers(everyone[700])) == everyone[701:]
    assert list(tables.customers(everyone[-1])) == []


@alone
def test_a_bookmark_is_what_was_kept_last(tables: EventStore) -> None:
    """By name; empty before."""
    assert tables.checkpoint("rebuild") == ""
    for text in ("one", "", "two"):
        tables.set_checkpoint("rebuild", text)
        assert (tables.checkpoint("rebuild"), tables.checkpoint("catch-up")) == (text, "")


CALLS: dict[str, Callable[[EventStore], object]] = {
    "make_read_tables": lambda store: store.make_read_tables([Layout("other", ("day",))]),
    "put_read_rows": lambda store: store.put_read_rows([on_shelf(row())]),
    "read_rows": lambda store: found(store, SHELF, ("ann",)),
    "empty_read_table": lambda store: store.empty_read_table(SHELF),
    "customers": lambda store: list(store.customers()),
    "checkpoint": lambda store: store.checkpoint("rebuild"),
    "set_checkpoint": lambda store: store.set_checkpoint("rebuild", ""),
    "swap_checkpoint": lambda store: store.swap_checkpoint("rebuild", "", "one"),
}


@alone
@pytest.mark.parametrize("call", CALLS)
def test_a_closed_store_says_so(tables: EventStore, call: str) -> None:
    """Every method of a closed store raises `StoreClosed`."""
    tables.close()
    with pytest.raises(StoreClosed, match=r"The store is closed: .*\. Open it again\."):
        CALLS[call](tables)
