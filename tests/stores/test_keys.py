"""Customers' keys: made once, destroyed once, never shown; the promises of `eslab.payload.encryption.KeyProvider`."""

import logging
import os
import signal
import stat
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from eslab import Forgotten, InvalidInput, StoreClosed, Unreadable, open_store
from eslab.payload.encryption import KeyProvider
from eslab.stores.keys import FileKeys, MemoryKeys, make_master
from tests.support.sample import ROOT

CUSTOMERS = ["ann", "bob", "ключ", "a/b\0c", "x" * 1024]
IMPORTS = "import sys; from hashlib import sha256; from eslab.stores.keys import FileKeys"


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """The paths of a key file, not yet made, and of a master key."""
    make_master(tmp_path / "master.key", Random(7).randbytes)
    return tmp_path / "keys.db", tmp_path / "master.key"


@pytest.fixture(params=["memory", "file"])
def keys(request: pytest.FixtureRequest, files: tuple[Path, Path]) -> KeyProvider:
    """A key provider of each kind, empty; keys follow from a seed."""
    return (
        MemoryKeys(Random(7).randbytes) if request.param == "memory" else FileKeys(*files, chance=Random(7).randbytes)
    )


def test_a_key_is_made_once(keys: KeyProvider) -> None:
    """Whoever asks to make it again gets the same 32 bytes; looking for it makes none."""
    for customer in CUSTOMERS:
        assert keys.key(customer) is None
        made = keys.make(customer)
        assert len(made) == 32
        assert keys.make(customer) == keys.key(customer) == made
    assert len({keys.key(customer) for customer in CUSTOMERS}) == len(CUSTOMERS)


@pytest.mark.parametrize("made", [False, True])
def test_a_destroyed_key_is_never_made_anew(keys: KeyProvider, made: bool) -> None:
    """Whether it was made before or not, and however often it is destroyed; others keep theirs."""
    others = keys.make("bob")
    if made:
        keys.make("ann")
    for _ in range(2):
        keys.destroy("ann")
        for call in (keys.key, keys.make):
            with pytest.raises(Forgotten, match=r"customer 'ann' was destroyed.*new customer id"):
                call("ann")
    assert keys.key("bob") == others


def test_keys_in_a_file_are_there_when_it_is_opened_again(files: tuple[Path, Path]) -> None:
    """Made keys, and tombstones."""
    first = FileKeys(*files)
    made = first.make("ann")
    first.destroy("bob")
    first.close()
    again = FileKeys(*files)
    assert again.key("ann") == made
    with pytest.raises(Forgotten):
        again.key("bob")


def test_a_destroyed_key_leaves_nothing_in_the_file(files: tuple[Path, Path]) -> None:
    """What stood there is overwritten, so that even the holder of the master key finds nothing."""
    keys = FileKeys(*files)
    for customer in CUSTOMERS:
        keys.make(customer)
    wrapped = [each for (each,) in keys._database.execute("SELECT wrapped FROM keys")]
    assert all(each in files[0].read_bytes() for each in wrapped)
    for customer in CUSTOMERS:
        keys.destroy(customer)
    left = b"".join(path.read_bytes() for path in files[0].parent.iterdir())
    assert [each for each in wrapped if each[:16] in left or each[16:32] in left] == []


def children(number: int, code: str, *arguments: Any) -> list[subprocess.Popen[str]]:
    """Processes that begin `code` when they get a line, all ready to."""
    waiting = f"{IMPORTS}; print('ready', flush=True); sys.stdin.readline()\n{code}"
    started = [
        subprocess.Popen([sys.executable, "-c", waiting, *map(str, arguments)], cwd=ROOT, text=True,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(number)
    ]  # fmt: skip
    for child in started:
        assert child.stdout and child.stdout.readline() == "ready\n"
    return started


def test_eight_processes_that_make_a_key_at_once_get_one(files: tuple[Path, Path]) -> None:
    """Fifty times in a row; whoever comes second takes what the first made."""
    code = "keys = FileKeys(*sys.argv[1:]); [print(sha256(keys.make(f'c{i}')).hexdigest()) for i in range(50)]"
    started = children(8, code, *files)
    for child in started:
        assert child.stdin
        child.stdin.write("\n")
        child.stdin.flush()
    said = {child.communicate()[0] for child in started}
    assert [child.returncode for child in started] == [0] * 8
    assert len(said) == 1 and len(set(said.pop().split())) == 50


@pytest.mark.parametrize("after", [1, 7, 40])
def test_G2_kill_9_in_the_middle_of_making_keys_loses_none_that_was_given(files: tuple[Path, Path], after: int) -> None:
    """A key that somebody has is in the file; the file is whole, and goes on."""
    code = """
keys, i = FileKeys(*sys.argv[1:]), 0
while True:
    print(i, sha256(keys.make(f"c{i}")).hexdigest(), flush=True)
    i += 1"""
    given = dict(line.split() for line in killed(code, after, *files))
    keys = FileKeys(*files)
    assert len(given) >= after
    assert {number: digest(keys.key(f"c{number}")) for number in given} == given
    keys.make("next")


@pytest.mark.parametrize("after", [1, 5, 20])
def test_G2_kill_9_in_the_middle_of_a_rotation_leaves_every_key_readable(
    files: tuple[Path, Path], after: int, tmp_path: Path
) -> None:
    """All are wrapped by the one master key or all by the other, and both together read them."""
    make_master(tmp_path / "new.key", Random(8).randbytes)
    keys = FileKeys(*files)
    made = {f"c{i}": keys.make(f"c{i}") for i in range(300)}
    code = """
path, one, two = sys.argv[1:]
while True:
    one, two = two, one
    print(FileKeys(path, one, two).rotate(), flush=True)"""
    assert set(killed(code, after, *files, tmp_path / "new.key")) == {"300"}
    both = FileKeys(*files, tmp_path / "new.key")
    assert {customer: both.key(customer) for customer in made} == made
    assert both.rotate() in (0, 300)
    assert {customer: FileKeys(*files).key(customer) for customer in made} == made


def killed(code: str, after: int, *arguments: Any) -> list[str]:
    """The whole lines that a process said before it was killed, which was after so many of them."""
    (child,) = children(1, code, *arguments)
    assert child.stdin and child.stdout
    child.stdin.write("\n")
    child.stdin.flush()
    lines = [child.stdout.readline() for _ in range(after)]
    os.kill(child.pid, signal.SIGKILL)
    lines += child.stdout.readlines()
    child.communicate()
    return [line.strip() for line in lines if line.endswith("\n")]


def digest(key: bytes | None) -> str:
    from hashlib import sha256

    return sha256(key or b"").hexdigest()


def test_rotation_wraps_by_the_first_master_key(files: tuple[Path, Path], tmp_path: Path) -> None:
    """The keys stay, the old master key is of no use any more, and tombstones stay tombstones."""
    path, old = files
    make_master(new := tmp_path / "new.key", Random(8).randbytes)
    keys = FileKeys(path, old)
    made = keys.make("ann")
    keys.destroy("bob")
    both = FileKeys(path, new, old)
    assert both.key("ann") == made
    assert (both.rotate(), both.rotate()) == (1, 0)
    assert FileKeys(path, new).key("ann") == made
    with pytest.raises(InvalidInput, match=r"Expected the master key [0-9a-f]{16} for customer 'ann' .*name its file"):
        keys.key("ann")
    with pytest.raises(Forgotten):
        FileKeys(path, new).key("bob")


def test_G8_a_wrapped_key_that_was_changed_or_moved_is_named(files: tuple[Path, Path]) -> None:
    """A flipped bit, and the key of another customer."""
    keys = FileKeys(*files)
    keys.make("ann")
    keys.make("bob")
    keys._database.execute("UPDATE keys SET wrapped = (SELECT wrapped FROM keys WHERE customer_id = 'ann')")
    keys.key("ann")
    with pytest.raises(Unreadable, match=r"Unreadable key of customer 'bob' in .*keys.db.*[Rr]estore the file"):
        keys.key("bob")


@pytest.mark.skipif(os.name != "posix", reason="files have no modes here")
def test_only_the_owner_may_read(files: tuple[Path, Path]) -> None:
    """Both files are made with mode 600, and a master key that others may read is refused."""
    FileKeys(*files)
    assert [stat.S_IMODE(path.stat().st_mode) for path in files] == [0o600, 0o600]
    files[1].chmod(0o640)
    with pytest.raises(InvalidInput, match="only its owner may read, found mode 640; run: chmod 600"):
        FileKeys(*files)


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "No such file"), ("", "64 hexadecimal digits"), ("ab" * 31, "64 hexa"), ("é" * 64, "64 hexa")],
)
def test_a_master_key_that_is_none_is_refused(tmp_path: Path, text: str | None, message: str) -> None:
    """Missing, empty, too short, or no hexadecimal digits; what stands there is not shown."""
    path = tmp_path / "master.key"
    if text is not None:
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
    with pytest.raises(InvalidInput, match=message) as raised:
        FileKeys(tmp_path / "keys.db", path)
    assert not text or text not in str(raised.value)


def test_a_master_key_is_never_overwritten(files: tuple[Path, Path]) -> None:
    """All customers' keys hang on it."""
    before = files[1].read_text()
    with pytest.raises(InvalidInput, match="File exists"):
        make_master(files[1])
    assert files[1].read_text() == before


def test_a_key_file_in_no_folder_is_refused(files: tuple[Path, Path]) -> None:
    """With its path."""
    with pytest.raises(InvalidInput, match=r"none.keys.db.*No such file"):
        FileKeys(files[0].parent / "none" / "keys.db", files[1])


def test_a_key_file_that_is_a_store_is_refused(files: tuple[Path, Path]) -> None:
    """Keys beside the events that they unlock would be copied with them."""
    open_store(f"sqlite:///{files[0]}").close()
    with pytest.raises(
        InvalidInput, match=r"found tables \['aggregates', 'checkpoints', 'events', 'snapshots'\]; keep the keys apart"
    ):
        FileKeys(*files)


def test_closed_keys_say_so(files: tuple[Path, Path]) -> None:
    """Closing twice is fine."""
    keys = FileKeys(*files)
    keys.close()
    keys.close()
    with pytest.raises(StoreClosed, match=r"The keys are closed: .*keys\.db\. Open them again\."):
        keys.key("ann")


def test_no_secret_is_shown(files: tuple[Path, Path], caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """Neither the master key nor a customer's stands in a repr, a log, an error or its traceback, in any form."""
    caplog.set_level(logging.DEBUG)
    keys = FileKeys(*files)
    secrets = [keys.make("ann"), bytes.fromhex(files[1].read_text())]
    make_master(tmp_path / "other.key")
    shown = [repr(keys), str(vars(keys)), caplog.text]
    for provoke in (
        lambda: FileKeys(files[0], tmp_path / "other.key").key("ann"),
        lambda: (keys.destroy("ann"), keys.make("ann")),
        lambda: FileKeys(files[0], tmp_path),
    ):
        shown.append(error_of(provoke))
    for secret in secrets:
        for form in (secret.hex(), repr(secret)[2:-1], str(list(secret))[1:-1]):
            assert not [text for text in shown if form in text]


def error_of(call: Callable[[], Any]) -> str:
    """The whole traceback of what a call raises, with what it came from."""
    try:
        call()
    except Exception as error:
        return "".join(traceback.TracebackException.from_exception(error).format())
    raise AssertionError("Expected an error.")
