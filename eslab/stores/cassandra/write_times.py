"""Write times and lifetimes of rows: functions of the request, never "now", so that a retry writes the very same row.

Of two values of one cell Cassandra keeps the one with the later write time; if these are equal, the one that expires
later, and then the greater one in bytes. So commits of one key, which have one write time, end as the greater payload
on every replica (G1); and the cells of the directory end as the earliest or the latest event time, because their write
times say which.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from eslab.clock import EPOCH, Clock, to_ms
from eslab.request import TICKS_AT_1970, time_of
from eslab.store import Commit

SECONDS_A_DAY = 86_400
MICROSECOND = timedelta(microseconds=1)
MAX_TTL = 20 * 365 * SECONDS_A_DAY  # Cassandra refuses a longer one
MAX_LIFETIME = 20 * 365 - 1  # days; a request may be ahead of the clock, and its row then lives longer by that much
LAST_EXPIRY = 2**31 - 2  # 2038-01-19: the last second at which a row of Cassandra 4 can expire


def write_time(event_time: UUID) -> int:
    """The write time of a commit's row, in its own table and in every read table: microseconds since 1970."""
    return to_ms(time_of(event_time)) * 1000


def time_of_delete(up_to: UUID) -> int:
    """The write time of a delete of events up to an event time.

    It is the last microsecond of that millisecond, since a restored row is stamped a little later than its request.
    Stamped "now", it would hide every older row that arrives later, for ever.
    """
    return write_time(up_to) + 999


def time_to_live(event_time: UUID, lifetime: int, clock: Clock) -> int:
    """The seconds that a commit's row has left if it lives `lifetime` days from its request on; 0 is for ever.

    A repeat, however late, does not prolong it. A row that has outlived its time is given one second, since 0 is taken.
    """
    if not lifetime:
        return 0
    end = to_ms(time_of(event_time)) // 1000 + lifetime * SECONDS_A_DAY
    return min(max(1, end - to_ms(clock()) // 1000), MAX_TTL)


def expires_late(lifetime: int, clock: Clock) -> bool:
    """Does a row written now, or within the next day, expire after the last second that Cassandra 4 can store?"""
    return bool(lifetime) and to_ms(clock()) // 1000 + (lifetime + 1) * SECONDS_A_DAY > LAST_EXPIRY


def latest_wins(event_time: UUID) -> int:
    """The write time of an event time in the directory of which the latest wins, such as a floor: it rises with it."""
    return _ticks(event_time)


def earliest_wins(event_time: UUID) -> int:
    """The write time of an event time of which the earliest wins, such as that of the first commit: it falls with time.

    Cassandra takes negative write times.
    """
    return -_ticks(event_time)


def micros(time: datetime) -> int:
    """The write time of a row that is stamped with a moment: microseconds since 1970."""
    return (time - EPOCH) // MICROSECOND


def earliest(commits: Iterable[Commit]) -> dict[str, UUID]:
    """The earliest event time of each aggregate among these commits."""
    first: dict[str, UUID] = {}
    for id, event_time, *_ in commits:
        first[id] = min(first.get(id, event_time), event_time, key=_ticks)
    return first


def _ticks(event_time: UUID) -> int:
    """Units of 100 ns since 1970: finer than a write time needs to be, so that even one millisecond has an order."""
    return event_time.time - TICKS_AT_1970
