"""The course: its lessons as data, the map that shows how far the reader has come, and the recap that ends a lesson.

course.map()                                            in lesson 00
course.lesson("01_frosting").recap([...five lines...], code=[Frosting.apply, handle])
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from textwrap import wrap
from typing import Any

from eslab.errors import InvalidInput
from eslab.lab import reader, solutions
from eslab.lab.feedback import Note

LINES = 5  # of a recap
BOX, GAP, PAD = (166, 62), (26, 14), 4  # pixels of the map


@dataclass(frozen=True)
class Lesson:
    """A notebook of the course: the minutes that it takes a newcomer, and what it needs."""

    name: str
    title: str
    minutes: int
    after: tuple[str, ...] = ()  # lessons to do before
    starts_cassandra: bool = False

    @property
    def number(self) -> str:
        """The lesson's number, as in 01."""
        return self.name.partition("_")[0]

    @property
    def module(self) -> str:
        """The module of its exercises."""
        return f"eslab.lab.lessons.exercises.{self.name.partition('_')[2]}"

    @property
    def is_done(self) -> bool:
        """Has the reader come to its end?"""
        return reader.recall(reader.DONE, self.name) is True

    def solved(self) -> str:
        """How many of its exercises the reader has solved; empty if it has none."""
        names = solutions.exercises_in(self.name)
        checked = [reader.recall(reader.CHECKED, f"{self.name}/{name}") or {} for name in names]
        return f"{sum(each.get('passed') is True for each in checked)} of {len(names)} solved" if names else ""

    def recap(self, lines: Sequence[str], code: Sequence[Any]) -> "Recap":
        """End the lesson: five lines, the code that it used, the next lesson. Marks the lesson as done.

        Raises `InvalidInput` for another number of lines, and for code that has no module and name of its own.
        """
        if len(lines) != LINES:
            raise InvalidInput(f"Expected {LINES} lines for the recap of {self.name}, got {len(lines)}.")
        recap = Recap(self, tuple(lines), tuple(_place(thing) for thing in code))
        reader.keep(reader.DONE, self.name, True)
        return recap


LESSONS = (
    Lesson("00_start_here", "Start here", 25),
    Lesson("01_frosting", "Frosting: state and events", 45, ("00_start_here",)),
    Lesson("02_downloads", "Downloads: rules and retries", 55, ("01_frosting",)),
    Lesson("03_event_store_on_cassandra", "The event store on Cassandra", 45, ("02_downloads",), True),
    Lesson("04_query_first", "Query first", 40, ("03_event_store_on_cassandra",), True),
    Lesson("05_versioned_serializer", "The versioned serializer", 40, ("02_downloads",)),
    Lesson("06_snapshot_vs_replay", "Snapshot versus replay", 60, ("05_versioned_serializer",)),
    Lesson("07_retries_and_duplicates", "Retries and duplicates", 55, ("02_downloads",)),
    Lesson("08_three_regions", "Three regions", 60, ("07_retries_and_duplicates",)),
    Lesson("09_why_the_first_two_designs_failed", "Why two designs failed", 50, ("07_retries_and_duplicates",)),
)


CREDIT = (
    "The story and its ideas come from **Event Sourcing at Scale**, a talk by Joseph Breuer and Robert Retta about "
    "Netflix Downloads. The programme of Velocity New York 2017 announces a talk of theirs on the same subject: "
    "[Event sourcing on a global scale: Netflix downloads]"
    "(https://conferences.oreilly.com/velocity/vl-ny-2017/public/schedule/detail/61629). "
    "The words, the code and the measurements here are ours, and so are the mistakes."
)


def lesson(name: str) -> Lesson:
    """The lesson of this name; raises `InvalidInput` if there is none."""
    for found in LESSONS:
        if found.name == name:
            return found
    raise InvalidInput(f"Expected a lesson among {', '.join(each.name for each in LESSONS)}, got {name!r}.")


def map() -> "Map":
    """The lessons, what each needs, and how far the reader has come."""
    return Map(LESSONS)


def credit() -> Note:
    """Where the story and its ideas come from."""
    return Note(CREDIT)


@dataclass(frozen=True)
class Recap:
    """The end of a lesson, as Markdown."""

    lesson: Lesson
    lines: tuple[str, ...]
    code: tuple[tuple[str, str], ...]  # module, name

    def _repr_markdown_(self) -> str:
        lines = "\n".join(f"{number}. {line}" for number, line in enumerate(self.lines, 1))
        code = "\n".join(f"| `{name}` | `{module}` |" for module, name in self.code)
        table = f"\n\n| code of this lesson | module |\n|---|---|\n{code}" if code else ""
        return f"### What to keep\n\n{lines}{table}\n\n{self._next()}"

    def _next(self) -> str:
        later = LESSONS[LESSONS.index(self.lesson) + 1 :]
        if not later:
            return "That was the last lesson so far."
        return f"Next: [{later[0].number} {later[0].title}]({later[0].name}.ipynb), {later[0].minutes} minutes."

    def __repr__(self) -> str:
        return "\n".join(self.lines)


@dataclass(frozen=True)
class Map:
    """The lessons as a drawing with arrows from each to those that build on it, and as a table."""

    lessons: Sequence[Lesson]

    def rows(self) -> list[dict[str, str]]:
        """The table: a line for each lesson."""
        return [
            {
                "lesson": f"{each.number} {each.title}",
                "minutes": str(each.minutes),
                "after": ", ".join(name.partition("_")[0] for name in each.after) or "nothing",
                "runs on": "a Cassandra of its own" if each.starts_cassandra else "SQLite",
                "exercises": each.solved(),
                "you": "✓ done" if each.is_done else "",
            }
            for each in self.lessons
        ]

    def in_words(self) -> str:
        """The map in one sentence."""
        done = sum(each.is_done for each in self.lessons)
        minutes = sum(each.minutes for each in self.lessons)
        return f"{len(self.lessons)} lessons, about {minutes} minutes; you have finished {done}."

    def __repr__(self) -> str:
        return self.in_words()

    def _repr_html_(self) -> str:
        rows = self.rows()
        head = "".join(f'<th scope="col" style="text-align:left">{name}</th>' for name in rows[0])
        body = "".join(f"<tr>{self._cells(each, row)}</tr>" for each, row in zip(self.lessons, rows, strict=True))
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        caption = f"<figcaption>{escape(self.in_words())}</figcaption>"
        return f'<figure style="margin:0">{_drawing(self)}{caption}</figure>{table}'

    def _cells(self, each: Lesson, row: dict[str, str]) -> str:
        link = f'<a href="{each.name}.ipynb">{escape(row["lesson"])}</a>'
        cells = [link, *(escape(text) for text in list(row.values())[1:])]
        return "".join(f'<td style="text-align:left">{cell}</td>' for cell in cells)


def _place(thing: Any) -> tuple[str, str]:
    """The module and the name of a class, function, method or property, from the object itself."""
    found = thing.fget if isinstance(thing, property) else thing
    module, name = getattr(found, "__module__", None), getattr(found, "__qualname__", None)
    if not module or not name or module == "__main__" or "<" in name:
        raise InvalidInput(
            f"Expected a class, function, method or property of a module, got {thing!r}. Give the object itself, "
            "such as Frosting.apply, and nothing that the notebook made."
        )
    return module, name


def _drawing(course: Map) -> str:
    """The map as SVG in the page's own text colour: a column for each step, an arrow for each prerequisite."""
    places = _places(course.lessons)
    width = max(x for x, _ in places.values()) + BOX[0] + PAD
    height = max(y for _, y in places.values()) + BOX[1] + PAD
    arrows = "".join(_arrow(places[name], places[each.name]) for each in course.lessons for name in each.after)
    boxes = "".join(_box(each, *places[each.name]) for each in course.lessons)
    label = escape(f"A map of the course. {course.in_words()} The table below says the same.")
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" style="max-width:100%" role="img" aria-label="{label}" '
        f'font-family="system-ui, sans-serif">{arrows}{boxes}</svg>'
    )


def _places(lessons: Sequence[Lesson]) -> dict[str, tuple[int, int]]:
    """Where each lesson's box begins: its column is the longest way to it."""
    columns: dict[str, int] = {}
    places: dict[str, tuple[int, int]] = {}
    for each in lessons:
        column = columns[each.name] = max((columns[name] + 1 for name in each.after), default=0)
        row = sum(other == column for other in columns.values()) - 1
        places[each.name] = (PAD + column * (BOX[0] + GAP[0]), PAD + row * (BOX[1] + GAP[1]))
    return places


def _arrow(begin: tuple[int, int], end: tuple[int, int]) -> str:
    """A curve from the right edge of one box to the left edge of another."""
    x1, y1, x2, y2 = begin[0] + BOX[0], begin[1] + BOX[1] // 2, end[0], end[1] + BOX[1] // 2
    middle = (x1 + x2) // 2
    return (
        f'<path d="M{x1} {y1} C{middle} {y1} {middle} {y2} {x2 - 6} {y2} m-5 -4 l5 4 l-5 4" fill="none" '
        'stroke="currentColor" stroke-opacity=".6" stroke-width="1.5"/>'
    )


def _box(each: Lesson, x: int, y: int) -> str:
    """A lesson: number, mark and minutes, then its title; a thick edge if it is done."""
    needs = " · Cassandra" if each.starts_cassandra else ""
    first = f'<tspan font-weight="600">{each.number}{" ✓" * each.is_done}</tspan> · {each.minutes} min{needs}'
    lines = [first, *(escape(line) for line in wrap(each.title, 24)[:2])]
    texts = "".join(
        f'<text x="{x + 9}" y="{y + 19 + 16 * row}" fill="currentColor" font-size="12">{line}</text>'
        for row, line in enumerate(lines)
    )
    return (
        f'<rect x="{x}" y="{y}" width="{BOX[0]}" height="{BOX[1]}" rx="6" fill="currentColor" fill-opacity=".06" '
        f'stroke="currentColor" stroke-width="{3 if each.is_done else 1}"/>{texts}'
    )
