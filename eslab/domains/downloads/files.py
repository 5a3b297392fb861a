"""Data files: where they are, and how their values are checked."""

from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

import eslab
from eslab.errors import InvalidInput

T = TypeVar("T")

_PACKAGE = Path(eslab.__file__).parent
_FOLDERS = (_PACKAGE / "data", _PACKAGE.parent / "data")  # in a wheel, in a checkout


def data_file(name: str) -> Path:
    """Where the data file is, in an installed package and in a checkout; `InvalidInput` if it is in neither."""
    for folder in _FOLDERS:
        if (folder / name).is_file():
            return folder / name
    raise InvalidInput(f"Expected a data file {name} in {' or '.join(map(str, _FOLDERS))}, found none; install anew.")


def read(path: Path) -> str:
    """The text of a data file; `InvalidInput` if it can't be read as UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(
            f"{path}: Expected a readable file in UTF-8, found: {error}; mend the path or it."
        ) from error


def checked(value: dict[str, Any], kind: type[T], where: str, *, strict: bool = True) -> T:
    """The value as `kind`; otherwise `InvalidInput` with the place, what was expected and what was found.

    `strict=False` reads numbers from text, as in a CSV file.
    """
    try:
        return msgspec.convert(value, kind, strict=strict)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).partition(" - at `$")
        key = path.strip(".`")
        if key not in value:
            raise InvalidInput(f"{where}{path.rstrip('`')}: {problem}; mend it there.") from None
        problem = _choices(kind, key) or problem.partition(", got ")[0]
        raise InvalidInput(f"{where}, {key}: {problem}, found {value[key]!r}; mend it there.") from None


def _choices(kind: type, field: str) -> str:
    """What a field with a few allowed values expects, since msgspec does not name them."""
    choices = get_type_hints(kind).get(field)
    return f"Expected {' or '.join(get_args(choices))}" if get_origin(choices) is Literal else ""
