"""Proof that the exercises judge rightly: the stub fails, wrong answers get their feedback, the solution passes."""

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.table import Table

from eslab import EventStore
from eslab.lab import course, solutions
from eslab.lab.answers import Answer
from eslab.lab.exercises import Exercise
from eslab.lab.feedback import Checked

FEWEST_WRONG = 3
FEWEST_HINTS = 2
LEFT_OUT = "left out"
ENDS = "its cell ends with"


@dataclass(frozen=True)
class Proof:
    """What was found out about one exercise; without problems its check can be trusted with every known answer."""

    lesson: str
    exercise: str
    stub: str
    wrong: str
    hints: str
    solution: str
    problems: Sequence[str] = field(default=())

    @property
    def is_left_out(self) -> bool:
        """Was nothing judged, since there was no store for it?"""
        return self.stub == LEFT_OUT

    @property
    def row(self) -> tuple[str, ...]:
        """The columns of the table."""
        return (self.lesson, self.exercise, self.stub, self.wrong, self.hints, self.solution)


HEADINGS = ("lesson", "exercise", "stub fails", "wrong answers", "hints", "solution passes")


def exercises_of(lesson: course.Lesson) -> list[Exercise]:
    """The exercises in a lesson's module, in the order of the module; none if it has no module."""
    try:
        module = importlib.import_module(lesson.exercises)
    except ModuleNotFoundError as error:
        if error.name != lesson.exercises:
            raise
        return []
    return [thing for thing in vars(module).values() if isinstance(thing, Exercise) and thing.lesson == lesson.name]


def prove(lessons: Sequence[course.Lesson], store: EventStore | None = None) -> Iterator[Proof]:
    """Prove every exercise of these lessons, one after the other.

    One that needs a Cassandra is left out without a store. Raises nothing: problems are in the proof.
    """
    for lesson in lessons:
        exercises = exercises_of(lesson)
        unknown = solutions.exercises_in(lesson.name).keys() - {exercise.name for exercise in exercises}
        for exercise in exercises:
            yield proof_of(exercise, store)
        for name in sorted(unknown):
            problem = f"{lesson.name}: the notebook has a cell of {name}, but {lesson.exercises} no such exercise."
            yield Proof(lesson.name, name, "-", "-", "-", "-", [problem])


def table(proofs: Sequence[Proof]) -> Table:
    """The proofs as a table for the terminal."""
    table = Table(*HEADINGS)
    for proof in proofs:
        table.add_row(*proof.row, style="red" if proof.problems else "yellow" if proof.is_left_out else None)
    return table


def proof_of(exercise: Exercise, store: EventStore | None = None) -> Proof:
    """Judge the stub, the solution and the wrong answers of one exercise."""
    problems = _shape(exercise)
    names = (exercise.lesson, exercise.name)
    hints = str(len(exercise.hints))
    if problems or (exercise.on_cassandra and store is None):
        left_out = "-" if problems else LEFT_OUT
        return Proof(*names, left_out, f"{left_out} ({len(exercise.wrong)})", hints, left_out, problems)
    cell = solutions.cell_of(exercise.lesson, exercise.name)
    stub = _judged(exercise, cell.stub, store)
    solution = _judged(exercise, cell.solution, store)
    wrong = [_judged(exercise, each.source, store) for each in exercise.wrong]
    known = [_gets(each.feedback, checked) for each, checked in zip(exercise.wrong, wrong, strict=True)]
    problems += [f"the stub passes:\n{stub}"] if stub.passed else []
    problems += [f"the stub does not run: {stub.reason}"] if stub.reason.startswith(ENDS) else []
    problems += [f"the solution does not pass:\n{solution}"] if not solution.passed else []
    problems += [
        f"expected {each.feedback!r} for the wrong answer\n{each.source}\ngot\n{checked}"
        for each, checked, ok in zip(exercise.wrong, wrong, known, strict=True)
        if not ok
    ]
    marks = f"{sum(known)} of {len(known)}"
    named = [f"{exercise.lesson}, {exercise.name}: {problem}" for problem in problems]
    return Proof(*names, _mark(not stub.passed), marks, hints, _mark(solution.passed), named)


def _shape(exercise: Exercise) -> list[str]:
    """What is missing in the exercise itself, before anything is judged."""
    name = f"{exercise.lesson}, {exercise.name}"
    feedback = [each.feedback for each in exercise.wrong]
    problems = []
    if exercise.name not in solutions.exercises_in(exercise.lesson):
        problems.append(f"{name}: the notebook has no cell of this exercise.")
    if len(set(exercise.hints)) < max(FEWEST_HINTS, len(exercise.hints)) or not all(exercise.hints):
        problems.append(f"{name}: expected {FEWEST_HINTS} different hints or more, found {len(exercise.hints)}.")
    if len(set(feedback)) < max(FEWEST_WRONG, len(feedback)) or not all(feedback):
        problems.append(f"{name}: expected {FEWEST_WRONG} wrong answers or more, each with a feedback of its own.")
    return problems


def _judged(exercise: Exercise, source: str, store: EventStore | None) -> Checked:
    """The check's word about a text in place of the exercise's cell."""
    imports = solutions.cell_of(exercise.lesson, exercise.name).imports_for(source)
    namespace: dict[str, Any] = {}
    try:
        exec(f"{imports}\n{source}", namespace)  # noqa: S102 - our own notebooks and wrong answers
    except Exception as error:
        return Checked(exercise.name, None, reason=f"{ENDS} {type(error).__name__}: {error}")
    return exercise.judge(Answer(namespace.get(exercise.answer, ...), source, imports, store))


def _gets(feedback: str, checked: Checked) -> bool:
    return checked.passed is False and feedback in str(checked)


def _mark(ok: bool | None) -> str:
    return "✓" if ok else "✗"
