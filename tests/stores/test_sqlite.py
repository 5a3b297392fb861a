"""What the SQLite store promises beyond the contract: processes, kill -9, locks, full disks and broken files."""

import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eslab import (
    EventStore,
    InvalidInput,
    ManualClock,
    Repository,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
    Unreadable,
    open_store,
)
from eslab.stores.sqlite.errors import AGAIN
from tests.support.sample import ROOT, START, Counted, Counter, at, commits, everything, fill, row, rows, snapshot


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the store's file stands, or will."""
    return tmp_path / "lab.db"


@contextmanager
def opened(path: Path, options: str = "") -> Generator[EventStore, None, None]:
    """The store of a file, closed at the end."""
    with closing(open_store(f"sqlite:///{path}{options}")) as store:
        yield store


def process(code: str, *arguments: Any) -> "subprocess.Popen[str]":
    """Another Python process that runs `code`, which may print to us and read from us."""
    head = "import sys\nfrom eslab import *\nfrom tests.support.sample import *\n"
    command = [sys.executable, "-c", head + textwrap.dedent(code), *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def lines(running: "subprocess.Popen[str]") -> list[str]:
    """All that a process says until its end, which must be a good one."""
    said, _ = running.communicate()
    assert running.returncode == 0
    return said.split()


# Several processes


WRITER = """
url, name = sys.argv[1:]
store = open_store(url)
print("ready", flush=True)
sys.stdin.readline()
for number in range(50):
    store.append("ann", [row(number, id=f"counter:{number % 3}", key=name)])
store.close()
"""


def test_processes_that_write_at_once_lose_nothing(path: Path) -> None:
    """Four processes append to the same aggregates; every row is there."""
    running = [process(WRITER, f"sqlite:///{path}", name) for name in range(4)]
    for each in running:
        assert each.stdout and each.stdout.readline() == "ready\n"
    for each in running:
        assert each.stdin and each.stdin.write("go\n")
        each.stdin.flush()
    assert [lines(each) for each in running] == [[]] * 4
    with opened(path) as store:
        assert sum(len(rows(store, f"counter:{number}")) for number in range(3)) == 200


OPENER = """
sys.stdin.readline()
for url in sys.argv[2:]:
    store = open_store(url)
    store.append("ann", [row(0, key=sys.argv[1])])
    store.close()
"""


def test_processes_that_open_a_fresh_file_at_once_all_get_it(tmp_path: Path) -> None:
    """Whoever comes first makes the tables; the others wait, and nobody's first row is lost."""
    paths = [tmp_path / f"{number}.db" for number in range(15)]
    running = [process(OPENER, name, *(f"sqlite:///{path}" for path in paths)) for name in range(6)]
    for each in running:
        assert each.stdin and each.stdin.write("go\n")
        each.stdin.flush()
    assert [lines(each) for each in running] == [[]] * 6
    for path in paths:
        with opened(path) as store:
            assert len(rows(store)) == 6


def test_threads_that_open_a_fresh_file_at_once_all_get_it(path: Path) -> None:
    """The same within a process."""

    def work(number: int) -> None:
        with opened(path) as store:
            store.append("ann", [row(number)])

    threads = [Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with opened(path) as store:
        assert len(rows(store)) == 8


def test_one_process_sees_what_another_wrote(path: Path) -> None:
    """At once, without opening anew."""
    with opened(path) as one, opened(path) as other:
        one.append("ann", [row()])
        assert rows(other) == [row()]


def test_a_thread_may_work_after_the_folder_changed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path means the file that it named when the store was opened."""
    monkeypatch.chdir(path.parent)
    with closing(open_store("sqlite:///lab.db")) as store:
        monkeypatch.chdir("/")
        thread = Thread(target=store.append, args=("ann", [row()]))
        thread.start()
        thread.join()
        assert rows(store) == [row()]


@pytest.mark.parametrize("second_first", [False, True])
def test_G1_the_winning_row_is_whole(path: Path, second_first: bool) -> None:
    """One statement replaces the row, so type and version go with the greater payload, in both orders of arrival."""
    less, more = row(payload=b"1")._replace(event_type="Voided", version=9), row(payload=b"2")
    with opened(path) as store:
        for each in (more, less) if second_first else (less, more):
            store.append("ann", [each])
        assert rows(store) == [more]


# kill -9 (G2)


FAST = """
store = open_store(sys.argv[1])
for number in range(100_000):
    store.append("ann", [row(number, id="counter:1"), row(number, id="counter:2")])
    print(number, flush=True)
"""


@pytest.mark.parametrize("acknowledged", [1, 100, 517])
@pytest.mark.parametrize("synchronous", ["normal", "full"])
def test_G2_kill_9_loses_nothing_acknowledged(path: Path, acknowledged: int, synchronous: str) -> None:
    """A writer killed at any moment: all that it was told is written is there, each append whole."""
    writer = process(FAST, f"sqlite:///{path}?synchronous={synchronous}")
    assert writer.stdout
    for _ in range(acknowledged):
        last = int(writer.stdout.readline())
    writer.send_signal(signal.SIGKILL)
    said = [last, *map(int, writer.stdout.read().split("\n")[:-1])]
    writer.communicate()
    with opened(path) as store:
        one, two = ([each.event_time for each in rows(store, id)] for id in ("counter:1", "counter:2"))
    assert one == two
    assert one[: said[-1] + 1] == [at(number).event_time for number in range(said[-1] + 1)]
    assert len(one) - len(said) - said[0] in (0, 1)  # at most one was written and not yet acknowledged


def test_G2_the_reach_of_a_commit_is_as_the_url_says(path: Path) -> None:
    """A write-ahead log, synchronised at checkpoints (normal) or at every commit (full)."""
    for option, level in [("", 1), ("?synchronous=normal", 1), ("?synchronous=full", 2)]:
        with opened(path, option) as store:
            connection = store._file.connection()  # type: ignore[attr-defined]
            assert connection.execute("PRAGMA synchronous").fetchone() == (level,)
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


# Locked, read-only, full


def test_a_locked_file_is_unavailable_and_nothing_half_written(path: Path) -> None:
    """Another process holds the lock beyond the timeout: refused with advice; once it lets go, all is well."""
    with opened(path, "?timeout=0.1") as store:
        store.append("ann", [row(0)])
        holder = process(
            """
            import sqlite3
            connection = sqlite3.connect(sys.argv[1], isolation_level=None)
            connection.execute("BEGIN IMMEDIATE")
            print("held", flush=True)
            sys.stdin.readline()
            """, path,
        )  # fmt: skip
        assert holder.stdout and holder.stdout.readline() == "held\n"
        before = everything(store)
        for write in (
            lambda: store.append("ann", [row(1), row(2, id="counter:2")]),
            lambda: store.save_snapshot("ann", "counter:1", snapshot(at(), Counter()), START),
            lambda: store.mark("ann", "counter:1", floor=at().event_time),
        ):
            with pytest.raises(StoreUnavailable, match=rf"{path}: database is locked\. Another .* Send the same"):
                write()
        assert everything(store) == before
        holder.communicate("let go\n")
        store.append("ann", [row(1)])
        assert rows(store) == [row(0), row(1)]


def test_a_thread_that_writes_too_long_is_waited_for_no_longer(path: Path) -> None:
    """Threads of one process queue for the lock; beyond the timeout they are refused with advice."""
    with opened(path, "?timeout=0.1") as store:
        with ThreadPoolExecutor() as pool:
            refused = store._file.write(  # type: ignore[attr-defined]
                lambda _: pool.submit(store.append, "ann", [row(0)]).exception()
            )
        assert isinstance(refused, StoreUnavailable)
        assert str(refused) == f"{path}: another thread has been writing for 0.1 s. {AGAIN}"
        store.append("ann", [row(1)])
        assert rows(store) == [row(1)]


def test_a_read_only_store_is_read_and_not_written(path: Path) -> None:
    """`?mode=ro` reads everything and refuses every write with advice."""
    with opened(path) as store:
        made, before = fill(store, 3), everything(store)
    with opened(path, "?mode=ro") as store:
        with pytest.raises(StoreReadOnly, match=r"Open it with mode=rw and with the right to write\. Nothing was writ"):
            store.append("ann", [row(9)])
        assert (rows(store), everything(store)) == (made, before)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_without_the_right_to_write_is_read_only(path: Path) -> None:
    """The right of the file system counts like the mode."""
    with opened(path) as store:
        fill(store, 3)
    path.chmod(stat.S_IRUSR)
    with opened(path, "?mode=rw") as store, pytest.raises(StoreReadOnly):
        store.append("ann", [row(9)])


def grow(store: EventStore, number: int = 0) -> int:
    """Append 40 KB over two aggregates, again and again until the store is full; how many are there then."""
    while True:
        try:
            store.append("ann", [row(number, bytes(20_000), id=f"counter:{id}") for id in (1, 2)])
        except StoreFull as error:
            assert "Make room on the disk, then send the same request again. Nothing was written." in str(error)
            return number
        number += 1


def whole(store: EventStore, appended: int) -> bool:
    """Do both aggregates have the rows of these appends, all and no more?"""
    expected = [at(number).event_time for number in range(appended)]
    return all([each.event_time for each in rows(store, f"counter:{id}")] == expected for id in (1, 2))


def test_a_full_store_is_usable_again_after_room_is_made(path: Path) -> None:
    """At the limit of its pages an append is refused as a whole; with more pages the same append goes through."""
    with opened(path) as store:
        connection = store._file.connection()  # type: ignore[attr-defined]
        connection.execute("PRAGMA max_page_count = 100")
        appended = grow(store)
        assert appended > 2 and whole(store, appended)
        assert grow(store, appended) == appended
        connection.execute("PRAGMA max_page_count = 1000")
        store.append("ann", [row(appended, bytes(20_000), id=f"counter:{id}") for id in (1, 2)])
        assert whole(store, appended + 1)


@pytest.fixture
def small_disk(tmp_path: Path) -> Generator[Path, None, None]:
    """A disk of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if not shutil.which("mount"):
        pytest.skip("mounting a small disk needs the command mount")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"mounting a small disk needs the right to do so: {mounted.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_a_full_disk_is_usable_again_after_room_is_made(small_disk: Path) -> None:
    """On a disk that is really full an append is refused as a whole, reads go on, and room mends it."""
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(300_000))
    with opened(small_disk / "lab.db") as store:
        appended = grow(store)
        assert appended > 2 and whole(store, appended)
        assert grow(store, appended) == appended
        ballast.unlink()
        store.append("ann", [row(appended, bytes(20_000), id=f"counter:{id}") for id in (1, 2)])
        assert whole(store, appended + 1)
    with opened(small_disk / "lab.db") as store:
        assert whole(store, appended + 1)


def test_a_full_disk_refuses_a_fresh_file(small_disk: Path) -> None:
    """A store that can't be made says so, and can be made later."""
    (small_disk / "ballast").write_bytes(bytes(1_040_000))
    with pytest.raises((StoreFull, StoreUnavailable), match="disk"):
        open_store(f"sqlite:///{small_disk}/lab.db")
    (small_disk / "ballast").unlink()
    with opened(small_disk / "lab.db") as store:
        store.append("ann", [row()])


# Broken files (G8)


@given(st.data())
def test_G8_a_flipped_bit_in_the_file_is_named(tmp_path: Path, data: st.DataObject) -> None:
    """One bit of a payload on disk: no state, but customer, aggregate, event time, type and version."""
    path = tmp_path / f"{data.draw(st.uuids())}.db"
    with opened(path) as store:
        store.append("ann", commits(at(), {"counter:1": [Counted("a rare tea", 2)]}))
        payload = rows(store)[0].payload
    file = path.read_bytes()
    assert file.count(payload) == 1
    bit = file.index(payload) * 8 + data.draw(st.integers(0, len(payload) * 8 - 1))
    path.write_bytes(file[: bit // 8] + bytes([file[bit // 8] ^ 1 << bit % 8]) + file[bit // 8 + 1 :])
    place = f"customer 'ann', aggregate 'counter:1', event time {at().event_time} .*, type Counted, version 1: "
    with opened(path) as store, pytest.raises(Unreadable, match=place):
        Repository(store, ManualClock(START)).load("ann", Counter, "1")


@pytest.mark.parametrize("content", [b"no database, but as long as one " * 200, b"dear diary, today"])
def test_a_file_that_is_no_sqlite_is_refused(path: Path, content: bytes) -> None:
    """It is named, and left as it was."""
    path.write_bytes(content)
    with pytest.raises(StoreError, match=rf"{path}: file is not a database\. This is no SQLite file; name another"):
        open_store(f"sqlite:///{path}")
    assert path.read_bytes() == content


@pytest.mark.parametrize("page", [1, 2, 3, 4])
def test_a_damaged_file_is_an_error_of_the_store(path: Path, page: int) -> None:
    """A page of rubbish never gives rows: a `StoreError` with advice."""
    with opened(path) as store:
        made = fill(store, 500)
    with path.open("r+b") as file:
        file.seek(page * 4096 - (4096 - 100 if page == 1 else 0))
        file.write(b"\xaa" * 3900)
    try:
        with opened(path) as store:
            found = rows(store)
    except StoreError as error:
        assert "restore it from a backup" in str(error) or "Check the file" in str(error)
    else:
        assert found == made


def test_an_empty_file_becomes_a_store(path: Path) -> None:
    """As SQLite takes it."""
    path.touch()
    with opened(path) as store:
        store.append("ann", [row()])
        assert rows(store) == [row()]


def test_a_missing_folder_is_unavailable(path: Path) -> None:
    """With advice; nothing is made."""
    with pytest.raises(StoreUnavailable, match=r"unable to open database file\. Check that the folder exists"):
        open_store(f"sqlite:///{path.parent}/nowhere/lab.db")
    assert list(path.parent.iterdir()) == []


def test_a_folder_is_no_store(path: Path) -> None:
    """A path that is a folder can't be opened."""
    with pytest.raises(StoreUnavailable, match="unable to open"):
        open_store(f"sqlite:///{path.parent}")


@pytest.mark.parametrize("mode", ["rw", "ro"])
def test_a_missing_file_is_made_only_by_rwc(path: Path, mode: str) -> None:
    """Who asks for a file that is there gets no new one."""
    with pytest.raises(StoreUnavailable, match="unable to open"):
        open_store(f"sqlite:///{path}?mode={mode}")
    assert not path.exists()


@pytest.mark.parametrize("version", [1, 99])
def test_a_schema_of_another_version_is_refused(path: Path, version: int) -> None:
    """Newer code made it; this code doesn't touch it."""
    with opened(path) as store:
        fill(store, 1)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    with pytest.raises(StoreError, match=f"Expected schema version 2 in {path}, found {version}"):
        open_store(f"sqlite:///{path}")


def test_somebody_elses_database_is_refused_and_left_alone(path: Path) -> None:
    """A file with tables of its own, even called like ours, isn't taken over."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE events (title TEXT, city TEXT)")
    before = path.read_bytes()
    for mode in ("rwc", "rw", "ro"):
        with pytest.raises(StoreError, match=r"found 0 and 1 table: .* or it is no store of eslab"):
            open_store(f"sqlite:///{path}?mode={mode}")
    assert path.read_bytes() == before


# URLs


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:lab.db", "sqlite:/lab.db", "sqlite://lab.db", "sqlite://host/lab.db", "sqlite:///",
        "sqlite:///lab.db#1", "sqlite:///a%00b.db",
        "sqlite:///lab.db?mode=rwx", "sqlite:///lab.db?synchronous=off", "sqlite:///lab.db?journal=off",
        "sqlite:///lab.db?timeout=soon", "sqlite:///lab.db?timeout=-1", "sqlite:///lab.db?timeout=nan",
        "sqlite:///lab.db?timeout=inf", "sqlite:///lab.db?timeout=", "sqlite:///lab.db?timeout",
    ],
)  # fmt: skip
def test_a_url_that_is_not_understood_is_refused(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said what was expected, and no file is made."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInput, match="Expected "):
        open_store(url)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a b.db", "ü%23?.db", ":memory:", "a;b&c.db", "100%.db"])
def test_a_name_may_hold_anything_quoted(path: Path, name: str) -> None:
    """Percent-encoded as in every URL; none has a meaning of its own."""
    with closing(open_store(f"sqlite:///{quote(str(path.parent / name))}")) as store:
        store.append("ann", [row()])
    assert (path.parent / name).is_file()


def test_a_fresh_store_goes_when_it_is_closed() -> None:
    """`sqlite:` is a file of its own, shared by its threads, and gone afterwards."""
    store = open_store("sqlite:")
    thread = Thread(target=store.append, args=("ann", [row()]))
    thread.start()
    thread.join()
    assert rows(store) == [row()]
    file = store.path  # type: ignore[attr-defined]
    store.close()
    assert not file.parent.exists()


FORK = """
    import os, sys
    from eslab import StoreClosed, open_store
    from tests.support.sample import row, rows

    store = open_store(sys.argv[1])
    store.append("ann", [row(0)])
    if not os.fork():
        try:
            rows(store)
        except StoreClosed:
            store.close()
            sys.exit(0)  # as any process ends: what is to be tidied up at the end is tidied up
        sys.exit(1)
    _, status = os.wait()
    store.append("ann", [row(1)])
    print(status, len(rows(store)))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.parametrize("url", ["sqlite:", "sqlite:///{}/own.db"])
def test_a_fork_leaves_the_parents_store_alone(tmp_path: Path, url: str) -> None:
    """A child is told that the store isn't its own; neither its close nor its end takes anything from the parent."""
    command = [sys.executable, "-c", textwrap.dedent(FORK), url.format(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("0 2\n", "")
