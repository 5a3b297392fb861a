"""The lesson on three regions as a learner meets it: run in a real JupyterLab, then its desk by keyboard and mouse."""

import pytest

from tests.browser.conftest import check_it_ran

pytestmark = [pytest.mark.browser, pytest.mark.full]
LESSON = "08_three_regions"


def desk_of(lesson):
    """The desk of the map, scrolled into view."""
    return lesson.desk(lesson.page.get_by_role("button", name="start again"))


def toggle(lesson, name: str):
    """A toggle of the desk."""
    return desk_of(lesson).get_by_role("button", name=name)


def told(lesson, words: str) -> None:
    """Wait until the desk says so."""
    desk_of(lesson).get_by_role("status").get_by_text(words).wait_for(timeout=20_000)


def test_every_cell_ran_and_nothing_was_asked_of_the_network(lesson):
    """No traceback, no script error, no request to the outside."""
    check_it_ran(lesson)


def test_links_are_healed_by_keyboard_and_the_overshoot_shows(lesson):
    """Space on each cut link, then on the buttons; the focus stays where it was."""
    page, desk = lesson.page, desk_of(lesson)
    lesson.picture("regions_cut")
    assert desk.get_by_text("✗ cut").count() == 2
    toggle(lesson, "cut us – eu").focus()
    page.keyboard.press("Space")
    told(lesson, "us – eu is healed")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    told(lesson, "us – asia is healed")
    toggle(lesson, "wait 15 s").focus()
    page.keyboard.press("Enter")
    told(lesson, "15 s later")
    assert desk.locator("svg").get_by_text("4 of 3 ✗").count() == 3
    lesson.picture("regions_overshot")


def test_the_us_reconciles_by_mouse(lesson):
    """All regions show the limit again, and what was taken back is named."""
    toggle(lesson, "us reconciles").click()
    told(lesson, "1 too many")
    assert desk_of(lesson).locator("svg").get_by_text("3 of 3").count() == 3


def test_a_frozen_region_answers_nobody(lesson):
    """It is drawn as a square, and a repair at ALL says why it fails."""
    toggle(lesson, "freeze asia").click()
    told(lesson, "asia is frozen")
    toggle(lesson, "Glow in asia").click()
    told(lesson, "no answer")
    toggle(lesson, "repair at ALL").click()
    told(lesson, "StoreUnavailable")
    lesson.picture("regions_frozen")
    toggle(lesson, "start again").click()
    told(lesson, "This is the simulator.")


def test_the_desk_can_be_read_in_the_dark(lesson):
    """Its words have the colour of the page, and its circles the ground of the page."""
    lesson.command("apputils:change-theme", theme="JupyterLab Dark")
    lesson.settled("document.body.dataset.jpThemeLight === 'false' && !document.getElementById('jupyterlab-splash')")
    desk = desk_of(lesson)
    lesson.picture("regions_dark")
    assert desk.get_by_role("status").evaluate("it => getComputedStyle(it).color") == "rgb(255, 255, 255)"
    ink = desk.locator("svg text").first.evaluate("it => getComputedStyle(it).fill")
    ground = desk.locator("svg circle").first.evaluate("it => getComputedStyle(it).fill")
    assert ink == "rgb(255, 255, 255)" and ground != ink
    lesson.command("apputils:change-theme", theme="JupyterLab Light")


def test_the_desk_fits_a_narrow_window(lesson):
    """At 800 pixels its buttons wrap, and nothing is wider than its cell."""
    lesson.page.set_viewport_size({"width": 800, "height": 1200})
    desk = desk_of(lesson)
    lesson.picture("regions_narrow")
    assert desk.evaluate("it => it.scrollWidth <= it.clientWidth + 1")
    lesson.page.set_viewport_size({"width": 1280, "height": 1400})
