"""A stored value of another type or size is `Unreadable`, with its row, on every path that reads it (G8).

SQLite keeps a value of any type in any column; on Cassandra a cell may be null (tests/stores/test_cassandra_values.py).
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from eslab import AggregateService, ManualClock, Repository, Unreadable
from eslab.aggregate import SnapshotPolicy
from eslab.operations import rebuild
from eslab.operations.audit import find_strays
from eslab.operations.history import history
from eslab.operations.inspection import inspect
from eslab.operations.snapshots import build_snapshot
from eslab.stores.sqlite import SqliteStore
from tests.support.sample import DAY, START, Count, Counter, at, handle, row, rows, snapshot
from tests.test_read_table import BY_DAY, ON_SHELF, SHARDS

VALUES = ["'text'", "7", "1.5", "x''", "x'00'", "CAST(payload AS TEXT)", "payload || x'00'", "substr(payload, 2)"]
KEYS = ["'text'", "7", "-1.5", "x''", "x'00'", "zeroblob(15)", "zeroblob(17)", "x'ffffffffffffffffffffffffffffffff'"]
ROW = rf"'ann', aggregate 'counter:1', event time {at(1).event_time}"


class Damaged:
    """A store in which a test changes values with SQL, behind its back."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.store = SqliteStore.open(f"sqlite:///{path}")
        self.clock = ManualClock(START + DAY / 24)
        self.repository = Repository(self.store, self.clock, read_tables=(ON_SHELF, BY_DAY))
        self.service = AggregateService(self.store, Counter, handle, self.clock)
        self.service.repository = self.repository
        for minutes in range(3):
            self.service.send("ann", "counter:1", Count("b"), at(minutes))

    def change(self, sql: str) -> None:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            # SQLite itself checks nothing but NOT NULL.
            assert connection.execute(sql).rowcount == 1, sql


@pytest.fixture
def damaged(tmp_path: Path) -> Iterator[Damaged]:
    damaged = Damaged(tmp_path / "lab.db")
    yield damaged
    damaged.store.close()


PATHS: dict[str, Callable[[Damaged], object]] = {
    "load": lambda it: it.repository.load("ann", Counter, "1"),
    "as of": lambda it: it.repository.load("ann", Counter, "1", at(9).time),
    "load_all": lambda it: it.repository.load_all("ann", Counter),
    "send": lambda it: it.service.send("ann", "counter:1", Count("b"), at(5)),
    "send again": lambda it: it.service.send("ann", "counter:1", Count("b"), at(1)),
    "strays": lambda it: find_strays(it.repository, "ann", [Counter]),
    "history": lambda it: history(it.repository, "ann", Counter, "1"),
    "snapshot": lambda it: (
        it.clock.advance(30 * DAY),
        build_snapshot(it.repository, "ann", Counter, "1", SnapshotPolicy(1)),
    ),
    "rebuild": lambda it: rebuild.rebuild(it.repository),
    "catch-up": lambda it: rebuild.catch_up(it.repository),
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("value", VALUES)
def test_G8_a_payload_of_another_type_is_named(damaged: Damaged, value: str, path: str) -> None:
    """Customer, aggregate and event time, in the message and as attributes."""
    damaged.change(f"UPDATE events SET payload = {value} WHERE event_time = (SELECT max(event_time) FROM events WHERE"
                   " event_time < (SELECT max(event_time) FROM events))")  # fmt: skip
    with pytest.raises(Unreadable, match=ROW) as raised:
        PATHS[path](damaged)
    error = raised.value
    assert (error.customer_id, error.aggregate_id, error.event_time) == ("ann", "counter:1", at(1).event_time)


@pytest.mark.parametrize("value", VALUES)
def test_G8_inspect_marks_it_and_shows_the_others(damaged: Damaged, value: str) -> None:
    """As it does with any broken row."""
    damaged.change(f"UPDATE events SET payload = {value} WHERE event_time = (SELECT min(event_time) FROM events)")
    (aggregate,) = inspect(damaged.store, "ann")
    assert [commit.problem is not None for commit in aggregate.commits] == [True, False, False]


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("table", ["shelf", "days"])
def test_G8_a_read_row_of_another_type_is_named(damaged: Damaged, table: str, value: str) -> None:
    """A query stops there."""
    damaged.change(f"UPDATE {table} SET payload = {value} WHERE event_time = (SELECT min(event_time) FROM events)")
    with pytest.raises(Unreadable, match=rf"'ann', aggregate 'counter:1', event time {at(0).event_time}"):
        damaged.repository.read(*((ON_SHELF, ("ann",)) if table == "shelf" else (BY_DAY, *SHARDS)))


@pytest.mark.parametrize("path", [name for name in PATHS if name != "send again"])
@pytest.mark.parametrize("key", KEYS)
def test_G8_an_event_time_of_another_type_is_named(damaged: Damaged, key: str, path: str) -> None:
    """Wherever it sorts, as long as it isn't after the moment that the question is about."""
    if key == KEYS[-1] and path in ("as of", "snapshot"):
        pytest.skip("sixteen bytes above any moment")
    damaged.change(f"UPDATE events SET event_time = {key} WHERE event_time = (SELECT min(event_time) FROM events)")
    with pytest.raises(Unreadable, match=r"row in events: customer 'ann', aggregate 'counter:1', event time .*16 byte"):
        PATHS[path](damaged)


def test_G8_a_key_of_the_right_size_that_is_no_event_time(damaged: Damaged) -> None:
    """An event time has 60 bits, so the first four are zero."""
    damaged.change("UPDATE events SET event_time = x'1f000000000000000000000000000000' "
                   "WHERE event_time = (SELECT max(event_time) FROM events)")  # fmt: skip
    with pytest.raises(Unreadable, match="row in events: customer 'ann'"):
        rows(damaged.store)


@pytest.mark.parametrize("key", KEYS)
def test_G8_a_read_row_with_such_an_event_time_names_its_table(damaged: Damaged, key: str) -> None:
    """The table, the customer and the aggregate."""
    damaged.change(f"UPDATE shelf SET event_time = {key} WHERE event_time = (SELECT min(event_time) FROM events)")
    with pytest.raises(Unreadable, match="row in shelf: customer 'ann', aggregate 'counter:1'"):
        damaged.repository.read(ON_SHELF, ("ann",))


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("column", ["first", "floor"])
def test_G8_a_directory_entry_of_another_type_is_named(damaged: Damaged, column: str, key: str) -> None:
    """First and floor decide what is read, so neither is guessed."""
    damaged.change(f"UPDATE aggregates SET {column} = {key}")
    for read in (PATHS["load"], PATHS["load_all"], PATHS["send"], PATHS["strays"], PATHS["rebuild"]):
        with pytest.raises(Unreadable, match="row in aggregates: customer 'ann', aggregate 'counter:1'"):
            read(damaged)


@pytest.mark.parametrize(("column", "value"), [*(("up_to", key) for key in KEYS), ("fold", "'x'"), ("fold", "x'01'")])
def test_G8_a_snapshot_with_another_key_is_named(damaged: Damaged, column: str, value: str) -> None:
    """Its table too."""
    damaged.store.save_snapshot("ann", "counter:1", snapshot(at(0), Counter({"b": 1})), START)
    damaged.change(f"UPDATE snapshots SET {column} = {value}")
    with pytest.raises(Unreadable, match="row in snapshots: customer 'ann', aggregate 'counter:1'"):
        damaged.repository.load("ann", Counter, "1")


@pytest.mark.parametrize("value", VALUES)
def test_G6_a_snapshot_of_another_type_is_skipped(damaged: Damaged, value: str) -> None:
    """Like any broken snapshot: it is a cache while its events exist."""
    damaged.store.save_snapshot("ann", "counter:1", snapshot(at(0), Counter({"b": 1})), START)
    damaged.change(f"UPDATE snapshots SET payload = {value}")
    assert damaged.repository.load("ann", Counter, "1") == Counter({"b": 3})


@pytest.mark.parametrize("column", ["customer_id", "aggregate_id"])
def test_G8_an_id_that_is_no_text_is_named(damaged: Damaged, column: str) -> None:
    """A rebuild would leave out its rows."""
    damaged.store.append("bob", [row()])
    damaged.change(f"UPDATE aggregates SET {column} = x'626f62' WHERE customer_id = 'bob'")
    with pytest.raises(Unreadable, match=rf"row in aggregates: expected text as {column}, found b'bob'"):
        rebuild.rebuild(damaged.repository)


@pytest.mark.parametrize("text", ["'no json'", "x'00'", "7", "'[]'", """'{"began": 7}'""", "''''"])
def test_G8_a_checkpoint_that_is_none_is_named(damaged: Damaged, text: str) -> None:
    """With its table and its name; nothing is called complete."""
    rebuild.catch_up(damaged.repository)
    for (name,) in rows_of(damaged.path, "SELECT name FROM checkpoints WHERE name <> 'settings'"):
        damaged.change(f"UPDATE checkpoints SET text = {text} WHERE name = '{name}'")
    with pytest.raises(Unreadable, match=r"row in checkpoints: .*days"):
        rebuild.caught_up(damaged.repository)
    with pytest.raises(Unreadable, match=r"row in checkpoints: .*days"):
        rebuild.catch_up(damaged.repository)


@pytest.mark.parametrize("text", ["'no json'", "x'00'", "7", "'{}'", """'{"bounds": {"late": "P9D"}}'"""])
def test_G8_settings_that_are_none_are_named(damaged: Damaged, text: str) -> None:
    """No process begins with settings of its own beside them."""
    damaged.change(f"UPDATE checkpoints SET text = {text} WHERE name = 'settings'")
    with pytest.raises(Unreadable, match=r"row in checkpoints: 'settings' of .*: .*, found "):
        Repository(damaged.store, ManualClock(START))


def rows_of(path: Path, sql: str) -> list[tuple[str]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()
