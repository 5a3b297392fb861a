"""Every snippet of README.md and docs/*.md runs and prints what its page says. tests/support/pages.py says how.

A line that needs more than a folder has a test of its own, named in `ELSEWHERE`. Nothing is exempt; a line that no test
can run would stand in `EXEMPT` with the reason.
"""

import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from eslab.cli import app
from tests.support.givens import GIVENS
from tests.support.pages import FENCE, PAGES, SNIPPETS, Given, Reader, Snippet, commands_in_the_text
from tests.support.sample import ROOT

EXEMPT: dict[str, str] = {}  # by command: the reason why no test runs it
ELSEWHERE = {  # by command: the test that runs it
    ". .venv/bin/activate": "tests/test_readme.py::test_the_shell_is_clean",
    "make venv && . .venv/bin/activate": "tests/test_readme.py::test_a_clone_is_installed_from_the_lock",
    "make lab": "tests/test_readme.py::test_make_lab_opens_a_copy_of_the_first_lesson",
    "make run": "tests/test_readme.py::test_make_run_writes_reports",
    "make run STORE=cassandra": "tests/test_readme.py::test_three_regions_start_run_part_heal_and_stop",
    "eslab run --store \"$(eslab cluster url us)\"":
        "tests/test_readme.py::test_three_regions_start_run_part_heal_and_stop",
    "eslab doctor": "tests/test_readme.py::test_a_command_runs_after_activation",
    "eslab cluster start": "tests/test_pages.py::test_a_cluster_in_the_foreground_ends_with_ctrl_c",
}  # fmt: skip
RUN = [snippet for snippet in SNIPPETS if snippet.kind != "text"]
SLOW = pytest.mark.timeout(1800)  # of a benchmark, or a first start that downloads Cassandra


def parameter(snippet: Snippet) -> object:
    """A snippet as a parameter of a test, in its groups."""
    marks = [getattr(pytest.mark, group) for group in snippet.groups]
    return pytest.param(snippet, id=str(snippet), marks=[*marks, SLOW] if marks else ())


@pytest.fixture(scope="module")
def reader_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Reader]]:
    """Readers of the pages, one of each page."""
    readers: dict[str, Reader] = {}
    with ExitStack() as stack:

        def open_page(page: str) -> Reader:
            if page not in readers:
                folder = tmp_path_factory.mktemp(Path(page).stem) / "clone"
                folder.mkdir()
                given = stack.enter_context(GIVENS[page](folder)) if page in GIVENS else Given()
                readers[page] = Reader(page, folder, given, ELSEWHERE | EXEMPT)
                stack.callback(readers[page].close)
            return readers[page]

        yield open_page


@pytest.mark.parametrize("snippet", [*map(parameter, RUN)])
def test_a_snippet_runs(reader_of: Callable[[str], Reader], snippet: Snippet) -> None:
    """After those that it continues; it prints what the page says below it."""
    reader = reader_of(snippet.page)
    printed = reader.run(snippet)
    assert re.fullmatch(reader.promised(snippet), printed, re.DOTALL), printed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_command_in_the_text_exists(page: Path) -> None:
    """With each of its options; it is named there, and not run."""
    for command in commands_in_the_text(page):
        entrance: Any = typer.main.get_command(app)
        words = command.split()[1:]
        while isinstance(entrance, TyperGroup) and words and not words[0].startswith("-"):
            _, entrance, words = entrance.resolve_command(typer.Context(entrance), words)
        known = {"--help", *(option for parameter in entrance.params for option in parameter.opts)}
        assert {word for word in words if word.startswith("--")} <= known, command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_link_leads_somewhere(page: Path) -> None:
    """To a file of the repository, and to a heading in it if it names one."""
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", page.read_text(encoding="utf-8"))):
        place, _, anchor = target.partition("#")
        if "://" in target:
            continue
        file = page.parent / place if place else page
        assert file.exists(), target
        headings = re.findall("^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE) if anchor else []
        assert not anchor or anchor in {re.sub(r"[^\w\- ]", "", it.lower()).replace(" ", "-") for it in headings}, (
            target
        )


def test_what_runs_elsewhere_is_on_a_page() -> None:
    """And the test that is named for it exists."""
    assert {command for snippet in SNIPPETS for command in snippet.commands} >= {*ELSEWHERE, *EXEMPT}
    for named in ELSEWHERE.values():
        file, _, test = named.partition("::")
        assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8"), named


def test_what_is_taken_for_granted_belongs_to_a_page() -> None:
    """A page that was renamed would lose it."""
    assert set(GIVENS) <= {page.name for page in PAGES}


@pytest.mark.cassandra
@pytest.mark.timeout(600)
def test_a_cluster_in_the_foreground_ends_with_ctrl_c(tmp_path: Path) -> None:
    """Its nodes end with it, as docs/cluster.md says."""
    reader = Reader("cluster.md", tmp_path / "clone", Given(), {})
    process = subprocess.Popen(
        ["/bin/sh", "-c", "exec eslab cluster start"], env=reader.variables, text=True, stdout=subprocess.PIPE
    )
    assert process.stdout
    assert any("Press Ctrl-C to stop it." in line for line in process.stdout)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    assert (
        "running"
        not in subprocess.run(
            ["eslab", "cluster", "status"], env=reader.variables, text=True, capture_output=True
        ).stdout
    )
