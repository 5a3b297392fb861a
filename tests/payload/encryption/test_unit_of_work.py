"""Encrypted aggregates in a unit of work: the promises hold as for plain ones."""

from collections.abc import Callable
from itertools import permutations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eslab import (
    AggregateService,
    EventStore,
    Forgotten,
    InvalidInput,
    ManualClock,
    Repository,
    RequestConflict,
)
from eslab.operations.history import history
from eslab.payload.checksum import Checksum
from eslab.payload.encryption import CustomerCipher
from eslab.payload.serializer import command_hash, encode_envelope
from eslab.snapshot import parse_snapshot
from eslab.store import Consistency
from eslab.stores.keys import MemoryKeys
from tests.support.sample import START, Card, Faulty, Stamped, at, commits, envelope_of, everything, rows
from tests.support.ward import ASKED, Chart, Diagnose, Diagnosed, both, decrypted, diagnose, encrypted, handle, night

OpenNew = Callable[[], EventStore]


def test_what_was_decided_is_what_the_next_hydration_shows(ward: Repository) -> None:
    """An encrypted aggregate is used as any other: load, load_all, history, the past."""
    for minutes, illness in enumerate(("measles", "mumps")):
        diagnose(ward, illness, at(minutes))
    assert ward.load("ann", Chart, "1") == Chart({"measles", "mumps"})
    assert ward.load_all("ann", Chart) == {"1": Chart({"measles", "mumps"})}
    assert ward.load("ann", Chart, "1", as_of=START) == Chart({"measles"})
    assert list(history(ward, "ann", Chart, "1")["illness"]) == ["measles", "mumps"]


def test_an_append_of_plain_aggregates_stays_as_it_was(ward: Repository, store: EventStore, clock: ManualClock) -> None:
    """Though an encrypted one was loaded, if nothing was added to it: no key is made, and no hash is keyed."""
    work = ward.begin("ann", at(), Diagnose("measles"))
    _, card = work.load((Chart, "1"), (Card, "1"))
    work.add(card, Stamped(1))
    work.append()
    assert rows(store, "card:1") == commits(at(), {"card:1": [Stamped(1)]}, command_hash(Diagnose("measles")))
    assert ward.keys and ward.keys.key("ann") is None


# G1, G3: retries and double decisions


@given(st.lists(st.text(max_size=20), min_size=1, max_size=4), st.integers(0, 1000))
def test_G1_the_same_request_writes_the_same_bytes(open_new: OpenNew, illnesses: list[str], minutes: float) -> None:
    """On every store and in every process that has the customer's key."""
    keys, stored = MemoryKeys(Random(7).randbytes), []
    for _ in range(2):
        store = open_new()
        work = Repository(store, ManualClock(at(minutes).time), keys=keys).begin("ann", at(minutes), Diagnose("it"))
        chart, card = work.load((Chart, "1"), (Card, "1"))
        work.add(chart, *map(Diagnosed, illnesses))
        work.add(card, Stamped(1))
        work.append()
        stored.append(everything(store))
    assert stored[0] == stored[1]


@given(st.text(max_size=9), st.text(max_size=9), st.permutations([0, 1, 0, 1]))
def test_G1_of_two_decisions_the_same_one_wins_everywhere(
    open_new: OpenNew, one: str, two: str, arrival: list[int]
) -> None:
    """Encrypted and plain rows of one request agree on the winner, in every order of arrival."""
    keys, decisions = MemoryKeys(Random(7).randbytes), []
    for place, illness in enumerate((one, two)):
        apart = open_new()
        both(Repository(apart, ManualClock(START), keys=keys), illness, place)
        decisions.append([*rows(apart, "chart:1"), *rows(apart, "card:1")])
    store = open_new()
    for number in arrival:
        store.append("ann", decisions[number])
    repository = Repository(store, ManualClock(START), keys=keys)
    assert len({envelope_of(each).digest for id in ("chart:1", "card:1") for each in rows(store, id)}) == 1
    assert (repository.load("ann", Chart, "1"), repository.load("ann", Card, "1")) in [
        (Chart({one}), Card({0})), (Chart({two}), Card({1})),
    ]  # fmt: skip


def test_G3_a_repeat_is_answered_from_what_is_stored(store: EventStore, clock: ManualClock, keys: MemoryKeys) -> None:
    """And writes nothing; another wish under the same request is a conflict."""
    service = AggregateService(store, Chart, handle, clock, keys=keys)
    service.send("ann", "chart:1", Diagnose("measles"), at())
    before = everything(store)
    again = service.send("ann", "chart:1", Diagnose("measles"), at())
    assert (again.repeated, again.events, again.state) == (True, [Diagnosed("measles")], Chart({"measles"}))
    with pytest.raises(RequestConflict):
        service.send("ann", "chart:1", Diagnose("mumps"), at())
    assert everything(store) == before


def test_G3_a_repeat_that_loads_only_the_plain_aggregate_is_known(ward: Repository, keys: MemoryKeys) -> None:
    """Its row carries the keyed hash, which is compared too; once the key is destroyed nobody can tell."""
    both(ward)
    again = ward.begin("ann", at(), Diagnose("measles"))
    again.load((Card, "1"))
    assert again.recorded
    with pytest.raises(RequestConflict):
        ward.begin("ann", at(), Diagnose("mumps")).load((Card, "1"))
    keys.destroy("ann")
    with pytest.raises(Forgotten):
        ward.begin("ann", at(), Diagnose("measles")).load((Card, "1"))


@pytest.mark.parametrize("order", list(permutations(range(2))))
def test_two_who_write_first_at_once_use_one_key(store: EventStore, clock: ManualClock, order: tuple[int, ...]) -> None:
    """Both loaded before there was a key; both rows are read."""
    keys = MemoryKeys(Random(7).randbytes)
    ward, wishes = Repository(store, clock, keys=keys), []
    for minutes in range(2):
        work = ward.begin("ann", at(minutes), Diagnose("it"))
        (chart,) = work.load((Chart, "1"))
        work.add(chart, Diagnosed(str(minutes)))
        wishes.append(work)
    reader = CustomerCipher(keys, "ann")
    for number in order:
        wishes[number].append()
    assert ward.load("ann", Chart, "1") == Chart({"0", "1"})
    assert all(decrypted(reader, each) != envelope_of(each) for each in rows(store, "chart:1"))


# G4, G5, G6, G9: reading


def test_a_log_of_several_pages_is_folded_whole(ward: Repository, store: EventStore, keys: MemoryKeys) -> None:
    """A page at a time."""
    cipher = CustomerCipher(keys, "ann")
    store.append("ann", [encrypted(cipher, commits(at(i), {"chart:1": [Diagnosed(str(i))]})[0]) for i in range(2500)])
    assert ward.load("ann", Chart, "1") == Chart(set(map(str, range(2500))))


def test_all_aggregates_of_a_wish_are_read_in_one_wait(store: EventStore, clock: ManualClock, keys: MemoryKeys) -> None:
    """Encrypted and plain ones together; a wish of plain ones alone is read as ever."""
    faulty = Faulty(store)
    ward = Repository(faulty, clock, keys=keys)
    ward.begin("ann", at(), Diagnose("it")).load((Chart, "1"), (Card, "1"))
    ward.begin("ann", at(), Diagnose("it")).load((Card, "1"))
    assert [name for name, _ in faulty.calls] == ["read", "read"]


def test_G5_an_encrypted_snapshot_plus_tail_equals_full_replay(
    ward: Repository, store: EventStore, clock: ManualClock
) -> None:
    """The snapshot is used, was read from every region, and holds ciphertext."""
    diagnose(ward, "measles")
    faulty = Faulty(store)
    night(clock, Repository(faulty, clock, keys=ward.keys))
    assert faulty.calls == [("read", Consistency.EVERYWHERE), ("heads", Consistency.EVERYWHERE)]
    diagnose(ward, "mumps", at((clock() - START).total_seconds() / 60))
    hydration = ward.hydrate("ann", Chart, "1")
    assert (hydration.state, hydration.commits, hydration.tail) == (Chart({"measles", "mumps"}), 2, 1)
    assert hydration.base


def test_G6_a_moved_snapshot_is_passed_over(
    ward: Repository, store: EventStore, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """One of another aggregate of the same customer does not become state, even with its checksum made right."""
    diagnose(ward, "measles")
    night(clock, ward)
    (stored,) = store.heads("ann", ["chart:1"])["chart:1"].snapshots
    envelope = parse_snapshot("ann", "chart:1", stored)
    checksum = Checksum.of_snapshot("ann", "chart:2", stored.up_to, stored.fold)
    store.save_snapshot("ann", "chart:2", stored._replace(payload=encode_envelope(envelope, checksum)), START)
    assert ward.load("ann", Chart, "2") == Chart()
    assert "Skipped the snapshot" in caplog.text and "was moved or changed" in caplog.text


def test_G9_what_was_written_before_a_type_was_encrypted_is_read(ward: Repository, store: EventStore) -> None:
    """And stays as it is: encryption begins with the next commit."""
    store.append("ann", commits(at(), {"chart:1": [Diagnosed("measles")]}))
    diagnose(ward, "mumps", at(1))
    assert ward.load("ann", Chart, "1") == Chart({"measles", "mumps"})


def test_without_keys_nothing_is_read_or_written(store: EventStore, clock: ManualClock) -> None:
    """An encrypted type needs them, whatever is asked; plain ones don't."""
    faulty = Faulty(store)
    for ask in ASKED.values():
        with pytest.raises(InvalidInput, match=r"Expected keys for encrypted aggregates, got none; .*keys=FileKeys"):
            ask(Repository(faulty, clock))
    assert faulty.calls == []
    assert Repository(store, clock).load("ann", Card, "1") == Card()
