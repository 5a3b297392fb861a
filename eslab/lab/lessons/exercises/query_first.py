"""The exercises of lesson 04: where the rows of a read table live."""

from collections import Counter
from datetime import timedelta

from hypothesis import strategies as st

from eslab import Request
from eslab.lab.answers import Answer, Undecided
from eslab.lab.exercises import Exercise, Rule, Wrong
from eslab.lab.feedback import Difference
from eslab.lab.session import START

SHARDS = 4
MANY = 400  # requests, to see how they are spread
SAMPLE = 5  # requests that a second process decides again


def request(minute: int) -> Request:
    """The download of this minute; what it is called depends on nothing else."""
    return Request.at(START + timedelta(minutes=minute), f"download {minute}")


def _call(minute: int) -> str:
    return f"partition('ACME', <request of {request(minute).time:%Y-%m-%d %H:%M}>, {SHARDS})"


def names(answer: Answer, minute: int) -> Difference | None:
    """The partition is studio, month and a shard from 0 to shards - 1."""
    made = request(minute)
    expected = f"('ACME', '{made.time:%Y-%m}', 0 to {SHARDS - 1})"
    outcome = answer("ACME", made, SHARDS)
    match outcome.value:
        case ("ACME", month, int(shard)) if month == f"{made.time:%Y-%m}" and 0 <= shard < SHARDS:
            return None
    why = "Return the studio, the month as 2026-01 and a whole number from 0 to shards - 1."
    return Difference([], _call(minute), expected, str(outcome), why)


def repeats(answer: Answer, minute: int) -> Difference | None:
    """A repeated request has the same partition."""
    found = sorted({str(answer("ACME", request(minute), SHARDS)) for _ in range(20)})
    if len(found) == 1:
        return None
    why = "A retry would go to another shard, and the download would count twice: derive the shard from the request."
    return Difference([], f"{_call(minute)}, twenty times", "one partition", ", ".join(found), why)


def repeats_elsewhere(answer: Answer, _: object) -> Difference | None:
    """Another process, which hashes text with another seed, chooses the same partition."""
    if not answer.source:
        raise Undecided("the text of the answer is not known here. Run its cell in a notebook.")
    made = f"[Request.at(START + timedelta(minutes=n), f'download {{n}}') for n in range({SAMPLE})]"
    imports = "from datetime import timedelta; from eslab import Request; from eslab.lab.session import START"
    there = Answer(None, f"{answer.source}\n{imports}", answer.imports).elsewhere(
        f"[partition('ACME', made, {SHARDS}) for made in {made}]"
    )
    for minute, other in enumerate(there):
        here = answer("ACME", request(minute), SHARDS)
        if list(here.value) != other:
            why = "hash() of a text differs from process to process, so a retry at another server would go elsewhere."
            return Difference([], f"{_call(minute)} in another process", str(here), str(tuple(other)), why)
    return None


def spreads(answer: Answer, step: timedelta) -> Difference | None:
    """Downloads that follow each other at this step are spread: each shard gets a fair share."""
    requests = [Request.at(START + n * step, f"download {n}") for n in range(MANY)]
    counted = Counter(_shard(answer, made) for made in requests)
    fair = MANY // SHARDS
    if all(fair / 2 <= counted[shard] <= fair * 2 for shard in range(SHARDS)):
        return None
    found = ", ".join(f"{counted[shard]} in shard {shard}" for shard in range(SHARDS))
    when = f"{MANY} downloads, one every {step.total_seconds():g} s"
    return Difference([], when, f"{fair} or so in each shard", found, BURST if step in BURSTS else "Nothing is spread.")


def _shard(answer: Answer, made: Request) -> object:
    """The shard of a request; None if the answer fails for it."""
    match answer("ACME", made, SHARDS).value:
        case (_, _, shard):
            return shard


MINUTES = st.integers(0, 100_000)
NO_BURST = timedelta(minutes=7, seconds=13, milliseconds=370)
BURSTS = [timedelta(milliseconds=100), timedelta(seconds=7), timedelta(hours=1)]
BURST = "Downloads come in bursts. A shard that follows from the clock takes all of a minute, or of an hour, at once."
SIGNED = "def partition(studio, request, shards):\n    return studio, f'{request.time:%Y-%m}', "

shards = Exercise(
    "shards",
    "04_query_first",
    "Write the partition of a download for the question: a studio's downloads in a month, spread over shards.",
    answer="partition",
    rules=[
        Rule("studio, month and a shard", names, cases=MINUTES),
        Rule("a repeated request gets the same partition", repeats, cases=MINUTES),
        Rule("also in another process", repeats_elsewhere),
        Rule("all shards get their share", spreads, examples=[NO_BURST]),
        Rule("also of a burst", spreads, examples=BURSTS),
    ],
    hints=[
        "A repeat has the same request, and no other download has it. What in it is a number, or can be made one?",
        "`request.id.int` is a number of 128 bits, of which the last 62 are random. What is left when you divide it?",
    ],
    wrong=[
        Wrong(f"from random import randrange\n\n{SIGNED}randrange(shards)", "derive the shard from the request"),
        Wrong(f"{SIGNED}hash(str(request.id)) % shards", "hash() of a text differs from process to process"),
        Wrong(f"{SIGNED}request.time.minute % shards", "A shard that follows from the clock"),
        Wrong(f"{SIGNED}0", "Nothing is spread."),
        Wrong(f"{SIGNED}request.id.int % (shards + 1)", "a whole number from 0 to shards - 1"),
    ],
)
