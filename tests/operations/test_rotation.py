"""Rotation of all customers: events go from the store to the archive, never to nowhere, and states stay."""

import errno
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from eslab import (
    EventStore,
    HistoryGone,
    InvalidInput,
    ManualClock,
    Repository,
    SnapshotPolicy,
    StoreFull,
    TimeBounds,
    Unreadable,
    open_store,
)
from eslab.cli import app
from eslab.operations import archive_files, rotation
from eslab.operations.archive import Archive, merged
from eslab.operations.archive_files import Row, manifests, rows_in
from eslab.operations.history import history
from eslab.operations.rotation import rotate_all
from eslab.operations.snapshots import build_snapshot
from eslab.request import latest_at
from eslab.store import Commit
from eslab.stores.keys import MemoryKeys
from tests.conftest import alone
from tests.operations.test_restore import damage
from tests.support.sample import DAY, HOUR, MINUTE, START, Counted, Counter, at, commits, everything, fill, rows
from tests.support.ward import Chart, diagnose

pytest.importorskip("pyarrow")

BROKEN = "counter:2"
CUSTOMERS = ("ann", "bob", "cy")
BEFORE = START + 12 * HOUR
LATER = START + 10 * DAY


def no_wait(seconds: float) -> None:
    """All hydrations end at once."""


def turn(repository: Repository, folder: Path, before: datetime = BEFORE, **options: Any) -> str:
    """Rotate, and say what was done."""
    options = {"wait": no_wait, **options}
    return str(rotate_all(repository, [Counter], before, Archive(folder), **options))


def lived(store: EventStore) -> Repository:
    """Ten commits of each of two counters of three customers, and one of each on the day after."""
    for customer in CUSTOMERS:
        for id in ("counter:1", "counter:2"):
            fill(store, 10, id, customer)
            store.append(customer, commits(at(24 * 60), {id: [Counted("milk")]}, customer=customer))
    return Repository(store, ManualClock(LATER))


def states(repository: Repository) -> dict[tuple[str, str], Counter]:
    """All states."""
    return {(name, key): repository.load(name, Counter, key) for name in CUSTOMERS for key in ("1", "2")}


def all_rows(store: EventStore) -> dict[tuple[str, str], list[Commit]]:
    """All commits in the store."""
    return {(name, id): rows(store, id, name) for name in CUSTOMERS for id in ("counter:1", "counter:2")}


def archived(folder: Path) -> dict[tuple[str, str], list[Commit]]:
    """All commits in the archive, and each is there once."""
    archive = Archive(folder)
    found = {(name, id): archive.commits(name, id) for name in CUSTOMERS for id in ("counter:1", "counter:2")}
    written = sum(file.rows for _, manifest in manifests(folder) for file in manifest.files)
    assert written == sum(map(len, found.values()))
    return found


def rows_of(folder: Path, customer_id: str) -> list[Row]:
    """A customer's rows in the archive."""
    files = [file for _, manifest in manifests(folder) for file in manifest.files]
    return [row for file in files for row in rows_in(folder / file.path, customer_id)]


@alone
def test_what_lies_before_the_moment_is_archived_and_deleted(store: EventStore, tmp_path: Path) -> None:
    """The rest and all states stay; a second run finds nothing to do."""
    repository = lived(store)
    before, whole = states(repository), all_rows(store)
    said = "3 customers: 6 floors raised, 60 commits archived, 60 deleted"
    assert turn(repository, tmp_path) == said
    assert archived(tmp_path) == {key: commits[:10] for key, commits in whole.items()}
    assert all_rows(store) == {key: commits[10:] for key, commits in whole.items()}
    assert states(repository) == states(Repository(store, ManualClock(LATER))) == before
    assert turn(repository, tmp_path) == "3 customers: 0 floors raised, 0 commits archived, 0 deleted"


@alone
def test_it_waits_once_and_only_if_there_is_something_to_delete(store: EventStore, tmp_path: Path) -> None:
    """For longer than the longest hydration and two skews; a rerun of a run that died waits again."""
    repository = lived(store)
    waits: list[float] = []

    def dies(seconds: float) -> None:
        assert len(rows(store)) == 11
        waits.append(seconds)
        raise Killed

    with pytest.raises(Killed):
        turn(repository, tmp_path, wait=dies)
    for _ in range(2):
        turn(repository, tmp_path, wait=waits.append)
    assert len(waits) == 2
    assert min(waits) > (repository.bounds.grace + 2 * repository.bounds.skew).total_seconds()


@alone
def test_one_customer_is_rotated_alone(store: EventStore, tmp_path: Path) -> None:
    """The others stay whole."""
    repository = lived(store)
    assert (
        turn(repository, tmp_path, customer_id="bob") == "1 customer: 2 floors raised, 20 commits archived, 20 deleted"
    )
    assert {key: len(found) for key, found in all_rows(store).items() if key[0] != "bob"} == {
        (name, id): 11 for name in ("ann", "cy") for id in ("counter:1", "counter:2")
    }


@alone
def test_the_archive_is_written_in_segments(store: EventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of whole customers; each is deleted when it is on the disk."""
    monkeypatch.setattr(rotation, "ROWS_IN_SEGMENT", 15)
    repository = lived(store)
    whole = all_rows(store)
    turn(repository, tmp_path)
    assert [sum(file.rows for file in manifest.files) for _, manifest in manifests(tmp_path)] == [20, 20, 20]
    assert archived(tmp_path) == {key: commits[:10] for key, commits in whole.items()}


@alone
def test_G5_a_moment_behind_which_decisions_are_made_is_refused(store: EventStore, tmp_path: Path) -> None:
    """Nothing happens."""
    repository = lived(store)
    whole = everything(store)
    with pytest.raises(InvalidInput, match="may still be decided"):
        turn(repository, tmp_path, LATER - repository.bounds.fold_after + HOUR)
    assert everything(store) == whole


@alone
def test_aggregates_that_began_later_are_left_alone(store: EventStore, tmp_path: Path) -> None:
    """They have nothing to rotate, and get no floor."""
    repository = lived(store)
    assert turn(repository, tmp_path, START - HOUR) == "3 customers: 0 floors raised, 0 commits archived, 0 deleted"
    assert store.heads("ann", ["counter:1"])["counter:1"].floor is None


@alone
def test_a_snapshot_of_the_past_is_kept_though_there_are_newer_ones(store: EventStore, tmp_path: Path) -> None:
    """It is not among the newest three, and is needed."""
    repository = lived(store)
    for days in (2, 3, 4):
        clock = ManualClock(START + days * DAY + 3 * HOUR)
        build_snapshot(Repository(store, clock), "ann", Counter, "1", SnapshotPolicy(every=1))
        store.append("ann", commits(at(days * 24 * 60), {"counter:1": [Counted("rum")]}))
    assert "60 commits archived, 60 deleted" in turn(repository, tmp_path)


@alone
def test_G8_what_can_not_be_read_is_named_and_the_others_are_rotated(store: EventStore, tmp_path: Path) -> None:
    """Nothing of it is deleted, and a second run says the same."""
    repository = lived(store)
    damage(store, rows(store, BROKEN, "bob")[3], b"broken", "bob")
    named = rf"1 aggregate can't be rotated, and nothing of them was deleted[^~]*{BROKEN}"
    for _ in range(2):
        with pytest.raises(Unreadable, match=named):
            turn(repository, tmp_path)
        assert {key: len(found) for key, found in all_rows(store).items() if len(found) > 1} == {("bob", BROKEN): 11}


@alone
def test_of_a_forgotten_customer_nothing_is_touched(store: EventStore, clock: ManualClock, tmp_path: Path) -> None:
    """Its encrypted events can't be folded; those of others are archived as they are, without their words."""
    keys = MemoryKeys()
    repository = Repository(store, clock, keys=keys)
    for customer in ("ann", "bob"):
        diagnose(repository, "measles", customer=customer)
    payload = rows(store, "chart:1", "bob")[0].payload
    keys.destroy("ann")
    later = Repository(store, ManualClock(LATER), keys=keys)
    rotated = rotate_all(later, [Chart], BEFORE, Archive(tmp_path), wait=no_wait)
    assert str(rotated) == "2 customers: 1 floor raised, 1 commit archived, 1 deleted"
    ((commit,), (row,)) = Archive(tmp_path).commits("bob"), rows_of(tmp_path, "bob")
    assert (commit.payload, row.events) == (payload, None)
    assert later.load("bob", Chart, "1").illnesses == {"measles"}
    assert len(rows(store, "chart:1")) == 1


@alone
def test_the_floor_of_another_rotation_is_left_to_it(store: EventStore, tmp_path: Path) -> None:
    """Hydrations may still read by the one before: it has not waited yet."""
    repository = lived(store)
    *_, last = store.customers()  # in the order of the store

    def other(seconds: float) -> None:
        store.mark(last, "counter:1", floor=latest_at(START + 2 * DAY))

    assert "50 commits archived, 50 deleted" in turn(repository, tmp_path, wait=other)
    assert len(rows(store, "counter:1", last)) == 11


class Killed(BaseException):
    """The end of the process."""


class Dying:
    """A store whose process dies before one of its writes."""

    WRITES = ("mark", "save_snapshot", "delete_snapshot", "delete_events", "set_checkpoint")

    def __init__(self, store: EventStore, step: int, writes: Sequence[str] = WRITES) -> None:
        self.store = store
        self.step = step
        self.counted = writes
        self.writes = count(1)

    def __getattr__(self, name: str) -> Any:
        real = getattr(self.store, name)

        def write(*arguments: Any, **options: Any) -> Any:
            if next(self.writes) == self.step:
                raise Killed
            return real(*arguments, **options)

        return write if name in self.counted else real


@alone
@pytest.mark.parametrize("step", range(1, 34, 3))
def test_a_rotation_that_dies_is_repeated(store: EventStore, tmp_path: Path, step: int) -> None:
    """At any write: nothing is lost, nothing is archived twice, and the states are the same all the while."""
    repository = lived(store)
    before, whole = states(repository), all_rows(store)
    dying: Any = Dying(store, step)
    with pytest.raises(Killed):
        turn(Repository(dying, ManualClock(LATER)), tmp_path)
    assert states(repository) == before
    assert {key: merged([*found, *all_rows(store)[key]]) for key, found in archived(tmp_path).items()} == whole
    turn(repository, tmp_path)
    assert archived(tmp_path) == {key: found[:10] for key, found in whole.items()}
    assert all_rows(store) == {key: found[10:] for key, found in whole.items()}
    assert states(repository) == before


@alone
def test_a_full_archive_deletes_nothing(store: EventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events stay in the store until they are on another disk."""
    repository = lived(store)
    whole = all_rows(store)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(archive_files.os, "fsync", full)
        with pytest.raises(StoreFull):
            turn(repository, tmp_path)
    assert all_rows(store) == whole
    assert "60 commits archived, 60 deleted" in turn(repository, tmp_path)


@alone
def test_history_reads_archive_and_store_as_one_stream(store: EventStore, tmp_path: Path) -> None:
    """Without the archive it is refused: a table that is silently short would lie."""
    repository = lived(store)
    whole = history(repository, "ann", Counter, "1")
    turn(repository, tmp_path)
    with pytest.raises(HistoryGone, match="Name the archive"):
        history(repository, "ann", Counter, "1")
    archive = Archive(tmp_path)
    assert history(repository, "ann", Counter, "1", archive=archive).equals(whole)
    since = history(repository, "ann", Counter, "1", START + 5 * MINUTE, START + 7 * MINUTE, archive)
    assert list(since["what"]) == ["thing 5", "thing 6"]
    assert len(history(repository, "bob", Counter, "1", since=BEFORE)) == 1


@alone
@pytest.mark.parametrize("named", ["first", "second"])
def test_G8_an_archive_that_lacks_a_part_is_refused(store: EventStore, tmp_path: Path, named: str) -> None:
    """Of two, one that lacks the beginning and one that lacks the middle: a past with a gap would look whole."""
    repository = lived(store)
    whole = rows(store)
    turn(repository, tmp_path / "first", START + 5 * MINUTE)
    turn(repository, tmp_path / "second")
    with pytest.raises(HistoryGone, match=rf"Archive\(.*{named}'\).* Name the archive that has them too"):
        history(repository, "ann", Counter, "1", archive=Archive(tmp_path / named))
    if named == "second":  # also if no snapshot is left that tells the number
        for each in store.heads("ann", ["counter:1"])["counter:1"].snapshots:
            store.delete_snapshot("ann", "counter:1", each.up_to, each.fold, LATER + 999 * DAY)
        with pytest.raises(HistoryGone):
            Archive(tmp_path / named).past(store, "ann", "counter:1")
    for other in ("first", "second"):
        with Archive(tmp_path / "all").writing() as writer:
            writer.keep("ann", Archive(tmp_path / other).commits("ann"))
    assert Archive(tmp_path / "all").past(store, "ann", "counter:1") == whole


@alone
def test_a_rerun_costs_only_a_look(store: EventStore, tmp_path: Path) -> None:
    """Nothing is folded, and no mark, no snapshot and no delete is written again."""
    repository = lived(store)
    turn(repository, tmp_path)
    dying: Any = Dying(store, 1, ("read", "mark", "save_snapshot", "delete_snapshot", "delete_events"))
    done = turn(Repository(dying, ManualClock(LATER)), tmp_path)
    assert done == "3 customers: 0 floors raised, 0 commits archived, 0 deleted"


# The commands


def call(*arguments: str) -> Any:
    """Call `eslab`."""
    return CliRunner().invoke(app, list(arguments))


SHORT = TimeBounds(
    late=timedelta(), early=timedelta(), skew=timedelta(), append=timedelta(), fold_after=timedelta(seconds=1),
    grace=timedelta(seconds=1),
)  # fmt: skip


def test_the_commands_rotate_read_and_check(tmp_path: Path) -> None:
    """The whole past of an aggregate, for a customer's question."""
    url, folder = f"sqlite:///{tmp_path}/x.db", str(tmp_path / "archive")
    with closing(open_store(url)) as store:
        Repository(store, ManualClock(LATER), bounds=SHORT)
        lived(store)
    where = ["--store", url, "--archive", folder]
    counters = ["--aggregate", "tests.support.sample:Counter"]
    rotated = call("rotate", *where, *counters, "--before", "2026-01-06", "--all")
    assert not rotated.exception, rotated.stderr
    assert "rotated 3 customers: 6 floors raised, 60 commits archived, 60 deleted" in rotated.stdout
    one = ["--customer", "ann", "--aggregate", "counter:1"]
    archived = call("archive", "read", "--archive", folder, *one).stdout.splitlines()
    past = call("archive", "read", *where, *one).stdout.splitlines()
    assert (len(archived), len(past), past[:10]) == (10, 11, archived)
    assert past[-1].endswith('[{"type":"Counted:1","what":"milk","amount":1}]')
    assert call("archive", "check", "--archive", folder).stdout.endswith("60 commits of 3 customers, all intact\n")
    file = next(Path(folder).glob("month=*/*"))
    file.write_bytes(file.read_bytes()[:-1])
    assert call("archive", "check", "--archive", folder).exit_code == 1
    for wrong in (["--before", "soon", "--all"], ["--before", "2026-01-06"], ["--before", "2999-01-01", "--all"]):
        assert call("rotate", *where, *counters, *wrong).exit_code == 1
    assert call("archive", "read", "--archive", folder, "--customer", "zoe", "--aggregate", "counter:1").exit_code == 1
