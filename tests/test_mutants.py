"""The tests of each promise catch its mutants: lines of the code changed, listed in `tests/support/mutants.py`."""

import pytest

from tests.support.mutants import MUTANTS, Mutant, caught
from tests.support.sample import ROOT


def test_every_promise_has_a_mutant() -> None:
    """G1 to G10, in this order."""
    assert list(dict.fromkeys(mutant.promise for mutant in MUTANTS)) == [f"G{number}" for number in range(1, 11)]


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_a_mutant_names_a_line_that_is_there(mutant: Mutant) -> None:
    """Once, so that it is clear what is changed; who changes such a line changes the list."""
    assert (ROOT / "eslab" / mutant.file).read_text(encoding="utf-8").count(mutant.line) == 1


@pytest.mark.full
def test_without_a_mutant_the_tests_pass() -> None:
    """In the copy as it is, so that what fails in a mutant fails because of it."""
    found, said = caught(None)
    assert not found, said


@pytest.mark.full
@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_the_tests_of_a_promise_catch_its_mutant(mutant: Mutant) -> None:
    """With the line changed, at least one test of the promise fails."""
    found, said = caught(mutant)
    assert found, said
