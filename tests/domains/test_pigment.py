"""Frosting mixes like pigment: what a baker expects, and the laws that replay needs."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eslab import InvalidInput
from eslab.domains.pigment import BASE, NAMES, PIGMENTS, RECIPES, SHELF, Colour, mix, name_of, seen, weights

PORTIONS = st.dictionaries(st.sampled_from(list(PIGMENTS)), st.integers(1, 50), min_size=1)


def called(**portions: int) -> str:
    return name_of(mix(portions))


@pytest.mark.parametrize("goal", RECIPES)
def test_a_recipe_gives_what_it_is_for(goal: str) -> None:
    """A recipe's mixture has the recipe's name, in pure colour and in a bowl of cream."""
    assert called(**RECIPES[goal]) == goal
    assert called(**RECIPES[goal], cream=1) == goal


def test_every_name_has_a_recipe_of_colours_on_the_shelf() -> None:
    """A goal can be reached exactly if it has a name, and needs only colours that can be added."""
    assert set(RECIPES) == set(NAMES)
    assert all(recipe.keys() <= SHELF.keys() for recipe in RECIPES.values())


@pytest.mark.parametrize(
    ("name", "portions"),
    [
        ("purple", [{"red": 3, "blue": 1}, {"red": 1, "blue": 3}, {"red": 1, "blue": 1, "white": 1}]),
        ("green", [{"yellow": 5, "blue": 1}, {"yellow": 1, "blue": 3}, {"yellow": 1, "blue": 1, "white": 1}]),
        ("orange", [{"red": 2, "yellow": 1}, {"red": 1, "yellow": 4}, {"red": 1, "yellow": 1, "white": 1}]),
        ("pink", [{"red": 2, "white": 1}, {"red": 1, "white": 4}]),
        ("brown", [{"red": 1, "yellow": 2, "blue": 1}, {"red": 1, "yellow": 1, "blue": 1, "white": 1}]),
        ("cream", [{}, {"cream": 1}, {"cream": 7, "red": 0}]),
    ],
)
def test_unequal_portions_keep_the_family(name: str, portions: list[dict[str, int]]) -> None:
    """A baker with a heavy hand still gets the colour of that family."""
    assert {called(**mixture) for mixture in portions} == {name}


@pytest.mark.parametrize("colour", SHELF)
def test_one_colour_tints_a_bowl_of_cream(colour: str) -> None:
    """One portion in up to six of cream is called by the colour's name."""
    assert {called(**{colour: 1, "cream": cream}) for cream in range(7)} == {colour}


def test_mixing_like_light_would_be_another_colour() -> None:
    """The average of the sRGB of yellow and blue is no green: that is why pigment is modelled."""
    assert name_of(Colour("#94a38f")) != "green"
    assert called(yellow=1, blue=1) == "green"


@given(PORTIONS)
def test_the_order_of_portions_does_not_matter(portions: dict[str, int]) -> None:
    """Events arrive in any order, and the bowl looks the same to the last bit."""
    orders = [dict(order) for order in permutations(portions.items())]
    assert {mix(order) for order in orders} == {mix(portions)}
    assert {tuple(weights(order).items()) for order in orders} == {tuple(weights(portions).items())}


@given(PORTIONS, st.integers(1, 10**9))
def test_only_proportions_count(portions: dict[str, int], times: int) -> None:
    """Multiplying every portion changes nothing."""
    more = {name: amount * times for name, amount in portions.items()}
    assert (mix(more), weights(more)) == (mix(portions), weights(portions))


@pytest.mark.parametrize("name", PIGMENTS)
def test_a_pure_pigment_looks_as_it_says(name: str) -> None:
    """The stored reflectance has the stored sRGB, and mixing a pigment with nothing leaves it."""
    assert seen(PIGMENTS[name].reflectance) == mix({name: 3}) == PIGMENTS[name].colour


def test_perfect_white_and_black() -> None:
    """A surface that reflects all light is sRGB white, one that reflects none is black."""
    assert (seen([1] * 16), seen([0] * 16)) == (Colour("#ffffff"), Colour("#000000"))


@pytest.mark.parametrize(
    ("portions", "message"),
    [
        ({"mud": 1}, "Expected colours among cream, red, yellow, blue, white, got mud."),
        ({"red": -1}, "Expected a portion of red of zero or more, got -1."),
        ({"red": float("nan")}, "Expected a portion of red of zero or more, got nan."),
    ],
)
def test_what_cannot_be_mixed_is_an_error(portions: dict[str, float], message: str) -> None:
    """Unknown colours and impossible portions are named."""
    with pytest.raises(InvalidInput) as error:
        mix(portions)
    assert str(error.value) == message


def test_a_colour_is_written_in_one_way() -> None:
    """Two equal colours are equal text."""
    with pytest.raises(InvalidInput, match="#rrggbb in lower case, got 'red'"):
        Colour("red")
    assert BASE not in SHELF
