"""The folders of this user: a cache for jars, clusters with their data; and the lock on all clusters."""

import getpass
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import platformdirs

from eslab.cluster.errors import ClusterError

LOCK_PATIENCE = 60.0  # seconds; another start holds the lock until its supervisor runs


def cache_folder() -> Path:
    """The folder for everything that can be fetched again: `ESLAB_CACHE`, or the user's cache folder."""
    return _from_environment("ESLAB_CACHE") or platformdirs.user_cache_path("eslab", appauthor=False)


def clusters_folder() -> Path:
    """The folder with one folder per cluster: in `ESLAB_DATA`, or in the user's data folder."""
    home = _from_environment("ESLAB_DATA") or platformdirs.user_data_path("eslab", appauthor=False)
    return home / "clusters"


@contextmanager
def locked() -> Iterator[Path]:
    """Hold the lock on all clusters of this user, without which nobody takes a name or an address.

    The lock ends with its holder, even by kill -9. Raises ClusterError if another process holds it for a minute.
    """
    folder = clusters_folder()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Outside the data folder: clusters in different data folders compete for the same addresses.
    lock_file = Path(tempfile.gettempdir()) / f"eslab-{getpass.getuser()}" / "clusters.lock"
    lock_file.parent.mkdir(exist_ok=True, mode=0o700)
    # SQLite has the only file lock in the standard library that works on every system.
    with closing(sqlite3.connect(lock_file, timeout=LOCK_PATIENCE, isolation_level=None)) as lock:
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            raise ClusterError(
                f"Another process is starting or stopping a cluster: {lock_file} has been locked for "
                f"{LOCK_PATIENCE:.0f} s ({error}). Try again when that process has finished."
            ) from None
        yield folder


def _from_environment(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return Path(value).expanduser().absolute() if value else None
