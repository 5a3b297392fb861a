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
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import UUID

import msgspec

from eslab.display import quantity
from eslab.errors import HistoryGone, InvalidInput, StoreUnavailable, Unreadable
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
from eslab.operations.inspection import in_json
from eslab.payload.checksum import Checksum
from eslab.payload.encryption import is_encrypted
from eslab.payload.serializer import SKIPPED, decode_envelope, raw_events
from eslab.request import is_after, sort_key
from eslab.snapshot import parse_snapshot
from eslab.store import Commit, EventStore, Head, place, unreadable

LOCK = "writing.lock"


class Archive:
    """A folder with archived commits; reading it needs the extra `archive` and no lock."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._manifests: set[str] = set()  # those that were read; the next two hold what they say
        self._files: dict[str, ArchivedFile] = {}  # by path
        self._of_customers: dict[str, dict[str, ArchivedFile]] = defaultdict(dict)  # those with commits of a customer
        self._proved: set[str] = set()  # the files whose sha256 was right
        if self.folder.exists() and not self.folder.is_dir():
            raise InvalidInput(f"Expected a folder for an archive, got the file {self.folder}. Name another one.")

    def __repr__(self) -> str:
        return f"Archive({str(self.folder)!r})"

    def customers(self) -> list[str]:
        """All customers with archived commits, in order."""
        self._look()
        return sorted(self._of_customers)

    def commits(self, customer_id: str, aggregate_id: str | None = None) -> list[Commit]:
        """A customer's archived commits, or those of one aggregate, in the order of aggregate id and event time.

        Reads the files with commits of the customer; each is proved by its sha256 when it is read first. Of two commits
        with one key the greater payload counts, as in a store (G1). Raises `Unreadable` for a file that is missing or
        another one.
        """
        commits = (row.commit for row in self._rows(self._files_of(customer_id), customer_id))
        return merged(commit for commit in commits if aggregate_id in (None, commit.aggregate_id))

    def past(self, store: EventStore, customer_id: str, aggregate_id: str) -> list[Commit]:
        """All commits of an aggregate, archived and stored, in order; a commit that is in both is there once.

        Raises `HistoryGone` if some are in neither, as far as first commit and floor tell: they may be in another
        archive.
        """
        # The archive is read after the store, and the floor last: what is rotated meanwhile is found in both.
        stored = list(store.rows(customer_id, aggregate_id))
        commits = merged([*stored, *self.commits(customer_id, aggregate_id)])
        head = store.heads(customer_id, [aggregate_id])[aggregate_id]
        below = sum(head.floor is not None and not is_after(commit.event_time, head.floor) for commit in commits)
        if below < _folded_at_floor(customer_id, aggregate_id, head) or _begins_late(commits, head):
            raise HistoryGone(
                f"Expected all commits of {place(customer_id, aggregate_id)} in the store and {self}, found "
                f"{quantity(below, 'commit')} up to its floor and none of some others. Name the archive that has them "
                "too.",
                customer_id=customer_id,
                aggregate_id=aggregate_id,
            )
        return commits

    def check(self) -> int:
        """Read everything: files are proved by their sha256, commits by their checksums; returns the number of rows.

        Raises `Unreadable` for the first one that isn't what was written.
        """
        self._look()
        self._proved.clear()
        rows = 0
        for row in self._rows(self._files.values()):
            events_in_json(row.customer_id, row.commit)
            rows += 1
        return rows

    def known(self, customer_id: str, commits: Iterable[Commit]) -> set[Commit]:
        """Those of a customer's commits that are archived already; reads only files of their months."""
        wanted = set(commits)
        months = {month_of(commit) for commit in wanted}
        files = [file for file in self._files_of(customer_id) if file.month in months]
        return {row.commit for row in self._rows(files, customer_id)} & wanted

    def _look(self) -> None:
        """Read the manifests that came since: another process may have written to the archive."""
        for name, manifest in manifests(self.folder, self._manifests):
            self._manifests.add(name)
            for file in manifest.files:
                self._files[file.path] = file
                for customer_id in file.customers:
                    self._of_customers[customer_id][file.path] = file

    def _files_of(self, customer_id: str) -> list[ArchivedFile]:
        self._look()
        return list(self._of_customers[customer_id].values()) if customer_id in self._of_customers else []

    def _rows(self, files: Iterable[ArchivedFile], customer_id: str | None = None) -> Iterator[Row]:
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
        rows = [Row(customer_id, commit, events_in_json(customer_id, commit)) for commit in new]
        self.rows += rows
        return len(rows)

    def flush(self) -> None:
        """Write what was taken as one segment: when this returns, it is on the disk, and was read back as it is."""
        if self.rows:
            write_segment(self.archive.folder, self.rows)
            self.rows = []


def events_in_json(customer_id: str, commit: Commit) -> str | None:
    """The events of a commit as JSON, in the versions in which they were stored; None if they are encrypted.

    Raises `Unreadable` for a commit that its checksum doesn't prove. A skipped row has none.
    """
    try:
        envelope = decode_envelope(commit.payload, Checksum.of_commits(customer_id, commit.aggregate_id))
        if envelope.format == SKIPPED or is_encrypted(envelope):
            return None
        return msgspec.json.encode(in_json(raw_events(envelope))).decode()
    except Unreadable as error:
        raise unreadable(customer_id, commit, error) from error


def merged(commits: Iterable[Commit]) -> list[Commit]:
    """A customer's commits from several places, in order, each key once: the greater payload counts (G1)."""
    found: dict[tuple[str, UUID], Commit] = {}
    for commit in commits:
        key = commit.aggregate_id, commit.event_time
        found[key] = max(found.get(key, commit), commit, key=lambda one: one.payload)
    return sorted(found.values(), key=lambda one: (one.aggregate_id.encode(), sort_key(one.event_time)))


def _folded_at_floor(customer_id: str, aggregate_id: str, head: Head) -> int:
    """The number of commits that the snapshot on the floor adds up; 0 if nothing tells it."""
    for snapshot in head.snapshots:
        if snapshot.up_to == head.floor:
            with suppress(Unreadable):
                return parse_snapshot(customer_id, aggregate_id, snapshot).commits
    return 0


def _begins_late(commits: Sequence[Commit], head: Head) -> bool:
    """Do these commits begin later than the aggregate did?"""
    return head.first is not None and (not commits or commits[0].event_time.time > head.first.time)
