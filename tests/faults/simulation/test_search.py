"""The search: it finds nothing in the core, everything in its broken variants, and what it finds can be replayed."""

import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from eslab import InvalidInput
from eslab.cli import app
from eslab.faults.choices import Choices, parsed, written
from eslab.faults.simulation import driver, duels
from eslab.faults.simulation.duels import DUELS, Duel, orders
from eslab.faults.simulation.explore import SHARE, Outcome, run, search, search_together, shrink
from eslab.faults.simulation.variants import VARIANTS, broken
from eslab.repository import Repository
from eslab.stores.cassandra import CassandraStore
from eslab.unit_of_work import UnitOfWork

QUICK = {  # the variants that a few seconds catch: the seeds that are enough
    "look-up first": 200, "look-up once": 100, "refusal first": 100, "random ids": 50, "index in the key": 50,
    "no settle window": 200, "fewer aggregates": 50, "unproved keys": 50, "clock ahead": 200,
}  # fmt: skip
BY_DUEL = {  # those that a duel catches, for certain
    "trusted snapshots": 2, "never made safe": 2, "no look at floors": 2, "unannounced floor": 2,
    "deleted snapshots": 2, "no sweep": 7, "trusted cache": 9,
}  # fmt: skip
RARE = {  # the others, and how many seeds are enough for each
    "local snapshots": 1_000, "no digest order": 2_000, "endless hydration": 5_000, "no grace": 10_000,
    "tidied floor": 2_000, "local cache": 1_000,
}  # fmt: skip


def test_a_search_meets_what_it_is_there_for_and_breaks_nothing() -> None:
    """Retries that overlap, snapshots, rotations, cuts, pauses and kills; no promise is broken."""
    found = search(range(400))
    assert (found.schedules, found.broken, found.never_met) == (400, {}, [])


@pytest.mark.parametrize("duel", DUELS, ids=lambda it: it.name)
def test_no_order_of_two_processes_breaks_a_promise(duel: Duel) -> None:
    """Every order in which their calls can follow each other."""
    histories = list(orders(duel))
    assert len(histories) > 50
    assert [violations for _, violations in histories if violations] == []
    assert all(any(it.final and it.answer for it in history.operations) for history, _ in histories)


@pytest.mark.parametrize("name", QUICK)
def test_a_broken_core_is_caught(name: str) -> None:
    """Within so many seeds; and the core is whole again afterwards."""
    with broken(name):
        assert search(range(QUICK[name])).broken
    assert not search(range(20)).broken


@pytest.mark.parametrize("name", BY_DUEL)
def test_a_broken_core_loses_a_duel(name: str) -> None:
    """What a random search would meet once in many thousand schedules."""
    with broken(name):
        assert any(violations for _, violations in orders(DUELS[BY_DUEL[name]]))


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", RARE)
def test_a_rarely_broken_core_is_caught(name: str) -> None:
    """Within so many seeds, in the two processes that this machine may have."""
    with closing(search_together(range(RARE[name]), float("inf"), 2, name)) as shares:
        assert any(share.broken for share in shares)


def test_every_variant_is_caught_somewhere() -> None:
    """None is only listed."""
    assert sorted([*QUICK, *BY_DUEL, *RARE]) == sorted(VARIANTS)
    with pytest.raises(InvalidInput, match="Expected a variant among look-up first, "), broken("nonsense"):
        pass


def test_the_table_of_variants_tells_what_these_tests_prove() -> None:
    """docs/simulator.md names each variant, and the seeds or the duel that catch it."""
    seeds = {name: f"within {number:,} seeds" for name, number in {**QUICK, **RARE}.items()}
    duels = {name: f'by the duel "{DUELS[number].name}"' for name, number in BY_DUEL.items()}
    table = [line.strip("|").split("|") for line in Path("docs/simulator.md").read_text().splitlines()]
    told = {row[0].strip(): row[2].strip() for row in table if len(row) == 3}
    assert {name: told.get(name) for name in VARIANTS} == {**seeds, **duels}


def test_the_classes_under_simulation_are_those_of_production() -> None:
    """The simulator stands in for the driver only; nothing of the core is replaced."""
    assert UnitOfWork.__module__ == "eslab.unit_of_work" and Repository.__module__ == "eslab.repository"
    assert driver.CassandraStore is CassandraStore


FOUND = {  # schedules that broke a promise once, and what was wrong
    "the answer to a late repeat was older than its state": "client 1/4=1, client 2/2=2, client 2/3=1, client 2/8=1, "
    "client 2/9=4, network/41=1, network/57=1, network/73=1, network/217=1, network/218=5, story/0=3, story/7=2, "
    "story/15=1, story/19=1",
    "the checker took an unknown outcome for an end": "client 0/0=2, client 0.0/9=1, client 1/1=1, client 1/3=1, "
    "keeper 0/1=3, keeper 1/1=2, keeper 1/16=1, network/8=1, network/10=1, network/11=6, story/0=2, story/1=4, "
    "story/10=2, story/11=1, story/14=1",
}


@pytest.mark.parametrize("fault", FOUND)
def test_what_was_found_once_stays_mended(fault: str) -> None:
    """A search of 175,884 schedules met these four times."""
    assert rules(run(Choices("", parsed(FOUND[fault])))) == set()


def test_a_schedule_shrinks_to_what_it_needs() -> None:
    """Each choice that is left is needed, and the schedule can be replayed from its text."""
    with broken("look-up first"):
        (rule, seed), *_ = search(range(200)).first.items()
        whole = run(Choices(seed))
        smallest = shrink(whole, rule)
        assert len(smallest.choices) < len(whole.choices)
        assert rule in rules(run(Choices("", parsed(written(smallest.choices)))))
        for place in smallest.choices:
            fewer = {other: value for other, value in smallest.choices.items() if other != place}
            assert rule not in rules(run(Choices("", fewer)))


@given(st.integers(0, 10**6))
def test_the_same_seed_is_the_same_history(seed: int) -> None:
    """To the last operation; and its choices, written down, are the same history again."""
    outcome = run(Choices(seed))
    assert story(outcome) == story(run(Choices(seed)))
    assert story(outcome) == story(run(Choices("", parsed(written(outcome.choices)))))


def test_the_command_says_what_it_met(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 0; a run that met too little says so, and fails. Of the duels one is enough here, each has its test."""
    monkeypatch.setattr(duels, "DUELS", [duel for duel in DUELS if duel.name == "a request and a rotation"])
    result = CliRunner().invoke(app, ["simulate", "--schedules", "100"])
    assert result.exit_code == 0, result.output
    assert "100 schedules; cuts in " in result.output and "a request and a rotation: 84 orders" in result.output
    result = CliRunner().invoke(app, ["simulate", "--schedules", "1", "--no-duels"])
    assert result.exit_code == 1 and "Expected schedules in which" in result.output


def test_the_command_shows_a_broken_promise_and_how_to_replay_it() -> None:
    """In its smallest form."""
    result = CliRunner().invoke(app, ["simulate", "--schedules", "60", "--no-duels", "--variant", "refusal first"])
    assert result.exit_code == 1 and "undone: broken in" in result.output
    text = result.output.split("--replay '")[1].split("'")[0]
    replayed = CliRunner().invoke(app, ["simulate", "--replay", text, "--variant", "refusal first"])
    assert replayed.exit_code == 1 and "undone: " in replayed.output
    assert CliRunner().invoke(app, ["simulate", "--replay", text]).exit_code == 0


def test_an_interrupted_search_shows_what_it_met() -> None:
    """Ctrl-C costs nothing of an hour's search; exit code 130."""
    command = [sys.executable, "-c", "from eslab.cli import app; app()", "simulate", "--schedules", "1000000"]
    options = ["--seconds", "100000", "--no-duels"]
    shown = {**os.environ, "FORCE_COLOR": "1"}  # the bar as on a terminal
    with subprocess.Popen(
        [*command, *options],
        env=shown,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stderr and process.stdout
        bar = b""
        while f"{SHARE}/1000000".encode() not in bar:
            bar = bar[-1000:] + os.read(process.stderr.fileno(), 1000)
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert b" schedules; cuts in " in process.stdout.read()
    assert process.returncode == 130


def test_the_command_lists_the_variants() -> None:
    """By name, each with the rule that it leaves out."""
    result = CliRunner().invoke(app, ["simulate", "--variants"])
    assert all(name in result.output for name in VARIANTS)


def rules(outcome: Outcome) -> set[str]:
    return {violation.rule for violation in outcome.violations}


def story(outcome: Outcome) -> list[str]:
    return [str(operation) for operation in outcome.history.operations]
