"""`eslab lessons check` proves every exercise of the course, and notices each thing that can be off."""

from dataclasses import replace

import pytest
from typer.testing import CliRunner

from eslab import cli
from eslab.lab import course, lessoncheck
from eslab.lab.exercises import Exercise, Wrong
from eslab.lab.lessons.exercises.frosting import at_least
from tests.support.cassandra import emptied


def test_every_exercise_of_the_course_is_proved():
    """Stubs fail, wrong answers get their own feedback, there are hints, solutions pass; exit code 0."""
    done = CliRunner().invoke(cli.app, ["lessons", "check"])
    assert done.exit_code == 0, done.output
    assert "Left out: swapped, primary_key" in done.stdout
    assert {name for lesson in course.LESSONS for name in [lesson.number] if name in done.stdout} >= {"01", "05"}


def test_every_lesson_but_the_first_has_an_exercise():
    """They are found in the module that is named after the lesson."""
    found = {lesson.name: len(lessoncheck.exercises_of(lesson)) for lesson in course.LESSONS}
    assert all(found[name] for name in list(found)[1:])


@pytest.mark.cassandra
@pytest.mark.timeout(600)
def test_an_exercise_on_cassandra_is_proved_on_a_node(node):
    """What is left out without a store is proved with one."""
    store = emptied(node.url("lab_lesson"))
    try:
        proofs = list(lessoncheck.prove([course.lesson("03_event_store_on_cassandra")], store))
    finally:
        store.close()
    assert [(proof.problems, proof.is_left_out) for proof in proofs] == [([], False)] * len(proofs) != []


def problems(**changes: object) -> str:
    """What is off in an exercise with these changes."""
    changed: Exercise = replace(at_least, **changes)  # type: ignore[arg-type]
    return "\n".join(lessoncheck.prove_one(changed).problems)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"hints": ["one"]}, "expected 2 different hints or more, found 1."),
        ({"hints": ["one", "one"]}, "expected 2 different hints or more, found 2."),
        ({"wrong": at_least.wrong[:2]}, "expected 3 wrong answers or more, each with a feedback of its own."),
        ({"wrong": [*at_least.wrong[:3], at_least.wrong[0]]}, "each with a feedback of its own."),
        ({"wrong": [*at_least.wrong, Wrong(at_least.wrong[0].source, "Something else")]},
         "expected 'Something else' for the wrong answer"),
        ({"wrong": [*at_least.wrong, Wrong("handle_at_least = 1 / 0", "no cell")]}, "its cell ends with ZeroDivision"),
        ({"rules": []}, "the stub passes"),
        ({"answer": "handle"}, "the solution does not pass"),
        ({"name": "at_most"}, "the notebook has no cell of this exercise."),
    ],
)  # fmt: skip
def test_what_is_off_is_named(changes, problem):
    """With the lesson and the exercise."""
    assert problem in problems(**changes)
    assert problems(**changes).startswith("01_frosting, at_")


def test_a_cell_without_its_exercise_is_named(monkeypatch):
    """The notebook may not name an exercise that the module lacks."""
    monkeypatch.setattr(lessoncheck, "exercises_of", lambda lesson: [])
    proofs = {proof.exercise: proof for proof in lessoncheck.prove([course.lesson("01_frosting")])}
    assert "the notebook has a cell of at_least" in proofs["at_least"].problems[0]
