"""The way to a Cassandra: hosts in a URL, what isn't a usable node, nodes that were away, forks, and the end."""

import os
import signal
import socket
import struct
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from cassandra import InvalidRequest
from cassandra.connection import ConnectionShutdown
from cassandra.protocol import ConfigurationException, OverloadedErrorMessage, ServerError

from eslab import InvalidInput, OutcomeUnknown, StoreError, StoreUnavailable, open_store
from eslab.cluster.cluster import Cluster
from eslab.stores.cassandra.connection import Options, driver
from eslab.stores.cassandra.errors import translate_errors
from eslab.stores.cassandra.schema import until_valid
from tests.support.cassandra import on_cassandra, opened, process
from tests.support.sample import ROOT, row, rows

# Hosts


@pytest.mark.parametrize(
    ("place", "hosts", "port", "shown"),
    [
        ("[::1]", ("::1",), 9042, "[::1]:9042"),
        ("[::1]:9043", ("::1",), 9043, "[::1]:9043"),
        ("a,[2001:DB8::0:1]:9043", ("a", "2001:db8::1"), 9043, "a,[2001:db8::1]:9043"),
        ("[::1],[::2],a", ("::1", "::2", "a"), 9042, "[::1],[::2],a:9042"),
        ("[::1]:9042,[::2]:9042", ("::1", "::2"), 9042, "[::1],[::2]:9042"),
        ("a:9043,b", ("a", "b"), 9043, "a,b:9043"),
        ("ann:p%40ss@[::1]:9043", ("::1",), 9043, "[::1]:9043"),
        ("[fe80::1%25eth0]", ("fe80::1%eth0",), 9042, "[fe80::1%eth0]:9042"),
        ("[::ffff:127.0.0.1]", ("::ffff:7f00:1",), 9042, "[::ffff:7f00:1]:9042"),
    ],
)
def test_an_ipv6_address_may_stand_wherever_a_host_may(
    place: str, hosts: tuple[str, ...], port: int, shown: str
) -> None:
    """In brackets, with or without port, first or last, behind a login; shown as in a URL."""
    options = Options.parse(f"cassandra://{place}/lab", {})
    assert (options.hosts, options.port) == (hosts, port)
    assert str(options) == f"Cassandra at {shown}, keyspace lab"


@pytest.mark.parametrize(
    ("place", "named"),
    [
        ("::1", "IPv6 address in brackets, such as .*, got '::1'"),
        ("a,2001:db8::1:9042", "IPv6 address in brackets"),
        ("[::1", "an IPv6 address such as"),
        ("[::1]9042", "an IPv6 address such as"),
        ("::1]", "IPv6 address in brackets"),
        ("[]", "an IPv6 address such as"),
        ("[host]:9042", "an IPv6 address such as"),
        ("[v1.x]", "an IPv6 address such as"),
        ("[127.0.0.1]", "an IPv6 address such as"),
        ("a:9042,b:9043", r"one port for all hosts, got \['9042', '9043'\]"),
        ("[::1],", "no host"),
        (":9042", "no host"),
        ("[::1]:port", "port"),
    ],
)
def test_hosts_that_cannot_be_meant_are_refused(place: str, named: str) -> None:
    """With the part that is wrong, before anything is connected to."""
    with pytest.raises(InvalidInput, match=named):
        open_store(f"cassandra://{place}/lab")


# What isn't a usable node

Answer = Callable[[socket.socket], Any]
QUICK = 3.0  # seconds, on a busy machine; far less than any timeout of the driver


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], int]]:
    """Starts a server that treats every connection so; returns its port."""
    servers: list[socket.socket] = []

    def start(answer: Answer) -> int:
        servers.append(socket.create_server(("127.0.0.1", 0)))
        threading.Thread(target=_accept, args=(servers[-1], answer), daemon=True).start()
        return servers[-1].getsockname()[1]

    yield start
    for server in servers:
        server.close()


def _accept(server: socket.socket, answer: Answer) -> None:
    open_connections = []  # a connection that nobody holds is closed
    while True:
        try:
            open_connections.append(server.accept()[0])
            answer(open_connections[-1])
        except OSError:
            if server.fileno() == -1:
                return


def protocol_error(version: int) -> Answer:
    """The answer of a Cassandra that knows this version of the protocol at most."""
    text = b"Invalid or unsupported protocol version (5)"
    body = struct.pack(">iH", 10, len(text)) + text

    def answer(connection: socket.socket) -> None:
        request = connection.recv(9)
        connection.sendall(struct.pack(">BBHBi", 0x80 | version, 0, *struct.unpack(">H", request[2:4]), 0, len(body)))
        connection.sendall(body)

    return answer


def says(text: bytes) -> Answer:
    """A server that waits for a request, says this, and hangs up."""

    def answer(connection: socket.socket) -> None:
        connection.recv(9)
        connection.sendall(text)
        connection.close()

    return answer


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        (protocol_error(4), "too old: it speaks version 4 .* needs version 5. Use Apache Cassandra 4.0 or newer"),
        (protocol_error(3), "too old: it speaks version 3"),
        (says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), r"no Cassandra: it answered b'HTTP/1.1 '.*9042"),
        (says(b"SSH-2.0-OpenSSH_9.2\r\n"), "no Cassandra: it answered b'SSH"),
        (says(bytes([5, 0, 0, 0, 5, 0, 0, 0, 0])), "no Cassandra: it answered"),  # our own words
        (says(b"\x15\x03\x03\x00\x02\x02\x28"), r"talks TLS only: add \?ca=FILE"),
        (says(b""), "closed the connection without an answer: it requires TLS .*, or it is no Cassandra"),
        (lambda connection: connection.close(), "closed the connection without an answer"),
    ],
)
@pytest.mark.timeout(30)
def test_what_is_no_usable_node_is_named_at_once(serve: Callable[[Answer], int], answer: Answer, named: str) -> None:
    """With its address, the reason and the next step."""
    port, began = serve(answer), time.monotonic()
    with pytest.raises(StoreUnavailable, match=f"127.0.0.1:{port} .*{named}"):
        open_store(f"cassandra://127.0.0.1:{port}/lab?timeout=60")
    assert time.monotonic() - began < QUICK


@pytest.mark.timeout(30)
def test_a_port_that_says_nothing_is_named_in_time(serve: Callable[[Answer], int]) -> None:
    """It may be a frozen node, so that its answer is waited for; but not for ever."""
    port, began = serve(lambda connection: None), time.monotonic()
    with pytest.raises(StoreUnavailable, match=f"{port} accepts connections but did not answer within 1 s: the node"):
        open_store(f"cassandra://127.0.0.1:{port}/lab?timeout=0.3")
    assert time.monotonic() - began < QUICK


@pytest.mark.timeout(30)
def test_a_missing_node_comes_with_the_command_that_starts_one() -> None:
    """At once, for every host of the URL."""
    began = time.monotonic()
    with pytest.raises(StoreUnavailable) as missing:
        open_store("cassandra://127.0.0.1,[::1]:1/lab?timeout=60")
    assert time.monotonic() - began < QUICK
    for named in ("127.0.0.1:1", "[::1]:1", "eslab cluster start", "eslab cluster status"):
        assert named in str(missing.value)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "x" * 64, "two words", "b\u00fccher.invalid"])
@pytest.mark.timeout(60)
def test_an_unknown_host_is_named(host: str) -> None:
    """Even one that can't be a name at all."""
    with pytest.raises(StoreUnavailable, match=f"No address is known for the host '{host}'"):
        open_store(f"cassandra://{host}/lab")


@on_cassandra
def test_hosts_that_are_none_are_passed_over(node: Cluster, serve: Callable[[Answer], int]) -> None:
    """One usable host is enough, wherever it is in the list."""
    (host,) = node.addresses()
    with opened(f"cassandra://no-such-host.invalid,127.64.99.1,{host}:{node.port}/lab?timeout=30") as store:
        store.append("ann", [row()])


@on_cassandra
def test_a_store_opens_over_ipv6(node: Cluster) -> None:
    """A node that is reached at [::1]; here through a forwarder, since the cluster's nodes listen on IPv4."""
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        forward(server, (node.addresses()[0], node.port))
        with opened(f"cassandra://[::1]:{server.getsockname()[1]}/lab_ipv6") as store:
            store.append("ann", [row()])
            assert rows(store) == [row()]


def forward(server: socket.socket, target: tuple[str, int]) -> None:
    """Carry the bytes of every connection to the target and back."""

    def carry(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        finally:
            sink.close()

    def accept(connection: socket.socket) -> None:
        far = socket.create_connection(target)
        for ends in ((connection, far), (far, connection)):
            threading.Thread(target=carry, args=ends, daemon=True).start()

    threading.Thread(target=_accept, args=(server, accept), daemon=True).start()


# Errors of the server


@pytest.mark.parametrize(
    "error",
    [
        InvalidRequest("unconfigured table"),
        ServerError(0, "java.lang.IllegalArgumentException: Unknown CF 5bc52802-de25-35ed-aeab-188eecebb090", None),
        ServerError(0, "java.lang.AssertionError: Unknown keyspace/cf pair (lab.events)", None),
        ConfigurationException(0x2300, "Column family ID mismatch (found 1; expected 2)", None),
    ],
)
def test_an_unsettled_schema_is_asked_again(error: Exception) -> None:
    """Nodes learn of a new table one after the other; until then they refuse what is right."""
    answers = [error, error, None]

    def ask() -> str:
        if answer := answers.pop(0):
            raise answer
        return "done"

    assert until_valid(ask, Options.parse("cassandra://a/lab", {})) == "done"


@pytest.mark.parametrize(
    "error",
    [
        ServerError(0, "java.lang.NullPointerException", None),
        ConfigurationException(0x2300, "Unrecognized strategy option {mars} passed to NetworkTopologyStrategy", None),
        OverloadedErrorMessage(0x1001, "Too many requests", None),
        ConnectionShutdown("Connection to a:9042 was closed"),
    ],
)
def test_other_errors_are_told_at_once_and_in_our_words(error: Exception) -> None:
    """They aren't asked again, and none of the driver's own comes through."""
    options = Options.parse("cassandra://a/lab?timeout=60", {})

    def fail() -> None:
        raise error

    for writing, expected in (False, StoreError), (True, OutcomeUnknown):
        with pytest.raises(expected, match="Cassandra at a:9042"), translate_errors(options, writing):
            until_valid(fail, options)


# A node that was away


def test_a_node_is_looked_for_every_few_seconds_for_ever() -> None:
    """However long it is away: a day of waiting has no gap above 4 s, and no end."""
    cluster: Any = driver(Options.parse("cassandra://a/lab", {}), "127.0.0.1")
    try:
        delays = list(islice(cluster.reconnection_policy.new_schedule(), 20_000))
    finally:
        cluster.shutdown()
    assert len(delays) == 20_000 and max(delays) <= 4


@pytest.mark.full
@on_cassandra
def test_a_store_finds_a_node_again_however_long_it_was_away() -> None:
    """Killed for 20 s, after which the driver's own policy would wait 16 s more; it is back within 6 s."""
    with Cluster.start() as node, opened(node.url("lab_away") + "&timeout=5") as store:
        store.append("ann", [row()])
        node.kill("us")
        end = time.monotonic() + 20
        while time.monotonic() < end:
            with pytest.raises(StoreUnavailable):
                rows(store)
            time.sleep(0.5)
        node.revive("us")
        began = time.monotonic()
        while time.monotonic() < began + 30:
            try:
                assert rows(store) == [row()]
                break
            except StoreUnavailable:
                time.sleep(0.1)
        assert time.monotonic() - began < 6


# Forks

FORK = """
import os
store = open_store(sys.argv[1])
half = store.read_many("ann", {"counter:1": None})
list(store.customers())
for ending in "exit", "close", "open", "garbage":
    sys.stdout.flush()
    if child := os.fork():
        print(ending, os.waitpid(child, 0)[1], flush=True)
        list(store.customers())
        continue
    for use in (lambda: list(store.customers()), lambda: next(half), lambda: store.heads("ann", ["counter:1"])):
        try:
            use()
        except StoreClosed as error:
            assert "before this process was forked" in str(error)
        else:
            sys.exit(3)
    if ending == "close":
        store.close()
    elif ending == "open":
        store.close()
        own = open_store(sys.argv[1])
        own.append("bob", rows(own))
    elif ending == "garbage":
        del store, half
    sys.exit(0)
store.close()
"""


@on_cassandra
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.timeout(120)
def test_a_fork_is_told_so_at_once(node: Cluster) -> None:
    """The child gets an error instead of no answer, may open a store of its own, and its end harms nobody."""
    with opened(node.url("lab_fork")) as store:
        store.append("ann", [row()])
        forking = process(FORK, node.url("lab_fork"))
        said, _ = forking.communicate(timeout=100)
        assert said.split() == ["exit", "0", "close", "0", "open", "0", "garbage", "0"]
        assert forking.returncode == 0
        assert rows(store, customer="bob") == [row()]


POOL = """
import multiprocessing
store = open_store(sys.argv[1])
def work(number):
    return list(store.customers())
with multiprocessing.get_context("fork").Pool(2) as pool:
    try:
        pool.map(work, range(2))
    except StoreClosed as error:
        print("told")
print(len(list(store.customers())))
"""


@on_cassandra
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.timeout(120)
def test_a_process_pool_is_told_so_too(node: Cluster) -> None:
    """The error passes to the parent, whose store goes on."""
    with opened(node.url("lab_pool")) as store:
        store.append("ann", [row()])
    forking = process(POOL, node.url("lab_pool"))
    assert (forking.communicate(timeout=100)[0].split(), forking.returncode) == (["told", "1"], 0)


# The end of a process

# Timers of the driver that fall due all the time, as after a change of the schema or while a node is away.
OPEN = """
import sys, threading, time
from eslab import open_store
store = open_store(sys.argv[1])
for number in range(400):
    store.session.cluster.scheduler.schedule(number * 0.005, print, "", end="")
"""
ENDINGS = {
    "no end": "",
    "exit": "sys.exit(0)",
    "thread": """
thread = threading.Thread(target=lambda: [time.sleep(0.2), print(len(list(store.customers())))])
thread.start()
""",
    "daemon": "threading.Thread(target=lambda: [list(store.customers()) for _ in range(10_000)], daemon=True).start()",
    "second": "other = open_store(sys.argv[1])",
    "circle": "store.me = store",
    "half read": "half = store.customers(); next(half, None)",
}
QUICK_ENDINGS = ("no end", "thread")


def test_only_tasks_after_the_end_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """An executor that has ended takes them in silence; any other failure of it is heard."""
    cluster: Any = driver(Options.parse("cassandra://a/lab", {}), "127.0.0.1")
    try:
        with pytest.raises(RuntimeError, match="can't start new thread"), monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", no_thread)
            cluster.executor.submit(print)
    finally:
        cluster.shutdown()
    assert cluster.executor.submit(print).result() is None


def no_thread(_: threading.Thread) -> None:
    """A system that has no more threads."""
    raise RuntimeError("can't start new thread")


@on_cassandra
@pytest.mark.parametrize(
    "ending", [name if name in QUICK_ENDINGS else pytest.param(name, marks=pytest.mark.full) for name in ENDINGS]
)
@pytest.mark.timeout(120)
def test_a_store_left_open_ends_in_silence(node: Cluster, ending: str) -> None:
    """However the process ends, nothing is printed and it exits with 0."""
    ended = run(OPEN + ENDINGS[ending], node.url("lab_end"))
    assert (ended.stderr, ended.returncode) == ("", 0)


@on_cassandra
@pytest.mark.timeout(120)
def test_an_interrupt_ends_a_script_with_nothing_but_the_interrupt(node: Cluster) -> None:
    """Ctrl-C in the middle of a read: one traceback, Python's own."""
    endless = OPEN + "print('reading', flush=True)\nwhile True: list(store.customers())"
    reading = subprocess.Popen(
        [sys.executable, "-c", endless, node.url("lab_end")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert reading.stdout and reading.stdout.readline() == "reading\n"
    time.sleep(0.3)
    reading.send_signal(signal.SIGINT)
    _, said = reading.communicate(timeout=60)
    assert said.count("Traceback") == 1 and said.endswith("KeyboardInterrupt\n")
    assert "Task Scheduler" not in said


@pytest.mark.full
@on_cassandra
@pytest.mark.timeout(300)
def test_a_notebook_kernel_ends_in_silence(node: Cluster, tmp_path: Path) -> None:
    """A notebook that leaves its store open, and whose kernel is shut down."""
    from jupyter_client.manager import start_new_kernel

    with (tmp_path / "errors").open("w") as errors:
        manager, client = start_new_kernel(kernel_name="python3", startup_timeout=120, stderr=errors, cwd=str(ROOT))
        code = OPEN.replace("sys.argv[1]", repr(node.url("lab_end")))
        reply = client.execute_interactive(code, store_history=False, timeout=120, output_hook=print)
        manager.shutdown_kernel()
        client.stop_channels()
    assert reply["content"]["status"] == "ok"
    said = (tmp_path / "errors").read_text()
    assert "Traceback" not in said and "Task Scheduler" not in said


def run(code: str, url: str) -> "subprocess.CompletedProcess[str]":
    """A script that opens a store and never closes it."""
    command = [sys.executable, "-c", textwrap.dedent(code), url]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
