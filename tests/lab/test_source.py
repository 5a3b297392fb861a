"""Source is shown with its place, highlighted in the page's own colours."""

import pytest

from eslab import InvalidInput
from eslab.domains.bakery import Frosting, handle
from eslab.lab.source import private_names, show_source


def test_a_method_is_shown_without_its_indentation():
    """With its name and module."""
    shown = show_source(Frosting.apply)
    assert shown.title == "Frosting.apply in eslab.domains.bakery"
    assert shown.text.startswith("def apply(self, event: ColorAdded) -> None:\n    self.portions")
    assert repr(shown) == shown.text


@pytest.mark.parametrize("thing", [handle, Frosting, Frosting.hex])
def test_functions_classes_and_properties_have_source(thing):
    """Whatever was written in Python."""
    assert show_source(thing).text.strip()


@pytest.mark.parametrize("thing", [3, "handle", len, dict, None])
def test_what_has_no_source_is_refused(thing):
    """With an example of what has one."""
    with pytest.raises(InvalidInput, match=r"show_source\(Frosting.apply\)"):
        show_source(thing)


def test_colours_are_those_of_the_theme():
    """So they follow the page into the dark; the text is escaped."""
    html = show_source(Frosting.apply)._repr_html_()
    assert '<span style="color:var(--jp-mirror-editor-keyword-color, inherit)">def</span>' in html
    assert "<ColorAdded" not in html
    assert "#" not in html


class Shop:
    """A class with helpers."""

    def __init__(self) -> None:
        self._till: list[int] = []  # what was paid

    def sell(self, price: int) -> int:
        """Sell something."""
        self._count = _doubled(price) + _doubled(price)
        self._pay(price)
        return sum(self._till) + self._count + len(_NAMES) + __name__.count("x")

    def _pay(self, price: int) -> None:
        """Put the price into `_till`. Twice."""
        self._till.append(price)


def _doubled(price: int) -> int:
    """The price, twice.

    For two.
    """
    return 2 * price


_NAMES = ["a"]


def test_private_helpers_are_named_below_the_source():
    """By the first line of a docstring, or by the comment where an attribute is set; what the text makes isn't."""
    shown = show_source(Shop.sell)
    assert shown.helpers == {
        "_doubled": "The price, twice",
        "self._pay": "Put the price into `_till`. Twice",
        "self._till": "what was paid",
    }
    assert "\n# self._pay: Put the price into `_till`. Twice" in repr(shown)
    assert "<li><code>self._pay</code>: Put the price into <code>_till</code>. Twice</li>" in shown._repr_html_()


def test_private_names_are_those_that_a_text_takes_from_elsewhere():
    """In the order in which they come; a constant, or a name with two underscores, is none."""
    assert private_names(show_source(Shop.sell).text) == ["_doubled", "self._pay", "self._till"]
    assert private_names(show_source(Shop).text) == ["_doubled", "self._pay"]
