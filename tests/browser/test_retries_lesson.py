"""The lesson on retries as a learner meets it: run from the top in a real JupyterLab, then its desk by keyboard."""

import pytest

from tests.browser.conftest import check_it_ran

pytestmark = [pytest.mark.browser, pytest.mark.full]
LESSON = "07_retries_and_duplicates"


def desk_of(lesson):
    """The desk of the storm, scrolled into view."""
    return lesson.desk(lesson.page.get_by_role("slider", name="retries, at most"))


def test_every_cell_ran_and_nothing_was_asked_of_the_network(lesson):
    """No traceback, no script error, no request to the outside."""
    check_it_ran(lesson)


def test_the_storm_is_made_better_and_worse_by_keyboard(lesson):
    """It opens on wishes that count twice; without retries none does, and some phones have no answer."""
    page, desk = lesson.page, desk_of(lesson)
    line = desk.get_by_role("row", name="new request 100")
    line.scroll_into_view_if_needed()
    lesson.picture("storm")
    assert "✗" in line.inner_text()
    pictures = [image.get_attribute("src") for image in desk.locator("img").all()]
    page.get_by_role("slider", name="retries, at most").focus()
    page.keyboard.press("Home")
    desk.get_by_role("row", name="new request 100 100").wait_for(timeout=20_000)
    lesson.settled("document.querySelectorAll('.eslab-desk img').length > 1")
    assert "✗" not in line.inner_text()
    lesson.picture("storm_without_retries")
    assert [image.get_attribute("src") for image in desk.locator("img").all()] != pictures


def test_the_messages_of_another_client_are_chosen_by_keyboard(lesson):
    """The same phone, under one id; the words beside the diagram say so."""
    desk = desk_of(lesson)
    picker = desk.get_by_role("combobox", name="messages of")
    picker.select_option("same request")
    desk.get_by_text("same request. The client sends the wish").wait_for(timeout=20_000)
    assert ", under 1 id. " in desk.inner_text()


def test_the_desk_can_be_read_in_the_dark(lesson):
    """Its words have the colour of the page, and the pictures a ground of their own."""
    lesson.command("apputils:change-theme", theme="JupyterLab Dark")
    lesson.settled("document.body.dataset.jpThemeLight === 'false' && !document.getElementById('jupyterlab-splash')")
    told = desk_of(lesson).get_by_role("status")
    lesson.picture("storm_dark")
    assert told.evaluate("it => getComputedStyle(it).color") == "rgb(255, 255, 255)"
    lesson.command("apputils:change-theme", theme="JupyterLab Light")
