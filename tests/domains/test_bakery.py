"""The bakery: goals become the events that are still needed."""

from datetime import UTC, datetime

import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from eslab import Accepted, ManualClock, Request, open_store
from eslab.domains import pigment
from eslab.domains.bakery import BOWL, AddColor, ColorAdded, Frosting, MakeColor, handle, open_bakery
from eslab.testing import given

RED, BLUE, YELLOW = ColorAdded("red"), ColorAdded("blue"), ColorAdded("yellow")
START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
colors = st.sampled_from(sorted(pigment.SHELF))
goals = st.sampled_from(sorted(pigment.RECIPES))


def test_adding_a_color_is_one_event() -> None:
    """AddColor becomes one ColorAdded."""
    given(Frosting).when(handle, AddColor("red")).then(RED)


def test_purple_on_cream_takes_two_events() -> None:
    """A goal becomes everything that it takes."""
    given(Frosting).when(handle, MakeColor("purple")).then(RED, BLUE)


def test_purple_on_red_takes_one_event() -> None:
    """A goal becomes only what is still needed."""
    given(Frosting, RED).when(handle, MakeColor("purple")).then(BLUE)


def test_purple_on_purple_takes_nothing() -> None:
    """A goal that is reached needs no event."""
    given(Frosting, RED, BLUE).when(handle, MakeColor("purple")).then()


def test_purple_on_green_is_rejected() -> None:
    """Colour can't be extracted."""
    given(Frosting, YELLOW, BLUE).when(handle, MakeColor("purple")).then_rejected("mixing")


def test_more_than_the_bowl_holds_is_rejected() -> None:
    """The bowl holds twelve portions; the rejection says how many there would be."""
    full = [RED] * BOWL
    given(Frosting, *full).when(handle, AddColor("red")).then_rejected("bowl", limit=BOWL, count=BOWL + 1)


def test_a_color_that_is_not_on_the_shelf_is_rejected() -> None:
    """Only what stands on the shelf goes in."""
    given(Frosting).when(handle, AddColor("gold")).then_rejected("shelf")


def test_a_goal_without_a_recipe_is_rejected() -> None:
    """There is no recipe for gold."""
    given(Frosting).when(handle, MakeColor("gold")).then_rejected("recipe")


@pytest.mark.parametrize("goal", sorted(pigment.RECIPES))
def test_every_goal_is_reached_from_cream(goal: str) -> None:
    """The events that fulfil a goal make that colour."""
    frosting = Frosting()
    for event in handle(frosting, MakeColor(goal), Request.at(START, "goal")):
        frosting.apply(event)
    assert frosting.name == goal


@forall(st.lists(colors, max_size=BOWL), goals)
def test_a_goal_that_was_granted_is_reached_and_needs_nothing_more(portions: list[str], goal: str) -> None:
    """From any bowl: rejected, or right and repeatable."""
    outcome = given(Frosting, *map(ColorAdded, portions)).when(handle, MakeColor(goal))
    if isinstance(outcome.answer, list):
        events = [*outcome.given, *outcome.answer]
        given(Frosting, *events).when(handle, MakeColor(goal)).then()


@forall(st.lists(colors, max_size=BOWL), st.randoms())
def test_G4_the_order_of_events_does_not_matter(portions: list[str], random) -> None:
    """apply commutes: the same events in any order are the same frosting."""
    shuffled = random.sample(portions, len(portions))
    assert _folded(portions) == _folded(shuffled)


@pytest.mark.parametrize("url", ["memory:", "sqlite:"])
def test_G3_what_send_returned_is_what_the_next_hydration_shows(url: str) -> None:
    """A request, its repeat, and a hydration agree."""
    store, clock = open_store(url), ManualClock(START)
    bakery, request = open_bakery(store, clock), Request.at(START, "order 17")
    first = bakery.send("ann", "frosting:1", MakeColor("purple"), request)
    again = bakery.send("ann", "frosting:1", MakeColor("purple"), request)
    assert isinstance(first, Accepted) and isinstance(again, Accepted) and again.repeated
    assert first.state == again.state == bakery.load("ann", "frosting:1")
    store.close()


def _folded(portions: list[str]) -> Frosting:
    frosting = Frosting()
    for color in portions:
        frosting.apply(ColorAdded(color))
    return frosting
