"""The catalogue: real titles, and errors that say where a file is wrong."""

from pathlib import Path

import pytest

from eslab import InvalidInput
from eslab.domains.downloads.catalogue import Title, load_catalogue
from eslab.domains.downloads.files import data_file

HEAD = "title_id,title,kind,studio,release_year\n"


def test_glow_is_in_it() -> None:
    """The title of the story, as the story has it."""
    assert load_catalogue()["glow"] == Title("glow", "Glow", "series", "Netflix", 2017)


def test_it_is_read_once_and_cannot_be_changed() -> None:
    """All services share one catalogue."""
    assert load_catalogue() is load_catalogue()
    with pytest.raises(TypeError):
        load_catalogue()["mine"] = load_catalogue()["glow"]  # type: ignore[index]


def test_its_years_are_possible() -> None:
    """No film is from the future of its source; Glow's generation of series is the newest."""
    years = {kind: {t.release_year for t in load_catalogue().values() if t.kind == kind} for kind in ("film", "series")}
    assert (min(years["film"]), max(years["film"]), max(years["series"])) == (1925, 2011, 2017)


def test_it_is_sorted_and_whole() -> None:
    """A few thousand titles in a stable order, none with blanks around or a studio unknown."""
    titles = load_catalogue().values()
    assert 1000 < len(titles) < 5000
    assert [t.title_id for t in titles] == sorted(t.title_id for t in titles)
    assert not [t for t in titles if t.title != t.title.strip() or "unknown" in t.studio.lower()]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            "glow,Glow,series,Netflix,2017\ndark,Dark,show,Netflix,2017\n",
            "line 3, kind: Expected film or series, found 'show'; fix it there.",
        ),
        (
            "glow,Glow,series,Netflix,MMXVII\n",
            "line 2, release_year: Expected `int`, found 'MMXVII'; fix it there.",
        ),
        (
            "glow,Glow,series,Netflix,17\n",
            "line 2, release_year: Expected `int` >= 1888, found '17'; fix it there.",
        ),
        (
            "glow,Glow,series,,2017\n",
            "line 2, studio: Expected `str` of length >= 1, found ''; fix it there.",
        ),
        ("glow,Glow,series,Netflix\n", "line 2, release_year: Expected `int`, found None; fix it there."),
        (
            "glow,Glow,series,Netflix,2017,x\n",
            "line 2: Object contains unknown field `surplus`; fix it there.",
        ),
        (
            "glow,Glow,series,Netflix,2017\nglow,Glow,film,MGM,1999\n",
            "line 3, title_id: Expected a new id, found 'glow' again; add the year.",
        ),
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, rows: str, message: str) -> None:
    """The error has the file, the line, the column, what was expected and what was found."""
    path = tmp_path / "titles.csv"
    path.write_text(HEAD + rows)
    with pytest.raises(InvalidInput) as error:
        load_catalogue(path)
    assert str(error.value) == f"{path}, {message}"


def test_wrong_columns_are_named(tmp_path: Path) -> None:
    """A file with other columns is refused at its first line."""
    path = tmp_path / "titles.csv"
    path.write_text("id,name\n")
    with pytest.raises(InvalidInput, match=r"line 1: Expected the columns .*release_year.*, found \['id', 'name'\]"):
        load_catalogue(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A missing file is named, with the places that were tried."""
    with pytest.raises(InvalidInput, match=r"Expected a data file nothing\.csv in .* found none"):
        data_file("nothing.csv")
    with pytest.raises(InvalidInput, match="Expected a readable file in UTF-8"):
        load_catalogue(tmp_path / "nothing.csv")


def test_a_title_may_be_offered_in_some_countries_only(tmp_path: Path) -> None:
    """The file of countries names them; a title that is not in it is offered everywhere."""
    assert load_catalogue()["glow"].countries == frozenset()
    assert "DE" in load_catalogue()["dark"].countries
    assert "invented = true" in data_file("countries.toml").read_text()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            'glow = ["us"]',
            "line 3, titles.glow.countries: Expected `str` matching regex '^[A-Z]{2}$', found ['us']; fix it there.",
        ),
        (
            "glow = []",
            "line 3, titles.glow.countries: Expected `array` of length >= 1, found []; fix it there.",
        ),
        ('gloww = ["US"]', "line 3, titles.gloww: Expected a title of the catalogue, found 'gloww'; fix it."),
    ],
)
def test_a_wrong_country_is_named(tmp_path: Path, line: str, message: str) -> None:
    """With the file, the line and the title."""
    titles, countries = tmp_path / "titles.csv", tmp_path / "countries.toml"
    titles.write_text(HEAD + "glow,Glow,series,Netflix,2017\n")
    countries.write_text(f"[titles]\n# a comment\n{line}\n")
    with pytest.raises(InvalidInput) as error:
        load_catalogue(titles, countries)
    assert str(error.value) == f"{countries}, {message}"
