"""The commands and snippets of docs/troubleshooting.md do what the page says. tests/test_pages.py runs them all."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import eslab
from eslab import EslabError, Request
from eslab.cli import app
from eslab.domains.downloads.devices import ALL, Devices
from eslab.domains.downloads.license import License
from eslab.domains.downloads.outcome import Granted
from eslab.domains.downloads.rules import Refused
from tests.support.givens import break_row, downloads_to_the_limit
from tests.support.pages import snippets_of
from tests.support.sample import ROOT, everything

PATH = ROOT / "docs" / "troubleshooting.md"
PAGE = PATH.read_text(encoding="utf-8")
COMMANDS = [command for snippet in snippets_of(PATH) for command in snippet.commands]
SNIPPETS = [snippet.text for snippet in snippets_of(PATH) if snippet.kind == "python"]


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """A store in this folder in which Ann downloaded as often as she may, and what the page calls by name."""
    monkeypatch.chdir(tmp_path)
    with downloads_to_the_limit(tmp_path) as names:
        yield names


def run(command: str, **variables: Request) -> Any:
    """Call a command as a shell would, with these variables."""
    for name, request in variables.items():
        command = command.replace(f'"${name}"', str(request.event_time))
    name, *arguments = shlex.split(command)
    assert name == "eslab" and "$" not in command
    return CliRunner().invoke(app, arguments)


def command(*words: str) -> str:
    """The first command of the page with these words."""
    return next(line for line in COMMANDS if all(word in line for word in words))


def test_a_broken_row_is_found_and_restored(lab: dict[str, Any]) -> None:
    """As the section on Unreadable says."""
    store, downloads, second = lab["store"], lab["downloads"], lab["second"]
    before = everything(store)
    break_row(store, "license:phone/glow", second)
    with pytest.raises(EslabError) as error:
        downloads.repository.load("ann", License, "phone/glow")
    assert error.value.event_time == second.event_time
    for look in (command("inspect", "license:"), command("inspect", "--module")):
        done = run(look)
        assert (done.exit_code, "✗" in done.stdout) == (1, True)
    restored = run(command("row restore"), ROW=second)
    assert restored.stdout.strip() in PAGE and restored.stdout.startswith("Restored from the read table")
    assert run(command("row restore"), ROW=second).stdout.startswith("The row is intact")
    assert everything(store) == before
    assert run(command("inspect", "license:phone/glow")).exit_code == 0


def test_a_row_without_a_copy_is_skipped(lab: dict[str, Any]) -> None:
    """And the mark is seen."""
    store, downloads, second = lab["store"], lab["downloads"], lab["second"]
    break_row(store, "devices:all", second)
    refused = run(command("row restore").replace("license:phone/glow", "devices:all"), ROW=second)
    assert "eslab row skip" in refused.stderr
    assert "ticket 17" in run(command("row skip"), LOST=second).stdout
    done = run(command("inspect", "devices:"))
    assert (done.exit_code, "skipped, its events are missing: ticket 17" in done.stdout) == (0, True)
    (mark,) = downloads.repository.load("ann", Devices, ALL).skipped_rows
    assert mark.reason == "ticket 17"
    later = downloads.request_download("ann", "phone", "bolt", Request.at(downloads.repository.clock(), "later"))
    assert isinstance(later, Granted | Refused)


def test_the_question_why_is_answered_in_four_lines(lab: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """Refused then; granted without the second download; and nothing is written."""
    (snippet,) = [it for it in SNIPPETS if "fork" in it]
    assert len(snippet.split("\n\n")[1].splitlines()) == 4
    before = everything(lab["store"])
    exec(snippet, lab)
    why, what_if = capsys.readouterr().out.splitlines()
    assert why.startswith("['downloads per title per year: ")
    assert what_if.startswith("Granted: glow on tv, ")
    assert everything(lab["store"]) == before


def test_the_clock_of_a_client_is_corrected(lab: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """By the time that the error carries."""
    (snippet,) = [it for it in SNIPPETS if "OutOfTime" in it]
    exec(snippet, lab)
    assert capsys.readouterr().out.startswith("the client's clock is off by 1")


def test_every_error_is_on_the_page() -> None:
    """With its name."""
    errors = [name for name in eslab.__all__ if isinstance(it := getattr(eslab, name), type)
              and issubclass(it, EslabError) and it is not EslabError]  # fmt: skip
    assert [name for name in errors if f"`{name}`" not in PAGE] == []


def test_every_link_of_the_page_leads_somewhere() -> None:
    """To a heading here, or to a page beside it."""
    headings = {re.sub(r"[^\w\- ]", "", it.lower()).replace(" ", "-") for it in re.findall(r"^## (.*)$", PAGE, re.M)}
    for target in re.findall(r"\]\(([^)]+)\)", PAGE):
        page, _, anchor = target.partition("#")
        assert (ROOT / "docs" / page).exists() if page else anchor in headings, target
