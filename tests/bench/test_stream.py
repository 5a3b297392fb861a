"""A stream is spread over its time, ends in the past, and is the same in every run."""

from datetime import timedelta
from itertools import pairwise

import pytest

from eslab import InvalidInput, open_store
from eslab.bench.sample import CUSTOMER, padded
from eslab.bench.stream import END, YEAR, Stream, parse_spread, spread_in_words
from eslab.clock import to_ms
from eslab.request import time_of

DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("text", "spread"),
    [
        ("10y", 10 * YEAR),
        ("1.5y", 1.5 * YEAR),
        (" 1 y 2d", YEAR + 2 * DAY),
        ("90d", 90 * DAY),
        ("1h", timedelta(hours=1)),
    ],
)
def test_a_spread_may_be_given_in_years(text: str, spread: timedelta) -> None:
    """A year has 365 days; days, hours, minutes and seconds are those of all durations."""
    assert parse_spread(text) == spread


@pytest.mark.parametrize("text", ["", "y", "10", "10 years", "-1y", "1y2"])
def test_other_spreads_are_refused(text: str) -> None:
    """And quoted, with examples."""
    with pytest.raises(InvalidInput, match="Expected a duration such as"):
        parse_spread(text)


def test_a_spread_is_shown_as_it_is_written() -> None:
    """In whole years if it has any."""
    assert (spread_in_words(10 * YEAR), spread_in_words(36 * DAY)) == ("10y", "36 days")


def test_events_are_spread_evenly_and_end_in_the_past() -> None:
    """From one to the next it is the same time; the last one is at the end."""
    stream = Stream(5, 10 * DAY)
    times = [stream.time(number) for number in range(5)]
    assert {later - time for time, later in pairwise(times)} == {2 * DAY}
    assert times[-1] == END


def test_a_million_events_over_ten_years() -> None:
    """To the microsecond, the first one as exactly as the last."""
    stream = Stream(1_000_000)
    assert END - stream.time(0) == 10 * YEAR - stream.gap
    assert [stream.before(stream.time(number)) for number in (0, 500_000, 999_999)] == [1, 500_001, 1_000_000]
    assert stream.before(stream.time(500_000) - timedelta(microseconds=1)) == 500_000


def test_how_many_events_there_are_up_to_a_moment() -> None:
    """The one at that very moment included, as a snapshot up to it includes it."""
    stream = Stream(5, 10 * DAY)
    counts = {days: stream.before(END - days * DAY) for days in (-1, 0, 1, 2, 3, 8, 9)}
    assert counts == {-1: 5, 0: 5, 1: 4, 2: 4, 3: 3, 8: 1, 9: 0}


def test_no_two_events_share_a_millisecond() -> None:
    """Not even in a stream as dense as may be, so that a snapshot fits between any two."""
    stream = Stream(1000, timedelta(seconds=10))
    assert len({to_ms(time_of(stream.request(number).event_time)) for number in range(1000)}) == 1000


def test_a_spread_that_is_too_short_is_refused() -> None:
    """With the shortest one that would do."""
    with pytest.raises(InvalidInput, match="Expected a spread of at least 10 s for 1,000 events, got 9 s"):
        Stream(1000, timedelta(seconds=9))


def test_a_spread_that_begins_before_all_requests_is_refused() -> None:
    """No request is older than 1970."""
    with pytest.raises(InvalidInput, match=r"Expected a spread of at most 20454 days, got 60y"):
        Stream(1000, 60 * YEAR)


def test_streams_of_other_lengths_spreads_or_sizes_are_other_aggregates() -> None:
    """So a store may hold them all, and a second run writes the same rows."""
    streams = [Stream(5), Stream(6), Stream(5, YEAR), Stream(5, sample=padded(9))]
    store = open_store("memory:")
    for stream in [*streams, *streams]:
        stream.fill(store)
    counts = {stream.id: len(list(store.rows(CUSTOMER, stream.id))) for stream in streams}
    assert counts == {
        "frosting:5 over 10y": 5,
        "frosting:6 over 10y": 6,
        "frosting:5 over 1y": 5,
        "labelled:5 over 10y, 9 characters more": 5,
    }
