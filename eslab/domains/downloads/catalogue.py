"""The catalogue: every title that can be downloaded, its studio, and the countries where it is offered.

Its data are data/catalogue.csv (real titles) and data/countries.toml (invented), read once.
"""

import csv
from collections.abc import Iterator, Mapping
from functools import cache
from io import StringIO
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

import msgspec

from eslab.domains.downloads.files import Country, checked, data_file, read, read_toml
from eslab.errors import InvalidInput

Text = Annotated[str, msgspec.Meta(min_length=1)]
COLUMNS = ["title_id", "title", "kind", "studio", "release_year"]


class Title(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A film or a series that can be downloaded; `title_id` is a readable slug such as `glow`."""

    title_id: Annotated[str, msgspec.Meta(pattern="^[a-z0-9]+(-[a-z0-9]+)*$")]
    title: Text
    kind: Literal["film", "series"]
    studio: Text
    release_year: Annotated[int, msgspec.Meta(ge=1888, le=2100)]  # 1888: the oldest film that survives
    countries: frozenset[Country] = frozenset()  # where it is offered; empty: everywhere


Catalogue = Mapping[str, Title]  # by title id


class _Offer(msgspec.Struct):
    countries: Annotated[frozenset[Country], msgspec.Meta(min_length=1)]


class _Countries(msgspec.Struct, forbid_unknown_fields=True):
    titles: dict[str, Any]
    invented: bool = False


@cache
def load_catalogue(path: Path | None = None, countries: Path | None = None) -> Catalogue:
    """The titles of a CSV file (our own by default) by title id, in the order of the file; read once per file.

    A title that the file of countries does not name is offered everywhere. Raises `InvalidInput` with file, line and
    column or key if a row is not a `Title`, a title id occurs twice, or a country's code is invalid.
    """
    titles: dict[str, Title] = {}
    for place, title in _rows(path or data_file("catalogue.csv")):
        if title.title_id in titles:
            raise InvalidInput(f"{place}, title_id: Expected a new id, found {title.title_id!r} again; add the year.")
        titles[title.title_id] = title
    if path is None or countries:
        _limit_countries(titles, countries or data_file("countries.toml"))
    return MappingProxyType(titles)


def _rows(path: Path) -> Iterator[tuple[str, Title]]:
    """The titles of a CSV file, each with the file and line where its row ends."""
    reader = csv.DictReader(StringIO(read(path)), restkey="surplus")
    if reader.fieldnames != COLUMNS:
        raise InvalidInput(f"{path}, line 1: Expected the columns {COLUMNS}, found {reader.fieldnames}; fix them.")
    for row in reader:
        line = f"{path}, line {reader.line_num}"

        def place(column: str, line: str = line) -> str:
            return f"{line}, {column}" if column else line

        yield line, checked(row, Title, place, strict=False)


def _limit_countries(titles: dict[str, Title], path: Path) -> None:
    """Limit the titles that the file names to the countries that it gives them."""
    toml = read_toml(path)
    for title_id, countries in toml.checked(toml.content, _Countries).titles.items():
        if title_id not in titles:
            raise InvalidInput(
                f"{toml.place('titles', title_id)}: Expected a title of the catalogue, found {title_id!r}; fix it."
            )
        # Checked title by title, since msgspec does not name the one that is wrong.
        offer = toml.checked({"countries": countries}, _Offer, "titles", title_id)
        titles[title_id] = msgspec.structs.replace(titles[title_id], countries=offer.countries)
