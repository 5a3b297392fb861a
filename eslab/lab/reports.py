"""Offline HTML reports: one per executed notebook, and an index page. They load nothing from the network."""

import os
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from html import escape
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import as_file, files
from pathlib import Path
from urllib.parse import quote, unquote

import nbformat
from bs4 import BeautifulSoup
from jinja2 import Environment, Template
from nbconvert import HTMLExporter
from nbconvert.filters import markdown2html
from nbformat import NotebookNode
from papermill.execute import remove_error_markers

from eslab.display import quantity
from eslab.lab.execution import INJECTED
from eslab.lab.files import write_whole
from eslab.lab.names import fresh_store, page_name
from eslab.lab.needs import starts_cassandra
from eslab.lab.runner import Failure, Run
from eslab.lab.solved import in_words, solved_in
from eslab.lab.stills import still

PACKAGES = ("eslab", "msgspec", "cassandra-driver", "altair", "jupyterlab")
NOTEBOOK_LINK = re.compile(r"(\]\(<?(?!\w+:)(?:[^()<>\n]*/)?)([^()<>/\n]+\.ipynb)(?=[)#>\s])")
NOTEBOOK_HREF = re.compile(r"""(<a href="(?!\w+:)(?:[^"<>\n]*/)?)([^"<>/\n]+\.ipynb)(?=[#"])""")
ATTACHMENT = re.compile(r"(\]\(<?)attachment:((?<=<attachment:)[^>\n]+|[^)\s]+)")
SAFE = "/:?#@!$&()*+,;="  # what the Markdown parser leaves as it is in an address
LONGEST_REASON = 300  # characters; a validation error shows the whole notebook


@dataclass(frozen=True)
class Report:
    """A written report, with its entry in the index page. A lesson that was left out has no page."""

    run: Run
    page: Path | None
    title: str
    summary: str
    own_node: bool = False  # it started a Cassandra besides its store
    exercises: str = ""  # which are solved, and which are open


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
        """Write the report of a run, then the index page.

        A run whose notebook can't be shown counts as failed, and gets a page that says why.
        """
        self.written.append(_report(run, self.out))
        seconds = sum(run.seconds for run in self.runs)
        page = _template("index").render(reports=self.written, facts=_facts(self.written, self.out), seconds=seconds)
        write_whole(self.index, page)


def write(runs: Iterable[Run], out: Path) -> Path:
    """Write a report for each run and the index page over them, and return the path of the index page."""
    reports = Reports(out)
    for run in runs:
        reports.add(run)
    return reports.index


def _report(run: Run, out: Path) -> Report:
    if run.left_out:
        return Report(run, None, run.name, "")
    try:
        return write_report(run, out)
    except Exception as error:  # a broken output or attachment fails anywhere in nbconvert, with any error
        return _write_substitute(run, out, error)


def _write_substitute(run: Run, out: Path, error: Exception) -> Report:
    """Write a page with the reason why there is no report; the run has failed, if it had not before."""
    reason = " ".join(f"{type(error).__name__}: {error}".split())[:LONGEST_REASON]
    unshown = Failure(run.name, 0, "", f"The report can't be written: {reason}", in_report=True)
    failed = replace(run, failure=run.failure or unshown)
    executed = run.executed.name if run.executed.exists() else ""
    page = out / page_name(run.notebook)
    write_whole(page, _template("substitute").render(name=run.name, failure=failed.failure, executed=executed))
    return Report(failed, page, run.name, "")


def write_report(run: Run, out: Path) -> Report:
    """Write NAME.html from the executed notebook, up to and including the cell that failed."""
    notebook = remove_error_markers(nbformat.read(run.executed, as_version=4))
    title, summary = heading(notebook, run.name)
    own_node = starts_cassandra(notebook, str(run.parameters["store"]))
    exercises = in_words(solved_in(notebook))
    html = _html(_as_read(notebook), run, title, exercises)
    page = out / page_name(run.notebook)
    write_whole(page, html)
    return Report(run, page, title, summary, own_node, exercises)


def heading(notebook: NotebookNode, name: str) -> tuple[str, str]:
    """The title of a notebook and the first sentence after it, as plain text, from its first text cell."""
    text = next((cell.source for cell in notebook.cells if cell.cell_type == "markdown"), "")
    # Without the prefix: nbconvert looks for attachments, and the words need none.
    page = BeautifulSoup(markdown2html(ATTACHMENT.sub(r"\1\2", text)), "html.parser")
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
            cell.source = NOTEBOOK_LINK.sub(_link_to_page, cell.source)
            _name_attachments(cell)
        elif cell.cell_type == "code" and cell.execution_count:
            number += INJECTED not in cell.metadata.get("tags", [])
            _number(cell, None if INJECTED in cell.metadata.get("tags", []) else number)
            _link_outputs(cell)
    return notebook


def _link_outputs(cell: NotebookNode) -> None:
    """Let the links of outputs to other notebooks lead to their reports, such as those of the course map."""
    for output in cell.outputs:
        data = output.get("data", {})
        for kind, link in (("text/markdown", NOTEBOOK_LINK), ("text/html", NOTEBOOK_HREF)):
            if isinstance(data.get(kind), str):
                data[kind] = link.sub(_link_to_page, data[kind])


def _link_to_page(link: re.Match[str]) -> str:
    return link[1] + page_name(Path(link[2]))


def _name_attachments(cell: NotebookNode) -> None:
    """Let each attachment be found under the name by which the text calls it, in which a space may be written %20.

    One that is missing becomes a picture that is missing, as in JupyterLab; nbconvert would give up.
    """
    attachments = cell.get("attachments", {})
    for _, name in ATTACHMENT.findall(cell.source):
        known = attachments.get(name) or attachments.get(unquote(name))
        if known:
            attachments[name] = attachments[quote(unquote(name), safe=SAFE)] = known
    cell.source = ATTACHMENT.sub(
        lambda found: found[0] if found[2] in attachments else found[1] + found[2], cell.source
    )


def _number(cell: NotebookNode, number: int | None) -> None:
    cell.execution_count = number
    for output in cell.outputs:
        if "execution_count" in output:
            output.execution_count = number


def _html(notebook: NotebookNode, run: Run, title: str, exercises: str) -> str:
    notebook.metadata.title = title
    with as_file(files("eslab.lab") / "assets") as assets:
        exporter = HTMLExporter(
            template_name="report", extra_template_basedirs=[str(assets)], embed_images=True, theme="light"
        )
        resources = {
            "metadata": {"name": run.name, "path": str(run.notebook.parent)},
            "failure": escape(str(run.failure)) if run.failure else "",
            "facts": " · ".join(filter(None, [_in_words(run.parameters), exercises])),
        }
        return exporter.from_notebook_node(notebook, resources)[0]


def _facts(reports: Sequence[Report], out: Path) -> dict[str, str]:
    runs = [report.run for report in reports]
    stores = dict.fromkeys(str(run.parameters["store"]) for run in runs)
    fresh = all(run.parameters["store"] == fresh_store(run.notebook, out) for run in runs)
    own_nodes = ", ".join(report.run.name for report in reports if report.own_node)
    return {
        "store": "a fresh SQLite file for each notebook" if fresh else ", ".join(stores),
        **({"Cassandra": f"a node of their own: {own_nodes}"} if own_nodes else {}),
        "seed": ", ".join(dict.fromkeys(str(run.parameters["seed"]) for run in runs)),
        "versions": _versions(),
        "machine": f"{platform.system()} {platform.machine()}, {quantity(os.cpu_count() or 1, 'core')}",
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


def _template(name: str) -> Template:
    source = files("eslab.lab").joinpath(f"assets/{name}.html.j2").read_text(encoding="utf-8")
    return Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(source)
