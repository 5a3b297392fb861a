"""Offline HTML reports: one per executed notebook, and an index page. They load nothing from the network."""

import os
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import as_file, files
from pathlib import Path

import nbformat
from bs4 import BeautifulSoup
from jinja2 import Environment, Template
from nbconvert import HTMLExporter
from nbconvert.filters import markdown2html
from nbformat import NotebookNode
from papermill.execute import remove_error_markers

from eslab.lab.execution import INJECTED
from eslab.lab.runner import Run, fresh_store
from eslab.lab.stills import still

PACKAGES = ("eslab", "msgspec", "cassandra-driver", "altair", "jupyterlab")
NOTEBOOK_LINK = re.compile(r"(\]\((?!\w+:)[^)\s]*)\.ipynb(?=[)#])")


@dataclass(frozen=True)
class Report:
    """A written report, with its entry in the index page."""

    run: Run
    page: Path
    title: str
    summary: str


class Reports:
    """The reports in a folder and the index page over them, which is up to date after every `add`.

    A report takes about a second to write, and one with charts has 1.5 MB, since it carries all it needs.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.index = out / "index.html"
        self.written: list[Report] = []

    @property
    def runs(self) -> list[Run]:
        """The runs that have a report."""
        return [report.run for report in self.written]

    def add(self, run: Run) -> None:
        """Write the report of a run, then the index page."""
        self.written.append(write_report(run, self.out))
        seconds = sum(run.seconds for run in self.runs)
        page = _index_template().render(reports=self.written, facts=_facts(self.runs, self.out), seconds=seconds)
        _replace(self.index, page)


def write(runs: Iterable[Run], out: Path) -> Path:
    """Write a report for each run and the index page over them, and return the path of the index page."""
    reports = Reports(out)
    for run in runs:
        reports.add(run)
    return reports.index


def write_report(run: Run, out: Path) -> Report:
    """Write NAME.html from the executed notebook, up to and including the cell that failed."""
    notebook = remove_error_markers(nbformat.read(run.executed, as_version=4))
    title, summary = heading(notebook, run.name)
    html = _html(_as_read(notebook), run, title)
    page = out / f"{run.name}.html"
    _replace(page, html)
    return Report(run, page, title, summary)


def _replace(page: Path, html: str) -> None:
    """Write a page so that there is always a whole one, even if the process is killed now."""
    unfinished = page.with_suffix(".part")
    unfinished.write_text(html, encoding="utf-8")
    unfinished.replace(page)


def heading(notebook: NotebookNode, name: str) -> tuple[str, str]:
    """The title of a notebook and the first sentence after it, as plain text, from its first text cell."""
    text = next((cell.source for cell in notebook.cells if cell.cell_type == "markdown"), "")
    page = BeautifulSoup(markdown2html(text), "html.parser")
    for anchor in page.select("a.anchor-link"):
        anchor.decompose()
    title, paragraph = page.find("h1"), page.find("p")
    words = paragraph.get_text().strip() if paragraph else ""
    return title.get_text().strip() if title else name, re.split(r"(?<=[.!?])\s", words, maxsplit=1)[0]


def _as_read(notebook: NotebookNode) -> NotebookNode:
    """The notebook as its reader sees it: cells numbered as in JupyterLab, links to reports, widgets drawn as HTML."""
    notebook = still(notebook)
    number = 0
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = NOTEBOOK_LINK.sub(r"\1.html", cell.source)
        elif cell.cell_type == "code" and cell.execution_count:
            number += INJECTED not in cell.metadata.get("tags", [])
            _number(cell, None if INJECTED in cell.metadata.get("tags", []) else number)
    return notebook


def _number(cell: NotebookNode, number: int | None) -> None:
    cell.execution_count = number
    for output in cell.outputs:
        if "execution_count" in output:
            output.execution_count = number


def _html(notebook: NotebookNode, run: Run, title: str) -> str:
    notebook.metadata.title = title
    with as_file(files("eslab.lab") / "assets") as assets:
        exporter = HTMLExporter(
            template_name="report", extra_template_basedirs=[str(assets)], embed_images=True, theme="light"
        )
        resources = {
            "metadata": {"name": run.name, "path": str(run.notebook.parent)},
            "failure": escape(str(run.failure)) if run.failure else "",
            "facts": _in_words(run.parameters),
        }
        return exporter.from_notebook_node(notebook, resources)[0]


def _facts(runs: Sequence[Run], out: Path) -> dict[str, str]:
    stores = dict.fromkeys(str(run.parameters["store"]) for run in runs)
    fresh = all(run.parameters["store"] == fresh_store(run.notebook, out) for run in runs)
    return {
        "store": "a fresh SQLite file for each notebook" if fresh else ", ".join(stores),
        "seed": ", ".join(dict.fromkeys(str(run.parameters["seed"]) for run in runs)),
        "versions": _versions(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "run": f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}",
    }


def _versions() -> str:
    versions = [f"Python {platform.python_version()}"]
    for package in PACKAGES:
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(versions)


def _in_words(parameters: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in parameters.items())


def _index_template() -> Template:
    source = files("eslab.lab").joinpath("assets/index.html.j2").read_text(encoding="utf-8")
    return Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(source)
