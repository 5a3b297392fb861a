"""Nothing from a store, a file or a server reaches a terminal with control characters, whatever the command."""

import json
import re
from contextlib import closing
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from eslab import Aggregate, ManualClock, Repository, open_store
from eslab.cli import app
from eslab.domains.downloads.read_tables import READ_TABLES
from eslab.domains.downloads.service import DownloadService
from eslab.lab import progress
from eslab.operations.inspection import inspect
from eslab.operations.inspection_text import show
from eslab.operations.rebuild import rebuild
from eslab.terminal import in_a_cell, printable
from tests.support.sample import ROOT, START, Counted, at, commits, row

# Escape, the C1 form of "escape [", carriage return, a title, a link, bell, backspace, delete, an override of
# direction, an isolate, a mark that can't be seen, a separator of lines, a lone surrogate's neighbour, markup.
HOSTILE = (
    "\x1b[2J", "\x9b31m", "\r", "\x1b]0;title\x07", "\x1b]8;;http://x\x1b\\", "\x07", "\b", "\x7f", "\u202e", "\u2066",
    "\u200b", "\u2028", "\x85", "\ufeff", "[red]x[/red]", "[link=http://x]", "\x1bc", "\\[bold]",
)  # fmt: skip
NAME = "".join(HOSTILE)


def obeyed(shown: str) -> set[str]:
    """The characters that a terminal would obey, beside rich's own colours and line breaks."""
    without_colours = re.sub(r"\x1b\[[\d;]*m", "", shown)
    return {it for it in without_colours if not it.isprintable() and it not in "\n\t"}


@given(st.text(st.characters()))
def test_whatever_a_text_holds_it_can_be_printed(text: str) -> None:
    """Only line breaks and tabs stay; in a cell not even these."""
    assert all(it.isprintable() or it in "\n\t" for it in printable(text))
    assert in_a_cell(text).isprintable()


@pytest.mark.parametrize("text", ["", "Glow", "Müller & Søn, 東京, 🎂", "a  b", "C:\\new"])
def test_a_text_without_control_characters_stays(text: str) -> None:
    """In every script."""
    assert printable(text) == in_a_cell(text) == text


def test_a_control_character_is_shown_as_its_escape() -> None:
    """So that it is seen."""
    assert printable("\x1b[2J\r\x9b\u202e\ud800\n\tx") == "\\x1b[2J\\r\\x9b\\u202e\\ud800\n\tx"
    assert in_a_cell("a\n\tb") == "a\\n\\tb"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store whose customer, ids, fields, columns and rows try everything; one row is broken."""
    url = f"sqlite:///{tmp_path_factory.mktemp('hostile')}/x.db"
    with closing(open_store(url)) as store:
        DownloadService(store, ManualClock(START)).request_download(
            NAME, NAME.replace("/", ""), "glow", at(), plan="basic"
        )
        (commit,) = commits(at(), {"counter:" + NAME: [Counted(NAME)]}, customer=NAME)
        store.append(NAME, [commit._replace(event_type=NAME)])
        store.append(NAME, [row(1, id="licence:" + NAME)._replace(event_type=NAME)])
        rebuild(Repository(store, ManualClock(START), read_tables=READ_TABLES))
    return url


COMMANDS: dict[str, list[str]] = {
    "inspect": ["inspect", "--customer", NAME],
    "inspect with code": ["inspect", "--customer", NAME, "--module", "eslab.domains.downloads", "--raw"],
    "inspect as json": ["inspect", "--customer", NAME, "--json"],
    "inspect nobody": ["inspect", "--customer", "x" + NAME],
    "rebuild": ["read-tables", "rebuild"],
    "catch-up": ["read-tables", "catch-up"],
    "status": ["read-tables", "status"],
    "restore": ["row", "restore", "--customer", NAME, "--aggregate", "licence:" + NAME, "--event-time", str(at(1).id)],
    "restore nothing": ["row", "restore", "--customer", NAME, "--aggregate", NAME, "--event-time", str(at(1).id)],
    "skip": ["row", "skip", "--customer", NAME, "--aggregate", "licence:" + NAME, "--event-time", str(at(1).id),
             "--reason", NAME],
    "skip nothing": ["row", "skip", "--customer", NAME, "--aggregate", NAME, "--event-time", NAME, "--reason", "x"],
}  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("traceback", [[], ["--traceback"]])
def test_no_command_prints_what_a_terminal_obeys(url: str, command: str, traceback: list[str]) -> None:
    """On stdout and stderr, in tables, JSON, messages and tracebacks."""
    room, *rest = COMMANDS[command]
    position = 1 if rest and not rest[0].startswith("-") else 0
    arguments = [*traceback, room, *rest[:position], "--store", url, *rest[position:]]
    done = CliRunner().invoke(app, arguments, color=True)  # as on a terminal: nothing is stripped on the way
    assert done.output
    assert obeyed(done.output) == set()


def test_json_says_the_same_with_escapes(url: str) -> None:
    """A program that reads it gets the very name."""
    done = CliRunner().invoke(app, ["inspect", "--store", url, "--customer", NAME, "--json"], color=True)
    ids = {json.loads(line)["id"] for line in done.stdout.splitlines()}
    assert "counter:" + NAME in ids


def test_a_table_on_a_terminal_obeys_no_name_either(url: str) -> None:
    """Nor does rich take it for markup."""
    file = StringIO()
    with closing(open_store(url)) as store:
        show(NAME, inspect(store, NAME), Console(file=file, force_terminal=True, width=10_000))
    assert obeyed(file.getvalue()) == set()
    assert "[red]x[/red]" in file.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_the_progress_of_a_run_obeys_no_notebook(terminal: bool) -> None:
    """Its name and the lines of its cells come from a file."""
    file = StringIO()
    with progress.watcher(Console(file=file, force_terminal=terminal, width=1000)) as watcher:
        watcher.started(NAME, 3)
        watcher.cell(NAME, 1, NAME)
    of_rich = re.compile(r"\x1b\[(\?25[lh]|2K|1A)|\r")  # hides the cursor, and begins a line again
    assert obeyed(of_rich.sub("", file.getvalue())) == set()


def test_schema_lock_obeys_no_file_name(tmp_path: Path) -> None:
    """A name of a file is text from outside too."""
    file = tmp_path / f"{NAME.replace('/', '')}.json"
    done = CliRunner().invoke(app, ["schema-lock", "eslab.domains.bakery", "--file", str(file)], color=True)
    assert (done.exit_code, obeyed(done.output)) == (0, set())


def test_a_notebook_obeys_no_state() -> None:
    """HTML is escaped; a name can't become an element."""

    class Named(Aggregate):
        name: str = "<script>alert(1)</script>"

        def apply(self, event: Counted) -> None: ...

    assert "<script" not in Named()._repr_html_()


def test_no_module_prints_past_the_one_function() -> None:
    """Typer's own would print a text as it is."""
    modules = [path for path in (ROOT / "eslab").rglob("*.py") if path.name != "terminal.py"]
    assert [path.name for path in modules if re.search(r"typer\.(echo|secho)", path.read_text(encoding="utf-8"))] == []


def test_an_error_keeps_its_lines() -> None:
    """Line breaks of a message are layout."""
    done: Any = CliRunner().invoke(app, ["schema-lock", "no.such.module"])
    assert "Expected a module" in done.stderr
