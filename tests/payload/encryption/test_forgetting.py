"""Forgetting a customer: destroying one key is enough."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from eslab import EventStore, Forgotten, ManualClock, Repository, StoreUnavailable, open_store
from eslab.operations.snapshots import build_snapshot
from eslab.payload.encryption import CustomerCipher
from eslab.snapshot import snapshot_of
from eslab.stores.keys import FileKeys, make_master
from tests.support.sample import ROOT, START, Card, Faulty, at, everything, rows
from tests.support.ward import ASKED, NIGHT, Chart, both, diagnose, night


@pytest.fixture
def forgotten(ward: Repository, store: EventStore, clock: ManualClock) -> Repository:
    """Ann had commits and snapshots and was forgotten; Bob is still there."""
    both(ward)
    night(clock, ward)
    later = at((clock() - START).total_seconds() / 60)
    diagnose(ward, "mumps", later, "bob")
    ward.forget("ann")
    return ward


@pytest.mark.parametrize("asked", ASKED)
def test_whoever_asks_for_a_forgotten_customer_is_told(forgotten: Repository, store: EventStore, asked: str) -> None:
    """Before anything is read or written, with the customer and what to do."""
    before, faulty = everything(store), Faulty(store)
    message = r"key of customer 'ann' was destroyed.* Nothing was written.* use a new customer id"
    with pytest.raises(Forgotten, match=message):
        ASKED[asked](Repository(faulty, forgotten.clock, keys=forgotten.keys))
    assert faulty.calls == []
    assert everything(store) == before


def test_forgetting_leaves_the_commits_and_takes_the_snapshots(forgotten: Repository, store: EventStore) -> None:
    """The log keeps its rows, which nobody can read; the other aggregates and customers keep everything."""
    head = store.heads("ann", ["chart:1"])["chart:1"]
    assert (len(rows(store, "chart:1")), len(head.snapshots)) == (1, 0)
    assert forgotten.load("ann", Card, "1") == Card({1})
    assert forgotten.load("bob", Chart, "1") == Chart({"mumps"})


def test_forgetting_again_changes_nothing(forgotten: Repository, store: EventStore) -> None:
    """Nor does forgetting somebody who never came; they can't come any more."""
    before = everything(store)
    forgotten.forget("ann")
    assert everything(store) == before
    forgotten.forget("eve")
    with pytest.raises(Forgotten):
        diagnose(forgotten, "flu", at(99999), "eve")


def test_forgetting_that_was_interrupted_is_finished_by_a_repeat(
    ward: Repository, store: EventStore, clock: ManualClock
) -> None:
    """The key goes first, so nothing can be read from then on."""
    diagnose(ward, "measles")
    night(clock, ward)

    class Crashing(Faulty):
        def delete_snapshot(self, *place: Any) -> None:
            raise StoreUnavailable("gone")

    with pytest.raises(StoreUnavailable):
        Repository(Crashing(store), clock, keys=ward.keys).forget("ann")
    with pytest.raises(Forgotten):
        ward.load("ann", Chart, "1")
    ward.forget("ann")
    assert store.heads("ann", ["chart:1"])["chart:1"].snapshots == []


FORGETTING = """
import sys
from eslab import Repository, open_store
from eslab.clock import ManualClock
from eslab.stores.keys import FileKeys
from tests.support.sample import START
ward = Repository(open_store(sys.argv[1]), ManualClock(START), keys=FileKeys(*sys.argv[2:]))
for number in range(1000):
    ward.forget(f"c{number}")
    print(number, flush=True)"""


@pytest.mark.parametrize("after", [1, 4])
def test_G2_kill_9_in_the_middle_of_forgetting_brings_nobody_back(tmp_path: Path, after: int) -> None:
    """Who was forgotten stays so; whoever was in the middle is either as before or forgotten, and a repeat ends it."""
    make_master(tmp_path / "master.key")
    paths = [f"sqlite:///{tmp_path}/x.db", str(tmp_path / "keys.db"), str(tmp_path / "master.key")]
    store, clock = open_store(paths[0]), ManualClock(START)
    ward = Repository(store, clock, keys=FileKeys(*paths[1:]))
    for number in range(40):
        diagnose(ward, "measles", customer=f"c{number}")
        cipher = CustomerCipher(FileKeys(*paths[1:]), f"c{number}")
        customer, state = f"c{number}", Chart({"measles"})
        stored = snapshot_of(customer, "chart:1", state, 1, at().event_time, START, cipher)
        store.save_snapshot(customer, "chart:1", stored, START)
    child = subprocess.Popen([sys.executable, "-c", FORGETTING, *paths], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert child.stdout
    said = [child.stdout.readline() for _ in range(after)]
    child.kill()
    said += child.stdout.readlines()
    child.communicate()
    done = len([line for line in said if line.endswith("\n")])
    assert done >= after
    for number in range(40):
        if number < done:
            with pytest.raises(Forgotten):
                ward.load(f"c{number}", Chart, "1")
        elif number > done:
            assert ward.load(f"c{number}", Chart, "1") == Chart({"measles"})
    for number in range(done + 1):
        ward.forget(f"c{number}")
        assert store.heads(f"c{number}", ["chart:1"])["chart:1"].snapshots == []


def test_forgetting_spares_plain_snapshots(ward: Repository, store: EventStore, clock: ManualClock) -> None:
    """One may stand on a floor, where it can't be built again (G6)."""
    both(ward)
    clock.advance(2 * ward.bounds.fold_after)
    build_snapshot(ward, "ann", Card, "1", NIGHT)
    ward.forget("ann")
    assert len(store.heads("ann", ["card:1"])["card:1"].snapshots) == 1


def test_what_else_holds_their_data_is_told_each_time(ward: Repository) -> None:
    """A read table deletes its rows when the customer is forgotten; its work is repeated, so it may fail."""
    told: list[str] = []
    for _ in range(2):
        ward.forget("ann", also=[told.append])
    assert told == ["ann", "ann"]
