"""Golden bytes: payloads of every released version, kept for ever and loaded by the tests on every run (G9).

    python -m tests.support.golden          writes the files that are missing; it never writes one anew

The sample domain below is frozen: what version 1 wrote is read with the types that wrote it. Each payload
stands in data/golden/v1/NAME.bin, what it holds and the row that it belongs to beside it in NAME.json. A later format
gets a folder of its own.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from eslab import Aggregate, Command, Event, Request, version
from eslab.payload.checksum import Checksum
from eslab.payload.serializer import command_hash, decode_envelope, encode_append, encode_envelope, snapshot_envelope
from tests.support.sample import ROOT

FOLDER = ROOT / "data" / "golden" / "v1"


class Kind(Enum):
    NOVEL = "novel"
    POEMS = "poems"


class Place(msgspec.Struct, frozen=True):
    row: int
    seat: int


class Shelved(Event):
    """A book came to a place: one field of every kind that people use."""

    book: UUID
    title: str
    kind: Kind
    place: Place
    at: datetime
    bought: date
    price: Decimal
    lent_for: timedelta
    cover: bytes
    weight: float
    pages: int
    signed: bool
    tags: set[str] = set()
    marks: dict[int, str] = {}
    readers: dict[UUID, list[Place]] = {}
    note: str | None = None


class Moved(Event, tag=version(2)):
    """It moved, in the second shape of this event."""

    book: UUID
    place: Place


class Removed(Event):
    """It is gone."""

    book: UUID


class Tidy(Command):
    """The wish behind the golden commits."""

    shelf: str
    by: dict[UUID, int]


class Shelf(Aggregate):
    """What stands where."""

    books: dict[UUID, Shelved] = {}
    places: dict[UUID, Place] = {}
    removed: set[UUID] = set()

    def apply(self, event: Shelved | Moved | Removed) -> None:
        match event:
            case Shelved():
                self.books[event.book] = event
            case Moved():
                self.places[event.book] = event.place
            case Removed():
                self.removed.add(event.book)


BOOKS = [UUID(int=number << 64) for number in (3, 1, 2)]
FULL = Shelved(
    book=BOOKS[0],
    title="Glück \U0001f9c1 \0",
    kind=Kind.POEMS,
    place=Place(2, -40_000),
    at=datetime(2026, 1, 5, 9, 0, 0, 123_456, tzinfo=UTC),
    bought=date(1999, 12, 31),
    price=Decimal("12.50"),
    lent_for=timedelta(days=2, seconds=3),
    cover=bytes(range(256)),
    weight=0.1,
    pages=2**63,
    signed=True,
    tags={"c", "a", "b"},
    marks={3: "three", 1: "one"},
    readers={book: [Place(1, 2)] for book in BOOKS},
    note="read",
)
PLAIN = msgspec.structs.replace(
    FULL, book=BOOKS[1], weight=1.0, pages=-1, signed=False, tags=set(), marks={}, readers={}, note=None
)
CUSTOMER = "readers"
REQUEST = Request.at(datetime(2026, 1, 5, 9, tzinfo=UTC), "golden")
BUILT_AT = datetime(2026, 1, 7, 9, 0, 0, 5_000, tzinfo=UTC)
WISH = command_hash(Tidy("top", {book: number for number, book in enumerate(BOOKS)}))
APPENDS: dict[str, Mapping[str, Sequence[Event]]] = {
    "one": {"shelf:top": [FULL]},
    "several": {"shelf:top": [PLAIN, Moved(BOOKS[1], Place(0, 0)), Removed(BOOKS[1])]},
    "batch": {"shelf:ü": [Removed(BOOKS[2])], "shelf:top": [Moved(BOOKS[0], Place(7, 7))]},
}


def shelf(*events: Event) -> Shelf:
    """The state that the events add up to."""
    state = Shelf()
    for event in events:
        state.apply(event)
    return state


SNAPSHOTS = {"empty": shelf(), "full": shelf(FULL, PLAIN, Moved(BOOKS[0], Place(7, 7)), Removed(BOOKS[1]))}


def files() -> dict[str, tuple[bytes, Any]]:
    """What this code writes, by name: the payload, and what it holds."""
    made: dict[str, tuple[bytes, Any]] = {}
    for name, append in APPENDS.items():
        payloads = encode_append(CUSTOMER, REQUEST.event_time, append, WISH)
        for number, (id, payload) in enumerate(payloads.items()):
            envelope = decode_envelope(payload, Checksum.of_commits(CUSTOMER, id))
            head = {"customer": CUSTOMER, "aggregate": id, "event_time": REQUEST.event_time}
            made[f"commit-{name}-{number}"] = (
                payload,
                {
                    **head,
                    "digest": envelope.digest.hex(),
                    "touched": envelope.touched.hex(),
                    "wish": envelope.command.hex(),
                    "events": append[id],
                },
            )
    for number, (name, state) in enumerate(SNAPSHOTS.items()):
        row = {"customer": CUSTOMER, "aggregate": "shelf:top", "up_to": REQUEST.event_time, "fold": 1}
        checksum = Checksum.of_snapshot(*row.values())
        made[f"snapshot-{name}"] = (
            encode_envelope(snapshot_envelope("shelf", number, BUILT_AT, state), checksum),
            {**row, "commits": number, "built_at": BUILT_AT, "state": state},
        )
    return made


def write_missing(folder: Path, files: Mapping[str, tuple[bytes, Any]]) -> None:
    """Write the bytes and the content of each name, unless they are there: golden bytes never change."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (payload, content) in files.items():
        text = msgspec.json.format(msgspec.json.encode(content), indent=2)
        for path, data in ((folder / f"{name}.bin", payload), (folder / f"{name}.json", text + b"\n")):
            if path.exists():
                print(f"kept     {path.relative_to(ROOT)}")
            else:
                path.write_bytes(data)
                print(f"written  {path.relative_to(ROOT)}")


def main() -> None:
    """Write the files that are missing."""
    write_missing(FOLDER, files())


if __name__ == "__main__":
    main()
