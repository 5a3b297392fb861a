"""`eslab bench hydrate --aggregate --sample` measures an aggregate of the user's own."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from eslab import Aggregate, Event, InvalidInput
from eslab.bench.cli import app
from eslab.bench.hydrate import measure_hydration
from eslab.bench.own_sample import find_sample, own_sample
from eslab.bench.sample import FROSTING
from tests.support.sample import Counted, Counter, Voided

MODULE = """
from eslab import Aggregate, Event

class Seen(Event):
    number: int

class Sightings(Aggregate):
    numbers: set[int] = set()

    def apply(self, event: Seen) -> None:
        self.numbers.add(event.number)

def sample(number: int) -> Event:
    return Seen(number // 2)
"""


class Secret(Aggregate):
    """An encrypted aggregate."""

    encrypted = True

    def apply(self, event: Counted) -> None: ...


@pytest.fixture
def sightings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder that the command runs in, with the user's module in it."""
    (tmp_path / "sightings.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [it for it in sys.path if it])
    yield tmp_path
    sys.modules.pop("sightings", None)


def counted(number: int) -> Event:
    """Two things in turn, one of them voided at some time."""
    return Voided("b") if number == 2 else Counted("ab"[number % 2])


def test_a_module_of_this_folder_is_measured(sightings: Path) -> None:
    """By its class and its function; all measures agree on the number of events."""
    options = "--events 10 --runs 1 --aggregate sightings:Sightings --sample sightings:sample --json figures.json"
    done = CliRunner().invoke(app, ["hydrate", *options.split()], catch_exceptions=False)
    assert done.exit_code == 0
    rows = json.loads((sightings / "figures.json").read_text())["rows"]
    names = ("baseline", "read", "decode", "hydrate", "hydrate")
    assert [(row["measure"], row["events"]) for row in rows if row["interval"] == 0] == [(name, 10) for name in names]


def test_the_state_is_known_without_a_store() -> None:
    """It is folded from the events themselves, so a wrong hydration is not a result."""
    assert own_sample(Counter, counted).state_after(4) == Counter({"a": 1, "b": 2}, {"b"})


def test_frosting_is_measured_by_default() -> None:
    """Both names or none."""
    assert find_sample("", "") is FROSTING
    with pytest.raises(InvalidInput, match=r"Expected both --aggregate .*, got only sightings:Sightings"):
        find_sample("sightings:Sightings", "")


@pytest.mark.parametrize("named", ["sightings:Sighting", "sightings:", "sightings"])
def test_a_name_that_is_not_there_is_refused(sightings: Path, named: str) -> None:
    """And quoted."""
    with pytest.raises(InvalidInput, match=f"in sightings, .*, got '{named}'"):
        find_sample(named, "sightings:sample")


def test_an_event_that_the_aggregate_does_not_know_is_refused() -> None:
    """Before anything is stored."""
    with pytest.raises(InvalidInput, match=r"Expected an event that Counter\.apply knows"):
        own_sample(Counter, lambda number: number).event(0)


def test_an_error_of_the_function_names_the_event() -> None:
    """It is the user's bug, not one of eslab."""
    with pytest.raises(InvalidInput, match="the sample's event number 0, its function raised ZeroDivisionError"):
        own_sample(Counter, lambda number: 1 // number).event(0)


def test_an_encrypted_type_is_refused() -> None:
    """Its key would be measured too."""
    with pytest.raises(InvalidInput, match="Expected an aggregate type in plain, got Secret"):
        own_sample(Secret, counted)


def test_peers_know_frosting_only() -> None:
    """They can't store an aggregate of ours."""
    with pytest.raises(InvalidInput, match="Expected no peer beside Counter, got eventsourcing"):
        measure_hydration("memory", [1], peers=["eventsourcing"], sample=own_sample(Counter, counted))
