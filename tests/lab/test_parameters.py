"""Parameters are checked before anything runs."""

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from papermill.translators import PythonTranslator

from eslab.errors import InvalidInput
from eslab.lab.parameters import read, resolve

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


BOTH = 'store: str = ""\nseed: int = 7\n'


@pytest.mark.parametrize(
    ("declared", "given", "value"),
    [
        ("x: int | None = None", "5", 5),
        ("x: int | None = None  # type: ignore", "-5", -5),
        ("x: int | None = 3", "None", None),
        ("x: None | int = 3", "null", None),
        ("x: Optional[int] = None", "5", 5),
        ("x: typing.Optional[float] = None", "-1e3", -1000.0),
        ("x: Union[int, str] = 1", "five", "five"),
        ('x: "int | None" = None  # a comment = with an equals sign', "5", 5),
        ("x: Optional['int'] = None", "5", 5),
        ('x: Literal["a=b", "c#d"] = "a=b"', "c#d", "c#d"),
        ("x: Literal[1, 2] = 1", "2", 2),
        ("x: list[int] = [\n    1,  # one\n    2,\n]", "[3, 4]", [3, 4]),
        ("x: list[str] = []", "['a', \"b\"]", ["a", "b"]),
        ("x: dict[str, float] = {}", '{"a": 1}', {"a": 1.0}),
        ("x: dict[str, bool] = {}", '{"a": true}', {"a": True}),
        ("x: bool = False", "True", True),
        ("x: bool | None = None", "0", False),
        ("x: str = 'a'", "", ""),
        ("x: str = 'a'", 'it\'s "quoted" = [1]', 'it\'s "quoted" = [1]'),
        ("x: str = 'a'", "None", "None"),
        ("x: str | None = None", "None", "None"),
        ("x: (\n    int\n) = (\n    7\n)", "8", 8),
        ("x = 5  # type: int", "6", 6),
        ("%matplotlib inline\nx: int = 5", "6", 6),
        ("y = x = z = 1  # type: int", "6", 6),
        ("x: int", "6", 6),
    ],
)
def test_values_take_the_declared_type(notebook, declared, given, value):
    """However the annotation is written; a text that can be text stays text."""
    (resolved,) = resolve([notebook("a", parameters=BOTH + declared)], {"x": given}, EVERYWHERE)
    assert resolved["x"] == value
    assert type(resolved["x"]) is type(value)


@pytest.mark.parametrize(
    ("declared", "given"),
    [("int | None", ""), ("int | None", "five"), ("int | None", "5.5"), ("int", "True"), ("bool", "yes"),
     ("Literal['a', 'b']", "c"), ("list[int]", "5"), ("list[int]", "['a']"), ("list[int]", "(" * 500),
     ("dict[str, int]", "[1]"), ("float | None", "1,5")],
)  # fmt: skip
def test_values_of_another_type_are_refused(notebook, declared, given):
    """The message names the type as it was declared, and doesn't flood the screen."""
    with pytest.raises(InvalidInput) as error:
        resolve([notebook("a", parameters=f"{BOTH}x: {declared} = None")], {"x": given}, EVERYWHERE)
    assert str(error.value).startswith(f"Expected {declared} for the parameter 'x' of ")
    assert len(str(error.value)) < 400


@pytest.mark.parametrize("annotation", ["pandas.DataFrame", "tuple[int, int]", "list[object]", "no such type", "1 / 0"])
def test_types_that_no_text_becomes_are_refused(notebook, annotation):
    """Only if a value is given for them."""
    path = notebook("a", parameters=f'{BOTH}x: "{annotation}" = None')
    assert resolve([path], {}, EVERYWHERE) == [EVERYWHERE]
    with pytest.raises(InvalidInput, match="to be declared as one of str, int, float, bool, found x: "):
        resolve([path], {"x": "1"}, EVERYWHERE)


def test_two_cells_of_parameters_are_refused(notebook):
    """The second would set its own defaults after the given values."""
    path = notebook("a")
    twice = nbformat.read(path, as_version=4)
    twice.cells[2:] = [nbformat.v4.new_code_cell("rounds: int = 3", metadata={"tags": ["parameters"]})]
    nbformat.write(twice, path)
    with pytest.raises(InvalidInput, match=r"Expected one cell tagged 'parameters' in .*, found 2"):
        resolve([path], {"rounds": "5"}, EVERYWHERE)


def test_a_cell_of_parameters_that_is_no_python_is_refused(notebook):
    """With the line and the reason."""
    with pytest.raises(InvalidInput, match=r"Expected Python in the cell .*, found in its line 3: "):
        resolve([notebook("a", parameters=f"{BOTH}x: int = = 3")], {}, EVERYWHERE)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=5,
    )
)
def test_a_resolved_value_reaches_the_cell(value):
    """Papermill writes each value of a supported type as Python that gives the value again."""
    namespace: dict = {}
    exec(PythonTranslator.codify({"x": value}), namespace)
    assert namespace["x"] == value


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", "3", "{}", '{"nbformat": 4}',
     '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": 3}',
     '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{}]}',
     '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"cell_type": "code", "metadata": {"tags": 3}}]}',
     '{"nbformat": 99, "nbformat_minor": 0, "metadata": {}, "cells": []}', "\xff"],
)  # fmt: skip
def test_a_file_that_is_no_notebook_is_named(tmp_path, content):
    """With the reason, whatever it holds."""
    path = tmp_path / "a.ipynb"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(InvalidInput, match=r"^Expected a notebook at .*, but the file can't be read as one: \w+: "):
        read(path)
