"""The lesson on snapshots as a learner meets it: run from the top in a real JupyterLab, then used by keyboard."""

import pytest

from tests.browser.conftest import check_it_ran

pytestmark = [pytest.mark.browser, pytest.mark.full]
LESSON = "06_snapshot_vs_replay"
SECONDS = 300  # it measures


def test_every_cell_ran_and_nothing_was_asked_of_the_network(lesson):
    """No traceback, no script error, no request to the outside."""
    check_it_ran(lesson)


def test_the_interval_moves_by_keyboard(lesson):
    """It opens on every 10 events; an arrow key moves on to 20, and the words and the picture follow."""
    from playwright.sync_api import expect

    page = lesson.page
    handle = page.get_by_role("slider", name="a snapshot every")
    desk = lesson.desk(handle)
    desk.get_by_text("A snapshot every 10 events costs").wait_for(timeout=10_000)
    assert handle.get_attribute("aria-valuetext") == "10"
    picture = desk.locator("img").get_attribute("src")
    handle.focus()
    page.keyboard.press("ArrowRight")
    desk.get_by_text("A snapshot every 20 events costs").wait_for(timeout=10_000)
    expect(desk.locator("img")).not_to_have_attribute("src", picture, timeout=30_000)
    lesson.picture("interval")
    page.get_by_role("slider", name="events in its life").focus()
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    desk.get_by_text("they cost more than they save at any interval").wait_for(timeout=10_000)


def test_the_desk_can_be_read_in_the_dark(lesson):
    """Its words have the colour of the page, and the picture a ground of its own."""
    lesson.command("apputils:change-theme", theme="JupyterLab Dark")
    lesson.settled("document.body.dataset.jpThemeLight === 'false' && !document.getElementById('jupyterlab-splash')")
    told = lesson.page.locator(".eslab-desk [role=status]").filter(has_text="A snapshot every")
    told.scroll_into_view_if_needed()
    lesson.picture("interval_dark")
    assert told.evaluate("it => getComputedStyle(it).color") == "rgb(255, 255, 255)"
    lesson.command("apputils:change-theme", theme="JupyterLab Light")
