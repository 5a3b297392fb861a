"""An archive keeps commits byte for byte, as a whole or not at all, and people can read it."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from eslab import Event, InvalidInput, StoreFull, StoreUnavailable, Unreadable
from eslab.operations import archive_files
from eslab.operations.archive import Archive, merged
from eslab.store import Commit
from eslab.stores.memory import MemoryStore
from tests.support.sample import START, Counted, append, at, commits, rows

pytest.importorskip("pyarrow")


def counted(*minutes: float) -> list[Commit]:
    """Real commits of Ann's counter, one at each of these minutes."""
    store = MemoryStore()
    append(store, *((minute, Counted("tea")) for minute in minutes))
    return rows(store)


def kept(folder: Path, *commits: Commit, customer: str = "ann") -> Archive:
    """An archive with these commits as one segment."""
    archive = Archive(folder)
    with archive.writing() as writer:
        writer.keep(customer, commits)
    return archive


def names(folder: Path) -> list[str]:
    """All files in the archive, but the lock."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*") if path.suffix != ".lock")


def test_commits_come_back_byte_for_byte(tmp_path: Path) -> None:
    """In order, from several segments and months."""
    month = 60 * 24 * 31
    early, late = counted(0, 1), counted(month)
    archive = kept(tmp_path, *late)
    kept(tmp_path, *early)
    assert archive.commits("ann", "counter:1") == [*early, *late]
    assert archive.commits("ann", "counter:2") == archive.commits("bob") == []
    assert archive.customers() == ["ann"]
    assert len([name for name in names(tmp_path) if name.startswith("month=")]) == 2


def test_an_open_archive_sees_what_another_process_writes(tmp_path: Path) -> None:
    """A notebook keeps one open for days; what it doesn't find would look as if it had never been."""
    early, late = counted(0), counted(60)
    archive = kept(tmp_path, *early)
    assert archive.commits("ann") == early
    kept(tmp_path, *late)
    assert archive.commits("ann") == [*early, *late]
    assert archive.check() == 2


class Odd(Event):
    """An event with a map that JSON has no keys for."""

    fits: dict[bool, int]


def test_an_event_that_json_can_not_hold_is_archived(tmp_path: Path) -> None:
    """Its keys are shown as Python writes them; the payload stays as it is."""
    found = commits(at(0), {"counter:1": [Odd({True: 1})]})
    assert kept(tmp_path, *found).commits("ann") == found
    (file,) = tmp_path.glob("month=*/*")
    assert [row.events for row in archive_files.rows_in(file)] == ['[{"type":"Odd:1","fits":{"True":1}}]']


def test_nothing_is_archived_twice(tmp_path: Path) -> None:
    """A repeat, whole or in part, adds what is new."""
    commits = counted(0, 1, 2)
    archive = kept(tmp_path, *commits[:2])
    before = names(tmp_path)
    with archive.writing() as writer:
        assert writer.keep("ann", commits[:2]) == 0
    assert names(tmp_path) == before
    with archive.writing() as writer:
        assert writer.keep("ann", commits) == 1
    assert archive.commits("ann") == commits


def test_of_two_payloads_the_greater_one_counts(tmp_path: Path) -> None:
    """As in a store: the losing decision of a request may have been archived first."""
    (commit,) = counted(0)
    less, more = sorted([commit.payload, counted(0)[0].payload[:-1] + b"\x00"])
    folder = tmp_path / "a"
    for payload in (more, less):
        archive_files.write_segment(folder, [archive_files.Row("ann", commit._replace(payload=payload), None)])
    assert [one.payload for one in Archive(folder).commits("ann")] == [more]
    assert merged(commit._replace(payload=one) for one in (more, less)) == [commit._replace(payload=more)]


def test_G8_a_broken_commit_is_not_archived(tmp_path: Path) -> None:
    """It is named, and nothing of its aggregate is taken."""
    good, bad = counted(0, 1)
    archive = Archive(tmp_path)
    with (
        archive.writing() as writer,
        pytest.raises(Unreadable, match=r"customer 'ann', aggregate 'counter:1', event time"),
    ):
        writer.keep("ann", [good, bad._replace(payload=bad.payload[:-1])])
    assert archive.commits("ann") == []


@pytest.mark.parametrize("harm", ["flip", "cut", "remove", "manifest"])
def test_G8_a_damaged_file_is_never_read(tmp_path: Path, harm: str) -> None:
    """The error names the file."""
    kept(tmp_path, *counted(0, 1))
    (file,) = tmp_path.glob("manifests/*" if harm == "manifest" else "month=*/*")
    content = file.read_bytes()
    match harm:
        case "flip" | "manifest":
            file.write_bytes(content[:50] + bytes([content[50] ^ 1]) + content[51:])
        case "cut":
            file.write_bytes(content[:-1])
        case _:
            file.unlink()
    with pytest.raises(Unreadable, match=file.name):
        Archive(tmp_path).commits("ann")


def test_a_segment_that_is_read_back_otherwise_is_no_part_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that lies is noticed before anything is deleted."""
    monkeypatch.setattr(archive_files, "rows_in", lambda path: [])
    with pytest.raises(Unreadable, match="read back"):
        kept(tmp_path, *counted(0))
    monkeypatch.undo()
    assert kept(tmp_path).commits("ann") == []
    assert names(tmp_path) == []


def test_one_process_writes_at_a_time(tmp_path: Path) -> None:
    """The second is told."""
    refused = pytest.raises(StoreUnavailable, match="found another process")
    with Archive(tmp_path).writing(), refused, Archive(tmp_path).writing():
        pass


def test_a_file_is_no_archive(tmp_path: Path) -> None:
    """It is refused by name."""
    (tmp_path / "x").touch()
    with pytest.raises(InvalidInput, match="got the file"):
        Archive(tmp_path / "x")


class Killed(BaseException):
    """The end of the process."""


STEPS = range(1, 20)  # the calls that touch the disk, while three commits of two months are written
DISK = ("replace", "fsync", "open")


def die_at(step: int, die: Callable[[], object], patch: pytest.MonkeyPatch) -> None:
    """Let the process die at a call that touches the disk, before it is made."""
    calls = count(1)

    def dying(real: Callable[..., object]) -> Callable[..., object]:
        return lambda *arguments: real(*arguments) if next(calls) != step else die()

    for name in DISK:
        patch.setattr(archive_files.os, name, dying(getattr(os, name)))


def killed() -> None:
    raise Killed


@pytest.mark.parametrize("step", STEPS)
def test_a_writer_that_dies_leaves_all_or_nothing(tmp_path: Path, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """At every call that touches the disk; a repeat goes on, and leaves one copy of each row."""
    first, more = counted(-1), counted(0, 1, 50_000)
    kept(tmp_path, *first)
    died = False
    with monkeypatch.context() as patch:
        die_at(step, killed, patch)
        try:
            kept(tmp_path, *more)
        except Killed:
            died = True
    assert Archive(tmp_path).commits("ann") in ([first, [*first, *more]] if died else [[*first, *more]])
    assert kept(tmp_path, *more).commits("ann") == [*first, *more]
    assert sum(file.rows for _, found in archive_files.manifests(tmp_path) for file in found.files) == 4
    assert not [name for name in names(tmp_path) if name.endswith(archive_files.UNFINISHED)]


KILL = """
import os, signal, sys
from pathlib import Path
import pytest
from tests.operations.test_archive import counted, die_at, kept

with pytest.MonkeyPatch.context() as patch:
    die_at(int(sys.argv[1]), lambda: os.kill(os.getpid(), signal.SIGKILL), patch)
    kept(Path(sys.argv[2]), *counted(0, 1, 50_000))
"""


@pytest.mark.parametrize("step", [1, pytest.param(6, marks=pytest.mark.full), pytest.param(9, marks=pytest.mark.full)])
def test_a_writer_that_is_killed_by_9_leaves_nothing(tmp_path: Path, step: int) -> None:
    """And no lock; the files that it had begun are removed by the next one."""
    command = [sys.executable, "-c", KILL, str(step), str(tmp_path)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, check=False)
    assert done.returncode == -signal.SIGKILL
    assert Archive(tmp_path).commits("ann") == []
    assert kept(tmp_path, *counted(0, 1, 50_000)).commits("ann") == counted(0, 1, 50_000)
    assert not [name for name in names(tmp_path) if name.endswith(archive_files.UNFINISHED)]


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing is archived."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(archive_files.os, "fsync", full)
    with pytest.raises(StoreFull, match="Nothing was deleted"):
        kept(tmp_path, *counted(0))
    monkeypatch.undo()
    assert Archive(tmp_path).commits("ann") == []


def test_pandas_and_duckdb_read_the_same_files(tmp_path: Path) -> None:
    """Events are JSON beside the payload; the month is a column."""
    duckdb = pytest.importorskip("duckdb")
    pandas = pytest.importorskip("pandas")
    kept(tmp_path, *counted(0, 1))
    frame = pandas.read_parquet(next(tmp_path.glob("month=*/*")))
    assert list(frame["events"]) == ['[{"type":"Counted:1","what":"tea","amount":1}]'] * 2
    assert frame["time"][0].to_pydatetime() == START
    query = f"SELECT month, events->0->>'what' AS what, count(*) FROM '{tmp_path}/month=*/*.parquet' GROUP BY ALL"
    assert duckdb.sql(query).fetchall() == [(f"{START:%Y-%m}", "tea", 2)]
