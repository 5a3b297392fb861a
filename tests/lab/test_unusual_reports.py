"""A notebook that can't be shown loses nobody else's report; links lead to reports whatever their names are."""

import json
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat import NotebookNode

from eslab.lab.reports import Reports, write_report
from eslab.lab.runner import Failure, Run

PNG = "iVBORw0KGgo="


@pytest.fixture
def reports(tmp_path) -> Reports:
    """Reports in an empty folder."""
    return Reports(tmp_path)


def ran(out: Path, name: str, *cells: NotebookNode, **fields: object) -> Run:
    """The run of a notebook with these cells, which needed no kernel."""
    executed = out / f"{name}.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=list(cells)), executed)
    failure, left_out = fields.get("failure"), fields.get("left_out", "")
    return Run(Path("nb", executed.name), executed, {"store": "memory:", "seed": 7}, 1.0, 1, failure, left_out)


def text(source: str, **attachments: str) -> NotebookNode:
    """A text cell with pictures attached."""
    pictures = {name.replace("_", " "): {"image/png": data} for name, data in attachments.items()}
    return nbformat.v4.new_markdown_cell(source, attachments=pictures)


def page(path: Path) -> BeautifulSoup:
    """A page, parsed."""
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


@pytest.mark.parametrize(
    "link",
    ["![a](attachment:my%20pic.png)", "![a](<attachment:my pic.png>)", '![a](attachment:my%20pic.png "a title")'],
)
@pytest.mark.parametrize("first", [True, False])
def test_an_attachment_is_found_under_its_encoded_name(reports, tmp_path, link, first):
    """As in JupyterLab, also in the cell that the title comes from."""
    cells = [text(f"# Title\n\nWords. {link}", **{"my_pic.png": PNG})]
    report = write_report(ran(tmp_path, "a", *cells if first else [text("# Title"), *cells]), tmp_path)
    sources = [picture["src"] for picture in page(report.page).select("main img")]
    assert sources == [f"data:image/png;base64,{PNG}"]
    assert report.title == "Title"


def test_a_missing_attachment_is_a_missing_picture(reports, tmp_path):
    """As in JupyterLab; the rest of the report is there."""
    reports.add(ran(tmp_path, "a", text("# T\n\nWords. ![the bowl](attachment:gone.png)")))
    assert reports.runs[0].failure is None
    assert page(tmp_path / "a.html").select_one("main img")["alt"] == "the bowl"


BROKEN = {
    "no notebook": "[]",
    "no JSON": "{",
    "an old cell": {"cells": [{"cell_type": "code"}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5},
    "an output without data": {"outputs": [{"output_type": "display_data", "metadata": {}}]},
    "an output of no type": {"outputs": [{"data": {}}]},
    "a picture that is a number": {
        "outputs": [{"output_type": "display_data", "metadata": {}, "data": {"image/png": 5}}]
    },
    "an SVG that is a list of numbers": {
        "outputs": [{"output_type": "display_data", "metadata": {}, "data": {"image/svg+xml": [5]}}]
    },
    "a widget without a state": {
        "outputs": [
            {"output_type": "display_data", "metadata": {}, "data": {"application/vnd.jupyter.widget-view+json": {}}}
        ]
    },
}  # fmt: skip


def break_it(executed: Path, content: object) -> None:
    """Write this in place of an executed notebook, or of the outputs of its last cell."""
    if isinstance(content, dict) and "outputs" in content:
        notebook = json.loads(executed.read_text())
        notebook["cells"][-1].update(content, cell_type="code", execution_count=1)
        content = notebook
    executed.write_text(content if isinstance(content, str) else json.dumps(content))


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_notebook_loses_no_other_report(reports, tmp_path, content):
    """It gets a page all the same; if it can't be shown, its run has failed, and page and index say why."""
    good, bad, last = (ran(tmp_path, name, text(f"# About {name}")) for name in ("1_good", "2_bad", "3_last"))
    break_it(bad.executed, content)
    for run in (good, bad, last):
        reports.add(run)
    assert [link["href"] for link in page(reports.index).select("li a")] == ["1_good.html", "2_bad.html", "3_last.html"]
    assert [run.failure for run in reports.runs][::2] == [None, None]
    failure = reports.runs[1].failure
    if failure:
        assert str(failure).startswith("2_bad, in its report\n    The report can't be written: ")
        assert str(failure) in page(tmp_path / "2_bad.html").find(role="alert").text
        assert page(reports.index).select(".result")[1].text == "✗ failed in its report"


def test_a_failure_is_kept_when_the_report_fails_too(reports, tmp_path):
    """The reason why the notebook failed is worth more."""
    failure = Failure("a", 3, "1 / 0", "ZeroDivisionError: <division>")
    run = ran(tmp_path, "a", failure=failure)
    run.executed.write_text("{")
    reports.add(run)
    assert reports.runs[0].failure == failure
    assert page(tmp_path / "a.html").find(role="alert").text == str(failure)


def test_a_notebook_called_index_leaves_the_index_page_alone(reports, tmp_path):
    """Its report has another name, to which links lead."""
    reports.add(ran(tmp_path, "index", text("# About index\n\nBack to [itself](index.ipynb#top).")))
    reports.add(
        ran(tmp_path, "b", text("# About b\n\nSee [i](index.ipynb), [c](c%23%20d.ipynb#x), [d](<sub/e f.ipynb>)."))
    )
    assert page(reports.index).find("h1").text == "The lessons, executed"
    assert page(reports.index).find("li").find("a")["href"] == "index.notebook.html"
    assert page(tmp_path / "index.notebook.html").find("h1").text.startswith("About index")
    found = [link["href"] for link in page(tmp_path / "b.html").select("main a[href]") if "html" in link["href"]]
    assert found == ["index.notebook.html", "c%23%20d.html#x", "sub/e%20f.html"]


@pytest.mark.parametrize("name", ["c#", "what?", "50%25 off", "a:b", "<b>&", 'q"q'])
def test_the_index_links_to_a_report_of_any_name(reports, tmp_path, name):
    """The address is escaped, so it is not a fragment, a query or a scheme, and the name is text."""
    reports.add(ran(tmp_path, name, text("no title")))
    link = page(reports.index).select_one("li a")
    assert not set(link["href"]) & set('#?:<>" ')
    assert link.text == name
    assert (tmp_path / f"{name}.html").exists()


def test_a_lesson_that_was_left_out_is_in_the_index(reports, tmp_path):
    """With the reason, and without a link; nobody says that every lesson ran."""
    reports.add(ran(tmp_path, "a", text("# A")))
    reports.add(ran(tmp_path, "b", left_out="Expected <Java>, found none."))
    index = page(reports.index)
    assert index.select("li")[1].find("a") is None
    assert index.select("li")[1].find("pre").text == "Expected <Java>, found none."
    assert "1 notebook ran in 2.0 s, every claim held, 1 left out." in " ".join(index.select_one(".lead").text.split())


def test_the_index_names_the_lessons_that_started_a_node(reports, tmp_path):
    """Beside the store of the others."""
    run = ran(tmp_path, "03_node", text("# A"))
    notebook = nbformat.read(run.executed, as_version=4)
    notebook.metadata["eslab"] = {"starts_cassandra": "always"}
    nbformat.write(notebook, run.executed)
    reports.add(ran(tmp_path, "01_plain", text("# B")))
    reports.add(run)
    facts = {term.text: term.find_next("dd").text for term in page(reports.index)("dt")}
    assert facts["Cassandra"] == "a node of their own: 03_node"
