"""The history of an aggregate is a table of every event."""

from datetime import datetime
from typing import ClassVar

import pytest

from eslab import (
    Aggregate,
    Event,
    EventStore,
    HistoryGone,
    InvalidInput,
    Repository,
    Unreadable,
)
from eslab.operations.history import history
from eslab.store import Commit
from tests.support.sample import (
    Counted,
    Counter,
    Voided,
    append,
    at,
    commits,
    fill,
)


class Seen(Event):
    """Its fields are called like the columns before them."""

    time: datetime
    event: str


class Diary(Aggregate):
    seen: ClassVar[list[str]] = []

    def apply(self, event: Seen) -> None: ...


def test_history_is_a_table_of_every_event(repository: Repository, store: EventStore) -> None:
    """One row for each event, in log order, with the time and the request that it came from."""
    store.append("ann", commits(at(2), {"counter:1": [Counted("tea", 2), Voided("milk")]}))
    append(store, (1, Counted("milk")))
    table = history(repository, "ann", Counter, "1")
    assert list(table.columns) == ["time", "request", "event", "what", "amount"]
    assert list(table["time"]) == [at(1).time, at(2).time, at(2).time]
    assert list(table["request"]) == [str(at(1).id), str(at(2).id), str(at(2).id)]
    assert list(zip(table["event"], table["what"], strict=True)) == [
        ("Counted", "milk"), ("Counted", "tea"), ("Voided", "milk"),
    ]  # fmt: skip


def test_the_history_of_a_while_is_a_part_of_the_table(repository: Repository, store: EventStore) -> None:
    """From a moment on, and before another one."""
    fill(store, 5)
    times = [at(minutes).time for minutes in range(5)]
    for since, until in ((None, None), (times[1], None), (None, times[3]), (times[1], times[3])):
        within = [time for time in times if (since or time) <= time and (until is None or time < until)]
        assert list(history(repository, "ann", Counter, "1", since, until)["time"]) == within
    with pytest.raises(InvalidInput, match=r"time zone, got .* as since"):
        history(repository, "ann", Counter, "1", since=datetime(2026, 1, 5))


def test_history_keeps_its_columns_apart_from_the_fields(repository: Repository, store: EventStore) -> None:
    """A field called `time` doesn't hide when it was wished."""
    append(store, (1, Seen(at(7).time, "a bird")), id="diary:1")
    table = history(repository, "ann", Diary, "1")
    assert table.to_dict("records") == [
        {"time": at(1).time, "request": str(at(1).id), "event": "Seen", "Seen.time": at(7).time, "Seen.event": "a bird"}
    ]


def test_the_history_of_nothing_has_its_columns(repository: Repository) -> None:
    """An empty table can be asked like a full one."""
    table = history(repository, "ann", Counter, "1")
    assert (list(table.columns), len(table)) == (["time", "request", "event"], 0)


def test_G6_a_history_whose_beginning_is_gone_says_so(repository: Repository, store: EventStore) -> None:
    """A table that is silently short would lie about what happened."""
    made = fill(store, 3)
    store.mark("ann", "counter:1", floor=made[1].event_time)
    store.delete_events("ann", "counter:1", made[1].event_time)
    with pytest.raises(HistoryGone, match=r"aggregate 'counter:1' from .*09:00.* found commits from .*09:02"):
        history(repository, "ann", Counter, "1")
    with pytest.raises(HistoryGone):
        history(repository, "ann", Counter, "1", since=at(1).time)
    assert list(history(repository, "ann", Counter, "1", since=at(2).time)["time"]) == [at(2).time]


def test_G8_history_names_a_broken_row(repository: Repository, store: EventStore) -> None:
    """For people too, nothing is skipped."""
    store.append("ann", [Commit("counter:1", at(2).event_time, "Counted", 1, b"broken")])
    with pytest.raises(Unreadable, match=f"event time {at(2).event_time}"):
        history(repository, "ann", Counter, "1")
