"""Waits and statements are counted on every store: how often a wish waits does not depend on the machine."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from eslab import EventStore, open_store
from eslab.bench.cli import app
from eslab.bench.meters import Cost
from eslab.bench.waits import SCENARIOS, count_waits
from eslab.domains.downloads.read_tables import READ_TABLES
from eslab.faults.choices import Choices
from eslab.faults.simulation.cluster import Cluster, Network
from eslab.faults.simulation.driver import Tables, open_simulated
from eslab.faults.simulation.world import World
from eslab.stores.cassandra import CassandraStore
from tests.conftest import REAL
from tests.support.sample import START, new_url


def simulated() -> CassandraStore:
    world = World(Choices("", {}), START)
    tables = Tables([table.layout for table in READ_TABLES])
    return open_simulated(world, Cluster(world, {"us": 3}, {}, Network()), "us", world.clock(), tables, page=500)


@pytest.fixture(params=["simulated", pytest.param("cassandra", marks=REAL)])
def cassandra(request: pytest.FixtureRequest) -> Iterator[EventStore]:
    if request.param == "simulated":
        yield simulated()
        return
    pool = request.getfixturevalue("pool")
    yield pool.lend()
    pool.take_back()


def test_waits_on_cassandra(cassandra: EventStore) -> None:
    """One wait to read, of three statements, and one batch; a snapshot or a cache costs more the first time only."""
    assert count_waits(cassandra) == {
        "first wish": Cost(read_waits=1, reads=3, write_waits=1, writes=1),
        "with read tables": Cost(read_waits=1, reads=3, write_waits=2, writes=2),  # one is in another partition
        "repeat": Cost(read_waits=1, reads=3),
        "rejection": Cost(read_waits=1, reads=3),
        "hydration": Cost(read_waits=1, reads=3),
        "snapshot, new": Cost(read_waits=2, reads=4),
        "snapshot, seen": Cost(read_waits=1, reads=3),
        "cache, folding": Cost(read_waits=4, reads=8),
        "cache, kept": Cost(read_waits=1, reads=3),
        "all of a type": Cost(read_waits=2, reads=5),
    }


def test_waits_on_sqlite(tmp_path: Path) -> None:
    """A read is one transaction, and so is an append; each aggregate costs three statements, each commit two."""
    with closing(open_store(new_url("sqlite", tmp_path))) as store:
        assert count_waits(store) == {
            "first wish": Cost(read_waits=1, reads=9, write_waits=1, writes=6),
            "with read tables": Cost(read_waits=1, reads=9, write_waits=2, writes=10),
            "repeat": Cost(read_waits=1, reads=9),
            "rejection": Cost(read_waits=1, reads=9),
            "hydration": Cost(read_waits=1, reads=3),
            "snapshot, new": Cost(read_waits=2, reads=4),
            "snapshot, seen": Cost(read_waits=1, reads=3),
            "cache, folding": Cost(read_waits=3, reads=7),
            "cache, kept": Cost(read_waits=1, reads=3),
            "all of a type": Cost(read_waits=2, reads=16),
        }


def test_waits_in_memory() -> None:
    """A wish is two calls of the store."""
    with closing(open_store("memory:")) as store:
        assert count_waits(store) == {
            "first wish": Cost(read_waits=1, reads=1, write_waits=1, writes=1),
            "with read tables": Cost(read_waits=1, reads=1, write_waits=2, writes=2),
            "repeat": Cost(read_waits=1, reads=1),
            "rejection": Cost(read_waits=1, reads=1),
            "hydration": Cost(read_waits=1, reads=1),
            "snapshot, new": Cost(read_waits=1, reads=1),
            "snapshot, seen": Cost(read_waits=1, reads=1),
            "cache, folding": Cost(read_waits=2, reads=2),
            "cache, kept": Cost(read_waits=1, reads=1),
            "all of a type": Cost(read_waits=2, reads=2),
        }


def test_the_command_writes_a_row_for_each_scenario(tmp_path: Path) -> None:
    """A table for people, and the same figures as JSON."""
    file = tmp_path / "waits.json"
    done = CliRunner().invoke(app, ["waits", "--store", "sqlite", "--json", str(file)], catch_exceptions=False)
    report = json.loads(file.read_text())
    assert done.exit_code == 0
    assert report.keys() == {"machine", "versions", "rows"}
    assert [row["scenario"] for row in report["rows"]] == [*SCENARIOS]
    assert report["rows"][0] == {
        "scenario": "first wish", "store": "sqlite", "read_waits": 1, "reads": 9, "write_waits": 1, "writes": 6,
    }  # fmt: skip
    assert all(scenario in done.output for scenario in SCENARIOS)
