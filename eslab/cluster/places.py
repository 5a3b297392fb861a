"""Where things are kept: jars in the user's cache, nodes and their data in the user's data folder."""

import getpass
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import platformdirs

from eslab.cluster.errors import ClusterError

LOCK_PATIENCE = 60.0


def cache_folder() -> Path:
    """What can be fetched again lives here: `ESLAB_CACHE`, or the user's cache folder."""
    return _from_environment("ESLAB_CACHE") or platformdirs.user_cache_path("eslab", appauthor=False)


def clusters_folder() -> Path:
    """One folder per cluster, with its nodes, their data and logs: in `ESLAB_DATA`, or the user's data folder."""
    home = _from_environment("ESLAB_DATA") or platformdirs.user_data_path("eslab", appauthor=False)
    return home / "clusters"


@contextmanager
def locked() -> Iterator[Path]:
    """Only one process of this user at a time takes names and addresses, whatever its data folder is.

    The lock ends with its holder, however that ends.
    """
    folder = clusters_folder()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock_file = Path(tempfile.gettempdir()) / f"eslab-{getpass.getuser()}" / "clusters.lock"
    lock_file.parent.mkdir(exist_ok=True, mode=0o700)
    # SQLite's is the one file lock in the standard library that works on every system.
    with closing(sqlite3.connect(lock_file, timeout=LOCK_PATIENCE, isolation_level=None)) as lock:
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            raise ClusterError(
                f"Expected to be the only one who starts or stops a cluster, found {lock_file} locked by "
                f"another process for {LOCK_PATIENCE:.0f} s ({error}). Try again when that one has finished."
            ) from None
        yield folder


def _from_environment(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return Path(value).expanduser().absolute() if value else None
