"""What may be decided when, and what a snapshot may fold because of it (G5)."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eslab import InvalidInput, OutOfTime, Request, TimeBounds
from tests.support.sample import HOUR, MINUTE, START

SECOND, TICK = timedelta(seconds=1), timedelta(milliseconds=1)
SPANS = st.timedeltas(timedelta(0), timedelta(days=3))


def made_at(time: datetime) -> Request:
    return Request.at(time, "a wish")


def test_the_bounds_are_24_hours_and_a_minute() -> None:
    """R 24 h, D 60 s, W 26 h, S 30 s, P 10 min, unless a team decides otherwise."""
    assert TimeBounds() == TimeBounds(24 * HOUR, MINUTE, 26 * HOUR, 30 * SECOND, 10 * MINUTE)


@pytest.mark.parametrize("time", [START - 24 * HOUR, START - HOUR, START, START + MINUTE])
def test_G5_a_request_at_the_very_bound_is_decided(time: datetime) -> None:
    """Both bounds are inclusive."""
    TimeBounds().check(made_at(time), START)


def test_G5_a_request_beyond_the_late_bound_is_refused() -> None:
    """A millisecond over, and the error says the rule, what was found, and what the time is here."""
    with pytest.raises(OutOfTime, match=r"at most 1 day old, got 1 day 0\.001 s \(Request") as error:
        TimeBounds().check(made_at(START - 24 * HOUR - TICK), START)
    assert error.value.service_time == START
    assert "The service's time is 2026-01-05T09:00:00+00:00. Check the client's clock" in str(error.value)


def test_G5_a_request_beyond_the_early_bound_is_refused() -> None:
    """A millisecond over, and the client can mend its clock by the time in the error."""
    with pytest.raises(OutOfTime, match=r"at most 1 min ahead, got 1 min 0\.001 s") as error:
        TimeBounds().check(made_at(START + MINUTE + TICK), START)
    assert error.value.service_time == START


@pytest.mark.parametrize("beyond", [timedelta(0), -TICK, -HOUR])
def test_G5_bounds_that_let_a_snapshot_miss_a_commit_are_refused(beyond: timedelta) -> None:
    """W must be above R + 2S + P, or a commit could come after the snapshot that should hold it."""
    needed = 24 * HOUR + 2 * 30 * SECOND + 10 * MINUTE
    with pytest.raises(InvalidInput, match=r"fold_after > late \+ 2 \* skew \+ append = 1 day 11 min, got"):
        TimeBounds(fold_after=needed + beyond)
    assert TimeBounds(fold_after=needed + TICK).fold_after == needed + TICK


@pytest.mark.parametrize("name", ["late", "early", "fold_after", "skew", "append"])
def test_negative_bounds_are_refused(name: str) -> None:
    """Time doesn't run backwards."""
    bound: dict[str, Any] = {name: -TICK}
    with pytest.raises(InvalidInput, match="Expected time bounds of zero or more"):
        TimeBounds(**bound)


@given(SPANS, SPANS, SPANS, SPANS)
def test_G5_no_commit_comes_after_the_snapshot_that_should_hold_it(
    late: timedelta, skew: timedelta, append: timedelta, more: timedelta
) -> None:
    """Decided at the last moment by a slow clock, appended as slowly as allowed: still not yet to be folded.

    With the true time of the check as zero, the deciding clock is behind by up to S, so the request is at most
    R + S old; the append ends by P; the folding clock is ahead by up to S.
    """
    bounds = TimeBounds(late, MINUTE, late + 2 * skew + append + TICK + more, skew, append)
    request_time = START - skew - bounds.late
    folded_up_to = START + bounds.append + skew - bounds.fold_after
    assert folded_up_to < request_time
