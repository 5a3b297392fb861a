"""The snapshots of all customers are built beside live traffic, and a walk that was killed resumes (G5, G6)."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from eslab import EventStore, InvalidInput, ManualClock, Repository, StoreUnavailable, Unreadable, open_store
from eslab.aggregate import Aggregate, SnapshotPolicy
from eslab.cli import app
from eslab.operations.backfill import Override, build_snapshots
from eslab.operations.walk import Walked, silent
from eslab.store import Consistency
from eslab.stores.keys import MemoryKeys
from tests.conftest import alone
from tests.support.sample import DAY, START, Card, Counted, Counter, Faulty, Stamped, at, commits, fill, new_url, rows

CUSTOMERS = [f"customer {number:03}" for number in range(120)]
EACH = Override(every=1)
LATER = START + 9 * DAY


class Refolded(Counter):
    """A counter whose fold was changed."""

    stored_as = "counter"
    fold_version = 2


class Loose(Aggregate):
    """A counter whose states no snapshot gives back."""

    stored_as = "counter"
    seen: Any = None

    def apply(self, event: Counted) -> None:
        self.seen = (event.what,)


def lived(store: EventStore, customers: int = 120) -> Repository:
    """Each customer has a counter of two commits and a card of one."""
    for customer in CUSTOMERS[:customers]:
        fill(store, 2, customer=customer)
        store.append(customer, commits(at(), {"card:1": [Stamped(7)]}, customer=customer))
    return Repository(store, ManualClock(LATER))


def built(store: EventStore, fold: int = 1, id: str = "counter:1") -> list[str]:
    """The customers whose aggregate has a snapshot of a fold."""
    heads = {customer: store.heads(customer, [id])[id] for customer in store.customers()}
    return [it for it, head in heads.items() if any(snapshot.fold == fold for snapshot in head.snapshots)]


@alone
def test_snapshots_of_all_customers_are_built(store: EventStore) -> None:
    """Of the types that are named; a second run finds nothing to do."""
    repository = lived(store, 3)
    progress: list[int] = []
    assert build_snapshots(repository, [Counter], EACH, progress.append) == Walked(3, 3)
    assert sorted(built(store)) == CUSTOMERS[:3] and built(store, id="card:1") == []
    assert progress == [1, 1, 1]
    assert build_snapshots(repository, [Counter], EACH) == Walked(3, 0)
    assert build_snapshots(repository, [Counter, Card], EACH) == Walked(3, 3)


def test_the_policy_is_the_types_own_unless_it_is_overridden() -> None:
    """In each of its parts; a type without one has none until a number of commits is given."""

    class Never(Counter):
        snapshot_policy = None

    class Often(Counter):
        snapshot_policy = SnapshotPolicy(every=7, after=timedelta(days=1), keep=2)

    assert Override().of(Counter) == SnapshotPolicy()
    assert Override(keep=5).of(Often) == SnapshotPolicy(every=7, after=timedelta(days=1), keep=5)
    assert Override(every=9).of(Often) == SnapshotPolicy(every=9, after=timedelta(days=1), keep=2)
    assert (Override(keep=5).of(Never), Override(every=9).of(Never)) == (None, SnapshotPolicy(every=9))


@alone
def test_only_what_is_due_is_built(store: EventStore) -> None:
    """By the count of commits that wait."""
    repository = lived(store, 2)
    assert build_snapshots(repository, [Counter], Override(every=3)).rows == 0
    assert build_snapshots(repository, [Counter], Override(every=2)).rows == 2


@alone
def test_one_customer_alone(store: EventStore) -> None:
    """No checkpoint is left, and nobody else is read."""
    repository = lived(store, 3)
    assert build_snapshots(repository, [Counter], EACH, silent, CUSTOMERS[1]) == Walked(1, 1)
    assert built(store) == [CUSTOMERS[1]]


class Killed(Exception):
    """Stands for a process that died."""


def dying(after: int) -> Callable[[int], None]:
    """A report of progress at which the walk dies, after so many customers."""
    left = iter(range(after - 1))

    def report(rows: int) -> None:
        if next(left, None) is None:
            raise Killed

    return report


@pytest.mark.parametrize("killed_after", [1, 49, 50, 51, 119])
def test_a_walk_that_was_killed_resumes(killed_after: int) -> None:
    """At its checkpoint."""
    store = open_store("memory:")
    repository = lived(store)
    with pytest.raises(Killed):
        build_snapshots(repository, [Counter], EACH, dying(killed_after))
    assert build_snapshots(repository, [Counter], EACH).customers == 120 - (killed_after - 1) // 50 * 50
    assert built(store) == CUSTOMERS


@pytest.mark.parametrize(("aggregate_type", "override"), [(Refolded, EACH), (Counter, Override(every=2))])
def test_with_another_fold_or_policy_it_is_another_walk(aggregate_type: type[Counter], override: Override) -> None:
    """It begins at the first customer, wherever the other one was killed."""
    store = open_store("memory:")
    repository = lived(store)
    with pytest.raises(Killed):
        build_snapshots(repository, [Counter], EACH, dying(60))
    assert build_snapshots(repository, [aggregate_type], override).customers == 120
    assert built(store, aggregate_type.fold_version) == CUSTOMERS


@alone
def test_an_aggregate_that_can_not_be_folded_stops_nobody(store: EventStore) -> None:
    """All others are built; it is named at the end, and by the next run too."""
    repository = lived(store, 3)
    (first, _) = rows(store, customer=CUSTOMERS[1])
    store.append(CUSTOMERS[1], [first._replace(payload=b"\xff" + first.payload[1:])])
    for rest in (5, 0):
        with pytest.raises(
            Unreadable, match=rf"none for 1 aggregate. Built: {rest} snapshots? of 3 customers"
        ) as error:
            build_snapshots(repository, [Counter, Card], EACH)
        assert f"Unreadable commit: customer '{CUSTOMERS[1]}', aggregate 'counter:1'" in str(error.value)
    assert sorted(built(store)) == [CUSTOMERS[0], CUSTOMERS[2]]


@alone
def test_a_state_that_does_not_survive_is_named_with_its_field(store: EventStore) -> None:
    """For each aggregate; nothing is saved."""
    repository = lived(store, 2)
    with pytest.raises(Unreadable, match=r"none for 2 aggregates[^$]*\.seen is \('thing 1',\) now and \['thing 1'\]"):
        build_snapshots(repository, [Loose], EACH)
    assert built(store) == []


def test_a_class_that_can_not_be_read_is_refused_at_once(store: EventStore) -> None:
    """Not for each customer anew."""

    class Wrong(Counter):
        snapshot_policy = 7  # type: ignore[assignment]

    with pytest.raises(InvalidInput, match="as snapshot_policy of Wrong"):
        build_snapshots(lived(store, 2), [Wrong], EACH)


@alone
def test_while_a_region_is_away_the_walk_ends(store: EventStore) -> None:
    """It is no customer's problem; the walk can be resumed."""
    lived(store, 2)
    faulty = Faulty(store)
    faulty.refuse[Consistency.EVERYWHERE] = StoreUnavailable("Asia is away")
    with pytest.raises(StoreUnavailable, match="Asia is away"):
        build_snapshots(Repository(faulty, ManualClock(LATER)), [Counter], EACH)
    assert built(store) == []


class SecretCard(Card):
    """A card whose events are encrypted."""

    stored_as = "card"
    encrypted = True


@alone
def test_forgotten_customers_are_passed_over(store: EventStore) -> None:
    """Their keys are gone; without any keys the command is refused before it reads."""
    lived(store, 2)
    keys = MemoryKeys()
    repository = Repository(store, ManualClock(LATER), keys=keys)
    repository.forget(CUSTOMERS[0])
    assert build_snapshots(repository, [Counter, SecretCard], EACH) == Walked(2, 3)
    assert built(store, id="card:1") == [CUSTOMERS[1]]
    with pytest.raises(InvalidInput, match="Expected keys for encrypted aggregates"):
        build_snapshots(Repository(store, ManualClock(LATER)), [SecretCard], EACH)


def call(url: str, *arguments: str) -> tuple[int, str]:
    command = ["snapshots", "build", "--store", url, "--aggregate", "tests.support.sample:Counter", *arguments]
    done = CliRunner().invoke(app, command)
    return done.exit_code, done.output


def test_the_command_builds_and_resumes_after_kill_9(tmp_path: Path) -> None:
    """A process that was killed at the sixtieth customer; the command does what is left, and names what is broken."""
    url = new_url("sqlite", tmp_path)
    with closing(open_store(url)) as store:
        lived(store)
    killed = subprocess.run([sys.executable, "-m", "tests.operations.test_backfill", url], check=False)
    assert killed.returncode == -signal.SIGKILL
    code, output = call(url, "--all", "--every", "1", "--jobs", "3")
    assert (code, "built: 60 snapshots of 70 customers" in output) == (0, True), output
    with closing(open_store(url)) as store:
        assert built(store) == CUSTOMERS
        (first, _) = rows(store, customer=CUSTOMERS[1])
        store.append(CUSTOMERS[1], [first._replace(payload=b"\xff" + first.payload[1:])])
    refolded = ["--every", "1", "--aggregate", "tests.operations.test_backfill:Refolded"]
    code, output = call(url, "--customer", CUSTOMERS[1], *refolded)
    assert (code, "none for 1 aggregate. Built: 0 snapshots of 1 customer" in output) == (1, True), output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--every", "1"], "Expected --all or --customer, got neither"),
        (["--all", "--customer", "ann"], "Expected --all or --customer, got both"),
        (["--customer", "ann", "--jobs", "0"], "Expected 1 to 256 jobs, got 0"),
        (["--all", "--every", "0"], "Expected a policy of 1 or more"),
        (["--all", "--keys", "README.md"], "Expected --keys and --master together"),
        (["--all", "--aggregate", "tests.support.sample:Nobody"], "Expected an aggregate type called Nobody in tests"),
    ],
)
def test_wrong_usage_is_refused(tmp_path: Path, arguments: list[str], said: str) -> None:
    """Exit code 1, and nothing is read."""
    url = new_url("sqlite", tmp_path)
    open_store(url).close()
    code, output = call(url, *arguments)
    assert (code, said in output) == (1, True), output


if __name__ == "__main__":
    with closing(open_store(sys.argv[1])) as opened:
        seen = iter(range(1, 1000))

        def die(rows: int) -> None:
            if next(seen) == 60:
                os.kill(os.getpid(), signal.SIGKILL)

        build_snapshots(Repository(opened, ManualClock(LATER)), [Counter], EACH, die)
