"""The command desk as a learner meets it: the lesson run from the top in a real JupyterLab, then a wish by keyboard."""

import pytest

from tests.browser.conftest import check_it_ran

pytestmark = [pytest.mark.browser, pytest.mark.full]
LESSON = "02_downloads"


def test_every_cell_ran_and_nothing_was_asked_of_the_network(lesson):
    """No traceback, no script error, no request to the outside."""
    check_it_ran(lesson)


def test_a_picker_is_moved_and_a_wish_is_sent_by_keyboard(lesson):
    """Eve has nothing yet: the rules pass, Tab leads to the button, and three rows are written."""
    page = lesson.page
    customer = page.get_by_label("customer", exact=True)
    customer.scroll_into_view_if_needed()
    customer.focus()
    page.keyboard.type("eve")
    told = page.get_by_role("status").filter(has_text="The rules about")
    told.get_by_text("Not sent yet.").wait_for(timeout=10_000)
    assert page.get_by_role("button", name="Renew", exact=True).is_disabled()
    page.get_by_label("wait first", exact=True).focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_text("Rows of eve: 0 before, 3 after: 3 were written.").wait_for(timeout=10_000)
    lesson.picture("downloads_desk")
    assert page.get_by_role("button", name="Renew", exact=True).is_enabled()


def test_the_desk_can_be_read_in_the_dark(lesson):
    """Its text has the colour of the page."""
    lesson.command("apputils:change-theme", theme="JupyterLab Dark")
    lesson.settled("document.body.dataset.jpThemeLight === 'false' && !document.getElementById('jupyterlab-splash')")
    lesson.picture("downloads_desk_dark")
    cell = "document.querySelector('.widget-html [role=status] p')"
    assert lesson.page.evaluate(f"getComputedStyle({cell}).color") == "rgb(255, 255, 255)"
    lesson.command("apputils:change-theme", theme="JupyterLab Light")
