"""Where an SQLite file is: any name on any system, folders that can't be written, and paths that are no file."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from random import Random
from urllib.parse import quote, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eslab import StoreError, StoreReadOnly, StoreUnavailable, open_store
from eslab.errors import EslabError
from eslab.stores import existing
from eslab.stores.keys import FileKeys, make_master
from eslab.stores.sqlite.file import uri_of
from tests.support.sample import ROOT, fill, row, rows

NAMES = [
    "a b.db", "c#.db", "what?.db", "50%25 off.db", "100%.db", "ключ 名前.db", "mode=memory&cache=shared.db", "a;b.db",
    "file:x.db", ":memory:", "it's.db", 'say "hi".db', "a\nb.db", "back\\slash.db", "-wal", ".db",
]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        (PurePosixPath("/tmp/lab.db"), "file:///tmp/lab.db"),
        (PurePosixPath("/tmp/50%25 off?#.db"), "file:///tmp/50%2525%20off%3F%23.db"),
        (PurePosixPath("//tmp/lab.db"), "file:////tmp/lab.db"),
        (PurePosixPath("/ü/名.db"), "file:///%C3%BC/%E5%90%8D.db"),
        (PureWindowsPath(r"C:\lab\a b.db"), "file:///C:/lab/a%20b.db"),
        (PureWindowsPath("d:/c#?.db"), "file:///d:/c%23%3F.db"),
        (PureWindowsPath(r"\\server\share\lab 1.db"), "file:////server/share/lab%201.db"),
    ],
    ids=str,
)
def test_the_uri_of_a_path(path: PurePath, uri: str) -> None:
    """As SQLite reads it: no host, drives after the third slash, everything else quoted."""
    assert uri_of(path) == uri


@given(st.lists(st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1), min_size=1))
def test_a_uri_leads_back_to_its_path(parts: list[str]) -> None:
    """Nothing in a name is taken for a query, a fragment or an escape."""
    path = PurePosixPath("/", *parts)
    split = urlsplit(uri_of(path))
    assert (split.scheme, split.netloc, split.query, split.fragment) == ("file", "", "", "")
    assert unquote(split.path) == str(path)


@pytest.mark.parametrize("name", NAMES)
def test_a_store_may_have_any_name(tmp_path: Path, name: str) -> None:
    """The file has that name, and no other file is made."""
    (tmp_path / "folder").mkdir()
    path = tmp_path / "folder" / name
    with closing(open_store(f"sqlite:///{quote(str(path))}")) as store:
        store.append("ann", [row()])
    with closing(open_store(existing(f"sqlite:///{quote(str(path))}"))) as store:
        assert rows(store) == [row()]
    assert [file.name for file in path.parent.iterdir()] == [name]


@pytest.mark.parametrize("name", NAMES)
def test_a_key_file_may_have_any_name(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also as a relative path; keys under ":memory:" would be gone with the process."""
    monkeypatch.chdir(tmp_path)
    make_master("master.key", Random(7).randbytes)
    with closing(FileKeys(name, "master.key")) as keys:
        made = keys.make("ann")
    with closing(FileKeys(tmp_path / name, "master.key")) as keys:
        assert keys.key("ann") == made
    assert {file.name for file in tmp_path.iterdir()} == {name, "master.key"}


@pytest.mark.parametrize("url", ["sqlite:///mode=here.db", "sqlite:///a.db?timeout=1", "sqlite:///what%3Fmode=x.db"])
def test_a_name_that_looks_like_an_option_makes_no_file(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands open only what exists."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreUnavailable, match="unable to open"):
        open_store(existing(url))
    assert list(tmp_path.iterdir()) == []


# Folders that can't be written

AS_NOBODY = """
import json, os, sys
from eslab import EslabError, open_store
import eslab.stores.sqlite
from tests.support.sample import row, rows
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
said = {}
for url in sys.argv[1:]:
    try:
        store = open_store(url)
        said[url] = [len(rows(store))]
        try:
            store.append("ann", [row(99)])
        except EslabError as error:
            said[url].append(f"{type(error).__name__}: {error}")
        store.close()
    except EslabError as error:
        said[url] = [f"{type(error).__name__}: {error}"]
print(json.dumps(said))
"""
not_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become another user"
)


@pytest.fixture
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that others may read and not write, and every folder above it too."""
    folder = tmp_path_factory.mktemp("shared")
    for each in (folder, *folder.parents):
        if each.stat().st_uid == os.geteuid() and each != Path("/"):
            each.chmod(each.stat().st_mode | 0o055)
    return folder


def as_nobody(path: Path, *options: str) -> list[list[str | int]]:
    """What another user gets who opens the file with each option: the number of rows, or the error."""
    urls = [f"sqlite:///{path}{option}" for option in options]
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, *urls], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"the other user can't run Python here: {done.stderr[-200:]}")
    said = json.loads(done.stdout)
    return [said[url] for url in urls]


@not_root
def test_a_file_that_was_closed_is_read_in_a_folder_that_is_read_only(shared: Path) -> None:
    """`?mode=ro` opens it; a write is refused; other modes say what to do."""
    path = shared / "lab.db"
    with closing(open_store(f"sqlite:///{path}")) as store:
        fill(store, 3)
    ro, rw, rwc = as_nobody(path, "?mode=ro", "?mode=rw", "")
    assert ro[0] == 3 and str(ro[1]).startswith("StoreReadOnly: ")
    for (said,) in (rw, rwc):
        assert str(said).startswith("StoreReadOnly: ") and "?mode=ro" in str(said) and "mode=rw" not in str(said)
    assert [file.name for file in shared.iterdir()] == ["lab.db"]


@not_root
def test_a_file_is_read_while_its_owner_has_it_open(shared: Path) -> None:
    """Then SQLite reads the log that the owner keeps."""
    path = shared / "lab.db"
    with closing(open_store(f"sqlite:///{path}")) as store:
        fill(store, 3)
        (ro,) = as_nobody(path, "?mode=ro")
        assert ro[0] == 3


@not_root
def test_a_log_that_can_not_be_read_is_never_left_out(shared: Path) -> None:
    """Its writer was killed and the index of its log is gone: the reason, and two ways on; never the older rows."""
    path, away = shared / "lab.db", shared / "killed.db"
    with closing(open_store(f"sqlite:///{path}")) as store:
        fill(store, 3)
        shutil.copy(path, away)
        shutil.copy(f"{path}-wal", f"{away}-wal")
    (said,) = as_nobody(away, "?mode=ro")
    assert "StoreUnavailable: " in str(said[0]) and "killed.db-wal" in str(said[0]) and "copy" in str(said[0])
    assert "mode=rw" not in str(said[0])
    with closing(open_store(f"sqlite:///{away}")) as store:
        assert len(rows(store)) == 3


@not_root
def test_a_file_that_may_not_be_written_is_read_in_any_mode(shared: Path) -> None:
    """In a folder that may be written."""
    path = shared / "lab.db"
    with closing(open_store(f"sqlite:///{path}")) as store:
        fill(store, 3)
    shared.chmod(0o777)
    for said in as_nobody(path, "?mode=ro", "?mode=rw"):
        assert said[0] == 3 and str(said[1]).startswith("StoreReadOnly: ")


@not_root
def test_a_file_that_may_not_be_read_says_so(shared: Path) -> None:
    """In every mode."""
    path = shared / "lab.db"
    open_store(f"sqlite:///{path}").close()
    path.chmod(0o600)
    for (said,) in as_nobody(path, "?mode=ro", "?mode=rw"):
        assert "unable to open database file" in str(said) and "read" in str(said)


@not_root
def test_a_disk_that_is_mounted_read_only(tmp_path: Path) -> None:
    """Root can't write there either."""
    inside, view = tmp_path / "inside", tmp_path / "view"
    inside.mkdir()
    view.mkdir()
    with closing(open_store(f"sqlite:///{inside}/lab.db")) as store:
        fill(store, 3)
    if subprocess.run(["mount", "--bind", "-o", "ro", inside, view], capture_output=True, check=False).returncode:
        pytest.skip("mounting needs the right to do so")
    try:
        if subprocess.run(["mount", "-o", "remount,ro,bind", view], capture_output=True, check=False).returncode:
            pytest.skip("mounting read-only needs the right to do so")
        with closing(open_store(f"sqlite:///{view}/lab.db?mode=ro")) as store:
            assert len(rows(store)) == 3
            with pytest.raises(StoreReadOnly):
                store.append("ann", [row(9)])
    finally:
        subprocess.run(["umount", "-l", view], check=True)


def test_a_frozen_file_that_is_written_after_all_gives_no_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the owner is still at work or has closed the store: an error that says to open it again."""
    path = tmp_path / "lab.db"
    with closing(open_store(f"sqlite:///{path}")) as store:
        fill(store, 3)
    connect = sqlite3.connect

    def read_only_folder(name: str, **options: object) -> sqlite3.Connection:
        if "immutable" in name or "mode=ro" not in name:
            return connect(name, **options)  # type: ignore[arg-type]
        error = sqlite3.OperationalError("attempt to write a readonly database")
        error.sqlite_errorcode = sqlite3.SQLITE_READONLY_DIRECTORY
        raise error

    monkeypatch.setattr(sqlite3, "connect", read_only_folder)
    with closing(open_store(f"sqlite:///{path}?mode=ro")) as frozen:
        assert len(rows(frozen)) == 3
        with closing(open_store(f"sqlite:///{path}")) as owner:
            owner.append("ann", [row(3)])
            with pytest.raises(StoreUnavailable, match=r"was written while it was read .*\. Open the store again\."):
                rows(frozen)
        with pytest.raises(StoreUnavailable, match="Open the store again"):
            rows(frozen)
    with closing(open_store(f"sqlite:///{path}?mode=ro")) as frozen:
        assert len(rows(frozen)) == 4


# Paths that are no file


@pytest.mark.parametrize("option", ["", "?mode=rw", "?mode=ro"])
def test_a_folder_is_named_as_one(tmp_path: Path, option: str) -> None:
    """In every mode."""
    with pytest.raises(StoreUnavailable, match=rf"{tmp_path}: unable to open .*, since this is a folder\. Name a file"):
        open_store(f"sqlite:///{tmp_path}{option}")


@pytest.mark.parametrize("option", ["?mode=rw", "?mode=ro"])
def test_a_file_that_is_missing_is_named_as_missing(tmp_path: Path, option: str) -> None:
    """With what would make it."""
    with pytest.raises(StoreUnavailable, match=r"since there is none\. Check the name; without mode=r"):
        open_store(f"sqlite:///{tmp_path}/lab.db{option}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["", "?mode=rw", "?mode=ro"])
def test_a_path_through_a_file_is_refused(tmp_path: Path, option: str) -> None:
    """A file where a folder should be."""
    (tmp_path / "file").write_text("text")
    with pytest.raises(StoreUnavailable, match="unable to open"):
        open_store(f"sqlite:///{tmp_path}/file/lab.db{option}")


@pytest.mark.parametrize("mode", ["rwc", "rw", "ro"])
@pytest.mark.parametrize("content", [b"", b"dear diary, today"])
def test_a_file_that_is_no_store_says_so(tmp_path: Path, mode: str, content: bytes) -> None:
    """And stays as it is; only an empty one becomes a store, if the mode allows it."""
    path = tmp_path / "diary.txt"
    path.write_bytes(content)
    if not content and mode != "ro":
        open_store(f"sqlite:///{path}?mode={mode}").close()
        return
    with pytest.raises(StoreError, match=r"another file|This is no SQLite file"):
        open_store(f"sqlite:///{path}?mode={mode}")
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "make", [lambda path: path.mkdir(), lambda path: path.write_bytes(b"dear diary" * 200)], ids=["folder", "text"]
)
def test_a_key_file_that_is_none_is_refused(tmp_path: Path, make: Callable[[Path], object]) -> None:
    """With its path."""
    make_master(tmp_path / "master.key", Random(7).randbytes)
    make(tmp_path / "keys.db")
    with pytest.raises(EslabError, match=r"keys\.db"):
        FileKeys(tmp_path / "keys.db", tmp_path / "master.key")
