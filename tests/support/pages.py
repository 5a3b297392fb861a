"""The snippets of README.md and docs/*.md, and how tests run them, in the order of their page.

The line that opens a snippet says what it is:

    ```python              runs with the names that the page's earlier snippets left, and those it takes for granted
    ```python loans.py     a file that the reader makes
    ```sh                  runs in a shell that finds `eslab`, `python` and `pytest`, and ends in a folder for the next
    ```text output         what the snippet before it prints, where `...` stands for anything
    ```text                a drawing, or what something prints elsewhere; isn't run

Further words name the group of tests that runs it: `full`, `cassandra`. A snippet continues the earlier ones of its
page that its group runs too.
"""

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import chdir, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from tests.support.sample import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(.*)\n((?:.*\n)*?)```$", re.MULTILINE)
GROUPS = ("full", "cassandra")
KINDS = {"python": GROUPS, "sh": GROUPS, "text": ("output",)}
STOPPED = 900  # seconds; no snippet takes longer


@dataclass(frozen=True)
class Snippet:
    """A snippet, and the place where it begins."""

    page: str
    line: int
    kind: str
    file: str
    words: frozenset[str]
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def groups(self) -> frozenset[str]:
        """The groups of tests that run it; in none of them it is quick."""
        return self.words.intersection(GROUPS)

    @property
    def commands(self) -> list[str]:
        """The commands of a shell snippet, without their comments; a line that ends with a backslash goes on."""
        if self.kind != "sh":
            return []
        lines = self.text.replace("\\\n", " ").splitlines()
        return [command for line in lines if (command := re.sub(r"(^|\s+)# .*", "", line).strip())]


def snippets_of(page: Path) -> list[Snippet]:
    """The snippets of a page; the words that open a snippet are checked."""
    text = page.read_text(encoding="utf-8")
    assert len(re.findall("^```", text, re.MULTILINE)) == 2 * len(FENCE.findall(text)), f"{page}: a fence stays open"
    return [
        _snippet(page.name, text[: found.start()].count("\n") + 1, *found.groups()) for found in FENCE.finditer(text)
    ]


def _snippet(page: str, line: int, opening: str, text: str) -> Snippet:
    kind, *words = opening.split() or [""]
    files = [word for word in words if word.endswith(".py")]
    assert kind in KINDS and set(words) <= {*files, *KINDS[kind]}, f"{page}:{line}: what is {opening!r}?"
    return Snippet(page, line, kind, "".join(files), frozenset(words), text)


def commands_in_the_text(page: Path) -> list[str]:
    """The commands of eslab that the text of a page names between its snippets."""
    return re.findall(r"`(eslab\s[^`]+)`", FENCE.sub("", page.read_text(encoding="utf-8")))


SNIPPETS = [snippet for page in PAGES for snippet in snippets_of(page)]


@dataclass(frozen=True)
class Given:
    """What the snippets of a page take for granted, and the commands that may end with 1, since they find a fault."""

    names: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    finding: Sequence[str] = ()


class Reader:
    """Somebody who follows one page from its beginning, in a folder of their own."""

    def __init__(self, page: str, folder: Path, given: Given, elsewhere: Mapping[str, str]) -> None:
        self.snippets = [snippet for snippet in SNIPPETS if snippet.page == page]
        self.folder = folder
        self.folder.mkdir(exist_ok=True)
        self.names: dict[str, Any] = {"__name__": f"page_{page.partition('.')[0]}", **given.names}
        self.finding = given.finding
        self.elsewhere = elsewhere
        self.data = folder.parent / "data"
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.variables = {**os.environ, "PATH": path, "ESLAB_DATA": str(self.data), **given.variables}
        self._outputs: dict[Snippet, str] = {}

    def run(self, snippet: Snippet) -> str:
        """Run a snippet, after those that it continues, and return what it prints."""
        for earlier in self.snippets[: self.snippets.index(snippet) + 1]:
            if earlier not in self._outputs and earlier.groups <= snippet.groups:
                self._outputs[earlier] = self._run(earlier)
        return self._outputs[snippet]

    def promised(self, snippet: Snippet) -> str:
        """A pattern of what the page says that a snippet prints; if it says nothing, anything."""
        following = self.snippets[self.snippets.index(snippet) + 1 :][:1]
        if not (following and "output" in following[0].words):
            return ".*"
        return re.escape(following[0].text).replace(r"\.\.\.", ".*")

    def close(self) -> None:
        """End the clusters that a snippet left behind."""
        for folder in self.data.glob("clusters/*/"):
            self.shell(f"eslab cluster destroy --yes --name {folder.name}")

    def _run(self, snippet: Snippet) -> str:
        if snippet.file:
            (self.folder / snippet.file).write_text(snippet.text, encoding="utf-8")
        elif snippet.kind == "python":
            code = compile("\n" * snippet.line + snippet.text, snippet.page, "exec")
            with chdir(self.folder), redirect_stdout(StringIO()) as printed:
                exec(code, self.names)
            return printed.getvalue()
        elif snippet.kind == "sh":
            return self._commands([it for it in snippet.commands if it not in self.elsewhere])
        return ""

    def _commands(self, commands: Sequence[str]) -> str:
        """Run the commands in one shell; each must succeed, or find the fault that it looks for."""
        codes, place = self.data.with_name("codes"), self.data.with_name("place")
        codes.write_text("")
        lines = [f"{command}\necho $? >> '{codes}'\n" for command in commands]
        output = self.shell(f"{''.join(lines)}pwd > '{place}'")
        self.folder = Path(place.read_text().strip())
        for command, code in zip(commands, codes.read_text().split(), strict=True):
            assert code == "0" or (code == "1" and command in self.finding), f"{command}: exit code {code}\n{output}"
        return output

    def shell(self, script: str) -> str:
        """What a script prints where the reader is."""
        done = subprocess.run(
            ["/bin/sh", "-c", script], cwd=self.folder, env=self.variables, text=True, timeout=STOPPED,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return done.stdout
