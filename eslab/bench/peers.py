"""Other packages that do the same work, by name; each brings the same events in the same domain's shape."""

from importlib import import_module
from pathlib import Path
from typing import Protocol

from eslab.errors import InvalidInput

PEERS = {"eventsourcing": "eslab.bench.peer_eventsourcing"}
RECORDERS = ("memory", "sqlite")  # stores that a peer has too


class Peer(Protocol):
    """A peer with a fresh store of its own, of the same kind and durability as the one measured."""

    name: str

    def fill(self, key: str, events: int) -> None:
        """Store the first `events` events of the sample as one aggregate."""
        ...

    def load(self, key: str) -> dict[str, int]:
        """Hydrate that aggregate from its events, without cache or snapshot."""
        ...

    def prepare(self, key: str, number: int) -> object:
        """Make the `number`th event of an aggregate, not stored yet."""
        ...

    def save(self, prepared: object) -> None:
        """Store what was prepared."""
        ...

    def send(self, key: str, number: int) -> None:
        """The whole command: load, decide, store."""
        ...

    def settings(self) -> dict[str, str]:
        """The journal mode and durability in force, where there are such."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...


def open_peer(name: str, scheme: str, folder: Path, durability: str = "") -> Peer:
    """The peer called `name`, with a fresh store of the kind `scheme` in the folder.

    Raises `InvalidInput` for an unknown peer, one that isn't installed, or a store that it doesn't have.
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
