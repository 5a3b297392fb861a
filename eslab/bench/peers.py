"""Peers: other packages that do the same work, on the same events of the same domain."""

from importlib import import_module
from pathlib import Path
from typing import Protocol

from eslab.bench.baselines import Side
from eslab.bench.stream import OnStored, silent
from eslab.errors import InvalidInput

PEERS = {"eventsourcing": "eslab.bench.peer_eventsourcing"}
RECORDERS = ("memory", "sqlite")  # the stores that every peer has too


class Peer(Side, Protocol):
    """A peer with a fresh store of its own, of the same kind and durability as the store that is measured."""

    name: str

    def fill(self, key: str, events: int, on_stored: OnStored = silent) -> None:
        """Store the first `events` events of the sample as one aggregate; tells after each save how many it held."""
        ...

    def snapshot(self, key: str, events: int) -> None:
        """Keep a snapshot of the first `events` events of an aggregate, as the peer's own snapshotting would."""
        ...

    def load_from_snapshot(self, key: str) -> dict[str, int]:
        """Hydrate an aggregate from its newest snapshot and the events behind it, without cache."""
        ...

    def load(self, key: str) -> dict[str, int]:
        """Hydrate an aggregate from its events, without cache or snapshot, and return its colours."""
        ...

    def prepare(self, key: str, number: int) -> object:
        """Make the `number`th event of an aggregate that `fill` has stored; don't store it yet."""
        ...

    def save(self, prepared: object) -> None:
        """Store the prepared event."""
        ...

    def send(self, key: str, number: int) -> None:
        """Handle a whole command: load, decide, store."""
        ...


def open_peer(name: str, scheme: str, folder: Path, durability: str = "") -> Peer:
    """Open the peer called `name`, with a fresh store of the kind `scheme` in the folder.

    Raises `InvalidInput` for an unknown peer, a peer that isn't installed, or a store that it doesn't have.
    """
    if name not in PEERS:
        raise InvalidInput(f"Expected a peer among {', '.join(PEERS)}, got {name!r}.")
    if scheme not in RECORDERS:
        raise InvalidInput(f"Expected a store that {name} has too ({', '.join(RECORDERS)}), got {scheme!r}.")
    try:
        module = import_module(PEERS[name])
    except ModuleNotFoundError as error:
        raise InvalidInput(f"Expected {name} to be installed: {error}; run pip install 'eslab[peers]'.") from error
    return module.open_peer(scheme, folder, durability)
