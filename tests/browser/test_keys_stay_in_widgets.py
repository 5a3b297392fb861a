"""Keys that are pressed in a widget never reach the notebook: every control of every lesson, in a real JupyterLab."""

import nbformat
import pytest

from tests.browser.conftest import IDLE

pytestmark = [pytest.mark.browser, pytest.mark.full]

DESKS = {
    "01, the slider through time": (
        "from datetime import timedelta\n"
        "from eslab.domains.bakery import AddColor, open_bakery\n"
        "from eslab.lab.lessons.frosting import film, scrub\n"
        "from eslab.lab.session import open_lab\n"
        "lab = open_lab('memory:', 7)\n"
        "bakery = open_bakery(lab.store, lab.clock)\n"
        "for color in ('red', 'white', 'blue'):\n"
        "    bakery.send('dan', 'frosting:1', AddColor(color), lab.request(timedelta(minutes=20)))\n"
        "scrub(film(bakery.repository, 'dan', '1'), 'pink')"
    ),
    "02, the command desk": (
        "from eslab.domains.downloads.service import DownloadService\n"
        "from eslab.lab.lessons.downloads_desk import CommandDesk\n"
        "lab = open_lab('memory:', 7)\n"
        "CommandDesk(DownloadService(lab.store, lab.clock), lab, 'ann', 'phone', 'glow')"
    ),
    "04, a busy evening": "from eslab.lab.lessons.evening import evening_desk\nevening_desk()",
    "05, the class to change": (
        "from eslab import AggregateService\n"
        "from eslab.lab.lessons.serializer import class_desk\n"
        "from eslab.lab.lessons.till import Sell, v1\n"
        "AggregateService(lab.store, v1.Till, v1.sell, lab.clock)"
        ".send('cleo', 'till:1', Sell('lemon', 4), lab.request())\n"
        "class_desk(lab.store, 'cleo', 'till:1', {})"
    ),
    "06, the interval of snapshots": (
        "from eslab.bench.cost_model import CostModel\n"
        "from eslab.lab.lessons.interval import interval_desk\n"
        "interval_desk(CostModel(fixed=4e-5, per_event=1e-6, build=5e-4))"
    ),
    "07, a storm of retries": "from eslab.lab.lessons.retry_storm import storm_desk\nstorm_desk()",
    "a prediction": (
        "from eslab.lab.predictions import predict\n"
        "guess = predict('How many events?', [0, 1, 2])\n"
        "wait = predict('How long?', unit='ms')"
    ),
    "every other control": (
        "import ipywidgets as w\n"
        "from eslab.lab.widgets import Desk\n"
        "kinds = (w.Text, w.Textarea, w.IntText, w.Button, w.ToggleButton, w.Checkbox, w.IntSlider, w.Combobox)\n"
        "chosen = (w.Select, w.SelectMultiple, w.RadioButtons, w.ToggleButtons, w.SelectionSlider)\n"
        "Desk([*(kind() for kind in kinds), *(kind(options=['one', 'two']) for kind in chosen),\n"
        "      w.Accordion([w.Text()]), w.Tab([w.HBox([w.Button()])]),\n"
        "      w.HTML('<details><summary>more</summary></details>')])"
    ),
    "a chart's numbers": (
        "import altair, pandas\n"
        "from eslab.lab import charts\n"
        "numbers = pandas.DataFrame({'x': [1, 2]})\n"
        "charts.show(altair.Chart(numbers).mark_point().encode(x='x'), alt='Two points')"
    ),
}
# Commands for a notebook in JupyterLab's command mode, and the keys that move or choose in a control.
KEYS = [*"baxcvzmyr16ojklsu", "Shift+M", "Shift+K", "Delete", "Backspace", "ArrowDown", "ArrowUp", "ArrowLeft",
        "ArrowRight", "PageDown", "Home", "End", "Space", "Enter", "Shift+Enter", "Control+Enter", "Alt+Enter",
        "Control+Shift+Minus", "Control+A", *"dd00ii", "Escape", *"dd"]  # fmt: skip
CONTROLS = "select, button, input, textarea, summary, a[href], [tabindex]"
BARE = "import ipywidgets\nipywidgets.Dropdown(options=['one', 'two'])"
CONTENT = "window.jupyterapp.shell.currentWidget.content"
NOTEBOOK = """(() => {
    const notebook = window.jupyterapp.shell.currentWidget.content;
    const cells = notebook.model.sharedModel.toJSON().cells;
    return {
        cells: cells.map(({ cell_type, source, execution_count }) => [cell_type, String(source), execution_count]),
        hidden: notebook.widgets.map((cell) => cell.inputHidden),
        open: document.querySelectorAll(".jp-Dialog, .jp-SidePanel:not(.lm-mod-hidden)").length,
        selected: notebook.widgets.filter((cell) => notebook.isSelected(cell)).length,
        active: notebook.activeCellIndex,
    };
})()"""


@pytest.fixture(scope="module")
def desks(jupyterlab, new_window):
    """A notebook with every desk between other cells, run to its end."""
    address, folder = jupyterlab
    cells = [nbformat.v4.new_markdown_cell("# Before")]
    for title, source in DESKS.items():
        cells += [nbformat.v4.new_markdown_cell(title), nbformat.v4.new_code_cell(source)]
    cells += [nbformat.v4.new_code_cell(BARE), nbformat.v4.new_markdown_cell("After")]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), folder / "desks.ipynb")
    window = new_window(f"{address}lab/tree/desks.ipynb?reset")
    window.settled(IDLE, 90)
    window.command("notebook:run-all-cells")  # returns when all have run
    return window


def controls_of(desks, number: int):
    """What can have the focus in a cell's output; the cell is scrolled into view, since others aren't drawn."""
    desks.page.evaluate(f"{CONTENT}.activeCellIndex = {number}; {CONTENT}.scrollToItem({number}, 'start')")
    output = desks.page.locator(f".jp-Cell[data-windowed-list-index='{number}'] .jp-OutputArea-output").last
    output.wait_for()
    return output.locator(CONTROLS)


def press(desks, control) -> tuple[dict, dict]:
    """Focus a control and press every key; return the notebook before and after."""
    desks.settled(IDLE)  # a picture that is drawn again takes the focus out of the desk
    control.focus()
    before = desks.page.evaluate(NOTEBOOK)
    for key in KEYS:
        desks.page.keyboard.press(key)
    return before, desks.page.evaluate(NOTEBOOK)


@pytest.mark.parametrize("title", DESKS)
def test_no_key_changes_the_notebook(desks, title):
    """Each control is focused and gets every key; cells, selection, counts and dialogs stay as they are."""
    controls = controls_of(desks, 2 * [*DESKS].index(title) + 2)
    pressed = 0
    for position in range(controls.count()):
        control = controls.nth(position)
        if not (control.is_visible() and control.is_enabled()):
            continue
        html = control.evaluate("it => it.outerHTML")
        before, after = press(desks, control)
        assert before == after, html
        pressed += 1
    assert pressed
    assert desks.errors == []


def test_without_a_desk_the_same_keys_reach_the_notebook(desks):
    """So the test above would notice."""
    before, after = press(desks, controls_of(desks, 2 * len(DESKS) + 1).first)
    assert before["cells"] != after["cells"]
