"""A reader guesses by keyboard, follows the map, and resets an exercise, in a real JupyterLab."""

import json
import shutil

import nbformat
import pytest

from eslab.lab import solutions
from tests.browser.conftest import IDLE, ROOT

pytestmark = [pytest.mark.browser, pytest.mark.full]

CELLS = (
    "from eslab.lab import course\ncourse.map()",
    "from eslab.lab.predictions import predict\nguess = predict('How many events?', [0, 1, 2])\n"
    "wait = predict('How long does an append take?', unit='ms')",
    "guess.outcome(1)",
    "wait.outcome(12.5)",
    "from eslab.domains.bakery import ColorAdded, Frosting\n"
    "from eslab.lab.source import show_source\nshow_source(Frosting.apply)",
    "from eslab.lab.lessons.exercises.frosting import at_least\n"
    "def handle_at_least(frosting, command, request):\n    return [ColorAdded('blue')]",
    "at_least.check(handle_at_least)",
    "at_least.reset()",
)
LINES = "['One.', 'Two.', 'Three.', 'Four.', 'Five.']"
RECAP = f"course.lesson('00_start_here').recap({LINES}, code=[Frosting.apply])"


@pytest.fixture(scope="module")
def reading(jupyterlab, new_window):
    """A notebook with all parts, run once; its window and its folder."""
    address, folder = jupyterlab
    cells = [nbformat.v4.new_code_cell(cell) for cell in (*CELLS, RECAP)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), folder / "parts.ipynb")
    shutil.copy(ROOT / "notebooks" / "01_frosting.ipynb", folder)
    window = new_window(f"{address}lab/tree/parts.ipynb?reset")
    window.settled(IDLE, 90)
    window.command("notebook:run-all-cells")
    window.page.get_by_text("Five.", exact=True).wait_for(timeout=60_000)
    return window, folder


def test_a_reset_puts_the_stub_into_a_new_cell(reading):
    """And says where the reader's text is."""
    window, folder = reading
    stub = solutions.cell_of("01_frosting", "at_least").stub
    cells = "window.jupyterapp.shell.currentWidget.content.model.sharedModel.cells.map(cell => cell.source)"
    assert window.page.evaluate(cells).count(stub) == 1
    assert "ColorAdded('blue')" in (folder / "answers" / "01_frosting_at_least.py").read_text()


def test_a_check_shows_the_smallest_case(reading):
    """With its events, in a table."""
    status = reading[0].page.get_by_role("status").filter(has_text="Not yet:")
    assert "The smallest case that shows it" in status.inner_text()
    assert "The command names the colour: every event adds red." in status.inner_text()


def test_a_guess_is_made_by_keyboard_and_kept(reading):
    """A button, then a field; the outcome stands beside them when its cell runs again."""
    window, folder = reading
    page = window.page
    page.get_by_role("button", name="2", exact=True).focus()
    page.keyboard.press("Enter")
    page.get_by_text("Your guess: 2.").wait_for(timeout=10_000)
    page.get_by_label("your guess, ms").focus()
    page.keyboard.type("4")
    page.keyboard.press("Enter")
    page.get_by_text("Your guess: 4 ms.").wait_for(timeout=10_000)
    window.command("notebook:run-all-cells")
    page.get_by_text("8.5 ms too low").wait_for(timeout=60_000)
    guesses = json.loads((folder / ".eslab-progress.json").read_text())["guesses"]
    assert guesses == {"How many events?": 2, "How long does an append take?": 4}
    window.picture("guesses")


def test_code_and_map_can_be_read_in_the_dark(reading):
    """Their text has the colours of the page."""
    window, _ = reading
    window.command("apputils:change-theme", theme="JupyterLab Dark")
    window.settled("document.body.dataset.jpThemeLight === 'false' && !document.getElementById('jupyterlab-splash')")
    window.page.get_by_text("lessons, about").scroll_into_view_if_needed()
    color = "getComputedStyle(document.querySelector('svg[aria-label^=\"A map\"] text')).fill"
    assert window.page.evaluate(color) == "rgb(255, 255, 255)"
    window.picture("map_dark")
    window.command("apputils:change-theme", theme="JupyterLab Light")


def test_the_map_leads_to_a_lesson(reading):
    """A click opens its notebook in JupyterLab."""
    window, _ = reading
    window.page.get_by_role("link", name="01 Frosting: state and events").first.click()
    window.settled("window.jupyterapp.shell.currentWidget?.context?.path === '01_frosting.ipynb'")
    assert window.refused == window.errors == []
