"""Time is injected (G10)."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from eslab import InvalidInput, ManualClock, system_clock
from eslab.clock import from_ms, to_ms
from tests.support.sample import HOUR, ROOT, START


def test_G10_a_manual_clock_moves_only_when_told_to() -> None:
    """It stands, moves forth and back, and says where it is."""
    clock = ManualClock(START)
    assert clock() == clock() == START
    assert clock.advance(HOUR) == clock() == START + HOUR
    assert clock.advance(-2 * HOUR) == START - HOUR
    assert repr(clock) == "ManualClock(2026-01-05 08:00:00 UTC)"


def test_a_clock_tells_utc_to_the_millisecond() -> None:
    """A start in another zone is the same moment."""
    clock = ManualClock(datetime(2026, 1, 5, 14, 0, 0, 1999, tzinfo=timezone(timedelta(hours=5))))
    assert clock().isoformat() == "2026-01-05T09:00:00.001000+00:00"
    assert system_clock().tzinfo is UTC


def test_milliseconds_go_there_and_back() -> None:
    """Before 1970 too; parts of a millisecond are cut toward the past."""
    for ms in (-1, 0, 1, 1_767_603_600_000):
        assert to_ms(from_ms(ms)) == ms
    assert to_ms(from_ms(0) - timedelta(microseconds=1)) == -1


def test_a_clock_without_a_zone_is_refused() -> None:
    """A naive time could mean two moments."""
    with pytest.raises(InvalidInput, match="Expected a datetime with a time zone"):
        ManualClock(datetime(2026, 1, 1))


def test_G10_only_the_edge_reads_the_clock_or_chance() -> None:
    """In the core and the domains two lines ask the machine for time, and one for chance: keys can't be repeatable."""
    asking = ("datetime.now", "utcnow", "time.time()", "monotonic", "perf_counter", "uuid4(", "uuid1(", "urandom",
              "import secrets", "import random", "date.today", "Random()")  # fmt: skip
    core = [path for folder in ("", "stores", "domains") for path in (ROOT / "eslab" / folder).glob("*.py")]
    found = [
        (path.name, line.strip())
        for path in [*core, *(ROOT / "eslab" / "domains").rglob("*.py")]
        for line in path.read_text(encoding="utf-8").splitlines()
        if any(word in line for word in asking)
    ]
    assert found == [
        ("clock.py", "from time import monotonic"),
        ("clock.py", "return datetime.now(UTC)"),
        ("clock.py", "return monotonic()"),
        ("keys.py", "CHANCE: Chance = os.urandom  # unlike all else here, a key must not be repeatable from a seed"),
    ]
