"""The catalogue is what its script makes, and the script mends what is known to be wrong."""

import json
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
script = runpy.run_path(str(ROOT / "scripts" / "make_catalogue.py"))


def test_run_again_it_makes_the_same_catalogue(tmp_path: Path) -> None:
    """Same package, same bytes."""
    try:
        films = script["fetch_films"]()
    except ConnectionError as error:
        pytest.skip(str(error))
    script["write"](tmp_path / "again.csv", films)
    assert (tmp_path / "again.csv").read_bytes() == (ROOT / "data" / "catalogue.csv").read_bytes()


@pytest.mark.parametrize(
    ("date", "year"),
    [
        ("Jun 12 1998", 1998),
        ("Dec 15 2039", 1939),  # Gone with the Wind
        ("Dec 23 2011", 2011),  # The Adventures of Tintin
        ("Dec 31 1941", 1942),  # Casablanca
        ("Dec 31 2002", 2002),  # Confessions of a Dangerous Mind
    ],
)
def test_years_are_mended(date: str, year: int) -> None:
    """A century off, or a day back from January 1st of a bare year."""
    assert script["year_of"](date) == year


@pytest.mark.parametrize(
    ("title", "mended"),
    [
        ("LÈon", "Léon"),
        ("The Naked Gun 2Ω: The Smell of Fear", "The Naked Gun 2½: The Smell of Fear"),
        ("Alien³", "Alien³"),
        ("Barbarians, The", "The Barbarians"),
        ("Fantasia 2000 (IMAX)", "Fantasia 2000"),
        ("The Helix...  Loaded", "The Helix... Loaded"),
    ],
)
def test_titles_are_mended(title: str, mended: str) -> None:
    """Accents, the article, notes about the release, doubled spaces."""
    assert script["correct_title"](title) == mended


def test_ids_are_readable_and_unique() -> None:
    """The year stands in an id only where titles share it; the same title of one year is kept once."""
    row = script["Row"]
    crash, crush, again = (
        row("Crash", "film", "A", 1996),
        row("Crash", "film", "B", 2005),
        row("Crash!", "film", "C", 2005),
    )
    glow = row("Glow", "series", "Netflix", 2017)
    assert script["with_ids"]([glow, crush, crash, again]) == [
        ("crash-1996", crash),
        ("crash-2005", crush),
        ("glow", glow),
    ]


def test_what_is_missing_is_left_out() -> None:
    """No title, no distributor or no date: no row."""
    text = '[{"Title": null, "Distributor": "MGM", "Release Date": "Jun 12 1998"}, %s, %s, %s]'
    film = '{"Title": 300, "Distributor": %s, "Release Date": "%s"}'
    films = json.loads(
        text % (film % ("null", "May 1 2007"), film % ('"MGM"', "Dec 31 1969"), film % ('"MGM"', "May 1 2007"))
    )
    assert list(script["clean"](films)) == [("300", "film", "MGM", 2007)]
