"""Encrypted bytes: what a store sees of them, and that none which can't be trusted becomes state."""

import logging
import subprocess
import sys
import traceback
from collections.abc import Callable
from random import Random
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

from eslab import EventStore, Forgotten, ManualClock, Repository, Unreadable
from eslab.operations.history import history
from eslab.payload.encryption import CustomerCipher
from eslab.payload.serializer import Envelope, command_hash
from eslab.stores.keys import MemoryKeys
from tests.support.sample import ROOT, START, Stamped, at, commits, envelope_of, row, rows, sealed
from tests.support.ward import (
    ASKED,
    Chart,
    Diagnose,
    Diagnosed,
    PlainChart,
    all_bytes,
    both,
    decrypted,
    diagnose,
    encrypted,
    night,
)

OpenNew = Callable[[], EventStore]
GOLDEN = (
    "96c410e8a2f2cbe2d1e8b78b823ee98fcba0bd03c404f645828dc408d2639d7a55194748c4339f5d28830e8daa644057"
    "16e73c1e2785b0e1154cd0e440ea4fc1ec4df186455ed31602ed6b25395eacd6a651cc64b9f7d66323c40456efc269"
)


class OneKey(MemoryKeys):
    """The same key for everybody, so that only what is bound to the row tells customers apart."""

    def key(self, customer_id: str) -> bytes | None:
        return bytes(32)


# What is stored


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
    guess = envelope_of(commits(at(), events, command_hash(Diagnose("measles")))[0])
    both(ward)
    envelopes = [envelope_of(rows(store, id)[0]) for id in events]
    marks = {(envelope.digest, envelope.command) for envelope in envelopes}
    assert len(marks) == 1
    assert {guess.digest, guess.command} & set(*marks) == set()


def test_two_customers_share_no_bytes(ward: Repository, store: EventStore) -> None:
    """The same wish of two customers gives other ciphertext, another digest and another wish hash."""
    for customer in ("ann", "bob"):
        diagnose(ward, "measles", customer=customer)
    ann, bob = (envelope_of(rows(store, "chart:1", customer)[0], customer) for customer in ("ann", "bob"))
    assert [getattr(ann, name) != getattr(bob, name) for name in ("digest", "command", "body")] == [True] * 3


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
    assert (envelope_of(stored).format, len(stored.payload) < 500) == (4, True)
    assert ward.load("ann", LongChart, "1") == chart
    assert list(history(ward, "ann", LongChart, "1")["illness"]) == ["ache " * 1000]


# G8: what can't be trusted


NAMED = r"Unreadable commit: customer '{}', aggregate '{}', event time {} .*\(encrypted\), version 0: .*{}"


@pytest.mark.parametrize(
    ("customer", "id", "minutes"), [("bob", "chart:1", 0), ("ann", "chart:2", 0), ("ann", "chart:1", 1)]
)
def test_G8_a_payload_in_another_row_is_named(
    store: EventStore, clock: ManualClock, customer: str, id: str, minutes: int
) -> None:
    """Another customer, aggregate or time, even under the same key, and with a checksum made right."""
    ward = Repository(store, clock, keys=OneKey())
    diagnose(ward, "measles")
    time = at(minutes).event_time
    (stored,) = rows(store, "chart:1")
    payload = sealed(envelope_of(stored), id, customer)
    store.append(customer, [stored._replace(aggregate_id=id, event_time=time, payload=payload)])
    with pytest.raises(Unreadable, match=NAMED.format(customer, id, time, "was moved or changed")):
        ward.load(customer, Chart, id.partition(":")[2])


@pytest.mark.parametrize("change", [{"digest": bytes(16)}, {"touched": bytes(8)}, {"command": bytes(8)}])
def test_G8_a_payload_with_another_header_is_named(store: EventStore, clock: ManualClock, keys: MemoryKeys,
                                                   open_new: OpenNew, change: dict[str, Any]) -> None:  # fmt: skip
    """Though its checksum is right."""
    diagnose(Repository(store, clock, keys=keys), "measles")
    (stored,) = rows(store, "chart:1")
    payload = sealed(replace(envelope_of(stored), **change), "chart:1")
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


@given(st.binary(max_size=60), st.sampled_from(["body", "digest", "command"]))
def test_G8_hostile_bytes_with_a_right_checksum_are_unreadable(body: bytes, field: str) -> None:
    """Nothing but `Unreadable`, whatever stands where the ciphertext should."""
    keys = MemoryKeys(Random(7).randbytes)
    keys.make("ann")
    fields = {"digest": bytes(16), "command": bytes(8), "body": Raw(b"\xc4" + bytes([len(body)]) + body)}
    hostile = sealed(Envelope(format=3, touched=bytes(4), **{**fields, field: Raw(body or b"\xc0")}))
    with pytest.raises(Unreadable):
        decrypted(CustomerCipher(keys, "ann"), row(payload=hostile))


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
    store.append("ann", [encrypted(CustomerCipher(keys, "ann"), commit)])
    with pytest.raises(Unreadable, match=NAMED.format("ann", "chart:1", at().event_time, "event type Stamped")):
        ward.load("ann", Chart, "1")


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
