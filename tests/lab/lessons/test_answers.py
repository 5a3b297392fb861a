"""A check passes every right answer, in whatever style, and what it says of a wrong one is true of that one."""

import ast

import pytest

from eslab.lab import lessoncheck, solutions
from eslab.lab.answers import Answer
from eslab.lab.exercises import Exercise
from tests.lab.lessons.answers import EXERCISES, right, wrong
from tests.support.cassandra import emptied

ON_SQLITE = [name for name, exercise in EXERCISES.items() if not exercise.on_cassandra]
ON_CASSANDRA = [name for name, exercise in EXERCISES.items() if exercise.on_cassandra]
FUNCTIONS = [
    name for name in ON_SQLITE if "def " in solutions.cell_of(EXERCISES[name].lesson, name).solution
]  # those that ask for a function


@pytest.mark.parametrize("name", EXERCISES)
def test_many_answers_are_tried(name):
    """Of an exercise that asks for a number, there are not so many right ones."""
    assert len(right(name)) >= (8 if name not in ("orange", "needs_step") else 7)
    assert len(wrong(name)) >= (15 if name not in ("orange", *ON_CASSANDRA) else 12 if name == "orange" else 0)


@pytest.mark.parametrize("name", ON_SQLITE)
def test_every_right_answer_passes_from_as_many_cells_as_it_has_statements(name, run_cell):
    """Its helpers and constants may be anywhere in the notebook, for a second process too."""
    exercise, module = EXERCISES[name], EXERCISES[name].rules[0].judge.__module__
    run_cell("\n".join(_imports_above(exercise)))
    run_cell(f"from {module} import {name}")
    for answer in right(name):
        for statement in ast.parse(answer).body:
            run_cell(ast.unparse(statement))
        checked = run_cell(f"{name}.check({exercise.answer})")
        assert checked.passed, f"{answer}\n{checked}"


@pytest.mark.parametrize("name", ON_SQLITE)
def test_what_is_said_of_a_wrong_answer_is_true_of_it(name):
    """It was read by a person who had written this answer."""
    for answer in wrong(name):
        checked = lessoncheck.judged(EXERCISES[name], answer.source)
        said = checked.difference.why if checked.difference else checked.reason
        assert (not checked.passed, said[: len(answer.said)]) == (True, answer.said), f"{answer.source}\n{checked}"


@pytest.mark.cassandra
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ON_CASSANDRA)
def test_every_right_answer_passes_on_a_node(name, node):
    """Both exercises ask for text."""
    store = emptied(node.url("lab_lesson"))
    try:
        for answer in right(name):
            assert lessoncheck.judged(EXERCISES[name], answer, store).passed, answer
    finally:
        store.close()


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("value", [None, "a text", 3.5, {}, object()], ids=repr)
def test_a_function_that_returns_something_else_is_never_right(name, value):
    """Whatever the rules ask of the value, none of them fails."""
    checked = EXERCISES[name].judge(Answer(lambda *arguments: value))
    assert not checked.passed
    assert "can't be judged" not in str(checked)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_error_of_the_answer_is_what_the_check_speaks_of(name):
    """It names no cause of a wrong value, since there was none."""
    raising: list[tuple[Answer, str]] = [
        (Answer(lambda *_: 1 / 0), "Your code raises this error"),
        (Answer(lambda *_: unknown), "Python doesn't know the name unknown"),  # type: ignore[name-defined]  # noqa: F821
        (Answer(lambda: None), "The check calls your function with"),
        (Answer(lambda *_: {}["a"]), "The map has no such key"),
    ]
    for answer, said in raising:
        checked = EXERCISES[name].judge(answer)
        assert checked.difference and said in checked.difference.why, str(checked)


def _imports_above(exercise: Exercise) -> list[str]:
    """The imports of the lesson, as far as the exercise."""
    cell = solutions.cell_of(exercise.lesson, exercise.name)
    statements = [node for text in [*cell.above, cell.solution] for node in _statements(text)]
    return [ast.unparse(node) for node in statements if isinstance(node, ast.Import | ast.ImportFrom)]


def _statements(text: str) -> list[ast.stmt]:
    return [] if text.startswith("%%") else ast.parse(text).body
