"""An exercise of lesson 04: the partition of a row, the same for every repeat of a request, and spread over shards."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from numbers import Integral
from typing import Any

from hypothesis import strategies as st

from eslab import Request
from eslab.lab.answers import Answer, Outcome
from eslab.lab.exercises import Exercise, Rule, Wrong
from eslab.lab.feedback import Difference
from eslab.lab.session import START

STUDIO, SHARDS = "ACME", 4
MANY = 400  # requests, to see how they are spread
# A quarter of them is a fair share. A shard with less than half of that, or more than twice as much, is no share; an
# even spread comes to that by chance in fewer than one of a hundred million checks.
FEWEST, MOST = MANY // SHARDS // 2, MANY // SHARDS * 2
SAMPLE = 30  # requests that a second process decides again: by chance alone they'd never be all the same


def request(minute: int) -> Request:
    """The download of this minute; what it is called depends on nothing else."""
    return Request.at(START + timedelta(minutes=minute), f"download {minute}")


def _call(minute: int, studio: str = STUDIO, shards: int = SHARDS) -> str:
    return f"partition({studio!r}, <request of {request(minute).time:%Y-%m-%d %H:%M}>, {shards})"


def names(answer: Answer, case: tuple[int, str, int]) -> Difference | None:
    """The partition is studio, month and a shard from 0 to shards - 1."""
    minute, studio, shards = case
    made = request(minute)
    outcome = answer(studio, made, shards)
    why = outcome.advice or _why_no_partition(outcome.value, studio, f"{made.time:%Y-%m}", shards)
    if outcome.error is None and not why:
        return None
    expected = f"({studio!r}, '{made.time:%Y-%m}', 0 to {shards - 1})"
    return Difference([], _call(minute, studio, shards), expected, str(outcome), why)


def _why_no_partition(value: Any, studio: str, month: str, shards: int) -> str:
    """Which part of a partition is wrong; empty if none is."""
    match value:
        case (one, two, three):
            pass
        case _:
            return "Return three values: studio, month, shard."
    if one != studio:
        return f"The first value is the studio of the download, {studio!r}."
    if two != month:
        return f"The second value is the month of the request, from `request.time`, as {month!r}."
    if not isinstance(three, Integral):
        return f"The shard is a whole number, and {three!r} is a {type(three).__name__}."
    return "" if 0 <= int(three) < shards else f"The shard is a whole number from 0 to shards - 1, here {shards - 1}."


def repeats(answer: Answer, minute: int) -> Difference | None:
    """A repeated request has the same partition."""
    found = sorted({str(answer(STUDIO, request(minute), SHARDS)) for _ in range(20)})
    if len(found) == 1:
        return None
    why = "A retry would go to another shard, and the download would count twice: derive the shard from the request."
    return Difference([], f"{_call(minute)}, twenty times", "one partition", ", ".join(found), why)


def repeats_elsewhere(answer: Answer, _: object) -> Difference | None:
    """Another process, which hashes text with another seed, chooses the same partition."""
    asked = [(f"studio {number}", number) for number in range(SAMPLE)]
    there = answer.elsewhere(
        f"[repr(tuple({answer.name}(studio, Request.at(START + timedelta(minutes=minute), f'download {{minute}}'), "
        f"{SHARDS}))) for studio, minute in {asked!r}]",
        "from datetime import timedelta; from eslab import Request; from eslab.lab.session import START",
    )
    for (studio, minute), other in zip(asked, there, strict=True):
        here = repr(tuple(answer(studio, request(minute), SHARDS).value))
        if here != other:
            why = (
                "What the shard comes from is another one there: hash() of a text, a counter or a memory differs from "
                "process to process. A retry at another server would go elsewhere."
            )
            return Difference([], f"{_call(minute, studio)} in another process", here, other, why)
    return None


def spreads(answer: Answer, step: timedelta) -> Difference | None:
    """Downloads that follow each other at this step are spread: each shard gets half of a fair share or more."""
    requests = [Request.at(START + n * step, f"download {n}") for n in range(MANY)]
    outcomes = [answer(STUDIO, made, SHARDS) for made in requests]
    counted = Counter(map(_shard, outcomes))
    if all(FEWEST <= counted[shard] <= MOST for shard in range(SHARDS)):
        return None
    found = ", ".join(f"{counted[shard]} in shard {shard}" for shard in range(SHARDS))
    when = f"{MANY} downloads, one every {step.total_seconds():g} s"
    expected = f"{FEWEST} to {MOST} in each shard"
    return Difference([], when, expected, found, _why_not_spread(answer, outcomes, counted))


def _shard(outcome: Outcome) -> Any:
    """The shard of a partition; None if the answer fails for its request."""
    return None if outcome.error else outcome.value[2]


def _why_not_spread(answer: Answer, outcomes: Sequence[Outcome], counted: Counter[Any]) -> str:
    if broken := next((outcome for outcome in outcomes if outcome.error), None):
        return broken.advice
    over_time, at_once = (
        {_shard(answer(STUDIO, Request.at(START + n * step, f"other {n}"), SHARDS)) for n in range(MANY)}
        for step in (NO_BURST, timedelta())
    )
    if len(at_once) == 1 < len(over_time):
        return BURST
    empty = [str(shard) for shard in range(SHARDS) if not counted[shard]]
    if len(empty) == SHARDS - 1:
        return "Nothing is spread: every download goes to the same shard."
    if empty:
        return f"No download ever goes to shard {' or '.join(empty)}."
    return "Use a part of the request that takes all its values equally often, such as its random bits."


MINUTES = st.integers(0, 1_000_000)  # almost two years
ANY = st.tuples(MINUTES, st.sampled_from([STUDIO, "Netflix"]), st.integers(2, 8))
NO_BURST = timedelta(minutes=7, seconds=13, milliseconds=370)
BURSTS = [timedelta(milliseconds=100), timedelta(seconds=7), timedelta(hours=1)]
BURST = (
    "Downloads come in bursts, and here all downloads of one moment go to one shard. A shard that follows from the "
    "clock takes all of a burst."
)
SIGNED = "def partition(studio, request, shards):\n    return studio, f'{request.time:%Y-%m}', "

shards = Exercise(
    "shards",
    "04_query_first",
    "Write the partition of a download for the question: a studio's downloads in a month, spread over shards. A repeat "
    "goes to the same one, and every shard gets its share, also of a burst.",
    answer="partition",
    rules=[
        Rule("studio, month and a shard", names, cases=ANY),
        Rule("a repeated request gets the same partition", repeats, cases=MINUTES),
        Rule("also in another process", repeats_elsewhere),
        Rule("all shards get their share", spreads, examples=[NO_BURST]),
        Rule("also of a burst", spreads, examples=BURSTS),
    ],
    seconds=30,  # of which a second process may take most
    hints=[
        "A repeat has the same request, and no other download has it. What in it is a number, or can be made one?",
        "`request.id.int` is a number of 128 bits, of which the last 62 are random. What is left when you divide it?",
    ],
    wrong=[
        Wrong(f"from random import randrange\n\n{SIGNED}randrange(shards)", "derive the shard from the request"),
        Wrong(f"{SIGNED}hash(str(request.id)) % shards", "hash() of a text, a counter or a memory differs"),
        Wrong(f"{SIGNED}request.id.int % 4", "from 0 to shards - 1, here 1"),
        Wrong(f"{SIGNED}request.time.minute % shards", "A shard that follows from the clock"),
        Wrong(f"{SIGNED}0", "Nothing is spread"),
        Wrong(f"{SIGNED}request.id.int % 2", "No download ever goes to shard 2 or 3."),
        Wrong(f"{SIGNED}request.id.int / shards", "The shard is a whole number, and"),
        Wrong(
            SIGNED.replace("f'{request.time:%Y-%m}'", "str(request.time.month)") + "request.id.int % shards",
            "The second value is the month of the request",
        ),
    ],
)
