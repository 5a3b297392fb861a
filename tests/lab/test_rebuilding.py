"""Another process gets the statements that make a function, and none that may do more than compute."""

import pytest

from eslab.lab.rebuilding import NotRebuilt, needed

BUILD = "def build():\n    rows = []\n    rows.append(3)\n    return rows"


def made(name: str, *cells: str) -> dict:
    """What the statements define in an empty process."""
    namespace: dict = {}
    exec(needed(name, cells), namespace)
    return namespace


def test_helpers_and_constants_of_other_cells_come_along():
    """And what these use in turn, in an order in which it runs."""
    cells = [
        "def shard(n):\n    return n % SHARDS",
        "from math import *\nimport json as j",
        "SHARDS = BASE + 1\nother = open('nowhere')",
        "def f(n):\n    return j.dumps(shard(n) + floor(n))",
        "BASE = 3",
    ]
    assert made("f", *cells)["f"](7) == "10"
    assert "nowhere" not in needed("f", cells)


def test_the_last_definition_counts_with_what_changed_it_since():
    """A table may be filled by a loop, and later."""
    cells = [
        "T = []",
        "T = [1]\nfor n in range(2):\n    T.append(n)",
        "def f():\n    return T",
        "T += [7]",
        "T[0] = 5\nT.sort()",
    ]
    assert made("f", *cells)["f"]() == [0, 1, 5, 7]


def test_a_name_of_the_function_itself_is_no_name_of_the_notebook():
    """Neither a parameter nor a variable, nor one of a comprehension or of an attribute."""
    cells = ["lab = open('nowhere')\nn = open('nowhere')\nid = open('nowhere')",
             "def f(lab):\n    rows = [n for n in lab]\n    return rows[0].id"]  # fmt: skip
    assert "nowhere" not in needed("f", cells)


@pytest.mark.parametrize(
    "cells",
    [
        ["from dataclasses import dataclass",
         "@dataclass\nclass C:\n    a: int = 3\n\n    def m(self):\n        return g(self)",
         "def g(c):\n    return c.a", "class H:\n    def __call__(self):\n        return C().m()", "f = H()"],
        ["f = lambda: g()", "def g():\n    return 3"],
        ["def g(n):\n    return h(n - 1) if n else 3", "def h(n):\n    return g(n)", "def f():\n    return g(2)"],
        ["from functools import partial", "def g(n):\n    return n", "f = partial(g, 3)"],
        [BUILD, "TABLE = build()", "def f():\n    return TABLE[0]"],
        ["rows = open('nowhere')", BUILD, "TABLE = build()", "def f():\n    return TABLE[0]"],
        ["%matplotlib inline\nif True:\n    def f():\n        return 3\nelse:\n    def f():\n        return 4"],
        ["A, B = (2, 3)", "def f():\n    return B", "!ls\nA = 4"],
        ["WORDS = 'a b c'.split()", "def f():\n    return len(WORDS)"],
    ],
)  # fmt: skip
def test_answers_in_many_styles_are_made_again(cells):
    """Classes, objects, lambdas, recursion, tables."""
    assert made("f", *cells)["f"]() == 3


@pytest.mark.parametrize(
    ("cells", "refused"),
    [
        (
            ["from eslab.lab.session import open_lab", "lab = open_lab('sqlite:', 7)"],
            "`lab`, which a call of `open_lab`",
        ),
        (["import eslab.lab.session as s", "lab = s.open_lab('sqlite:', 7)"], "`lab`, which a call of `s`"),
        (["lab = open('file')"], "`lab`, which a call of `open`"),
        (["def g():\n    return open('file')", "lab = g()"], "`lab`, which a call of `g`"),
        (["import os", "lab = os.listdir()"], "`lab`, which a call of `os`"),
        (["lab = !ls"], "`lab`, which a call of `get_ipython`"),
        (["class C:\n    x = open('file')", "lab = C()"], "`lab`, which a call of `C`"),
        (["from here import *", "lab = unknown()"], "`lab`, which a call of `unknown`"),
    ],
)
def test_no_call_is_repeated_that_may_have_effects(cells, refused):
    """A lesson's store would be emptied, and a file that is written would be cut."""
    with pytest.raises(NotRebuilt) as found:
        needed("f", [*cells, "def f():\n    return lab"])
    assert refused in str(found.value)


def test_a_value_that_changed_by_a_call_with_effects_is_refused():
    """Also if it was made by a harmless one."""
    with pytest.raises(NotRebuilt, match="`T`, which a call of `open` made"):
        needed("f", ["T = []", "T.append(open('file'))", "def f():\n    return T"])
