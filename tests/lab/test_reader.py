"""The reader's record survives whatever happens to its file, and is left alone without a reader."""

import json
from pathlib import Path

import pytest

from eslab.lab import reader


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """The reader's folder is empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_was_kept_is_recalled():
    """By its section and name; the file is JSON that a person can read."""
    assert reader.recall(reader.DONE, "01_frosting") is None
    reader.keep(reader.DONE, "01_frosting", True)
    reader.keep(reader.GUESSES, "How many? ✓", 2)
    assert reader.recall(reader.DONE, "01_frosting") is True
    assert json.loads(Path(reader.FILE).read_text()) == {"done": {"01_frosting": True}, "guesses": {"How many? ✓": 2}}


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"done": 3}', "null"])
def test_a_broken_file_is_moved_aside(content):
    """The record begins again, and nothing of the old file is lost."""
    Path(reader.FILE).write_text(content)
    assert reader.recall(reader.DONE, "01_frosting") is None
    reader.keep(reader.DONE, "01_frosting", True)
    assert reader.recall(reader.DONE, "01_frosting") is True
    assert Path(f"{reader.FILE}.broken").read_text() == content


def test_bytes_that_are_no_text_are_moved_aside(folder):
    """They are as broken as half a file."""
    Path(reader.FILE).write_bytes(b"\xff\xfe\x00")
    assert reader.recall(reader.DONE, "01_frosting") is None
    assert Path(f"{reader.FILE}.broken").read_bytes() == b"\xff\xfe\x00"


def test_a_record_that_cannot_be_written_stops_nobody(folder):
    """Here a folder has its name."""
    Path(reader.FILE).mkdir()
    reader.keep(reader.DONE, "01_frosting", True)
    assert reader.recall(reader.DONE, "01_frosting") is None


def test_without_a_reader_nothing_is_read_or_written(folder, monkeypatch):
    """A report is the same, whoever's folder it is made in."""
    reader.keep(reader.DONE, "01_frosting", True)
    before = Path(reader.FILE).read_text()
    monkeypatch.setenv(reader.ALONE, "1")
    reader.keep(reader.DONE, "02_downloads", True)
    assert reader.recall(reader.DONE, "01_frosting") is None
    assert Path(reader.FILE).read_text() == before


def test_a_text_never_replaces_another(folder):
    """The same text is kept once."""
    names = [reader.keep_text("at_least", text).as_posix() for text in ("one", "two", "one", "two", "three")]
    assert names == [f"answers/at_least{end}.py" for end in ("", "-2", "", "-2", "-3")]
