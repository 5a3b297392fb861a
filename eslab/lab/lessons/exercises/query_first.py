"""The exercises of lesson 04: which question a table answers with one run, and where the rows of a read table live."""

from collections import Counter
from datetime import timedelta
from typing import NamedTuple

from hypothesis import strategies as st

from eslab import Request
from eslab.lab.answers import Answer, Undecided
from eslab.lab.exercises import Exercise, Rule, Wrong
from eslab.lab.feedback import Difference
from eslab.lab.session import START

COLUMNS = ("customer", "device", "title", "month")
OUTSIDE = "country"  # a column that is in no key


class Question(NamedTuple):
    """The columns of a table's key, and those to which a question gives a value."""

    partition: tuple[str, ...]
    clustering: tuple[str, ...]
    named: frozenset[str]

    @property
    def reads_one_run(self) -> bool:
        """Does it name the whole partition and the first clustering columns, and nothing else?"""
        return not self.why_not

    @property
    def why_not(self) -> str:
        """What keeps the question from reading one run; empty if nothing does."""
        beyond = self.named - set(self.partition)
        if not set(self.partition) <= self.named:
            return "Without a value for every column of the partition key there is no hash: the rows may be anywhere."
        if not beyond <= set(self.clustering):
            return "A column outside the key sorts nothing: every row of the partition would be read, and filtered."
        if beyond != set(self.clustering[: len(beyond)]):
            return "A clustering column before it is skipped, so the rows lie scattered: think of the phone book."
        return ""


def _question(columns: list[str], partition: int, named: frozenset[str]) -> Question:
    return Question(tuple(columns[:partition]), tuple(columns[partition:]), named)


def knows_a_run(answer: Answer, question: Question) -> Difference | None:
    """The answer tells whether the question reads one run of neighbours in one partition."""
    outcome = answer(question.partition, question.clustering, set(question.named))
    if outcome.error is None and bool(outcome.value) == question.reads_one_run:
        return None
    key = f"PRIMARY KEY (({', '.join(question.partition)}), {', '.join(question.clustering)})"
    asks = f"WHERE {' AND '.join(f'{column} = ?' for column in sorted(question.named))}"
    why = (
        question.why_not
        or "That is one run. A question may stop anywhere after the partition: the rest needs no value."
    )
    return Difference([key], asks, str(question.reads_one_run), str(outcome), why)


EXAMPLES = [  # the smallest question of each kind
    Question(("customer", "month"), ("title",), frozenset({"customer"})),
    Question(("customer",), ("title", "device"), frozenset({"customer"})),
    Question(("customer",), ("title", "device"), frozenset({"customer", "device"})),
    Question(("customer",), ("title", "device"), frozenset({"customer", OUTSIDE})),
    Question(("customer",), ("title", "device", "month"), frozenset({"customer", "title", "month"})),
    Question(("customer",), ("title", "device", "month"), frozenset({"customer", "title", "device"})),
]
QUESTIONS = st.builds(
    _question,
    st.permutations(COLUMNS),
    st.integers(1, len(COLUMNS) - 1),
    st.frozensets(st.sampled_from((*COLUMNS, OUTSIDE)), min_size=1),
)
RUN = "def is_one_run(partition, clustering, named):\n    return "

one_run = Exercise(
    "one_run",
    "04_query_first",
    "Write the rule: does a question that gives values to these columns read one run of neighbours?",
    answer="is_one_run",
    rules=[
        Rule(
            "it tells the questions that read one run from all others", knows_a_run, examples=EXAMPLES, cases=QUESTIONS
        )
    ],
    hints=[
        "There are two conditions. The first is about the partition: which of its columns may be left out?",
        "Take the columns that the question names beyond the partition, as a set. They must be the first clustering "
        "columns: `set(clustering[:len(beyond)])`.",
    ],
    wrong=[
        Wrong(
            f"{RUN}set(partition) <= set(named) <= {{*partition, *clustering}}",
            "A clustering column before it is skipped",
        ),
        Wrong(f"{RUN}bool(set(partition) & set(named))", "Without a value for every column of the partition key"),
        Wrong(f"{RUN}set(named) == {{*partition, *clustering}}", "That is one run."),
        Wrong(
            "def is_one_run(partition, clustering, named):\n"
            "    beyond = [column for column in clustering if column in named]\n"
            "    return set(partition) <= set(named) and beyond == list(clustering[: len(beyond)])",
            "A column outside the key sorts nothing",
        ),
        Wrong(
            f"{RUN}set(partition) <= set(named) <= {{*partition, *clustering}} and (\n"
            "        set(named) == set(partition) or clustering[0] in named\n    )",
            "so the rows lie scattered",
        ),
    ],
)

STUDIO, SHARDS = "ACME", 4
MANY = 400  # requests, to see how they are spread
SAMPLE = 5  # requests that a second process decides again


def request(minute: int) -> Request:
    """The download of this minute; what it is called depends on nothing else."""
    return Request.at(START + timedelta(minutes=minute), f"download {minute}")


def _call(minute: int, studio: str = STUDIO, shards: int = SHARDS) -> str:
    return f"partition({studio!r}, <request of {request(minute).time:%Y-%m-%d %H:%M}>, {shards})"


def names(answer: Answer, case: tuple[int, str, int]) -> Difference | None:
    """The partition is studio, month and a shard from 0 to shards - 1."""
    minute, studio, shards = case
    made = request(minute)
    expected = f"({studio!r}, '{made.time:%Y-%m}', 0 to {shards - 1})"
    outcome = answer(studio, made, shards)
    match outcome.value:
        case (name, month, int(shard)) if (name, month) == (studio, f"{made.time:%Y-%m}") and 0 <= shard < shards:
            return None
    why = "Return the studio, the month as 2026-01 and a whole number from 0 to shards - 1."
    return Difference([], _call(minute, studio, shards), expected, str(outcome), why)


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
            why = (
                "What the shard comes from is another one there: hash() of a text, a counter or a memory differs from "
                "process to process. A retry at another server would go elsewhere."
            )
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


MINUTES = st.integers(0, 1_000_000)  # almost two years
ANY = st.tuples(MINUTES, st.sampled_from([STUDIO, "Netflix"]), st.integers(2, 8))
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
        Wrong(f"{SIGNED}request.id.int % 4", "Return the studio, the month"),
        Wrong(f"{SIGNED}request.time.minute % shards", "A shard that follows from the clock"),
        Wrong(f"{SIGNED}0", "Nothing is spread."),
        Wrong(f"{SIGNED}request.id.int % (shards + 1)", "a whole number from 0 to shards - 1"),
    ],
)
