"""A workload is the same for the same seed, is lifelike, and leaves the same state on every store."""

from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from eslab import EventStore, open_store
from eslab.bench.play import play, state_hash
from eslab.cli import app
from eslab.domains.downloads.commands import RequestDownload
from eslab.domains.downloads.workload import DAY, Taste, customers, life_of
from tests.conftest import REAL
from tests.support.sample import new_url

SEED, DAYS, COUNT = 7, 60, 8


@pytest.fixture(scope="module")
def expected() -> str:
    """The state hash in memory, with one worker."""
    with closing(open_store("memory:")) as store:
        play(store, COUNT, DAYS, SEED)
        return state_hash(store, COUNT)


def test_a_life_follows_from_seed_and_name() -> None:
    """It depends neither on the number of customers nor on the order in which they are made."""
    names = list(customers(3))
    lives = {name: life_of(name, 365, SEED, Taste(SEED)) for name in reversed(names)}
    assert lives == {name: life_of(name, 365, SEED, Taste(SEED)) for name in customers(3)}
    assert lives[names[0]] != life_of(names[0], 365, SEED + 1, Taste(SEED + 1))


def test_a_life_has_favourites_retries_and_delays() -> None:
    """Popular titles, retries of the same request, late commands; and steps come in the order in which they arrive."""
    steps = [step for name in customers(60) for step in life_of(name, 365, SEED, Taste(SEED))]
    titles = Counter(step.command.title for step in steps if isinstance(step.command, RequestDownload))
    assert titles.most_common(1)[0][1] > 20 * (sum(titles.values()) / 2977)
    sent = Counter(step.request for step in steps)
    assert 0.04 < sum(n > 1 for n in sent.values()) / len(sent) < 0.12
    first = {}
    for step in steps:
        first.setdefault(step.request, step.at - step.request.time)
    assert all(late < DAY for late in first.values()) and any(late > DAY / 24 for late in first.values())
    one = life_of(next(customers(1)), 365, SEED, Taste(SEED))
    assert [step.at for step in one] == sorted(step.at for step in one)


@pytest.mark.parametrize(
    "open_new",
    ["memory", "sqlite", pytest.param("cassandra", marks=REAL), pytest.param("us3", marks=(*REAL, pytest.mark.full))],
    indirect=True,
)
def test_G4_every_store_and_number_of_workers_ends_in_the_same_state(store: EventStore, expected: str) -> None:
    """Memory, SQLite, a real node, three replicas of which one is frozen."""
    played = play(store, COUNT, DAYS, SEED, workers=3)
    assert played.answers["granted"] > 20 and played.answers["repeated"] > 0
    assert state_hash(store, COUNT) == expected


def test_the_command_reports_the_outcome(tmp_path: Path, expected: str) -> None:
    """Counts by rule, latency, rate and state hash."""
    args = ["--customers", str(COUNT), "--days", str(DAYS), "--store", new_url("sqlite", tmp_path), "--workers", "2"]
    done = CliRunner().invoke(app, ["play", *args], catch_exceptions=False)
    assert done.exit_code == 0
    for part in " granted, ", "rejected by ", "latency p50 ", "commands a second with 2 workers", f"hash: {expected}":
        assert part in done.output
