"""A reader's guess stands beside the outcome; without a guess only the outcome does."""

from pathlib import Path

import pytest

from eslab import InvalidInput
from eslab.lab import reader
from eslab.lab.predictions import Prediction
from eslab.lab.stills import VIEW

QUESTION = "How many events does purple take on red?"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """The reader's folder is empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def guess() -> Prediction:
    """A question with three choices."""
    return Prediction(QUESTION, [0, 1, 2])


@pytest.fixture
def wait() -> Prediction:
    """A question about a number."""
    return Prediction("How long does an append take?", unit="ms")


def test_the_guess_stands_beside_the_outcome(guess):
    """Both, in one line."""
    guess._desk.controls[2].click()
    assert repr(guess.outcome(1)) == "your guess: 2, it is: 1"
    assert guess.outcome(1).is_right is False


def test_a_guess_that_was_right_is_marked(guess):
    """It is the same value."""
    guess.take(1)
    assert repr(guess.outcome(1)) == "your guess: 1 ✓, it is: 1"


@pytest.mark.parametrize(
    ("text", "actual", "words"),
    [
        ("4", 12.5, "your guess: 4 ms, it is: 12.5 ms, your guess was: 8.5 ms too low"),
        ("20", 12.5, "your guess: 20 ms, it is: 12.5 ms, your guess was: 7.5 ms too high"),
        ("12,5 ms", 12.5, "your guess: 12.5 ms ✓, it is: 12.5 ms, your guess was: exact"),
    ],
)
def test_a_number_has_a_distance(wait, text, actual, words):
    """In its unit, and on which side; a comma and the unit are understood."""
    wait._desk.controls[0].value = text
    assert repr(wait.outcome(actual)) == words


def test_a_text_that_is_no_number_is_refused_in_words(wait):
    """Nothing is kept."""
    wait._desk.controls[0].value = "many"
    assert "Expected a number, such as 12 or 0.5, got &#x27;many&#x27;." in wait._desk.told.value
    assert wait.guess is None


def test_without_a_guess_only_the_outcome_is_shown(guess, wait):
    """Nobody has to guess, and a run without a reader can't."""
    assert repr(guess.outcome(1)) == "it is: 1"
    assert repr(wait.outcome(3)) == "it is: 3 ms"
    assert guess.outcome(1).is_right is None


def test_a_guess_is_kept_for_the_next_session(guess):
    """Unless the question has other choices by then."""
    guess.take(2)
    assert Prediction(QUESTION, [0, 1, 2]).guess == 2
    assert "Your guess: 2." in Prediction(QUESTION, [0, 1, 2])._desk.told.value
    assert Prediction(QUESTION, [0, 1]).guess is None
    assert Prediction(QUESTION, ["2", "3"]).guess is None


def test_without_a_reader_an_old_guess_is_not_shown(guess, monkeypatch):
    """A report is the same in everybody's folder."""
    guess.take(2)
    monkeypatch.setenv(reader.ALONE, "1")
    assert repr(Prediction(QUESTION, [0, 1, 2]).outcome(1)) == "it is: 1"


def test_a_guess_is_fixed_by_its_outcome(guess):
    """But a reader who ran all cells first can still guess."""
    guess.outcome(1)
    assert not any(button.disabled for button in guess._desk.controls)
    guess.take(1)
    guess.outcome(1)
    assert all(button.disabled for button in guess._desk.controls)


@pytest.mark.parametrize(
    ("choices", "actual"),
    [([0, 1], 2), ([0, 1], True), ([True, False], 1), (["yes", "no"], "maybe"), (None, "1"), (None, True),
     (None, float("nan")), (None, None)],
)  # fmt: skip
def test_an_outcome_that_nobody_could_guess_is_refused(choices, actual):
    """It shows that the question is wrong."""
    with pytest.raises(InvalidInput, match=r"Expected (one of the choices|a number)"):
        Prediction("What?", choices).outcome(actual)


@pytest.mark.parametrize("choices", [[], [1], "yes", [1, 1], [1, "1"], [1, None], 3, [[1], [2]]])
def test_choices_are_two_or_more_different_values(choices):
    """Texts or numbers."""
    with pytest.raises(InvalidInput, match="Expected two or more different choices"):
        Prediction("What?", choices)


@pytest.mark.parametrize("question", ["", "  ", None, 3])
def test_a_question_is_a_text(question):
    """Otherwise nobody knows what is asked."""
    with pytest.raises(InvalidInput, match="Expected a question"):
        Prediction(question)


def test_a_page_without_a_kernel_shows_question_and_choices(guess, wait):
    """As plain HTML beside the widget; names are escaped."""
    shown = guess._repr_mimebundle_()
    assert VIEW in shown
    assert shown["text/html"] == f'<p style="margin:4px 0"><b>{QUESTION}</b></p><ul><li>0</li><li>1</li><li>2</li></ul>'
    assert "<p>Guess a number of ms.</p>" in wait._repr_mimebundle_()["text/html"]
    assert "&lt;b&gt;" in Prediction("<b>?", ["<i>", "j"])._repr_mimebundle_()["text/html"]


def test_every_control_has_a_name(guess, wait):
    """A screen reader says which guess a button keeps, and whose unit a field has."""
    assert [button.tooltip for button in guess._desk.controls] == ["Guess: 0", "Guess: 1", "Guess: 2"]
    assert wait._desk.controls[0].description == "your guess, ms"
