"""A row's key is proved (G8): a row or snapshot that was copied to another place is never believed there."""

from typing import ClassVar
from uuid import UUID

import pytest

from eslab import EventStore, ManualClock, Repository, Unreadable
from eslab.operations.audit import find_strays
from eslab.operations.fork import fork
from eslab.operations.history import history
from eslab.operations.inspection import inspect
from eslab.operations.rebuild import rebuild
from eslab.payload.serializer import command_hash
from eslab.store import Commit, ReadRow
from tests.support.sample import DAY, SHELF, START, Card, Count, Counted, Counter, Stamped, at, commits, snapshot
from tests.test_read_table import BY_DAY, ON_SHELF

COPIED = "copied from another customer or aggregate"
COPIED_TIME = "the row was copied from another time or customer, or is damaged"
TEA = Count("tea")


def tea(minutes: float = 0) -> Commit:
    """The row of Ann's cup of tea."""
    return commits(at(minutes), {"counter:1": [Counted("tea")]}, command_hash(TEA))[0]


def copy_of(customer: str, id: str) -> Commit:
    """A row that belongs to another place, under the key of Ann's counter."""
    (commit,) = commits(at(1), {id: [Counted("rum")]}, customer=customer)
    return commit._replace(aggregate_id="counter:1")


OTHER_PLACES = pytest.mark.parametrize(("customer", "id"), [("bob", "counter:1"), ("ann", "counter:2")])


@OTHER_PLACES
def test_G8_a_rows_key_is_proved_on_the_path_of_a_request(store: EventStore, customer: str, id: str) -> None:
    """A row of another customer or aggregate is named; state, history and a repeat of its request are refused."""
    store.append("ann", [tea(), copy_of(customer, id)])
    repository = Repository(store, ManualClock(START))
    where = f"customer 'ann', aggregate 'counter:1', event time {at(1).event_time} .*{COPIED}"
    for read in (
        lambda: repository.load("ann", Counter, "1"),
        lambda: history(repository, "ann", Counter, "1"),
        lambda: repository.begin("ann", at(1), TEA).load((Counter, "1")),
        lambda: Repository(forked := fork(store, "ann"), forked.clock).load("ann", Counter, "1"),
    ):
        with pytest.raises(Unreadable, match=where):
            read()


@OTHER_PLACES
def test_G8_a_rows_key_is_proved_beside_the_path(store: EventStore, customer: str, id: str) -> None:
    """Inspect marks it, and the rows beside it stay readable; an audit refuses it."""
    store.append("ann", [tea(), copy_of(customer, id)])
    (inspected,) = inspect(store, "ann")
    problems = [(commit.crc, commit.problem) for commit in inspected.commits]
    assert problems[0] == (True, None)
    assert problems[1][0] is False and COPIED in str(problems[1][1])
    with pytest.raises(Unreadable, match=COPIED):
        find_strays(Repository(store, ManualClock(START)), "ann", [Counter])


@OTHER_PLACES
def test_G8_a_rows_key_is_proved_by_a_rebuild(store: EventStore, customer: str, id: str) -> None:
    """The copied row gets no read row, and the table is not complete."""
    store.append("ann", [tea(), copy_of(customer, id)])
    with pytest.raises(Unreadable, match=COPIED):
        rebuild(Repository(store, ManualClock(START), read_tables=[BY_DAY]))


@OTHER_PLACES
def test_G8_a_rows_key_is_proved_in_a_read_table(store: EventStore, customer: str, id: str) -> None:
    """There too the copied row is named."""
    repository = Repository(store, ManualClock(START), read_tables=[ON_SHELF])
    store.put_read_rows([ReadRow(SHELF, ("ann", "tea"), row) for row in (tea(), copy_of(customer, id))])
    with pytest.raises(Unreadable, match=f"event time {at(1).event_time} .*{COPIED}"):
        repository.read(ON_SHELF, ("ann", "tea"))


def copied_time(store: EventStore) -> UUID:
    """Ann's cup of tea, and its row once more under a later time."""
    later = at(5).event_time
    store.append("ann", [tea(), tea()._replace(event_time=later)])
    return later


def test_G8_a_rows_time_is_proved_when_its_request_is_repeated(store: EventStore) -> None:
    """The copy is no answer to the request whose key it has; the row that was copied still answers its own."""
    later = copied_time(store)
    repository = Repository(store, ManualClock(START))
    with pytest.raises(Unreadable, match=f"event time {later} .*{COPIED_TIME}"):
        repository.begin("ann", at(5), TEA).load((Counter, "1"))
    work = repository.begin("ann", at(), TEA)
    work.load((Counter, "1"))
    assert work.recorded


def test_G8_a_rows_time_is_proved_by_inspect(store: EventStore) -> None:
    """The copy is marked and its events are shown; its checksum is right, since that is over the aggregate alone."""
    copied_time(store)
    (inspected,) = inspect(store, "ann")
    original, copy = inspected.commits
    assert (original.problem, copy.crc, copy.types) == (None, True, "Counted:1")
    assert COPIED_TIME in str(copy.problem)


def test_G8_a_rows_time_is_proved_by_an_audit(store: EventStore) -> None:
    """Of an append over several aggregates too, as long as all of its rows are there."""
    later = copied_time(store)
    repository = Repository(store, ManualClock(START))
    with pytest.raises(Unreadable, match=f"event time {later} .*{COPIED_TIME}"):
        find_strays(repository, "ann", [Counter])


def test_G8_the_times_of_copied_rows_are_proved_by_an_audit(store: EventStore) -> None:
    """Both rows of one append, copied together to another time."""
    both = commits(at(), {"counter:1": [Counted("tea")], "card:1": [Stamped(1)]})
    store.append("ann", both)
    repository = Repository(store, ManualClock(START))
    assert find_strays(repository, "ann", [Counter, Card]) == []
    store.append("ann", [row._replace(event_time=at(5).event_time) for row in both])
    with pytest.raises(Unreadable, match=COPIED_TIME):
        find_strays(repository, "ann", [Counter, Card])


class Refolded(Counter):
    """The counter as newer code folds it."""

    stored_as: ClassVar[str] = "counter"
    fold_version: ClassVar[int] = 2


@pytest.mark.parametrize("moved", ["customer", "aggregate", "up_to", "fold"])
def test_G8_a_snapshots_key_is_proved(store: EventStore, moved: str, caplog: pytest.LogCaptureFixture) -> None:
    """A snapshot copied under another customer, aggregate, `up_to` or fold is passed over; the events are the state."""
    stored = snapshot(at(30), Counter({"rum": 7}))
    customer = "bob" if moved == "customer" else "ann"
    key = "2" if moved == "aggregate" else "1"
    copy = stored._replace(**{"up_to": {"up_to": at(60).event_time}, "fold": {"fold": 2}}.get(moved, {}))
    store.save_snapshot(customer, f"counter:{key}", copy, START)
    store.append(customer, commits(at(), {f"counter:{key}": [Counted("tea")]}, customer=customer))
    hydration = Repository(store, ManualClock(START + 2 * DAY)).hydrate(
        customer, Refolded if moved == "fold" else Counter, key
    )
    assert (hydration.base, hydration.state.counts) == (None, {"tea": 1})
    assert "copied from another customer, aggregate, time or fold" in caplog.text
    (inspected,) = [it for aggregate in inspect(store, customer, f"counter:{key}") for it in aggregate.snapshots]
    assert inspected.crc is False and "copied from" in str(inspected.problem)
