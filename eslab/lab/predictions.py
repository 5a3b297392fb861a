"""Predictions: the reader guesses before a cell, and sees guess and outcome side by side after it.

    guess = predict("How many events does it take on red?", [0, 1, 2])     # or a number: unit="ms"
    ...
    guess.outcome(len(to_purple.events))

A guess is kept in the reader's record. Without a reader the question is shown, and the outcome says only what it is.
"""

from collections.abc import Mapping, Sequence
from html import escape
from math import isfinite
from typing import Any

import ipywidgets

from eslab.errors import InvalidInput
from eslab.lab import reader
from eslab.lab.tables import html_table
from eslab.lab.widgets import Desk

Value = str | int | float | bool
QUESTION = '<p style="margin:4px 0"><b>{}</b></p>'


def predict(question: str, choices: Sequence[Value] | None = None, *, unit: str = "") -> "Prediction":
    """Ask the reader a question before the cell that answers it: one of the choices, or a number in this unit.

    Raises `InvalidInput` if the question is empty, or if the choices are not two or more different values.
    """
    from IPython.display import display

    prediction = Prediction(question, choices, unit)
    display(prediction)
    return prediction


class Prediction:
    """A question to the reader. `guess` is the reader's answer, or None."""

    def __init__(self, question: str, choices: Sequence[Value] | None = None, unit: str = "") -> None:
        if not isinstance(question, str) or not question.strip():
            raise InvalidInput(f"Expected a question, got {question!r}. Write one sentence that ends with ?")
        if choices is not None and not _are_choices(choices):
            raise InvalidInput(
                f"Expected two or more different choices, each a text or a number, got {choices!r}. "
                "Leave them out to ask for a number."
            )
        self.question = question.strip()
        self.choices = None if choices is None else list(choices)
        self.unit = unit
        self.guess = self._recalled()
        self._desk = GuessDesk(self)

    def take(self, guess: Value) -> None:
        """Keep the reader's guess."""
        self.guess = self._checked(guess)
        reader.keep(reader.GUESSES, self.question, self.guess)

    def outcome(self, actual: Value) -> "Outcome":
        """Show the outcome beside the guess, which can't be changed any more once it was made.

        Raises `InvalidInput` if it could not have been guessed: not among the choices, or not a number.
        """
        outcome = Outcome(self, self._checked(actual))
        if outcome.guess is not None:
            self._desk.close_question()
        return outcome

    def in_words(self, value: Value) -> str:
        """A value with its unit."""
        text = f"{value:,.6g}" if isinstance(value, float) else str(value)
        return f"{text} {self.unit}".strip()

    def _checked(self, value: Any) -> Value:
        if self.choices is not None and not any(_is_equal(value, choice) for choice in self.choices):
            raise InvalidInput(
                f"Expected one of the choices {self.choices} of {self.question!r}, got {value!r}. "
                "Give the value itself, of the same type."
            )
        if self.choices is None and not _is_number(value):
            raise InvalidInput(f"Expected a number for {self.question!r}, got {value!r}.")
        return value

    def _recalled(self) -> Value | None:
        """The guess of an earlier session, unless the question has other choices by now."""
        kept = reader.recall(reader.GUESSES, self.question)
        fits = _is_number(kept) if self.choices is None else any(_is_equal(kept, choice) for choice in self.choices)
        return kept if fits else None

    def __repr__(self) -> str:
        answers = " / ".join(self.in_words(choice) for choice in self.choices) if self.choices else self._number()
        return f"{self.question} ({answers})"

    def _number(self) -> str:
        return f"a number of {self.unit}" if self.unit else "a number"

    def _html(self) -> str:
        """The question for a page without a kernel."""
        choices = "".join(f"<li>{escape(self.in_words(choice))}</li>" for choice in self.choices or ())
        answers = f"<ul>{choices}</ul>" if choices else f"<p>Guess {escape(self._number())}.</p>"
        return QUESTION.format(escape(self.question)) + answers

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Mapping[str, Any]:
        """The desk where widgets live, and the same question as HTML where they don't."""
        bundle: Any = self._desk._repr_mimebundle_()
        return {**bundle, "text/html": self._html(), "text/plain": repr(self)}


class Outcome:
    """What happened, beside what the reader expected."""

    def __init__(self, prediction: Prediction, actual: Value) -> None:
        self.prediction = prediction
        self.actual = actual
        self.guess = prediction.guess

    @property
    def is_right(self) -> bool | None:
        """Was the guess right? None without a guess."""
        return None if self.guess is None else self.guess == self.actual

    def line(self) -> dict[str, str]:
        """The columns of the table; without a guess only the outcome."""
        actual = {"it is": self.prediction.in_words(self.actual)}
        if self.guess is None:
            return actual
        off = {} if self.prediction.choices else {"your guess was": self._distance()}
        return {"your guess": f"{self.prediction.in_words(self.guess)} {'✓' if self.is_right else ''}", **actual, **off}

    def _distance(self) -> str:
        distance = float(self.guess) - float(self.actual)  # type: ignore[arg-type]
        if not distance:
            return "exact"
        return f"{self.prediction.in_words(abs(distance))} too {'high' if distance > 0 else 'low'}"

    def __repr__(self) -> str:
        return ", ".join(f"{name}: {value.strip()}" for name, value in self.line().items())

    def _repr_html_(self) -> str:
        return f'<div role="status">{html_table([self.line()])}</div>'


class GuessDesk(Desk):
    """The question with a button for each choice, or a field for a number; says below what was kept."""

    def __init__(self, prediction: Prediction) -> None:
        self.prediction = prediction
        self.told = ipywidgets.HTML()
        self.controls = self._buttons() if prediction.choices else self._field()
        row = ipywidgets.HBox(self.controls, layout={"flex_flow": "row wrap", "align_items": "center"})
        super().__init__([ipywidgets.HTML(QUESTION.format(escape(prediction.question))), row, self.told])
        self._tell()

    def close_question(self) -> None:
        """Let the guess stand as it is."""
        for control in self.controls:
            control.disabled = True

    def _buttons(self) -> list[Any]:
        buttons = []
        for choice in self.prediction.choices or ():
            words = self.prediction.in_words(choice)
            button = ipywidgets.Button(description=words, tooltip=f"Guess: {words}", layout={"width": "auto"})
            button.on_click(lambda _, choice=choice: self._take(choice))
            buttons.append(button)
        return buttons

    def _field(self) -> list[Any]:
        label = f"your guess, {self.prediction.unit}" if self.prediction.unit else "your guess"
        style = {"description_width": "initial"}
        field = ipywidgets.Text(description=label, placeholder="a number", style=style, continuous_update=False)
        button = ipywidgets.Button(description="Keep", tooltip="Keep this guess", layout={"width": "auto"})
        field.observe(lambda _: self._take_text(field.value), names="value")
        button.on_click(lambda _: self._take_text(field.value))
        return [field, button]

    def _take_text(self, text: str) -> None:
        try:
            number = float(text.replace(",", ".").removesuffix(self.prediction.unit))
        except ValueError:
            number = float("nan")
        if isfinite(number):
            self._take(int(number) if number.is_integer() else number)
        elif text.strip():
            self.told.value = _announced(f"Expected a number, such as 12 or 0.5, got {text!r}.")

    def _take(self, guess: Value) -> None:
        self.prediction.take(guess)
        self._tell()

    def _tell(self) -> None:
        guess = self.prediction.guess
        words = "" if guess is None else f"Your guess: {self.prediction.in_words(guess)}."
        self.told.value = _announced(words)
        for button, choice in zip(self.controls, self.prediction.choices or (), strict=False):
            is_chosen = guess is not None and _is_equal(choice, guess)
            button.icon = "check" if is_chosen else ""


def _announced(words: str) -> str:
    """Words that a screen reader reads out when they change."""
    return f'<div role="status">{escape(words)}</div>'


def _are_choices(choices: Any) -> bool:
    if isinstance(choices, str) or not isinstance(choices, Sequence) or len(choices) < 2:
        return False
    return all(isinstance(choice, Value) for choice in choices) and len(set(map(str, choices))) == len(choices)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _is_equal(one: Any, other: Any) -> bool:
    """Equal, where True is not 1."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)
