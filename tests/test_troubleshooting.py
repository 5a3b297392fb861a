"""Every command and snippet of docs/troubleshooting.md runs, and does what the page says."""

import re
import shlex
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import eslab
from eslab import EslabError, ManualClock, OutOfTime, Request, open_store
from eslab.cli import app
from eslab.domains.downloads.commands import RequestDownload
from eslab.domains.downloads.devices import ALL, Devices
from eslab.domains.downloads.license import License
from eslab.domains.downloads.outcome import Granted
from eslab.domains.downloads.rules import Refused
from eslab.domains.downloads.service import DownloadService
from tests.operations.test_restore import damage
from tests.support.sample import ROOT, START, at, everything, rows

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = [line for kind, block in BLOCKS if kind == "sh" for line in block.splitlines()]
SNIPPETS = [block for kind, block in BLOCKS if kind == "python"]
DAYS = 24 * 60
STORE = "sqlite:///lab.db"


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """A store in this folder in which Ann downloaded as often as she may, and what the page calls by name."""
    monkeypatch.chdir(tmp_path)
    clock = ManualClock(START)
    with closing(open_store(STORE)) as store:
        downloads = DownloadService(store, clock)
        limit = downloads.limit("glow", START)
        assert limit and limit >= 2
        requests = [at(day * DAYS, "a download") for day in range(limit + 1)]
        for request in requests:
            clock.now = request.time
            answer = downloads.request_download("ann", "phone" if request != requests[-1] else "tv", "glow", request)
        assert isinstance(answer, Refused)
        clock.advance(timedelta(days=100))
        yield {
            "store": store, "downloads": downloads, "request": requests[-1], "second": requests[1],
            "refused_at": requests[-1].time, "too_old": at(0, "another"), "OutOfTime": OutOfTime,
            "RequestDownload": RequestDownload, "DownloadService": DownloadService,
        }  # fmt: skip


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
    damage(store, next(it for it in rows(store, "license:phone/glow") if it.event_time == second.event_time), b"broken")
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
    damage(store, next(it for it in rows(store, "devices:all") if it.event_time == second.event_time), b"broken")
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


OTHERS = [line for line in COMMANDS if " row " not in line]


@pytest.mark.parametrize("line", OTHERS)
def test_a_command_of_the_page_runs(lab: dict[str, Any], line: str) -> None:
    """On an intact store it succeeds."""
    done = run(line)
    assert (done.exit_code, "bug in eslab" in done.output) == (0, False), done.output


def test_every_command_and_snippet_has_a_test() -> None:
    """A new one is either in a test above or among the others."""
    assert sorted(line.split()[2] for line in COMMANDS if " row " in line) == ["restore", "skip"]
    assert len(SNIPPETS) == 2


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
