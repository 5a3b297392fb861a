"""An event store behind a line that fails: every call crosses it, on any store."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from threading import Thread
from typing import Any

import pytest

from eslab import ManualClock, OutcomeUnknown, StoreUnavailable, open_store
from eslab.faults import (
    Delay,
    Duplicate,
    Faulty,
    Hold,
    LoseReply,
    LoseRequest,
    Refuse,
    Script,
)
from eslab.faults.faulty import CALLS
from eslab.faults.kinds import Fault
from eslab.store import EventStore
from tests.support.sample import START, Counted, at, commits, everything, fill, row, rows

SECOND = timedelta(seconds=1)


@pytest.fixture(params=["memory:", "sqlite:"])
def real(request: pytest.FixtureRequest) -> Iterator[EventStore]:
    """A store that is what it says."""
    store = open_store(request.param)
    yield store
    store.close()


def faulty(store: EventStore, **script: Any) -> Faulty:
    return Faulty(store, Script(**script), ManualClock(START))


def test_a_read_that_gets_no_answer_is_unavailable(real: EventStore) -> None:
    """It has changed nothing, so there is nothing unknown about it."""
    for fault in (Refuse(), LoseRequest(), LoseReply(), Hold()):
        with pytest.raises(StoreUnavailable):
            faulty(real, heads=[fault]).heads("ann", ["counter:1"])


def test_pages_meet_a_fault_before_the_first_one(real: EventStore) -> None:
    """And then come as they are."""
    made = fill(real, 2500)
    store = faulty(real, rows_many=[LoseReply()])
    with pytest.raises(StoreUnavailable):
        list(store.rows("ann", "counter:1"))
    assert rows(store) == made


EVERY_CALL: dict[str, Callable[[EventStore], object]] = {
    "append": lambda store: store.append("ann", [row()]),
    "replace": lambda store: store.replace("ann", row(), b""),
    "read": lambda store: store.read("ann", {"counter:1": None}),
    "heads": lambda store: store.heads("ann", ["counter:1"]),
    "heads_of_type": lambda store: store.heads_of_type("ann", "counter:"),
    "ids_of_commits": lambda store: store.ids_of_commits("ann"),
    "read_many": lambda store: list(store.read_many("ann", {"counter:1": None})),
    "rows_many": lambda store: list(store.rows_many("ann", {"counter:1": None})),
    "save_snapshot": lambda store: store.save_snapshot("ann", "counter:1", object(), START),  # type: ignore[arg-type]
    "delete_snapshot": lambda store: store.delete_snapshot("ann", "counter:1", at().event_time, 1, START),
    "mark": lambda store: store.mark("ann", "counter:1", floor=at().event_time),
    "note_safe": lambda store: store.note_safe("ann", [row()], START),
    "delete_events": lambda store: store.delete_events("ann", "counter:1", at().event_time),
    "time": lambda store: store.time(),
    "missing_read_tables": lambda store: store.missing_read_tables([]),
    "make_read_tables": lambda store: store.make_read_tables([]),
    "put_read_rows": lambda store: store.put_read_rows([]),
    "read_rows": lambda store: list(store.read_rows(object(), [])),  # type: ignore[arg-type]
    "empty_read_table": lambda store: store.empty_read_table(object()),  # type: ignore[arg-type]
    "customers": lambda store: list(store.customers()),
    "checkpoint": lambda store: store.checkpoint("name"),
    "set_checkpoint": lambda store: store.set_checkpoint("name", "text"),
    "swap_checkpoint": lambda store: store.swap_checkpoint("name", "", "text"),
}


@pytest.mark.parametrize("call", sorted(CALLS))
def test_every_call_of_a_store_crosses_the_line(call: str) -> None:
    """A method that is new in the protocol has no way around it."""
    store = faulty(open_store("memory:"), **{call: [Refuse()]})
    with pytest.raises(StoreUnavailable, match="The store can't be reached"):
        EVERY_CALL[call](store)
    assert [(crossing.call, crossing.arrived) for crossing in store.log] == [(call, [])]


def test_a_store_behind_a_line_shows_what_else_the_store_has() -> None:
    """Such as the path of its file; its end is the end of the store, and of what was under way."""
    store = faulty(open_store("sqlite:"), append=[Hold(behind=9)])
    assert store.path == store.store.path
    assert repr(store) == f"Faulty({store.path}, Script(append))"
    with pytest.raises(OutcomeUnknown):
        store.append("ann", [row()])
    store.close()
    store.line.deliver()
    assert len(store.log[0].arrived) == 0
    with pytest.raises(AttributeError):
        _ = store.no_such_thing


@pytest.mark.parametrize("fault", [LoseReply(), Duplicate(), Duplicate(2), Hold(1), Hold(2), Delay(SECOND)], ids=str)
def test_G1_an_append_that_comes_twice_late_or_unheard_is_the_same_rows(real: EventStore, fault: Fault) -> None:
    """After a retry the store holds what a quiet one holds."""
    quiet = open_store("memory:")
    store = faulty(real, append=[fault])
    for minutes in (0, 1, 2):
        made = commits(at(minutes), {"counter:1": [Counted(f"thing {minutes}")]})
        quiet.append("ann", made)
        for _ in range(2):
            try:
                store.append("ann", made)
                break
            except OutcomeUnknown:
                continue
    store.line.deliver()
    assert everything(real) == everything(quiet)


def test_threads_may_share_a_store_behind_a_line(real: EventStore) -> None:
    """Each call meets one fault of the plan, and is recorded once."""
    store = faulty(real, append=[LoseReply()] * 10)
    lost: list[int] = []

    def work(number: int) -> None:
        for minute in range(10):
            try:
                store.append("ann", [row(minute, id=f"counter:{number}")])
            except OutcomeUnknown:
                lost.append(number)

    threads = [Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lost) == 10
    assert sorted(crossing.number for crossing in store.log) == list(range(1, 41))
    assert [len(rows(real, f"counter:{number}")) for number in range(4)] == [10] * 4
