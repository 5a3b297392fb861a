"""Rebuilding read tables from events, and catching up after a crash; killed and repeated, both end the same."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from itertools import chain
from pathlib import Path

import pytest
from typer.testing import CliRunner

from eslab import EventStore, ManualClock, Repository, StoreUnavailable, open_store
from eslab.cli import app
from eslab.operations import rebuild
from eslab.store import Consistency, ReadRow
from eslab.stores.keys import MemoryKeys
from tests.conftest import alone
from tests.support.sample import DAYS, HOUR, SHELF, START, Count, Faulty, at, new_url
from tests.test_read_table import BY_DAY, ON_SHELF, SECRETS, SHARDS, Elsewhere, Secret, Stamped, told

KEYS = {SHELF: [(f"customer {number:03}",) for number in range(120)], DAYS: SHARDS}


def lived(store: EventStore, customers: int = 120) -> Repository:
    """A store in which every customer counted three times, without the rows outside the customers' partitions."""
    unlucky = Elsewhere(store)
    repository, service = told(unlucky, ManualClock(START))
    for number in range(customers):
        for command in range(3):
            request = at(-command, str(number))
            service.send(f"customer {number:03}", f"counter:{command % 2}", Count("ab"[command % 2]), request)
    unlucky.error = None
    return repository


def all_rows(store: EventStore) -> dict[str, list[ReadRow]]:
    """Every row of both tables."""
    return {layout.name: list(chain.from_iterable(store.read_rows(layout, keys))) for layout, keys in KEYS.items()}


@alone
def test_a_catch_up_writes_what_was_left_out(store: EventStore) -> None:
    """Then both tables hold the same commits. Idempotent."""
    repository = lived(store)
    assert all_rows(store)["days"] == []
    assert rebuild.catch_up(repository) == (120, 360, ("days",))
    assert {row.commit for row in all_rows(store)["days"]} == {row.commit for row in all_rows(store)["shelf"]}
    before = all_rows(store)
    rebuild.catch_up(repository)
    assert all_rows(store) == before


@alone
def test_G6_rebuilt_tables_are_equal_to_live_ones(store: EventStore) -> None:
    """Also if rows were lost, and if there were rows without a commit."""
    repository = lived(store)
    rebuild.catch_up(repository)
    live = all_rows(store)
    lost = live["shelf"][0]
    store.empty_read_table(DAYS)
    store.put_read_rows([lost._replace(key=(lost.key[0], "nowhere"))])
    assert all_rows(store) != live
    assert rebuild.rebuild(repository) == (120, 720, ("days", "shelf"))
    assert all_rows(store) == live


@alone
@pytest.mark.parametrize("work", [rebuild.catch_up, rebuild.rebuild], ids=["catch-up", "rebuild"])
def test_several_threads_write_the_same_rows(work: Callable[..., rebuild.Done], store: EventStore) -> None:
    """As one."""
    with closing(open_store("memory:")) as whole:
        one = work(lived(whole))
        expected = all_rows(whole)
    assert work(lived(store), jobs=4) == one
    assert all_rows(store) == expected


class Killed(BaseException):
    """The end of the process, which no code may catch."""


class Dying(Faulty):
    """A store whose process dies at the `last` write of rows or checkpoints."""

    last = 10**9

    def put_read_rows(self, rows: list[ReadRow]) -> None:
        self.step()
        self.store.put_read_rows(rows)

    def set_checkpoint(self, name: str, text: str) -> None:
        self.step()
        self.store.set_checkpoint(name, text)

    def step(self) -> None:
        self.last -= 1
        if self.last < 0:
            raise Killed


@pytest.mark.parametrize("work", [rebuild.catch_up, rebuild.rebuild], ids=["catch-up", "rebuild"])
def test_killed_at_any_write_and_called_again_it_ends_the_same(work: Callable[[Repository], rebuild.Done]) -> None:
    """It resumes after its checkpoint, and never ends too early."""
    with closing(open_store("memory:")) as whole:
        rebuild.catch_up(lived(whole))
        expected = all_rows(whole)
    for last in (0, 1, 2, 3, 50, 51, 52, 53, 54, 60, 119, 120, 121, 122, 123, 124, 125):
        dying = Dying(open_store("memory:"))
        repository = lived(dying)  # type: ignore[arg-type]
        dying.last = last
        try:
            work(repository)
        except Killed:
            dying.last = 10**9
            done = work(repository)
            assert done.customers <= max(0, 120 - last + 52)
        assert all_rows(dying.store) == expected
        assert rebuild.caught_up(repository) == START


def test_killed_for_real(tmp_path: Path) -> None:
    """A catch-up on SQLite ends although kill -9 ends each run after 60 customers."""
    url = new_url("sqlite", tmp_path)
    with closing(open_store(url)) as store:
        lived(store)
    codes = []
    while not codes or codes[-1]:
        codes.append(
            subprocess.run(
                [sys.executable, "-m", "tests.operations.test_rebuild", url], timeout=60, check=False
            ).returncode
        )
    assert codes == [-signal.SIGKILL, -signal.SIGKILL, 0]  # with checkpoints at 50 and at 100
    with closing(open_store(url)) as store:
        assert len(all_rows(store)["days"]) == 360


@alone
def test_the_next_catch_up_reads_only_what_may_be_new(store: EventStore) -> None:
    """It reads from the start of the last one, less the age that a commit may have when it arrives."""
    clock = ManualClock(START + 100 * HOUR)
    repository = Repository(store, clock, read_tables=(BY_DAY,))
    lived(store, 3)
    assert rebuild.catch_up(repository).rows == 9
    assert rebuild.caught_up(repository) == clock()
    unlucky = Elsewhere(store)
    _, service = told(unlucky, clock)
    clock.advance(HOUR)
    service.send("bob", "counter:1", Count("b"), at(78 * 60))  # 23 hours old
    assert rebuild.catch_up(repository) == (4, 1, ("days",))
    assert "bob" in {row.customer_id for row in all_rows(store)["days"]}


def test_no_catch_up_while_a_region_is_away() -> None:
    """Commits of that region may be missing: nothing is called complete."""
    store = Faulty(open_store("memory:"))
    repository = lived(store, 2)  # type: ignore[arg-type]
    store.refuse[Consistency.EVERYWHERE] = StoreUnavailable("Asia is away")
    with pytest.raises(StoreUnavailable, match="Asia is away"):
        rebuild.catch_up(repository)
    assert rebuild.caught_up(repository) is None
    store.refuse.clear()
    assert rebuild.catch_up(repository).rows == 6


def test_services_that_write_meanwhile_are_in_the_rebuilt_table() -> None:
    """The request of a customer who is new, or already done, writes its own rows."""
    store = open_store("memory:")
    repository = lived(store, 5)
    _, service = told(store, ManualClock(START + timedelta(minutes=5)))

    def meanwhile(rows: int) -> None:
        service.send("customer 000", "counter:1", Count("b"), at(4))
        service.send("somebody new", "counter:1", Count("b"), at(4))

    rebuild.rebuild(repository, meanwhile)
    assert {row.customer_id for row in all_rows(store)["days"] if row.commit.event_time == at(4).event_time} == {
        "customer 000",
        "somebody new",
    }


def test_a_forgotten_customer_is_left_out() -> None:
    """A commit that nobody can decrypt has no row in a rebuilt table."""
    store, clock = open_store("memory:"), ManualClock(START)
    repository = Repository(store, clock, keys=MemoryKeys(), read_tables=[SECRETS])
    for customer in ("ann", "bob"):
        work = repository.begin(customer, at(0, customer), Count("a"))
        (secret,) = work.load((Secret, "1"))
        work.add(secret, Stamped(7))
        work.append()
    repository.forget("ann")
    assert rebuild.rebuild(repository).rows == 1
    assert [row.customer_id for page in store.read_rows(DAYS, [("monday", "0")]) for row in page] == ["bob"]


def test_the_commands(tmp_path: Path) -> None:
    """Status, catch-up and rebuild print the rows written, and up to when the tables are complete."""
    url = new_url("sqlite", tmp_path)
    with closing(open_store(url)) as store:
        lived(store, 4)

    def call(name: str, *options: str) -> str:
        modules = ["--module", "tests.test_read_table:BY_DAY", "--module", "tests.test_read_table:ON_SHELF"]
        args = ["read-tables", name, "--store", url, *modules, *options]
        done = CliRunner().invoke(app, args, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    assert "days: nobody has caught up yet\nshelf: complete: its rows are a part of every append" in call("status")
    assert "caught up: 12 rows of 4 customers in days" in call("catch-up", "--jobs", "2")
    assert "days: complete up to 20" in call("status")
    assert "rebuilt: 24 rows of 4 customers in days, shelf" in call("rebuild", "--jobs", "2")


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("tests.nowhere", "Expected a module 'tests.nowhere', found none"),
        ("tests.support.sample", "Expected a ReadTable in tests.support.sample, found none"),
        ("tests.test_read_table:NOWHERE", "Expected a ReadTable called NOWHERE"),
    ],
)
def test_a_module_without_read_tables_is_named(tmp_path: Path, module: str, said: str) -> None:
    """Nothing is read or written."""
    url = new_url("sqlite", tmp_path)
    open_store(url).close()
    done = CliRunner().invoke(app, ["read-tables", "rebuild", "--store", url, "--module", module])
    assert done.exit_code == 1 and said in done.output


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """A mistyped file name is an error."""
    done = CliRunner().invoke(app, ["read-tables", "status", "--store", new_url("sqlite", tmp_path)])
    assert done.exit_code == 1 and list(tmp_path.iterdir()) == []


if __name__ == "__main__":
    with closing(open_store(sys.argv[1])) as opened:
        seen = iter(range(1, 1000))

        def die(rows: int) -> None:
            if next(seen) == 60:
                os.kill(os.getpid(), signal.SIGKILL)

        rebuild.catch_up(Repository(opened, ManualClock(START), read_tables=(ON_SHELF, BY_DAY)), die)
