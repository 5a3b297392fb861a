"""Parameters are checked before anything runs."""

import pytest

from eslab.errors import InvalidInput
from eslab.lab.parameters import resolve

EVERYWHERE = {"store": "memory:", "seed": 7}


def test_text_becomes_the_declared_type(notebook):
    """A value from the command line is text; the notebook gets it in the type that it declared."""
    typed = 'store: str = ""\nseed: int = 7\nratio: float = 0.5\nloud: bool = False'
    given = {"ratio": "0.25", "loud": "true"}
    assert resolve([notebook("a", parameters=typed)], given, EVERYWHERE) == [
        {"store": "memory:", "seed": 7, "ratio": 0.25, "loud": True}
    ]


def test_a_parameter_goes_to_the_notebooks_that_declare_it(notebook):
    """Others run without it."""
    plain, more = notebook("plain", parameters='store: str = ""\nseed: int = 7'), notebook("more")
    assert resolve([plain, more], {"rounds": "9"}, EVERYWHERE) == [EVERYWHERE, {**EVERYWHERE, "rounds": 9}]


def test_a_misspelt_name_is_an_error(notebook):
    """Papermill warns and runs with the default; here it says what exists and which was meant."""
    with pytest.raises(InvalidInput) as error:
        resolve([notebook("a")], {"round": "9"}, EVERYWHERE)
    assert str(error.value) == (
        "Expected a parameter among rounds, seed, store (declared in a.ipynb), got 'round'. "
        "Did you mean 'rounds'? Nothing was executed."
    )


def test_a_wrong_type_is_an_error(notebook):
    """Whatever can't be read as the declared type is refused, with an example of what can."""
    path = notebook("a")
    with pytest.raises(InvalidInput) as error:
        resolve([path], {"rounds": "many"}, EVERYWHERE)
    assert str(error.value) == (
        f"Expected int for the parameter 'rounds' of {path}, got 'many'. "
        "Give it as rounds=3, for instance. Nothing was executed."
    )


def test_store_and_seed_are_options(notebook):
    """They belong to every notebook, so a second way to give them is refused."""
    with pytest.raises(InvalidInput, match=r"^Expected --seed for the seed, got it among the parameters\."):
        resolve([notebook("a")], {"seed": "8"}, EVERYWHERE)


def test_every_notebook_declares_store_and_seed(notebook):
    """A notebook whose own cell is misspelt, or not tagged, doesn't run on the wrong store."""
    with pytest.raises(
        InvalidInput, match=r"^Expected 'seed' in a cell tagged 'parameters' of .*, found sede, store\."
    ):
        resolve([notebook("a", parameters='store: str = ""\nsede: int = 7')], {}, EVERYWHERE)


def test_a_parameter_has_a_type(notebook):
    """Without an annotation nobody could say what is wrong."""
    with pytest.raises(InvalidInput, match=r"to be declared as one of str, int, float, bool, found seed = 7 without"):
        resolve([notebook("a", parameters='store: str = ""\nseed = 7')], {}, EVERYWHERE)
