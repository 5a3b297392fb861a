"""The names that follow from a notebook's name, which may hold anything: of its report, its store and its keyspace."""

import re
from hashlib import sha256
from os.path import relpath
from pathlib import Path
from urllib.parse import quote, urlsplit

PLACE = "{notebook}"  # in a store URL
LONGEST_FILE = 200  # bytes before the suffix; file systems allow 255, and SQLite appends up to 11
LONGEST_KEYSPACE = 48
SIDE_FILES = ("", "-wal", "-shm", "-journal")  # a SQLite file, and the files that SQLite keeps beside it


def page_name(notebook: Path) -> str:
    """The file name of a notebook's report; `index.html` belongs to the index page."""
    return f"{notebook.stem}{'.notebook' if notebook.stem.casefold() == 'index' else ''}.html"


def store_file(notebook: Path, out: Path) -> Path:
    """The SQLite file of a notebook among the outputs."""
    return out / "stores" / f"{_file_name(notebook.stem)}.db"


def fresh_store(notebook: Path, out: Path) -> str:
    """The URL of a notebook's own SQLite file, relative to its kernel's folder: reports name no folder of yours."""
    return f"sqlite:///{quote(relpath(store_file(notebook, out), notebook.parent))}"


def delete_store(notebook: Path, out: Path) -> None:
    """Delete a notebook's SQLite file and the files beside it, and no other notebook's."""
    file = store_file(notebook, out)
    for suffix in SIDE_FILES:
        file.with_name(file.name + suffix).unlink(missing_ok=True)


def store_of(url: str, notebook: Path) -> str:
    """A given store URL with the notebook's name in place of `{notebook}`; on Cassandra the keyspace ends with it.

    A lesson starts empty, so each has a keyspace of its own. A name that can't be a part of a keyspace's name is
    replaced by one that can, and that differs for each notebook.

    >>> store_of("cassandra://127.0.0.2/lab", Path("a.ipynb"))
    'cassandra://127.0.0.2/lab_a'
    """
    parts = urlsplit(url)
    if parts.scheme == "cassandra":
        path = parts.path if PLACE in url else f"{parts.path}_{PLACE}"
        room = LONGEST_KEYSPACE - len(path.removeprefix("/").replace(PLACE, ""))
        url = parts._replace(path=path.replace(PLACE, _keyspace_part(notebook.stem, room))).geturl()
    return url.replace(PLACE, quote(_file_name(notebook.stem), safe=""))


def _file_name(stem: str) -> str:
    """The name, or if it is too long its beginning and a hash."""
    name = stem.encode()
    if len(name) <= LONGEST_FILE:
        return stem
    return f"{name[: LONGEST_FILE - 9].decode(errors='ignore')}-{_hash(stem)}"


def _keyspace_part(stem: str, room: int) -> str:
    plain = re.sub("[^a-z0-9_]", "_", stem.lower())
    if plain == stem and len(plain) <= room:
        return stem
    return f"{plain[: max(0, room - 9)]}_{_hash(stem)}"


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:8]
