"""Lesson 06: the check of an own aggregate and that of an interval accept every right answer, and no loophole."""

from collections import Counter
from collections.abc import Callable
from datetime import date, datetime
from functools import cached_property
from math import ceil, sqrt
from typing import Any

import pytest

from eslab import Aggregate
from eslab.lab.answers import Answer
from eslab.lab.lessons.exercises.interval_for_a_load import Load, costs_little
from eslab.lab.lessons.exercises.own_aggregate import Visited, figures_of, folded
from eslab.lab.lessons.exercises.snapshot_vs_replay import guest, interval


class ByShop(Aggregate):
    """Other fields, and properties."""

    by_shop: dict[str, int] = {}
    spent: int = 0
    days: set[date] = set()

    def apply(self, event: Visited) -> None:
        self.by_shop[event.shop] = self.by_shop.get(event.shop, 0) + 1
        self.spent += event.cents
        self.days.add(event.day)

    @property
    def visits(self) -> int:
        """All of them."""
        return sum(self.by_shop.values())

    @property
    def shops(self) -> Any:
        """The names, as a generator."""
        return (shop for shop in self.by_shop)

    @property
    def last(self) -> date | None:
        """The latest day."""
        return max(self.days, default=None)


class Sorted(Aggregate):
    """A list in an order of its own, methods, and another parameter."""

    counted: int = 0
    cents: float = 0.0
    names: list[str] = []
    latest: date = date.min

    def apply(self, visit: Visited) -> None:
        print("a visit")
        self.counted += 1
        self.cents += visit.cents
        self.names = sorted({*self.names, visit.shop})
        self.latest = max(self.latest, visit.day)

    def visits(self) -> int:
        return self.counted

    def spent(self) -> float:
        return self.cents

    def shops(self) -> list[str]:
        return self.names

    def last(self) -> date | None:
        return self.latest if self.counted else None


class Encrypted(ByShop):
    """Encrypted, under another name and fold."""

    encrypted = True
    stored_as = "secret-guest"
    fold_version = 4


@pytest.mark.parametrize("right", [ByShop, Sorted, Encrypted])
def test_any_fields_are_right_that_tell_the_figures(right: type[Aggregate]) -> None:
    """Properties, methods, sorted lists, whole floats and settings of the class are the reader's."""
    assert guest.judge(Answer(right)).passed is True


def test_figures_may_be_fields_properties_or_methods() -> None:
    """The shops come in any collection."""
    events = [Visited("Elm", 250, date(2026, 1, 5)), Visited("Rue", 0, date(2026, 1, 4))]
    assert figures_of(folded(ByShop, events)) == (2, 250, {"Elm", "Rue"}, date(2026, 1, 5))
    assert figures_of(folded(Sorted, events)) == (2, 250, {"Elm", "Rue"}, date(2026, 1, 5))


def changed(also: Callable[[Any, Visited], object], **fields: Any) -> Answer:
    """The first right answer with further fields, and with something that `apply` does too."""

    def apply(self: Any, event: Visited) -> None:
        ByShop.apply(self, event)
        also(self, event)

    annotations = {name: type(default) for name, default in fields.items()}
    return Answer(type(ByShop)("Guest", (ByShop,), {**fields, "apply": apply, "__annotations__": annotations}))


class Cached(ByShop):
    """A wrong answer: it remembers the number of visits when somebody asks, and later visits are missing in it."""

    @cached_property
    def visits(self) -> int:
        return sum(self.by_shop.values())


def previous(self: Any, event: Visited) -> None:
    self.note = event.shop


def now(self: Any, event: Visited) -> None:
    self.note = str(datetime.now())


def undeclared(self: Any, event: Visited) -> None:
    self.more = event.shop


def euros(self: Any, event: Visited) -> None:
    self.sum = self.sum + event.cents / 100


def counter(self: Any, event: Visited) -> None:
    self.counts = Counter({**self.counts, event.shop: 1})


def refuse(self: Any, event: Visited) -> None:
    raise ValueError("no free coffee")


def zero(self: Any, event: Visited) -> None:
    1 / event.cents


@pytest.mark.parametrize(
    ("answer", "broken", "shown"),
    [
        (changed(previous, note=""), "another order of the visits gives the same state", ".note is 'Rue' in this"),
        (changed(now, note=""), "the same visits give the same state again", "in one replay"),
        (changed(euros, sum=0.0), "another order of the visits gives the same state", "0.6000000000000001"),
        (changed(undeclared), "a snapshot gives the state back", "it lacks .more"),
        (changed(counter, counts={}), "a snapshot gives the state back", "Counter({"),
        (Answer(Cached), "a snapshot and the later visits give what a replay gives", "a snapshot holds the first"),
        (changed(refuse), "the figures are right", "apply refused an event"),
        (changed(zero), "the figures are right", "cents=0"),
    ],
    ids=lambda it: it if isinstance(it, str) else "",
)
def test_what_a_snapshot_or_another_order_would_change_is_found(answer: Answer, broken: str, shown: str) -> None:
    """The rule that is broken is named, with the smallest case."""
    checked = guest.judge(answer)
    assert (checked.passed, checked.broken) == (False, broken), str(checked)
    assert shown in str(checked)


@pytest.mark.parametrize("answer", [3, dict, lambda events: 1, Visited])
def test_anything_but_a_class_of_aggregates_can_not_be_judged(answer: object) -> None:
    """The check says what to write."""
    checked = guest.judge(Answer(answer))
    assert checked.passed is None and "class Guest(Aggregate)" in checked.title


def by_search(build: float, event: float, reads: float) -> int:
    """The least cost, by trying all."""
    return min(range(1, 10_000), key=lambda each: build / each + reads * event * each / 2)


def by_doubling(build: float, event: float, reads: float) -> int:
    """The least cost among the powers of two: the order is enough."""
    return min((2**power for power in range(20)), key=lambda each: build / each + reads * event * each / 2)


@pytest.mark.parametrize(
    "right",
    [
        by_search,
        by_doubling,
        lambda build, event, reads: ceil(sqrt(2 * build / (reads * event))),
        lambda build, event, reads: max(1, round(sqrt(build / (reads * event)))),
        lambda build, event, reads: max(1.0, sqrt(4 * build / (reads * event))),
    ],
)
def test_an_interval_is_right_that_costs_a_tenth_more_than_the_least(right: Any) -> None:
    """By formula, by search, rounded, or for the longest tail instead of the mean."""
    assert interval.judge(Answer(right)).passed is True


@pytest.mark.parametrize(
    ("wrong", "shown"),
    [
        (lambda b, e, r: (2 * b / (r * e)) ** (1 / 3), "look where the sum is least"),
        (lambda b, e, r: b / (e - 10), "ZeroDivisionError"),
        (lambda b, e, r: float("inf"), "Return one number"),
        (lambda b, e, r: [45], "Return one number"),
        (lambda b, e, r: -3, "at least one event"),
        (lambda b, e, r: max(1, (2 * b / (max(r, 1) * e)) ** 0.5), "one read for 100 writes"),
    ],
)
def test_an_interval_that_costs_more_is_shown_with_both_costs(wrong: Any, shown: str) -> None:
    """Beside the least one."""
    checked = interval.judge(Answer(wrong))
    assert (checked.passed, shown in str(checked)) == (False, True)


def test_the_best_interval_of_a_load_is_the_cheapest_whole_number() -> None:
    """Found by trying all, for loads of every kind."""
    for load in (Load(10_000, 10, 1), Load(10, 50, 100), Load(5_000, 2, 0.01), Load(100, 1, 3)):
        assert load.best == min(range(1, 5_000), key=load.cost)
        assert costs_little(Answer(lambda b, e, r, best=load.best: best), load) is None
