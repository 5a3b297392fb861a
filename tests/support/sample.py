"""A sample domain for tests: a counter and a card, so that the tests of the core need no domain of the package.

Beside it lie the words in which those tests are told: requests at so many minutes after a start (`at`), rows and
commits made by hand (`row`, `commits`, `fill`), all that a store holds (`rows`, `everything`), and a store that loses
or refuses what it is told to (`Faulty`). Whatever belongs to one topic has a module of its own beside this one.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from struct import unpack
from typing import Any
from uuid import UUID

from msgspec import Raw

from eslab import Aggregate, Command, Event, EventStore, Rejected, Request, StoreError
from eslab.aggregate import aggregate_id
from eslab.event import split_tag, tag_of
from eslab.layout import Layout
from eslab.payload.checksum import Checksum
from eslab.payload.encryption import NO_CIPHER
from eslab.payload.serializer import Envelope, SnapshotEnvelope, decode_envelope, encode_append, encode_envelope
from eslab.snapshot import snapshot_of
from eslab.store import Commit, Consistency, Head, Log, ReadRow, StoredSnapshot

ROOT = Path(__file__).parents[2]
_numbers = count()
SHELF = Layout("shelf", ("customer_id",), ("what",))  # two read tables: one in the customer's partition,
DAYS = Layout("days", ("day", "shard"))  # and one elsewhere
LAYOUTS = (SHELF, DAYS)
START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
WISH = b"the wish"
LIMIT = 100
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


class Counted(Event):
    """So many more of something."""

    what: str
    amount: int = 1


class Voided(Event):
    """None of it counts, whatever was or will be counted."""

    what: str


class Count(Command):
    """Count so many; zero needs no event."""

    what: str
    amount: int = 1


class Counter(Aggregate):
    """How many of what; commutes, since a void wins over counts before and after it."""

    counts: dict[str, int] = {}
    voided: set[str] = set()

    def apply(self, event: Counted | Voided) -> None:
        match event:
            case Counted(what, amount):
                self.counts[what] = self.counts.get(what, 0) + amount
            case Voided(what):
                self.voided.add(what)

    @property
    def total(self) -> int:
        return sum(amount for what, amount in self.counts.items() if what not in self.voided)


class Stamped(Event):
    """A place of the card was stamped."""

    place: int


class Card(Aggregate):
    """The stamped places of a card."""

    places: set[int] = set()

    def apply(self, event: Stamped) -> None:
        self.places.add(event.place)


def handle(counter: Counter, command: Count, request: Request) -> Sequence[Event]:
    """At most `LIMIT` in all."""
    if counter.total + command.amount > LIMIT:
        raise Rejected("limit", f"{command.amount} more would be too many", limit=LIMIT, count=counter.total)
    return [Counted(command.what, command.amount)] if command.amount else []


def at(minutes: float = 0, key: str = "a wish") -> Request:
    """The request made `minutes` after the start."""
    return Request.at(START + minutes * MINUTE, key)


def time_at(ms: int, rand_a: int = 0, low: int = 0) -> UUID:
    """The event time of any millisecond after the start, counter and low bytes (their first two bits are given)."""
    unix_ms = int(START.timestamp() * 1000) + ms
    return Request(UUID(int=unix_ms << 80 | 0x7 << 76 | rand_a << 64 | 0b10 << 62 | low)).event_time


def commits(
    request: Request, events: Mapping[str, Sequence[Event]], command: bytes = WISH, customer: str = "ann"
) -> list[Commit]:
    """The rows of one decision, as a wish would append them, in order of aggregate id."""
    return [
        Commit(id, request.event_time, *split_tag(tag_of(type(events[id][0]))), payload)
        for id, payload in sorted(encode_append(customer, request.event_time, events, command).items())
    ]


def envelope_of(commit: Commit, customer: str = "ann") -> Envelope[Raw]:
    """The envelope in a row of a customer."""
    return decode_envelope(commit.payload, Checksum.of_commits(customer, commit.aggregate_id))


def sealed(envelope: Envelope[Any], id: str = "counter:1", customer: str = "ann") -> bytes:
    """The payload of a commit that a test makes up, with the checksum of its place."""
    return encode_envelope(envelope, Checksum.of_commits(customer, id))


def sealed_snapshot(up_to: Request, fold: int, envelope: SnapshotEnvelope, customer: str = "ann") -> StoredSnapshot:
    """The row of a snapshot whose envelope a test makes up, with the checksum of its place."""
    checksum = Checksum.of_snapshot(customer, "counter:1", up_to.event_time, fold)
    return StoredSnapshot(up_to.event_time, fold, encode_envelope(envelope, checksum))


def row(minutes: float = 0, payload: bytes = b"payload", id: str = "counter:1", key: str = "a wish") -> Commit:
    """One row with a payload that says nothing: a store keeps bytes, whatever they mean."""
    return Commit(id, at(minutes, key).event_time, "Counted", 1, payload)


def fill(store: EventStore, number: int, id: str = "counter:1", customer: str = "ann") -> list[Commit]:
    """Append `number` commits of one `Counted` each, a minute apart, and return them."""
    made = [commits(at(i), {id: [Counted(f"thing {i % 7}")]}, customer=customer)[0] for i in range(number)]
    store.append(customer, made)
    return made


def snapshot(
    up_to: Request, state: Aggregate, commits: int = 1, customer: str = "ann", built_at: datetime = START
) -> StoredSnapshot:
    """The row of a snapshot of the first aggregate of a type, with a state that a test makes up."""
    id = aggregate_id((type(state), "1"))
    return snapshot_of(customer, id, state, commits, up_to.event_time, built_at, NO_CIPHER)


def cassandra_order(event_time: UUID) -> tuple[int, tuple[int, ...]]:
    """How Cassandra compares timeuuids, said anew: the time, then the low eight bytes as signed numbers."""
    return event_time.time, unpack("8b", event_time.bytes[8:])


def rows(store: EventStore, id: str = "counter:1", customer: str = "ann") -> list[Commit]:
    """Every commit of one aggregate."""
    return list(store.rows(customer, id))


def everything(store: EventStore, customer: str = "ann") -> dict[str, tuple[Head, list[Commit]]]:
    """All that a store holds of a customer, for comparing before and after."""
    heads = store.heads_of_type(customer, "")
    return {id: (head, rows(store, id, customer)) for id, head in heads.items()}


def new_url(kind: str, folder: Path) -> str:
    """The URL of a new empty store of a kind."""
    return "memory:" if kind == "memory" else f"sqlite:///{folder}/store{next(_numbers)}.db"


class Faulty:
    """A real store behind a line that can lose rows on the way back, refuse, or run something in between.

    `hide` holds aggregate ids whose rows a read of that consistency can't see; `refuse` the reaches that nobody
    answers at; `before` and `after` run around each append. `calls` lists what was asked, with its consistency.
    """

    def __init__(self, store: EventStore) -> None:
        self.store = store
        self.hide: dict[Consistency, set[str]] = {}
        self.refuse: dict[Consistency, StoreError] = {}
        self.calls: list[tuple[str, Consistency]] = []
        self.before = self.after = lambda: None

    def append(
        self,
        customer_id: str,
        commits: Sequence[Commit],
        consistency: Consistency = Consistency.LOCAL,
        read_rows: Sequence[ReadRow] = (),
    ) -> None:
        self._call("append", consistency)
        self.before()
        self.store.append(customer_id, commits, consistency, read_rows)
        self.after()

    def read(
        self,
        customer_id: str,
        after: Mapping[str, UUID | None],
        event_time: UUID | None = None,
        up_to: UUID | None = None,
        consistency: Consistency = Consistency.LOCAL,
        all_snapshots: bool = False,
    ) -> dict[str, Log]:
        self._call("read", consistency)
        logs = self.store.read(customer_id, after, event_time, up_to, consistency, all_snapshots)
        return {id: self._seen(id, log, event_time, consistency) for id, log in logs.items()}

    def heads(
        self,
        customer_id: str,
        ids: Sequence[str],
        event_time: UUID | None = None,
        consistency: Consistency = Consistency.LOCAL,
    ) -> dict[str, Head]:
        self._call("heads", consistency)
        heads = self.store.heads(customer_id, ids, event_time, consistency)
        return {id: self._seen(id, Log(head), event_time, consistency).head for id, head in heads.items()}

    def _seen(self, id: str, log: Log, event_time: UUID | None, consistency: Consistency) -> Log:
        if id not in self.hide.get(consistency, set()):
            return log
        commits = [commit for commit in log.commits() if commit.event_time != event_time]
        head, payloads = log.head._replace(recorded=None), [commit.payload for commit in commits]
        return log._replace(head=head, payloads=payloads, commits=lambda: commits)

    def read_many(
        self,
        customer_id: str,
        after: Mapping[str, UUID | None],
        up_to: UUID | None = None,
        consistency: Consistency = Consistency.LOCAL,
    ) -> Any:
        self._call("read_many", consistency)
        return self.store.read_many(customer_id, after, up_to, consistency)

    def rows_many(
        self,
        customer_id: str,
        after: Mapping[str, UUID | None],
        up_to: UUID | None = None,
        consistency: Consistency = Consistency.LOCAL,
    ) -> Any:
        self._call("rows_many", consistency)
        return self.store.rows_many(customer_id, after, up_to, consistency)

    def mark(self, customer_id: str, id: str, **marks: Any) -> None:
        self._call("mark", Consistency.EVERYWHERE)
        self.store.mark(customer_id, id, **marks)

    def note_safe(self, customer_id: str, commits: Sequence[Commit], safe_at: datetime) -> None:
        self._call("note_safe", Consistency.EVERYWHERE)
        self.store.note_safe(customer_id, commits, safe_at)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def _call(self, name: str, consistency: Consistency) -> None:
        self.calls.append((name, consistency))
        if consistency in self.refuse:
            raise self.refuse[consistency]


def append(store: EventStore, *events: tuple[float, Event], id: str = "counter:1") -> None:
    """One commit for each event, at its minute."""
    for minutes, event in events:
        store.append("ann", commits(at(minutes), {id: [event]}))


def replayed(*events: Event) -> Counter:
    """The state that the events add up to, without any store."""
    counter = Counter()
    for event in events:
        counter.apply(event)
    return counter
