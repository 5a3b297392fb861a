"""Reports opened from the disk, by a browser without network."""

import nbformat
import pytest

from eslab.lab.reports import write
from eslab.lab.runner import find, run_notebooks

pytestmark = [pytest.mark.browser, pytest.mark.full]

CHART = (
    "import altair as alt, pandas as pd\nfrom eslab.lab import charts\ncharts.enable()\n"
    'charts.show(alt.Chart(pd.DataFrame({"x": [1, 2]})).mark_point().encode(x="x"), alt="Two points")'
)
WIDGET = 'import ipywidgets\nipywidgets.VBox([ipywidgets.HTML("<b>a bowl</b>")])'

WORDS = 'print("a sentence of twenty letters, " * 20)'


@pytest.fixture(scope="module")
def reports(chromium, tmp_path_factory):
    """A report with a chart and a widget, and its index."""
    folder = tmp_path_factory.mktemp("lessons")
    parameters = nbformat.v4.new_code_cell('store: str = ""\nseed: int = 7', metadata={"tags": ["parameters"]})
    cells = [parameters, *map(nbformat.v4.new_code_cell, (CHART, WIDGET, *["1"] * 7, WORDS))]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "01_chart.ipynb")
    watcher = type("Silent", (), dict.fromkeys(("started", "cell", "ended"), lambda *_: None))()
    write(run_notebooks(find([folder]), folder / "out", watcher), folder / "out")
    return (folder / "out").as_uri()


@pytest.mark.parametrize(("scheme", "ink"), [("light", "rgba(0, 0, 0"), ("dark", "rgb(255, 255, 255")])
def test_a_report_is_complete_without_network(reports, new_window, scheme, ink):
    """The chart is live, the widget is there, the text can be read in light and in dark."""
    report = new_window(f"{reports}/01_chart.html", color_scheme=scheme)
    report.page.wait_for_selector(".eslab-chart svg.marks")
    report.picture(f"report_{scheme}")
    label = "document.querySelector('.eslab-chart svg.marks .role-axis-label text')"
    assert report.page.evaluate(f"getComputedStyle({label}).fill").startswith(ink)
    assert report.page.get_by_text("a bowl", exact=True).is_visible()
    assert report.refused == report.errors == []


def test_the_index_leads_to_the_reports_and_back(reports, new_window):
    """By links that a keyboard reaches."""
    index = new_window(f"{reports}/index.html")
    index.page.keyboard.press("Tab")
    index.page.keyboard.press("Enter")
    index.page.get_by_role("link", name="All lessons").click()
    assert index.page.title() == "eslab: the lessons, executed"
    assert index.refused == index.errors == []


def test_without_scripts_the_picture_stays(reports, new_window):
    """With its words."""
    report = new_window(f"{reports}/01_chart.html", java_script_enabled=False)
    assert report.page.get_by_role("img", name="Two points").first.is_visible()
    assert report.page.locator(".eslab-chart img").is_visible()


@pytest.mark.parametrize("width", [800, 1280])
def test_prompts_and_words_are_whole(reports, new_window, width):
    """The number of a cell is not cut, and a line of plain text breaks between words, within the page."""
    report = new_window(f"{reports}/01_chart.html")
    report.page.set_viewport_size({"width": width, "height": 900})
    prompts = "[...document.querySelectorAll('.jp-InputPrompt, .jp-OutputPrompt')]"
    assert "[11]" in report.page.locator(".jp-InputPrompt").last.inner_text()
    assert not report.page.evaluate(f"{prompts}.some(it => it.scrollWidth > it.clientWidth)")
    text = report.page.locator(".jp-RenderedText pre").last
    styles = "it => [getComputedStyle(it).wordBreak, it.scrollWidth <= it.clientWidth]"
    assert text.evaluate(styles) == ["normal", True]
    assert report.refused == report.errors == []
