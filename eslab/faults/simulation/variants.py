"""Broken cores, by name: each leaves out one rule of the protocol, and the search must catch it.

    with broken("look-up first"):
        search(range(5000))

Most are what the core once did. A variant changes functions of the running process while it lasts, and nothing else.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, NamedTuple, cast
from unittest.mock import patch
from uuid import UUID

from eslab import hydration, hydration_cache, late_commits, recorded, settled, snapshot, unit_of_work
from eslab.bounds import TimeBounds
from eslab.errors import InvalidInput
from eslab.event import Command
from eslab.faults.simulation import story
from eslab.hydration import Environment
from eslab.operations import refold, retention, snapshots
from eslab.payload import checksum, serializer
from eslab.repository import Repository
from eslab.request import Request, is_after
from eslab.store import Commit, Consistency, EventStore, Head, StoredSnapshot

Patches = Callable[[], list[Any]]  # what to enter, as `unittest.mock.patch.object` gives it


class Variant(NamedTuple):
    """A broken core: the rule that it leaves out, and how."""

    rule: str
    patches: Patches


def look_up_first() -> list[Any]:
    hydrate = hydration.Hydrator.hydrate

    def stale(self: hydration.Hydrator, event_time: UUID | None = None, *args: Any, **options: Any) -> Any:
        level = options.get("consistency", Consistency.LOCAL)
        heads = self.store.heads(self.customer_id, list(self.types), event_time, level)
        found = hydrate(self, None, *args, **options)
        for id, one in found.items():
            one.head = one.head._replace(recorded=heads[id].recorded, safe=heads[id].safe)
        return found

    return [patch.object(hydration.Hydrator, "hydrate", stale)]


def look_up_last_seen() -> list[Any]:
    return [patch.object(hydration.Hydrator, "_look_again", lambda *_: False)]


def refusal_before_look_up() -> list[Any]:
    load = unit_of_work.UnitOfWork.load

    def hasty(self: unit_of_work.UnitOfWork, *addresses: Any) -> Any:
        self._environment.bounds.check(self.request, self._environment.clock())
        return load(self, *addresses)

    return [patch.object(unit_of_work.UnitOfWork, "load", hasty)]


def random_ids() -> list[Any]:
    begin, number = Repository.begin, iter(range(10**9))

    def new(self: Repository, customer_id: str, request: Request, command: Command) -> unit_of_work.UnitOfWork:
        return begin(self, customer_id, Request.at(request.time, f"{next(number)}"), command)

    return [patch.object(Repository, "begin", new)]


def index_in_the_key() -> list[Any]:
    commit = unit_of_work.UnitOfWork._commit

    def numbered(self: unit_of_work.UnitOfWork, id: str, *args: Any) -> Any:
        made = commit(self, id, *args)
        ticks = sum(len(places) for places in self._states[id].places.values())
        return made._replace(event_time=UUID(int=made.event_time.int + (ticks << 96)))

    return [patch.object(unit_of_work.UnitOfWork, "_commit", numbered)]


def no_settle_window() -> list[Any]:
    def newest(self: TimeBounds, now: Any) -> Any:
        return now

    def soon(environment: hydration.Environment) -> Any:
        return environment.clock() + environment.bounds.fold_after

    return [patch.object(TimeBounds, "newest_snapshot", newest), patch.object(settled, "earliest_now", soon)]


def snapshot_at_local() -> list[Any]:
    return [patch.object(settled, "Consistency", SimpleNamespace(EVERYWHERE=Consistency.LOCAL))]


def trusted_snapshots() -> list[Any]:
    return [patch.object(snapshot.Validity, "holds_late", lambda *_: True)]


def never_made_safe() -> list[Any]:
    return [patch.object(unit_of_work, "make_safe", lambda *_: None)]


def no_look_at_the_floors() -> list[Any]:
    return [patch.object(late_commits, "_check_floors", lambda *_: None)]


def deleted_snapshots() -> list[Any]:
    def make_safe(environment: Environment, customer_id: str, request: Request, commits: Sequence[Commit]) -> None:
        store = environment.store
        store.append(customer_id, commits, Consistency.EVERYWHERE)
        heads = store.heads(customer_id, [it.aggregate_id for it in commits], consistency=Consistency.EVERYWHERE)
        for id, head in heads.items():
            for stored in head.snapshots:
                if not is_after(request.event_time, stored.up_to):
                    store.delete_snapshot(customer_id, id, stored.up_to, stored.fold, environment.clock())

    return [patch.object(unit_of_work, "make_safe", make_safe)]


def fewer_aggregates() -> list[Any]:
    return [patch.object(unit_of_work.UnitOfWork, "_heads_elsewhere", lambda self: {})]


def unproved_keys() -> list[Any]:
    return [patch.object(checksum, "_start", lambda *place: 0)]


def no_digest_order() -> list[Any]:
    return [patch.object(serializer, "digest_of", lambda *_: bytes(16)),
            patch.object(recorded, "check_digest", lambda *_: None)]  # fmt: skip


def no_sweep() -> list[Any]:
    return [patch.object(refold.Refold, "_make_safe", lambda *_: None)]


class Unmarked:
    """A store that raises no marks."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def mark(self, *_: Any, **__: Any) -> None:
        """Do nothing."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def unannounced_floor() -> list[Any]:
    announce = retention.Rotation.announce

    def silent(self: retention.Rotation, base: Any) -> bool:
        store: Any = self.store
        self.store = cast("EventStore", Unmarked(store))
        found = announce(self, base)
        self.store = store
        return found

    return [patch.object(retention.Rotation, "announce", silent)]


def endless_hydration() -> list[Any]:
    return [patch.object(hydration.Environment, "timer", lambda self: timedelta)]


def no_grace() -> list[Any]:
    rotate = retention.rotate

    def at_once(*arguments: Any) -> int:
        *others, _ = arguments
        return rotate(*others, wait=lambda seconds: None)

    return [patch.object(story, "rotate", at_once)]


def tidied_floor() -> list[Any]:
    return [patch.object(snapshots, "_is_at_floors", lambda *_: False)]


def clock_ahead() -> list[Any]:
    def ahead(environment: hydration.Environment) -> Any:
        return environment.clock() + timedelta(seconds=100)

    return [patch.object(settled, "earliest_now", ahead),
            patch.object(TimeBounds, "newest_snapshot", lambda self, now: now + timedelta(days=1))]  # fmt: skip


def trusted_cache() -> list[Any]:
    def unmarked(head: Head, kept: StoredSnapshot | None) -> Head:
        return head if kept is None else head._replace(snapshots=[kept], late=None)

    return [patch.object(hydration, "_with", unmarked)]


def local_cache() -> list[Any]:
    class Near(hydration.Hydrator):
        """Reads in its own region, whatever it is asked."""

        def hydrate(self, *args: Any, **options: Any) -> Any:
            return super().hydrate(*args, **{**options, "consistency": Consistency.LOCAL})

    return [patch.object(hydration_cache, "Hydrator", Near)]


VARIANTS = {
    "look-up first": Variant("the look-up is never older than the rows that are folded", look_up_first),
    "look-up once": Variant("what follows the first page is read before the look-up", look_up_last_seen),
    "refusal first": Variant("a repeat is looked up before it is refused as too old", refusal_before_look_up),
    "random ids": Variant("a retry writes to the same keys", random_ids),
    "index in the key": Variant("a key does not depend on what was there before", index_in_the_key),
    "no settle window": Variant("a snapshot folds only what no first decision can precede", no_settle_window),
    "local snapshots": Variant("a snapshot is built from every region's commits", snapshot_at_local),
    "trusted snapshots": Variant("a reader passes over snapshots that may lack a late commit", trusted_snapshots),
    "never made safe": Variant("a late commit is made safe before it is acknowledged", never_made_safe),
    "no look at floors": Variant("nothing is made safe at or below a floor", no_look_at_the_floors),
    "unannounced floor": Variant("a floor is announced before it is raised", unannounced_floor),
    "deleted snapshots": Variant("readers judge snapshots, instead of writers who delete them", deleted_snapshots),
    "fewer aggregates": Variant("what is missing is looked for in all aggregates", fewer_aggregates),
    "unproved keys": Variant("a checksum begins from the place of its row", unproved_keys),
    "no digest order": Variant("the digest decides which of two decisions stays", no_digest_order),
    "endless hydration": Variant("a hydration that took longer than H starts over", endless_hydration),
    "no grace": Variant("events are kept for H after the floor was raised", no_grace),
    "tidied floor": Variant("the snapshot on the floor is spared", tidied_floor),
    "no sweep": Variant("an audit makes commits safe whose writers died", no_sweep),
    "trusted cache": Variant("what a process keeps is judged by the mark of late commits too", trusted_cache),
    "local cache": Variant("what a process keeps is folded from every region's commits", local_cache),
    "clock ahead": Variant("a builder's clock that runs ahead is not believed", clock_ahead),
}


@contextmanager
def broken(name: str) -> Generator[None, None, None]:
    """Break the core as a variant does, as long as the context lasts."""
    if name not in VARIANTS:
        raise InvalidInput(f"Expected a variant among {', '.join(VARIANTS)}, got {name!r}.")
    with ExitStack() as stack:
        for change in VARIANTS[name].patches():
            stack.enter_context(change)
        yield
