"""Answers that a newcomer may write, kept as text beside this file: each exercise's right ones, and its wrong ones."""

import re
from pathlib import Path
from typing import NamedTuple

from eslab.lab import course, lessoncheck
from eslab.lab.exercises import Exercise

ARROW = "\n--> "  # before the beginning of what a check must say of a wrong answer


class Wrong(NamedTuple):
    """The text of a wrong answer, and what the check must say of it."""

    source: str
    said: str


ELSEWHERE = (
    "06_snapshot_vs_replay",
    "07_retries_and_duplicates",
    "08_three_regions",
    "09_why_the_first_two_designs_failed",
)  # answers of these lessons are in test files of their own
EXERCISES: dict[str, Exercise] = {
    exercise.name: exercise
    for lesson in course.LESSONS
    if lesson.name not in ELSEWHERE
    for exercise in lessoncheck.exercises_of(lesson)
}


def right(exercise: str) -> list[str]:
    """Right answers, in many styles."""
    return _parts("right_answers.txt").get(exercise, [])


def wrong(exercise: str) -> list[Wrong]:
    """Plausible wrong answers; those that the exercise itself holds are others."""
    return [Wrong(*part.split(ARROW)) for part in _parts("wrong_answers.txt").get(exercise, [])]


def _parts(file: str) -> dict[str, list[str]]:
    text = (Path(__file__).parent / file).read_text(encoding="utf-8")
    sections = [section.split("\n", 1) for section in re.split(r"^=== ", text, flags=re.MULTILINE)[1:]]
    return {name: [part.strip("\n") for part in re.split(r"^---\n", body, flags=re.M)] for name, body in sections}
