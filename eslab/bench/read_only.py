"""Stores for measuring what exists: one that writes nothing, and the same as if it had no snapshots."""

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from eslab import EventStore, StoreReadOnly
from eslab.store import Head, Log

READS = ("read", "heads", "read_many", "rows_many", "rows", "checkpoint", "time", "lifetime")


class ReadOnly:
    """A store of which only reads are passed on; any other call raises `StoreReadOnly`."""

    def __init__(self, store: EventStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name) if name in READS else self._refuse(name)

    def __repr__(self) -> str:
        return repr(self._store)

    def _refuse(self, name: str) -> Callable[..., NoReturn]:
        def refuse(*arguments: Any, **options: Any) -> NoReturn:
            raise StoreReadOnly(f"Expected only reads of {self._store} while it is measured, got {name}.")

        return refuse


class WithoutSnapshots(ReadOnly):
    """A store that writes nothing, as if no snapshot had ever been built."""

    def read(self, *arguments: Any, **options: Any) -> dict[str, Log]:
        """Read heads and first commits."""
        logs = self._store.read(*arguments, **options)
        return {id: log._replace(head=_bare(log.head)) for id, log in logs.items()}

    def heads(self, *arguments: Any, **options: Any) -> Mapping[str, Head]:
        """Read heads."""
        return {id: _bare(head) for id, head in self._store.heads(*arguments, **options).items()}


def _bare(head: Head) -> Head:
    return head._replace(snapshots=())
