"""The cost of encryption: the same events plain and encrypted, through the public interface.

encrypt    `CustomerCipher.encrypt` of commits in memory, to their payloads
decrypt    `CustomerCipher.decrypt` of the same commits, to plain envelopes
key        the look-up of a customer's key in a `FileKeys`, and the derivation of the keys that follow from it
hydrate    `Repository.load` of plain events
encrypted  `Repository.load` of the same events, encrypted
"""

from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from eslab import Repository, system_clock
from eslab.bench.measure import RUNS, Measure, Report, row, time_in_turn, versions_of
from eslab.bench.sample import BATCH, CUSTOMER, Frosting, commit, fill, request, state_after
from eslab.bench.targets import target
from eslab.payload.checksum import Checksum
from eslab.payload.encryption import CustomerCipher, place_of_commit
from eslab.payload.serializer import Envelope, decode_envelope, encode_envelope
from eslab.store import Commit
from eslab.stores.keys import FileKeys, make_master

KEY_LOOKUPS = 100
ENCRYPTED = "secret:1"
NOTE = "One customer's small events, read again and again: this can't show large events, or keys on another machine."


class SecretFrosting(Frosting):
    """The same frosting, stored encrypted."""

    stored_as: ClassVar[str] = "secret"
    encrypted: ClassVar[bool] = True


def measure_encryption(store: str = "sqlite", events: int = 10_000, runs: int = RUNS) -> Report:
    """Measure the encryption, decryption and hydration of commits of one event each."""
    with ExitStack() as stack:
        place = stack.enter_context(target(store))
        opened = stack.enter_context(closing(place.open()))
        folder = stack.enter_context(TemporaryDirectory())
        keys = stack.enter_context(closing(_keys(Path(folder))))
        cipher = CustomerCipher(keys, CUSTOMER)
        plain = [commit("1", number, request(number)) for number in range(events)]
        encrypted = [_encrypted(cipher, commit) for commit in plain]
        fill(opened, "1", events)
        for start in range(0, events, BATCH):
            opened.append(CUSTOMER, encrypted[start : start + BATCH])
        repository = Repository(opened, system_clock, keys=keys)
        measures = [*_cipher_measures(keys, plain, encrypted), *_hydration_measures(repository, events)]
        timed = time_in_turn(measures, runs)
    rows = [
        row(name, place.scheme, KEY_LOOKUPS if name == "key" else events, seconds) for name, seconds in timed.items()
    ]
    return Report(rows, NOTE, {**versions_of("cryptography"), **place.versions})


def _cipher_measures(keys: FileKeys, plain: Sequence[Commit], encrypted: Sequence[Commit]) -> list[Measure]:
    cipher = CustomerCipher(keys, CUSTOMER)
    return [
        Measure("encrypt", lambda: sum(1 for commit in plain if _encrypted(cipher, commit)), len(plain)),
        Measure("decrypt", lambda: sum(1 for commit in encrypted if _decrypted(cipher, commit)), len(plain)),
        # A new cipher each time, since a cipher keeps the key that it has looked up.
        Measure("key", lambda: len({CustomerCipher(keys, CUSTOMER).hash_key() for _ in range(KEY_LOOKUPS)}), 1),
    ]


def _hydration_measures(repository: Repository, events: int) -> list[Measure]:
    state = state_after(events)
    return [
        Measure("hydrate", lambda: repository.load(CUSTOMER, Frosting, "1").colors, state),
        Measure("encrypted", lambda: repository.load(CUSTOMER, SecretFrosting, "1").colors, state),
    ]


def _keys(folder: Path) -> FileKeys:
    make_master(folder / "master.key")
    keys = FileKeys(folder / "keys.db", folder / "master.key")
    keys.make(CUSTOMER)
    return keys


def _encrypted(cipher: CustomerCipher, commit: Commit) -> Commit:
    """The commit as a unit of work encrypts it, as one of the encrypted aggregate."""
    plain = decode_envelope(commit.payload, Checksum.of_commits(CUSTOMER, commit.aggregate_id))
    envelope = cipher.encrypt(place_of_commit(ENCRYPTED, commit.event_time), plain)
    payload = encode_envelope(envelope, Checksum.of_commits(CUSTOMER, ENCRYPTED))
    return commit._replace(aggregate_id=ENCRYPTED, payload=payload)


def _decrypted(cipher: CustomerCipher, commit: Commit) -> Envelope[Any]:
    """The envelope of the commit as a hydration decrypts it."""
    envelope = decode_envelope(commit.payload, Checksum.of_commits(CUSTOMER, commit.aggregate_id))
    return cipher.decrypt(place_of_commit(commit.aggregate_id, commit.event_time), envelope)
