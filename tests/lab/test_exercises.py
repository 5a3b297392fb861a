"""A check says right, not yet, or that it can't tell; it draws from a seed, and shows the smallest case."""

import random
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import strategies as st

from eslab import InvalidInput
from eslab.lab import reader, solutions
from eslab.lab.answers import Answer, Undecided, in_words, time_limit
from eslab.lab.cells import defined_in, imports_for, is_same_code
from eslab.lab.choices import names_chosen, number_chosen, numbers_chosen
from eslab.lab.exercises import Exercise, Rule, Wrong
from eslab.lab.feedback import MIME, Difference
from eslab.lab.lessons.exercises.downloads import which_write
from eslab.lab.lessons.exercises.frosting import at_least
from eslab.lab.lessons.exercises.versioned_serializer import needs_step

IMPORT = "from eslab.domains.bakery import ColorAdded\nfrom eslab.lab.lessons.exercises.frosting import at_least"


def doubles(answer: Answer, portions: int) -> Difference | None:
    """The judge of a small exercise."""
    outcome = answer(portions)
    if outcome.value == 2 * portions:
        return None
    return Difference([f"{portions} red"], "doubled", str(2 * portions), str(outcome))


def exercise(*rules: Rule) -> Exercise:
    """An exercise with these rules, or one that doubles any number."""
    rules = rules or (Rule("any number is doubled", doubles, cases=st.integers(0, 1000)),)
    return Exercise("twice", "01_frosting", "Double it.", answer="f", rules=rules, hints=[], wrong=[], seconds=2)


def test_a_right_answer_keeps_every_rule():
    """The cases' seed is printed."""
    checked = exercise().judge(Answer(lambda n: n + n), seed=11)
    assert checked.passed is True
    assert str(checked) == "✓ Right.\n  ✓ any number is doubled\nCases drawn from seed 11."


def test_the_smallest_case_is_shown():
    """Here the answer is wrong from 100 on."""
    checked = exercise().judge(Answer(lambda n: n + n if n < 100 else 0))
    assert checked.passed is False
    assert str(checked.difference) == "given 100 red, when doubled: expected 200, got 0"
    assert checked.title == "Not yet: any number is doubled."


def test_examples_come_before_drawn_cases():
    """In the order in which they are written."""
    seen: list[int] = []
    rule = Rule("any number is doubled", doubles, examples=[3, 1], cases=st.integers(0, 9))
    exercise(rule).judge(Answer(lambda n: seen.append(n) or 2 * n))
    assert seen[:2] == [3, 1] and len(seen) > 5


def test_rules_are_tried_up_to_the_first_broken_one():
    """Those before it are listed as kept."""
    never = Rule("never", lambda answer, case: Difference([], "", "", ""))
    checked = exercise(Rule("once", lambda answer, case: None), never, never).judge(Answer(None))
    assert (list(checked.kept), checked.broken) == (["once"], "never")


def test_an_answer_by_chance_has_a_case_too():
    """Whether or not it is wrong again when it is tried again."""
    assert exercise().judge(Answer(lambda n: n + n + time.perf_counter_ns() % 2)).passed is False


def test_the_same_seed_draws_the_same_cases():
    """Whatever the state of the module `random`."""
    runs: list[list[int]] = [[], []]
    for number, run in enumerate(runs):
        random.seed(number)
        exercise().judge(Answer(lambda n, run=run: run.append(n) or 2 * n))
    assert runs[0] == runs[1]


def endless(n: int) -> int:
    """An answer that doesn't end."""
    while True:
        n += 1


def unwritten(n: int) -> int:
    """An answer that isn't there."""
    raise NotImplementedError


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (endless, "didn't end within 2 s"),
        (unwritten, "raises NotImplementedError"),
        (3, "the answer is 3, not a function"),
    ],
)
def test_a_check_may_be_unable_to_tell(answer, reason):
    """Such an answer is neither right nor wrong."""
    checked = exercise().judge(Answer(answer))
    assert checked.passed is None
    assert reason in str(checked)


def test_an_answer_that_swallows_an_error_is_stopped_again():
    """It can't swallow them all."""
    with pytest.raises(Undecided, match=r"didn't end within \d"), time_limit(0.1):
        try:
            time.sleep(5)
        except BaseException:
            time.sleep(5)


def test_a_result_that_cannot_be_judged_is_said_so():
    """Whatever the judge stumbles over."""
    rule = Rule("it is short", lambda answer, case: Difference([], "", "", str(len(answer.value))))
    found = str(exercise(rule).judge(Answer(3)))
    assert "your result can't be judged (TypeError: object of type 'int' has no len())" in found


@pytest.mark.parametrize("value", [2, None, {"c": 1}, [["c"], "e"], {"c", "z"}, {1}, ["c, e"], "c, z"], ids=repr)
@pytest.mark.parametrize("exercise", [which_write, needs_step], ids=lambda it: it.name)
def test_an_answer_that_is_no_choice_is_told_what_to_write(exercise, value):
    """Whatever it holds."""
    checked = exercise.judge(Answer(value))
    assert checked.passed is None
    assert "Write a set such as {'a'}, of some of: a, b, c, d, e, f" in str(checked)


@pytest.mark.parametrize("value", [{"c", "e"}, ["e", "c", "e"], ("c", "E"), "ce", "c, e", "E c"], ids=repr)
def test_a_choice_is_read_from_any_container(value):
    """In any order, in upper or lower case."""
    assert names_chosen(Answer(value), "abcdefg") == {"c", "e"}


def test_names_of_several_letters_are_read_from_a_text_with_commas():
    """A text of one name is that name."""
    assert names_chosen(Answer("all rows, Some rows"), ["all rows", "some rows"]) == {"all rows", "some rows"}
    assert names_chosen(Answer("all rows"), ["all rows", "some rows"]) == {"all rows"}


@pytest.mark.parametrize("value", [[1, 4], {4, 1}, (4.0, 1), range(1, 5, 3)], ids=repr)
def test_numbers_are_read_from_any_container(value):
    """Whole ones may be written as 4.0."""
    assert numbers_chosen(Answer(value), range(1, 8)) == {1, 4}
    assert number_chosen(Answer(2.0), range(6)) == 2


@pytest.mark.parametrize("value", [3, None, "14", ["1"], [True], [0], [8], [1.5], {1: 2}, [[1]]], ids=repr)
def test_what_is_no_list_of_these_numbers_is_told_what_to_write(value):
    """Nothing is guessed."""
    with pytest.raises(Undecided, match=r"Write a list such as \[1, 2\], of numbers from 1 to 7"):
        numbers_chosen(Answer(value), range(1, 8))


@pytest.mark.parametrize("value", [6, -1, "2", [2], True, 2.5, None], ids=repr)
def test_what_is_no_such_number_is_told_what_to_write(value):
    """Nothing is guessed."""
    with pytest.raises(Undecided, match=r"Write one number from 0 to 5"):
        number_chosen(Answer(value), range(6))


def test_an_error_names_the_line_of_the_notebook_in_which_it_came_up(run_cell):
    """Not one of a library that the line calls, and one of another cell if it came up there."""
    run_cell("from eslab.lab.lessons.exercises.frosting import at_least")
    run_cell("def missing(frosting, command):\n    import json\n    return json.loads('nothing')")
    run_cell("def handle_at_least(frosting, command, request):\n    return missing(frosting, command)")
    checked = run_cell("at_least.check(handle_at_least)")
    assert checked.difference.got.startswith("JSONDecodeError: ")
    assert checked.difference.why == "Your code raises this error in the line `return json.loads('nothing')`."


def test_an_object_is_asked_like_a_function():
    """An error in its `__call__` is its own."""

    class Handler:
        def __call__(self, n: int) -> int:
            return {}[n]

    advice = exercise(Rule("r", lambda answer, case: Difference([], "", "", "", answer(3).advice))).judge
    assert "in the line `return {}[n]`. The map has no such key" in str(advice(Answer(Handler())))


def test_a_difference_that_was_found_is_told_though_time_is_over():
    """The search for a smaller case may be cut short."""

    def slow(n: int) -> int:
        if n < 1000:
            time.sleep(0.2)
        return n

    rule = Rule("any number is doubled", doubles, cases=st.integers(0, 10**6))
    checked = replace(exercise(rule), seconds=0.1).judge(Answer(slow))
    assert checked.passed is False and checked.difference


def test_an_error_of_the_answer_is_an_outcome():
    """It is shown instead of a traceback, and ends nothing."""
    assert "got ZeroDivisionError: division by zero" in str(exercise().judge(Answer(lambda n: 1 / 0)))
    assert "got SystemExit: 3" in str(exercise().judge(Answer(lambda n: sys.exit(3))))


def test_a_check_is_a_table_and_a_fact_for_reports():
    """The events are lines of a table; what they hold is escaped."""
    rule = Rule("<b>", lambda answer, case: Difference(["<red>", "blue"], "w", "e", "g", "why"))
    shown = exercise(rule).judge(Answer(None))._repr_mimebundle_()
    assert "<b>✗ Not yet: &lt;b&gt;.</b>" in shown["text/html"]
    assert "&lt;red&gt;<br>blue" in shown["text/html"]
    assert shown[MIME] == {"exercise": "twice", "passed": False}


class TestInANotebook:
    """What a reader does with an exercise."""

    def test_the_stub_is_no_answer(self, run_cell):
        """However it is spaced and commented."""
        stub = solutions.cell_of("01_frosting", "at_least").stub
        run_cell(IMPORT)
        run_cell(f"{stub}\n\n# still thinking")
        checked = run_cell("at_least.check(handle_at_least)")
        assert (checked.passed, "still the stub" in str(checked)) == (None, True)

    def test_an_ellipsis_is_no_answer(self, run_cell):
        """Nor is what a stub leaves out."""
        run_cell(IMPORT)
        assert run_cell("at_least.check(...)").passed is None

    def test_a_value_may_be_given_without_its_cell(self, run_cell):
        """It is compared with the stub's own value, whatever was run before."""
        run_cell("from eslab.lab.lessons.exercises.start_here import which_wrote")
        run_cell(solutions.cell_of("00_start_here", "which_wrote").stub)
        assert run_cell("which_wrote.check([1, 4, 5])").passed is True
        assert run_cell("which_wrote.check(wrote)").passed is None

    def test_an_object_that_can_be_called_is_judged(self, run_cell):
        """And so is a lambda."""
        run_cell(IMPORT)
        run_cell(solutions.cell_of("01_frosting", "at_least").stub)
        run_cell("class Handler:\n    def __call__(self, f, c, r):\n        return []")
        assert run_cell("at_least.check(Handler())").passed is False
        run_cell("handle_at_least = lambda f, c, r: []")
        assert run_cell("at_least.check(handle_at_least)").passed is False

    def test_an_answer_may_have_another_name(self, run_cell):
        """It is judged, though the stub's cell was run before it; so is one under a magic."""
        run_cell(IMPORT)
        run_cell(solutions.cell_of("01_frosting", "at_least").stub)
        run_cell("def mine(f, c, r):\n    return []")
        assert run_cell("at_least.check(mine)").passed is False
        assert reader.recall(reader.CHECKED, "01_frosting/at_least")["source"].endswith("\n\nhandle_at_least = mine")
        run_cell("%%time\ndef handle_at_least(f, c, r):\n    return []")
        assert run_cell("at_least.check(handle_at_least)").passed is False

    def test_what_was_checked_is_kept(self, run_cell):
        """With the result."""
        text = "def handle_at_least(f, c, r):\n    return []"
        run_cell(IMPORT)
        run_cell(text)
        assert run_cell("at_least.check(handle_at_least)").passed is False
        assert reader.recall(reader.CHECKED, "01_frosting/at_least") == {"passed": False, "source": text}

    def test_a_reset_gives_a_fresh_stub_and_keeps_the_text(self, shell, run_cell):
        """In a file that it names."""
        text = "def handle_at_least(f, c, r):\n    return []"
        run_cell(IMPORT)
        run_cell(text)
        note = run_cell("at_least.reset()")
        assert shell.rl_next_input == solutions.cell_of("01_frosting", "at_least").stub
        assert "Your text is in `answers/01_frosting_at_least.py`." in str(note)
        assert Path("answers/01_frosting_at_least.py").read_text() == f"{text}\n"

    def test_a_reset_where_nothing_can_be_written_says_so(self, shell, run_cell):
        """The text is still in its cell."""
        Path(reader.ANSWERS).touch()
        run_cell(IMPORT)
        run_cell("def handle_at_least(f, c, r):\n    return []")
        assert "Your text is in its cell only, since it could not be copied: File exists" in str(
            run_cell("at_least.reset()")
        )
        assert shell.rl_next_input == solutions.cell_of("01_frosting", "at_least").stub

    def test_no_check_leaves_a_folder(self, run_cell):
        """Only the reader's record is beside the notebook."""
        run_cell(IMPORT)
        run_cell("def handle_at_least(f, c, r):\n    return []")
        run_cell("at_least.check(handle_at_least)")
        assert {path.name for path in Path.cwd().iterdir()} <= {reader.FILE, "ipython"}


def test_hints_give_away_more_and_more():
    """They are numbered from 1."""
    assert str(at_least.hint(1)).startswith("**Hint 1 of 2.** `frosting.portions` counts")
    with pytest.raises(InvalidInput, match="Expected a hint from 1 to 2 of at_least, got 3"):
        at_least.hint(3)


def test_the_solution_is_that_of_the_notebook():
    """It is written down once."""
    assert at_least.solution().text == solutions.cell_of("01_frosting", "at_least").solution


def test_an_exercise_without_a_cell_is_refused():
    """The name is spelt in two places."""
    with pytest.raises(InvalidInput, match="Expected a cell of the exercise twice in notebooks/solutions/01_frosting"):
        exercise().check(None)


def test_an_exercise_on_a_store_says_so():
    """Without one it can't tell."""
    on_cassandra = Exercise(
        "by_key", "03_event_store_on_cassandra", "", answer="key", rules=[], hints=[], wrong=[Wrong("", "")],
        on_cassandra=True,
    )  # fmt: skip
    assert "by_key.check(..., store=lab.store)" in str(on_cassandra.judge(Answer("key")))


def test_an_answer_is_asked_in_another_process():
    """With what its cell imports, and another seed for the hash of text; without magics and trial calls."""
    source = "def f(text):\n    return [hash(text), sqrt(9)]"
    imports = "from math import sqrt, pi\nimport json"
    assert imports_for(source, [imports, "from math import cos"]) == "from math import sqrt"
    answer = Answer(None, [imports, source], "f")
    assert answer.elsewhere("f('glow')") == [answer.elsewhere("f('glow')")[0], 3.0]
    assert answer.elsewhere("f('glow')")[0] != hash("glow")
    assert Answer(None, ["%%time\n!true\ndef f(n):\n    return n\n\nf(unknown)"], "f").elsewhere("f(3)") == 3


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(None, ["def f(n):\n    return here"], "f"), "ends with NameError.*Define or import in a cell"),
        (Answer(None, ["def f(n):\n    return 1 / n"], "f"), "ends with ZeroDivisionError: division by zero.$"),
        (Answer(lambda n: n), "no cell defines it under a name"),
        (
            Answer(None, ["from eslab.lab.session import open_lab\nlab = open_lab('sqlite:', 7)", "f = lab.seed"], "f"),
            "It uses `lab`, which a call of `open_lab` made, and the check repeats no such call.",
        ),
    ],
)
def test_a_second_process_may_be_unable_to_ask(answer, reason):
    """The reason is the true one, and no store is opened twice."""
    with pytest.raises(Undecided, match=reason):
        answer.elsewhere("f(0)")


def test_a_cell_defines_names_at_its_top_level():
    """Of functions, classes and assignments; a cell with magics defines none."""
    assert defined_in("def f(x):\n    y = 1\n\nclass C: ...\na = b = 1\nc: int = 2") == {"f", "C", "a", "b", "c"}
    assert defined_in("%%cql\nSELECT") == set()


def test_code_is_compared_without_comments():
    """And without blank lines."""
    assert is_same_code("f(1)  # one\n\n\ng()", "f(1)\ng()  # two")
    assert not is_same_code("f(1)", "f(2)")


def test_equal_neighbours_are_counted():
    """A long list of equal events is read at a glance."""
    assert in_words([1, 1, 1, 2, 1]) == "[1 (3 times), 2, 1]"
    assert in_words((1, 1)) == "(1, 1)"


def test_a_time_limit_ends_and_leaves_no_timer():
    """A later step is not interrupted."""
    with pytest.raises(Undecided), time_limit(0.05):
        while True:
            pass
    with time_limit(0.05):
        pass
    time.sleep(0.1)
