"""Errors of the Cassandra store: a URL, a keyspace, a login or a certificate that is wrong is named."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from eslab import InvalidInput, StoreError, StoreUnavailable, cli, open_store
from eslab.cluster.cluster import Cluster
from eslab.stores.cassandra.connection import Options
from tests.support.cassandra import on_cassandra, opened
from tests.support.sample import row, rows


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
    "port": 9042, "dc": "", "timeout": 10, "speculate": 0, "lifetime": None,
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
    assert said == [f"Cassandra at {node.addresses()[0]}:9042, keyspace bakery holds schema version 2.\n"] * 2
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
    with pytest.raises(StoreError, match=f"Expected eslab schema 2 in .*, found '{comment}': use the version"):
        open_store(node.url("lab_version"))
    with node.session() as session:
        session.execute("DROP KEYSPACE lab_version")


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
    with pytest.raises(StoreUnavailable, match="requires a login; name user and password in the URL"):
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
    with pytest.raises(StoreUnavailable, match=r"requires (cert= and key=|a certificate of the client)"):
        open_store(url + "&timeout=3")


@pytest.mark.full
@on_cassandra
def test_tls_on_one_side_only_is_said_plainly(guarded: Cluster, node: Cluster) -> None:
    """A node that wants TLS and a client without, and the other way round: at once, with the option to change."""
    plain = re.sub("&(ca|cert|key)=[^&]*", "", guarded.url("lab"))
    with pytest.raises(StoreUnavailable, match=r"(talks TLS only: add|requires TLS \()\?ca=FILE"):
        open_store(plain)
    with pytest.raises(StoreUnavailable, match=r"did not agree on TLS .*leave ca= out"):
        open_store(f"{node.url('lab')}&ca={guarded.keys['ca']}")
