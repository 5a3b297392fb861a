"""The exercises of lesson 04: which question a table answers with one run, and where rows live (in shards.py)."""

from collections.abc import Iterator
from typing import NamedTuple

from hypothesis import strategies as st

from eslab.lab.answers import Answer, Outcome
from eslab.lab.exercises import Exercise, Rule, Wrong
from eslab.lab.feedback import Difference
from eslab.lab.lessons.exercises.query_first_shards import shards

__all__ = ["one_run", "shards"]

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

    @property
    def why(self) -> str:
        """Why it reads one run, if it does."""
        beyond = len(self.named) - len(self.partition)
        if not beyond:
            return "The whole partition is one run: a question may stop there, and needs no clustering column."
        first = "the first clustering column" if beyond == 1 else f"the first {beyond} clustering columns"
        return (
            f"That is one run: the whole partition key, and after it {first}. A question may stop there, and may name "
            "its columns in any order."
        )


def _question(columns: list[str], partition: int, named: frozenset[str]) -> Question:
    return Question(tuple(columns[:partition]), tuple(columns[partition:]), named)


class Named(set[str]):
    """The columns that a question names, listed against the order of the key: nobody can rely on the order of a set."""

    def __init__(self, question: Question) -> None:
        super().__init__(question.named)
        key = [*question.partition, *question.clustering, *sorted(question.named)]
        self._listed = sorted(question.named, key=key.index, reverse=True)

    def __iter__(self) -> Iterator[str]:
        return iter([column for column in self._listed if column in self])


def knows_a_run(answer: Answer, question: Question) -> Difference | None:
    """The answer tells whether the question reads one run of neighbours in one partition."""
    outcome = answer(question.partition, question.clustering, Named(question))
    if outcome.error is None and bool(outcome.value) == question.reads_one_run:
        return None
    key = f"PRIMARY KEY (({', '.join(question.partition)}), {', '.join(question.clustering)})"
    asks = f"WHERE {' AND '.join(f'{column} = ?' for column in sorted(question.named))}"
    return Difference([key], asks, str(question.reads_one_run), str(outcome), _why(question, outcome))


def _why(question: Question, outcome: Outcome) -> str:
    if outcome.error is not None:
        return outcome.advice
    is_truth = outcome.value in (True, False)
    read = "" if is_truth else f"Return True or False: Python reads {outcome.value!r} as {bool(outcome.value)}. "
    return f"{read}{question.why_not or question.why}"


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
        Wrong(f"{RUN}set(named) == {{*partition, *clustering}}", "needs no clustering column"),
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
