"""The exercises of lesson 06: an aggregate whose snapshots are as good as a replay, and the interval for a load."""

from collections.abc import Sequence
from datetime import date

from hypothesis import strategies as st

from eslab.lab.exercises import Exercise, Rule, Wrong
from eslab.lab.lessons.exercises.interval_for_a_load import interval
from eslab.lab.lessons.exercises.own_aggregate import (
    EARLIER,
    EARLIEST,
    ONE,
    Visited,
    begins_with_nothing,
    can_be_stored,
    commutes,
    equals_a_replay,
    is_the_same_elsewhere,
    repeats_itself,
    shares_nothing,
    survives_a_snapshot,
    tells_the_figures,
)

__all__ = ["Visited", "guest", "interval"]

VISIT = st.builds(
    Visited,
    st.sampled_from(["Elm", "Rue", "Baker"]),
    st.sampled_from([0, 10, 20, 250]),
    st.dates(date(2026, 1, 1), date(2026, 1, 9)),
)
VISITS = st.lists(VISIT, max_size=5)
DIMES = [Visited("Elm", cents, date(2026, 1, 5)) for cents in (10, 20, 30)]
ORDERS = VISITS.flatmap(lambda visits: st.tuples(st.just(visits), st.permutations(visits)))
CUTS = VISITS.flatmap(lambda visits: st.tuples(st.just(visits), st.integers(0, len(visits))))

SUMS = ["visits: int = 0", "spent: int = 0"]
FIELDS = [*SUMS, "shops: set[str] = set()", "last: date | None = None"]
ADD = ["self.visits += 1", "self.spent += event.cents"]
ADD_SHOP, ADD_LAST = "self.shops.add(event.shop)", "self.last = max(self.last or event.day, event.day)"


def _guest(fields: Sequence[str], apply: Sequence[str], more: str = "", above: str = "") -> str:
    """The text of a class with these fields and this `apply`; `more` is the body of a property `shops`."""
    lines = [*fields, "", "def apply(self, event: Visited) -> None:", *(f"    {line}" for line in apply)]
    lines += ["", "@property", "def shops(self):", f"    return {more}"] if more else []
    body = "\n".join(f"    {line}".rstrip() for line in lines)
    return f"{above}class Guest(Aggregate):\n{body}"


guest = Exercise(
    "guest",
    "06_snapshot_vs_replay",
    "Write the aggregate `Guest`, so that a snapshot and the later visits give what a replay gives, in any order of "
    "the visits. It tells `visits`, `spent` in cents, `shops` (their names) and `last` (the latest day, or None), each "
    "as a field or a property.",
    answer="Guest",
    seconds=15,
    rules=[
        Rule("the class can be stored", can_be_stored),
        Rule("a guest begins with nothing", begins_with_nothing),
        Rule("guests share nothing", shares_nothing),
        Rule(
            "the figures are right",
            tells_the_figures,
            examples=[[ONE], [ONE, ONE], [ONE, EARLIEST, EARLIER]],
            cases=VISITS,
        ),
        Rule("the same visits give the same state again", repeats_itself, cases=VISITS),
        Rule(
            "another order of the visits gives the same state", commutes, examples=[(DIMES, DIMES[::-1])], cases=ORDERS
        ),
        Rule("a snapshot gives the state back", survives_a_snapshot, cases=VISITS),
        Rule("a snapshot and the later visits give what a replay gives", equals_a_replay, cases=CUTS),
        Rule("another server folds the same state", is_the_same_elsewhere),
    ],
    hints=[
        "Four declared fields are enough. Which of them is not a sum? A set of names needs a type that says so, and "
        "the latest day is the later one of what you have and of what comes.",
        "`shops: set[str] = set()` and `last: date | None = None`. Then `self.shops.add(event.shop)` and "
        "`self.last = max(self.last or event.day, event.day)`.",
    ],
    wrong=[
        Wrong(_guest([*FIELDS[:3], "last: date = None"], [*ADD, ADD_SHOP, ADD_LAST]), "Expected a default of its type"),
        Wrong(
            _guest([*SUMS, FIELDS[3]], [*ADD, ADD_LAST, "KNOWN.add(event.shop)"], "KNOWN", "KNOWN = set()\n\n\n"),
            "all guests share it",
        ),
        Wrong(
            _guest([*SUMS, FIELDS[3]], [*ADD, ADD_LAST, "self.shops = getattr(self, 'shops', set()) | {event.shop}"]),
            "Give every field a default",
        ),
        Wrong(_guest(FIELDS, [*ADD, ADD_SHOP, "self.last = date.today()"]), "must read no clock"),
        Wrong(_guest(FIELDS, [*ADD, ADD_SHOP, "self.last = event.day"]), "keep the later of two"),
        Wrong(
            _guest(
                [*FIELDS, "seen: list[Visited] = []"],
                ["if event in self.seen:", "    return", "self.seen.append(event)", *ADD, ADD_SHOP, ADD_LAST],
            ),
            "Two equal events are two visits",
        ),
        Wrong(_guest(FIELDS, [ADD[0], f"{ADD[1]} / 100", ADD_SHOP, ADD_LAST]), "Spent is in cents"),
        Wrong(
            _guest(FIELDS, ["if not event.cents:", "    raise ValueError('nothing')", *ADD, ADD_SHOP, ADD_LAST]),
            "apply refused an event.",
        ),
        Wrong(
            _guest(
                [*FIELDS, "loaded: datetime = field(default_factory=datetime.now)"],
                [*ADD, ADD_SHOP, ADD_LAST],
                above="from datetime import datetime\n\nfrom msgspec import field\n\n\n",
            ),
            "Something in the state is no event",
        ),
        Wrong(
            _guest(
                [*SUMS, "shops: list[str] = []", FIELDS[3]],
                [*ADD, ADD_LAST, "if event.shop not in self.shops:", "    self.shops.append(event.shop)"],
            ),
            "A list is in the order of arrival",
        ),
        Wrong(
            _guest(
                [*SUMS, FIELDS[3]],
                [*ADD, ADD_LAST, "self._shops = {*self.shops, event.shop}"],
                "getattr(self, '_shops', set())",
            ),
            "A snapshot holds the declared fields and nothing else.",
        ),
        Wrong(
            _guest(
                [*SUMS, "shops: Any = set()", FIELDS[3]],
                [*ADD, ADD_SHOP, ADD_LAST],
                above="from typing import Any\n\n\n",
            ),
            "without one, a set comes back as a list",
        ),
        Wrong(
            _guest(
                [*SUMS, "by_shop: dict[str, int] = {}", FIELDS[3]],
                [*ADD, ADD_LAST, "self.by_shop[event.shop] = self.by_shop.get(event.shop, 0) + 1"],
                "set(self.by_shop)",
                "from functools import cached_property\n\n\n",
            ).replace("@property", "@cached_property"),
            "What was computed when the snapshot was read was kept",
        ),
        Wrong(_guest([*FIELDS, "since: date = date.today()"], [*ADD, ADD_SHOP, ADD_LAST]), "holds today's date"),
        Wrong(
            _guest([*FIELDS, "known: int = 0"], [*ADD, ADD_SHOP, ADD_LAST, "self.known ^= hash(event.shop)"]),
            "are those of one process",
        ),
    ],
)
