"""Lesson 08: its exercises accept every right answer, and say what is wrong with the others."""

import pytest

from eslab.lab import lessoncheck
from eslab.lab.answers import Answer
from eslab.lab.exercises import Exercise
from eslab.lab.feedback import Checked
from eslab.lab.lessons.exercises.lost_rows import Trial, result_of
from eslab.lab.lessons.exercises.three_regions import lose_rows, never_more, price_of
from eslab.lab.lessons.exercises.three_regions_wrong import policy

IMPORT = "from eslab.lab.lessons.exercises.three_regions import NoAnswer\n"


def judged(source: str, exercise: Exercise = never_more) -> Checked:
    """The check's word about the text of a cell."""
    return lessoncheck.judged(exercise, source)


RIGHT = {
    "read at QUORUM, once": policy("used = shop.used('QUORUM')\nreturn used < 3 and shop.write_if(used, 'SERIAL')"),
    "read near by, then again far": policy(
        "for level in ('LOCAL_QUORUM', 'QUORUM'):\n    used = shop.used(level)\n"
        "    if used < 3 and shop.write_if(used, 'SERIAL'):\n        return True\nreturn False"
    ),
    "until it is written": policy(
        "while (used := shop.used('QUORUM')) < 3:\n    if shop.write_if(used, 'SERIAL'):\n        return True\n"
        "return False"
    ),
    "without a read": policy("return any(shop.write_if(used, 'SERIAL') for used in range(3))"),
    "home, by a condition": policy(
        "home = shop.at(shop.home)\nused = home.used('LOCAL_QUORUM')\n"
        "return used < 3 and home.write_if(used, 'LOCAL_SERIAL')"
    ),
    "another home, at SERIAL": policy(
        "home = shop.at('eu')\nused = home.used('QUORUM')\nreturn used < 3 and home.write_if(used, 'SERIAL')"
    ),
    "no answer is a no": IMPORT
    + policy(
        "try:\n    used = shop.used('QUORUM')\n    return used < 3 and shop.write_if(used, 'SERIAL')\n"
        "except NoAnswer:\n    raise"
    ),
    "recursion": policy(
        "used = shop.used('QUORUM')\nif used >= 3:\n    return False\n"
        "return shop.write_if(used, 'SERIAL') or sell(shop)"
    ),
    "a lambda": "sell = lambda shop: any(shop.write_if(n, 'SERIAL') for n in (2, 1, 0))",
    "a class": "class Strict:\n    def __call__(self, shop):\n        used = shop.used('QUORUM')\n"
    "        return used < 3 and shop.write_if(used, 'SERIAL')\n\nsell = Strict()",
}


@pytest.mark.parametrize("source", RIGHT.values(), ids=RIGHT)
def test_every_policy_that_never_oversells_is_right(source: str) -> None:
    """By a condition among all regions, or in one home region; how it is written is the reader's."""
    checked = judged(source)
    assert checked.passed is True, checked


WRONG = {
    "near read, far write": (
        policy("if shop.used('LOCAL_QUORUM') >= 3:\n    return False\nreturn shop.write('EACH_QUORUM')"),
        "A write that got no answer is not undone",
    ),
    "the far read of each region": (
        policy("if shop.used('EACH_QUORUM') >= 3:\n    return False\nreturn shop.write('EACH_QUORUM')"),
        "A read and a write are two steps",
    ),
    "a condition near by": (
        policy("used = shop.used('LOCAL_QUORUM')\nreturn used < 3 and shop.write_if(used, 'LOCAL_SERIAL')"),
        "is not known in the next",
    ),
    "always": (policy("return shop.write('QUORUM')"), "The third is sold when two are used"),
    "a condition that fits once": (policy("return shop.write_if(2, 'SERIAL')"), "Nothing is sold"),
    "an unknown level": (policy("return shop.used('TWO') < 3"), "Your code raises this error"),
    "a level of another call": (policy("return shop.write('SERIAL')"), "Your code raises this error"),
    "a number": (policy("return shop.used('QUORUM')"), "A policy returns True if"),
    "an error": (policy("return 1 / 0"), "Your code raises this error"),
    "two regions by hand": (
        policy(
            "used = max(shop.at(region).used('LOCAL_QUORUM') for region in ('us', 'eu'))\n"
            "return used < 3 and shop.write('LOCAL_QUORUM')"
        ),
        "A read and a write are two steps",
    ),
}


@pytest.mark.parametrize(("source", "said"), WRONG.values(), ids=WRONG)
def test_what_went_wrong_is_said_with_who_was_told_what(source: str, said: str) -> None:
    """Each mistake has its own words."""
    checked = judged(source)
    assert (checked.passed, said in str(checked)) == (False, True), checked


@pytest.mark.parametrize(
    ("source", "reason"),
    [(policy("raise NotImplementedError"), "NotImplementedError"), ("sell = 3", "not a function")],
)
def test_what_is_no_policy_yet_is_not_judged(source: str, reason: str) -> None:
    """The check says that it can't tell, and why."""
    checked = judged(source)
    assert checked.passed is None and reason in checked.reason


def test_a_policy_that_prints_leaves_the_output_alone(capsys) -> None:
    """Several run at once, and what they print is dropped."""
    checked = judged(
        policy("print('asked')\nused = shop.used('QUORUM')\nreturn used < 3 and shop.write_if(used, 'SERIAL')")
    )
    print("after")
    assert checked.passed and capsys.readouterr().out == "after\n"


@pytest.mark.parametrize(
    ("name", "ms", "away"),
    [
        ("read at QUORUM, once", [321, 321, 601], ["no answer", "sells", "sells"]),
        ("home, by a condition", [5, 165, 305], ["sells", "no answer", "no answer"]),
    ],
)
def test_the_price_of_a_policy_is_shown(name: str, ms: list[int], away: list[str]) -> None:
    """A majority costs everybody an ocean; a home costs those who are away from it."""
    namespace: dict = {}
    exec(RIGHT[name], namespace)
    price = price_of(namespace["sell"])
    assert (price["ms, nothing broken"].tolist(), price["while us is cut off"].tolist()) == (ms, away)


@pytest.mark.parametrize(
    "trial",
    [
        "Trial(kill_us='before the end')",
        "Trial(fault='freeze asia', kill_us='before the end')",
        "Trial('kill asia', kill_us='before the end')",
        "Trial(seconds=5, kill_us='before the end')",
        "Trial(hint_window=10)",
        "Trial(fault='freeze asia', hint_window=1)",
        "Trial('kill asia', 20, hint_window=0)",
        "Trial(level='QUORUM', kill_us='before the end')",
        "Trial(seconds=120, hint_window=60, kill_us='after the end')",
        "__import__('dataclasses').replace(Trial(), kill_us='before the end')",
        "Trial(**{'hint_window': 1})",
    ],
)
def test_every_setting_that_loses_rows_is_right(trial: str) -> None:
    """By a death before the hints are on disk, or by a window that is too short."""
    checked = judged(f"trial = {trial}", lose_rows)
    assert checked.passed is True, checked


@pytest.mark.parametrize(
    ("trial", "reason"),
    [
        ("30", "Write Trial(...)"), ("Trial", "Write Trial(...)"), ("Trial(fault='flood')", "fault is 'flood'"),
        ("Trial(seconds=-1)", "Give a number of seconds"), ("Trial(seconds='30')", "Give a number of seconds"),
        ("Trial(seconds=10**6)", "are enough to show it"), ("Trial(repair=1)", "Write True or False"),
        ("Trial(level='ONE')", "Choose one of"), ("Trial(kill_us=True)", "Choose one of"),
    ],
)  # fmt: skip
def test_what_can_not_be_tried_is_not_judged(trial: str, reason: str) -> None:
    """The check says which setting is meant, and what it may be."""
    checked = judged(f"trial = {trial}", lose_rows)
    assert checked.passed is None and reason in checked.reason


@pytest.mark.parametrize(
    ("trial", "said"),
    [
        (Trial(fault="freeze asia", seconds=3), "A frozen region answers nobody"),
        (Trial(fault="kill asia", kill_us="after the end"), "its hints had been delivered"),
        (Trial(hint_window=1, repair=True), "the repair brought"),
    ],
)
def test_a_trial_that_loses_nothing_is_told_why(trial: Trial, said: str) -> None:
    """Besides those that the exercise itself knows."""
    assert said in str(lose_rows.judge(Answer(trial)))


def test_only_the_youngest_hints_die() -> None:
    """Of a fault of 30 s before a kill, the rows of the last 10 s, as on real nodes."""
    result = result_of(Trial(seconds=30, kill_us="before the end"))
    assert (result.acknowledged, result.missing) == (30, 10)
