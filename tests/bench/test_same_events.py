"""The benchmarks compare like with like: the same rows in the baseline, the same events in every peer."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from eslab import Repository, system_clock
from eslab.bench.baselines import BARE_READ, SqliteBaseline
from eslab.bench.peers import open_peer
from eslab.bench.sample import CUSTOMER, Frosting, commit, fill, request, state_after
from eslab.bench.targets import SqliteTarget, target
from eslab.stores.sqlite import SqliteStore


@pytest.fixture
def place() -> Iterator[SqliteTarget]:
    with target("sqlite") as place:
        assert isinstance(place, SqliteTarget)
        yield place


@pytest.fixture
def store(place: SqliteTarget) -> Iterator[SqliteStore]:
    with closing(place.open_beside("sample", "normal")) as store:
        yield store


def payloads(store: SqliteStore) -> list[bytes]:
    return [payload for _, page in store.read_many(CUSTOMER, {"frosting:7": None}) for payload in page]


def test_the_baseline_reads_the_bytes_that_the_store_reads(store: SqliteStore) -> None:
    """The bare SELECT gives the same payloads in the same order as the store, and counts them all."""
    fill(store, "7", 1500)
    with closing(SqliteBaseline(store.path)) as baseline:
        bare = baseline._connection.execute(BARE_READ, (CUSTOMER, "frosting:7")).fetchall()
        assert [payload for (payload,) in bare] == payloads(store)
        assert baseline.read("frosting:7") == len(bare) == 1500


def test_the_baseline_writes_the_rows_that_the_store_writes(place: SqliteTarget, store: SqliteStore) -> None:
    """After the same commits, both files hold the same events and the same directory."""
    commits = [commit("7", number, request(number)) for number in range(20)]
    with closing(place.open_beside("bare", "normal")) as bare, closing(SqliteBaseline(bare.path)) as baseline:
        for appended in commits:
            store.append(CUSTOMER, [appended])
            baseline.prepare([appended])()
        assert list(bare.rows(CUSTOMER, "frosting:7")) == list(store.rows(CUSTOMER, "frosting:7")) == commits
        assert bare.heads(CUSTOMER, ["frosting:7"]) == store.heads(CUSTOMER, ["frosting:7"])


def test_filling_twice_writes_the_same_rows(store: SqliteStore) -> None:
    """A benchmark may be run again on the same store: it adds nothing."""
    fill(store, "7", 30)
    once = payloads(store)
    fill(store, "7", 30)
    assert payloads(store) == once


@pytest.mark.parametrize("scheme", ["memory", "sqlite"])
def test_a_peer_holds_the_same_state(scheme: str, tmp_path: Path, store: SqliteStore) -> None:
    """The peer's aggregate and ours add up to the same portions, as counted without either."""
    fill(store, "7", 33)
    with closing(open_peer("eventsourcing", scheme, tmp_path)) as peer:
        peer.fill("7", 33)
        ours = Repository(store, system_clock).load(CUSTOMER, Frosting, "7")
        assert peer.load("7") == ours.colors == state_after(33)


@pytest.mark.parametrize("durability", ["normal", "full"])
def test_all_sides_run_at_one_durability(durability: str, place: SqliteTarget) -> None:
    """Store, baseline and peer use WAL and the same synchronous setting, the peer also after it has written."""
    expected = {"journal_mode": "wal", "synchronous": durability}
    with (
        closing(place.open_beside("here", durability)) as store,
        closing(SqliteBaseline(store.path, durability)) as baseline,
    ):
        found = store._file.connection().execute("PRAGMA synchronous").fetchone()
        assert found == (["normal", "full"].index(durability) + 1,)
        assert baseline.settings() == expected
    with closing(open_peer("eventsourcing", "sqlite", place.folder, durability)) as peer:
        peer.fill("7", 3)
        peer.send("7", 3)
        assert (peer.load("7"), peer.settings()) == (state_after(4), expected)


def test_fresh_files_are_deleted(tmp_path: Path) -> None:
    """A named file stays, the folder beside it is deleted."""
    with target(f"sqlite:///{tmp_path}/kept.db") as place:
        assert place.folder.parent == tmp_path
    assert [file.name for file in tmp_path.iterdir()] == ["kept.db"]
