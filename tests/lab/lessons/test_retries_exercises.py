"""Lesson 07: its exercises accept every right answer, and say what is wrong with the others."""

import pytest

from eslab.lab import lessoncheck
from eslab.lab.answers import Answer
from eslab.lab.exercises import Exercise
from eslab.lab.feedback import Checked
from eslab.lab.lessons.exercises.retries_and_duplicates import WISH_FIELD, cell, count_once, patience, seen


def judged(source: str, exercise: Exercise = count_once) -> Checked:
    """The check's word about the text of a cell."""
    return lessoncheck.judged(exercise, source)


def counting(fields: str, apply: str) -> str:
    """A cell whose count is a property, or follows from these lines of apply."""
    return cell(fields=fields, apply=apply).replace("    count: int = 0\n", "").replace("        self.count += 1\n", "")


COUNT = "\n@property\ndef count(self):\n    return len(self.wishes)"
IN_APPLY = cell(fields=WISH_FIELD, apply=seen("self.wishes", "event.wish"))
RIGHT = {
    "a set in apply": IN_APPLY,
    "a set, and both look": IN_APPLY.replace(
        "    return [P", "    if command.wish in plays.wishes:\n        return []\n    return [P"
    ),
    "a set that is counted": counting(WISH_FIELD + COUNT, "self.wishes.add(event.wish)"),
    "a map": counting("wishes: dict[str, str] = {}" + COUNT, "self.wishes[event.wish] = event.title"),
    "a frozen set": counting("wishes: frozenset[str] = frozenset()" + COUNT, "self.wishes |= {event.wish}"),
    "a list": cell(
        fields="wishes: list[str] = []",
        apply="if event.wish in self.wishes:\n    return\nself.wishes.append(event.wish)",
    ),
    "how often": counting(
        "wishes: dict[str, int] = {}" + COUNT, "self.wishes[event.wish] = self.wishes.get(event.wish, 0) + 1"
    ),
    "by title and wish": counting(
        "titles: dict[str, set[str]] = {}\n@property\ndef count(self):\n    return sum(map(len, self.titles.values()))",
        "self.titles.setdefault(event.title, set()).add(event.wish)",
    ),
    "another class": IN_APPLY.replace("Plays", "Screenings"),
    "an event of its own": "from eslab import Event\n\nclass Seen(Event):\n    key: str\n"
    + counting("wishes: set[str] = set()" + COUNT, "self.wishes.add(event.key)")
    .replace("event: PlayCounted", "event: Seen")
    .replace("PlayCounted(command.wish, command.title)", "Seen(command.wish)"),
    "a tuple of events": IN_APPLY.replace(
        "[PlayCounted(command.wish, command.title)]", "(PlayCounted(command.wish, command.title),)"
    ),
}


@pytest.mark.parametrize("source", RIGHT.values(), ids=RIGHT)
def test_every_state_that_knows_its_wishes_is_right(source: str) -> None:
    """How it remembers them, and whether the handler looks too, is the reader's."""
    checked = judged(source)
    assert checked.passed is True, checked


WRONG = {
    "a set that apply shares": (
        cell("SEEN = set()", apply=seen("SEEN", "event.wish")),
        "Each hydration folds the rows into an empty state.",
    ),
    "the last wish alone": (
        cell(fields='last: str = ""', apply="if event.wish == self.last:\n    return\nself.last = event.wish"),
        "3. wish 1, glow, is delivered once more → ✗ 3 counted",
    ),
    "the request as key": (IN_APPLY.replace("command.wish,", "str(request.id),"), "The event has another key"),
    "a handler that remembers in the state that it was given": (
        cell(fields=WISH_FIELD, handler=seen("plays.wishes", "command.wish", "return []")),
        "Both have the same key",
    ),
    "nothing returned": (IN_APPLY.replace("return [PlayCounted(command.wish, command.title)]", "pass"), "TypeError"),
    "no count": (
        IN_APPLY.replace("    count: int", "    number: int").replace("self.count", "self.number"),
        "no attribute 'count'",
    ),
}


@pytest.mark.parametrize(("source", "shown"), WRONG.values(), ids=WRONG)
def test_what_went_wrong_is_shown_with_the_operations(source: str, shown: str) -> None:
    """Each mistake has its own words, and the steps that led there."""
    checked = judged(source)
    assert (checked.passed, shown in str(checked)) == (False, True), checked


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (IN_APPLY.replace("counting = Plays, handle_play", "counting = handle_play"), "no pair"),
        (IN_APPLY.replace("counting = Plays, handle_play", "counting = handle_play, Plays"), "no pair"),
        (IN_APPLY.replace("return [P", "return helper() or [P"), "NameError"),
        (IN_APPLY.replace("return [P", "raise NotImplementedError\n    return [P"), "NotImplementedError"),
    ],
)
def test_what_is_no_answer_yet_is_not_judged(source: str, reason: str) -> None:
    """The check says that it can't tell, and why."""
    checked = judged(source)
    assert checked.passed is None and reason in checked.reason


def test_an_answer_whose_text_nobody_knows_is_not_judged() -> None:
    """A restart runs the text again, so it must be known."""
    assert "no cell defines it under a name" in count_once.judge(Answer((1, 2))).reason


@pytest.mark.parametrize(
    "retry",
    [
        "Retry(timeout=timedelta(seconds=1))",
        "Retry(attempts=6, timeout=timedelta(seconds=1))",
        "Retry(attempts=4, timeout=timedelta(seconds=2))",
        "Retry(attempts=5, timeout=timedelta(seconds=1.5))",
        "Retry(attempts=20, timeout=timedelta(seconds=1), deadline=timedelta(seconds=8))",
        "Retry(attempts=6, pause=timedelta())",
    ],
)
def test_any_policy_that_keeps_the_three_limits_is_right(retry: str) -> None:
    """By fewer patient attempts, by more hasty ones, or by a deadline."""
    checked = judged(f"policy = {retry}", patience)
    assert checked.passed is True, checked


@pytest.mark.parametrize("answer", ["5", "Retry", "None"])
def test_what_is_no_policy_is_not_judged(answer: str) -> None:
    """The check says what to write."""
    assert "Write Retry(attempts=..., timeout=" in judged(f"policy = {answer}", patience).reason
