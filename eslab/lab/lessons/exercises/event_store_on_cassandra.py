"""The exercises of lesson 03: which key answers which question. Both are checked on a real Cassandra."""

import re
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any, cast

from eslab import EventStore, Request
from eslab.display import quantity
from eslab.lab.answers import Answer, Undecided
from eslab.lab.choices import names_chosen
from eslab.lab.exercises import Exercise, Rule, Wrong
from eslab.lab.feedback import Difference
from eslab.lab.lessons.cassandra import QUESTIONS, ask_with_key, refusal
from eslab.lab.session import START

TABLE = "exercise_by_title"
COLUMNS = "title text, month text, request timeuuid, customer_id text"
NAMES = [column.split()[0] for column in COLUMNS.split(", ")]
QUESTION = f"SELECT customer_id FROM {TABLE} WHERE title = 'glow' AND month = '2026-01' ORDER BY request DESC"  # noqa: S608
NAMED = ("title", "month")  # those that the question gives
OPTIONS = re.compile(r"(.*?)(\bwith\b.*)?", re.DOTALL | re.IGNORECASE)
DOWNLOADS = [  # title, month, day, customer
    ("glow", "2026-01", 5, "ann"),
    ("glow", "2026-01", 6, "bob"),
    ("glow", "2026-01", 7, "ann"),
    ("glow", "2026-02", 35, "cleo"),
    ("1408", "2026-01", 8, "dan"),
]
FACTS = [f"{who} downloads {title} on {START + timedelta(days=day):%Y-%m-%d}" for title, _, day, who in DOWNLOADS]


def key_of(answer: Answer) -> str:
    """The brackets of a primary key, without the words that may stand before them."""
    if not isinstance(answer.value, str):
        raise Undecided(f"the answer is {answer.value!r}, not a text such as '((title), request)'.")
    return re.sub(r"^\s*primary\s+key\s*", "", answer.value.strip(" ;\n"), flags=re.IGNORECASE)


def fill(answer: Answer) -> Any:
    """Make the table with this key and write each download to it, the first one twice; return the session."""
    key = key_of(answer)
    session = cast(Any, answer.store).session
    session.execute(f"DROP TABLE IF EXISTS {TABLE}")
    brackets, options = OPTIONS.fullmatch(key).groups("")  # type: ignore[union-attr] - it matches any text
    session.execute(f"CREATE TABLE {TABLE} ({COLUMNS}, PRIMARY KEY {brackets}) {options}")
    for title, month, day, customer in [*DOWNLOADS, DOWNLOADS[0]]:
        row = (title, month, Request.at(START + timedelta(days=day), f"download {day}").event_time, customer)
        session.execute(f"INSERT INTO {TABLE} (title, month, request, customer_id) VALUES (%s, %s, %s, %s)", row)  # noqa: S608
    return session


def rows(answer: Answer, _: object) -> Difference | None:
    """Each download is one row, also if it is sent twice."""
    when = f"they are written to PRIMARY KEY {key_of(answer)}, ann's first one twice"
    try:
        found = fill(answer).execute(f"SELECT count(*) FROM {TABLE}").one()[0]  # noqa: S608
    except Exception as error:
        why = "Cassandra refuses this key. Write ((partition columns), clustering columns), of: " + ", ".join(NAMES)
        return Difference(FACTS, when, "5 rows", refusal(error), f"{why}.")
    if found == 5:
        return None
    why = "Rows with equal keys replace each other: a key that names the request keeps them apart."
    return Difference(FACTS, when, "5 rows", quantity(found, "row"), why)


def answers_the_question(answer: Answer, _: object) -> Difference | None:
    """The question is answered from one run of neighbours, newest first."""
    try:
        found = ", ".join(who for (who,) in fill(answer).execute(QUESTION))
    except Exception as error:
        return Difference(FACTS, QUESTION, "ann, bob, ann", refusal(error), _why_refused(*_key(answer)))
    why = "These are other rows, or in another order: within a partition, the request has to sort them first."
    return None if found == "ann, bob, ann" else Difference(FACTS, QUESTION, "ann, bob, ann", found, why)


def splits(answer: Answer, _: object) -> Difference | None:
    """Each title has a partition for each month, so that none grows for ever, and none is shared by all titles."""
    session = fill(answer)
    names, _ = _key(answer)
    listed = session.execute(f"SELECT DISTINCT {', '.join(names)} FROM {TABLE}")  # noqa: S608
    found = sorted(", ".join(str(value) for value in row) for row in listed)
    if len(found) == 3:
        return None
    expected = "3 partitions: one for each title and month"
    got = f"{quantity(len(found), 'partition')}: {'; '.join(found)}"
    return Difference(FACTS, "the partitions are listed", expected, got, _why_not_split(names))


def _why_not_split(names: Collection[str]) -> str:
    if "month" not in names:
        return "A partition of all of a title's downloads grows for ever."
    return "All titles of a month share one partition, and the nodes that hold it take all downloads of the month."


def _key(answer: Answer) -> tuple[list[str], list[str]]:
    """The partition columns and the clustering columns of the table that was made."""
    session = cast(Any, answer.store).session
    table = session.cluster.metadata.keyspaces[session.keyspace].tables[TABLE]
    return [column.name for column in table.partition_key], [column.name for column in table.clustering_key]


def _why_refused(partition: Sequence[str], clustering: Sequence[str]) -> str:
    """Why Cassandra refuses the question for a table with this key."""
    if unnamed := [name for name in partition if name not in NAMED]:
        return (
            f"The question has no value for {' and '.join(unnamed)}, so nothing says in which partition the rows are."
        )
    if outside := [name for name in NAMED if name not in (*partition, *clustering)]:
        return f"The key lacks {' and '.join(outside)}, so every row of the partition would be read, and filtered."
    return "Newest first needs rows in order of request: make it the first clustering column without a value."


SWAPPED = "((customer_id), event_time, aggregate_id)"
REASONS = {
    "one aggregate": "Its rows are no neighbours any more: they lie scattered through the partition, in order of time.",
    "one aggregate since a moment": (
        "A range on the first clustering column ends the run: what lies in it is sorted by time alone."
    ),
    "all licences": "Names with one beginning were neighbours while the aggregate came first. Now time comes first.",
    "everything since a moment": "Time comes first now, so everything since a moment is one run of neighbours.",
}


def names_the_refused(answer: Answer, _: object) -> Difference | None:
    """Cassandra refuses exactly the questions that the answer names."""
    named = names_chosen(answer, QUESTIONS)
    asked = ask_with_key(cast(EventStore, answer.store), SWAPPED)
    for question, found in zip(asked["question"], asked["answer"], strict=True):
        if found.startswith("refused") != (question in named):
            said = "refused" if question in named else "answered"
            return Difference([f"PRIMARY KEY {SWAPPED}"], QUESTIONS[question], found, said, REASONS[question])
    return None


swapped = Exercise(
    "swapped",
    "03_event_store_on_cassandra",
    "Name the questions that are refused when the two clustering columns are swapped.",
    answer="refused",
    on_cassandra=True,
    seconds=60,
    rules=[Rule("the questions named are those that Cassandra refuses", names_the_refused)],
    hints=[
        "Write down Fay's nine rows in the order of the swapped key: by time first. Which questions ask for rows that "
        "lie side by side in your list?",
        "A question may name the first clustering column, or the first and then the second. It may not skip the first, "
        "and nothing may follow a range.",
    ],
    wrong=[
        Wrong('refused = {"everything since a moment"}', "they lie scattered through the partition"),
        Wrong('refused = {"one aggregate"}', "ends the run"),
        Wrong('refused = {"one aggregate", "one aggregate since a moment"}', "Now time comes first."),
        Wrong(
            "from eslab.lab.lessons.cassandra import QUESTIONS\n\nrefused = set(QUESTIONS)", "is one run of neighbours"
        ),
    ],
)

primary_key = Exercise(
    "primary_key",
    "03_event_store_on_cassandra",
    "Choose the primary key of a table for the question: who downloaded a title in a month, newest first? Each title "
    "has a partition for each month.",
    answer="key",
    on_cassandra=True,
    seconds=60,
    rules=[
        Rule("no download replaces another, and a repeated request stays one row", rows),
        Rule("the question reads one run of neighbours, newest first", answers_the_question),
        Rule("each title has a partition for each month", splits),
    ],
    hints=[
        "The columns in the inner brackets choose the partition: the question must name all of them. The columns after "
        "them sort the rows inside it.",
        "The question names title and month, so they are the partition. What sorts the rows by time, and tells two "
        "downloads of one customer apart?",
    ],
    wrong=[
        Wrong('key = "((customer_id), title, request)"', "so nothing says in which partition the rows are"),
        Wrong('key = "((title), month, customer_id)"', "Rows with equal keys replace each other"),
        Wrong('key = "((title), month, request)"', "all of a title's downloads grows for ever"),
        Wrong('key = "(title, month), request"', "Cassandra refuses this key"),
    ],
)
