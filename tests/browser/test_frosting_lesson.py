"""The frosting lesson as a learner meets it: run from the top in a real JupyterLab, then played with."""

import pytest

from tests.browser.conftest import check_it_ran

pytestmark = [pytest.mark.browser, pytest.mark.full]
LESSON = "01_frosting"


def test_every_cell_ran_and_nothing_was_asked_of_the_network(lesson):
    """No traceback, no script error, no request to the outside."""
    check_it_ran(lesson)


def test_the_slider_moves_through_time_by_keyboard(lesson):
    """Each press of an arrow key is another moment, another hydration, another bowl."""
    page = lesson.page
    handle = page.locator(".widget-slider .noUi-handle")
    handle.scroll_into_view_if_needed()
    picture = page.locator(".widget-html:visible").last
    assert "12:20 brown" in picture.inner_text()
    handle.focus()
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    picture.get_by_text("11:20 purple").wait_for(timeout=10_000)
    lesson.picture("frosting")
    assert handle.get_attribute("aria-valuetext") == "11:20"
    assert handle.get_attribute("aria-label") == "as of"
    assert lesson.page.locator(".eslab-desk [title=null]").count() == 0
