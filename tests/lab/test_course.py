"""The course map says what each lesson needs and how far the reader has come; a recap ends a lesson."""

from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from eslab import InvalidInput, Rejected
from eslab.domains.bakery import Frosting, handle
from eslab.lab import course, reader

ROOT = Path(__file__).parents[2]
LINES = ["One.", "Two.", "Three.", "Four.", "Five."]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """The reader's folder is empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_course_has_a_lesson_for_each_notebook():
    """In order, and each after lessons that come before it."""
    names = [lesson.name for lesson in course.LESSONS]
    assert names == [path.stem for path in sorted((ROOT / "notebooks").glob("*.ipynb"))]
    assert all(names.index(name) < names.index(lesson.name) for lesson in course.LESSONS for name in lesson.after)


def test_the_course_knows_the_lessons_that_start_a_node():
    """As their notebooks say it."""
    starting = {p.stem for p in (ROOT / "notebooks").glob("*.ipynb") if "starts_cassandra" in p.read_text("utf-8")}
    assert {lesson.name for lesson in course.LESSONS if lesson.starts_cassandra} == starting


def test_the_map_says_what_the_reader_has_done():
    """Finished lessons and solved exercises, of which the notebooks say how many there are."""
    reader.keep(reader.CHECKED, "01_frosting/at_least", {"passed": True, "source": ""})
    course.lesson("01_frosting").recap(LINES, [])
    row = course.map().rows()[1]
    assert (row["lesson"], row["after"], row["you"]) == ("01 Frosting: state and events", "00", "✓ done")
    assert row["exercises"].startswith("1 of ")
    assert course.map().in_words().endswith("you have finished 1.")


def test_the_map_is_a_drawing_with_words_and_a_table():
    """Its text has the page's own colour; every lesson is a link in the table."""
    page = BeautifulSoup(course.map()._repr_html_(), "html.parser")
    words = f"A map of the course. {len(course.LESSONS)} lessons"
    assert page.svg["role"] == "img" and page.svg["aria-label"].startswith(words)
    assert {tag["fill"] for tag in page.svg.find_all(fill=True)} == {"currentColor", "none"}
    assert len(page.svg.find_all("path")) == sum(len(lesson.after) for lesson in course.LESSONS)
    assert [a["href"] for a in page.table.find_all("a")] == [f"{lesson.name}.ipynb" for lesson in course.LESSONS]


def test_a_recap_names_the_code_by_itself():
    """Module and name come from the objects, so that they can't go stale; the next lesson is a link."""
    shown = course.lesson("01_frosting").recap(LINES, [Frosting.apply, handle, Frosting.hex, Rejected])
    text = shown._repr_markdown_()
    assert "1. One.\n2. Two.\n3. Three.\n4. Four.\n5. Five." in text
    assert "| `Frosting.apply` | `eslab.domains.bakery` |" in text
    assert "| `Frosting.hex` | `eslab.domains.bakery` |\n| `Rejected` | `eslab.event` |" in text
    assert "Next: [02 Downloads: rules and retries](02_downloads.ipynb), 55 minutes." in text


def test_the_last_lesson_has_no_next_one():
    """It says so."""
    assert "the last lesson" in course.LESSONS[-1].recap(LINES, [])._repr_markdown_()


@pytest.mark.parametrize("thing", [3, "handle", lambda: 0, Frosting(), None])
def test_code_without_a_module_is_refused(thing):
    """Only what a reader can look up belongs in a recap."""
    with pytest.raises(InvalidInput, match="Expected a class, function, method or property of a module"):
        course.lesson("01_frosting").recap(LINES, [thing])
    assert not course.lesson("01_frosting").is_done


def test_a_recap_has_five_lines():
    """Not four, not six."""
    with pytest.raises(InvalidInput, match="Expected 5 lines for the recap of 01_frosting, got 4"):
        course.lesson("01_frosting").recap(LINES[:4], [])


def test_an_unknown_lesson_is_refused():
    """With the names that exist."""
    with pytest.raises(InvalidInput, match=r"Expected a lesson among 00_start_here, .*, got 'frosting'"):
        course.lesson("frosting")


def test_the_talk_is_credited():
    """With its title, its speakers and a link."""
    text = str(course.credit())
    assert all(part in text for part in ("Event Sourcing at Scale", "Joseph Breuer", "Robert Retta", "](https://"))
