"""The connection to Cassandra: read a store URL, and set up the driver for it."""

import os
import socket
import ssl
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from math import ceil
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote
from weakref import WeakSet

import msgspec
from cassandra import ConsistencyLevel
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, Session
from cassandra.policies import (
    ConstantSpeculativeExecutionPolicy,
    DCAwareRoundRobinPolicy,
    ExponentialReconnectionPolicy,
    RetryPolicy,
    RoundRobinPolicy,
    TokenAwarePolicy,
)
from cassandra.query import tuple_factory

from eslab.errors import InvalidInput, StoreUnavailable
from eslab.payload.decoding import built
from eslab.stores import url_options
from eslab.stores.cassandra.hosts import bracketed, parse_hosts
from eslab.stores.cassandra.probe import PROTOCOL, probe
from eslab.stores.cassandra.write_times import MAX_LIFETIME

DEFAULTS: dict[str, str] = dict.fromkeys(("dc", "timeout", "speculate", "lifetime", "ca", "cert", "key"), "")
NO_DELAY = (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # the driver leaves Nagle's wait on: 40 ms for a longer batch
RECONNECT_AFTER = (0.5, 4.0)  # seconds: the first wait and the longest; the driver's own grow to 600
_connected: WeakSet[Cluster] = WeakSet()
SECRETS = ("user", "password", "ca", "cert", "key")  # may come from ESLAB_CASSANDRA_USER and so on


class Options(msgspec.Struct, frozen=True):
    """The options in a Cassandra URL; as text they never show the password."""

    hosts: tuple[str, ...]
    keyspace: Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_]{0,47}$")]
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 9042
    dc: str = ""
    timeout: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 10
    speculate: Annotated[float, msgspec.Meta(ge=0, le=3_600_000)] = 0
    lifetime: Annotated[int, msgspec.Meta(ge=0, le=MAX_LIFETIME)] | None = None  # None takes the kept one
    user: str = ""
    password: str = ""
    ca: str = ""
    cert: str = ""
    key: str = ""

    @classmethod
    def parse(cls, url: str, environment: Mapping[str, str] = os.environ) -> "Options":
        """Read a URL and the environment. Raises `InvalidInput`, which names what is wrong but never the password."""
        rest, _, fragment = url.partition("#")
        rest, _, query = rest.partition("://")[2].partition("?")
        place, slash, keyspace = rest.partition("/")
        if "@" in keyspace + fragment or (not slash and "@" in query):
            raise InvalidInput("Expected a password with / ? # written as %2F %3F %23, got one of them unescaped.")
        login, _, place = place.rpartition("@")
        user, _, password = login.partition(":")
        hosts, port = parse_hosts(place)
        secrets = {name: environment.get(f"ESLAB_CASSANDRA_{name.upper()}", "") for name in SECRETS}
        given = {
            **url_options(f"?{query}", DEFAULTS),
            "user": unquote(user),
            "password": unquote(password),
            "port": port,
        }
        values = {**secrets, **{name: value for name, value in given.items() if value}}
        try:
            return msgspec.convert({**values, "hosts": hosts, "keyspace": keyspace}, built(cls), strict=False)
        except msgspec.ValidationError as error:
            raise InvalidInput(f"{error} of a Cassandra URL at {place}{slash}{keyspace}; correct it there.") from None

    def __str__(self) -> str:
        return f"Cassandra at {','.join(map(bracketed, self.hosts))}:{self.port}, keyspace {self.keyspace}"

    __repr__ = __str__


class RetryOnce(RetryPolicy):
    """Send a request that failed or got no answer once more, to another node; all of them are idempotent."""

    def on_write_timeout(self, query: Any, consistency: Any, *args: Any, retry_num: int, **_: Any) -> tuple[Any, Any]:
        return self._once(retry_num)

    def on_request_error(self, query: Any, consistency: Any, error: Any, retry_num: int) -> tuple[Any, Any]:
        return self._once(retry_num)

    def _once(self, retry_num: int) -> tuple[Any, Any]:
        # None is the level that it was sent with. A timeout of a conditional write names another one, SERIAL, at which
        # nothing can be sent.
        return (self.RETRY_NEXT_HOST if retry_num == 0 else self.RETHROW), None


def connect(options: Options) -> tuple[Cluster, Session]:
    """The driver's cluster, which the caller shuts down, and a session without a keyspace, which may not exist yet."""
    tls = _tls(options)
    cluster = driver(options, _first_that_answers(options, tls), tls)
    try:
        return cluster, cluster.connect()
    except BaseException:
        hosts = cluster.metadata.all_hosts() if cluster.metadata else []
        regions = sorted({str(host.datacenter) for host in hosts if host.datacenter})
        cluster.shutdown()
        if options.dc and regions and options.dc not in regions:
            raise InvalidInput(f"Expected ?dc= among {regions} for {options}, got {options.dc!r}.") from None
        raise


def driver(options: Options, host: str, tls: ssl.SSLContext | None = None) -> Cluster:
    """The driver with its policies, not connected yet; it starts a thread, so that the caller shuts it down."""
    cluster = Cluster(
        [host],
        port=options.port,
        protocol_version=PROTOCOL,
        auth_provider=PlainTextAuthProvider(options.user, options.password) if options.user else None,
        ssl_context=tls,
        execution_profiles={EXEC_PROFILE_DEFAULT: _profile(options)},
        connect_timeout=ceil(options.timeout),
        control_connection_timeout=options.timeout,
        # Without an end: a node may be away for days.
        reconnection_policy=ExponentialReconnectionPolicy(*RECONNECT_AFTER, max_attempts=None),  # type: ignore[arg-type]
        sockopts=[NO_DELAY],
    )
    executor: Any = cluster.executor
    executor.submit = _silent_at_exit(executor.submit)
    _connected.add(cluster)
    return cluster


def _profile(options: Options) -> ExecutionProfile:
    local = DCAwareRoundRobinPolicy(options.dc) if options.dc else RoundRobinPolicy()
    # To the driver, a policy with no attempts means never.
    speculation = ConstantSpeculativeExecutionPolicy(options.speculate / 1000, 2 if options.speculate else 0)
    return ExecutionProfile(
        load_balancing_policy=TokenAwarePolicy(local),
        retry_policy=RetryOnce(),
        speculative_execution_policy=speculation,
        consistency_level=ConsistencyLevel.LOCAL_QUORUM,
        request_timeout=options.timeout,
        row_factory=tuple_factory,
    )


def _first_that_answers(options: Options, tls: ssl.SSLContext | None) -> str:
    """The first host that is a usable Cassandra; the driver learns the others from it. Raises `StoreUnavailable`."""
    problems: list[str] = []
    for host in options.hosts:
        try:
            probe(host, options.port, tls, options.timeout)
            return host
        except StoreUnavailable as error:
            problems.append(str(error))
    raise StoreUnavailable(f"{options} can't be reached. {' '.join(problems)}")


def _silent_at_exit(submit: Callable[..., Future[Any]]) -> Callable[..., Future[Any]]:
    """Drop the driver's background tasks once the interpreter ends.

    Python stops all executors before it calls what was registered with atexit, where the driver ends its scheduler. In
    between, a task that falls due would end that thread with a traceback, although nothing is wrong.
    """

    def submit_or_drop(*task: Any, **options: Any) -> Future[Any]:
        try:
            return submit(*task, **options)
        except RuntimeError as error:
            if not str(error).startswith("cannot schedule new futures"):  # such as "can't start new thread"
                raise
            dropped: Future[Any] = Future()
            dropped.set_result(None)
            return dropped

    return submit_or_drop


def _leave_to_the_parent() -> None:
    """In a forked process: let the driver end nothing at exit, since its threads are missing here."""
    for cluster in list(_connected):
        cluster.is_shutdown = True


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_leave_to_the_parent)


def _tls(options: Options) -> ssl.SSLContext | None:
    if not options.ca and (options.cert or options.key):
        raise InvalidInput(f"Expected ?ca= with cert and key for {options}: without it there is no TLS.")
    if not options.ca:
        return None
    for name in ("ca", "cert", "key"):
        path = getattr(options, name)
        if path and not Path(path).is_file():
            raise InvalidInput(f"Expected a file for {name}, found none at {path}.")
    try:
        context = ssl.create_default_context(cafile=options.ca)
        context.check_hostname = False  # nodes are addressed by number; it is the authority that is trusted
        if options.cert:
            context.load_cert_chain(options.cert, options.key or None)
    except ssl.SSLError as error:
        raise InvalidInput(f"Expected PEM files for ca, cert and key of {options}, found none: {error}.") from None
    return context
