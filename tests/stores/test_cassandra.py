"""What the Cassandra store promises beyond the contract: its URL, its schema, and real nodes that freeze and die."""

import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
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
from eslab.event import wish_hash
from eslab.stores.cassandra import CassandraStore
from eslab.stores.cassandra.connection import Options
from tests.support import (
    DAY,
    ROOT,
    START,
    Card,
    Count,
    Counted,
    Counter,
    Stamped,
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
    head = "import sys\nfrom eslab import *\nfrom tests.support import *\n"
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
    ],
)
def test_a_password_is_in_no_refusal(url: str) -> None:
    """What is wrong elsewhere is said without it."""
    with pytest.raises(InvalidInput) as refused:
        open_store(url)
    assert "hidden" not in str(refused.value)


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


# A wish on real rows


@on_cassandra
def test_part_of_a_commit_is_never_decided_again(tables: CassandraStore) -> None:
    """One of two commits is there: the answer is unknown, nothing is written; with the other it is recorded."""
    request = at(0)
    both = commits(request, {"card:1": [Stamped(1)], "counter:1": TEA}, wish_hash(WISH))
    tables.append("ann", both[:1])
    before = everything(tables)

    def load() -> Any:
        wish = Repository(tables, ManualClock(START)).begin("ann", request, WISH)
        return wish.recorded, wish.load((Counter, "1"), (Card, "1")), wish.recorded

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
    assert rows(tables, customer=customer) == commits(at(0), {"counter:1": TEA}, wish_hash(WISH))
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
    assert max(abs(end - expected) for end in ends) < 2.5


@on_cassandra
def test_what_has_outlived_its_time_goes_at_once(tables: CassandraStore, node: Cluster) -> None:
    """A repeat of a request older than the lifetime leaves no row behind."""
    with opened(node.url("lab_beyond") + "&lifetime=1") as store:
        store.append("ann", commits(Request.at(datetime.now(UTC) - 2 * DAY, "a wish"), {"counter:1": TEA}))
        time.sleep(2.2)
        assert rows(store) == []
