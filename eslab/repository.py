"""The repository turns domain ids into store queries, hydrates aggregates, and begins units of work."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from reprlib import repr as short
from typing import Any, TypeVar
from uuid import UUID

from eslab.aggregate import Aggregate, address, aggregate_id, check_id, type_name
from eslab.bounds import TimeBounds
from eslab.clock import Clock, Stopwatch, system_stopwatch, time_on
from eslab.errors import InvalidInput, Unreadable, expect
from eslab.event import Command
from eslab.hydration import Environment, Hydration, Hydrator, Uncached, cipher_of_types
from eslab.hydration_cache import HydrationCache
from eslab.layout import Layout
from eslab.payload.encryption import KeyProvider, is_encrypted, require_keys
from eslab.read_table import Found, ReadTable, note_complete, query
from eslab.request import Request, latest_at
from eslab.settings import share
from eslab.snapshot import parse_snapshot
from eslab.store import Consistency, EventStore, StoredSnapshot
from eslab.unit_of_work import UnitOfWork

State = TypeVar("State", bound=Aggregate)


class Repository:
    """Loads aggregates from a store, and begins units of work that append to it; safe to share between threads."""

    def __init__(
        self,
        store: EventStore,
        clock: Clock,
        bounds: TimeBounds | None = None,
        keys: KeyProvider | None = None,
        read_tables: Sequence[ReadTable] = (),
        stopwatch: Stopwatch = system_stopwatch,
        cache: HydrationCache | None = None,
    ) -> None:
        """The first repository on a store keeps its `bounds` there; a later one with others is refused.

        No bounds take the kept ones, or the defaults (eslab/settings.py). `read_tables` are written with every append;
        missing ones are made now (`make_read_tables`).

        `stopwatch` measures durations, in seconds: a clock that may be set could hide how long a hydration took.

        `cache` keeps hydrating hot aggregates short; each repository needs one of its own.
        """
        _check(store, clock, bounds, keys, read_tables, cache)
        self.store = store
        self.clock = clock
        self.bounds = share(store, bounds).bounds
        self.keys = keys
        self.read_tables = read_tables
        kept = Uncached() if cache is None else cache
        self.environment = Environment(store, clock, self.bounds, keys, stopwatch, cache=kept)
        if read_tables:
            made = store.make_read_tables([table.layout for table in read_tables])
            if made and next(store.customers(), None) is None:
                self._mark_complete(made)
        if cache is not None:
            cache.take()

    def _mark_complete(self, layouts: Iterable[Layout]) -> None:
        """Note that tables were made before the first event: a rebuild could add nothing to those with each append."""
        for layout in layouts:
            if layout.with_customer:
                note_complete(self.store, layout, time_on(self.clock))

    def load(self, customer_id: str, aggregate_type: type[State], key: str, as_of: datetime | None = None) -> State:
        """The state of one aggregate, now or as of a past moment; the empty state before its first event.

        One wait on the store, or two. Raises `Unreadable` with the row that can't be trusted, `HistoryGone` below the
        floor, `Forgotten` if the type is encrypted and the customer was forgotten.
        """
        return self.hydrate(customer_id, aggregate_type, key, as_of).state

    def hydrate(
        self, customer_id: str, aggregate_type: type[State], key: str, as_of: datetime | None = None
    ) -> Hydration[State]:
        """Like `load`, with the cost of the hydration."""
        id = aggregate_id((aggregate_type, key))
        up_to = _up_to(as_of)
        return self._hydrate(self.hydrator(customer_id, {id: aggregate_type}), up_to)[id]

    def load_all(
        self, customer_id: str, aggregate_type: type[State], as_of: datetime | None = None
    ) -> dict[str, State]:
        """The states of all of the customer's aggregates of a type, by key, in order of their ids: two waits."""
        check_id("customer id", customer_id)
        prefix = f"{type_name(aggregate_type)}:"
        up_to = _up_to(as_of)
        cipher = cipher_of_types(self.keys, customer_id, [aggregate_type])
        heads = self.store.heads_of_type(customer_id, prefix)
        hydrator = Hydrator(self.environment, customer_id, dict.fromkeys(heads, aggregate_type), cipher)
        hydrations = self._hydrate(hydrator, up_to)
        return {address(aggregate_type, id)[1]: hydration.state for id, hydration in hydrations.items()}

    def read(self, table: ReadTable, *keys: tuple[str, ...]) -> list[Found]:
        """Query a read table by full keys or key prefixes: one wait for all of them, no join.

        The states are in the order of the table, and as complete as the table is (docs/read_tables.md). Encrypted
        rows of forgotten customers are left out. Raises `Unreadable` with the row that can't be trusted.
        """
        expect(ReadTable, "table", table)
        for key in keys:
            expect(tuple, "key", key, 'write a tuple such as ("ann", "phone")')
        return query(self.environment, table, keys)

    def begin(self, customer_id: str, request: Request, command: Command) -> UnitOfWork:
        """Begin a unit of work: `load` the aggregates that it touches, `add` events, `append` them as one."""
        check_id("customer id", customer_id)
        expect(Request, "request", request, "make one with Request.new or Request.parse")
        expect(Command, "command", command, "make an instance of a class such as `class AddColor(Command)`")
        return UnitOfWork(self.environment, self.read_tables, customer_id, request, command)

    def forget(self, customer_id: str, also: Iterable[Callable[[str], None]] = ()) -> None:
        """Destroy the customer's key, then delete their encrypted snapshots; commits stay as rows that nobody can read.

        `also` are called last, with the customer's id: they clear other places that hold decrypted fields, such as a
        search index; read tables hold ciphertext. Repeat the call if it was interrupted: the key is destroyed first,
        so the rest can only be late. Aggregates that were never encrypted stay.
        """
        check_id("customer id", customer_id)
        require_keys(self.keys).destroy(customer_id)
        self.environment.cache.forget(customer_id)
        now = time_on(self.clock) + 2 * self.bounds.skew  # later than a builder's clock could have stamped them
        for id, head in self.store.heads_of_type(customer_id, "").items():
            for snapshot in head.snapshots:
                if _is_encrypted(customer_id, id, snapshot):
                    self.store.delete_snapshot(customer_id, id, snapshot.up_to, snapshot.fold, now)
        for clear in also:
            clear(customer_id)

    def hydrator(self, customer_id: str, types: Mapping[str, type[Any]]) -> Hydrator:
        """A hydrator of these aggregates, given by id; for operations that need more than a state.

        Raises `Forgotten` if a type is encrypted and the customer was forgotten.
        """
        check_id("customer id", customer_id)
        return Hydrator(self.environment, customer_id, types, cipher_of_types(self.keys, customer_id, types.values()))

    def _hydrate(self, hydrator: Hydrator, up_to: UUID | None) -> dict[str, Hydration[Any]]:
        return self.environment.cache.hydrate(hydrator, None, up_to, Consistency.LOCAL)


def _check(store: Any, clock: Any, bounds: Any, keys: Any, read_tables: Any, cache: Any) -> None:
    """Refuse parts of a repository that could not work, before the first request."""
    if not callable(getattr(store, "save_snapshot", None)):
        raise InvalidInput(f'Expected a store, such as open_store("sqlite:"), as store, got {short(store)}.')
    if not callable(clock):
        raise InvalidInput(f"Expected a function such as system_clock as clock, got {short(clock)}.")
    expect((TimeBounds, type(None)), "bounds", bounds)
    if keys is not None and not callable(getattr(keys, "destroy", None)):
        raise InvalidInput(f"Expected a key provider, such as FileKeys, as keys, got {short(keys)}.")
    expect((HydrationCache, type(None)), "cache", cache, "make one with HydrationCache()")
    expect((list, tuple), "read_tables", read_tables)
    for table in read_tables:
        expect(ReadTable, "each of read_tables", table)


def _up_to(as_of: datetime | None) -> UUID | None:
    return None if as_of is None else latest_at(as_of, "as_of")


def _is_encrypted(customer_id: str, aggregate_id: str, snapshot: StoredSnapshot) -> bool:
    try:
        return is_encrypted(parse_snapshot(customer_id, aggregate_id, snapshot))
    except Unreadable:
        return False
