"""Reports load nothing from the network, say what failed, and number cells as JupyterLab does."""

import re

import nbformat
import pytest
from bs4 import BeautifulSoup

from eslab.lab.reports import heading, write
from eslab.lab.runner import find, run_notebooks
from eslab.lab.stills import still

CHART = """
import altair as alt, pandas as pd
from eslab.lab import charts
charts.enable()
charts.show(alt.Chart(pd.DataFrame({"x": [1, 2]})).mark_point().encode(x="x"), alt="Two points")
"""


class Silent:
    """Watches without a word."""

    started = cell = ended = lambda *_: None


@pytest.fixture(scope="module")
def out(tmp_path_factory, write_notebook):
    """The reports of two notebooks: one with a chart and a formula's worth of traps, one that fails."""
    folder = tmp_path_factory.mktemp("lessons")
    write_notebook(
        folder / "1_chart.ipynb", "# See [the next](2_fails.ipynb) and [this](https://a.org/b.ipynb).", CHART
    )
    write_notebook(folder / "2_fails.ipynb", "raise ValueError('<three> expected')")
    write(run_notebooks(find([folder]), folder / "out", Silent()), folder / "out")
    return folder / "out"


def page(out, name):
    """A report, parsed."""
    return BeautifulSoup((out / f"{name}.html").read_text(), "html.parser")


@pytest.mark.parametrize("name", ["1_chart", "2_fails", "index"])
def test_a_report_loads_nothing_from_anywhere(out, name):
    """No script, style sheet, picture or frame has an address; a style imports none."""
    html = page(out, name)
    loads = [tag.get("src") or tag.get("href") for tag in html(["script", "link", "img", "iframe", "source"])]
    assert [address for address in loads if address and not address.startswith("data:")] == []
    assert [style for style in html("style") if re.search(r"@import|url\(\s*['\"]?(https?:)?//", style.text)] == []


def test_a_report_carries_vega_once(out):
    """However many charts there are."""
    assert (out / "1_chart.html").read_text().count("window.vegaEmbed=") == 1


def test_links_between_notebooks_lead_to_reports(out):
    """Links to other places stay as they are."""
    links = [link["href"] for link in page(out, "1_chart").select("main a[href]")]
    assert {"2_fails.html", "https://a.org/b.ipynb"} <= set(links)


def test_a_failed_notebook_says_so_at_the_top(out):
    """The message is text, not markup, and the report holds the traceback too."""
    html = page(out, "2_fails")
    assert "2_fails, cell 2: raise ValueError('<three> expected')" in html.find(role="alert").text
    assert "Traceback" in html.find("main").text


def test_cells_are_numbered_as_in_jupyterlab(out):
    """The cell with papermill's parameters has no number."""
    prompts = [prompt.text for prompt in page(out, "2_fails").select("div.jp-InputPrompt.jp-InputArea-prompt")]
    assert [p.replace("\xa0", " ") for p in prompts if p.strip()] == ["In [1]:", "In [ ]:", "In [2]:"]


def test_the_index_tells_what_ran(out):
    """Title, first sentence, seconds, cells, result and a link for each; store, seed and versions for all."""
    html = page(out, "index")
    first, second = html("li")
    assert first.find("a")["href"] == "1_chart.html"
    assert first.find("a").text == "About 1_chart"
    assert first.select_one(".summary").text == "It holds one claim."
    assert re.fullmatch(r"\d+\.\d s · 2 cells", first.select_one(".numbers").text)
    assert [item.select_one(".result").text for item in (first, second)] == ["✓ ok", "✗ failed in cell 2"]
    assert {"store", "seed", "versions"} <= {term.text for term in html("dt")}
    assert html.find("dd").text == "a fresh SQLite file for each notebook"


def test_a_notebook_without_words_is_called_by_its_name():
    """Nothing fails because prose is missing."""
    assert heading(nbformat.v4.new_notebook(), "03_empty") == ("03_empty", "")


def test_a_widget_is_shown_in_its_last_state():
    """The script that draws widgets is on a CDN, so a report shows their last state as plain HTML."""
    states = {
        "box": {"model_name": "VBoxModel", "state": {"children": ["IPY_MODEL_slider", "IPY_MODEL_bowl"]}},
        "slider": {
            "model_name": "SelectionSliderModel",
            "state": {"_options_labels": ["09:00", "09:01"], "index": 1, "description": "as of"},
        },
        "bowl": {"model_name": "HTMLModel", "state": {"value": "<b>purple</b>"}},
    }
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "box"}, "text/plain": "VBox()"}
    cell = nbformat.v4.new_code_cell("x", outputs=[nbformat.v4.new_output("display_data", view)])
    notebook = nbformat.v4.new_notebook(cells=[cell])
    notebook.metadata.widgets = {"application/vnd.jupyter.widget-state+json": {"state": states}}
    html = still(nbformat.from_dict(notebook)).cells[0].outputs[0].data["text/html"]
    assert "<kbd>as of: 09:01</kbd>" in html
    assert "<b>purple</b>" in html
