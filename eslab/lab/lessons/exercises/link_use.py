"""The exercise of lesson 09 on a node's link: the share of it that rows and copies of an index take."""

from math import isclose, isfinite
from numbers import Real
from typing import Any, NamedTuple

from hypothesis import strategies as st

from eslab.lab.answers import Answer
from eslab.lab.exercises import Exercise, Rule, Wrong
from eslab.lab.feedback import Difference

NEAR = 0.01  # a hundredth: nobody needs it more exactly


class Plan(NamedTuple):
    """What a node's link carries, and how much it can."""

    megabits: float  # a second, that the link carries
    rows: float  # bytes of a download's rows
    table: float  # bytes of its rows in read tables; 0 without them
    replicas: int  # of each row; they are spread over the nodes
    entry: float  # bytes of its entries in the index
    copies: int  # of the index, each whole; 0 without an index
    times: float  # how often each byte of the index is sent to each copy

    def used(self, writes: float, nodes: int) -> float:
        """The share of the link that is in use; above 1 it can't keep up."""
        rows = (self.rows + self.table) * self.replicas / nodes
        return writes * (rows + self.entry * self.copies * self.times) / (self.megabits * 125_000)

    def __str__(self) -> str:
        return ", ".join(f"{name} {value:g}" for name, value in self._asdict().items())


Case = tuple[Plan, int, int]  # and the downloads a second, and the nodes


def _index_on_nodes(plan: Plan, writes: float, nodes: int) -> float:
    own = (plan.rows + plan.table) * plan.replicas + plan.entry * plan.copies * plan.times
    return writes * own / nodes / (plan.megabits * 125_000)


def _without(**zeros: float) -> Any:
    """The share of a plan in which these figures are replaced."""
    return lambda plan, writes, nodes: plan._replace(**zeros).used(writes, nodes)


MISTAKES: dict[str, tuple[Any, str]] = {  # what an answer computes instead, and the words for it
    "bits": (
        lambda plan, writes, nodes: plan.used(writes, nodes) / 8,
        "The link is in megabits and all else in bytes. A byte has 8 bits.",
    ),
    "binary": (
        lambda plan, writes, nodes: plan.used(writes, nodes) * 1_000_000 / 2**20,
        "A megabit of a link is 1,000,000 bits, not 2 to the power of 20.",
    ),
    "percent": (
        lambda plan, writes, nodes: plan.used(writes, nodes) * 100,
        "This is in per cent. A share is 1 where the link is full.",
    ),
    "inverse": (
        lambda plan, writes, nodes: 1 / plan.used(writes, nodes),
        "This is what the link carries, divided by what it has to carry. Turn it round.",
    ),
    "capped": (
        lambda plan, writes, nodes: min(1.0, plan.used(writes, nodes)),
        "Don't cut it off at 1: a plan that needs three links is worse than one that needs one and a half.",
    ),
    "replicas": (_without(replicas=1), "Each row is on several nodes, so it is sent `plan.replicas` times."),
    "copies": (_without(copies=1), "Every copy of the index gets every file: multiply by `plan.copies`."),
    "times": (_without(times=1), "A merge makes a new file, which is copied again: multiply by `plan.times`."),
    "table": (_without(table=0), "Read tables are rows too. They are not free: add `plan.table`."),
    "index": (_without(copies=0), "The index travels over the same link: add its bytes."),
    "rows": (_without(rows=0, table=0), "The rows travel over the same link: add their bytes."),
    "every node": (
        lambda plan, writes, nodes: plan.used(writes, 1),
        "The rows are spread over the nodes: a node sends its share, one of `nodes` parts.",
    ),
    "spread index": (
        _index_on_nodes,
        "The index is not spread over the nodes. Each copy is whole, so more nodes don't make it smaller.",
    ),
    "one download": (
        lambda plan, writes, nodes: plan.used(1, nodes),
        "That is one download. `writes` come in a second.",
    ),
}


def tells_the_share(answer: Answer, case: Case) -> Difference | None:
    """The share is right, to a hundredth of it."""
    plan, writes, nodes = case
    outcome, expected = answer(plan, writes, nodes), plan.used(writes, nodes)
    given = [f"a plan with {plan}"]
    call = f"used(plan, writes={writes:,}, nodes={nodes})"
    if not _is_number(outcome.value):
        why = outcome.advice or "Return one number: 0 for an idle link, 1 for a full one."
        return Difference(given, call, f"{expected:.4g}", str(outcome), why)
    if isclose(float(outcome.value), expected, rel_tol=NEAR, abs_tol=1e-6):
        return None
    return Difference(given, call, f"{expected:.4g}", f"{float(outcome.value):.4g}", _why(answer))


def _why(answer: Answer) -> str:
    """The mistake that explains the answer in every probe; empty if none does."""
    given = [answer(*probe).value for probe in PROBES]
    if all(_is_number(value) for value in given):
        for mistake, words in MISTAKES.values():
            if all(isclose(float(v), mistake(*probe), rel_tol=NEAR) for v, probe in zip(given, PROBES, strict=True)):
                return words
    return "Add up the bytes that the node sends for one download, then multiply by the downloads of a second."


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and isfinite(value)


INDEXED = Plan(100, 800, 0, 3, 200, 2, 3)
BOTH = Plan(100, 800, 1_000, 3, 200, 2, 3)
EXAMPLES: list[Case] = [
    (INDEXED, 1_000, 6),
    (INDEXED, 1_000, 12),
    (Plan(100, 800, 1_000, 3, 0, 0, 0), 1_000, 6),
    (INDEXED, 100_000, 6),
]
PROBES: list[Case] = [(BOTH, 1_000, 6), (BOTH, 50_000, 12), (BOTH._replace(copies=5, replicas=2), 3_000, 24)]
PLANS = st.builds(
    Plan,
    st.sampled_from([50, 100, 1_000, 10_000]),
    st.sampled_from([200, 800, 2_000]),
    st.sampled_from([0, 1_000]),
    st.integers(1, 3),
    st.sampled_from([50, 200]),
    st.integers(0, 6),
    st.sampled_from([1, 2, 3, 5]),
)
CASES = st.tuples(PLANS, st.sampled_from([10, 1_000, 50_000]), st.sampled_from([3, 6, 48]))

DEF = "def used(plan, writes, nodes):\n"
BODY = (
    f"{DEF}    rows = (plan.rows + plan.table) * plan.replicas / nodes\n"
    "    index = plan.entry * plan.copies * plan.times\n"
    "    return writes * (rows + index) / (plan.megabits * 1_000_000 / 8)"
)


def wrong(old: str, new: str, mistake: str) -> Wrong:
    """The solution with one place changed, and the words for it."""
    return Wrong(BODY.replace(old, new), MISTAKES[mistake][1])


link_use = Exercise(
    "link_use",
    "09_why_the_first_two_designs_failed",
    "Write `used(plan, writes, nodes)`: the share of a node's link that is in use, 1 where it is full, and more where "
    "it can't keep up. The rows are spread over the nodes, `plan.replicas` times. Every copy of the index gets every "
    "byte of it, `plan.times` times.",
    answer="used",
    rules=[Rule("it tells the share of the link", tells_the_share, examples=EXAMPLES, cases=CASES)],
    hints=[
        "For each download the node sends its part of the rows, and whole index files. Which of the two gets smaller "
        "when there are more nodes?",
        "`rows = (plan.rows + plan.table) * plan.replicas / nodes` and `index = plan.entry * plan.copies * plan.times`."
        " A megabit is 1,000,000 bits, and a byte has 8.",
    ],
    wrong=[
        wrong("1_000_000 / 8", "1_000_000", "bits"),
        wrong("1_000_000 / 8", "2**20 / 8", "binary"),
        Wrong(BODY.replace("return writes", "return 100 * writes"), MISTAKES["percent"][1]),
        Wrong(BODY.replace("return ", "return 1 / (") + ")", MISTAKES["inverse"][1]),
        Wrong(BODY.replace("return ", "return min(1, ") + ")", MISTAKES["capped"][1]),
        wrong(" * plan.replicas", "", "replicas"),
        wrong(" * plan.copies", "", "copies"),
        wrong(" * plan.times", "", "times"),
        wrong(" + plan.table", "", "table"),
        wrong("(rows + index)", "rows", "index"),
        wrong("(rows + index)", "index", "rows"),
        wrong(" / nodes", "", "every node"),
        wrong("(rows + index)", "(rows + index / nodes)", "spread index"),
        wrong("writes * (", "(", "one download"),
        Wrong(f"{DEF}    print(plan)", "Return one number"),
    ],
)
