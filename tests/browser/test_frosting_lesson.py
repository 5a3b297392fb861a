"""The frosting lesson as a learner meets it: run from the top in a real JupyterLab, then played with."""

import pytest

from tests.browser.conftest import check_it_ran

pytestmark = [pytest.mark.browser, pytest.mark.full]
LESSON = "01_frosting"


def test_every_cell_ran_and_nothing_was_asked_of_the_network(lesson):
    """No traceback, no script error, no request to the outside."""
    check_it_ran(lesson)


def test_the_slider_moves_through_time_by_keyboard(lesson):
    """It opens where pink became purple; each press of an arrow key shows another moment, beside the bowl of now."""
    page = lesson.page
    handle = page.locator(".widget-slider .noUi-handle")
    desk = lesson.desk(handle)
    assert "10:20 purple" in desk.inner_text() and "now brown" in desk.inner_text()
    lesson.picture("frosting")
    handle.focus()
    for _ in range(2):
        page.keyboard.press("ArrowLeft")
    desk.get_by_text("09:40 red").wait_for(timeout=10_000)
    assert handle.get_attribute("aria-valuetext") == "09:40"
    assert handle.get_attribute("aria-label") == "as of"
    assert page.locator(".eslab-desk [title=null]").count() == 0
