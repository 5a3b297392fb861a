"""An archive keeps the events that rotation takes out of a store, where pandas and DuckDB read them too.

    archive = Archive("archive")
    with archive.writing() as writer:
        writer.keep("ann", commits)          # in memory
        writer.flush()                       # on the disk, read back and compared
    archive.commits("ann", "counter:1")

    SELECT customer_id, count(*) FROM 'archive/month=*/*.parquet' GROUP BY 1

Payloads are kept byte for byte, so they prove themselves as in the store. Beside them stand the events as JSON, as they
were stored. Of encrypted commits only the columns of the key can be read: who is forgotten in the store is forgotten
here.
"""

import fcntl
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from uuid import UUID

import msgspec

from eslab.errors import InvalidInput, StoreUnavailable, Unreadable
from eslab.operations.archive_files import (
    ArchivedFile,
    Row,
    check_file,
    manifests,
    month_of,
    remove_unfinished,
    rows_in,
    write_segment,
)
from eslab.payload.checksum import Checksum
from eslab.payload.encryption import is_encrypted
from eslab.payload.serializer import SKIPPED, decode_envelope, raw_events
from eslab.request import is_after, sort_key
from eslab.store import Commit, unreadable

LOCK = "writing.lock"


class Archive:
    """A folder with archived commits; reading it needs the extra `archive` and no lock."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._proved: set[str] = set()  # the files whose sha256 was right
        if self.folder.exists() and not self.folder.is_dir():
            raise InvalidInput(f"Expected a folder for an archive, got the file {self.folder}. Name another one.")

    def __repr__(self) -> str:
        return f"Archive({str(self.folder)!r})"

    @cached_property
    def _files(self) -> dict[str, list[ArchivedFile]]:
        """The files that hold commits of a customer, by customer."""
        found: dict[str, dict[str, ArchivedFile]] = defaultdict(dict)
        for manifest in manifests(self.folder):
            for file in manifest.files:
                for customer_id in file.customers:
                    found[customer_id][file.path] = file
        return {customer_id: list(files.values()) for customer_id, files in found.items()}

    def refresh(self) -> None:
        """Look at the folder again: another process may have written to it."""
        vars(self).pop("_files", None)
        self._proved.clear()

    def customers(self) -> list[str]:
        """All customers with archived commits, in order."""
        return sorted(self._files)

    def commits(self, customer_id: str, aggregate_id: str | None = None, up_to: UUID | None = None) -> list[Commit]:
        """A customer's archived commits, or those of one aggregate, in the order of aggregate id and event time.

        Reads the files with commits of the customer; each is proved by its sha256 when it is read first. Of two commits
        with one key the greater payload counts, as in a store (G1). Raises `Unreadable` for a file that is missing or
        another one.
        """
        found: dict[tuple[str, UUID], Commit] = {}
        for row in self._rows(customer_id, self._files.get(customer_id, ())):
            commit = row.commit
            key = commit.aggregate_id, commit.event_time
            if aggregate_id not in (None, commit.aggregate_id) or (up_to and is_after(commit.event_time, up_to)):
                continue
            found[key] = max(found.get(key, commit), commit, key=lambda one: one.payload)
        return sorted(found.values(), key=lambda one: (one.aggregate_id.encode(), sort_key(one.event_time)))

    def known(self, customer_id: str, commits: Iterable[Commit]) -> set[Commit]:
        """Those of a customer's commits that are archived already; reads only files of their months."""
        wanted = set(commits)
        months = {month_of(commit) for commit in wanted}
        files = [file for file in self._files.get(customer_id, ()) if file.month in months]
        return {commit for _, commit, _ in self._rows(customer_id, files)} & wanted

    def _rows(self, customer_id: str, files: Iterable[ArchivedFile]) -> Iterator[Row]:
        for file in files:
            if file.path not in self._proved:
                check_file(self.folder, file)
                self._proved.add(file.path)
            yield from rows_in(self.folder / file.path, customer_id)

    @contextmanager
    def writing(self) -> Iterator["Writer"]:
        """Write to the archive, one process at a time; what a killed one left unfinished is removed.

        What was kept and not flushed is flushed at the end. Raises `StoreUnavailable` if another process is writing.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / LOCK).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise StoreUnavailable(
                    f"Expected to write alone in the archive {self.folder}, found another process. Wait for its end."
                ) from None
            remove_unfinished(self.folder)
            self.refresh()
            writer = Writer(self)
            yield writer
            writer.flush()


class Writer:
    """Collects commits and writes them as a segment; made by `Archive.writing`."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.rows: list[Row] = []

    def keep(self, customer_id: str, commits: Sequence[Commit]) -> int:
        """Take commits of a customer into the next segment, except those that the archive has already.

        Returns how many are new. Each is proved by its checksum: raises `Unreadable` for a broken one, and takes none.
        """
        known = self.archive.known(customer_id, commits)
        new = [commit for commit in commits if commit not in known]
        rows = [Row(customer_id, commit, readable(customer_id, commit)) for commit in new]
        self.rows += rows
        return len(rows)

    def flush(self) -> None:
        """Write what was taken as one segment: when this returns, it is on the disk, and was read back as it is."""
        if self.rows:
            write_segment(self.archive.folder, self.rows)
            self.archive.refresh()
            self.rows = []


def readable(customer_id: str, commit: Commit) -> str | None:
    """The events of a commit as JSON, in the versions in which they were stored; None if they are encrypted.

    Raises `Unreadable` for a commit that its checksum doesn't prove. A skipped row has none.
    """
    try:
        envelope = decode_envelope(commit.payload, Checksum.of_commits(customer_id, commit.aggregate_id))
        if envelope.format == SKIPPED or is_encrypted(envelope):
            return None
        return msgspec.json.encode(raw_events(envelope)).decode()
    except Unreadable as error:
        raise unreadable(customer_id, commit, error) from error


def seamless(archived: Iterable[Commit], stored: Iterable[Commit]) -> list[Commit]:
    """One stream of archived and stored commits of an aggregate, in order; a commit that is in both counts once."""
    found: dict[UUID, Commit] = {}
    for commit in (*archived, *stored):
        found[commit.event_time] = max(found.get(commit.event_time, commit), commit, key=lambda one: one.payload)
    return sorted(found.values(), key=lambda one: sort_key(one.event_time))
