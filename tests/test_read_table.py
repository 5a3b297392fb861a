"""A read table holds commits once more, and a query folds them as hydration does."""

import logging
from collections.abc import Iterable, Sequence
from itertools import permutations
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eslab import (
    Aggregate,
    AggregateService,
    Event,
    EventStore,
    InvalidInput,
    ManualClock,
    OutcomeUnknown,
    Rejected,
    Repository,
    StoreUnavailable,
    Unreadable,
    open_store,
)
from eslab.layout import Layout
from eslab.read_table import ReadTable, rows_in
from eslab.store import ReadRow
from eslab.stores.keys import MemoryKeys
from tests.support.sample import (
    DAYS,
    MINUTE,
    SHELF,
    START,
    Card,
    Count,
    Counted,
    Counter,
    Faulty,
    Stamped,
    Voided,
    at,
    commits,
    everything,
    handle,
)

SHARDS = [("2026-01-05", "0"), ("2026-01-05", "1")]
RANDOM_EVENTS = st.one_of(
    st.builds(Counted, st.sampled_from("abc"), st.integers(1, 9)), st.builds(Voided, st.sampled_from("abc"))
)  # fmt: skip


def of_shelf(customer: str, key: str, events: Sequence[Event]) -> Iterable[tuple[str, ...]]:
    return [(customer, key)]


def of_day(customer: str, key: str, events: Sequence[Any]) -> Iterable[tuple[str, ...]]:
    """A row for each shard of what is counted."""
    return [("2026-01-05", str(ord(event.what[0]) % 2)) for event in events]


ON_SHELF = ReadTable(SHELF, {Counter: of_shelf})
BY_DAY = ReadTable(DAYS, {Counter: of_day})


class Elsewhere(Faulty):
    """A store whose other partitions can't be reached while `error` is set."""

    error: Exception | None = StoreUnavailable("nobody there")

    def put_read_rows(self, rows: Sequence[ReadRow]) -> None:
        if self.error:
            raise self.error
        self.store.put_read_rows(rows)


def told(store: Any, clock: ManualClock, **more: Any) -> tuple[Repository, AggregateService[Counter]]:
    """A repository with both tables, and a service over it."""
    repository = Repository(store, clock, read_tables=(ON_SHELF, BY_DAY), **more)
    service = AggregateService(store, Counter, handle, clock)
    service.repository = repository
    return repository, service


def states(repository: Repository, table: ReadTable, *keys: tuple[str, ...]) -> dict[str, Any]:
    return {found.key: found.state for found in repository.read(table, *keys)}


def test_a_wish_is_in_the_tables_when_it_is_answered(store: EventStore, clock: ManualClock) -> None:
    """Under the keys that each table gives it."""
    repository, service = told(store, clock)
    service.send("ann", "counter:1", Count("a", 2), at(0))
    assert states(repository, ON_SHELF, ("ann", "1")) == {"1": Counter({"a": 2})}
    assert states(repository, BY_DAY, SHARDS[1]) == {"1": Counter({"a": 2})}
    assert states(repository, BY_DAY, SHARDS[0]) == states(repository, ON_SHELF, ("bob",)) == {}


def test_G7_a_rejection_writes_no_row(store: EventStore, clock: ManualClock) -> None:
    """Neither with the customer nor elsewhere."""
    repository, service = told(store, clock)
    assert isinstance(service.send("ann", "counter:1", Count("a", 101), at(0)), Rejected)
    assert states(repository, ON_SHELF, ("ann",)) == states(repository, BY_DAY, *SHARDS) == {}


@given(
    st.lists(st.tuples(st.sampled_from("12"), st.lists(RANDOM_EVENTS, min_size=1, max_size=3)), max_size=8),
    st.randoms(),
)
def test_G4_rows_in_any_order_add_up_to_what_hydration_gives(made: list[Any], random: Any) -> None:
    """Late and concurrent commits are no different from others: the query folds what is there."""
    store = open_store("memory:")
    repository, _ = told(store, ManualClock(START))
    arrivals = [
        (commit, events)
        for number, (key, events) in enumerate(made)
        for commit in commits(at(number), {f"counter:{key}": events})
    ]
    random.shuffle(arrivals)
    for commit, events in arrivals:
        store.append("ann", [commit])
        store.put_read_rows(
            rows_in(
                repository.read_tables, "ann", {commit.aggregate_id: Counter}, [commit], {commit.aggregate_id: events}
            )
        )
    assert states(repository, ON_SHELF, ("ann",)) == repository.load_all("ann", Counter)
    assert states(repository, BY_DAY, *SHARDS) == repository.load_all("ann", Counter)


@pytest.mark.parametrize("order", list(permutations(range(2))))
def test_G1_decided_twice_the_same_decision_wins_here_too(
    store: EventStore, clock: ManualClock, order: Sequence[int]
) -> None:
    """The payload is the same bytes under the same write time, so the greater digest stays in every table."""
    repository, _ = told(store, clock)
    for each in order:
        events = {"counter:1": [Counted("a", each + 1)]}
        decided = commits(at(0), events)
        rows = rows_in(repository.read_tables, "ann", {"counter:1": Counter}, decided, events)
        store.append("ann", decided, read_rows=[row for row in rows if row.layout is SHELF])
        store.put_read_rows([row for row in rows if row.layout is DAYS])
    won = repository.load("ann", Counter, "1")
    assert states(repository, ON_SHELF, ("ann",)) == states(repository, BY_DAY, *SHARDS) == {"1": won}


def test_G1_decided_twice_under_two_keys_it_is_one_commit(store: EventStore, clock: ManualClock) -> None:
    """Who reads both keys sees the greater decision, once."""
    repository, _ = told(store, clock)
    won = {}
    for what in "ab":
        events = {"counter:1": [Counted(what)]}
        (decided,) = commits(at(0), events)
        store.append("ann", [decided])
        store.put_read_rows(rows_in(repository.read_tables, "ann", {"counter:1": Counter}, [decided], events))
        won = states(repository, BY_DAY, *SHARDS)
    assert won == {"1": repository.load("ann", Counter, "1")} == states(repository, BY_DAY, *reversed(SHARDS))


@pytest.mark.parametrize("error", [StoreUnavailable("nobody there"), OutcomeUnknown("perhaps")], ids=str)
def test_a_wish_is_decided_though_its_rows_elsewhere_wait(
    clock: ManualClock, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    """The answer stands, a warning says what waits, and a repeat of the request writes it."""
    store = Elsewhere(open_store("memory:"))
    store.error = error
    repository, service = told(store, clock)
    with caplog.at_level(logging.WARNING):
        assert not isinstance(service.send("ann", "counter:1", Count("a"), at(0)), Rejected)
    assert "wait for `eslab read-tables catch-up`" in caplog.text
    assert states(repository, ON_SHELF, ("ann",)) == {"1": Counter({"a": 1})}
    assert states(repository, BY_DAY, *SHARDS) == {}
    store.error = None
    assert service.send("ann", "counter:1", Count("a"), at(0)).repeated  # type: ignore[union-attr]
    assert states(repository, BY_DAY, *SHARDS) == {"1": Counter({"a": 1})}


@pytest.mark.parametrize("table", [ON_SHELF, BY_DAY], ids=["inside", "elsewhere"])
def test_G8_a_row_with_a_flipped_bit_is_named(store: EventStore, clock: ManualClock, table: ReadTable) -> None:
    """Customer, aggregate and event time; nothing is skipped."""
    repository, _ = told(store, clock)
    events = {"counter:1": [Counted("a")]}
    (whole,) = commits(at(0), events)
    broken = whole._replace(payload=whole.payload[:30] + bytes([whole.payload[30] ^ 1]) + whole.payload[31:])
    rows = rows_in(repository.read_tables, "ann", {"counter:1": Counter}, [broken], events)
    store.put_read_rows([row for row in rows if row.layout is table.layout])
    keys = SHARDS if table is BY_DAY else [("ann",)]
    with pytest.raises(Unreadable, match=rf"customer '.*ann', aggregate 'counter:1', event time {whole.event_time}"):
        repository.read(table, *keys)


def test_a_service_without_a_table_needs_none(clock: ManualClock) -> None:
    """Read tables are for who asks for them."""
    store = open_store("memory:")
    service = AggregateService(store, Counter, handle, clock)
    service.send("ann", "counter:1", Count("a"), at(0))
    repository, _ = told(store, clock)
    assert states(repository, ON_SHELF, ("ann",)) == {}


def test_a_layout_is_checked_when_the_table_is_defined() -> None:
    """A name that CQL can't bear is found before anything is stored."""
    with pytest.raises(InvalidInput, match="Expected a name of small letters"):
        ReadTable(Layout("Shelf", ("customer_id",)), {})


def test_a_row_of_a_type_that_the_table_names_no_more_is_named(clock: ManualClock) -> None:
    """Nothing is left out silently."""
    repository, service = told(open_store("memory:"), clock)
    service.send("ann", "counter:1", Count("a"), at(0))
    with pytest.raises(InvalidInput, match=r"Expected card in the read table shelf, found 'counter:1'.* Rebuild"):
        repository.read(ReadTable(SHELF, {Card: of_shelf}), ("ann",))


class Secret(Aggregate):
    """An encrypted aggregate."""

    encrypted: ClassVar[bool] = True
    places: set[int] = set()

    def apply(self, event: Stamped) -> None:
        self.places.add(event.place)


SECRETS = ReadTable(DAYS, {Secret: lambda customer, key, events: [("monday", "0")]})


def test_what_is_encrypted_stays_so_and_is_forgotten_here_too(store: EventStore, clock: ManualClock) -> None:
    """A row holds the commit's ciphertext; who was forgotten is left out, and all others stay."""
    repository = Repository(store, clock, keys=MemoryKeys(), read_tables=[SECRETS])
    for customer in ("ann", "bob"):
        work = repository.begin(customer, at(0, customer), Count("a"))
        (secret,) = work.load((Secret, "1"))
        work.add(secret, Stamped(7))
        work.append()
    (page,) = store.read_rows(DAYS, [("monday", "0")])
    assert [row.commit.event_type for row in page] == ["(encrypted)", "(encrypted)"]
    assert not any(b"Stamped" in row.commit.payload for row in page)
    read = [(found.customer_id, found.state) for found in repository.read(SECRETS, ("monday", "0"))]
    assert read == [("ann", Secret({7})), ("bob", Secret({7}))]
    clock.advance(MINUTE)
    repository.forget("ann")
    assert [found.customer_id for found in repository.read(SECRETS, ("monday", "0"))] == ["bob"]


def test_a_class_that_was_defined_again_is_named(store: EventStore) -> None:
    """In a notebook: without its read rows nothing is appended."""

    def in_a_cell() -> Any:
        class Seen(Aggregate):
            counts: int = 0

            def apply(self, event: Counted) -> None:
                self.counts += 1

        return Seen

    table = ReadTable(SHELF, {in_a_cell(): lambda customer, key, events: [(customer, "tea")]})
    work = Repository(store, ManualClock(START), read_tables=[table]).begin("ann", at(), Count("tea"))
    (state,) = work.load((in_a_cell(), "1"))
    work.add(state, Counted("tea"))
    with pytest.raises(
        InvalidInput, match=r"class Seen that the read table shelf names, got one that was defined again"
    ):
        work.append()
    assert everything(store) == {}
