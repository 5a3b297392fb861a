"""Audit: it finds the rows that only a losing decision wrote, for any aggregate types."""

from collections.abc import Mapping, Sequence

import pytest

from eslab import Aggregate, Event, EventStore, ManualClock, Repository, Request, Unreadable, open_store
from eslab.operations.audit import Stray, find_lost_rows, find_strays
from eslab.operations.rebuild import rebuild
from eslab.read_table import rows_in
from eslab.store import Commit
from eslab.stores.keys import MemoryKeys
from tests.support.sample import START, Card, Count, Counted, Counter, Stamped, at, commits, envelope_of
from tests.test_read_table import BY_DAY, SHARDS

REQUEST = at(0)
BOTH = {"counter:1": [Counted("red")], "card:1": [Stamped(7)]}
OTHER = {"counter:1": [Counted("red")], "counter:2": [Counted("blue")]}


class SecretCard(Aggregate):
    """A card whose events are encrypted."""

    encrypted = True
    places: set[int] = set()

    def apply(self, event: Stamped) -> None:
        self.places.add(event.place)


def decided_twice(
    one: Mapping[str, Sequence[Event]], other: Mapping[str, Sequence[Event]], request: Request = REQUEST
) -> tuple[list[Commit], list[Commit]]:
    """The rows of two decisions of one request, the losing ones first; their digests say which these are."""
    decisions = commits(request, one), commits(request, other)
    losing, winning = sorted(decisions, key=lambda rows: envelope_of(rows[0]).digest)
    return losing, winning


def only_in_the_losing(losing: list[Commit], winning: list[Commit]) -> list[str]:
    won = {commit.aggregate_id for commit in winning}
    return [commit.aggregate_id for commit in losing if commit.aggregate_id not in won]


def strays(store: EventStore, *types: type[Aggregate]) -> list[Stray]:
    return find_strays(Repository(store, ManualClock(START)), "ann", types or (Counter, Card))


def test_rows_of_one_decision_are_no_strays(store: EventStore) -> None:
    """Even if they were written twice."""
    store.append("ann", commits(REQUEST, BOTH))
    store.append("ann", commits(REQUEST, BOTH))
    assert strays(store) == []


def test_a_customer_without_rows_has_no_strays(store: EventStore) -> None:
    """Nor has one whose rows are of other types."""
    assert strays(store) == []
    store.append("ann", commits(REQUEST, {"card:1": [Stamped(7)]}))
    assert strays(store, Counter) == []


def test_a_row_that_only_the_losing_decision_wrote_is_a_stray(store: EventStore) -> None:
    """Both decisions touched counter:1, where the winner's row stays; and one aggregate more."""
    losing, winning = decided_twice(BOTH, OTHER)
    store.append("ann", [*losing, *winning])
    (expected,) = only_in_the_losing(losing, winning)
    assert [(stray.aggregate_id, stray.request) for stray in strays(store)] == [(expected, REQUEST)]


def test_a_stray_has_its_address_and_its_events(store: EventStore) -> None:
    """So that the domain can undo it."""
    losing, winning = decided_twice({"counter:1": [Counted("red")]}, {"card:1": [Stamped(7)]})
    store.append("ann", [*losing, *winning])
    expected = {
        "counter:1": Stray((Counter, "1"), REQUEST, [Counted("red")]),
        "card:1": Stray((Card, "1"), REQUEST, [Stamped(7)]),
    }
    assert strays(store) == [expected[losing[0].aggregate_id]]


@pytest.mark.parametrize("number", range(8))
def test_rows_of_different_commands_under_one_id_do_not_compete(store: EventStore, number: int) -> None:
    """Both were answered, since they touch no aggregate in common; whichever digest is greater, none is a stray."""
    request = at(number)
    store.append("ann", commits(request, {"counter:8": [Counted("red")]}, b"one wish"))
    store.append("ann", commits(request, {"card:9": [Stamped(7)]}, b"another!"))
    assert strays(store) == []
    losing, winning = decided_twice(BOTH, OTHER, request)  # a third command, decided twice: its own stray is found
    store.append("ann", [*losing, *winning])
    found = [stray.aggregate_id for stray in strays(store)]
    assert found == only_in_the_losing(losing, winning)


def test_strays_come_in_the_order_of_their_requests(store: EventStore) -> None:
    """The names of their aggregates and the order of their arrival make no difference."""
    for minutes in (3, 1, 4, 2):
        one, other = {f"counter:{9 - minutes}": [Counted("red")]}, {f"card:{minutes}": [Stamped(minutes)]}
        losing, winning = decided_twice(one, other, at(minutes))
        store.append("ann", [*winning, *losing])
    assert [stray.request for stray in strays(store)] == [at(minutes) for minutes in (1, 2, 3, 4)]


@pytest.mark.parametrize("seen", [0, 1])
def test_a_losing_row_is_no_stray_while_the_winners_are_not_all_seen(store: EventStore, seen: int) -> None:
    """A commit of the winner that is still on its way may yet replace it."""
    losing, winning = decided_twice(BOTH, OTHER)
    store.append("ann", [*losing, winning[seen]])
    assert strays(store) == []
    store.append("ann", winning)
    assert [stray.aggregate_id for stray in strays(store)] == only_in_the_losing(losing, winning)


def test_a_winner_whose_types_are_not_all_named_is_passed_over(store: EventStore) -> None:
    """Its commits can't all be seen."""
    losing, winning = decided_twice(BOTH, OTHER)
    store.append("ann", [*losing, *winning])
    hidden = Card if any(commit.aggregate_id == "card:1" for commit in winning) else Counter
    (named,) = {Card, Counter} - {hidden}
    assert strays(store, named) == []


def test_G8_a_row_that_cannot_be_trusted_is_named(store: EventStore) -> None:
    """Its digest would tell nothing, so the audit stops and says which row it is."""
    (commit,) = commits(REQUEST, {"counter:1": [Counted("red")]})
    broken = bytes([commit.payload[0], commit.payload[1] ^ 1]) + commit.payload[2:]
    store.append("ann", [commit._replace(payload=broken)])
    with pytest.raises(Unreadable, match=r"'ann'.*counter:1.*checksum"):
        strays(store)


def test_an_encrypted_stray_is_decrypted(clock: ManualClock) -> None:
    """With the customer's key; the digests that are compared are keyed too."""
    keys = MemoryKeys()
    here, there = (Repository(open_store("memory:"), clock, keys=keys) for _ in range(2))
    for repository, key in (here, "1"), (there, "2"):
        work = repository.begin("ann", REQUEST, Count("red"))
        (card,) = work.load((SecretCard, key))
        work.add(card, Stamped(int(key)))
        work.append()
    here.store.append("ann", list(there.store.rows("ann", "secretcard:2")))
    (stray,) = find_strays(here, "ann", [SecretCard])
    assert stray.events == [Stamped(int(stray.address[1]))]


def test_a_row_that_a_losing_decision_left_under_another_key_is_found(store: EventStore, clock: ManualClock) -> None:
    """Until a rebuild removes it; rows of the winner and rows below the floor are not lost."""
    repository = Repository(store, clock, read_tables=[BY_DAY])
    losing, winning = decided_twice({"counter:1": [Counted("a")]}, {"counter:1": [Counted("b")]})
    for commit in (*losing, *winning):
        events = {"counter:1": repository.hydrator("ann", {"counter:1": Counter}).events_of(commit)}
        store.append("ann", [commit])
        store.put_read_rows(rows_in([BY_DAY], "ann", {"counter:1": Counter}, [commit], events))
    (lost,) = find_lost_rows(repository, BY_DAY, *SHARDS)
    assert (lost.customer_id, lost.commit) == ("ann", losing[0])
    assert find_lost_rows(repository, BY_DAY, lost.key[:2]) == [lost]
    rebuild(repository)
    assert find_lost_rows(repository, BY_DAY, *SHARDS) == []
    assert [found.state for found in repository.read(BY_DAY, *SHARDS)] == [repository.load("ann", Counter, "1")]
    store.mark("ann", "counter:1", floor=REQUEST.event_time)
    store.delete_events("ann", "counter:1", REQUEST.event_time)
    assert find_lost_rows(repository, BY_DAY, *SHARDS) == []
