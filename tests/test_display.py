"""Durations in words say all that a timedelta holds, in the units that people use."""

import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eslab.display import duration, quantity

UNITS = {"day": "days", "days": "days", "h": "hours", "min": "minutes", "s": "seconds"}


@pytest.mark.parametrize(
    ("length", "words"),
    [(timedelta(days=1), "1 day"), (timedelta(days=2, hours=3), "2 days 3 h"), (timedelta(minutes=11), "11 min"),
     (timedelta(days=1, milliseconds=1), "1 day 0.001 s"), (timedelta(), "0 s"),
     (-timedelta(seconds=90), "-1 min 30 s")],
)  # fmt: skip
def test_a_duration_in_words(length, words):
    """From days to microseconds, without the units that are zero."""
    assert duration(length) == words


@given(st.timedeltas())
def test_words_mean_what_they_say(length):
    """The parts add up to the duration."""
    words = duration(length)
    parts = re.findall(r"([\d.]+) (\w+)", words)
    assert sum((timedelta(**{UNITS[unit]: float(count)}) for count, unit in parts), timedelta()) == abs(length)
    assert words.startswith("-") == (length < timedelta())


@pytest.mark.parametrize(
    ("count", "noun", "words"),
    [(0, ["row"], "0 rows"), (1, ["row"], "1 row"), (2, ["row"], "2 rows"), (1_000, ["row"], "1,000 rows"),
     (1, ["retry", "retries"], "1 retry"), (0, ["retry", "retries"], "0 retries"), (1.0, ["unit"], "1 unit")],
)  # fmt: skip
def test_a_quantity_is_singular_only_for_one(count, noun, words):
    """Nothing is plural in English."""
    assert quantity(count, *noun).replace("1.0", "1") == words
