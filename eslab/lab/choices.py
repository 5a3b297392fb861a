"""Answers that choose: some names of a list, some numbers, or one number, in whatever way a reader writes them down."""

import re
from collections.abc import Collection, Mapping
from numbers import Real
from typing import Any

from eslab.lab.answers import Answer, Undecided


def names_chosen(answer: Answer, names: Collection[str]) -> set[str]:
    """The names that an answer holds: in a set, list or tuple, or in a text with commas, or of letters.

    Upper and lower case are the same. Can't tell of anything else.
    """
    known = {name.casefold(): name for name in names}
    read = _texts(answer.value, known)
    if read is None:
        raise Undecided(f"the answer is {answer.value!r}. {_as_a_set(names)}")
    if unknown := [text for text in read if text.casefold() not in known]:
        raise Undecided(f"{min(unknown)!r} is not one of the names. {_as_a_set(names)}")
    return {known[text.casefold()] for text in read}


def numbers_chosen(answer: Answer, numbers: range) -> set[int]:
    """The numbers that an answer holds, in any container; can't tell of anything else."""
    if not _is_container(answer.value):
        raise Undecided(f"the answer is {answer.value!r}. {_as_a_list(numbers)}")
    read = list(answer.value)
    if unknown := [value for value in read if not _is_one_of(value, numbers)]:
        raise Undecided(f"{unknown[0]!r} is not one of the numbers. {_as_a_list(numbers)}")
    return {int(value) for value in read}


def number_chosen(answer: Answer, numbers: range) -> int:
    """The number that an answer is; can't tell of anything else."""
    if not _is_one_of(answer.value, numbers):
        raise Undecided(f"the answer is {answer.value!r}. Write one number from {numbers[0]} to {numbers[-1]}.")
    return int(answer.value)


def _texts(value: Any, known: Collection[str]) -> list[str] | None:
    """The texts that an answer holds; None if it isn't made of texts."""
    if isinstance(value, str):
        parts = [part.strip() for part in value.split(",") if part.strip()]
        return re.findall(r"[^\s,;]", value) if all(len(name) == 1 for name in known) else parts
    return list(value) if _is_container(value) and all(isinstance(it, str) for it in value) else None


def _is_container(value: Any) -> bool:
    return isinstance(value, Collection) and not isinstance(value, str | bytes | Mapping)


def _is_one_of(value: Any, numbers: range) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and value in numbers


def _as_a_set(names: Collection[str]) -> str:
    return f"Write a set such as {{{min(names)!r}}}, of some of: {', '.join(names)}."


def _as_a_list(numbers: range) -> str:
    return f"Write a list such as [{numbers[0]}, {numbers[1]}], of numbers from {numbers[0]} to {numbers[-1]}."
