"""What the Cassandra store promises beyond the contract: its URL, its schema, and real nodes that freeze and die."""

import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier, Thread
from typing import Any, TypeVar

import pytest
from typer.testing import CliRunner

from eslab import (
    Accepted,
    AggregateService,
    InvalidInput,
    ManualClock,
    OutcomeUnknown,
    Repository,
    Request,
    StoreError,
    StoreUnavailable,
    cli,
    open_store,
)
from eslab.cluster.cluster import Cluster
from eslab.payload.serializer import command_hash
from eslab.store import Commit
from eslab.stores.cassandra import CassandraStore
from eslab.stores.cassandra.connection import Options
from tests.support.sample import (
    DAY,
    ROOT,
    START,
    Card,
    Count,
    Counted,
    Counter,
    Stamped,
    Voided,
    at,
    commits,
    everything,
    handle,
    row,
    rows,
)

T = TypeVar("T")
WISH = Count("tea", 2)
TEA = [Counted("tea", 2)]


def on_cassandra(test: T) -> T:
    """Marks a test that needs a real node, and may be the one that waits for its start."""
    return pytest.mark.cassandra(pytest.mark.timeout(600)(test))


@contextmanager
def opened(url: str) -> Generator[CassandraStore, None, None]:
    """The store of a URL, closed at the end."""
    with closing(CassandraStore.open(url)) as store:
        yield store


@pytest.fixture
def tables(node: Cluster) -> Iterator[CassandraStore]:
    """A store on the one node, its tables empty."""
    with opened(node.url("lab_beyond")) as store:
        for table in ("events", "snapshots", "aggregates"):
            store.session.execute(f"TRUNCATE {table}")
        yield store


def counting(store: CassandraStore) -> AggregateService[Counter]:
    """The service of the tests' domain over a store, on a clock that stands."""
    return AggregateService(store, Counter, handle, ManualClock(START))


def eventually(ask: Callable[[], T], seconds: float = 60) -> T:
    """What `ask` answers, asked again while it says that the store is away."""
    end = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except (StoreUnavailable, OutcomeUnknown):
            if time.monotonic() > end:
                raise
            time.sleep(0.5)


def process(code: str, *arguments: Any) -> "subprocess.Popen[str]":
    """Another Python process that runs `code`, which may print to us and read from us."""
    head = "import sys\nfrom eslab import *\nfrom tests.support.sample import *\n"
    command = [sys.executable, "-c", head + textwrap.dedent(code), *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def eslab(*args: str) -> str:
    """What the command says, which ends well."""
    result = CliRunner().invoke(cli.app, list(args))
    assert (result.exit_code, result.exception) == (0, None)
    return result.output


# The URL


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("cassandra:///lab", "no host"),
        ("cassandra:lab", "no host"),
        ("cassandra://host", "keyspace"),
        ("cassandra://host/Lab", "keyspace"),
        ("cassandra://host/lab/two", "keyspace"),
        ("cassandra://host/lab-1", "keyspace"),
        ("cassandra://host:0/lab", "port"),
        ("cassandra://host:70000/lab", "port"),
        ("cassandra://host:cql/lab", "port"),
        ("cassandra://host/lab?timeout=0", "timeout"),
        ("cassandra://host/lab?timeout=soon", "timeout"),
        ("cassandra://host/lab?speculate=-1", "speculate"),
        ("cassandra://host/lab?speculate=nan", "speculate"),
        ("cassandra://host/lab?lifetime=1.5", "lifetime"),
        ("cassandra://host/lab?lifetime=-1", "lifetime"),
        ("cassandra://host/lab?timeout=inf", "timeout"),
        ("cassandra://host/lab?lifetime=100000", "lifetime"),
        ("cassandra://a,,b/lab", "no host"),
        ("cassandra://[/lab", "Expected cassandra://host1"),
        ("cassandra://host/lab?cert=client.pem", r"\?ca="),
        ("cassandra://host/lab?ca=nowhere.pem", "a file for ca, found none at nowhere"),
        ("cassandra://host/lab?region=us", "region"),
        ("cassandra://host/lab?password=hidden", "password"),
    ],
)
def test_what_a_url_says_wrongly_is_named(url: str, named: str) -> None:
    """Whatever can't be used is refused before anybody is called, with the name of the part that is wrong."""
    with pytest.raises(InvalidInput, match=named):
        open_store(url)


def test_a_url_has_defaults_and_options() -> None:
    """Port 9042, 10 s, no speculation, no end of life; login, hosts and options are taken from the URL."""
    assert fields("cassandra://a/lab") == {**PLAIN, "hosts": ("a",), "keyspace": "lab"}
    said = fields("cassandra://ann:p%40ss%2F@a,b:9043/shop?dc=us&timeout=2.5&speculate=50&lifetime=30&ca=x")
    assert said == {
        **PLAIN, "hosts": ("a", "b"), "keyspace": "shop", "port": 9043, "dc": "us", "timeout": 2.5, "speculate": 50,
        "lifetime": 30, "user": "ann", "password": "p@ss/", "ca": "x",
    }  # fmt: skip


PLAIN = {
    "port": 9042, "dc": "", "timeout": 10, "speculate": 0, "lifetime": 0,
    "user": "", "password": "", "ca": "", "cert": "", "key": "",
}  # fmt: skip


def fields(url: str, **environment: str) -> dict[str, Any]:
    """What is read from a URL and an environment."""
    options = Options.parse(url, environment)
    return {name: getattr(options, name) for name in Options.__struct_fields__}


def test_secrets_may_come_from_the_environment() -> None:
    """User, password and key files do; what the URL says stands over them, and nothing else is taken from there."""
    names = ("user", "password", "ca", "cert", "key")
    environment = {f"ESLAB_CASSANDRA_{name.upper()}": f"my {name}" for name in (*names, "dc", "timeout")}
    expected = {**PLAIN, "hosts": ("a",), "keyspace": "lab", **{name: f"my {name}" for name in names}}
    assert fields("cassandra://a/lab", **environment) == expected
    over = {**expected, "user": "bob", "password": "his", "ca": "x"}
    assert fields("cassandra://bob:his@a/lab?ca=x", **environment) == over


def test_a_password_is_never_shown() -> None:
    """Not by the options, printed or in a traceback's locals."""
    options = Options.parse("cassandra://ann:hidden@a/lab")
    assert [str(options), repr(options)] == ["Cassandra at a:9042, keyspace lab"] * 2


@pytest.mark.parametrize(
    "url",
    [
        "cassandra://ann:hidden@/lab",
        "cassandra://ann:hidden@a/Lab",
        "cassandra://ann:hidden@a:x/lab",
        "cassandra://ann:hidden@a/lab?timeout=0",
        "cassandra://ann:hidden@a/lab?region=us",
        "cassandra://ann:hidden@[/lab",
        "cassandra://ann:hid/hidden@a/lab",
        "cassandra://ann:hidden#@a/lab",
        "cassandra://ann:hid?hidden@a/lab",
    ],
)
def test_a_password_is_in_no_refusal(url: str) -> None:
    """What is wrong elsewhere is said without it."""
    with pytest.raises(InvalidInput) as refused:
        open_store(url)
    assert "hidden" not in str(refused.value)


def test_a_key_file_that_is_none_is_refused(tmp_path: Path) -> None:
    """Before anybody is called, with what is expected."""
    (tmp_path / "ca.pem").write_text("not a certificate")
    with pytest.raises(InvalidInput, match="Expected PEM files for ca, cert and key of Cassandra at host:9042"):
        open_store(f"cassandra://host/lab?ca={tmp_path}/ca.pem")


# What isn't there


@on_cassandra
def test_no_host_is_said_plainly() -> None:
    """Nobody at the address: with the place, and what to look at."""
    with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1:1, keyspace lab can't be reached.*eslab cluster status"):
        open_store("cassandra://127.0.0.1:1/lab?timeout=2")


@on_cassandra
def test_a_region_that_is_none_is_refused(node: Cluster) -> None:
    """With the regions that there are."""
    with pytest.raises(InvalidInput, match=r"Expected \?dc= among \['us'\] .*, got 'mars'"):
        open_store(node.url("lab").replace("dc=us", "dc=mars"))


@on_cassandra
def test_a_keyspace_that_is_no_labs_is_not_made(node: Cluster) -> None:
    """Opening refuses it with the command that makes it, and it stays away."""
    with pytest.raises(StoreUnavailable, match="keyspace shop has no tables of eslab; make them with `eslab schema"):
        open_store(node.url("shop"))
    with node.session() as session:
        assert "shop" not in {name for (name,) in session.execute("SELECT keyspace_name FROM system_schema.keyspaces")}


@on_cassandra
def test_the_command_makes_a_keyspace_and_may_be_repeated(node: Cluster) -> None:
    """`eslab schema apply` makes what is missing; then a store opens, and a second time changes nothing."""
    said = [eslab("schema", "apply", node.url("bakery"), "--regions", "us=1") for _ in range(2)]
    assert said == [f"Cassandra at {node.addresses()[0]}:9042, keyspace bakery holds schema version 1.\n"] * 2
    with opened(node.url("bakery")) as store:
        store.append("ann", [row()])
        eslab("schema", "apply", node.url("bakery"))
        assert rows(store) == [row()]


@on_cassandra
def test_the_cql_that_is_shown_is_what_is_made(node: Cluster) -> None:
    """Run by hand, `eslab schema show` makes a keyspace that a store opens."""
    with node.session() as session:
        for statement in filter(str.strip, eslab("schema", "show", "--keyspace", "by_hand").split(";\n")):
            session.execute(statement)
    with opened(node.url("by_hand")) as store:
        store.append("ann", [row()])
        assert rows(store) == [row()]


@on_cassandra
def test_a_schema_of_another_version_is_refused(node: Cluster) -> None:
    """With both versions; nothing is changed."""
    comment = "eslab schema 9: the directory, but better"
    with opened(node.url("lab_version")) as store:
        store.session.execute(f"ALTER TABLE aggregates WITH comment = '{comment}'")
    with pytest.raises(StoreError, match=f"Expected eslab schema 1 in .*, found '{comment}': use the version"):
        open_store(node.url("lab_version"))
    with node.session() as session:
        session.execute("DROP KEYSPACE lab_version")


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
        with pytest.raises(OutcomeUnknown, match=r"Expected 2 commits of .*, found 1 that agree"):
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
    assert rows(tables, customer=customer) == commits(at(0), {"counter:1": TEA}, command_hash(WISH))
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
    with opened(node.url("lab_beyond") + "&lifetime=10") as store:
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
    with opened(node.url("lab_beyond") + "&lifetime=1") as store:
        store.append("ann", commits(Request.at(datetime.now(UTC) - 2 * DAY, "a wish"), {"counter:1": TEA}))
        time.sleep(2.2)
        assert rows(store) == []


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
        expected = commits(at(0), {"counter:1": TEA}, command_hash(WISH))
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


# Login and TLS


@pytest.fixture(scope="module")
def guarded() -> Iterator[Cluster]:
    """One node that wants a login, TLS and the client's own certificate."""
    with Cluster.start(authentication=True, client_certificates=True) as cluster:
        yield cluster


@pytest.mark.full
@on_cassandra
def test_login_tls_and_certificate_open_a_guarded_node(guarded: Cluster) -> None:
    """All of them in the URL, or in the environment; what is written is read."""
    with opened(guarded.url("lab")) as store:
        store.append("ann", [row()])
        assert rows(store) == [row()]


@pytest.mark.full
@on_cassandra
def test_the_environment_opens_a_guarded_node(guarded: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """The URL then has nothing to hide."""
    assert guarded.login
    secrets = {"user": guarded.login[0], "password": guarded.login[1], **guarded.keys}
    for name, value in secrets.items():
        monkeypatch.setenv(f"ESLAB_CASSANDRA_{name.upper()}", str(value))
    with opened(f"cassandra://{guarded.addresses()[0]}:{guarded.port}/lab?dc=us") as store:
        store.append("bob", [row()])
        assert rows(store, customer="bob") == [row()]


@pytest.mark.full
@on_cassandra
def test_a_wrong_password_is_said_plainly(guarded: Cluster) -> None:
    """With the user and where to name another, never with the password."""
    url = guarded.url("lab", login=False).replace("://", "://ann:hidden@")
    with pytest.raises(StoreUnavailable, match=r"refuses the user 'ann' or the password; .*ESLAB_CASSANDRA_USER") as no:
        open_store(url)
    assert "hidden" not in str(no.value)
    with pytest.raises(StoreUnavailable, match="refuses the user '' or the password"):
        open_store(guarded.url("lab", login=False))


@pytest.mark.full
@on_cassandra
def test_a_wrong_authority_is_said_plainly(guarded: Cluster) -> None:
    """A node that another authority vouches for is not talked to."""
    url = guarded.url("lab").replace(str(guarded.keys["ca"]), str(guarded.keys["cert"]))
    with pytest.raises(StoreUnavailable, match="certificate verify failed"):
        open_store(url + "&timeout=3")


@pytest.mark.full
@on_cassandra
def test_a_client_without_a_certificate_is_not_let_in(guarded: Cluster) -> None:
    """The node asks for it; the error says that the node can't be reached so."""
    url = re.sub("&(cert|key)=[^&]*", "", guarded.url("lab"))
    with pytest.raises(StoreUnavailable, match="can't be reached"):
        open_store(url + "&timeout=3")


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
    read = {number: lines(process(READER, node.url("lab_beyond"), number)) for number in (50_000, 1_000_000)}
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
