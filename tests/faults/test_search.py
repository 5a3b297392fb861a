"""The search finds what was found by hand; each of these faults is in the core as it is, and has its step to come."""

from collections.abc import Callable

import pytest

from eslab import Repository, Request
from eslab.faults.checker import violations
from eslab.faults.choices import Choices, parsed, written
from eslab.faults.explore import Outcome, run, search, shrink
from eslab.faults.history import History
from eslab.faults.stepwise import Stepwise, schedules
from eslab.faults.story import BOUNDS
from eslab.faults.tally import Count, Tallies
from eslab.faults.world import World
from eslab.stores.memory import MemoryStore
from tests.support.sample import START

OWN_COMMIT = "client 0/3=1, client 0/5=2, story/0=2, story/3=1, story/4=1"


def test_a_retry_that_overlaps_its_first_delivery_is_found() -> None:
    """It is decided on its own commit: the request has two places, or is rejected because it fills the tally itself."""
    found = search(range(5000, 5400))
    assert found.schedules == 400
    assert found.broken.keys() & {"twice", "unfounded"}
    assert {"retries overlapped", "snapshots built", "cuts", "pauses", "rotations", "kills"} <= found.met.keys()


def test_a_schedule_shrinks_to_what_it_needs() -> None:
    """Each choice that is left is needed, and the schedule can be replayed from its text."""
    _, outcome = next(iter(search(range(5000, 5400)).first.values()))
    rule = outcome.violations[0].rule
    smallest = shrink(outcome, rule)
    assert len(smallest.choices) < len(outcome.choices)
    assert rule in broken(run(Choices("", parsed(written(smallest.choices)))))
    for place in smallest.choices:
        fewer = {other: value for other, value in smallest.choices.items() if other != place}
        assert rule not in broken(run(Choices("", fewer)))


def test_the_same_seed_is_the_same_history() -> None:
    """To the last operation."""
    assert story(11) == story(11) != story(12)


@pytest.mark.parametrize(("limit", "rule"), [(1, "unfounded"), (9, "twice")])
def test_all_interleavings_of_a_request_and_its_retry(limit: int, rule: str) -> None:
    """Some of them break a promise; none loses the request."""
    histories = [history.operations for history in all_of(two_deliveries(limit))]
    kinds = {violation.rule for operations in histories for violation in violations(operations)}
    assert len(histories) > 50
    assert rule in kinds
    assert "lost" not in kinds


def broken(outcome: Outcome) -> set[str]:
    return {violation.rule for violation in outcome.violations}


def story(seed: int) -> list[str]:
    return [str(operation) for operation in run(Choices(seed)).history.operations]


def two_deliveries(limit: int) -> Callable[[World, Tallies, History], None]:
    """One request, delivered twice at once."""

    def begin(world: World, tallies: Tallies, history: History) -> None:
        request = Request.at(START, "one")
        for name in ("first", "retry"):
            world.spawn(
                name,
                lambda name=name: history.record(
                    lambda: tallies.count("ann", Count(keys=("1",), limit=limit), request),
                    process=name, what="count", region="file", keys=("1",), request=request, limit=limit,
                ),
            )  # fmt: skip

    return begin


def all_of(begin: Callable[[World, Tallies, History], None]) -> list[History]:
    """The histories of all interleavings of the processes that `begin` starts."""
    histories: list[History] = []

    def run_one(choices: Choices) -> list[int]:
        world = World(choices, START)
        store: object = Stepwise(MemoryStore(), world)
        history = History(world)
        begin(world, Tallies(Repository(store, world.clock(), BOUNDS)), history)  # type: ignore[arg-type]
        could = world.run_in_any_order()
        world.close()
        histories.append(history)
        return could

    assert list(schedules(run_one))
    return histories
