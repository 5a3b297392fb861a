"""The exercises of lesson 03: which key answers which question. Both are checked on a real Cassandra."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast

from eslab import EslabError, EventStore, Request
from eslab.lab.answers import Answer, Undecided, names_chosen
from eslab.lab.exercises import Exercise, Rule, Wrong
from eslab.lab.feedback import Difference
from eslab.lab.lessons.cassandra import QUESTIONS, ask_with_key
from eslab.lab.session import START

TABLE = "exercise_by_title"
COLUMNS = "title text, month text, request timeuuid, customer_id text"
QUESTION = f"SELECT customer_id FROM {TABLE} WHERE title = 'glow' AND month = '2026-01' ORDER BY request DESC"  # noqa: S608
DOWNLOADS = [  # title, month, day, customer
    ("glow", "2026-01", 5, "ann"),
    ("glow", "2026-01", 6, "bob"),
    ("glow", "2026-01", 7, "ann"),
    ("glow", "2026-02", 35, "cleo"),
    ("1408", "2026-01", 8, "dan"),
]
FACTS = [f"{who} downloads {title} on {START + timedelta(days=day):%Y-%m-%d}" for title, _, day, who in DOWNLOADS]


def fill(answer: Answer) -> Any:
    """Make the table with this key and write each download to it, the first one twice; return the session."""
    key = answer.value
    if not isinstance(key, str):
        raise Undecided(f"the answer is {key!r}, not a text such as '((title), request)'.")
    session = cast(Any, answer.store).session
    session.execute(f"DROP TABLE IF EXISTS {TABLE}")
    session.execute(f"CREATE TABLE {TABLE} ({COLUMNS}, PRIMARY KEY {key})")
    for title, month, day, customer in [*DOWNLOADS, DOWNLOADS[0]]:
        row = (title, month, Request.at(START + timedelta(days=day), f"download {day}").event_time, customer)
        session.execute(f"INSERT INTO {TABLE} (title, month, request, customer_id) VALUES (%s, %s, %s, %s)", row)  # noqa: S608
    return session


def rows(answer: Answer, _: object) -> Difference | None:
    """Each download is one row, also if it is sent twice."""
    when = f"they are written to PRIMARY KEY {answer.value}, ann's first one twice"
    try:
        found = fill(answer).execute(f"SELECT count(*) FROM {TABLE}").one()[0]  # noqa: S608
    except Exception as error:
        return Difference(FACTS, when, "5 rows", _short(error), "Cassandra refuses this key. Is it ((...), ...)?")
    if found == 5:
        return None
    return Difference(FACTS, when, "5 rows", f"{found} rows", "Rows with equal keys replace each other: a key that "
                      "names the request keeps them apart.")  # fmt: skip


def answers_the_question(answer: Answer, _: object) -> Difference | None:
    """The question is answered from one run of neighbours, newest first."""
    try:
        found = ", ".join(who for (who,) in fill(answer).execute(QUESTION))
    except Exception as error:
        why = "Cassandra refuses the question: it must name every partition column, and the rows must lie in its order."
        return Difference(FACTS, QUESTION, "ann, bob, ann", _short(error), why)
    return None if found == "ann, bob, ann" else Difference(FACTS, QUESTION, "ann, bob, ann", found)


def splits(answer: Answer, _: object) -> Difference | None:
    """Each title has a partition for each month, so that none grows for ever."""
    session = fill(answer)
    table = session.cluster.metadata.keyspaces[session.keyspace].tables[TABLE]
    names = [column.name for column in table.partition_key]
    listed = session.execute(f"SELECT DISTINCT {', '.join(names)} FROM {TABLE}")  # noqa: S608
    found = sorted(", ".join(str(value) for value in row) for row in listed)
    if len(found) == 3:
        return None
    why = "A partition of all of a title's downloads grows for ever." if "month" not in names else ""
    return Difference(FACTS, "the partitions are listed", "3: one for each title and month", _numbered(found), why)


def _numbered(found: Sequence[str]) -> str:
    return f"{len(found)}: {'; '.join(found)}"


def _short(error: Exception) -> str:
    text = str(error) if isinstance(error, EslabError) else f"{type(error).__name__}: {error}"
    return text[:160]


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
    "Choose the primary key of a table for the question: who downloaded a title in a month, newest first?",
    answer="key",
    on_cassandra=True,
    seconds=60,
    rules=[
        Rule("no download replaces another, and a repeated request stays one row", rows),
        Rule("the question reads one run of neighbours, newest first", answers_the_question),
        Rule("no partition grows for ever", splits),
    ],
    hints=[
        "The columns in the inner brackets choose the partition: the question must name all of them. The columns after "
        "them sort the rows inside it.",
        "The question names title and month, so they are the partition. What sorts the rows by time, and tells two "
        "downloads of one customer apart?",
    ],
    wrong=[
        Wrong('key = "((customer_id), title, request)"', "it must name every partition column"),
        Wrong('key = "((title), month, customer_id)"', "Rows with equal keys replace each other"),
        Wrong('key = "((title), month, request)"', "all of a title's downloads grows for ever"),
        Wrong('key = "(title, month), request"', "Cassandra refuses this key"),
    ],
)
