"""The checker on histories that are known to be bad, one for each promise, and on a good one beside each."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from eslab import HistoryGone, OutcomeUnknown, OutOfTime, Request
from eslab.faults.checker import RULES, violations
from eslab.faults.history import Operation
from eslab.faults.tally import Answer, Tally
from tests.support.sample import START, at

ONE, TWO, OTHER = (Request.at(START + timedelta(seconds=second), str(second)) for second in range(3))
BOTH = ("1", "2")


def tally(**places: list[int]) -> Tally:
    """A tally with these places, by the names of requests."""
    names = {"one": ONE, "two": TWO, "other": OTHER}
    return Tally({str(names[name].id): list(at) for name, at in places.items()})


class Told:
    """A history, told operation by operation; each ends before the next begins, unless it is said to last."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []

    def add(self, what: str, answer: Any = None, *, lasts: int = 0, **about: Any) -> None:
        """An operation; it overlaps the `lasts` operations after it."""
        number = len(self.operations)
        told = {"process": what, "region": "us", "keys": ("1",), **about}
        order = (10 * number + 1, 10 * (number + lasts) + 5)
        self.operations.append(
            Operation(number, what=what, began=number, ended=number, order=order, answer=answer, **told)
        )

    def count(self, request: Request, places: dict[str, int], *, limit: int = 9, **about: Any) -> None:
        """A request that was counted at these places; a repeated one says so."""
        repeated = about.pop("repeated", False)
        consistent = {key: Tally({str(request.id): [place]}) for key, place in places.items()}
        answer = Answer(places, about.pop("tallies", consistent), repeated=repeated)
        self.add("count", answer, request=request, limit=limit, keys=about.pop("keys", tuple(places)), **about)

    def reject(self, request: Request, limit: int = 1) -> None:
        """A request that was rejected."""
        self.add("count", Answer({}, {}, rejected=True), request=request, limit=limit)

    def load(self, state: Tally, **about: Any) -> None:
        """A hydration of the first tally."""
        self.add("load", {"1": state}, **about)


def lost(told: Told, bad: bool) -> None:
    told.count(ONE, {"1": 1})
    told.load(tally() if bad else tally(one=[1]), final=True)


def twice(told: Told, bad: bool) -> None:
    told.load(tally(one=[1, 2] if bad else [1]))


def torn(told: Told, bad: bool) -> None:
    told.count(ONE, {"1": 1}, tallies={"1": tally() if bad else tally(one=[1])})


def changed(told: Told, bad: bool) -> None:
    told.count(ONE, {"1": 1})
    told.count(ONE, {"1": 2 if bad else 1}, repeated=True)


def forgotten(told: Told, bad: bool) -> None:
    told.count(ONE, {"1": 1})
    told.load(tally() if bad else tally(one=[1]))


def apart(told: Told, bad: bool) -> None:
    told.load(tally(one=[1]), final=True)
    told.load(tally(one=[2 if bad else 1]), final=True, region="eu")


def unfounded(told: Told, bad: bool) -> None:
    told.count(ONE if bad else TWO, {"1": 1}, lasts=1)
    told.reject(ONE)


def overshot(told: Told, bad: bool) -> None:
    told.count(ONE, {"1": 1}, limit=1, lasts=0 if bad else 1)
    told.count(TWO, {"1": 2}, limit=1)


def undone(told: Told, bad: bool) -> None:
    told.count(ONE, {"1": 1})
    error = OutOfTime("too old", START)
    told.add("count", None, request=ONE if bad else TWO, error=error)


def partial(told: Told, bad: bool) -> None:
    told.count(ONE, {"1": 1})
    told.add("snapshots", {START + timedelta(seconds=9): tally() if bad else tally(one=[1])}, final=True)


def gone(told: Told, bad: bool) -> None:
    told.add("load", error=HistoryGone("below the floor"), final=bad)


def stuck(told: Told, bad: bool) -> None:
    told.count(ONE, {"1": 1, "2": 1})
    answer = Answer({"1": 1}, {"1": tally(one=[1])}, repeated=not bad)
    told.add("recall", answer, request=ONE)


def unswept(told: Told, bad: bool) -> None:
    told.add("audit", [])
    told.add("compared", (tally() if bad else tally(one=[1]), tally(one=[1])), final=True)


def believed(told: Told, bad: bool) -> None:
    from eslab import Unreadable

    told.add("copied", {"3": tally(one=[1])} if bad else None, error=None if bad else Unreadable("copied"))


HISTORIES: list[Callable[[Told, bool], None]] = [
    lost, twice, torn, changed, forgotten, apart, unfounded, overshot, undone, partial, gone, stuck, unswept, believed,
]  # fmt: skip


@pytest.mark.parametrize("history", HISTORIES, ids=lambda it: it.__name__)
def test_a_known_bad_history_is_found(history: Callable[[Told, bool], None]) -> None:
    """With its rule and the operations that show it; the good one beside it is let through."""
    bad, good = Told(), Told()
    history(bad, True)
    history(good, False)
    found = violations(bad.operations)
    assert history.__name__ in {violation.rule for violation in found}
    assert all(violation.operations and violation.rule in str(violation) for violation in found)
    assert violations(good.operations) == []


def test_every_rule_has_a_known_bad_history() -> None:
    """No rule stands there untested."""
    assert [rule.__name__ for rule in RULES] == [history.__name__ for history in HISTORIES]


def test_a_request_that_was_decided_twice_may_be_told_either_way() -> None:
    """By deliveries that overlapped: then the greater digest wins, and later repeats are told that (G1)."""
    told = Told()
    told.count(ONE, {"1": 1}, lasts=1)
    told.count(ONE, {"1": 2})
    told.count(ONE, {"1": 2}, repeated=True)
    assert violations(told.operations) == []
    told.count(ONE, {"1": 3}, repeated=True)
    assert {violation.rule for violation in violations(told.operations)} == {"changed"}


def test_a_delivery_whose_outcome_is_unknown_may_be_heard_of_late() -> None:
    """What it wrote lies on a minority, which a retry can't see; when it surfaces, it may be the one that counts."""
    told = Told()
    told.add("count", request=ONE, error=OutcomeUnknown("not confirmed"))
    told.count(ONE, {"1": 2})
    told.count(ONE, {"1": 1}, repeated=True)
    assert violations(told.operations) == []


def test_what_was_archived_may_be_left_out() -> None:
    """A repeat is told what is left, or that its record is in the archive; never other places."""
    told = Told()
    told.count(ONE, {"1": 1, "2": 1})
    told.add("rotate", 1)
    told.count(ONE, {"2": 1}, repeated=True, keys=BOTH)
    told.add("count", request=ONE, error=OutOfTime("above the floor", START))
    assert violations(told.operations) == []
    told.count(ONE, {"2": 4}, repeated=True, keys=BOTH)
    assert violations(told.operations)


def test_an_operation_that_never_ended_proves_nothing() -> None:
    """A killed process may have done it or not."""
    told = Told()
    told.add("count", request=at())
    told.operations[0].ended, told.operations[0].order = None, (1, 0)
    told.load(tally(), final=True)
    assert violations(told.operations) == []
