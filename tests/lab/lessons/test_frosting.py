"""Lesson 01: the film and its slider, deciders that overlap, and what its exercises accept."""

from datetime import timedelta
from typing import Any

import pytest

from eslab.domains.bakery import AddColor, Frosting, MakeColor, open_bakery
from eslab.lab.answers import Answer
from eslab.lab.lessons.exercises.frosting import AFTERNOON, apply_once, orange, without
from eslab.lab.lessons.frosting import decide_at_once, film, mixed_over_time, scrub
from eslab.lab.session import Lab, open_lab


@pytest.fixture
def lab() -> Lab:
    """An empty bakery."""
    return open_lab("memory:", 7)


def dans(lab: Lab):
    """Dan's afternoon as a film."""
    bakery = open_bakery(lab.store, lab.clock)
    for color in AFTERNOON:
        bakery.send("dan", "frosting:1", AddColor(color), lab.request(timedelta(minutes=20)))
    return film(bakery.repository, "dan", "1")


def test_a_film_holds_the_frosting_after_each_commit(lab: Lab) -> None:
    """In words, and as bowls with their portions."""
    shown = dans(lab)
    assert repr(shown) == "red → pink → purple → purple → brown → brown"
    assert "A bowl of pink frosting: 1 red, 1 white" in shown._repr_html_()


def test_the_slider_opens_on_the_first_moment_of_a_colour(lab: Lab) -> None:
    """Beside it stays the frosting as it is now."""
    slider, bowls, _ = scrub(dans(lab), "purple").children
    then, now = bowls.children
    assert (slider.label, "10:00 purple" in then.value, "now brown" in now.value) == ("10:00", True, True)
    slider.index = 0
    assert "09:20 red" in then.value and "now brown" in now.value


def test_the_chart_says_how_it_ends(lab: Lab) -> None:
    """Its alternative text gives every portion, its table every moment."""
    figure = mixed_over_time(dans(lab))
    assert figure.alt.endswith("to 1 red, 1 white, 2 blue, 2 yellow.")
    assert figure.table["portions"].tolist().count(2) == 4


def test_wishes_that_overlap_are_each_decided_on_what_they_read(lab: Lab) -> None:
    """One after another the second needs nothing; at once each adds its blue."""
    bakery = open_bakery(lab.store, lab.clock)
    for customer in ("fay", "gus"):
        bakery.send(customer, "frosting:1", AddColor("red"), lab.request())
    for _ in range(2):
        bakery.send("gus", "frosting:1", MakeColor("purple"), lab.request())
    fays = decide_at_once(bakery, "fay", "frosting:1", MakeColor("purple"), [lab.request(), lab.request()])
    assert fays == Frosting(portions={"red": 1, "blue": 2})
    assert bakery.load("gus", "frosting:1") == Frosting(portions={"red": 1, "blue": 1})


def test_either_blue_is_one_too_many_for_orange() -> None:
    """Both are right answers, all others are wrong, and no number is no answer."""
    assert [without(number).name == "orange" for number in range(6)] == [False, False, True, True, False, False]
    assert [orange.judge(Answer(number)).passed for number in (2, 3, 4, 6, "blue")] == [True, True, False, None, None]


def with_a_set_of_its_own_shape(frosting: Any, event: Any) -> None:
    """A right answer that keeps colour and key together, and counts afresh."""
    frosting.keys.add((event.key, event.color))
    frosting.portions = {color: sum(color == other for _, other in frosting.keys) for _, color in frosting.keys}


def test_any_apply_that_counts_wishes_is_right() -> None:
    """How the keys are kept is the reader's."""
    assert apply_once.judge(Answer(with_a_set_of_its_own_shape)).passed is True


def test_a_repeat_after_another_event_is_found() -> None:
    """Three events are enough to show that the last key alone doesn't help."""

    def last_only(frosting: Any, event: Any) -> None:
        if event.key not in frosting.keys:
            frosting.keys = {event.key}
            frosting.portions[event.color] = frosting.portions.get(event.color, 0) + 1

    checked = apply_once.judge(Answer(last_only))
    assert checked.difference and len(checked.difference.given) == 3
    assert "others may come in between" in str(checked)
