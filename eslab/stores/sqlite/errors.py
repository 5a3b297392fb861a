"""The errors of SQLite in the words of eslab: which `StoreError` each one becomes, and what to do next."""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from eslab.errors import StoreError, StoreFull, StoreReadOnly, StoreUnavailable
from eslab.stores.errors import closed

AGAIN = "Send the same request again, or raise ?timeout=."


@contextmanager
def translate_errors(path: Path) -> Generator[None, None, None]:
    """Raise a `StoreError` in place of SQLite's error; it names the file and what to do."""
    try:
        yield
    except sqlite3.ProgrammingError as error:
        raise closed(f"{path} ({error})") from error
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0)
        # The low byte is the kind, the rest the detail.
        kind, advice = MEANINGS.get(code) or MEANINGS.get(code & 0xFF, (StoreError, "Check the file and the disk."))
        raise kind(f"{path}: {error}. {advice}") from error


MEANINGS = {
    sqlite3.SQLITE_BUSY: (
        StoreUnavailable,
        f"Another writer held the lock for too long. {AGAIN}",
    ),
    sqlite3.SQLITE_LOCKED: (
        StoreUnavailable,
        "Another connection holds a table; send the same request again.",
    ),
    sqlite3.SQLITE_READONLY: (
        StoreReadOnly,
        "Open it with mode=rw and with the right to write. Nothing was written.",
    ),
    sqlite3.SQLITE_READONLY_DIRECTORY: (
        StoreReadOnly,
        "SQLite keeps its log beside the file, and this user may not write that folder. Open the store with ?mode=ro "
        "to read only, or give this user the right to write the folder. Nothing was written.",
    ),
    sqlite3.SQLITE_FULL: (
        StoreFull,
        "Make room on the disk, then send the same request again. Nothing was written.",
    ),
    sqlite3.SQLITE_CANTOPEN: (StoreUnavailable, "Check that the folder exists and may be read and written."),
    sqlite3.SQLITE_IOERR: (StoreUnavailable, "The disk failed; check it, then send the same request again."),
    sqlite3.SQLITE_NOTADB: (StoreError, "This is no SQLite file; name another one in the URL."),
    sqlite3.SQLITE_CORRUPT: (StoreError, "The file is damaged; restore it from a backup."),
}
