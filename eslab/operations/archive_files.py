"""The files of an archive: Parquet, partitioned by month, and manifests with their checksums.

    ARCHIVE/
        month=2026-01/<16 digits of its sha256>.parquet    commits of requests made in that month, in UTC
        manifests/<its sha256>.json                        the files of one segment, each with its size and sha256

A file belongs to the archive once a manifest names it. Both are written under another name, brought to the disk, and
renamed: the manifest last, so a segment is there as a whole or not at all. Equal rows give equal files, of one name.
"""

import errno
import hashlib
import os
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import msgspec

from eslab.clock import to_ms
from eslab.display import quantity
from eslab.errors import StoreFull, StoreUnavailable, Unreadable
from eslab.request import Request, sort_key, time_of
from eslab.store import Commit

if TYPE_CHECKING:
    import pyarrow

VERSION = 1
MANIFESTS = "manifests"
MONTH = "month="  # pandas and DuckDB make a column of it
UNFINISHED = ".unfinished"  # the end of the name of a file that is being written
ROWS_IN_GROUP = 10_000  # of a file are read together
RESTORE = "Restore it from a copy of the archive."
COLUMNS = ("customer_id", "aggregate_id", "event_time", "event_type", "version", "payload", "events")  # those read back


class Row(NamedTuple):
    """A commit in the archive: whose it is, and what people can read of it."""

    customer_id: str
    commit: Commit
    events: str | None  # as JSON; None if they are encrypted

    @property
    def order(self) -> tuple[str, str, Any, bytes]:
        """The order of rows in a file."""
        return self.customer_id, self.commit.aggregate_id, sort_key(self.commit.event_time), self.commit.payload


class ArchivedFile(msgspec.Struct, frozen=True):
    """What a manifest says of one file."""

    path: str  # within the archive
    size: int
    sha256: str
    rows: int
    customers: list[str]  # all whose commits are in it, in order

    @property
    def month(self) -> str:
        """The month of its requests, such as 2026-01."""
        return self.path.partition("/")[0].removeprefix(MONTH)


class Manifest(msgspec.Struct, frozen=True):
    """The files of one segment."""

    version: int
    files: list[ArchivedFile]


def write_segment(folder: Path, rows: Sequence[Row]) -> Manifest:
    """Write rows as one segment, read it back, and make it a part of the archive; it is on the disk then.

    Raises `StoreFull` or `StoreUnavailable` if the folder can't be written, and `Unreadable` if what was written is
    read back otherwise. Nothing belongs to the archive then.
    """
    with _translated(folder):
        (folder / MANIFESTS).mkdir(parents=True, exist_ok=True)
        written = [_write_month(folder, month, some) for month, some in sorted(_by_month(rows).items())]
        for temporary, file, some in written:
            _prove(folder, temporary, file, some)
        manifest = Manifest(VERSION, [file for _, file, _ in written])
        for temporary, file, _ in written:
            temporary.replace(folder / file.path)
            _sync_folder((folder / file.path).parent)
        text = msgspec.json.encode(manifest)
        _sync_folder(folder)
        _replace(folder / MANIFESTS / f"{hashlib.sha256(text).hexdigest()}.json", text)
    return manifest


def manifests(folder: Path, known: Container[str] = ()) -> Iterator[tuple[str, Manifest]]:
    """The manifests of an archive with their names, except the known ones, which never change.

    Raises `Unreadable` for one whose bytes are not those that were written.
    """
    for path in sorted((folder / MANIFESTS).glob("*.json")):
        if path.name not in known:
            yield path.name, _read_manifest(path)


def _read_manifest(path: Path) -> Manifest:
    text = path.read_bytes()
    if hashlib.sha256(text).hexdigest() != path.stem:
        raise Unreadable(f"{path}: Expected a manifest with the sha256 of its name, found other bytes. {RESTORE}")
    manifest = msgspec.json.decode(text, type=Manifest)
    if manifest.version != VERSION:
        raise Unreadable(f"{path}: Expected version {VERSION}, found {manifest.version}. Run the newer code.")
    return manifest


def remove_unfinished(folder: Path) -> None:
    """Remove what a killed process left: files that no manifest names. Nobody else may be writing."""
    named = {file.path for _, manifest in manifests(folder) for file in manifest.files}
    for path in folder.glob("*/*"):
        if path.name.endswith(UNFINISHED) or (path.suffix == ".parquet" and _within(folder, path) not in named):
            path.unlink()


def check_file(folder: Path, file: ArchivedFile) -> None:
    """Raise `Unreadable` unless the file is there as it was written."""
    path = folder / file.path
    try:
        with path.open("rb") as opened:
            found = hashlib.file_digest(opened, "sha256").hexdigest()
    except FileNotFoundError:
        raise Unreadable(f"{path}: Expected {quantity(file.rows, 'archived row')}, found no file. {RESTORE}") from None
    if found != file.sha256:
        raise Unreadable(f"{path}: Expected a file of sha256 {file.sha256}, found {found}. {RESTORE}")


def month_of(commit: Commit) -> str:
    """The month of a commit's request, in UTC."""
    return f"{time_of(commit.event_time):%Y-%m}"


def _by_month(rows: Iterable[Row]) -> dict[str, list[Row]]:
    months: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row.order):
        months[month_of(row.commit)].append(row)
    return months


def _write_month(folder: Path, month: str, rows: Sequence[Row]) -> tuple[Path, ArchivedFile, Sequence[Row]]:
    """Write the rows of a month under a name that doesn't count yet."""
    from pyarrow import parquet

    inside = folder / f"{MONTH}{month}"
    inside.mkdir(exist_ok=True)
    temporary = inside / f"{os.getpid()}{UNFINISHED}"
    parquet.write_table(_table(rows), temporary, compression="zstd", row_group_size=ROWS_IN_GROUP)
    _sync(temporary)
    with temporary.open("rb") as opened:
        sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
    customers = list(dict.fromkeys(row.customer_id for row in rows))
    path = f"{inside.name}/{sha256[:16]}.parquet"
    return temporary, ArchivedFile(path, temporary.stat().st_size, sha256, len(rows), customers), rows


def _prove(folder: Path, temporary: Path, file: ArchivedFile, rows: Sequence[Row]) -> None:
    """Read the file back and compare; raises `Unreadable` if a row is another one."""
    found = rows_in(temporary)
    if found != list(rows):
        raise Unreadable(
            f"{folder / file.path}: Expected the {quantity(len(rows), 'row')} that were written, found others when "
            "they were read back. Look at the disk, and at the version of pyarrow. Nothing was archived."
        )


def _table(rows: Sequence[Row]) -> "pyarrow.Table":
    import pyarrow

    commits = [row.commit for row in rows]
    texts = pyarrow.string()
    columns: dict[str, tuple[Any, Sequence[Any]]] = {
        "customer_id": (texts, [row.customer_id for row in rows]),
        "aggregate_id": (texts, [commit.aggregate_id for commit in commits]),
        "event_time": (texts, [str(commit.event_time) for commit in commits]),
        "time": (pyarrow.timestamp("ms", tz="UTC"), [to_ms(time_of(commit.event_time)) for commit in commits]),
        "request": (texts, [str(Request.from_event_time(commit.event_time).id) for commit in commits]),
        "event_type": (texts, [commit.event_type for commit in commits]),
        "version": (pyarrow.int32(), [commit.version for commit in commits]),
        "events": (texts, [row.events for row in rows]),
        "payload": (pyarrow.binary(), [commit.payload for commit in commits]),
    }
    arrays = {name: pyarrow.array(values, kind) for name, (kind, values) in columns.items()}
    return pyarrow.table(arrays)


def rows_in(path: Path, customer_id: str | None = None) -> list[Row]:
    """The rows of a file, or a customer's; raises `Unreadable` for one that is no Parquet file of an archive."""
    import pyarrow
    from pyarrow import parquet

    only = None if customer_id is None else [("customer_id", "=", customer_id)]
    try:
        table = parquet.read_table(path, columns=list(COLUMNS), filters=only)
    except pyarrow.ArrowInvalid as error:
        raise Unreadable(f"{path}: Expected a Parquet file of an archive, found: {error}. {RESTORE}") from None
    columns = (table.column(name).to_pylist() for name in COLUMNS)
    return [
        Row(customer, Commit(id, UUID(event_time), event_type, version, payload), events)
        for customer, id, event_time, event_type, version, payload, events in zip(*columns, strict=True)
    ]


def _within(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()


def _replace(path: Path, content: bytes) -> None:
    """Write a file as a whole or not at all, and bring it to the disk."""
    temporary = path.with_name(f"{os.getpid()}{UNFINISHED}")
    temporary.write_bytes(content)
    _sync(temporary)
    temporary.replace(path)
    _sync_folder(path.parent)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    """Bring the names in a folder to the disk, where the system can."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def _translated(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        kind = StoreFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else StoreUnavailable
        raise kind(f"Expected to write the archive {folder}, found: {error}. Nothing was deleted.") from error
