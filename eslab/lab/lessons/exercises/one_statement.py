"""The exercise of lesson 09 on a statement that two regions execute: its rows are the same in both."""

import time
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from eslab import Request
from eslab.display import quantity
from eslab.lab.answers import Answer
from eslab.lab.exercises import Exercise, Rule, Wrong
from eslab.lab.feedback import Difference
from eslab.lab.lessons.drift import Row
from eslab.lab.lessons.exercises.executed import WHY, Told, Wish, call_of, region, rows_in
from eslab.lab.session import START

APART = 0.002  # seconds from one region to the other, so that a clock shows another time there
WEEK = timedelta(days=7)
FIRST = Request.at(START, "first")


def writes_the_download(answer: Answer, wish: Wish) -> Difference | None:
    """One row with an id, the customer and the title."""
    told = Told(answer)
    with region() as us:
        if difference := told.execute(us, "us", wish, WHY["quote"] if "'" in wish[2] else ""):
            return difference
        rows = rows_in(us)
    expected = f"one row of {wish[1]} and {wish[2]!r}, with an id"
    if len(rows) != 1:
        return told.differs(expected, quantity(len(rows), "row"), WHY["nothing"] if not rows else "")
    if rows[0].id is None:
        return told.differs(expected, "a row without an id", WHY["id"])
    if (rows[0].customer, rows[0].title) != wish[1:]:
        return told.differs(expected, f"a row of {rows[0].customer!r} and {rows[0].title!r}", WHY["other"])
    return None


def is_the_same_in_both(answer: Answer, wish: Wish) -> Difference | None:
    """The row is the same in two regions."""
    told = Told(answer)
    with region() as us, region() as eu:
        difference = told.execute(us, "us", wish)
        time.sleep(APART)
        difference = difference or told.execute(eu, "eu", wish)
        if difference:
            return difference
        here, there = rows_in(us)[0], rows_in(eu)[0]
    if here == there:
        return None
    kinds = [name for name, one, other in zip(Row._fields, here, there, strict=True) if one != other]
    why = WHY["database"] if told.values[0] == told.values[1] else WHY["function"]
    got = "; ".join(f"{name} is {getattr(here, name)} in us and {getattr(there, name)} in eu" for name in kinds)
    return told.differs("the same row in both", got, why)


def ignores_a_repeat(answer: Answer, wish: Wish) -> Difference | None:
    """A repeat of the request changes nothing."""
    told = Told(answer)
    with region() as us:
        if difference := told.execute(us, "us", wish):
            return difference
        before = rows_in(us)
        time.sleep(APART)
        if difference := told.execute(us, "us, again", wish, WHY["repeat error"]):
            return difference
        after = rows_in(us)
    if before == after:
        return None
    got, why = ("2 rows", "repeat row") if len(after) > 1 else (f"{after[0] if after else 'no row'}", "repeat changed")
    return told.differs("the one row, as it was", got, WHY[why])


def keeps_wishes_apart(answer: Answer, case: tuple[str, Sequence[Wish]]) -> Difference | None:
    """Two wishes are two rows."""
    why, wishes = case
    told = Told(answer)
    with region() as us:
        for wish in wishes:
            if difference := told.execute(us, "us", wish, WHY[why]):
                return difference
        rows = rows_in(us)
    return None if len(rows) == 2 else told.differs("2 rows", quantity(len(rows), "row"), WHY[why])


def keeps_the_time(answer: Answer, wishes: Sequence[Wish]) -> Difference | None:
    """The time is that of the wish."""
    told = Told(answer)
    with region() as us:
        for wish in wishes:
            if difference := told.execute(us, "us", wish):
                return difference
        times = [row.at for row in rows_in(us)]
    if len({*times}) == len(wishes) and None not in times:
        return None
    why = WHY["no time"] if None in times else WHY["time"]
    return told.differs("another time in each row", ", ".join(map(str, sorted({*map(str, times)}))), why)


def ignores_the_order(answer: Answer, wishes: Sequence[Wish]) -> Difference | None:
    """Regions that execute the same wishes in another order hold the same rows."""
    told = Told(answer)
    with region() as us, region() as eu:
        for database, name, order in ((us, "us", wishes), (eu, "eu", wishes[::-1])):
            for wish in order:
                if difference := told.execute(database, name, wish):
                    return difference
        here, there = rows_in(us), rows_in(eu)
    return None if here == there else told.differs("the same rows in both", f"{here} and {there}", WHY["order"])


def is_the_same_elsewhere(answer: Answer, _: object) -> Difference | None:
    """Another process makes the same statement."""
    call = f"{answer.name}(Request.parse({str(FIRST.id)!r}), 'ann', 'glow')"
    there = answer.elsewhere(f"repr({call})", "from eslab import Request")
    here = repr(answer(*GLOW).value)
    if here == there:
        return None
    given = [f"in this process: {here}"]
    return Difference(given, f"in another process: {call_of(GLOW)}", "the same statement", there, WHY["process"])


def _later(weeks: int, customer: str = "ann") -> Wish:
    return Request.at(START + weeks * WEEK, f"week {weeks}"), customer, "glow"


GLOW: Wish = (FIRST, "ann", "glow")
QUOTED: Wish = (FIRST, "ann", "Ocean's 8")
OTHER = Request(UUID(int=FIRST.id.int ^ 1))  # of the same millisecond, and different in its last bit alone
APARTS = [
    ("same wish", [GLOW, _later(1)]),
    ("same time", [GLOW, (OTHER, "bob", "bolt")]),
    ("same all", [GLOW, (OTHER, "ann", "glow")]),
]
FOUR = [_later(weeks, f"customer-{weeks}") for weeks in range(4)]

INTO = "INSERT OR IGNORE INTO downloads (id, customer, title, at) VALUES"


def cell(values: str, text: str = f"{INTO} (?, ?, ?, ?)", before: str = "", first: str = "") -> str:
    """The exercise's cell with this text and these values."""
    first = f"    {first}\n" if first else ""
    return f'{before}\ndef statement(request, customer, title):\n{first}    return "{text}", ({values})\n'


COUNTED = f"{INTO} ((SELECT count(*) FROM downloads), ?, ?, ?)"  # noqa: S608 - a wrong answer
RIGHT = "str(request.id), customer, title, str(request.time)"

one_statement = Exercise(
    "one_statement",
    "09_why_the_first_two_designs_failed",
    "Write `statement(request, customer, title)`: the text of an SQL statement and its values. Each region calls it "
    "and executes what it returns. Both must hold the same rows, a repeat changes nothing, and each wish has one row.",
    answer="statement",
    rules=[
        Rule("it writes the download", writes_the_download, examples=[GLOW, QUOTED]),
        Rule("both regions hold the same row", is_the_same_in_both, examples=[GLOW]),
        Rule("a repeat changes nothing", ignores_a_repeat, examples=[GLOW]),
        Rule("two wishes are two rows", keeps_wishes_apart, examples=APARTS),
        Rule("the time is that of the wish", keeps_the_time, examples=[FOUR]),
        Rule("the order of arrival does not matter", ignores_the_order, examples=[FOUR]),
        Rule("another process makes the same statement", is_the_same_elsewhere),
    ],
    hints=[
        "What do both regions have in common when they execute the statement? Neither their clocks nor their random "
        "numbers. `request.id` and `request.time` came with the wish.",
        "Put four `?` into the text and give four values: `str(request.id)`, customer, title, `str(request.time)`. "
        "And what shall the database do when the row is there already? `INSERT OR IGNORE`.",
    ],
    wrong=[
        Wrong(cell("customer, title, str(request.time)", f"{INTO} (hex(randomblob(16)), ?, ?, ?)"), WHY["database"]),
        Wrong(cell(RIGHT.replace("request.id", "uuid4()"), before="from uuid import uuid4"), WHY["function"]),
        Wrong(cell(RIGHT, f"{INTO} (?, ?, ?, ?)".replace(" OR IGNORE", "")), WHY["repeat error"]),
        Wrong(cell(RIGHT.replace("str(request.id)", "f'{customer}/{title}'")), WHY["same wish"]),
        Wrong(cell(RIGHT.replace("request.id", "request.time")), WHY["same time"]),
        Wrong(cell(RIGHT.replace("str(request.id)", "f'{customer} {title} {request.time}'")), WHY["same all"]),
        Wrong(cell("str(request.id), customer, title", f"{INTO} (?, ?, ?, date('now'))"), WHY["time"]),
        Wrong(cell("str(request.id), customer, title, None"), WHY["no time"]),
        Wrong(cell(RIGHT.replace("str(request.id)", "str(hash(str(request.id)))")), WHY["process"]),
        Wrong(cell(RIGHT.replace("str(request.id)", "request.id")), WHY["type"]),
        Wrong(
            cell("customer, title, str(request.time)", COUNTED),
            WHY["repeat row"],
        ),
        Wrong(
            "def statement(request, customer, title):\n"
            f"    return f\"{INTO} ('{{request.id}}', '{{customer}}', '{{title}}', '{{request.time}}')\", ()",
            WHY["quote"],
        ),
        Wrong("def statement(request, customer, title):\n    return str(request.id)", WHY["shape"]),
        Wrong(cell(RIGHT.replace("str(request.id)", "None")), WHY["id"]),
    ],
    seconds=20,
)
