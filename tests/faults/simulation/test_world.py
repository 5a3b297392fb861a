"""The virtual world: one process at a time, time passes while all wait, and the same choices are the same run."""

from typing import Any

import pytest
from greenlet import getcurrent

from eslab.faults.choices import Choices, parsed, written
from eslab.faults.simulation.stepwise import schedules
from eslab.faults.simulation.world import Answer, World
from tests.support.sample import START


def new_world(seed: int = 0) -> World:
    return World(Choices(seed), START)


def test_a_year_takes_no_time() -> None:
    """Time passes only while all processes wait, in the order of what is due."""
    world = new_world()
    log: list[tuple[str, float]] = []

    def walk(name: str, pace: float) -> None:
        for _ in range(2):
            world.sleep(pace)
            log.append((name, world.now))

    world.spawn("hare", lambda: walk("hare", 86_400.0))
    world.spawn("tortoise", lambda: walk("tortoise", 31_536_000.0))
    world.run()
    assert log == [("hare", 86_400.0), ("hare", 172_800.0), ("tortoise", 31_536_000.0), ("tortoise", 63_072_000.0)]


def test_an_answer_wakes_all_who_wait_for_it() -> None:
    """Once, with its value; whoever is out of patience gets a `TimeoutError`."""
    world = new_world()
    answer: Answer[str] = Answer(world)
    heard: list[Any] = []

    def wait(patience: float | None) -> None:
        try:
            heard.append((patience, answer.wait(patience), world.now))
        except TimeoutError:
            heard.append((patience, "nothing", world.now))

    for patience in (None, 1.0, 5.0):
        world.spawn(f"waits {patience}", lambda patience=patience: wait(patience))
    world.after(3.0, lambda: answer.give("yes"))
    world.after(4.0, lambda: answer.give("no"))
    world.run()
    assert heard == [(1.0, "nothing", 1.0), (None, "yes", 3.0), (5.0, "yes", 3.0)]


def test_a_killed_process_has_no_further_effect() -> None:
    """Nor has its `finally`, as after kill -9."""
    world = new_world()
    world.kills = 1.0
    log: list[str] = []

    def work() -> None:
        try:
            log.append("begun")
            world.step()
            log.append("never")
        finally:
            log.append("never either") if not world.over else None

    process = world.spawn("process", work)
    world.run()
    assert (log, process.ended.done) == (["begun"], False)
    world.close()
    assert log == ["begun"]


def test_the_same_seed_is_the_same_run() -> None:
    """And what one process draws doesn't shift what another draws."""

    def draws(seed: int, others: int) -> list[int]:
        choices = Choices(seed)
        other = choices.stream("other")
        mine = choices.stream("mine")
        drawn = []
        for _ in range(20):
            drawn.append(mine.below(100))
            for _ in range(others):
                other.below(100)
        return drawn

    assert draws(7, 0) == draws(7, 3) != draws(8, 0)


def test_choices_are_replayed_from_their_text() -> None:
    """Those that aren't named are 0."""
    first = Choices(3)
    stream = first.stream("client 1")
    drawn = [stream.below(3) for _ in range(30)]
    again = Choices("", parsed(written(first.made))).stream("client 1")
    assert [again.below(3) for _ in range(30)] == drawn
    assert Choices("", {}).stream("client 1").below(3) == 0


@pytest.mark.parametrize(("processes", "steps", "number"), [(2, 1, 6), (2, 2, 20), (3, 1, 90)])
def test_every_interleaving_is_run_once(processes: int, steps: int, number: int) -> None:
    """Two processes of two turns can interleave in six ways, and so on: the multinomial coefficients."""
    logs: list[tuple[str, ...]] = []

    def run(choices: Choices) -> list[int]:
        world = World(choices, START)
        log: list[str] = []

        def work(name: str) -> None:
            log.append(name)
            for _ in range(steps):
                world.give_way()
                log.append(name)

        for name in "abc"[:processes]:
            world.spawn(name, lambda name=name: work(name))
        could = world.run_in_any_order()
        logs.append(tuple(log))
        return could

    assert len(list(schedules(run))) == len(set(logs)) == number


def test_the_hub_is_no_process() -> None:
    """Code outside all processes, such as a test, lets the world run until its answer is there."""
    world = new_world()
    answer: Answer[int] = Answer(world)
    world.after(2.0, lambda: answer.give(5))
    assert (answer.wait(), world.now, getcurrent()) == (5, 2.0, world.hub)
