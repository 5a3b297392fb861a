"""Cassandra's jars: fetched once, checked by their sums, through the user's mirror, and safe to interrupt."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from eslab.cluster import NoJars
from eslab.cluster.jars import cassandra_version, fetch_jars, is_whole, locked_jars
from tests.cluster.conftest import Process, eventually

Fetch = Callable[[], list[Path]]


class Mirror(ThreadingHTTPServer):
    """A Maven repository that serves the jars of the warm cache; on demand slowly or damaged."""

    def __init__(self, jars: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.jars = jars
        self.served = list[str]()
        self.pause = 0.0
        self.damage = b""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/maven"


class Handler(BaseHTTPRequestHandler):
    """Answers for jars, and has no file of sums."""

    server: Mirror

    def do_GET(self) -> None:
        file = self.server.jars / self.path.rpartition("/")[2]
        if not file.exists():
            return self.send_error(404)
        content = file.read_bytes() + self.server.damage
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:1000])
        time.sleep(self.server.pause)
        self.wfile.write(content[1000:])
        self.server.served.append(file.name)
        return None

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def mirror(warm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    """A mirror that the user's jgo.conf names, and an empty cache."""
    with Mirror(warm) as server:
        config = tmp_path / "jgo.conf"
        config.write_text(f"[repositories]\ncentral = {server.url}\n")
        monkeypatch.setenv("JGO_CONFIG_FILE", str(config))
        monkeypatch.setenv("ESLAB_CACHE", str(tmp_path / "cache"))
        threading.Thread(target=partial(server.serve_forever, poll_interval=0.05), daemon=True).start()
        yield server
        server.shutdown()


def test_the_lock_pins_cassandra_and_a_sum_for_every_jar() -> None:
    """One line of Cassandra, exact versions, sums of 64 digits, and no two jars of one name."""
    jars = locked_jars()
    assert jars[0].coordinate == f"org.apache.cassandra:cassandra-all:{cassandra_version()}"
    assert re.fullmatch(r"5\.0\.\d+", cassandra_version())
    assert all(re.fullmatch("[0-9a-f]{64}", jar.sha256) for jar in jars)
    assert len({jar.filename for jar in jars}) == len(jars) == 100


def test_an_empty_cache_is_filled_once(mirror: Mirror) -> None:
    """The first time, all jars come from the user's mirror, with progress; the second time, nothing is requested."""
    sentences: list[str] = []
    files = fetch_jars(sentences.append)
    assert sorted(mirror.served) == sorted(file.name for file in files)
    assert all(map(is_whole, files, locked_jars()))
    assert "jars to come: 100" in sentences[0] and "100 of 100" in sentences[-1]
    mirror.server_close()  # no network from here on
    assert fetch_jars(pytest.fail) == files  # no progress to report
    assert not list(files[0].parents[1].glob("incoming-*"))


def test_a_damaged_jar_is_fetched_again(mirror: Mirror) -> None:
    """A flipped byte in the cache costs one download."""
    files = fetch_jars(lambda _: None)
    files[7].write_bytes(files[7].read_bytes()[:-1] + b"?")
    mirror.served.clear()
    fetch_jars(lambda _: None)
    assert mirror.served == [files[7].name]
    assert is_whole(files[7], locked_jars()[7])


def test_a_jar_with_another_sum_is_never_used(mirror: Mirror) -> None:
    """The message names the jar, where it came from, and the sum that it should have had."""
    mirror.damage = b"!"
    with pytest.raises(NoJars, match=rf"{re.escape(mirror.url)}.*3 tries.*another sha256 sum than [0-9a-f]{{64}}"):
        fetch_jars(lambda _: None)


def test_no_network_and_no_cache_says_what_to_do(mirror: Mirror) -> None:
    """The message says to connect, or to name a mirror."""
    mirror.shutdown()
    mirror.server_close()
    with pytest.raises(NoJars, match=r"Connect to the network and start.*\[repositories\] with a line central = URL"):
        fetch_jars(lambda _: None)


def test_a_download_that_was_killed_goes_on(mirror: Mirror, python: Callable[[str], Process]) -> None:
    """Complete jars are kept, partial ones are not, and the second run fetches only the rest."""
    mirror.pause = 0.05
    victim = python("from eslab.cluster.jars import fetch_jars; fetch_jars()")
    assert eventually(lambda: len(mirror.served) > 10)
    victim.kill()
    victim.wait()
    mirror.pause = 0
    kept = {jar.filename for jar in locked_jars() if is_whole(cached(jar.filename), jar)}
    time.sleep(0.2)  # requests that were under way
    mirror.served.clear()
    assert len(fetch_jars(lambda _: None)) == 100
    assert kept and not kept & set(mirror.served)


def cached(name: str) -> Path:
    """The path of a jar in the cache that the environment names now."""
    from eslab.cluster.places import cache_folder

    return cache_folder() / "jars" / cassandra_version() / name
