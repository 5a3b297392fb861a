"""The folders of this user: a cache for jars, clusters with their data; and the lock on all clusters."""

import getpass
import os
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import platformdirs

from eslab.cluster.errors import ClusterError

MAX_BYTES = 700  # in the path of a folder; Cassandra adds some 300, and macOS ends at 1,024
NOT_IN_A_JAR = (os.pathsep, "=", "!")  # Java ends the path of a jar there
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
    try:
        lock = sqlite3.connect(lock_file, timeout=LOCK_PATIENCE, isolation_level=None)
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise OSError(0, str(error), str(lock_file)) from None
        raise ClusterError(
            f"Another process is starting or stopping a cluster: {lock_file} has been locked for "
            f"{LOCK_PATIENCE:.0f} s ({error}). Try again when that process has finished."
        ) from None
    with closing(lock):
        yield folder


@contextmanager
def usable_folders() -> Iterator[None]:
    """Check the folders before anything is started in them; a folder or disk that fails inside is named as well.

    Raises ClusterError.
    """
    _check_folder(clusters_folder(), "ESLAB_DATA")
    _check_folder(cache_folder(), "ESLAB_CACHE", NOT_IN_A_JAR)
    try:
        yield
    except OSError as error:
        raise ClusterError(
            f"Could not use {error.filename or 'a file of the cluster'}: {error.strerror or error}. Clusters need two "
            f"folders that can be written, with some 300 MB of room: {clusters_folder()} (set by ESLAB_DATA) and "
            f"{cache_folder()} (ESLAB_CACHE)."
        ) from error


def _check_folder(folder: Path, variable: str, forbidden: Iterable[str] = ()) -> None:
    if reason := _reason_against(str(folder), forbidden):
        raise ClusterError(f"Expected a folder that Cassandra can use, got {str(folder)!a}: {reason}. Set {variable}.")


def _reason_against(path: str, forbidden: Iterable[str]) -> str:
    """The reason why Cassandra can't use this path, or ""."""
    try:
        length = len(path.encode())
    except UnicodeEncodeError:
        return "its name is not in UTF-8, or Python does not read names as UTF-8 here (PYTHONUTF8=1 makes it)"
    if length > MAX_BYTES:
        return f"it has {length} bytes, and Cassandra needs {MAX_BYTES} at most"
    for sign in path:
        if not sign.isprintable() or sign > "\uffff":  # above that, Java can't decode its own URL of a folder
            return f"Java can't read a name with {sign!a}"
        if sign in forbidden:
            return f"Java can't find jars in a folder with {sign!r}"
    return ""


def _from_environment(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return Path(value).expanduser().absolute() if value else None
