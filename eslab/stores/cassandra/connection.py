"""The connection to Cassandra: read a store URL, and set up the driver for it."""

import os
import socket
import ssl
from collections.abc import Mapping
from math import ceil
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

import msgspec
from cassandra import ConsistencyLevel
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, Session
from cassandra.policies import (
    ConstantSpeculativeExecutionPolicy,
    DCAwareRoundRobinPolicy,
    RetryPolicy,
    RoundRobinPolicy,
    TokenAwarePolicy,
)
from cassandra.query import tuple_factory

from eslab.errors import InvalidInput
from eslab.payload.decoding import built
from eslab.stores import url_options

DEFAULTS: dict[str, str] = dict.fromkeys(("dc", "timeout", "speculate", "lifetime", "ca", "cert", "key"), "")
NO_DELAY = (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # the driver leaves Nagle's wait on: 40 ms for a longer batch
SECRETS = ("user", "password", "ca", "cert", "key")  # may come from ESLAB_CASSANDRA_USER and so on


class Options(msgspec.Struct, frozen=True):
    """The options in a Cassandra URL; as text they never show the password."""

    hosts: tuple[str, ...]
    keyspace: Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_]{0,47}$")]
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 9042
    dc: str = ""
    timeout: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 10
    speculate: Annotated[float, msgspec.Meta(ge=0, le=3_600_000)] = 0
    lifetime: Annotated[int, msgspec.Meta(ge=0, le=7300)] = 0  # Cassandra keeps a TTL of up to 20 years
    user: str = ""
    password: str = ""
    ca: str = ""
    cert: str = ""
    key: str = ""

    @classmethod
    def parse(cls, url: str, environment: Mapping[str, str] = os.environ) -> "Options":
        """Read a URL and the environment. Raises `InvalidInput`, which names what is wrong but never the password."""
        try:
            parts = urlsplit(url)
        except ValueError as error:
            raise InvalidInput(f"Expected cassandra://host1,host2:9042/keyspace, got a URL with {error}.") from None
        if "@" in parts.path + parts.fragment or (not parts.path and "@" in parts.query):
            raise InvalidInput("Expected a password with / ? # written as %2F %3F %23, got one of them unescaped.")
        login, _, place = parts.netloc.rpartition("@")
        user, _, password = login.partition(":")
        hosts, _, port = place.partition(":")
        if not all(hosts.split(",")):
            raise InvalidInput(f"Expected cassandra://host1,host2:9042/keyspace, got no host before {parts.path!r}.")
        secrets = {name: environment.get(f"ESLAB_CASSANDRA_{name.upper()}", "") for name in SECRETS}
        given = {**url_options(url, DEFAULTS), "user": unquote(user), "password": unquote(password), "port": port}
        values = {**secrets, **{name: value for name, value in given.items() if value}}
        try:
            return msgspec.convert(
                {**values, "hosts": hosts.split(","), "keyspace": parts.path[1:]}, built(cls), strict=False
            )
        except msgspec.ValidationError as error:
            raise InvalidInput(f"{error} of a Cassandra URL at {place}{parts.path}; correct it there.") from None

    def __str__(self) -> str:
        return f"Cassandra at {','.join(self.hosts)}:{self.port}, keyspace {self.keyspace}"

    __repr__ = __str__


class RetryOnce(RetryPolicy):
    """Send a request that failed or got no answer once more, to another node; all of them are idempotent."""

    def on_write_timeout(self, query: Any, consistency: Any, *args: Any, retry_num: int, **_: Any) -> tuple[Any, Any]:
        return self._once(retry_num, consistency)

    def on_request_error(self, query: Any, consistency: Any, error: Any, retry_num: int) -> tuple[Any, Any]:
        return self._once(retry_num, consistency)

    def _once(self, retry_num: int, consistency: Any) -> tuple[Any, Any]:
        return (self.RETRY_NEXT_HOST, consistency) if retry_num == 0 else (self.RETHROW, None)


def connect(options: Options) -> tuple[Cluster, Session]:
    """The driver's cluster, which the caller shuts down, and a session without a keyspace, which may not exist yet."""
    local = DCAwareRoundRobinPolicy(options.dc) if options.dc else RoundRobinPolicy()
    # To the driver, a policy with no attempts means never.
    speculation = ConstantSpeculativeExecutionPolicy(options.speculate / 1000, 2 if options.speculate else 0)
    profile = ExecutionProfile(
        load_balancing_policy=TokenAwarePolicy(local),
        retry_policy=RetryOnce(),
        speculative_execution_policy=speculation,
        consistency_level=ConsistencyLevel.LOCAL_QUORUM,
        request_timeout=options.timeout,
        row_factory=tuple_factory,
    )
    cluster = Cluster(
        options.hosts,
        port=options.port,
        protocol_version=5,
        auth_provider=PlainTextAuthProvider(options.user, options.password) if options.user else None,
        ssl_context=_tls(options),
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        connect_timeout=ceil(options.timeout),
        control_connection_timeout=options.timeout,
        sockopts=[NO_DELAY],
    )
    try:
        return cluster, cluster.connect()
    except BaseException:
        hosts = cluster.metadata.all_hosts() if cluster.metadata else []
        regions = sorted({str(host.datacenter) for host in hosts if host.datacenter})
        cluster.shutdown()
        if options.dc and regions and options.dc not in regions:
            raise InvalidInput(f"Expected ?dc= among {regions} for {options}, got {options.dc!r}.") from None
        raise


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
