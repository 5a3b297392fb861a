"""What is stored for a customer, decoded for people: needs no domain's code, and stops at nothing that is broken.

    for aggregate in inspect(store, "ann"):
        print(aggregate.id, aggregate.floor, len(aggregate.snapshots))
        for commit in aggregate.commits:
            print(commit.time, commit.events, commit.problem)

With the aggregate types of a domain it also says what their code makes of the rows: which events were upcast, which
can't be read, which snapshots a hydration may begin from.
"""

from collections.abc import Generator, Iterable, Iterator, Mapping
from typing import Any
from uuid import UUID
from zlib import crc32

import msgspec
from msgspec import Raw

from eslab.aggregate import Aggregate, check_id, serializer_of, type_name
from eslab.errors import EslabError, Unreadable
from eslab.event import tag_of
from eslab.payload.encryption import CustomerCipher, is_encrypted
from eslab.payload.serializer import RESIDUE, Envelope, SnapshotEnvelope, decode_any, raw_events
from eslab.request import Request, time_of
from eslab.snapshot import decode_base, usable
from eslab.store import Commit, EventStore, Head, StoredSnapshot

ENCRYPTED = "encrypted"
Types = Mapping[str, type[Aggregate]]  # by what the ids begin with


class InspectedCommit(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One row of events; what can't be known of a broken one is left out."""

    event_time: str
    time: str | None = None
    request: str | None = None
    columns: str  # what the columns for people say: type and version
    bytes: int
    crc: bool  # is the checksum right?
    digest: str | None = None
    format: int | None = None
    commits: int | None = None  # how many the append wrote
    command: str | None = None
    encrypted: bool = False
    events: list[dict[str, Any]] = []  # as they are stored
    read_as: list[str] | None = None  # as which types the domain's code reads them, if those are not the stored ones
    problem: str | None = None
    raw: str | None = None

    @property
    def types(self) -> str:
        """The stored types of its events."""
        found = ", ".join(str(event.get("type", "?")) for event in self.events)
        return found or (f"({ENCRYPTED})" if self.encrypted else "?")


class InspectedSnapshot(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One row of snapshots."""

    up_to: str
    time: str
    fold: int
    bytes: int
    crc: bool
    format: int | None = None
    type: str | None = None
    commits: int | None = None  # how many it adds up
    encrypted: bool = False
    usable: bool | None = None  # may a hydration begin here? None if the domain's code is not known
    problem: str | None = None
    raw: str | None = None


class InspectedAggregate(msgspec.Struct, kw_only=True):
    """One aggregate: its directory entry, snapshots and commits."""

    id: str
    first: str | None
    floor: str | None
    snapshots: list[InspectedSnapshot]
    commits: list[InspectedCommit]

    @property
    def broken(self) -> int:
        """How many of its rows can't be read."""
        return sum(row.problem is not None for row in (*self.snapshots, *self.commits))


def inspect(
    store: EventStore,
    customer_id: str,
    prefix: str = "",
    types: Iterable[type[Aggregate]] = (),
    cipher: CustomerCipher | None = None,
    raw: bool = False,
) -> Iterator[InspectedAggregate]:
    """The customer's aggregates whose ids begin with `prefix`, in order, each with all that is stored of it.

    Costs one read of the heads and one of each log; memory holds one aggregate at a time.
    """
    check_id("customer id", customer_id)
    by_name = {type_name(each): each for each in types}
    for id, head in store.heads_of_type(customer_id, prefix).items():
        known = by_name.get(id.partition(":")[0])
        yield InspectedAggregate(
            id=id,
            first=_when(head.first),
            floor=_when(head.floor),
            snapshots=[_snapshot(id, head, each, known, cipher, raw) for each in head.snapshots],
            commits=list(inspect_commits(store, customer_id, id, known, cipher, raw)),
        )


def inspect_commits(
    store: EventStore,
    customer_id: str,
    aggregate_id: str,
    known: type[Aggregate] | None = None,
    cipher: CustomerCipher | None = None,
    raw: bool = False,
) -> Generator[InspectedCommit, None, None]:
    """The rows of one aggregate in order, broken ones too, each with what is wrong with it."""
    for commit in store.rows(customer_id, aggregate_id):
        found = InspectedCommit(
            event_time=str(commit.event_time),
            columns=f"{commit.event_type}:{commit.version}",
            bytes=len(commit.payload),
            crc=crc32(commit.payload) == RESIDUE,
            raw=commit.payload.hex() if raw else None,
        )
        try:
            _look_into(found, commit, known, cipher)
        except EslabError as error:
            found.problem = str(error)
        except RecursionError:
            found.problem = "its events are nested too deeply to be shown"
        yield found


def _look_into(
    found: InspectedCommit, commit: Commit, known: type[Aggregate] | None, cipher: CustomerCipher | None
) -> None:
    """Fill in what the row says, as far as it can be read; raises what stops it."""
    request = Request.from_event_time(commit.event_time)
    found.request, found.time = str(request.id), request.time.isoformat()
    envelope = decode_any(commit.payload, Envelope[Raw])
    found.digest, found.command = envelope.digest.hex(), envelope.command.hex()
    found.format, found.commits, found.encrypted = envelope.format, envelope.commits, is_encrypted(envelope)
    if found.encrypted and cipher is None:
        return
    commit = cipher.decrypt(commit) if cipher else commit
    found.events = [_plain(event) for event in raw_events(commit.payload)]
    if known:
        stored = [event.get("type") for event in found.events]
        read = [tag_of(type(event)) for event in serializer_of(known).events(commit.payload)]
        found.read_as = read if read != stored else None


def _snapshot(
    id: str,
    head: Head,
    snapshot: StoredSnapshot,
    known: type[Aggregate] | None,
    cipher: CustomerCipher | None,
    raw: bool,
) -> InspectedSnapshot:
    found = InspectedSnapshot(
        up_to=str(snapshot.up_to),
        time=time_of(snapshot.up_to).isoformat(),
        fold=snapshot.fold,
        bytes=len(snapshot.payload),
        crc=crc32(snapshot.payload) == RESIDUE,
        raw=snapshot.payload.hex() if raw else None,
    )
    try:
        envelope = decode_any(snapshot.payload, SnapshotEnvelope)
        found.format, found.type, found.commits = envelope.format, envelope.type, envelope.commits
        found.encrypted = is_encrypted(envelope)
        if known and not (found.encrypted and cipher is None):
            found.usable = snapshot in usable(known, head)
            if found.usable:
                decode_base(known, cipher.decrypt_snapshot(id, snapshot) if cipher else snapshot)
    except Unreadable as error:
        found.problem, found.usable = str(error), False
    return found


def _plain(value: Any) -> Any:
    """The same in what JSON can hold: keys that are no text, and what only Python knows, as Python writes them."""
    if isinstance(value, dict):
        return {key if isinstance(key, str) else repr(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return msgspec.to_builtins(value, enc_hook=repr)


def _when(event_time: UUID | None) -> str | None:
    return time_of(event_time).isoformat() if event_time else None
