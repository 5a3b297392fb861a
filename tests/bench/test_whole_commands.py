"""`eslab bench commands`: the baseline sends what the service sent, and both leave the same states."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from eslab import EslabError, Repository, open_store, system_clock
from eslab.bench import commands
from eslab.bench.baselines import baseline_settings
from eslab.bench.cli import app
from eslab.bench.replay import Recorder, SqliteReplay, replayed
from eslab.bench.targets import SqliteTarget, target
from eslab.domains.downloads.read_tables import READ_TABLES
from eslab.domains.downloads.service import DownloadService
from eslab.domains.downloads.workload import Taste, customers, life_of
from eslab.stores.sqlite import SqliteStore
from tests.conftest import REAL
from tests.support.sample import new_url

SMALL = ["commands", "--customers", "4", "--days", "40", "--runs", "1", "--workers", "1", "3"]
LIVES = [life_of(customer, 40, 7, Taste(7)) for customer in customers(4)]


def rows(file: Path, *args: str) -> list[dict[str, Any]]:
    done = CliRunner().invoke(app, [*SMALL, "--json", str(file), *args], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(file.read_text())["rows"]


@pytest.mark.parametrize(
    ("store", "setting", "values"),
    [
        ("sqlite", "synchronous", ["normal", "full"]),
        pytest.param("cassandra", "commitlog_sync", ["batch"], marks=(*REAL, pytest.mark.full)),
    ],
)
def test_service_and_baseline_for_each_durability_and_number_of_workers(
    store: str, setting: str, values: list[str], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The command line of the documentation, on small lives; other states would have been an error."""
    url = request.getfixturevalue("node").url("lab_bench_commands") if store == "cassandra" else store
    measured = rows(tmp_path / "j", "--store", url)
    assert [(row[setting], row["workers"], row["measure"]) for row in measured] == [
        (value, workers, side) for value in values for workers in (1, 3) for side in ("service", "baseline", "least")
    ]
    assert all(row["commands"] == sum(map(len, LIVES)) and row["per_second"] > 0 for row in measured)
    assert all(row["p99_s"] >= row["median_s"] > 0 for row in measured)


def test_memory_has_no_baseline(tmp_path: Path) -> None:
    """There is no driver below the store in memory."""
    assert {row["measure"] for row in rows(tmp_path / "j", "--store", "memory")} == {"service"}


def test_a_recorder_records_the_calls_of_a_command() -> None:
    """One read, one append with the customer's read rows, and the read rows of other partitions."""
    recorder: Any = Recorder(open_store("memory:"))
    step = LIVES[-1][0]
    service = DownloadService(recorder, lambda: step.at)
    service.request_download("ann", "phone", "glow", step.request)
    calls = recorder.take()
    assert [call.method for call in calls] == ["read", "append", "put_read_rows"]
    assert len(calls[1].arguments["commits"]) == len(calls[1].arguments["read_rows"]) == 3
    assert recorder.take() == []


def test_the_baseline_sends_the_very_statements_of_the_store(tmp_path: Path) -> None:
    """For every command of every life, in the same order and with the same values."""
    with closing(SqliteStore.open(new_url("sqlite", tmp_path))) as store, closing(open_store("memory:")) as memory:
        store.make_read_tables(commands.LAYOUTS)
        Repository(store, system_clock)  # keeps the settings, which no command does
        replay = SqliteReplay(store.path, "normal", replayed)
        sent = traced(store._file.connection())
        sent_again = traced(replay._connection())
        for life in LIVES:
            commands.live(store, life)
            commands._send([replay.prepare(calls) for calls in commands._recorded(memory, life)])
        # The settings are read for each repository, not for a command.
        assert sent_again == [sql for sql in sent if "PRAGMA" not in sql and "'settings'" not in sql]
        replay.close()


def traced(connection: sqlite3.Connection) -> list[str]:
    """What is sent from now on, values filled in."""
    sent: list[str] = []
    connection.set_trace_callback(sent.append)
    return sent


def test_a_baseline_that_leaves_other_states_is_refused(tmp_path: Path) -> None:
    """A fast wrong answer is not a result."""
    with closing(open_store(new_url("sqlite", tmp_path))) as store, closing(open_store("memory:")) as memory:
        assert isinstance(store, SqliteStore)
        store.make_read_tables([table.layout for table in READ_TABLES])
        bare = SqliteReplay(store.path, "normal", replayed)
        commands.live(memory, LIVES[-1])
        with pytest.raises(EslabError, match="Expected the baseline to leave the states of"):
            commands._check_states(memory, LIVES[-1:], bare, LIVES[-1:])
        bare.close()


def test_a_baseline_at_another_durability_is_refused() -> None:
    """Sides with different promises can't be compared."""
    with target("sqlite", "full") as place:
        assert isinstance(place, SqliteTarget)
        with closing(place.open_beside("baseline", "full")) as store:
            replay = SqliteReplay(store.path, "normal", replayed)
        with (
            closing(replay),
            pytest.raises(EslabError, match=r"Expected baseline to run at .*'full'.* can't be compared"),
        ):
            baseline_settings(replay, place.expected("full"))
