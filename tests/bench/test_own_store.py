"""`eslab bench hydrate --from` measures an aggregate that exists, and writes nothing."""

import hashlib
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from eslab import EslabError, InvalidInput, ManualClock, Repository, StoreReadOnly, open_store
from eslab.aggregate import SnapshotPolicy
from eslab.bench import own_store
from eslab.bench.cli import app
from eslab.bench.own_store import measure_existing, read_only
from eslab.bench.read_only import ReadOnly
from eslab.operations.snapshots import build_snapshot
from eslab.settings import kept
from tests.support.sample import MINUTE, START, Counted, Counter, append, fill, snapshot
from tests.support.sample import at as request_at

LATER = ManualClock(START + 39.5 * MINUTE + timedelta(hours=26))  # when forty commits have settled


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A store with fifty commits, forty of them in a snapshot; nobody has opened a repository that keeps settings."""
    path = tmp_path / "own.db"
    with closing(open_store(f"sqlite:///{path}")) as store:
        fill(store, 40)
        assert build_snapshot(Repository(store, LATER), "ann", Counter, "1", SnapshotPolicy(every=1))
        append(store, *((40 + n, Counted("late")) for n in range(10)))
        store.set_checkpoint("settings", "")
    return path


def state_of(folder: Path) -> dict[str, str]:
    """All files that hold anything, by their bytes."""
    files = {it.name: it.read_bytes() for it in folder.iterdir() if not it.name.endswith("-shm")}
    return {name: hashlib.sha256(bytes).hexdigest() for name, bytes in files.items() if bytes}


def test_an_aggregate_is_measured_as_it_is(file: Path) -> None:
    """From its own snapshots, and as if there were none; the bare reads count its rows."""
    rows = measure_existing(f"sqlite:///{file}", "ann", Counter, "1", runs=1).rows
    names = ["baseline:row", "baseline", "read", "decode", "replay cold", "replay warm", "hydrate cold", "hydrate warm"]
    assert [row.label for row in rows] == names
    assert {row.events for row in rows} == {50}
    assert [row.extra.get("replayed") for row in rows][4:] == [50, 50, 10, 10]


def test_nothing_is_written(file: Path) -> None:
    """Not even the settings that the first repository on a store keeps, nor a file beside it that holds anything."""
    before = state_of(file.parent)
    measure_existing(f"sqlite:///{file}", "ann", Counter, "1", runs=1)
    assert state_of(file.parent) == before
    with closing(open_store(f"sqlite:///{file}?mode=ro")) as store:
        assert kept(store) is None


def test_whatever_would_write_is_refused() -> None:
    """Every method of a store that isn't known to read."""
    with closing(open_store("memory:")) as store:
        refusing: Any = ReadOnly(store)
        for name in ("append", "save_snapshot", "swap_checkpoint", "mark", "a_method_of_tomorrow"):
            with pytest.raises(StoreReadOnly, match=f"Expected only reads of .* got {name}"):
                getattr(refusing, name)("ann", [])


def test_a_floor_leaves_no_replay(file: Path) -> None:
    """What lies below it may be gone; what is above is counted by the bare reads."""
    with closing(open_store(f"sqlite:///{file}")) as store:
        up_to = store.heads("ann", ["counter:1"])["counter:1"].snapshots[0].up_to
        store.mark("ann", "counter:1", floor=up_to)
        store.delete_events("ann", "counter:1", up_to)
    rows = measure_existing(f"sqlite:///{file}", "ann", Counter, "1", runs=1).rows
    assert [row.label for row in rows][-3:] == ["decode", "hydrate cold", "hydrate warm"]
    assert rows[-1].extra["replayed"] == 10


def test_snapshots_that_contradict_the_events_are_no_result(file: Path) -> None:
    """A quick hydration of another state; the audit says more."""
    with closing(open_store(f"sqlite:///{file}")) as store:
        wrong = snapshot(request_at(39.7), Counter({"nothing": 1}), 40, built_at=LATER())
        store.save_snapshot("ann", "counter:1", wrong, LATER())
    with pytest.raises(EslabError, match="Expected snapshots of customer 'ann', aggregate 'counter:1' to give what"):
        measure_existing(f"sqlite:///{file}", "ann", Counter, "1", runs=1)


def test_an_aggregate_that_changes_meanwhile_is_no_result(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody appends to it: the message says so."""
    timed = own_store.time_calls

    def append_and_time(*arguments: Any) -> dict[str, list[float]]:
        with closing(open_store(f"sqlite:///{file}")) as store:
            append(store, (90, Counted("now")), (91, Counted("now")))
        return timed(*arguments)

    monkeypatch.setattr(own_store, "time_calls", append_and_time)
    with pytest.raises(EslabError, match="Expected '1' to stay as it is while it is measured, found 2 more commits"):
        measure_existing(f"sqlite:///{file}", "ann", Counter, "1", runs=1)


@pytest.mark.parametrize(("customer", "key"), [("bob", "1"), ("ann", "2")])
def test_an_aggregate_without_events_is_refused(file: Path, customer: str, key: str) -> None:
    """Most often its name is mistyped."""
    with pytest.raises(InvalidInput, match=f"Expected events of customer '{customer}', aggregate 'counter:{key}' in"):
        measure_existing(f"sqlite:///{file}", customer, Counter, key, runs=1)


@pytest.mark.parametrize("url", ["sqlite", "sqlite:", "memory:", "memory", "lab.db", ""])
def test_a_store_that_can_not_exist_yet_is_refused(url: str) -> None:
    """A fresh one holds nothing to measure."""
    with pytest.raises(InvalidInput, match="Expected the URL of a store that exists as --from"):
        read_only(url)


def test_a_file_is_opened_to_read_it_whatever_its_url_says() -> None:
    """Other options stay."""
    assert read_only("sqlite:///a.db?mode=rwc&timeout=1") == "sqlite:///a.db?mode=ro&timeout=1"
    assert read_only("cassandra://host/shop?dc=us") == "cassandra://host/shop?dc=us"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--from sqlite:///own.db --events 10", "Expected no --events with --from"),
        ("--from sqlite:///own.db --store sqlite --peer eventsourcing", "Expected no --store, --peer with --from"),
        (
            "--from sqlite:///own.db --interval off --spread 1y --padding 0",
            "Expected no --interval, --spread, --padding",
        ),
        ("--from sqlite:///own.db --customer ann", "Expected --customer, --aggregate MODULE:CLASS and --key"),
        ("--customer ann --key 1", "Expected no --customer, --key without --from"),
        ("--padding 5 --sample a:b", "Expected no --sample with --padding"),
        ("--interval never", "Expected off or a number of events as --interval, got 'never'"),
        ("--interval 0", "Expected off or a number of events as --interval, got '0'"),
        ("--reads-per-write 0", "Expected --reads-per-write above 0, got 0"),
        ("--spread ten", "Expected a duration such as"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options: str, message: str) -> None:
    """Before anything is read or written."""
    result = CliRunner().invoke(app, ["hydrate", *options.split()])
    assert isinstance(result.exception, InvalidInput)
    assert message in str(result.exception)


def test_the_command_prints_what_it_found(file: Path) -> None:
    """A table, and no cost model: one aggregate has one length."""
    options = f"--from sqlite:///{file} --customer ann --aggregate tests.support.sample:Counter --key 1 --runs 1"
    done = CliRunner().invoke(app, ["hydrate", *options.split()], catch_exceptions=False)
    assert done.exit_code == 0
    assert "sqlite, 50 events, aggregate=counter:1" in done.output
    assert "times as fast as replay warm" in done.output or "of the speed of replay warm" in done.output
