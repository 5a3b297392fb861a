"""An audit compares all that is stored with the events, names what differs, and repairs only what follows from them."""

import re
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import timedelta
from itertools import groupby
from pathlib import Path
from time import sleep
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from eslab import EventStore, InvalidInput, ManualClock, Repository, SnapshotPolicy, StoreUnavailable, Unreadable
from eslab import open_store as open_url
from eslab.aggregate import Aggregate
from eslab.cli import app
from eslab.event import Event
from eslab.late_commits import make_safe
from eslab.operations.findings import Finding
from eslab.operations.full_audit import audit, audit_customer
from eslab.operations.restore import skip
from eslab.operations.retention import rotate
from eslab.operations.snapshots import build_snapshot
from eslab.operations.walk import CUSTOMERS_PER_CHECKPOINT, Walked, load_checkpoint
from eslab.read_table import rows_in
from eslab.request import sort_key
from eslab.store import Consistency, StoredSnapshot
from eslab.stores.keys import MemoryKeys
from tests.conftest import alone
from tests.support.between import Between
from tests.support.logs import LOG
from tests.support.sample import (
    DAY,
    HOUR,
    START,
    Card,
    Count,
    Counted,
    Counter,
    Faulty,
    Stamped,
    append,
    at,
    commits,
    everything,
    fill,
    new_url,
    replayed,
    rows,
    snapshot,
)
from tests.test_read_table import BY_DAY, ON_SHELF, told

ONE = SnapshotPolicy(every=1)
LATER = START + 9 * DAY
TYPES = (Counter, Card)
BOTH: dict[str, Sequence[Event]] = {"card:1": [Stamped(7)], "counter:1": [Counted("red")]}
LATE = at(5.5)


@pytest.fixture
def later(store: EventStore) -> Repository:
    """A repository, so much later that all may be folded."""
    return Repository(store, ManualClock(LATER))


def found(repository: Repository, *types: type[Aggregate], repair: bool = False) -> list[Finding]:
    return audit_customer(repository, types or TYPES, "ann", repair)


def said(findings: list[Finding]) -> str:
    return "\n".join(map(str, findings))


def save(store: EventStore, made: StoredSnapshot) -> None:
    store.save_snapshot("ann", "counter:1", made, START)


def kept(store: EventStore) -> list[StoredSnapshot]:
    return list(store.heads("ann", ["counter:1"])["counter:1"].snapshots)


def lose(store: EventStore) -> None:
    """A writer appends ten commits behind their snapshot, and dies before it makes the last one safe."""
    fill(store, 10)
    assert build_snapshot(Repository(store, ManualClock(LATER - DAY)), "ann", Counter, "1", ONE)
    store.append("ann", commits(LATE, {"counter:1": [Counted("rum")]}))


# What is whole


@alone
def test_what_is_whole_has_no_findings(store: EventStore, later: Repository) -> None:
    """Snapshots, appends of several aggregates, a losing decision's row, archived history."""
    fill(store, 5)
    store.append("ann", commits(at(7), {"counter:2": [Counted("red")], "card:2": [Stamped(7)]}))
    for other in BOTH, {"counter:1": [Counted("red")], "counter:3": [Counted("red")]}:
        store.append("ann", commits(at(9), other))
    for key in "12":
        assert build_snapshot(later, "ann", Counter, key, ONE)
    assert rotate(later, "ann", Counter, "2", len, wait=lambda seconds: None)
    before = everything(store)
    assert found(later, repair=True) == []
    assert audit(later, TYPES, pytest.fail, repair=True, customer_id="ann") == Walked(1, 0)
    assert everything(store) == before


def test_types_that_are_not_named_are_not_folded(store: EventStore, later: Repository) -> None:
    """Their snapshots say nothing without their code; digests and directory are looked at."""
    fill(store, 3)
    save(store, snapshot(at(2), Counter({"tea": 99}), 3))
    assert audit_customer(later, [Card], "ann") == audit_customer(later, [], "ann") == []
    assert len(found(later)) == 1


# Snapshots


def test_G5_a_commit_that_a_snapshot_lacks_is_found_and_made_safe(store: EventStore, later: Repository) -> None:
    """Its writer died; it shows in no hydration from the snapshot until the sweep, and then in all."""
    lose(store)
    (finding,) = found(later)
    up_to = kept(store)[0].up_to
    assert finding.error.event_time == up_to
    assert re.search(
        rf"up to {up_to} .* found one of 10 commits, and a replay of 11: \.counts\['rum'\] is nothing in the snapshot "
        rf"and 1 in the replay\. The first event that differs: {LATE.event_time} \(.*\), Counted:1\. `eslab audit "
        "--repair` makes it safe, so that readers pass over the snapshot",
        str(finding),
    )
    assert later.load("ann", Counter, "1").total == 10
    assert [each.repaired for each in found(later, repair=True)] == [True]
    assert found(later) == []
    hydration = later.hydrate("ann", Counter, "1")
    assert (hydration.state.total, hydration.tail, len(kept(store))) == (11, 11, 1)
    assert store.heads("ann", ["counter:1"], LATE.event_time)["counter:1"].safe
    assert later.clock() == LATER
    rebuilt = Repository(store, ManualClock(LATER + HOUR))
    assert build_snapshot(rebuilt, "ann", Counter, "1", ONE)
    assert rebuilt.hydrate("ann", Counter, "1").tail == 0
    assert found(rebuilt) == []


@given(LOG, st.sets(st.integers(0, 11), max_size=3), st.integers(0, 300))
def test_G5_after_a_sweep_every_hydration_is_a_full_replay(
    open_new: Callable[[], EventStore], log: list[tuple[int, Event]], late: set[int], moment: int
) -> None:
    """Whichever commits were never made safe, however many snapshots lack them; another audit finds nothing."""
    store = open_new()
    on_time = [pair for number, pair in enumerate(log) if number not in late]
    append(store, *on_time)
    for hours in (27, 29, 31):
        build_snapshot(Repository(store, ManualClock(START + hours * HOUR)), "ann", Counter, "1", ONE)
    append(store, *(pair for number, pair in enumerate(log) if number in late))
    repository = Repository(store, ManualClock(LATER))
    assert all(finding.repaired for finding in found(repository, repair=True))
    assert repository.load("ann", Counter, "1") == replayed(*(event for _, event in log))
    expected = replayed(*(event for minutes, event in log if minutes <= moment))
    assert repository.load("ann", Counter, "1", as_of=at(moment).time) == expected
    assert found(repository) == []


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (Counter({"thing 0": 1, "thing 1": 1, "thing 2": 5}), r"\.counts\['thing 2'\] is 5 in the snapshot and 1 in"),
        (
            Counter({"thing 0": 1, "thing 1": 1, "thing 2": 1}, {"x"}),
            r"\.voided\{'x'\} is True in the snapshot and False",
        ),
    ],
)
def test_G6_a_wrong_snapshot_is_deleted(store: EventStore, later: Repository, state: Counter, why: str) -> None:
    """It adds up the right number of commits, and another state: other code folded it, say. The other one stays."""
    fill(store, 5)
    save(store, snapshot(at(1), Counter({"thing 0": 1, "thing 1": 1}), 2))
    save(store, snapshot(at(2), state, 3))
    assert re.search(f"one of 3 commits, and a replay of 3: {why}", said(found(later)))
    assert [each.repaired for each in found(later, repair=True)] == [True]
    assert [each.up_to for each in kept(store)] == [at(1).event_time]
    assert later.load("ann", Counter, "1").total == 5


def test_G5_what_came_of_a_wrong_snapshot_is_passed_over(store: EventStore, later: Repository) -> None:
    """A builder began from it after the audit had looked, and before it was deleted; a later one begins elsewhere."""
    fill(store, 5)
    save(store, snapshot(at(2), Counter({"thing 0": 3}), 3))
    (finding,) = found(later)
    assert finding.repair and build_snapshot(later, "ann", Counter, "1", ONE)
    finding.repair()
    assert len(kept(store)) == 1
    hydration = later.hydrate("ann", Counter, "1")
    assert (hydration.base, hydration.state) == (None, replayed(*(Counted(f"thing {i}") for i in range(5))))
    rebuilt = Repository(store, ManualClock(LATER + HOUR))
    assert build_snapshot(rebuilt, "ann", Counter, "1", ONE)
    assert rebuilt.hydrate("ann", Counter, "1").tail == 0 and found(rebuilt) == []


def test_G8_a_broken_snapshot_says_nothing_about_others(store: EventStore, later: Repository) -> None:
    """Nothing came of it, so no mark is raised."""
    fill(store, 5)
    save(store, StoredSnapshot(at(2).event_time, 1, b"broken"))
    assert build_snapshot(later, "ann", Counter, "1", ONE)
    assert [each.repaired for each in found(later, repair=True)] == [True]
    assert later.hydrate("ann", Counter, "1").tail == 0


def test_G6_the_first_event_that_differs_is_looked_for_behind_what_agrees(store: EventStore, later: Repository) -> None:
    """The tea of minute 1 is in both snapshots; the one of minute 3 is the first that only a replay holds."""
    append(store, (1, Counted("tea")), (2, Counted("milk")), (3, Counted("tea")), (4, Counted("tea")))
    save(store, snapshot(at(2), Counter({"tea": 1, "milk": 1}), 2))
    save(store, snapshot(at(4), Counter({"tea": 1, "milk": 1}), 2))
    expected = (
        f"The first event that changes this: {at(3).event_time} .*, Counted:1, of 2 commits that do. `eslab audit"
    )
    assert re.search(expected, said(found(later)))


def test_G6_a_number_of_commits_that_is_wrong_is_found(store: EventStore, later: Repository) -> None:
    """Though the states are equal: a count of nothing changes nothing."""
    append(store, (1, Counted("tea", 0)), (2, Counted("tea", 1)))
    save(store, snapshot(at(2), Counter({"tea": 1}), 1))
    assert "one of 1 commit, and a replay of 2: their states are equal. `eslab audit --repair` deletes" in said(
        found(later)
    )
    assert [each.repaired for each in found(later, repair=True)] == [True]
    assert kept(store) == []


def test_G6_a_snapshot_that_holds_more_than_the_events_is_kept(store: EventStore, later: Repository) -> None:
    """It may be all that is left of commits that were lost."""
    fill(store, 2)
    save(store, snapshot(at(5), Counter({"thing 0": 1, "thing 1": 1, "lost": 7}), 3))
    for repair in (False, True):
        (finding,) = found(later, repair=repair)
        assert "The snapshot holds what the events lack: don't delete it. Run `eslab repair`" in str(finding)
        assert (finding.repair, finding.repaired, len(kept(store))) == (None, False, 1)


def test_G8_a_broken_snapshot_is_deleted(store: EventStore, later: Repository) -> None:
    """Unless the events can't be read either: then these may be the wrong keys, or the wrong code."""
    (first, *_) = fill(store, 3)
    save(store, StoredSnapshot(at(2).event_time, 1, b"broken"))
    store.append("ann", [first._replace(payload=b"\xff" + first.payload[1:])])
    assert "Nor can its events: look at these first" in said(found(later, repair=True))
    assert len(kept(store)) == 1
    store.replace("ann", first, b"\xff" + first.payload[1:])
    assert "that it can't be read: the checksum of 6 bytes does not match" in said(found(later, repair=True))
    assert kept(store) == [] and found(later) == []


def test_G5_what_readers_pass_over_is_not_compared(store: EventStore, later: Repository) -> None:
    """Another fold, which this code can't read; and a snapshot that lacks a commit that was made safe."""
    lose(store)
    save(store, snapshot(at(5), Counter({"tea": 99}))._replace(fold=7))
    make_safe(later.environment, "ann", LATE, commits(LATE, {"counter:1": [Counted("rum")]}))
    assert found(later) == []


@alone
def test_G6_above_a_floor_a_replay_begins_from_its_base(store: EventStore, later: Repository) -> None:
    """The events below are gone, and the base on the floor is believed; later snapshots are compared with it."""
    fill(store, 5)
    build_snapshot(Repository(store, ManualClock(START + 26 * HOUR + timedelta(minutes=2))), "ann", Counter, "1", ONE)
    assert rotate(later, "ann", Counter, "1", len, wait=lambda seconds: None) == 3
    assert found(later) == []
    save(store, snapshot(at(4), Counter({"tea": 99}), 5))
    assert "one of 5 commits, and a replay of 5" in said(found(later, repair=True))
    assert len(kept(store)) == 1 and found(later) == []


def test_G6_what_may_be_the_base_of_last_resort_is_never_deleted(store: EventStore, later: Repository) -> None:
    """A broken one on the floor, and a wrong one on a floor that was only announced."""
    fill(store, 5)
    save(store, snapshot(at(2), Counter({"tea": 99}), 3))
    store.mark("ann", "counter:1", intended=at(2).event_time)
    assert "at or below the floor, where it may be the only base" in said(found(later, repair=True))
    store.mark("ann", "counter:1", floor=at(2).event_time)
    save(store, StoredSnapshot(at(2).event_time, 1, b"\xffbroken"))
    store.save_snapshot("ann", "counter:1", StoredSnapshot(at(2).event_time, 1, b"broken"), START + HOUR)
    findings = said(found(later, repair=True))
    assert "found that no usable one lies on the floor. Restore it from a backup" in findings
    assert len(kept(store)) == 1


def test_G5_nothing_is_made_safe_below_a_floor_that_was_announced(store: EventStore, later: Repository) -> None:
    """The finding stays, and says so in the next run too."""
    lose(store)
    store.mark("ann", "counter:1", intended=kept(store)[0].up_to)
    for _ in range(2):
        (finding,) = found(later, repair=True)
        assert not finding.repaired


def test_G5_a_late_commit_that_is_made_safe_meanwhile_is_no_finding(store: EventStore) -> None:
    """Its writer raises the mark after the audit has read the snapshots: what was found is looked at again."""
    lose(store)
    rum = commits(LATE, {"counter:1": [Counted("rum")]})
    writer = Repository(store, ManualClock(LATER))
    between = Between(store, "before", "rows_many", lambda: make_safe(writer.environment, "ann", LATE, rum))
    assert found(Repository(between, ManualClock(LATER))) == []  # type: ignore[arg-type]
    assert between.ran


def test_G5_a_snapshot_that_is_too_new_is_deleted(store: EventStore, clock: ManualClock) -> None:
    """A commit that it lacks may be on its way still, and is not made safe before its writer could have been done."""
    append(store, (1, Counted("tea")), (2, Counted("milk")))
    save(store, snapshot(at(2), Counter({"tea": 1}), 1))
    repository = Repository(store, clock)
    assert [each.repaired for each in found(repository, repair=True)] == [True]
    assert kept(store) == []
    assert not any(store.heads("ann", ["counter:1"], at(minutes).event_time)["counter:1"].safe for minutes in (1, 2))


def test_a_secret_state_is_not_told(store: EventStore) -> None:
    """Only the field that differs; a forgotten customer's aggregates are left out."""

    class Secret(Counter):
        stored_as = "counter"
        encrypted = True

    later = Repository(store, ManualClock(LATER), keys=MemoryKeys())
    append(store, (1, Counted("a secret")))
    assert build_snapshot(later, "ann", Secret, "1", ONE)
    store.append("ann", commits(at(0.5), {"counter:1": [Counted("another secret")]}))
    text = said(found(later, Secret))
    assert ".counts differs. The first event that differs:" in text and "secret" not in text
    later.forget("ann")
    assert found(later, Secret) == []


# Commits and appends


def test_G8_a_broken_row_is_named_and_the_others_are_audited(store: EventStore, later: Repository) -> None:
    """Snapshots before it are compared; those behind it can't be."""
    fill(store, 5)
    save(store, snapshot(at(1), Counter({"tea": 99}), 2))
    save(store, snapshot(at(4), Counter({"tea": 99}), 5))
    store.append("ann", [rows(store)[3]._replace(payload=b"\xff")])
    findings = found(later)
    assert [(each.kind, each.error.event_time) for each in findings] == [
        ("commit", at(3).event_time), ("snapshot", at(1).event_time)
    ]  # fmt: skip
    assert "Restore it with `eslab row restore`" in str(findings[0])


def test_G8_a_row_that_was_copied_to_another_time_is_found(store: EventStore, later: Repository) -> None:
    """Its checksum is right; the digest of its append is not."""
    (row,) = commits(at(1), {"counter:1": [Counted("tea")]})
    store.append("ann", [row, row._replace(event_time=at(2).event_time)])
    (finding,) = found(later)
    assert (finding.kind, finding.error.event_time) == ("append", at(2).event_time)
    assert "the row was copied from another time or customer, or is damaged" in str(finding)


@pytest.mark.parametrize("known", [True, False])
def test_G2_an_append_of_which_a_commit_is_missing_is_found(store: EventStore, later: Repository, known: bool) -> None:
    """With the aggregate, if the customer has it."""
    _, counted = commits(at(1), BOTH)
    store.append("ann", [counted])
    if known:
        store.append("ann", commits(at(2), {"card:1": [Stamped(8)]}))
    (finding,) = found(later, repair=True)
    where = r"commits are missing \(in card:1\)" if known else "commits are missing"
    assert re.search(rf"Expected 2 commits of Request .* found 1: {where}\. Run `eslab repair`", str(finding))


def test_G2_an_append_that_arrives_during_the_audit_is_whole(store: EventStore) -> None:
    """The audit has read one aggregate before it and the other one after it."""
    store.append("ann", commits(at(0), BOTH))
    faulty = Faulty(store)

    def rows_many(*args: Any, **options: Any) -> Any:
        if "counter:1" in args[1]:
            store.append("ann", commits(at(1), BOTH))
        return store.rows_many(*args, **options)

    faulty.rows_many = rows_many  # type: ignore[method-assign]
    assert found(Repository(faulty, ManualClock(LATER))) == []


@alone
def test_a_part_of_an_append_that_lies_below_a_floor_is_not_missing(store: EventStore, later: Repository) -> None:
    """It may be archived."""
    store.append("ann", commits(at(1), BOTH))
    build_snapshot(later, "ann", Card, "1", ONE)
    assert rotate(later, "ann", Card, "1", len, wait=lambda seconds: None) == 1
    assert found(later) == []


def test_a_row_that_was_skipped_is_no_finding(store: EventStore, clock: ManualClock) -> None:
    """Nor is the rest of its append, nor an intact copy of it in a read table."""
    store.append("ann", commits(at(1), BOTH))
    (broken,) = rows(store)
    repository, _ = told(store, clock)
    intact = rows_in([ON_SHELF, BY_DAY], "ann", {"counter:1": Counter}, [broken], {"counter:1": [Counted("red")]})
    store.put_read_rows(intact)
    store.append("ann", [broken._replace(payload=b"\xff" + broken.payload[1:])])
    assert {each.kind for each in found(repository)} == {"commit"}, (
        "a copy that can restore the row must not be removed"
    )
    assert skip(store, "ann", "counter:1", at(1).event_time, "lost", clock=clock)
    assert found(repository) == []


# The directory


def in_sql(url: str, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection, connection:
        connection.execute(statement, values)


def test_an_entry_that_is_later_than_the_first_commit_is_written_again(tmp_path: Path) -> None:
    """A history that began later than it did would be called complete."""
    url = new_url("sqlite", tmp_path)
    with closing(open_url(url)) as store:
        fill(store, 3)
        in_sql(url, "UPDATE aggregates SET first = ?", sort_key(at(2).event_time))
        later, before = Repository(store, ManualClock(LATER)), rows(store)
        (finding,) = found(later)
        assert f"Expected the first commit of customer 'ann', aggregate 'counter:1' at {at(0).event_time}" in str(
            finding
        )
        assert [each.repaired for each in found(later, repair=True)] == [True]
        assert store.heads("ann", ["counter:1"])["counter:1"].first == at(0).event_time
        assert (found(later), rows(store)) == ([], before)


def test_an_entry_that_is_missing_is_written_again(tmp_path: Path) -> None:
    """Whoever lists the customer's aggregates would miss this one."""
    url = new_url("sqlite", tmp_path)
    with closing(open_url(url)) as store:
        fill(store, 3)
        in_sql(url, "DELETE FROM aggregates")
        later = Repository(store, ManualClock(LATER))
        assert later.load_all("ann", Counter) == {}
        assert "found nothing. `eslab audit --repair` writes the entry again" in said(found(later, repair=True))
        assert later.load_all("ann", Counter)["1"].total == 3
        assert found(later) == []


@pytest.mark.parametrize("left", [2, 0])
def test_commits_that_the_directory_knows_of_and_nobody_has_are_found(tmp_path: Path, left: int) -> None:
    """They can't be made again."""
    url = new_url("sqlite", tmp_path)
    with closing(open_url(url)) as store:
        fill(store, 3)
        in_sql(url, "DELETE FROM events WHERE event_time < ?", sort_key(at(3 - left).event_time))
        (finding,) = found(Repository(store, ManualClock(LATER)), repair=True)
        assert (finding.kind, finding.repaired) == ("directory", False)
        assert "to be the first: commits are missing. Run `eslab repair`" in str(finding)


# Read tables


@alone
def test_whole_read_tables_have_no_findings(store: EventStore, clock: ManualClock) -> None:
    """The rows of all commits, in the customer's partition and elsewhere."""
    repository, service = told(store, clock)
    clock.advance(HOUR)
    for minutes in range(5):
        service.send("ann", "counter:1", Count("tea"), at(minutes))
    assert audit_customer(repository, [Counter], "ann") == []


@alone
def test_rows_that_a_read_table_lacks_are_written(store: EventStore, clock: ManualClock) -> None:
    """In the customer's partition and elsewhere."""
    _, service = told(store, clock)
    service.send("ann", "counter:1", Count("tea"), at(0))
    store.append("ann", commits(at(1), {"counter:1": [Counted("milk")], "counter:2": [Counted("milk")]}))
    later = Repository(store, ManualClock(LATER), read_tables=(ON_SHELF, BY_DAY))
    findings = audit_customer(later, [Counter], "ann")
    assert sorted((each.kind, each.error.aggregate_id) for each in findings) == [
        (f"read table {name}", id) for name in ("days", "shelf") for id in ("counter:1", "counter:2")
    ]
    assert "Expected 1 row of customer 'ann', aggregate 'counter:1' in the read table" in str(findings[0])
    assert all(each.repaired for each in audit_customer(later, [Counter], "ann", repair=True))
    assert audit_customer(later, [Counter], "ann") == []
    assert {found.key: found.state.total for found in later.read(ON_SHELF, ("ann",))} == {"1": 2, "2": 1}


@alone
def test_a_row_that_no_commit_explains_is_found(store: EventStore, clock: ManualClock) -> None:
    """Only a rebuild removes it."""
    repository, service = told(store, clock)
    service.send("ann", "counter:1", Count("tea"), at(0))
    (lost,) = commits(at(1), {"counter:1": [Counted("milk")]})
    store.put_read_rows(rows_in([ON_SHELF], "ann", {"counter:1": Counter}, [lost], {"counter:1": [Counted("milk")]}))
    (finding,) = audit_customer(repository, [Counter], "ann", repair=True)
    assert f"event time {at(1).event_time}" in str(finding)
    assert str(finding).endswith("which is in no events. An `eslab read-tables rebuild` removes it.")


@alone
def test_a_row_that_is_written_during_the_audit_is_no_finding(store: EventStore, clock: ManualClock) -> None:
    """Its service writes it right after the append."""
    _, service = told(store, clock)
    service.send("ann", "counter:1", Count("tea"), at(0))
    between = Between(store, "before", "rows_many", lambda: service.send("ann", "counter:1", Count("milk"), at(1)))
    assert found(Repository(between, clock, read_tables=(ON_SHELF, BY_DAY))) == []  # type: ignore[arg-type]


# The walk


CUSTOMERS = [f"customer {number:03}" for number in range(2 * CUSTOMERS_PER_CHECKPOINT)]


@alone
def test_one_broken_customer_stops_nobody(store: EventStore) -> None:
    """All others are audited and repaired; what is left is told at once and at the end."""
    for customer in CUSTOMERS[:3]:
        fill(store, 3, customer=customer)
    store.append(CUSTOMERS[1], [rows(store, customer=CUSTOMERS[1])[0]._replace(payload=b"\xff")])
    wrong = snapshot(at(2), Counter({"tea": 99}), 3, customer=CUSTOMERS[2])
    store.save_snapshot(CUSTOMERS[2], "counter:1", wrong, START)
    told_of: list[str] = []
    progress: list[int] = []
    later = Repository(store, ManualClock(LATER))
    with pytest.raises(Unreadable, match=r"of 3 customers: 1 finding repaired, 1 not\. Follow") as error:
        audit(later, TYPES, lambda finding: told_of.append(str(finding)), progress.append, repair=True)
    assert f"Unreadable commit: customer '{CUSTOMERS[1]}'" in str(error.value)
    assert sorted((len(told_of), sum(progress), len(progress))) == [1, 2, 3]
    assert sum(text.endswith("Repaired.") for text in told_of) == 1
    assert audit(later, TYPES, pytest.fail, customer_id=CUSTOMERS[2]) == Walked(1, 0)


def test_an_audit_that_was_killed_resumes_and_remembers() -> None:
    """It names what the first run had found, and audits nobody twice but for the last customers."""
    store = open_url("memory:")
    for customer in CUSTOMERS:
        fill(store, 1, customer=customer)
    store.append(CUSTOMERS[0], [rows(store, customer=CUSTOMERS[0])[0]._replace(payload=b"\xff")])
    later = Repository(store, ManualClock(LATER))
    left = iter(range(60))

    def die(rows: int) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        audit(later, TYPES, lambda finding: None, die)
    assert load_checkpoint(store, "audit of card fold 1, counter fold 1").after == CUSTOMERS[49]
    with pytest.raises(Unreadable, match=rf"of 50 customers: 0 findings repaired, 1 not[^$]*{CUSTOMERS[0]}"):
        audit(later, TYPES, lambda finding: None)


def test_several_threads_tell_the_findings_of_one_customer_at_a_time() -> None:
    """They don't mix, and the error at the end names them in the store's order."""
    store = open_url("memory:")
    for customer in CUSTOMERS[:10]:
        fill(store, 2, customer=customer)
        store.append(customer, [row._replace(payload=b"\xff") for row in rows(store, customer=customer)])
    told_of: list[str | None] = []

    def tell(finding: Finding) -> None:
        told_of.append(finding.error.customer_id)
        sleep(0.01)
        told_of.append(finding.error.customer_id)

    with pytest.raises(Unreadable, match=r"of 10 customers: 0 findings repaired, 20 not") as error:
        audit(Repository(store, ManualClock(LATER)), TYPES, tell, jobs=4)
    assert sorted(customer for customer, _ in groupby(told_of)) == CUSTOMERS[:10]
    named = re.findall("Unreadable commit: customer '(.*?)'", str(error.value))
    assert named == [customer for customer in CUSTOMERS[:10] for _ in range(2)]


@alone
def test_everything_is_read_everywhere(store: EventStore) -> None:
    """While a region is away, commits might be missing: nothing is audited."""
    fill(store, 3)
    faulty = Faulty(store)
    audit_customer(Repository(faulty, ManualClock(LATER)), TYPES, "ann")
    assert {level for _, level in faulty.calls} == {Consistency.EVERYWHERE}
    faulty.refuse[Consistency.EVERYWHERE] = StoreUnavailable("Asia is away")
    with pytest.raises(StoreUnavailable, match="Asia is away"):
        audit(Repository(faulty, ManualClock(LATER)), TYPES, pytest.fail)


def test_keys_are_asked_for_before_anything_is_read(store: EventStore) -> None:
    """Without them an encrypted type can't be folded."""

    class Secret(Counter):
        encrypted = True

    with pytest.raises(InvalidInput, match="Expected keys for encrypted aggregates"):
        audit(Repository(store, ManualClock(LATER)), [Secret], pytest.fail)


def call(url: str, *arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["audit", "--store", url, *arguments])
    return done.exit_code, done.output


def test_the_command(tmp_path: Path) -> None:
    """Exit code 1 as long as a finding is left; the tables that --module names are compared too."""
    url = new_url("sqlite", tmp_path)
    with closing(open_url(url)) as store:
        lose(store)
    named = ["--aggregate", "tests.support.sample:Counter"]
    code, output = call(url, "--all", *named)
    assert (code, "0 findings repaired, 1 not" in output) == (1, True), output
    code, output = call(url, "--all", *named, "--repair", "--jobs", "2")
    assert (code, "Repaired.\n" in output, "audited: 1 customer, 1 finding repaired" in output) == (0, True, True)
    code, output = call(url, "--customer", "ann", "--module", "tests.test_read_table:BY_DAY")
    assert (code, "read table days" in output) == (1, True), output
    assert call(url)[0] == 1 and call(url, "--customer", "ann")[0] == 0
