"""What is said of read tables is true: a table is called complete only if it certainly holds its rows."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from eslab import AggregateService, EventStore, InvalidInput, ManualClock, Repository, Unreadable, open_store
from eslab.cli import app
from eslab.layout import Layout
from eslab.operations import rebuild
from eslab.read_table import ReadTable
from eslab.store import ReadRow
from tests.support.sample import (
    DAYS,
    HOUR,
    MINUTE,
    SHELF,
    START,
    Count,
    Counter,
    Faulty,
    at,
    everything,
    handle,
    new_url,
    rows,
)
from tests.test_read_table import BY_DAY, ON_SHELF, SHARDS, Elsewhere, told

MODULES = ["--module", "tests.test_read_table:BY_DAY", "--module", "tests.test_read_table:ON_SHELF"]
WORK = {"rebuild": rebuild.rebuild, "catch-up": rebuild.catch_up}


class Killed(BaseException):
    """The end of the process, which no code may catch."""


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EventStore]:
    with closing(open_store(new_url(request.param, tmp_path))) as store:
        yield store


def lived(store: EventStore, customers: int = 120) -> Repository:
    """Every customer counted twice, and the rows outside the customers' partitions are missing."""
    unlucky = Elsewhere(store)
    repository, service = told(unlucky, ManualClock(START))
    for number in range(customers):
        for key in "12":
            service.send(f"customer {number:03}", f"counter:{key}", Count("b"), at(-int(key), str(number)))
    unlucky.error = None
    return repository


def damage(store: EventStore, *customers: str) -> None:
    """Damage the first commit of each, so that the damage is kept: its bytes are greater than the whole ones."""
    for customer in customers:
        (commit,) = rows(store, "counter:1", customer)
        store.append(customer, [commit._replace(payload=b"\xff" + commit.payload[1:])])


def in_days(store: EventStore) -> set[tuple[str, str]]:
    """The customers and aggregates that have a row in the table."""
    found = chain.from_iterable(store.read_rows(DAYS, SHARDS))
    return {(row.customer_id, row.commit.aggregate_id) for row in found}


def status(store: EventStore) -> dict[str, str]:
    return rebuild.status(store, [BY_DAY, ON_SHELF])


# Rows that can't be used


@pytest.mark.parametrize("work", WORK)
def test_one_damaged_row_stops_nobody(store: EventStore, work: str) -> None:
    """All other rows are written, of the same customer and of others; the row is named, and nothing is complete."""
    repository = lived(store)
    damage(store, "customer 007", "customer 101")
    for _ in range(2):  # for ever, until somebody repairs it
        with pytest.raises(Unreadable, match=r"Incomplete: .* 2 rows can't be used") as raised:
            WORK[work](repository)
        assert "customer 'customer 007', aggregate 'counter:1'" in str(raised.value)
        assert "customer 'customer 101', aggregate 'counter:1'" in str(raised.value)
        assert (raised.value.customer_id, raised.value.aggregate_id) == ("customer 007", "counter:1")
        assert len(in_days(store)) == 238
        assert not status(store)["days"].startswith("complete")
        assert rebuild.caught_up(repository) is None


def dying(after: int) -> Callable[[int], None]:
    """A report of progress at which the walk dies, after so many customers."""
    left = iter(range(after - 1))

    def report(rows: int) -> None:
        if next(left, None) is None:
            raise Killed

    return report


@pytest.mark.parametrize("work", WORK)
@pytest.mark.parametrize("killed_after", [1, 30, 60, 110, 118])
def test_a_damaged_row_is_remembered_after_a_kill(store: EventStore, work: str, killed_after: int) -> None:
    """The run that resumes meets it again, so it can't call itself complete."""
    repository = lived(store)
    damage(store, "customer 007")
    die = dying(killed_after)
    with pytest.raises(Killed):
        WORK[work](repository, die)
    with pytest.raises(Unreadable, match="customer 007"):
        WORK[work](repository)
    assert len(in_days(store)) == 239
    assert rebuild.caught_up(repository) is None


def test_after_a_damaged_run_new_rows_of_earlier_customers_are_found(store: EventStore) -> None:
    """The next run begins at the first customer."""
    repository = lived(store)
    damage(store, "customer 099")
    with pytest.raises(Unreadable):
        rebuild.catch_up(repository)
    _, service = told(Elsewhere(store), ManualClock(START))
    service.send("customer 000", "counter:3", Count("b"), at(0))
    with pytest.raises(Unreadable):
        rebuild.catch_up(repository)
    assert ("customer 000", "counter:3") in in_days(store)


def test_a_repaired_row_completes_the_tables(store: EventStore) -> None:
    """The commit is deleted here, as if it were restored elsewhere; the next rebuild and catch-up are whole."""
    repository = lived(store, 3)
    damage(store, "customer 001")
    with pytest.raises(Unreadable):
        rebuild.rebuild(repository)
    (broken,) = rows(store, "counter:1", "customer 001")
    store.mark("customer 001", "counter:1", floor=broken.event_time)
    store.delete_events("customer 001", "counter:1", broken.event_time)
    rebuild.rebuild(repository)
    assert status(store) == {"days": "complete up to 2026-01-05 09:00:00 UTC", "shelf": WHOLE}


WHOLE = "complete: its rows are a part of every append"
BAD_KEYS: dict[str, Any] = {
    "empty": ("2026-01-05", ""), "too long": ("2026-01-05", "x" * 1025), "a number": ("2026-01-05", 7),
    "none": ("2026-01-05", None), "a surrogate": ("2026-01-05", "\ud800"), "too few": ("2026-01-05",),
    "too many": ("2026-01-05", "0", "1"), "a list": ["2026-01-05", "0"], "a text": "ab",
}  # fmt: skip


def day_of(values: Any) -> ReadTable:
    return ReadTable(DAYS, {Counter: lambda customer, key, events: [values]})


def failing(customer: str, key: str, events: Any) -> Any:
    raise KeyError("no such studio")


@pytest.mark.parametrize("bad", BAD_KEYS)
def test_a_key_that_no_store_can_keep_is_refused_before_the_append(store: EventStore, bad: str) -> None:
    """Nothing is written, each repeat is refused alike, and with a corrected definition the same request is decided."""
    clock = ManualClock(START)
    for _ in range(2):
        service = AggregateService(store, Counter, handle, clock)
        service.repository = Repository(store, clock, read_tables=[day_of(BAD_KEYS[bad])])
        with pytest.raises(InvalidInput, match="days") as raised:
            service.send("ann", "counter:1", Count("b"), at(0))
        assert (raised.value.aggregate_id, raised.value.event_time) == ("counter:1", at(0).event_time)
        assert everything(store) == {}
    service.repository = Repository(store, clock, read_tables=[BY_DAY])
    assert not service.send("ann", "counter:1", Count("b"), at(0)).repeated  # type: ignore[union-attr]
    assert in_days(store) == {("ann", "counter:1")}


@pytest.mark.parametrize("values", [*BAD_KEYS.values(), None], ids=[*BAD_KEYS, "an error"])
def test_a_recorded_request_gets_its_answer_whatever_the_keys_are_now(store: EventStore, values: Any) -> None:
    """Its rows can't be written; a catch-up names it, and goes on with the others."""
    clock = ManualClock(START)
    service = AggregateService(store, Counter, handle, clock)
    service.send("ann", "counter:1", Count("b"), at(0))
    service.send("bob", "counter:2", Count("b"), at(0))
    good = day_of(("2026-01-05", "0")).keys[Counter]
    bad = day_of(values).keys[Counter] if values else failing
    table = ReadTable(DAYS, {Counter: lambda *args: bad(*args) if args[0] == "ann" else good(*args)})
    service.repository = Repository(store, clock, read_tables=[table])
    assert service.send("ann", "counter:1", Count("b"), at(0)).repeated  # type: ignore[union-attr]
    with pytest.raises(Unreadable, match=r"1 row can't be used[^$]*'counter:1', event time"):
        rebuild.catch_up(service.repository)
    assert in_days(store) == {("bob", "counter:2")}


def test_a_row_in_another_customers_partition_is_refused_by_a_rebuild_too(store: EventStore) -> None:
    """It would be read as a row of that customer."""
    AggregateService(store, Counter, handle, ManualClock(START)).send("ann", "counter:1", Count("b"), at(0))
    wrong = ReadTable(SHELF, {Counter: lambda customer, key, events: [("bob", key)]})
    with pytest.raises(Unreadable, match="customer's partition"):
        rebuild.rebuild(Repository(store, ManualClock(START), read_tables=[wrong]))
    assert list(store.read_rows(SHELF, [("bob",)])) == []


# Status


def test_status_makes_no_table(tmp_path: Path) -> None:
    """It calls them missing."""
    url = new_url("sqlite", tmp_path)
    with closing(open_store(url)) as store:
        AggregateService(store, Counter, handle, ManualClock(START)).send("ann", "counter:1", Count("b"), at(0))
    done = CliRunner().invoke(app, ["read-tables", "status", "--store", url, *MODULES])
    assert "days: missing" in done.output and "shelf: missing" in done.output
    with closing(open_store(url)) as store:
        assert store.missing_read_tables([DAYS, SHELF]) == [DAYS, SHELF]


def test_a_table_made_after_the_first_event_is_unproved_until_it_is_rebuilt(store: EventStore) -> None:
    """Also if rows have been written into it since."""
    AggregateService(store, Counter, handle, ManualClock(START)).send("ann", "counter:1", Count("b"), at(0))
    repository, service = told(store, ManualClock(START))
    assert status(store)["shelf"].startswith("unproved")
    service.send("bob", "counter:1", Count("b"), at(0))
    assert status(store)["shelf"].startswith("unproved")
    rebuild.rebuild(repository)
    assert status(store)["shelf"] == WHOLE


@pytest.mark.parametrize("killed_after", [1, 119])
def test_tables_that_were_emptied_are_incomplete_until_the_rebuild_is_done(
    store: EventStore, killed_after: int
) -> None:
    """Whatever was complete before, whoever looks, and also if a catch-up ends meanwhile."""
    repository = lived(store)
    rebuild.catch_up(repository)
    assert status(store)["days"].startswith("complete up to")
    die = dying(killed_after)
    only = Repository(store, ManualClock(START + HOUR), read_tables=[BY_DAY])
    with pytest.raises(Killed):
        rebuild.rebuild(only, die)
    assert status(store)["days"].startswith("incomplete") and status(store)["shelf"] == WHOLE
    assert rebuild.caught_up(repository) is None
    rebuild.catch_up(repository)
    assert status(store)["days"].startswith("incomplete")
    rebuild.rebuild(only)
    assert status(store)["days"].startswith("complete up to")
    assert len(in_days(store)) == 240


def test_two_rebuilds_of_a_table_do_not_complete_each_others(store: EventStore) -> None:
    """The one that emptied it last is the one that completes it."""
    repository = lived(store, 60)
    only = Repository(store, ManualClock(START + MINUTE), read_tables=[BY_DAY])
    done: list[int] = []

    def other(rows: int) -> None:
        done.append(rows)
        if len(done) == 30:
            with pytest.raises(Killed):
                rebuild.rebuild(repository, die)

    def die(rows: int) -> None:
        raise Killed

    rebuild.rebuild(only, other)
    assert len(in_days(store)) < 120
    assert status(store)["days"].startswith("incomplete")
    rebuild.rebuild(repository)
    assert len(in_days(store)) == 120 and status(store)["days"].startswith("complete")


# Late appends


class DyingElsewhere(Faulty):
    """A store whose process dies before it writes rows elsewhere."""

    def put_read_rows(self, rows: list[ReadRow]) -> None:
        raise Killed


def slow_before(clock: ManualClock, faulty: Faulty, seconds: float) -> None:
    clock.advance(timedelta(seconds=seconds))


def slow_inside(clock: ManualClock, faulty: Faulty, seconds: float) -> None:
    faulty.before = lambda: clock.advance(timedelta(seconds=seconds))


@pytest.mark.parametrize("slow", [slow_before, slow_inside])
@pytest.mark.parametrize("hours", [0.2, 25, 30, 300])
def test_an_append_long_after_its_check_is_found(
    store: EventStore, hours: float, slow: Callable[[ManualClock, Faulty, float], None]
) -> None:
    """Its process died before it wrote the read rows; catch-ups had been complete long past its request."""
    clock = ManualClock(START)
    dying = DyingElsewhere(store)
    told(store, clock)[1].send("bob", "counter:1", Count("b"), at(0))
    repository = Repository(dying, clock, read_tables=[BY_DAY])  # type: ignore[arg-type]
    work = repository.begin("ann", at(0), Count("b"))
    (counter,) = work.load((Counter, "1"))
    work.add(counter, *handle(counter, Count("b"), at(0)))
    later = ManualClock(START + hours * HOUR)
    catching_up = Repository(store, later, read_tables=[BY_DAY])
    rebuild.catch_up(catching_up)
    slow(clock, dying, hours * 3600)
    with pytest.raises(Killed):
        work.append()
    assert ("ann", "counter:1") not in in_days(store)
    later.advance(HOUR)
    rebuild.catch_up(catching_up)
    assert ("ann", "counter:1") in in_days(store)
    later.advance(100 * HOUR)
    rebuild.catch_up(catching_up)
    later.advance(100 * HOUR)
    assert rebuild.catch_up(catching_up).rows == 0  # the note is handled once


def test_everything_may_be_read_again(store: EventStore) -> None:
    """`catch-up --all` finds whatever is missing, without emptying a table."""
    repository = lived(store, 3)
    rebuild.catch_up(repository)
    store.empty_read_table(DAYS)
    later = Repository(store, ManualClock(START + 1000 * HOUR), read_tables=[BY_DAY])
    rebuild.catch_up(later)
    assert rebuild.catch_up(later).rows == 0
    assert rebuild.catch_up(later, everything=True).rows == 6
    assert len(in_days(store)) == 6


def test_the_commands_end_with_1_and_name_the_row(tmp_path: Path) -> None:
    """After all that can be written is."""
    url = new_url("sqlite", tmp_path)
    with closing(open_store(url)) as store:
        lived(store, 4)
        damage(store, "customer 002")
    for name in ("catch-up", "rebuild"):
        done = CliRunner().invoke(app, ["read-tables", name, "--store", url, *MODULES])
        said = " ".join(done.output.split())
        assert done.exit_code == 1 and "customer 'customer 002', aggregate 'counter:1'" in said and "Incomplete" in said
        with closing(open_store(url)) as store:
            assert len(in_days(store)) == 7


def test_a_table_of_another_set_is_caught_up_on_its_own(store: EventStore) -> None:
    """A new table beside an old one: the next catch-up reads everything for it."""
    repository = lived(store, 3)
    rebuild.catch_up(repository)
    other = ReadTable(Layout("nights", ("day", "shard")), BY_DAY.keys)
    both = Repository(store, ManualClock(START + 1000 * HOUR), read_tables=[BY_DAY, other])
    assert rebuild.caught_up(both) is None
    assert rebuild.catch_up(both).rows == 12
    assert rebuild.caught_up(both) == START + 1000 * HOUR
