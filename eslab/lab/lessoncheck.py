"""Proof that the exercises judge rightly: the stub fails, wrong answers get their feedback, the solution passes.

An answer that raises an error is one more wrong answer of every exercise that asks for a function.
"""

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich.table import Table

from eslab import EventStore
from eslab.lab import course, solutions
from eslab.lab.answers import Answer
from eslab.lab.exercises import Exercise
from eslab.lab.feedback import Checked
from eslab.lab.raised import RAISES

FEWEST_WRONG = 3
FEWEST_HINTS = 2
ENDS = "its cell ends with"


@dataclass(frozen=True)
class Proof:
    """What was found out about one exercise. Without problems its check can be trusted with every known answer."""

    lesson: str
    exercise: str
    problems: Sequence[str] = ()
    hints: int = 0
    wrong: int = 0  # typical wrong answers
    known: int = 0  # those that get their own feedback
    stub_fails: bool | None = None  # None: not judged
    solution_passes: bool | None = None

    @property
    def is_left_out(self) -> bool:
        """Was nothing judged, since there was no store for it?"""
        return self.stub_fails is None and not self.problems

    @property
    def row(self) -> tuple[str, ...]:
        """The columns of the table."""
        wrong = f"{self.known} of {self.wrong}" if self.stub_fails is not None else str(self.wrong)
        stub, solution = self._mark(self.stub_fails), self._mark(self.solution_passes)
        return (self.lesson, self.exercise, stub, wrong, str(self.hints), solution)

    def _mark(self, ok: bool | None) -> str:
        return {True: "✓", False: "✗", None: "left out" if self.is_left_out else "-"}[ok]


HEADINGS = ("lesson", "exercise", "stub fails", "wrong answers", "hints", "solution passes")


def table(proofs: Sequence[Proof]) -> Table:
    """The proofs as a table for the terminal."""
    table = Table(*HEADINGS)
    for proof in proofs:
        table.add_row(*proof.row, style="red" if proof.problems else "yellow" if proof.is_left_out else None)
    return table


def exercises_of(lesson: course.Lesson) -> list[Exercise]:
    """The exercises in a lesson's module, in the order of the notebook; none if it has no module."""
    try:
        module = importlib.import_module(lesson.module)
    except ModuleNotFoundError as error:
        if error.name != lesson.module:
            raise
        return []
    order = list(solutions.exercises_in(lesson.name))
    found = [thing for thing in vars(module).values() if isinstance(thing, Exercise) and thing.lesson == lesson.name]
    return sorted(found, key=lambda exercise: order.index(exercise.name) if exercise.name in order else len(order))


def prove(lessons: Sequence[course.Lesson], store: EventStore | None = None) -> Iterator[Proof]:
    """Prove every exercise of these lessons, one after the other.

    One that needs a Cassandra is left out without a store. Raises nothing: problems are in the proof.
    """
    for lesson in lessons:
        exercises = exercises_of(lesson)
        for exercise in exercises:
            yield prove_one(exercise, store)
        for name in solutions.exercises_in(lesson.name).keys() - {exercise.name for exercise in exercises}:
            problem = f"{lesson.name}: the notebook has a cell of {name}, but {lesson.module} no such exercise."
            yield Proof(lesson.name, name, [problem])


def prove_one(exercise: Exercise, store: EventStore | None = None) -> Proof:
    """Judge the stub, the solution and the wrong answers of one exercise."""
    found = Proof(exercise.lesson, exercise.name, _lacks(exercise), len(exercise.hints), len(exercise.wrong))
    if found.problems or (exercise.on_cassandra and store is None):
        return found
    cell = solutions.cell_of(exercise.lesson, exercise.name)
    stub, solution, *wrong = (
        judged(exercise, source, store)
        for source in (cell.stub, cell.solution, *(each.source for each in exercise.wrong))
    )
    unknown = [
        f"expected {each.feedback!r} for the wrong answer\n{each.source}\ngot\n{checked}"
        for each, checked in zip(exercise.wrong, wrong, strict=True)
        if checked.passed is not False or each.feedback not in str(checked)
    ]
    of_solution = [] if solution.passed else [f"the solution does not pass:\n{solution}"]
    problems = [*_of_stub(stub), *of_solution, *unknown, *_of_error(exercise, cell.solution, store)]
    return replace(
        found,
        problems=[f"{exercise.lesson}, {exercise.name}: {problem}" for problem in problems],
        known=found.wrong - len(unknown),
        stub_fails=not stub.passed,
        solution_passes=solution.passed is True,
    )


def _of_stub(stub: Checked) -> list[str]:
    if stub.reason.startswith(ENDS):
        return [f"the stub does not run: {stub.reason}"]
    return [f"the stub passes:\n{stub}"] if stub.passed else []


def _of_error(exercise: Exercise, solution: str, store: EventStore | None) -> list[str]:
    """An answer that raises an error must be told of the error, not of a result that it never had."""
    source = f"{solution}\n\ndef _raises(*_):\n    return 1 / 0\n\nif callable({exercise.answer}):\n"
    checked = judged(exercise, f"{source}    {exercise.answer} = _raises", store)
    is_told = checked.difference is None or RAISES in checked.difference.why
    return [] if is_told else [f"an answer that raises an error is told something else:\n{checked}"]


def _lacks(exercise: Exercise) -> list[str]:
    """What is missing in the exercise itself, before anything is judged."""
    name = f"{exercise.lesson}, {exercise.name}"
    feedback = [each.feedback for each in exercise.wrong]
    problems = []
    if exercise.name not in solutions.exercises_in(exercise.lesson):
        problems.append(f"{name}: the notebook has no cell of this exercise.")
    if not _are_different(exercise.hints, FEWEST_HINTS):
        problems.append(f"{name}: expected {FEWEST_HINTS} different hints or more, found {len(exercise.hints)}.")
    if not _are_different(feedback, FEWEST_WRONG):
        problems.append(f"{name}: expected {FEWEST_WRONG} wrong answers or more, each with a feedback of its own.")
    return problems


def _are_different(texts: Sequence[str], fewest: int) -> bool:
    """Are these enough texts, none of them empty or there twice?"""
    return all(texts) and len(set(texts)) == len(texts) >= fewest


def judged(exercise: Exercise, source: str, store: EventStore | None = None) -> Checked:
    """The check's word about a text in place of the exercise's cell."""
    cell = solutions.cell_of(exercise.lesson, exercise.name)
    namespace: dict[str, Any] = {}
    try:
        exec(f"{cell.imports_for(source)}\n{source}", namespace)  # noqa: S102 - our own notebooks and wrong answers
    except Exception as error:
        return Checked(exercise.name, None, reason=f"{ENDS} {type(error).__name__}: {error}")
    texts = [*cell.above, cell.solution, source]
    return exercise.judge(Answer(namespace.get(exercise.answer, ...), texts, exercise.answer, store))
