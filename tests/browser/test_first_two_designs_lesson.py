"""The lesson on two failed designs as a learner meets it: run in a real JupyterLab, then its desk by keyboard."""

import pytest

from tests.browser.conftest import check_it_ran

pytestmark = [pytest.mark.browser, pytest.mark.full]
LESSON = "09_why_the_first_two_designs_failed"


def desk_of(lesson):
    """The desk of the link, scrolled into view."""
    return lesson.desk(lesson.page.get_by_role("slider", name="link, Mbit/s"))


def row(desk, run: str):
    """The words of a line of the desk's table."""
    return desk.get_by_role("row", name=run).inner_text()


def test_every_cell_ran_and_nothing_was_asked_of_the_network(lesson):
    """No traceback, no script error, no request to the outside."""
    check_it_ran(lesson)


def test_a_faster_link_is_bought_and_outgrown_by_keyboard(lesson):
    """The hour passes on the fastest link, until there are enough downloads; each run is told in words."""
    page, desk = lesson.page, desk_of(lesson)
    lesson.picture("link_desk")
    assert "✓" in row(desk, "search index, 5 min") and "✗" in row(desk, "search index, 60 min")
    page.get_by_role("slider", name="link, Mbit/s").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    desk.get_by_role("row", name="search index, 60 min").filter(has_text="✓").wait_for(timeout=20_000)
    page.get_by_role("slider", name="downloads a second").focus()
    page.keyboard.press("End")
    desk.get_by_role("row", name="search index, 60 min").filter(has_text="✗").wait_for(timeout=20_000)
    lesson.picture("link_desk_outgrown")
    page.keyboard.press("ArrowLeft")
    desk.get_by_role("row", name="read tables, 60 min").filter(has_text="never").wait_for(timeout=20_000)


def test_copies_are_added_by_keyboard_and_the_picture_follows(lesson):
    """Its words change with it."""
    desk = desk_of(lesson)
    before = desk.locator("img").first.get_attribute("alt")
    lesson.page.get_by_role("slider", name="copies of the index").focus()
    lesson.page.keyboard.press("End")
    lesson.page.wait_for_function(
        "before => [...document.querySelectorAll('.eslab-desk img')].every(image => image.alt !== before)", arg=before
    )


def test_the_desk_can_be_read_in_the_dark(lesson):
    """Its words have the colour of the page, and the pictures a ground of their own."""
    lesson.command("apputils:change-theme", theme="JupyterLab Dark")
    lesson.settled("document.body.dataset.jpThemeLight === 'false' && !document.getElementById('jupyterlab-splash')")
    told = desk_of(lesson).get_by_role("status")
    lesson.picture("link_desk_dark")
    assert told.evaluate("it => getComputedStyle(it).color") == "rgb(255, 255, 255)"
    lesson.command("apputils:change-theme", theme="JupyterLab Light")
