"""What encryption costs: the same events plain and encrypted, through the public interface.

lock       `CustomerCipher.lock` of commits in memory
unlock     `CustomerCipher.unlock` of the same
key        looking a customer's key up in a `FileKeys`, and deriving what follows from it
hydrate    `Repository.load` of plain events
encrypted  the same, encrypted
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

from eslab import Repository, system_clock
from eslab.bench.baselines import target
from eslab.bench.measure import RUNS, Measure, Report, row, time_in_turn, versions_of
from eslab.bench.sample import BATCH, CUSTOMER, Frosting, commit, fill, request, state_after
from eslab.payload.encryption import CustomerCipher
from eslab.stores.keys import FileKeys, make_master

KEY_LOOKUPS = 100
NOTE = (
    "One customer's small events, read again and again: this can't show large events, or keys that are kept far away."
)


class SecretFrosting(Frosting):
    """The same frosting, and nobody else's business."""

    stored_as: ClassVar[str] = "secret"
    encrypted: ClassVar[bool] = True


def measure_encryption(store: str = "sqlite", events: int = 10_000, runs: int = RUNS) -> Report:
    """Measure locking, unlocking and hydrating so many commits of one event each."""
    with target(store) as place, TemporaryDirectory() as folder:
        opened, keys = place.open(), _keys(Path(folder))
        cipher = CustomerCipher(keys, CUSTOMER)
        plain = [commit("1", number, request(number))._replace(aggregate_id="secret:1") for number in range(events)]
        locked = [cipher.encrypt(each) for each in plain]
        fill(opened, "1", events)
        for start in range(0, events, BATCH):
            opened.append(CUSTOMER, locked[start : start + BATCH])
        repository, state = Repository(opened, system_clock, keys=keys), state_after(events)
        timed = time_in_turn(
            [
                Measure("lock", lambda: sum(1 for each in plain if cipher.encrypt(each)), events),
                Measure("unlock", lambda: sum(1 for each in locked if cipher.decrypt(each)), events),
                Measure("key", lambda: len({CustomerCipher(keys, CUSTOMER).hash_key() for _ in range(KEY_LOOKUPS)}), 1),
                Measure("hydrate", lambda: repository.load(CUSTOMER, Frosting, "1").colors, state),
                Measure("encrypted", lambda: repository.load(CUSTOMER, SecretFrosting, "1").colors, state),
            ],
            runs,
        )
        opened.close()
        keys.close()
    rows = [
        row(name, place.scheme, KEY_LOOKUPS if name == "key" else events, seconds) for name, seconds in timed.items()
    ]
    return Report(rows, NOTE, {**versions_of("cryptography"), **place.versions})


def _keys(folder: Path) -> FileKeys:
    make_master(folder / "master.key")
    keys = FileKeys(folder / "keys.db", folder / "master.key")
    keys.make(CUSTOMER)
    return keys
