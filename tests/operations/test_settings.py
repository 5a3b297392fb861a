"""Changing the settings that all processes share: no step hurts a process that still runs with those before."""

import json
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from eslab import (
    AggregateService,
    EventStore,
    InvalidInput,
    ManualClock,
    Repository,
    StoreReadOnly,
    TimeBounds,
    open_store,
)
from eslab.aggregate import SnapshotPolicy
from eslab.cli import app
from eslab.operations.inspection import inspect
from eslab.operations.settings import change, parse_changes
from eslab.operations.snapshots import build_snapshot
from eslab.settings import Settings, kept
from eslab.stores.memory import MemoryStore
from tests.conftest import alone
from tests.support.sample import DAY, HOUR, MINUTE, START, Count, Counter, at, handle, new_url
from tests.test_settings import WEEK, Early

EVERY = SnapshotPolicy(every=1)


def set_to(store: EventStore, *texts: str, now: timedelta = timedelta(), offline: bool = False) -> list[str]:
    """Change settings as the command does, so long after the start."""
    return change(store, parse_changes(texts), START + now, offline)


def bounds_of(store: EventStore) -> TimeBounds:
    """What a process that starts now begins with."""
    return Repository(store, ManualClock(START)).bounds


def test_G5_late_is_raised_in_two_steps(store: EventStore) -> None:
    """First `fold_after`; when every process has it, and no older snapshot reaches too far, `late`."""
    Repository(store, ManualClock(START))
    restart, wait = set_to(store, "fold_after=9d")
    assert restart.startswith("Restart every process now") and wait.startswith("Then wait 7 days 22 h before you raise")
    assert bounds_of(store) == TimeBounds(fold_after=9 * DAY)
    enough = 7 * DAY + 11 * MINUTE - 26 * HOUR
    with pytest.raises(InvalidInput, match=r"reaches beyond .* 7 days late\. Try again in 1 min; .*--offline"):
        set_to(store, "late=7d", now=enough - MINUTE)
    assert set_to(store, "late=7d", now=enough) == [restart]
    assert bounds_of(store) == WEEK


@pytest.mark.parametrize(
    ("first", "both", "order"),
    [
        (TimeBounds(), ("late=7d", "fold_after=9d"), "First raise fold_after"),
        (WEEK, ("late=1d", "fold_after=26h"), "First lower late, skew or append, without fold_after"),
        (TimeBounds(skew=MINUTE), ("append=2h", "fold_after=27h"), "First raise fold_after"),
    ],
)
def test_G5_two_steps_at_once_are_refused(first: TimeBounds, both: tuple[str, ...], order: str) -> None:
    """Processes with both settings run beside each other: a snapshot of one could miss a commit of the other."""
    store = MemoryStore()
    Repository(store, ManualClock(START), first)
    with pytest.raises(InvalidInput, match=rf"{order}, restart every process, then change the rest; or stop .*offline"):
        set_to(store, *both, now=99 * DAY)
    assert bounds_of(store) == first


def test_G5_lowering_goes_the_other_way(store: EventStore) -> None:
    """First `late`; when the appends of the last process that had it are done, `fold_after`."""
    Repository(store, ManualClock(START), WEEK)
    with pytest.raises(InvalidInput, match="Expected fold_after > late"):
        set_to(store, "fold_after=26h")
    assert set_to(store, "late=1d")[1:] == ["Then wait 11 min before you lower fold_after."]
    assert len(set_to(store, "fold_after=26h")) == 1
    assert bounds_of(store) == TimeBounds()


@pytest.mark.parametrize("text", ["grace=2h", "grace=30m", "skew=10s"])
def test_G5_no_rotation_runs_while_grace_or_skew_change(text: str) -> None:
    """It waits for the longest hydration of its own settings, and others may hydrate for longer."""
    store = MemoryStore()
    Repository(store, ManualClock(START))
    assert set_to(store, text)[0] == "Let rotations of floors end, and begin none until every process is restarted."


def counted(store: EventStore, clock: ManualClock, number: int) -> None:
    """A request of so many minutes after the start is accepted now."""
    service: Any = AggregateService(store, Counter, handle, clock)
    service.send("ann", "counter:1", Count("tea"), at(number, str(number)))


@alone
def test_G5_offline_no_snapshot_hides_a_request_that_may_be_later_now(store: EventStore) -> None:
    """Snapshots that reach so far are deleted; ten days later, when one would be old enough, the state is whole."""
    clock = ManualClock(START)
    repository = Repository(store, clock)
    counted(store, clock, 0)
    clock.advance(3 * DAY)
    assert build_snapshot(repository, "ann", Counter, "1", EVERY)
    set_to(store, "late=7d", "fold_after=9d", now=3 * DAY, offline=True)
    counted(store, clock, 1)  # almost three days late, and behind that snapshot
    clock.advance(20 * DAY)
    assert Repository(store, clock).load("ann", Counter, "1").total == 2


@alone
def test_G5_offline_the_snapshot_on_a_floor_stays(store: EventStore) -> None:
    """It may be all that is left; behind a floor no request is accepted, however late it may be."""
    clock = ManualClock(START)
    counted(store, clock, 0)
    clock.advance(4 * DAY)
    built = build_snapshot(Repository(store, clock), "ann", Counter, "1", EVERY)
    assert built
    store.mark("ann", "counter:1", floor=built.up_to)
    set_to(store, "late=7d", "fold_after=9d", now=4 * DAY, offline=True)
    assert list(store.heads("ann", ["counter:1"])["counter:1"].snapshots) == [built]


def test_G5_a_lifetime_changes_only_while_no_process_runs() -> None:
    """Of two decisions of one request the one that expires later wins, so processes must agree."""
    store = MemoryStore()
    store.lifetime = 30
    Repository(store, ManualClock(START))
    with pytest.raises(InvalidInput, match="Stop every process and add --offline"):
        set_to(store, "lifetime=60d")
    with pytest.raises(InvalidInput, match=r"longer than fold_after \+ grace"):
        set_to(store, "lifetime=1d", offline=True)
    with pytest.raises(InvalidInput, match="in whole days, 0d for ever, got 12 h"):
        set_to(store, "lifetime=12h", offline=True)
    (step,) = set_to(store, "lifetime=0d", offline=True)
    assert step.startswith("Change lifetime in every URL")
    assert kept(store) == Settings(TimeBounds(), 0, START - 26 * HOUR)


def test_G5_settings_that_another_operator_changed_meanwhile_are_kept() -> None:
    """Whoever comes second is told."""
    store = MemoryStore()
    Repository(store, ManualClock(START), WEEK)
    with pytest.raises(InvalidInput, match="changed at the same moment"):
        set_to(Early(store), "early=2m")  # type: ignore[arg-type] - it passes all else on to a store
    assert bounds_of(store) == WEEK


def test_a_store_that_nobody_used_takes_any_settings(store: EventStore) -> None:
    """There is no process to wait for."""
    assert set_to(store, "late=7d", "fold_after=9d") == []
    assert bounds_of(store) == WEEK


def test_an_inspection_judges_by_the_kept_bounds() -> None:
    """A snapshot that is too new for them is shown as such."""
    store = MemoryStore()
    clock = ManualClock(START)
    counted(store, clock, 0)
    set_to(store, "fold_after=36500d", offline=True)
    clock.advance(36_500 * DAY)
    assert build_snapshot(Repository(store, clock), "ann", Counter, "1", EVERY)
    set_to(store, "early=2m", now=36_500 * DAY, offline=True)
    (inspected,) = inspect(store, "ann", types=[Counter])
    assert [it.why_not for it in inspected.snapshots] == ["so new that a first decision may still be made behind it"]


# The command


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A new file, which `eslab` opens only if it is there."""
    url = new_url("sqlite", tmp_path)
    open_store(url).close()
    return url


def settings(url: str, *arguments: str) -> Any:
    """Run `eslab schema settings`."""
    return CliRunner().invoke(app, ["schema", "settings", "--store", url, *arguments])


def test_the_command_shows_what_is_kept(url: str) -> None:
    """As a table, or as JSON in seconds; showing keeps nothing."""
    assert "No settings are kept yet" in settings(url).stdout
    assert json.loads(settings(url, "--json").stdout) == {}
    with closing(open_store(url)) as store:
        assert kept(store) is None
        Repository(store, ManualClock(START))
    shown = settings(url).stdout
    assert "│ fold_after │ 1 day 2 h │ a snapshot folds only" in shown and "│ lifetime   │ for ever  │" in shown
    assert json.loads(settings(url, "--json").stdout) == {
        "late": 86_400, "early": 60, "fold_after": 93_600, "skew": 30, "append": 600, "grace": 3600, "lifetime": None,
    }  # fmt: skip


def test_the_command_changes_and_says_what_to_do_next(url: str) -> None:
    """With JSON the advice goes to standard error."""
    with closing(open_store(url)) as store:
        Repository(store, ManualClock(START))
    done = settings(url, "--set", "fold_after=9d", "--set", "grace=2h", "--json")
    assert (json.loads(done.stdout)["fold_after"], json.loads(done.stdout)["grace"]) == (777_600, 7200)
    assert "Then wait 7 days 22 h" in done.stderr
    assert "Try again in 5 days" in settings(url, "--set", "late=7d").stderr
    assert "│ late       │ 7 days " in settings(url, "--set", "late=7d", "--offline").stdout


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["late=7d"], "Expected fold_after > late"),
        (["late=7d", "fold_after=9d"], "First raise fold_after"),
        (["late=7 weeks"], "Expected a duration such as 7d, 26h, 1h30m, 10m or 0.5s, got '7 weeks'."),
        (["late"], "got ''"),
        (["never=7d"], "with a name among late, early, fold_after, skew, append, grace, lifetime, got 'never=7d'."),
        (["lifetime=9d"], "Expected a store on Cassandra to set lifetime"),
        (["skew=999999999d"], "Expected time bounds of at most 36,500 days"),
    ],
)
def test_the_command_refuses(url: str, texts: list[str], message: str) -> None:
    """With exit code 1 and the reason; nothing is changed."""
    with closing(open_store(url)) as store:
        Repository(store, ManualClock(START))
        refused = settings(url, *(part for text in texts for part in ("--set", text)))
        assert refused.exit_code == 1 and message in refused.stderr
        assert kept(store) == Settings(TimeBounds())


def test_a_store_that_may_only_be_read_is_shown_and_not_changed(url: str) -> None:
    """The error says how to open it."""
    with closing(open_store(url)) as store:
        Repository(store, ManualClock(START), WEEK)
    assert "│ 7 days " in settings(f"{url}?mode=ro").stdout
    assert "mode=rw" in settings(f"{url}?mode=ro", "--set", "early=2m").stderr
    with closing(open_store(f"{url}?mode=ro")) as store, pytest.raises(StoreReadOnly):
        set_to(store, "early=2m")
