"""The frosting lesson as a learner meets it: run from the top in a real JupyterLab, then played with."""

import shutil

import pytest

from tests.browser.conftest import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.full]
READY = "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"


@pytest.fixture(scope="module")
def lesson(jupyterlab, new_window):
    """The lesson, run to its end."""
    address, folder = jupyterlab
    shutil.copy(ROOT / "notebooks" / "01_frosting.ipynb", folder)
    window = new_window(f"{address}lab/tree/01_frosting.ipynb?reset")
    window.settled(READY, 90)
    window.command("notebook:run-all-cells")
    window.page.get_by_text("Not yet: mend the lines").wait_for(timeout=90_000)
    return window


def test_every_cell_ran_and_nothing_was_asked_of_the_network(lesson):
    """No traceback, no script error, no request to the outside."""
    assert lesson.page.locator(".jp-RenderedText[data-mime-type*=stderr]").count() == 0
    assert lesson.refused == lesson.errors == []


def test_the_slider_moves_through_time_by_keyboard(lesson):
    """Each press of an arrow key is another moment, another hydration, another bowl."""
    page = lesson.page
    handle = page.locator(".widget-slider .noUi-handle")
    handle.scroll_into_view_if_needed()
    picture = page.locator(".widget-html").last
    assert "12:20 brown" in picture.inner_text()
    handle.focus()
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    picture.get_by_text("11:20 purple").wait_for(timeout=10_000)
    lesson.picture("frosting")
