"""Data files: finds and reads them, and checks their values; an error names file, line and key."""

import re
import tomllib
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, get_args, get_origin, get_type_hints
from zoneinfo import ZoneInfo

import msgspec

import eslab
from eslab.errors import InvalidInput
from eslab.payload.decoding import built

T = TypeVar("T")
Keys = tuple[str | int, ...]
Country = Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$")]  # ISO 3166: "DE"

_PACKAGE = Path(eslab.__file__).parent
_FOLDERS = (_PACKAGE / "data", _PACKAGE.parent / "data")  # in a wheel, in a checkout


class Toml(NamedTuple):
    """The content of a TOML file, and the line in which each table and key begins."""

    path: Path
    content: dict[str, Any]
    lines: Mapping[Keys, int]

    def place(self, *keys: str | int) -> str:
        """File, line and key, for messages; a missing key gets the line of its table."""
        known = next((keys[:n] for n in range(len(keys), 0, -1) if keys[:n] in self.lines), ())
        line = f", line {self.lines[known]}" if known else ""
        name = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).lstrip(".")
        return f"{self.path}{line}{', ' if name else ''}{name}"

    def checked(self, value: dict[str, Any], kind: type[T], *keys: str | int) -> T:
        """Convert a table of the file to `kind`; raises `InvalidInput` with file, line and key."""
        return checked(value, kind, lambda key: self.place(*keys, *([key] if key else [])))

    def named(self, value: dict[str, Any], kind: type[T], *keys: str | int) -> dict[str, T]:
        """Convert a table of named tables, one by one, since msgspec does not name the key that is wrong."""
        return {name: self.checked(table, kind, *keys, name) for name, table in value.items()}


def data_file(name: str) -> Path:
    """The path of a data file, in an installed package or in a checkout; `InvalidInput` if it is in neither."""
    for folder in _FOLDERS:
        if (folder / name).is_file():
            return folder / name
    folders = " or ".join(map(str, _FOLDERS))
    raise InvalidInput(f"Expected a data file {name} in {folders}, found none; reinstall eslab.")


def read(path: Path) -> str:
    """The text of a data file; `InvalidInput` if it can't be read as UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(
            f"{path}: Expected a readable file in UTF-8, found: {error}; fix the path or the file."
        ) from error


def read_toml(path: Path) -> Toml:
    """Read a TOML file with the lines of its keys; `InvalidInput` if it isn't TOML."""
    text = read(path)
    try:
        return Toml(path, tomllib.loads(text), _lines(text))
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"{path}: Expected TOML, found an error: {error}; fix it there.") from error


def checked(value: dict[str, Any], kind: type[T], place: Callable[[str], str], *, strict: bool = True) -> T:
    """Convert a value to `kind`; raises `InvalidInput` with the place, what was expected and what was found.

    `place` gives the place of a key, and of the whole value for "". `strict=False` reads numbers from text, as in a
    CSV file.
    """
    try:
        return msgspec.convert(value, built(kind), strict=strict, dec_hook=_time_zone)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).partition(" - at `$")
        key = re.split(r"[.\[`]", path.lstrip("."), maxsplit=1)[0]
        if key not in value:
            raise InvalidInput(f"{place('')}: {problem}; fix it there.") from None
        problem = _choices(kind, key) or problem.partition(", got ")[0]
        raise InvalidInput(f"{place(key)}: {problem}, found {value[key]!r}; fix it there.") from None


def _time_zone(kind: type, value: Any) -> ZoneInfo:
    """The time zone of a name; msgspec asks for it, since it knows no such type."""
    try:
        return ZoneInfo(value)
    except (LookupError, ValueError, TypeError, OSError):  # a folder of zones, such as "Europe", is an OSError
        raise ValueError("Expected a time zone such as Europe/Berlin") from None


def _choices(kind: type, field: str) -> str:
    """The expectation of a field with a few allowed values, which msgspec does not name."""
    choices = get_type_hints(kind).get(field)
    return f"Expected {' or '.join(get_args(choices))}" if get_origin(choices) is Literal else ""


def _lines(text: str) -> dict[Keys, int]:
    """The line in which each table and key begins; tomllib doesn't tell, so each line is parsed as a file."""
    lines: dict[Keys, int] = {}
    table: Keys = ()
    for number, line in enumerate(text.splitlines(), 1):
        is_table = line.lstrip().startswith("[")
        try:
            alone = tomllib.loads(line if is_table else f"{line.partition('=')[0]} = 0")
        except tomllib.TOMLDecodeError:
            continue  # a comment, or within a value of several lines
        keys = _keys(alone, () if is_table else table, lines)
        table = keys if is_table else table
        if keys:
            lines.setdefault(keys, number)
    return lines


def _keys(alone: Any, keys: Keys, lines: Mapping[Keys, int]) -> Keys:
    """The path to the table or key that one line names; tables in an array are numbered, `[a.b]` is in the last `a`."""
    while isinstance(alone, dict) and alone:
        ((key, alone),) = alone.items()
        keys = (*keys, key)
        number = next(number for number in count() if (*keys, number) not in lines)
        if isinstance(alone, list):
            return (*keys, number)
        if number:
            keys = (*keys, number - 1)
    return keys
