"""Ctrl-C in the middle of a call: the store stays usable from every thread, and each write is whole or not there.

The interrupt comes before every instruction of a call in turn, also between those where Python lets no signal in: a
debugger lets it in there.
"""

import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from itertools import chain, product
from pathlib import Path
from random import Random
from threading import Thread
from types import FrameType
from typing import Any

import pytest

from eslab import EventStore, open_store
from eslab.store import ReadRow
from eslab.stores.keys import FileKeys, MemoryKeys, make_master
from eslab.stores.sqlite.file import transact
from tests.support.sample import DAYS, LAYOUTS, ROOT, SHELF, START, Counter, at, fill, new_url, row, rows, snapshot

STEP = 29  # in the quick suite, every 29th instruction is enough
STEPS = [STEP, pytest.param(1, marks=pytest.mark.full)]


def interrupted(call: Callable[[], object], instruction: int) -> bool:
    """Run `call` with a KeyboardInterrupt before its nth instruction; was it longer than that?"""
    left = instruction

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if frame.f_code.co_name in ("gc_callback", "_remove"):
            return None  # the collector calls them, whenever it runs
        frame.f_trace_opcodes = True
        if event == "opcode":
            left -= 1
            if left == 0:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    except KeyboardInterrupt as error:
        sys.last_value = error  # as a notebook keeps it, and with it every frame
        return True
    finally:
        sys.settrace(before)
    return left <= 0


def each_instruction(call: Callable[[int], object], step: int) -> Iterator[int]:
    """Interrupt `call` at one instruction after the other, until it is over; gives the number of each try."""
    number = 1
    while interrupted(partial(call, number), number):
        yield number
        number += step
    assert number > 10  # it was really interrupted


def in_another_thread(call: Callable[[], Any]) -> Any:
    """What the call gives in a new thread, which must not wait for ever."""
    given: list[Any] = []
    thread = Thread(target=lambda: given.append(call()), daemon=True)
    thread.start()
    thread.join(5)
    assert given, "the other thread waits for a lock, or failed"
    return given[0]


def together(number: int) -> list[str]:
    """The ids of the aggregates that one append touches."""
    return [f"{name}:{number}" for name in ("counter", "cup", "card")]


def append(store: EventStore, number: int, customer: str = "ann") -> None:
    made = [row(number, id=id) for id in together(number)]
    store.append(customer, made, read_rows=[ReadRow(SHELF, (customer, str(number)), made[0])])


def whole(store: EventStore, number: int) -> bool:
    """Was this append written? All of its rows must agree."""
    seen = [
        *(len(rows(store, id)) for id in together(number)),
        *(head.first is not None for head in store.heads("ann", together(number)).values()),
        len(list(chain.from_iterable(store.read_rows(SHELF, [("ann", str(number))])))),
    ]
    assert len(set(seen)) == 1, f"half an append: {seen}"
    return bool(seen[0])


@pytest.fixture(params=["memory", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return new_url(request.param, tmp_path)


@pytest.fixture
def store(url: str) -> Iterator[EventStore]:
    """A store with read tables, one that waits for no lock."""
    with closing(open_store(url if url == "memory:" else f"{url}?timeout=0.1")) as store:
        store.make_read_tables(LAYOUTS)
        yield store


@pytest.mark.parametrize("step", STEPS)
def test_an_interrupted_append_is_whole_or_not_there(store: EventStore, step: int) -> None:
    """And the next one works, in this thread and in another."""
    for number in each_instruction(lambda number: append(store, number), step):
        written = in_another_thread(lambda number=number: whole(store, number))
        assert whole(store, number) == written
        in_another_thread(lambda number=number: append(store, number + 1_000_000) or True)
        append(store, number)
        assert whole(store, number)


CALLS: dict[str, Callable[[EventStore, int], object]] = {
    "put_read_rows": lambda store, n: store.put_read_rows([ReadRow(DAYS, ("monday", "0", "bob"), row(n))]),
    "save_snapshot": lambda store, n: store.save_snapshot("bob", "counter:1", snapshot(at(n), Counter()), START),
    "delete_snapshot": lambda store, n: store.delete_snapshot("bob", "counter:1", at(n).event_time, 1, START),
    "note_safe": lambda store, n: store.note_safe("bob", [row(0)], START),
    "read": lambda store, n: store.read("bob", {"counter:1": None}, at(0).event_time),
    "mark": lambda store, n: store.mark("bob", "counter:1", floor=at(n).event_time),
    "delete_events": lambda store, n: store.delete_events("bob", "card:1", at(0).event_time),
    "set_checkpoint": lambda store, n: store.set_checkpoint("rebuild", str(n)),
    "swap_checkpoint": lambda store, n: store.swap_checkpoint("settings", "", str(n)),
    "empty_read_table": lambda store, n: store.empty_read_table(DAYS),
    "make_read_tables": lambda store, n: store.make_read_tables(LAYOUTS),
    "heads_of_type": lambda store, n: store.heads_of_type("bob", "c"),
    "heads": lambda store, n: store.heads("bob", together(0), at(0).event_time),
    "read_many": lambda store, n: list(store.read_many("bob", dict.fromkeys(together(0)))),
    "read_rows": lambda store, n: list(store.read_rows(SHELF, [("bob",)])),
    "customers": lambda store, n: list(store.customers()),
    "checkpoint": lambda store, n: store.checkpoint("rebuild"),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("name", CALLS)
def test_an_interrupted_call_leaves_the_store_usable(store: EventStore, name: str, step: int) -> None:
    """No lock is kept and no transaction is open, whatever was interrupted."""
    store.mark("bob", "card:1", floor=at(0).event_time)
    append(store, 0, "bob")
    for number in each_instruction(lambda number: CALLS[name](store, number), step):
        in_another_thread(lambda number=number: append(store, number) or True)
        append(store, -number)
        assert whole(store, number) and whole(store, -number)
    in_another_thread(lambda: store.close() or True)


def test_an_interrupted_delete_leaves_a_log_that_can_be_read(store: EventStore) -> None:
    """All rows up to the time are there, or none."""
    for number in range(1, 400, 9):
        fill(store, 40, f"counter:{number}")
        store.mark("ann", f"counter:{number}", floor=at(29).event_time)

        def delete(id: str = f"counter:{number}") -> None:
            store.delete_events("ann", id, at(29).event_time)

        interrupted(delete, number)
        assert len(rows(store, f"counter:{number}")) in (10, 40)
        fill(store, 40, f"counter:{number}")
        assert len(rows(store, f"counter:{number}")) == 40


@pytest.mark.parametrize("step", [97, pytest.param(1, marks=pytest.mark.full)])
def test_an_interrupted_opening_locks_nobody_out(tmp_path: Path, step: int) -> None:
    """A file that was half made is finished by whoever opens it next, though the interrupt is kept."""

    def url(number: int) -> str:
        return f"sqlite:///{tmp_path}/{number}.db?timeout=0.1"

    for number in each_instruction(lambda number: open_store(url(number)).close(), step):
        with closing(open_store(url(number))) as store:
            store.append("ann", [row()])


@pytest.mark.parametrize("step", STEPS)
def test_an_interrupted_close_can_be_repeated(tmp_path: Path, step: int) -> None:
    """From any thread, and then the store is closed."""
    number = 1
    while True:
        store = open_store(new_url("sqlite", tmp_path))
        in_another_thread(lambda store=store: store.append("ann", [row()]) or True)
        if not interrupted(store.close, number):
            return
        in_another_thread(lambda store=store: store.close() or True)
        number += step


def test_pages_that_nobody_reads_on_hold_up_no_writer(store: EventStore) -> None:
    """A read that was given up in the middle keeps no transaction, though its generator is kept."""
    fill(store, 2500)
    abandoned = [
        store.read_many("ann", {"counter:1": None}),
        store.rows_many("ann", {"counter:1": None}),
        store.read_rows(SHELF, [("ann",)]),
        store.customers(),
    ]
    append(store, 1)
    for pages in abandoned:
        next(pages)
    in_another_thread(lambda: append(store, 2) or True)
    append(store, 3)  # the reader's own thread too
    assert whole(store, 3)


def test_a_writer_that_gives_up_its_turn_takes_no_lock(tmp_path: Path) -> None:
    """Interrupted while other threads wait in the queue, it lets the next one in."""
    with closing(open_store(new_url("sqlite", tmp_path))) as store:
        store.make_read_tables(LAYOUTS)
        for number in range(1, 200, 11):
            threads = [Thread(target=append, args=(store, 1000 * number + each)) for each in range(2)]
            for thread in threads:
                thread.start()
            interrupted(lambda number=number: append(store, number), number)
            for thread in threads:
                thread.join(5)
            assert [whole(store, 1000 * number + each) for each in range(2)] == [True, True]


def test_a_transaction_ends_whatever_interrupts_it() -> None:
    """At every instruction, also between the end of its block and the commit."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE numbers (number)")
        for number in each_instruction(lambda number: transact(connection, partial(insert, number)), 1):
            assert not connection.in_transaction
            transact(connection, partial(insert, -number))
        assert connection.execute("SELECT count(*) FROM numbers WHERE number < 0").fetchone() == (number,)


def insert(number: int, connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO numbers VALUES (?)", (number,))


# Keys


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    ("kind", "call"),
    [*product(["memory", "file"], ["make", "key", "destroy"]), ("file", "rotate")],
)
def test_interrupted_keys_stay_usable(tmp_path: Path, kind: str, call: str, step: int) -> None:
    """No lock is kept, and whoever got a key gets the same one again."""
    make_master(tmp_path / "master.key", Random(7).randbytes)
    keys = MemoryKeys() if kind == "memory" else FileKeys(tmp_path / "keys.db", tmp_path / "master.key")
    made = keys.make("ann")

    def calls(number: int) -> object:
        return keys.rotate() if call == "rotate" else getattr(keys, call)(f"customer {number}")  # type: ignore[union-attr]

    for number in each_instruction(calls, step):
        assert in_another_thread(lambda: keys.make("ann")) == made
        assert len(in_another_thread(lambda number=number: keys.make(f"other {number}"))) == 32


# Real signals

SIGNALLED = """
import random, signal, time
chance = random.Random(int(sys.argv[2]))
store = open_store(f"sqlite:///{sys.argv[1]}?timeout=1")
hits = 0
for number in range(1500):
    try:
        signal.setitimer(signal.ITIMER_REAL, chance.uniform(1e-6, 3e-4))
        store.append("ann", [row(number, id="counter:1"), row(number, id="counter:2")])
        rows(store)
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt as error:
        sys.last_value = error
        hits += 1
    store.append("bob", [row(number)])
one, two = ([each.event_time for each in rows(store, id)] for id in ("counter:1", "counter:2"))
assert one == two
store.close()
print(hits)
"""


@pytest.mark.full
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="signals by a timer need a Unix")
def test_a_store_survives_real_signals(tmp_path: Path) -> None:
    """A timer interrupts a process at random moments, hundreds of times."""
    head = "import sys, signal\nfrom eslab import *\nfrom tests.support.sample import *\n"
    handler = "def interrupt(*_):\n    raise KeyboardInterrupt\nsignal.signal(signal.SIGALRM, interrupt)\n"
    done = subprocess.run(
        [sys.executable, "-c", head + handler + textwrap.dedent(SIGNALLED), str(tmp_path / "lab.db"), "7"],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 300
