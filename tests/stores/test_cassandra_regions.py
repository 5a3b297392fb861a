"""The Cassandra store on several processes, nodes and regions, of which some freeze, die or are cut off."""

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from threading import Thread
from typing import Any

import pytest

from eslab import Accepted, ManualClock, OutcomeUnknown, Repository, StoreUnavailable
from eslab.cluster.cluster import Cluster
from eslab.payload.serializer import command_hash
from eslab.store import Commit
from eslab.stores.cassandra import CassandraStore
from tests.support.cassandra import counting, eventually, on_cassandra, opened, process
from tests.support.sample import START, Count, Counted, Counter, Voided, at, commits, row, rows

WISH = Count("tea", 2)
TEA = [Counted("tea", 2)]


# Several processes


OPENER = """
sys.stdin.readline()
for url in sys.argv[2:]:
    store = open_store(url)
    store.append("ann", [row(0, key=sys.argv[1])])
    store.close()
print("done")
"""


def open_at_once(urls: list[str], processes: int) -> None:
    """Open stores of keyspaces that aren't there from several processes at once, and append a row from each."""
    running = [process(OPENER, name, *urls) for name in range(processes)]
    for each in running:
        assert each.stdin and each.stdin.write("go\n")
        each.stdin.flush()
    assert [(each.communicate()[0], each.returncode) for each in running] == [("done\n", 0)] * processes
    expected = sorted(row(0, key=str(name)) for name in range(processes))
    for url in urls:
        with opened(url) as store:
            assert sorted(rows(store)) == expected


@on_cassandra
def test_processes_that_open_a_fresh_keyspace_at_once_all_get_it(node: Cluster) -> None:
    """Whoever comes first makes the tables, and nobody's first row is lost."""
    open_at_once([node.url(f"lab_fresh_{number}") for number in range(3)], 4)


@pytest.mark.full
@on_cassandra
def test_processes_on_three_nodes_make_one_keyspace(three: Cluster) -> None:
    """Each talks to a node of its own choice, and still they make the same tables."""
    open_at_once([three.url(f"lab_fresh_{number}") for number in range(3)], 4)


# Nodes that freeze and die


@pytest.fixture(scope="module")
def three() -> Iterator[Cluster]:
    """Three replicas in one region, all awake between tests."""
    with Cluster.start(regions="us:3") as cluster:
        yield cluster


@contextmanager
def frozen(cluster: Cluster, target: str) -> Generator[None, None, None]:
    """Nodes that keep their connections and answer nothing meanwhile."""
    cluster.freeze(target)
    try:
        yield
    finally:
        cluster.thaw(target)


@pytest.mark.full
@on_cassandra
def test_G1_no_answer_is_unknown_and_the_same_request_settles_it(us3: Cluster) -> None:
    """A majority freezes while a wish is appended: unknown; once it thaws, the same request is decided once."""
    with opened(us3.url("lab_frozen") + "&timeout=3") as store:
        work = Repository(store, ManualClock(START)).begin("frozen majority", at(0), WISH)
        (counter,) = work.load((Counter, "1"))
        work.add(counter, *TEA)
        with frozen(us3, "us/2"), pytest.raises(OutcomeUnknown, match="send the same request again"):
            work.append()
        answer = eventually(lambda: counting(store).send("frozen majority", "counter:1", WISH, at(0)))
        again = eventually(lambda: counting(store).send("frozen majority", "counter:1", WISH, at(0)))
        assert isinstance(answer, Accepted) and isinstance(again, Accepted)
        assert (answer.events, answer.state) == (again.events, again.state) == (TEA, Counter(counts={"tea": 2}))
        assert again.repeated
        expected = commits(at(0), {"counter:1": TEA}, command_hash(WISH), "frozen majority")
        assert rows(store, customer="frozen majority") == expected


@pytest.mark.full
@on_cassandra
def test_G2_kill_9_amid_appends_loses_nothing_acknowledged() -> None:
    """The only replica dies while four threads append: every row that was acknowledged is there when it is back."""
    with Cluster.start(commitlog_sync="batch") as cluster, opened(cluster.url("lab_killed") + "&timeout=3") as store:
        acknowledged: list[Commit] = []
        raised: list[Exception] = []

        def append(thread: int) -> None:
            for number in range(1_000_000):
                made = row(number / 1000, key=str(thread), id=f"counter:{thread}")
                try:
                    store.append("ann", [made])
                except Exception as error:
                    raised.append(error)
                    return
                acknowledged.append(made)

        threads = [Thread(target=append, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(3)
        cluster.kill("us")
        for thread in threads:
            thread.join()
        cluster.revive("us")
        print(f"{len(acknowledged)} appends were acknowledged before the kill")
        assert len(acknowledged) > 100
        assert [type(error) for error in raised] == [OutcomeUnknown] * 4  # it may have happened, and nobody can know
        found = {commit for number in range(4) for commit in eventually(lambda n=number: rows(store, f"counter:{n}"))}
        assert set(acknowledged) - found == set()
        assert len(found) <= len(acknowledged) + 4  # and at most the one that each was at


CUSTOMERS = [f"customer {number}" for number in range(15)]


class Watch:
    """Each request that a store sends, with how long it took and which hosts it was sent to."""

    def __init__(self, store: CassandraStore) -> None:
        self.sent: list[Any] = []
        self.times: list[float] = []
        store.session.add_request_init_listener(self.sent.append)

    def call(self, job: Callable[[], object]) -> None:
        """Time a job, whether it is answered or not."""
        began = time.perf_counter()
        with suppress(StoreUnavailable, OutcomeUnknown):
            job()
        self.times.append(time.perf_counter() - began)

    @property
    def asked_two(self) -> int:
        """How many requests were sent to more than one host."""
        return sum(len(future.attempted_hosts) > 1 for future in self.sent)


@pytest.mark.full
@on_cassandra
def test_speculation_spares_the_wait_for_a_frozen_replica(three: Cluster) -> None:
    """With `speculate=50` a second replica is asked 50 ms later, and nobody waits for the frozen one."""
    slowest = {}
    for speculate in 0, 50:
        with opened(three.url("lab_speculation") + f"&timeout=1&speculate={speculate}") as store:
            for customer in CUSTOMERS:  # a third of them have the frozen replica first; all is warm
                store.append(customer, [row(-1)])
            watch = Watch(store)
            with frozen(three, "us/3"):
                for customer in CUSTOMERS:
                    watch.call(lambda name=customer: store.append(name, [row()]))
                    watch.call(lambda name=customer: rows(store, customer=name))
            asked_two, times = watch.asked_two, sorted(watch.times)
            print(f"\nspeculate={speculate}: median {times[len(times) // 2]:.3f} s, slowest {times[-1]:.3f} s,")
            print(f"{asked_two} of {len(watch.sent)} requests went to a second replica")
            slowest[speculate] = times[-1]
            assert (asked_two > 0) == (speculate > 0)
        three.wait()
    assert slowest[0] >= 0.99  # the whole time-out
    assert slowest[50] < 0.5


@on_cassandra
def test_G1_parted_regions_end_with_the_same_winner(regions: Cluster) -> None:
    """One request, decided differently on both sides of a cut: healed, all regions hold the greater decision."""
    decided = [
        {"counter:1": [Counted("tea")], "counter:2": [Counted("tea")], "counter:3": [Counted("tea")]},
        {"counter:1": [Voided("tea")], "counter:2": [Counted("tea"), Voided("tea")], "counter:4": [Counted("tea")]},
    ]
    here, there = (commits(at(0), events) for events in decided)
    greater, lesser = sorted((here, there), key=lambda made: made[0].payload, reverse=True)
    shared = {commit.aggregate_id for commit in here} & {commit.aggregate_id for commit in there}
    winner = sorted([*greater, *(commit for commit in lesser if commit.aggregate_id not in shared)])
    with ExitStack() as opened_stores:
        urls = [regions.url("lab_parted", region) for region in regions.regions]
        us, eu, asia = stores = [opened_stores.enter_context(opened(url)) for url in urls]
        regions.cut("asia")
        us.append("ann", here)
        asia.append("ann", there)
        assert [seen(us), seen(asia)] == [payloads(here), payloads(there)]
        regions.heal()
        end = time.monotonic() + 120
        while [seen(store) for store in stores] != [payloads(winner)] * 3 and time.monotonic() < end:
            time.sleep(1)
        assert [seen(us), seen(eu), seen(asia)] == [payloads(winner)] * 3


def payloads(made: list[Commit]) -> dict[str, bytes]:
    """What stands in each aggregate."""
    return {commit.aggregate_id: commit.payload for commit in made}


def seen(store: CassandraStore) -> dict[str, bytes]:
    """What a region itself holds of the request, read without asking another region, which would mend it."""
    return payloads([commit for id in range(1, 5) for commit in rows(store, f"counter:{id}")])
