"""The exercises of lesson 07: a handler that counts twice, and how often and how long to retry."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from functools import cache, partial

from hypothesis import strategies as st

from eslab.faults import Counts, Retry, Storm, storm
from eslab.lab.answers import Answer, Undecided
from eslab.lab.exercises import Exercise, Rule, Wrong
from eslab.lab.feedback import Difference
from eslab.lab.lessons.exercises.plays import (
    OVERLAP,
    RESTART,
    SNAPSHOT,
    WISHES,
    CountPlay,
    History,
    PlayCounted,
    Program,
    Step,
)
from eslab.lab.lessons.retry_storm import Weather

__all__ = ["CountPlay", "PlayCounted", "count_once", "patience"]

WHY = {
    "wishes": "Each hydration folds the rows into an empty state. What was counted must follow from the events alone.",
    "repeats": "The second delivery is the same wish under another request. Both have the same key, `command.wish`.",
    "restart": "The process was started again, and its memory is gone. Remember the wishes in the state: it is folded "
    "from the rows, in every process.",
    "snapshot": "A snapshot holds the fields of the aggregate, and nothing else that you put into the object. Declare "
    "what you remember: `wishes: set[str] = set()`.",
    "overlap": "Both were decided before either was written, so the handler could not know. Let `apply` look as well.",
    "mixed": "Nothing in the state knows this wish any more. Keep the wishes that were counted in a field.",
}
TITLE = "Two wishes for one title are two plays. Remember wishes, not titles."
RANDOM = "The event has another key than the command: a repeat makes another one, and nobody can tell that it is one."
REJECTED = "A repeat is no mistake of the device: what it asks for has happened. Fulfil it, without counting it again."


def counts_each_wish_once(kind: str, answer: Answer, steps: Sequence[Step]) -> Difference | None:
    """After each step the aggregate counts as many plays as there were wishes."""
    with closing(History(Program.of(answer))) as history:
        for step in steps:
            history.take(step)
            if history.error or history.rejected or history.count != history.expected:
                expected = f"{history.expected} counted"
                return Difference(history.lines[:-1], history.lines[-1], expected, history.got, _why(kind, history))
    return None


def _why(kind: str, history: History) -> str:
    if history.error:
        return WHY["snapshot"] if history.steps[-1] == SNAPSHOT else ""
    if history.rejected:
        return REJECTED
    if history.count == len(history.titles) < history.expected:
        return TITLE
    if history.count < history.expected:
        return WHY["wishes"]
    return RANDOM if history.has_another_key else WHY[kind]


DELIVERY = st.sampled_from([*WISHES])
FEW = st.lists(DELIVERY, min_size=1, max_size=5)
OTHERS = st.sampled_from([RESTART, SNAPSHOT, *(OVERLAP + wish for wish in WISHES)])
ALL = st.lists(DELIVERY | OTHERS, max_size=8)


def _rule(says: str, kind: str, examples: Sequence[Sequence[Step]], cases: st.SearchStrategy | None = None) -> Rule:
    return Rule(says, partial(counts_each_wish_once, kind), examples=examples, cases=cases)


CELL = """
class Plays(Aggregate):
    count: int = 0{fields}

    def apply(self, event: PlayCounted) -> None:
        {apply}self.count += 1


def handle_play(plays, command, request):
    {handler}return [PlayCounted(command.wish, command.title)]


counting = Plays, handle_play
"""
LOOK = "if command.wish in plays.wishes:\n    {}"
WISH_FIELD = "wishes: set[str] = set()"


def cell(before: str = "", fields: str = "", apply: str = "", handler: str = "") -> str:
    """The exercise's cell with lines before it, among the fields, and at the beginning of both functions."""
    fields = "".join(f"\n    {line}" for line in fields.splitlines())
    apply, handler = (
        "".join(f"{line}\n{' ' * indent}" for line in lines.splitlines())
        for lines, indent in ((apply, 8), (handler, 4))
    )
    return f"{before}\n{CELL.format(fields=fields, apply=apply, handler=handler)}"


def seen(name: str, key: str, do: str = "return") -> str:
    """Lines that look a key up in a set, return if it is there, and put it into the set if not."""
    return f"if {key} in {name}:\n    {do}\n{name}.add({key})"


count_once = Exercise(
    "count_once",
    "07_retries_and_duplicates",
    "An old gateway makes a new request for each delivery, and passes on the key of the wish. Repair aggregate and "
    "handler, so that each wish counts once: after repeats, restarts and snapshots, and if two deliveries overlap.",
    answer="counting",
    rules=[
        _rule("each wish counts", "wishes", [["wish 1"], ["wish 1", "wish 2"], ["wish 1", "wish 3"]]),
        _rule("a repeat counts once", "repeats", [["wish 1", "wish 1"]], FEW),
        _rule("a repeat after a restart counts once", "restart", [["wish 1", RESTART, "wish 1"]]),
        _rule("a repeat after a snapshot counts once", "snapshot", [["wish 1", SNAPSHOT, "wish 1"]]),
        _rule("two deliveries at once count once", "overlap", [[f"{OVERLAP}wish 1"]]),
        _rule("all of these together", "mixed", [["wish 1", SNAPSHOT, RESTART, "wish 1"]], ALL),
    ],
    hints=[
        "What do two deliveries of one wish have in common, and where could you keep it so that it is still there "
        "after a restart and after a snapshot?",
        "Give `Plays` a field, `wishes: set[str] = set()`. In `apply`, return if `event.wish` is in it; else add it, "
        "and count. Then the handler may stay as it is.",
    ],
    wrong=[
        Wrong(
            cell("SEEN = set()", handler=seen("SEEN", "command.wish", "return []")),
            "its memory is gone",
        ),
        Wrong(
            cell(fields="titles: set[str] = set()", apply=seen("self.titles", "event.title")),
            "Remember wishes, not titles.",
        ),
        Wrong(
            cell("from uuid import uuid4", WISH_FIELD, seen("self.wishes", "event.wish")).replace(
                "PlayCounted(command.wish,", "PlayCounted(str(uuid4()),"
            ),
            "The event has another key than the command",
        ),
        Wrong(
            cell(apply=f'wishes = vars(self).setdefault("wishes", set())\n{seen("wishes", "event.wish")}'),
            "which is no field",
        ),
        Wrong(
            cell(
                "from functools import cached_property",
                "\n@cached_property\ndef wishes(self):\n    return set()",
                seen("self.wishes", "event.wish"),
            ),
            "A snapshot holds the fields of the aggregate",
        ),
        Wrong(
            cell(fields=WISH_FIELD, apply="self.wishes.add(event.wish)", handler=LOOK.format("return []")),
            "so the handler could not know",
        ),
        Wrong(
            cell(
                "from eslab import Rejected",
                WISH_FIELD,
                seen("self.wishes", "event.wish"),
                LOOK.format('raise Rejected("repeat", "no")'),
            ),
            "what it asks for has happened",
        ),
    ],
    seconds=20,
)


SEEDS = (1, 2, 3)
FEWEST_ANSWERED, MOST_CALLS, LONGEST_WAIT = 0.98, 1.8, timedelta(seconds=10)


@cache
def storms_of(retry: Retry) -> Sequence[Storm]:
    """A hundred wishes in the weather of the lesson with this policy, for each seed."""
    return [storm(seed=seed, network=replace(Weather(), seed=seed).network, retry=retry) for seed in SEEDS]


def _storms(answer: Answer) -> Sequence[Storm]:
    if not isinstance(answer.value, Retry):
        raise Undecided(f"the answer is {answer.value!r}. Write Retry(attempts=..., timeout=timedelta(seconds=...)).")
    return storms_of(answer.value)


def _counts(storms: Sequence[Storm]) -> Counts:
    wishes, attempted, unknown = (
        sum(getattr(one.counts, name) for one in storms) for name in ("wishes", "attempted", "unknown")
    )
    return storms[0].counts._replace(wishes=wishes, attempted=attempted, unknown=unknown)


def is_answered(answer: Answer, _: object) -> Difference | None:
    """Nearly every phone gets an answer."""
    counts = _counts(_storms(answer))
    share = 1 - counts.unknown / counts.wishes
    if share >= FEWEST_ANSWERED:
        return None
    why = "Too few attempts, or a deadline that ends them: each one fails more often than once in three."
    return _policy_differs(answer, f"{FEWEST_ANSWERED:.0%} of the phones answered or more", f"{share:.1%}", why)


def spares_the_service(answer: Answer, _: object) -> Difference | None:
    """Calls are not repeated that are merely slow."""
    counts = _counts(_storms(answer))
    calls = counts.attempted / counts.wishes
    if calls <= MOST_CALLS:
        return None
    why = "The time-out is so short that slow calls count as lost. Each is carried out nevertheless, and then repeated."
    return _policy_differs(answer, f"{MOST_CALLS} calls for each wish or fewer", f"{calls:.2f}", why)


def keeps_nobody_waiting(answer: Answer, _: object) -> Difference | None:
    """The longest wait for an answer, or for giving up."""
    waits = [one.attempts[-1].ended - one.attempts[0].began for ran in _storms(answer) for one in ran.outcomes]
    longest = max(waits)
    if longest <= LONGEST_WAIT:
        return None
    why = "A lost message is noticed when the time-out ends, and there are several in the worst case."
    wanted = f"nobody waits longer than {LONGEST_WAIT.seconds} s"
    return _policy_differs(answer, wanted, f"{longest.total_seconds():.1f} s", why)


def _policy_differs(answer: Answer, expected: str, got: str, why: str) -> Difference:
    given = [f"{len(SEEDS)} storms of 100 wishes in the weather of the lesson"]
    retry = answer.value
    words = f"attempts={retry.attempts}, timeout={retry.timeout.total_seconds():g} s"
    return Difference(given, f"phones retry with {words}", expected, got, why)


patience = Exercise(
    "patience",
    "07_retries_and_duplicates",
    "Choose how often and how long the phones try: at least 98 of 100 get an answer, the service gets at most 1.8 "
    "calls for each wish, and nobody waits longer than 10 s.",
    answer="policy",
    rules=[
        Rule("98 of 100 phones get an answer", is_answered),
        Rule("the service gets at most 1.8 calls for each wish", spares_the_service),
        Rule("nobody waits longer than 10 s", keeps_nobody_waiting),
    ],
    hints=[
        "Three of ten calls are slow, and none takes longer than 2 s. What does a time-out of 0.2 s make of them?",
        "A time-out of about 1 s catches half of the slow ones, and five or six attempts are enough then.",
    ],
    wrong=[
        Wrong("policy = Retry(attempts=2, timeout=timedelta(seconds=1))", "Too few attempts"),
        Wrong("policy = Retry(attempts=12, timeout=timedelta(seconds=0.2))", "slow calls count as lost"),
        Wrong("policy = Retry(attempts=8, timeout=timedelta(seconds=5))", "several in the worst case"),
    ],
    seconds=20,
)
