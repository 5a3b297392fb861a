"""A file that is read without locks and without its log, where SQLite may write neither.

It serves `?mode=ro` in a folder that can't be written.

To read a file with a write-ahead log, SQLite writes two files beside it. Where it may not, it can still read a file
that nobody changes, as it does on a read-only disk. That is safe while the log is empty and the file is the same; both
are checked after every read.
"""

import os
import sqlite3
from pathlib import Path

from eslab.errors import StoreError, StoreUnavailable

LOGS = ("-wal", "-journal")  # beside a file, while a writer is at work or after one that was killed
CANT_WRITE = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)


class Frozen:
    """A file as it was when it was opened."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = _state(path)

    def check(self) -> None:
        """Raise `StoreUnavailable` if the file was written since: what was just read may be wrong."""
        if _logs(self._path) or _state(self._path) != self._seen:
            raise StoreUnavailable(
                f"{self._path} was written while it was read in a folder that this user may not write. Open the store "
                "again."
            )


def may_freeze(path: Path, error: StoreError) -> bool:
    """Can the file be read without its log, after this error? Raises the reason if only its log can't be read."""
    code = getattr(error.__cause__, "sqlite_errorcode", 0) & 0xFF
    if code not in CANT_WRITE or not os.access(path, os.R_OK):
        return False
    if logs := _logs(path):
        raise StoreUnavailable(
            f"{path}: its newest commits are in {logs[0]}, which SQLite can't read unless it may write the folder. Let "
            f"a user who may write there open and close the store once, or copy {path.name} and {logs[0]} into a "
            "folder of your own and open it there."
        ) from error
    return True


def _logs(path: Path) -> list[str]:
    """The names of the file's logs that hold something."""
    logs = [path.with_name(path.name + end) for end in LOGS]
    return [log.name for log in logs if log.exists() and log.stat().st_size]


def _state(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns
