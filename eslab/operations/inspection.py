"""Shows the rows of a customer, decoded for people, without a domain's code; a broken row doesn't stop it.

    for aggregate in inspect(store, "ann"):
        print(aggregate.id, aggregate.floor, len(aggregate.snapshots))
        for commit in aggregate.commits:
            print(commit.time, commit.events, commit.problem)

With the aggregate types of a domain it also shows how their code reads the rows: which events are upcast, which can't
be read, which snapshots a hydration may begin from.
"""

from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Raw

from eslab.aggregate import Aggregate, check_id, serializer_of, type_name
from eslab.bounds import TimeBounds
from eslab.clock import system_clock
from eslab.errors import EslabError, Unreadable
from eslab.event import tag_of
from eslab.payload.checksum import Checksum
from eslab.payload.encryption import NO_CIPHER, RowCipher, is_encrypted, place_of_commit
from eslab.payload.serializer import SKIPPED, Envelope, decode_any, raw_events, skip_in, touched_in
from eslab.recorded import RecordedCommit, check_digest
from eslab.request import Request, time_of
from eslab.settings import kept
from eslab.snapshot import Candidates, Usable, Validity, parse_snapshot
from eslab.store import Commit, EventStore, Head, StoredSnapshot

ENCRYPTED = "encrypted"


class InspectedCommit(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One row of events; of a broken one, only the fields that can be known are set."""

    event_time: str
    time: str | None = None
    request: str | None = None
    columns: str  # type and version, from the columns for people
    bytes: int
    crc: bool  # is the checksum right, for this customer and aggregate?
    digest: str | None = None
    format: int | None = None
    commits: int | None = None  # the number of commits in the append: one for each aggregate that it touched
    command: str | None = None
    encrypted: bool = False
    events: list[dict[str, Any]] = []  # as they are stored
    read_as: list[str] | None = None  # the types as which the domain's code reads them, if not the stored ones
    skipped: str | None = None  # the reason why an operator chose to go on without its events
    problem: str | None = None
    raw: str | None = None

    @property
    def types(self) -> str:
        """The stored types of its events."""
        types = ", ".join(str(event.get("type", "?")) for event in self.events)
        return types or (f"({ENCRYPTED})" if self.encrypted else "(skipped)" if self.skipped else "?")


class InspectedSnapshot(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One row of snapshots."""

    up_to: str
    time: str
    fold: int
    bytes: int
    crc: bool
    format: int | None = None
    type: str | None = None
    commits: int | None = None  # the number of commits that it adds up
    encrypted: bool = False
    usable: bool | None = None  # may a hydration begin here? None if the domain's code is not known
    why_not: str | None = None
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
        """The number of its rows that can't be read."""
        return sum(row.problem is not None for row in (*self.snapshots, *self.commits))


def inspect(
    store: EventStore,
    customer_id: str,
    prefix: str = "",
    types: Iterable[type[Aggregate]] = (),
    cipher: RowCipher = NO_CIPHER,
    raw: bool = False,
) -> Iterator[InspectedAggregate]:
    """The customer's aggregates whose ids begin with `prefix`, in order, each with all of its rows.

    Costs one read of the heads and one of each log; memory holds one aggregate at a time.
    """
    inspector = Inspector(store, customer_id, types, cipher, raw)
    for id, head in store.heads_of_type(customer_id, prefix).items():
        yield inspector.aggregate(id, head)


class Inspector:
    """Inspects the rows of one customer; a cipher decodes encrypted ones, and `raw` keeps the bytes."""

    def __init__(
        self,
        store: EventStore,
        customer_id: str,
        types: Iterable[type[Aggregate]] = (),
        cipher: RowCipher = NO_CIPHER,
        raw: bool = False,
    ) -> None:
        self.store = store
        self.customer_id = check_id("customer id", customer_id)
        self._types = {type_name(cls): cls for cls in types}
        self._cipher = cipher
        self._raw = raw
        settings = kept(store)
        self._validity = Validity(settings.bounds if settings else TimeBounds(), system_clock)

    def aggregate(self, id: str, head: Head) -> InspectedAggregate:
        """One aggregate with all of its rows."""
        return InspectedAggregate(
            id=id,
            first=_time(head.first),
            floor=_time(head.floor),
            snapshots=[self._snapshot(id, head, snapshot) for snapshot in head.snapshots],
            commits=list(self.commits(id)),
        )

    def commits(self, aggregate_id: str) -> Iterator[InspectedCommit]:
        """The rows of one aggregate in order; a broken one says what is wrong with it."""
        checksum = Checksum.of_commits(self.customer_id, aggregate_id)
        for commit in self.store.rows(self.customer_id, aggregate_id):
            inspected = InspectedCommit(
                event_time=str(commit.event_time),
                columns=f"{commit.event_type}:{commit.version}",
                bytes=len(commit.payload),
                crc=checksum.proves(commit.payload),
                raw=commit.payload.hex() if self._raw else None,
            )
            try:
                self._decode(commit, checksum, inspected)
            except EslabError as error:
                inspected.problem = str(error)
            except RecursionError:
                inspected.problem = "its events are nested too deeply to be shown"
            yield inspected

    def _decode(self, commit: Commit, checksum: Checksum, inspected: InspectedCommit) -> None:
        """Fill in the fields one after the other, until the row can't be read further: that is raised."""
        request = Request.from_event_time(commit.event_time)
        inspected.request = str(request.id)
        inspected.time = request.time.isoformat()
        stored = envelope = decode_any(commit.payload, Envelope[Raw], checksum)
        inspected.digest = envelope.digest.hex()
        inspected.command = envelope.command.hex()
        inspected.format = envelope.format
        inspected.commits = len(touched_in(envelope))
        inspected.encrypted = is_encrypted(envelope)
        if envelope.format == SKIPPED:
            inspected.skipped = skip_in(envelope).reason
            return
        if inspected.encrypted and self._cipher is NO_CIPHER:
            return
        envelope = self._cipher.decrypt(place_of_commit(commit.aggregate_id, commit.event_time), envelope)
        inspected.events = [in_json(event) for event in raw_events(envelope)]
        check_digest(self.customer_id, [RecordedCommit(commit, stored)], self._cipher)
        if known := self._type_of(commit.aggregate_id):
            stored = [event.get("type") for event in inspected.events]
            read = [tag_of(type(event)) for event in serializer_of(known).events_of(envelope)]
            inspected.read_as = read if read != stored else None

    def _snapshot(self, id: str, head: Head, snapshot: StoredSnapshot) -> InspectedSnapshot:
        inspected = InspectedSnapshot(
            up_to=str(snapshot.up_to),
            time=time_of(snapshot.up_to).isoformat(),
            fold=snapshot.fold,
            bytes=len(snapshot.payload),
            crc=Checksum.of_snapshot(self.customer_id, id, snapshot.up_to, snapshot.fold).proves(snapshot.payload),
            raw=snapshot.payload.hex() if self._raw else None,
        )
        try:
            envelope = parse_snapshot(self.customer_id, id, snapshot)
            inspected.format = envelope.format
            inspected.type = envelope.type
            inspected.commits = envelope.commits
            inspected.encrypted = is_encrypted(envelope)
            known = self._type_of(id)
            if known and not (inspected.encrypted and self._cipher is NO_CIPHER):
                candidates = Candidates(self.customer_id, id, known, head, self._validity, self._cipher)
                found = candidates.opened(snapshot)
                inspected.usable = isinstance(found, Usable)
                inspected.why_not = found if isinstance(found, str) else None
        except Unreadable as error:
            inspected.problem = str(error)
            inspected.usable = False
        return inspected

    def _type_of(self, aggregate_id: str) -> type[Aggregate] | None:
        return self._types.get(aggregate_id.partition(":")[0])


def in_json(value: Any) -> Any:
    """The same value in JSON's types; keys that are not text, and types that JSON lacks, as Python writes them."""
    if isinstance(value, dict):
        return {key if isinstance(key, str) else repr(key): in_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [in_json(item) for item in value]
    return msgspec.to_builtins(value, enc_hook=repr)


def _time(event_time: UUID | None) -> str | None:
    return time_of(event_time).isoformat() if event_time else None
