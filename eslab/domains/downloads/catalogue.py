"""The catalogue: which titles there are, and whose they are. It is data/catalogue.csv, read once."""

import csv
from collections.abc import Iterator, Mapping
from functools import cache
from io import StringIO
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

import msgspec

from eslab.domains.downloads.files import checked, data_file, read
from eslab.errors import InvalidInput

Text = Annotated[str, msgspec.Meta(min_length=1)]


class Title(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A film or a series that can be downloaded; `title_id` is a readable slug such as `glow`."""

    title_id: Annotated[str, msgspec.Meta(pattern="^[a-z0-9]+(-[a-z0-9]+)*$")]
    title: Text
    kind: Literal["film", "series"]
    studio: Text
    release_year: Annotated[int, msgspec.Meta(ge=1888, le=2100)]  # 1888: the oldest film that survives


Catalogue = Mapping[str, Title]


@cache
def load_catalogue(path: Path | None = None) -> Catalogue:
    """The titles of a CSV file (our own by default) by title id, in the order of the file; read once per file.

    Raises `InvalidInput` with file, line and column if a row is not a `Title`, or a title id stands twice.
    """
    titles: dict[str, Title] = {}
    for where, title in _rows(path or data_file("catalogue.csv")):
        if title.title_id in titles:
            raise InvalidInput(f"{where}, title_id: Expected a new id, found {title.title_id!r} again; add the year.")
        titles[title.title_id] = title
    return MappingProxyType(titles)


def _rows(path: Path) -> Iterator[tuple[str, Title]]:
    """Each title, with the file and line where it ends."""
    reader = csv.DictReader(StringIO(read(path)), restkey="surplus")
    columns = list(Title.__struct_fields__)
    if reader.fieldnames != columns:
        raise InvalidInput(f"{path}, line 1: Expected the columns {columns}, found {reader.fieldnames}; mend them.")
    for row in reader:
        where = f"{path}, line {reader.line_num}"
        yield where, checked(row, Title, where, strict=False)
