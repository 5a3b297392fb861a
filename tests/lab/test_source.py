"""Source is shown with its place, highlighted in the page's own colours."""

import pytest

from eslab import InvalidInput
from eslab.domains.bakery import Frosting, handle
from eslab.lab.source import show_source


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
