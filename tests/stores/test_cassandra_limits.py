"""The limits of the Cassandra store: odd ids, lifetimes, many customers and long logs."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from types import SimpleNamespace
from typing import Any, cast

import pytest
from cassandra import InvalidRequest, Unauthorized

from eslab import Accepted, InvalidInput, ManualClock, OutcomeUnknown, Repository, Request, open_store
from eslab.cluster.cluster import Cluster
from eslab.payload.serializer import command_hash
from eslab.settings import kept
from eslab.stores.cassandra import CassandraStore
from eslab.stores.cassandra.connection import Options
from eslab.stores.cassandra.schema import check_lifetime
from eslab.stores.cassandra.write_times import MAX_LIFETIME, MAX_TTL, time_to_live
from tests.support.cassandra import counting, eventually, on_cassandra, opened, process
from tests.support.sample import DAY, START, Card, Count, Counted, Counter, Stamped, at, commits, everything, rows

WISH = Count("tea", 2)
TEA = [Counted("tea", 2)]


# A wish on real rows


@on_cassandra
def test_part_of_a_commit_is_never_decided_again(tables: CassandraStore) -> None:
    """One of two commits is there: the answer is unknown, nothing is written; with the other it is recorded."""
    request = at(0)
    both = commits(request, {"card:1": [Stamped(1)], "counter:1": TEA}, command_hash(WISH))
    tables.append("ann", both[:1])
    before = everything(tables)

    def load() -> Any:
        work = Repository(tables, ManualClock(START)).begin("ann", request, WISH)
        return work.recorded, work.load((Counter, "1"), (Card, "1")), work.recorded

    for _ in range(2):
        with pytest.raises(OutcomeUnknown, match=r"Expected 2 commits of .*, found 1\."):
            load()
    assert everything(tables) == before
    tables.append("ann", both[1:])
    assert load() == (False, (Counter(counts={"tea": 2}), Card(places={1})), True)
    assert [rows(tables, commit.aggregate_id) for commit in both] == [[commit] for commit in both]


ODD = [
    "'; DROP TABLE events; --", "../../etc", "a\0b", "\n", " ", "null", "é", "e\u0301", "顧客", "👩\u200d🍳",
    "\u202eann", "x" * 1024,
]  # fmt: skip


@on_cassandra
@pytest.mark.parametrize("customer", ODD)
def test_odd_customers_are_kept_apart(tables: CassandraStore, customer: str) -> None:
    """Any text is a customer: a wish is recorded under exactly that key, and its neighbours have nothing."""
    answer = counting(tables).send(customer, "counter:1", WISH, at(0))
    assert isinstance(answer, Accepted) and answer.events == TEA
    assert rows(tables, customer=customer) == commits(at(0), {"counter:1": TEA}, command_hash(WISH), customer)
    assert list(tables.session.execute("SELECT DISTINCT customer_id FROM events")) == [(customer,)]
    assert [everything(tables, customer[:-1] or "-"), everything(tables, f"{customer}.")] == [{}, {}]


def ttl(store: CassandraStore) -> int:
    """How many seconds the one row of ann has left."""
    ((left,),) = store.session.execute("SELECT TTL(payload) FROM events WHERE customer_id = 'ann'")
    return left


@on_cassandra
def test_a_retry_does_not_prolong_a_life(tables: CassandraStore, node: Cluster) -> None:
    """With `lifetime`, a commit's end follows from its request: a repeat, however late, moves it by no second."""
    request = Request.at(datetime.now(UTC) - 4 * DAY, "a wish")
    made = commits(request, {"counter:1": TEA})
    with opened(node.url(tables.options.keyspace) + "&lifetime=10") as store:
        ends = []
        for _ in range(3):
            store.append("ann", made)
            ends.append(time.time() + ttl(store))
            time.sleep(1.2)
    assert rows(tables) == made
    expected = (request.time + 10 * DAY).timestamp()
    assert max(abs(end - expected) for end in ends) < 2.5  # two clocks that count whole seconds, and the read
    assert max(ends) - min(ends) < 2.4  # by three times 1.2 s, if a retry prolonged it


@on_cassandra
def test_what_has_outlived_its_time_goes_at_once(tables: CassandraStore, node: Cluster) -> None:
    """A repeat of a request older than the lifetime leaves no row behind."""
    with opened(node.url(tables.options.keyspace) + "&lifetime=1") as store:
        store.append("ann", commits(Request.at(datetime.now(UTC) - 2 * DAY, "a wish"), {"counter:1": TEA}))
        time.sleep(2.2)
        assert rows(store) == []


@on_cassandra
def test_G5_a_lifetime_of_a_day_is_refused(tables: CassandraStore, node: Cluster) -> None:
    """Before the first request: it would be accepted, and gone before a snapshot holds it. Nothing is kept."""
    with opened(node.url(tables.options.keyspace) + "&lifetime=1") as store:
        with pytest.raises(InvalidInput, match=r"longer than fold_after \+ grace = 1 day 3 h, got 1 day"):
            counting(store)
        assert kept(store) is None


@on_cassandra
def test_G5_the_lifetime_of_the_first_process_is_that_of_all(tables: CassandraStore, node: Cluster) -> None:
    """Another one is refused at opening; a URL without one takes it, and its rows end as the others do."""
    url = node.url(tables.options.keyspace)
    with opened(f"{url}&lifetime=30") as store:
        Repository(store, ManualClock(START))
    for other in (0, 31):
        with pytest.raises(InvalidInput, match=r"keyspace lab_\d share: .*lifetime 30 days\. Got .*lifetime"):
            CassandraStore.open(f"{url}&lifetime={other}")
    request = Request.at(datetime.now(UTC), "a wish")
    with opened(url) as store:
        assert store.lifetime == 30
        store.append("ann", commits(request, {"counter:1": TEA}))
        assert time.time() + ttl(store) == pytest.approx((request.time + 30 * DAY).timestamp(), abs=2.5)
    with pytest.raises(InvalidInput, match=r"lifetime 30 days\. Got .*lifetime for ever"):
        Repository(tables, ManualClock(START))  # it was opened before there was a lifetime


TODAY = datetime(2026, 11, 26, tzinfo=UTC)
LAST_SECOND = datetime(2038, 1, 19, 3, 14, 6, tzinfo=UTC)


def answer(lifetime: int, *found: Any, today: datetime = TODAY) -> None:
    """Check a lifetime in a cluster whose settings have this value, or raise this error."""

    def execute(_: str) -> Any:
        if isinstance(found[0], Exception):
            raise found[0]
        return SimpleNamespace(one=lambda: found)

    options = Options.parse("cassandra://a/lab", {})
    check_lifetime(cast(Any, SimpleNamespace(execute=execute)), options, lifetime, ManualClock(today))


MOST = (LAST_SECOND - TODAY).days - 1  # one day for requests that are ahead


@pytest.mark.parametrize("found", ["NONE", "CASSANDRA_4", None, InvalidRequest("no table")])
@pytest.mark.parametrize("lifetime", [0, 1, 3650, MOST])
def test_a_lifetime_within_2038_needs_no_setting(lifetime: int, found: Any) -> None:
    """Every cluster can store when such rows expire, so it isn't asked."""
    answer(lifetime, found)


@pytest.mark.parametrize("lifetime", [MOST + 1, MOST + 2, 7299])
@pytest.mark.parametrize(
    "found", ["CASSANDRA_4", "UPGRADING", None, InvalidRequest("no such table"), Unauthorized("no permission")]
)
def test_a_lifetime_that_the_cluster_cannot_store_is_refused_at_opening(lifetime: int, found: Any) -> None:
    """With the longest that it can, and the setting that allows more."""
    with pytest.raises(
        InvalidInput, match=f"at most {MOST} days .*, got {lifetime}: .*storage_compatibility_mode: NONE"
    ):
        answer(lifetime, found)
    answer(lifetime, "NONE")


@pytest.mark.parametrize("years_ahead", range(0, 12))
def test_the_longest_lifetime_shrinks_as_2038_comes_near(years_ahead: int) -> None:
    """A lifetime that is accepted works on that day and the next, for requests up to a day ahead."""
    today = TODAY + years_ahead * 365 * DAY
    most = (LAST_SECOND - today).days - 1
    if most >= 1:
        answer(most, None, today=today)
    with pytest.raises(InvalidInput):
        answer(max(1, most + 1), None, today=today)


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(seconds=60), timedelta(days=1), timedelta(days=300)])
def test_a_row_is_never_given_more_than_twenty_years(ahead: timedelta) -> None:
    """Cassandra refuses a longer TTL, also for a request ahead of the clock."""
    ttl = time_to_live(Request.at(TODAY + ahead, "a wish").event_time, MAX_LIFETIME, lambda: TODAY)
    assert ttl == min((MAX_LIFETIME * DAY + ahead).total_seconds(), MAX_TTL)


@on_cassandra
def test_the_longest_lifetime_is_stored(tables: CassandraStore, node: Cluster) -> None:
    """Our clusters run in the mode that stores an expiry beyond 2038, to the second."""
    request = Request.at(datetime.now(UTC) + DAY, "a wish")
    with opened(f"{node.url(tables.options.keyspace)}&lifetime={MAX_LIFETIME}") as store:
        store.append("ann", commits(request, {"counter:1": TEA}))
        assert time.time() + ttl(store) == pytest.approx((request.time + MAX_LIFETIME * DAY).timestamp(), abs=2.5)


@pytest.mark.full
@on_cassandra
def test_a_cluster_as_cassandra_ships_it_refuses_a_long_lifetime_at_opening() -> None:
    """In the default mode of Cassandra 5 rows can't expire after 2038; up to there all lifetimes work."""
    most = (LAST_SECOND - datetime.now(UTC)).days - 1
    with Cluster.start(config={"storage_compatibility_mode": "CASSANDRA_4"}) as legacy:
        with pytest.raises(InvalidInput, match=f"at most {most} days"):
            open_store(f"{legacy.url('lab')}&lifetime={most + 1}")
        with opened(f"{legacy.url('lab')}&lifetime={most}") as store:
            for ahead in 0, 1:
                request = Request.at(datetime.now(UTC) + ahead * DAY, f"a wish {ahead}")
                store.append("ann", commits(request, {"counter:1": TEA}))


# Many and much


@pytest.mark.full
@on_cassandra
def test_G3_a_thousand_customers_at_once_each_have_their_own(tables: CassandraStore) -> None:
    """A thousand threads send three wishes each, every one twice; everyone's state is what that one wished."""
    service, together = counting(tables), Barrier(1000)

    def shop(number: int) -> list[dict[str, int]]:
        together.wait()
        wishes = [(Count(f"thing {number}", n + 1), at(-n, str(number))) for n in range(3)]
        twice = [command for command in wishes for _ in range(2)]
        answers = [
            eventually(lambda command=command: service.send(f"customer {number}", "counter:1", *command))
            for command in twice
        ]
        return [answer.state.counts for answer in answers if isinstance(answer, Accepted)]

    with ThreadPoolExecutor(1000) as pool:
        shown = list(pool.map(shop, range(1000)))
    assert shown == [[{f"thing {number}": n} for n in (1, 1, 3, 3, 6, 6)] for number in range(1000)]
    states = [service.load(f"customer {number}", "counter:1") for number in range(1000)]
    assert states == [Counter(counts={f"thing {number}": 6}) for number in range(1000)]
    assert sum(1 for _ in tables.session.execute("SELECT event_time FROM events")) == 3000


READER = """
store = open_store(sys.argv[1])
hydration = Repository(store, ManualClock(START)).hydrate("ann", Counter, sys.argv[2])
# Not getrusage: its peak is handed down by the process that started this one.
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(hydration.commits, hydration.state.total, peak)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.full
@on_cassandra
def test_a_million_events_stream_in_bounded_memory(tables: CassandraStore, node: Cluster) -> None:
    """Hydrating 1,000,000 commits takes no more memory than 50,000: a page or two are held."""
    for number in 50_000, 1_000_000:
        load(tables, number)
    read = {number: lines(process(READER, node.url(tables.options.keyspace), number)) for number in (50_000, 1_000_000)}
    print(f"\n{read}")
    assert [read[number][:2] for number in read] == [[number, number] for number in read]
    assert read[1_000_000][2] < 1.2 * read[50_000][2]


def load(store: CassandraStore, number: int) -> None:
    """Fill one aggregate with so many commits, in batches below 128 KB, four at a time."""
    ((first,),) = [commits(at(0), {f"counter:{number}": [Counted("tea")]})]

    def append(start: int) -> None:
        times = [Request.at(START + timedelta(milliseconds=n), "a wish").event_time for n in range(start, start + 500)]
        store.append("ann", [first._replace(event_time=event_time) for event_time in times])

    with ThreadPoolExecutor(4) as pool:
        assert len(list(pool.map(append, range(0, number, 500)))) == number // 500


def lines(running: "subprocess.Popen[str]") -> list[int]:
    """The numbers that a process says until its end, which must be a good one."""
    said, _ = running.communicate()
    assert running.returncode == 0
    return [int(word) for word in said.split()]
