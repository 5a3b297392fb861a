"""The exercises of lesson 03: keys for questions that the events table can't answer. Checked on a real Cassandra."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast

from eslab import EslabError, Request
from eslab.lab.answers import Answer, Undecided
from eslab.lab.exercises import Exercise, Rule, Wrong
from eslab.lab.feedback import Difference
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
        why = "Cassandra refuses the question: the partition key must be title and month, and the order the request's."
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
        Wrong('key = "((customer_id), title, request)"', "the partition key must be title and month"),
        Wrong('key = "((title), month, customer_id)"', "Rows with equal keys replace each other"),
        Wrong('key = "((title), month, request)"', "all of a title's downloads grows for ever"),
        Wrong('key = "(title, month), request"', "Cassandra refuses this key"),
    ],
)
