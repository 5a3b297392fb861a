"""Charts in a real JupyterLab without network: first run, reopened, dark, and where scripts may not run."""

import json

import nbformat
import pytest

pytestmark = [pytest.mark.browser, pytest.mark.full]

CELLS = (
    "import altair as alt, pandas as pd\nfrom eslab.lab import charts\ncharts.enable()",
    'df = pd.DataFrame({"events": [1, 10, 1, 10], "seconds": [1, 2, 3, 4], "store": [*"aabb"]})\n'
    'line = alt.Chart(df, title="Hydration").mark_line(point=True)',
    'chart = line.encode(x="events", y="seconds", **charts.by(df["store"]))\n'
    'charts.show(chart, alt="Hydration grows with the number of events")',
    'alt.Chart(df, title="A bar for each").mark_bar().encode(x="store", y="sum(seconds)")',
)
LIVE = "document.querySelectorAll('.eslab-chart svg.marks').length"


@pytest.fixture(scope="module")
def saved(jupyterlab, new_window):
    """A notebook that was run and saved in JupyterLab: its address."""
    address, folder = jupyterlab
    cells = [nbformat.v4.new_code_cell(cell) for cell in CELLS]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), folder / "lesson.ipynb")
    window = new_window(f"{address}lab/tree/lesson.ipynb?reset")
    window.settled("window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'", 90)
    window.command("notebook:run-all-cells")
    window.settled(f"{LIVE} === 2")
    window.picture("first_run")
    window.command("docmanager:save")
    window.settled("!window.jupyterapp.shell.currentWidget.context.model.dirty")
    return address, folder, window


def test_charts_are_live_at_the_first_run(saved):
    """Nothing was asked of the network, no script failed, and no picture stands beside its live chart."""
    window = saved[2]
    assert window.refused == window.errors == []
    assert window.page.locator(".eslab-chart img:visible").count() == 0


def test_charts_have_words_and_numbers(saved):
    """For those who can't see them, and for those who want to know exactly."""
    page = saved[2].page
    figure = page.locator(".eslab-chart").first
    assert figure.get_by_role("img", name="Hydration grows with the number of events").is_visible()
    figure.get_by_text("The numbers").click()
    assert figure.locator("td").first.inner_text() == "1"


def test_no_news_prompt(saved):
    """JupyterLab's question about news would be the first thing that a learner sees."""
    assert saved[2].page.get_by_text("official Jupyter news").count() == 0


def test_charts_are_live_when_the_notebook_is_reopened(saved, new_window):
    """Without running a cell: Vega is in the saved notebook."""
    again = new_window(f"{saved[0]}lab/tree/lesson.ipynb?reset")
    again.settled(f"{LIVE} === 2")
    again.picture("reopened")
    assert again.refused == again.errors == []


def test_charts_follow_the_dark_theme(saved, new_window):
    """At once, without being drawn anew: their text has the page's colour."""
    dark = new_window(f"{saved[0]}lab/tree/lesson.ipynb?reset")
    dark.settled(f"{LIVE} === 2")
    dark.command("apputils:change-theme", theme="JupyterLab Dark")
    dark.settled("document.body.dataset.jpThemeLight === 'false' && !document.getElementById('jupyterlab-splash')")
    dark.picture("dark")
    label = "document.querySelector('.eslab-chart svg.marks .role-axis-label text')"
    assert dark.page.evaluate(f"getComputedStyle({label}).fill") == "rgb(255, 255, 255)"
    dark.command("apputils:change-theme", theme="JupyterLab Light")


def test_charts_are_pictures_where_the_notebook_is_not_trusted(saved, new_window):
    """JupyterLab takes scripts out; the picture stays, and a line says how to make it live."""
    address, folder, _ = saved
    notebook = json.loads((folder / "lesson.ipynb").read_text())
    notebook["cells"][0]["source"] = ["# changed by somebody else\n", *notebook["cells"][0]["source"]]
    for cell in notebook["cells"]:
        cell["outputs"] = [{**output, "metadata": {"from": "elsewhere"}} for output in cell["outputs"]]
    (folder / "stranger.ipynb").write_text(json.dumps(notebook))
    stranger = new_window(f"{address}lab/tree/stranger.ipynb?reset")
    stranger.page.wait_for_selector(".eslab-chart img:visible")
    stranger.settled("document.querySelectorAll('.eslab-chart img').length === 2")
    stranger.settled(
        "[...document.querySelectorAll('.eslab-chart img')].every(i => i.complete && i.naturalWidth > 300)"
    )
    stranger.picture("not_trusted")
    assert stranger.page.evaluate(LIVE) == 0
    assert stranger.page.get_by_text("The charts below are pictures for now").is_visible()
