"""Encrypted aggregates, and forgetting a customer: the promises hold, and destroying one key is enough."""

import logging
import subprocess
import sys
import traceback
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

from eslab import (
    Aggregate,
    AggregateService,
    Command,
    Event,
    EventStore,
    Forgotten,
    InvalidInput,
    ManualClock,
    OutcomeUnknown,
    Repository,
    Request,
    RequestConflict,
    SnapshotPolicy,
    StoreUnavailable,
    Unreadable,
    open_store,
)
from eslab.operations.history import history
from eslab.operations.snapshots import build_snapshot
from eslab.payload.encryption import CustomerCipher
from eslab.payload.serializer import Envelope, command_hash, decode_any, decode_envelope, encode_envelope
from eslab.store import Consistency
from eslab.stores.keys import FileKeys, MemoryKeys, make_master
from tests.support.sample import ROOT, START, Card, Faulty, Stamped, at, commits, everything, row, rows, snapshot

OpenNew = Callable[[], EventStore]
NIGHT = SnapshotPolicy(every=1)
GOLDEN = (
    "96c410a74da754fa7ab87afd15c9da6d2944350301c408d2639d7a55194748c4337bc78a515a994877dd1ad1d549fa3f"
    "cd4463394da78d715fc39e663508c4836283de8920301c1b75466a2d494741f12a07be72c404a628306b"
)


class Diagnosed(Event):
    """An illness was found."""

    illness: str


class Chart(Aggregate):
    """What a person suffers from: nobody else's business."""

    encrypted: ClassVar[bool] = True
    illnesses: set[str] = set()

    def apply(self, event: Diagnosed) -> None:
        self.illnesses.add(event.illness)


class PlainChart(Aggregate):
    """The same before it was declared encrypted."""

    stored_as: ClassVar[str] = "chart"
    illnesses: set[str] = set()

    def apply(self, event: Diagnosed) -> None:
        self.illnesses.add(event.illness)


class Diagnose(Command):
    """Write an illness down."""

    illness: str


class OneKey(MemoryKeys):
    """The same key for everybody, so that only what is bound to the row tells customers apart."""

    def key(self, customer_id: str) -> bytes | None:
        return bytes(32)


def handle(chart: Chart, command: Diagnose, request: Request) -> list[Event]:
    """Once is enough."""
    return [] if command.illness in chart.illnesses else [Diagnosed(command.illness)]


@pytest.fixture
def keys() -> MemoryKeys:
    """Keys that follow from a seed."""
    return MemoryKeys(Random(7).randbytes)


@pytest.fixture
def ward(store: EventStore, clock: ManualClock, keys: MemoryKeys) -> Repository:
    """A repository with keys over the store under test."""
    return Repository(store, clock, keys=keys)


def diagnose(repository: Repository, illness: str, request: Request | None = None, customer: str = "ann") -> None:
    """One event in one encrypted aggregate."""
    work = repository.begin(customer, request or at(), Diagnose(illness))
    (chart,) = work.load((Chart, "1"))
    work.add(chart, Diagnosed(illness))
    work.append()


def both(repository: Repository, illness: str = "measles", place: int = 1) -> None:
    """One wish over an encrypted aggregate and a plain one."""
    work = repository.begin("ann", at(), Diagnose("measles"))
    chart, card = work.load((Chart, "1"), (Card, "1"))
    if not work.recorded:
        work.add(chart, Diagnosed(illness))
        work.add(card, Stamped(place))
        work.append()


def all_bytes(store: EventStore, customer: str = "ann") -> bytes:
    """Whatever the store holds of a customer, in one row."""
    return repr(everything(store, customer)).encode()


def night(clock: ManualClock, repository: Repository) -> None:
    """So much later that a snapshot is worth it."""
    clock.advance(2 * repository.bounds.fold_after)
    assert build_snapshot(repository, "ann", Chart, "1", NIGHT)


# What is stored


def test_what_was_decided_is_what_the_next_hydration_shows(ward: Repository) -> None:
    """An encrypted aggregate is used as any other: load, load_all, history, the past."""
    for minutes, illness in enumerate(("measles", "mumps")):
        diagnose(ward, illness, at(minutes))
    assert ward.load("ann", Chart, "1") == Chart({"measles", "mumps"})
    assert ward.load_all("ann", Chart) == {"1": Chart({"measles", "mumps"})}
    assert ward.load("ann", Chart, "1", as_of=START) == Chart({"measles"})
    assert list(history(ward, "ann", Chart, "1")["illness"]) == ["measles", "mumps"]


def test_a_store_sees_neither_events_nor_their_types(ward: Repository, store: EventStore, clock: ManualClock) -> None:
    """Not in a commit, not in a snapshot, not in the columns for people; the id stands in clear."""
    both(ward)
    night(clock, ward)
    seen = all_bytes(store)
    assert b"chart:1" in seen and b"Stamped" in seen
    assert [word for word in (b"measles", b"Diagnosed", b"illness") if word in seen] == []
    (stored,) = rows(store, "chart:1")
    assert (stored.event_type, stored.version) == ("(encrypted)", 0)


def test_the_digest_and_the_wish_say_nothing_without_the_key(ward: Repository, store: EventStore) -> None:
    """In no row of an append that encrypts something do they follow from the events and the wish alone."""
    events = {"chart:1": [Diagnosed("measles")], "card:1": [Stamped(1)]}
    guess = decode_envelope(commits(at(), events, command_hash(Diagnose("measles")))[0].payload)
    both(ward)
    marks = {(decode_envelope(rows(store, id)[0].payload).digest, decode_envelope(rows(store, id)[0].payload).command)
             for id in events}  # fmt: skip
    assert len(marks) == 1
    assert {guess.digest, guess.command} & set(*marks) == set()


def test_two_customers_share_no_bytes(ward: Repository, store: EventStore) -> None:
    """The same wish of two customers gives other ciphertext, another digest and another wish hash."""
    for customer in ("ann", "bob"):
        diagnose(ward, "measles", customer=customer)
    ann, bob = (decode_any(rows(store, "chart:1", customer)[0].payload, Envelope[Raw]) for customer in ("ann", "bob"))
    assert [getattr(ann, name) != getattr(bob, name) for name in ("digest", "wish", "events")] == [True] * 3


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
    assert len({decode_envelope(each.payload).digest for id in ("chart:1", "card:1") for each in rows(store, id)}) == 1
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
    for command, error in [("measles", OutcomeUnknown), ("mumps", RequestConflict)]:
        with pytest.raises(error):
            ward.begin("ann", at(), Diagnose(command)).load((Card, "1"))
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
    assert all(reader.unlock(each) != each for each in rows(store, "chart:1"))


# G8: what can't be trusted


NAMED = r"Unreadable commit: customer '{}', aggregate '{}', event time {} .*\(encrypted\), version 0: .*{}"


@pytest.mark.parametrize(
    ("customer", "id", "minutes"), [("bob", "chart:1", 0), ("ann", "chart:2", 0), ("ann", "chart:1", 1)]
)
def test_G8_a_payload_in_another_row_is_named(
    store: EventStore, clock: ManualClock, customer: str, id: str, minutes: int
) -> None:
    """Another customer, aggregate or time, even under the same key."""
    ward = Repository(store, clock, keys=OneKey())
    diagnose(ward, "measles")
    time = at(minutes).event_time
    store.append(customer, [rows(store, "chart:1")[0]._replace(aggregate_id=id, event_time=time)])
    with pytest.raises(Unreadable, match=NAMED.format(customer, id, time, "was moved or changed")):
        ward.load(customer, Chart, id.partition(":")[2])


@pytest.mark.parametrize("change", [{"digest": bytes(16)}, {"commits": 2}, {"command": bytes(8)}])
def test_G8_a_payload_with_another_header_is_named(store: EventStore, clock: ManualClock, keys: MemoryKeys,
                                                   open_new: OpenNew, change: dict[str, Any]) -> None:  # fmt: skip
    """Though its checksum is right."""
    diagnose(Repository(store, clock, keys=keys), "measles")
    (stored,) = rows(store, "chart:1")
    payload = encode_envelope(replace(decode_any(stored.payload, Envelope[Raw]), **change))
    other = open_new()
    other.append("ann", [stored._replace(payload=payload)])
    with pytest.raises(Unreadable, match=NAMED.format("ann", "chart:1", stored.event_time, "was moved or changed")):
        Repository(other, clock, keys=keys).load("ann", Chart, "1")


@given(st.integers(0, 10_000))
def test_G8_a_flipped_bit_is_named(open_new: OpenNew, bit: int) -> None:
    """Wherever it is."""
    clock, keys, first, second = ManualClock(START), MemoryKeys(Random(7).randbytes), open_new(), open_new()
    diagnose(Repository(first, clock, keys=keys), "measles")
    (stored,) = rows(first, "chart:1")
    bit %= 8 * len(stored.payload)
    broken = (int.from_bytes(stored.payload) ^ 1 << bit).to_bytes(len(stored.payload))
    second.append("ann", [stored._replace(payload=broken)])
    with pytest.raises(Unreadable, match=NAMED.format("ann", "chart:1", stored.event_time, "checksum")):
        Repository(second, clock, keys=keys).load("ann", Chart, "1")


@given(st.binary(max_size=60), st.sampled_from(["events", "digest", "wish"]))
def test_G8_hostile_bytes_with_a_right_checksum_are_unreadable(body: bytes, field: str) -> None:
    """Nothing but `Unreadable`, whatever stands where the ciphertext should."""
    keys = MemoryKeys(Random(7).randbytes)
    keys.make("ann")
    fields = {"digest": bytes(16), "wish": bytes(8), "events": Raw(b"\xc4" + bytes([len(body)]) + body)}
    hostile = encode_envelope(Envelope(format=3, commits=1, **{**fields, field: Raw(body or b"\xc0")}))
    with pytest.raises(Unreadable):
        CustomerCipher(keys, "ann").unlock(row(payload=hostile))


def test_G8_another_key_does_not_fit(ward: Repository, store: EventStore, clock: ManualClock) -> None:
    """A provider with no key or another one for the customer is told so; nothing becomes state."""
    diagnose(ward, "measles")
    other = MemoryKeys(Random(8).randbytes)
    with pytest.raises(Unreadable, match="customer 'ann' has no key; use the keys that it was written with"):
        Repository(store, clock, keys=other).load("ann", Chart, "1")
    other.make("ann")
    with pytest.raises(Unreadable, match="encrypted under another key"):
        Repository(store, clock, keys=other).load("ann", Chart, "1")


def test_G8_encrypted_rows_are_no_rows_of_a_plain_type(ward: Repository) -> None:
    """Who takes the declaration away is told what is missing."""
    diagnose(ward, "measles")
    with pytest.raises(Unreadable, match="its events are encrypted; declare `encrypted = True`"):
        ward.load("ann", PlainChart, "1")


def test_G8_an_event_that_is_not_known_is_named(ward: Repository, store: EventStore, keys: MemoryKeys) -> None:
    """What was decrypted is checked like everything else."""
    (commit,) = commits(at(), {"chart:1": [Stamped(1)]})
    store.append("ann", [CustomerCipher(keys, "ann").lock(commit)])
    with pytest.raises(Unreadable, match=NAMED.format("ann", "chart:1", at().event_time, "event type Stamped")):
        ward.load("ann", Chart, "1")


# G4, G5, G6, G9: reading


def test_a_log_of_several_pages_is_folded_whole(ward: Repository, store: EventStore, keys: MemoryKeys) -> None:
    """A page at a time."""
    cipher = CustomerCipher(keys, "ann")
    store.append("ann", [cipher.encrypt(commits(at(i), {"chart:1": [Diagnosed(str(i))]})[0]) for i in range(2500)])
    assert ward.load("ann", Chart, "1") == Chart(set(map(str, range(2500))))


def test_all_aggregates_of_a_wish_are_read_in_two_waits(
    store: EventStore, clock: ManualClock, keys: MemoryKeys
) -> None:
    """Encrypted and plain ones together; a wish of plain ones alone is read as ever."""
    faulty = Faulty(store)
    ward = Repository(faulty, clock, keys=keys)
    ward.begin("ann", at(), Diagnose("it")).load((Chart, "1"), (Card, "1"))
    ward.begin("ann", at(), Diagnose("it")).load((Card, "1"))
    assert [name for name, _ in faulty.calls] == ["heads", "rows_many", "heads", "read_many"]


def test_G5_an_encrypted_snapshot_plus_tail_equals_full_replay(
    ward: Repository, store: EventStore, clock: ManualClock
) -> None:
    """The snapshot is used, was read from every region, and holds ciphertext."""
    diagnose(ward, "measles")
    faulty = Faulty(store)
    night(clock, Repository(faulty, clock, keys=ward.keys))
    assert faulty.calls == [("heads", Consistency.EVERYWHERE), ("rows_many", Consistency.EVERYWHERE)]
    diagnose(ward, "mumps", at((clock() - START).total_seconds() / 60))
    hydration = ward.hydrate("ann", Chart, "1")
    assert (hydration.state, hydration.commits, hydration.tail) == (Chart({"measles", "mumps"}), 2, 1)
    assert hydration.base


def test_G6_a_moved_snapshot_is_passed_over(
    ward: Repository, store: EventStore, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """One of another aggregate of the same customer does not become state; the events do."""
    diagnose(ward, "measles")
    night(clock, ward)
    (stored,) = store.heads("ann", ["chart:1"])["chart:1"].snapshots
    store.save_snapshot("ann", "chart:2", stored)
    assert ward.load("ann", Chart, "2") == Chart()
    assert "Passed over the snapshot" in caplog.text and "was moved or changed" in caplog.text


def test_G9_what_was_written_before_a_type_was_encrypted_is_read(ward: Repository, store: EventStore) -> None:
    """And stays as it is: encryption begins with the next commit."""
    store.append("ann", commits(at(), {"chart:1": [Diagnosed("measles")]}))
    diagnose(ward, "mumps", at(1))
    assert ward.load("ann", Chart, "1") == Chart({"measles", "mumps"})


def test_G9_encrypted_bytes_are_final(store: EventStore, clock: ManualClock) -> None:
    """What this release writes every later one reads, and writes again for a retry: these bytes were made once."""
    ward = Repository(store, clock, keys=MemoryKeys(lambda number: bytes(range(number))))
    diagnose(ward, "measles")
    assert rows(store, "chart:1")[0].payload.hex() == GOLDEN
    assert ward.load("ann", Chart, "1") == Chart({"measles"})


class LongChart(Chart):
    """One whose long commits are compressed before they are encrypted."""

    stored_as: ClassVar[str] = "long"
    compress_over: ClassVar[int] = 100


def test_what_is_compressed_is_encrypted_too(ward: Repository, store: EventStore) -> None:
    """Ciphertext can't be compressed, so it is done before; the format says both."""
    work = ward.begin("ann", at(), Diagnose("it"))
    (chart,) = work.load((LongChart, "1"))
    work.add(chart, Diagnosed("ache " * 1000))
    work.append()
    (stored,) = rows(store, "long:1")
    assert (decode_envelope(stored.payload).format, len(stored.payload) < 500) == (4, True)
    assert ward.load("ann", LongChart, "1") == chart
    assert list(history(ward, "ann", LongChart, "1")["illness"]) == ["ache " * 1000]


# Forgetting


@pytest.fixture
def forgotten(ward: Repository, store: EventStore, clock: ManualClock) -> Repository:
    """Ann had commits and snapshots and was forgotten; Bob is still there."""
    both(ward)
    night(clock, ward)
    later = at((clock() - START).total_seconds() / 60)
    diagnose(ward, "mumps", later, "bob")
    ward.forget("ann")
    return ward


ASKED: dict[str, Callable[[Repository], Any]] = {
    "load": lambda ward: ward.load("ann", Chart, "1"),
    "load what never was": lambda ward: ward.load("ann", Chart, "new"),
    "load_all": lambda ward: ward.load_all("ann", Chart),
    "history": lambda ward: history(ward, "ann", Chart, "1"),
    "build_snapshot": lambda ward: build_snapshot(ward, "ann", Chart, "1", NIGHT),
    "a new wish": lambda ward: diagnose(ward, "flu", at(99999)),
    "a repeat": both,
    "send": lambda ward: AggregateService(ward.store, Chart, handle, ward.clock, keys=ward.keys).send(
        "ann", "chart:1", Diagnose("flu"), at(99999)
    ),
}


@pytest.mark.parametrize("asked", ASKED)
def test_whoever_asks_for_a_forgotten_customer_is_told(forgotten: Repository, store: EventStore, asked: str) -> None:
    """Before anything is read or written, with the customer and what to do."""
    before, faulty = everything(store), Faulty(store)
    message = r"key of customer 'ann', found that it was destroyed.* Nothing was written.* use a new customer id"
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
        store.save_snapshot(
            f"c{number}", "chart:1", cipher.encrypt_snapshot("chart:1", snapshot(at(), Chart({"measles"})))
        )
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


# Without keys, and without the package


def test_without_keys_nothing_is_read_or_written(store: EventStore, clock: ManualClock) -> None:
    """An encrypted type needs them, whatever is asked; plain ones don't."""
    faulty = Faulty(store)
    for ask in ASKED.values():
        with pytest.raises(InvalidInput, match=r"Expected keys for what is encrypted, got none; .*keys=FileKeys"):
            ask(Repository(faulty, clock))
    assert faulty.calls == []
    assert Repository(store, clock).load("ann", Card, "1") == Card()


def test_without_the_package_it_says_what_to_install() -> None:
    """And nothing else needs it: importing eslab, or loading plain aggregates, does not bring it."""
    code = """
import sys
sys.modules["cryptography"] = None
from eslab import InvalidInput
from eslab.payload.encryption import CustomerCipher
from eslab.stores.keys import MemoryKeys
keys = MemoryKeys()
cipher = CustomerCipher(keys, "ann")
keys.make("ann")
try:
    cipher.hash_key()
except InvalidInput as error:
    print(error)"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "Expected the package cryptography for encrypted aggregates" in done.stdout
    assert "pip install 'eslab[encryption]'" in done.stdout


# Secrets


def test_no_secret_is_shown(
    ward: Repository, store: EventStore, keys: MemoryKeys, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the key nor what follows from it stands in a repr, a log, an error or its traceback."""
    caplog.set_level(logging.DEBUG)
    diagnose(ward, "measles")
    key = keys.make("ann")
    cipher = CustomerCipher(keys, "ann")
    shown = [repr(cipher), str(vars(cipher)), repr(ward), repr(keys)]
    store.append("ann", [rows(store, "chart:1")[0]._replace(event_time=at(1).event_time)])
    for ask in (ASKED["load"], ASKED["history"], lambda ward: ward.forget("ann"), ASKED["load"]):
        try:
            ask(ward)
        except (Unreadable, Forgotten):
            shown.append(traceback.format_exc())
    assert len(shown) == 7
    for secret in (key, cipher.hash_key()):
        for form in (secret.hex(), repr(secret)[2:-1]):
            assert not [text for text in (*shown, caplog.text) if form in text]
