"""The peer `eventsourcing`: the sample as one of its aggregates, on its own recorder.

The event is a class with an `apply`, the faster of the two styles in its documentation. The cache is off, which is its
default, and so are snapshots, but for a second application on the same file that loads from them. Its SQLite recorder
uses WAL and leaves synchronous at SQLite's default, full; here it is set to the durability that is measured.
"""

from pathlib import Path
from uuid import NAMESPACE_URL, UUID, uuid5

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate
from eventsourcing.sqlite import SQLiteFactory

from eslab.bench.baselines import sqlite_settings
from eslab.bench.sample import BATCH, color
from eslab.bench.stream import OnStored, silent

SNAPSHOTS = {"IS_SNAPSHOTTING_ENABLED": "y"}


class Frosting(Aggregate):
    """The portions of each colour in the bowl."""

    class ColorAdded(Aggregate.Event):
        """A portion of colour went into the bowl."""

        color: str

        def apply(self, aggregate: "Frosting") -> None:
            aggregate.colors[self.color] = aggregate.colors.get(self.color, 0) + 1

    def __init__(self, key: str) -> None:
        self.colors: dict[str, int] = {}

    @staticmethod
    def create_id(key: str) -> UUID:
        """The id that follows from the key, so that an aggregate can be loaded by its key."""
        return uuid5(NAMESPACE_URL, key)

    def add_color(self, color: str) -> None:
        """Put a portion of colour into the bowl."""
        self.trigger_event(self.ColorAdded, color=color)


class EventsourcingPeer:
    """An application of the peer, with one kind of aggregate."""

    name = "eventsourcing"

    def __init__(self, env: dict[str, str], durability: str) -> None:
        self._application = Application[UUID](env=env)
        self._env = env
        self._snapshotting: Application[UUID] | None = None
        self._frostings: dict[str, Frosting] = {}  # at hand: events are added to them without loading
        if durability:
            self._pragma(f"PRAGMA synchronous = {durability}")

    def fill(self, key: str, events: int, on_stored: OnStored = silent) -> None:
        """Store the first `events` events of the sample as one aggregate; tells after each save how many it held."""
        frosting = Frosting(key)
        self._application.save(frosting)
        for number in range(events):
            frosting.add_color(color(number))
            if (number + 1) % BATCH == 0 or number + 1 == events:
                self._application.save(frosting)
                on_stored(number % BATCH + 1)
        self._frostings[key] = frosting

    def load(self, key: str) -> dict[str, int]:
        """Hydrate an aggregate from its events and return its colours."""
        return self._frosting(key).colors

    def snapshot(self, key: str, events: int) -> None:
        """Keep a snapshot of the first `events` events of an aggregate, by the peer's own `take_snapshot`."""
        version = Frosting.INITIAL_VERSION + events
        self._with_snapshots.take_snapshot(Frosting.create_id(key), version)

    def load_from_snapshot(self, key: str) -> dict[str, int]:
        """Hydrate an aggregate from its newest snapshot and the events behind it, and return its colours."""
        frosting: Frosting = self._with_snapshots.repository.get(Frosting.create_id(key))
        return frosting.colors

    def prepare(self, key: str, number: int) -> Frosting:
        """Make the `number`th event of an aggregate at hand; don't store it yet."""
        frosting = self._frostings[key]
        frosting.add_color(color(number))
        return frosting

    def save(self, prepared: Frosting) -> None:
        """Store the new event of an aggregate."""
        self._application.save(prepared)

    def send(self, key: str, number: int) -> None:
        """Load an aggregate, add the `number`th event, and store it."""
        frosting = self._frosting(key)
        frosting.add_color(color(number))
        self._application.save(frosting)

    def settings(self) -> dict[str, str]:
        """The journal mode and durability in force; none in memory."""
        factory = self._application.factory
        if not isinstance(factory, SQLiteFactory):
            return {}
        with factory.datastore.get_connection(commit=True) as connection, connection.cursor() as cursor:
            return sqlite_settings(cursor)

    def close(self) -> None:
        """Close the application and its recorder."""
        if self._snapshotting:
            self._snapshotting.close()
        self._application.close()

    @property
    def _with_snapshots(self) -> Application[UUID]:
        """An application on the same file that uses snapshots, which the other one doesn't; in memory there is one."""
        if self._application.snapshots:
            return self._application
        if self._snapshotting is None:
            self._snapshotting = Application[UUID](env={**self._env, **SNAPSHOTS})
        return self._snapshotting

    def _frosting(self, key: str) -> Frosting:
        return self._application.repository.get(Frosting.create_id(key))

    def _pragma(self, statement: str) -> None:
        # One thread gets the same connection from the pool each time, so the setting holds from here on.
        factory = self._application.factory
        assert isinstance(factory, SQLiteFactory)
        with factory.datastore.get_connection(commit=True) as connection:
            connection.cursor().execute(statement)


def open_peer(scheme: str, folder: Path, durability: str = "") -> EventsourcingPeer:
    """Open the peer on a fresh store of its own: a file in the folder, or its memory."""
    if scheme == "memory":
        return EventsourcingPeer({"PERSISTENCE_MODULE": "eventsourcing.popo", **SNAPSHOTS}, "")
    file = folder / f"eventsourcing{durability}.db"
    env = {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(file)}
    return EventsourcingPeer(env, durability)
