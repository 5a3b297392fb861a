"""The repository turns domain ids into store queries and hydrates aggregates.

Hydration is two waits on the store, for one aggregate or for all of a type of one customer: the heads
(directory, snapshots, and the request's own rows), then the commits after the newest usable snapshot,
a page at a time. Memory holds the state and a page or two.
"""

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from eslab import display
from eslab.aggregate import Address, Aggregate, address, aggregate_id, check_id, serializer_of, type_name
from eslab.bounds import TimeBounds
from eslab.clock import Clock
from eslab.errors import Forgotten, HistoryGone, InvalidInput, Unreadable
from eslab.event import Command, Event
from eslab.payload.encryption import CustomerCipher, KeyProvider, is_encrypted_snapshot
from eslab.read_table import Found, ReadTable
from eslab.request import Request, latest_at, time_of
from eslab.snapshot import Hydration, SnapshotPolicy, newest_base, snapshot_of
from eslab.store import Commit, Consistency, EventStore, Head, ReadRow, StoredSnapshot, place, unreadable
from eslab.unit_of_work import UnitOfWork

if TYPE_CHECKING:
    import pandas

State = TypeVar("State", bound=Aggregate)


class Repository:
    """Loads aggregates from a store, and begins wishes that append to it."""

    def __init__(
        self,
        store: EventStore,
        clock: Clock,
        bounds: TimeBounds | None = None,
        keys: KeyProvider | None = None,
        read_tables: Sequence[ReadTable] = (),
    ) -> None:
        """`read_tables` are written with every append, and made now if they are missing (`make_read_tables`)."""
        self.store, self.clock, self.bounds, self.keys = store, clock, bounds or TimeBounds(), keys
        self.read_tables = read_tables
        if read_tables:
            store.make_read_tables([table.layout for table in read_tables])

    def load(self, customer_id: str, aggregate_type: type[State], key: str, as_of: datetime | None = None) -> State:
        """The state of one aggregate, now or as of a past moment; the empty state if nothing happened yet.

        Raises `Unreadable` naming the row that can't be trusted, `HistoryGone` below the floor, `Forgotten` if the
        type is encrypted and the customer was forgotten.
        """
        return self.hydrate(customer_id, aggregate_type, key, as_of).state

    def hydrate(
        self, customer_id: str, aggregate_type: type[State], key: str, as_of: datetime | None = None
    ) -> Hydration[State]:
        """Like `load`, and says what it cost."""
        where, cipher = (aggregate_type, key), self.cipher(customer_id, [aggregate_type])
        heads = self.heads(customer_id, [where])
        return self.fold(customer_id, heads, latest_at(as_of) if as_of else None, cipher=cipher)[where]

    def load_all(
        self, customer_id: str, aggregate_type: type[State], as_of: datetime | None = None
    ) -> dict[str, State]:
        """The states of all of the customer's aggregates of a type, by key, in order of their ids."""
        check_id("customer id", customer_id)
        cipher = self.cipher(customer_id, [aggregate_type])
        heads = self.store.heads_of_type(customer_id, f"{type_name(aggregate_type)}:")
        by_address = {address(aggregate_type, id): head for id, head in heads.items()}
        folded = self.fold(customer_id, by_address, latest_at(as_of) if as_of else None, cipher=cipher)
        return {key: hydration.state for (_, key), hydration in folded.items()}

    def read(self, table: ReadTable, *keys: tuple[str, ...]) -> list[Found]:
        """What stands in a read table under these keys, or the first values of them: one wait for all, no join.

        In the order of the table. As complete as the table is (docs/read_tables.md). Customers who were forgotten are
        left out where their rows are encrypted. Raises `Unreadable` naming the row that can't be trusted.
        """
        types = {type_name(each): each for each in table.keys}
        found: dict[tuple[str, str], dict[UUID, Commit]] = {}
        with closing(self.store.read_rows(table.layout, keys)) as pages:
            for row in chain.from_iterable(pages):
                commits = found.setdefault((row.customer_id, row.commit.aggregate_id), {})
                known = commits.get(row.commit.event_time)
                # Under two of the keys it is still one commit, and of two decisions the greater one.
                if known is None or row.commit.payload > known.payload:
                    commits[row.commit.event_time] = row.commit
        states = []
        for (customer_id, id), commits in found.items():
            name = id.partition(":")[0]
            if name not in types:
                raise InvalidInput(
                    f"Expected {', '.join(types)} in the read table {table.layout.name}, found {id!r}: its definition "
                    "names that type no more. Rebuild the table, or name the type."
                )
            aggregate_type, key = address(types[name], id)
            hydration: Hydration[Any] = Hydration(aggregate_type())
            try:
                cipher = self.cipher(customer_id, [aggregate_type])
            except Forgotten:
                continue
            self._apply_rows(customer_id, hydration, list(commits.values()), cipher)
            states.append(Found(customer_id, key, hydration.state))
        return states

    def begin(self, customer_id: str, request: Request, command: Command) -> UnitOfWork:
        """Begin a wish: `load` what it touches, `add` events, `append` them as one."""
        check_id("customer id", customer_id)
        return UnitOfWork(self, customer_id, request, command)

    def build_snapshot(
        self,
        customer_id: str,
        aggregate_type: type[Aggregate],
        key: str,
        policy: SnapshotPolicy | None = None,
    ) -> StoredSnapshot | None:
        """Save a snapshot if enough commits wait to be folded; only those older than `fold_after` count (G5).

        Reads EVERYWHERE, so the acknowledged commits of every region are in it; while a region can't be
        reached this raises `StoreUnavailable` and nothing is built.
        """
        policy = policy or SnapshotPolicy()
        where, cipher = (aggregate_type, key), self.cipher(customer_id, [aggregate_type])
        up_to = latest_at(self.clock() - self.bounds.fold_after)
        heads = self.heads(customer_id, [where], consistency=Consistency.EVERYWHERE)
        hydration = self.fold(customer_id, heads, up_to, Consistency.EVERYWHERE, cipher)[where]
        if hydration.tail < policy.every:
            return None
        snapshot = snapshot_of(hydration, up_to)
        if cipher:
            snapshot = cipher.encrypt_snapshot(aggregate_id(where), snapshot)
        self.store.save_snapshot(customer_id, aggregate_id(where), snapshot)
        kept = (up_to, heads[where].floor)  # what stands on the floor is the base of last resort
        older = [s for s in heads[where].snapshots if s.fold == snapshot.fold and s.up_to not in kept]
        for old in older[policy.keep - 1 :]:
            self.store.delete_snapshot(customer_id, aggregate_id(where), old.up_to, old.fold)
        return snapshot

    def history(self, customer_id: str, aggregate_type: type[Aggregate], key: str) -> "pandas.DataFrame":
        """Every event of an aggregate in log order, one row each: time, request, event, then its fields.

        A field that is called like one of the first three stands under its type, such as `DownloadCounted.time`.
        Raises `HistoryGone` if the beginning has been deleted: a table that is silently short would lie.
        """
        import pandas

        where, cipher = (aggregate_type, key), self.cipher(customer_id, [aggregate_type])
        first = self.heads(customer_id, [where])[where].first
        commits = list(self.store.rows(customer_id, aggregate_id(where)))
        if first and (not commits or commits[0].event_time.time > first.time):
            raise HistoryGone(
                f"Expected the history of {place(customer_id, aggregate_id(where))} from {time_of(first).isoformat()} "
                f"on, found {len(commits)} commits that begin later. Restore the archived events; its state loads."
            )
        rows = []
        for commit in commits:
            events = self.events_of(customer_id, aggregate_type, commit, cipher)
            request = Request.from_event_time(commit.event_time)
            for event in events:
                name = type(event).__name__
                head = {"time": request.time, "request": str(request.id), "event": name}
                fields = {f"{name}.{key}" if key in head else key: it for key, it in display.fields(event).items()}
                rows.append({**head, **fields})
        return pandas.DataFrame(rows, columns=None if rows else ["time", "request", "event"])

    def forget(self, customer_id: str, also: Iterable[Callable[[str], None]] = ()) -> None:
        """Destroy the customer's key, then delete their encrypted snapshots; commits stay as rows that nobody can read.

        `also` are called last, with the customer's id: for what holds decrypted fields elsewhere, such as a search
        index; read tables hold ciphertext. Repeat it when it was interrupted: once the key is destroyed, the rest can
        only be late. What was never encrypted stays.
        """
        check_id("customer id", customer_id)
        self._keys().destroy(customer_id)
        for id, head in self.store.heads_of_type(customer_id, "").items():
            for snapshot in filter(is_encrypted_snapshot, head.snapshots):
                self.store.delete_snapshot(customer_id, id, snapshot.up_to, snapshot.fold)
        for forget in also:
            forget(customer_id)

    def cipher(self, customer_id: str, aggregate_types: Iterable[type[Aggregate]]) -> CustomerCipher | None:
        """What unlocks the customer's rows if one of the types is encrypted; raises `Forgotten` if it can't be had."""
        if not any(each.encrypted for each in aggregate_types):
            return None
        return CustomerCipher(self._keys(), customer_id)

    def events_of(
        self, customer_id: str, aggregate_type: type[Aggregate], commit: Commit, cipher: CustomerCipher | None
    ) -> Sequence[Event]:
        """The events of one row; `Unreadable` names it."""
        if cipher and aggregate_type.encrypted:
            commit = _decrypted(customer_id, commit, cipher)
        try:
            return serializer_of(aggregate_type).events(commit.payload)
        except Unreadable as error:
            raise unreadable(customer_id, commit, error) from error

    def read_rows_of(
        self,
        customer_id: str,
        types: Mapping[str, type[Aggregate]],
        commits: Iterable[Commit],
        events: Mapping[str, Sequence[Event]],
    ) -> list[ReadRow]:
        """The rows of these commits in all read tables; types and events are those of each aggregate id."""
        return [
            row
            for commit in commits
            for table in self.read_tables
            for row in table.rows(customer_id, types[commit.aggregate_id], commit, events[commit.aggregate_id])
        ]

    def heads(
        self,
        customer_id: str,
        addresses: Iterable[Address],
        event_time: UUID | None = None,
        consistency: Consistency = Consistency.LOCAL,
    ) -> dict[Address, Head]:
        """What the store knows of each aggregate before its commits are read: the first wait."""
        check_id("customer id", customer_id)
        ids = {where: aggregate_id(where) for where in addresses}
        if len(set(ids.values())) < len(ids):
            raise InvalidInput(
                f"Expected one aggregate type for each id, got {sorted(ids.values())}; one is there twice."
            )
        heads = self.store.heads(customer_id, list(ids.values()), event_time, consistency)
        return {where: heads[id] for where, id in ids.items()}

    def fold(
        self,
        customer_id: str,
        heads: Mapping[Address, Head],
        up_to: UUID | None = None,
        consistency: Consistency = Consistency.LOCAL,
        cipher: CustomerCipher | None = None,
    ) -> dict[Address, Hydration[Any]]:
        """Fold the commits after each newest usable base: the second wait."""
        cipher = cipher or self.cipher(customer_id, [aggregate_type for aggregate_type, _ in heads])
        found = {where: _base(customer_id, where, head, up_to, cipher) for where, head in heads.items()}
        by_id = {aggregate_id(where): hydration for where, hydration in found.items()}
        with closing(self._pages(customer_id, by_id, up_to, consistency, cipher)) as pages:
            for id, payloads in pages:
                try:
                    _apply_page(by_id[id], payloads)
                except Unreadable:
                    self._name_the_row(customer_id, id, type(by_id[id].state), by_id[id].base, up_to, cipher)
                    raise
        return found

    def _keys(self) -> KeyProvider:
        if self.keys is None:
            raise InvalidInput(
                "Expected keys for what is encrypted, got none; give them to the repository or the service, such as "
                "keys=FileKeys(...). Nothing was read or written."
            )
        return self.keys

    def _pages(
        self,
        customer_id: str,
        found: Mapping[str, Hydration[Any]],
        up_to: UUID | None,
        consistency: Consistency,
        cipher: CustomerCipher | None,
    ) -> Generator[tuple[str, Sequence[bytes]], None, None]:
        """The plain payloads after each base, in one wait: if a type is encrypted all are read with their keys."""
        after = {id: hydration.base for id, hydration in found.items()}
        if cipher is None:
            yield from self.store.read_many(customer_id, after, up_to, consistency)
            return
        with closing(self.store.rows_many(customer_id, after, up_to, consistency)) as pages:
            for id, commits in pages:
                if found[id].state.encrypted:
                    commits = [_decrypted(customer_id, commit, cipher) for commit in commits]
                yield id, [commit.payload for commit in commits]

    def _apply_rows(
        self, customer_id: str, hydration: Hydration[Any], commits: Sequence[Commit], cipher: CustomerCipher | None
    ) -> None:
        """Fold rows that were read with their keys."""
        plain = [_decrypted(customer_id, commit, cipher) for commit in commits] if cipher else commits
        try:
            _apply_page(hydration, [commit.payload for commit in plain])
        except Unreadable:
            for commit in commits:
                self.events_of(customer_id, type(hydration.state), commit, cipher)
            raise

    def _name_the_row(
        self,
        customer_id: str,
        id: str,
        aggregate_type: type[Aggregate],
        after: UUID | None,
        up_to: UUID | None,
        cipher: CustomerCipher | None,
    ) -> None:
        for commit in self.store.rows(customer_id, id, after, up_to):
            self.events_of(customer_id, aggregate_type, commit, cipher)


def _base(
    customer_id: str, where: Address, head: Head, up_to: UUID | None, cipher: CustomerCipher | None
) -> Hydration[Any]:
    id = aggregate_id(where)
    unlock = partial(cipher.decrypt_snapshot, id) if cipher and where[0].encrypted else None
    return newest_base(where[0], head, up_to, place(customer_id, id), unlock)


def _decrypted(customer_id: str, commit: Commit, cipher: CustomerCipher) -> Commit:
    try:
        return cipher.decrypt(commit)
    except Unreadable as error:
        raise unreadable(customer_id, commit, error) from error


def _apply_page(hydration: Hydration, payloads: Sequence[bytes]) -> None:
    apply = hydration.state.apply
    page = serializer_of(type(hydration.state)).page(payloads)
    for events in page:
        for event in events:
            apply(event)
    hydration.commits += len(page)
    hydration.tail += len(page)
