"""The parameters of notebooks, checked before anything runs. Papermill only warns; this module refuses."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec
import nbformat
from papermill import inspect_notebook

from eslab.errors import InvalidInput

KERNEL = "python3"
TYPES: dict[str, type] = {"str": str, "int": int, "float": float, "bool": bool}

Declared = dict[str, dict[str, Any]]  # by name: papermill's reading of the cell tagged `parameters`


def resolve(notebooks: Sequence[Path], given: Mapping[str, object], everywhere: Mapping[str, object]) -> list[dict]:
    """The parameters of each notebook: all of `everywhere`, and those of `given` that it declares, in their types.

    Raises `InvalidInput` if a notebook doesn't declare all of `everywhere`, if no notebook declares a name of
    `given`, if a name is in both, or if a value isn't of the declared type.
    """
    declared = {notebook: _declared(notebook) for notebook in notebooks}
    if own := given.keys() & everywhere.keys():
        raise InvalidInput(
            f"Expected --{min(own)} for the {min(own)}, got it among the parameters. Nothing was executed."
        )
    _refuse_unknown(given, declared)
    return [_of_one(notebook, declared[notebook], given, everywhere) for notebook in notebooks]


def _declared(notebook: Path) -> Declared:
    try:
        node = nbformat.read(notebook, as_version=4)
    except (ValueError, nbformat.ValidationError) as error:
        raise InvalidInput(
            f"Expected a notebook at {notebook}, but the file can't be read as one: {error}. Fix the file."
        ) from error
    node.metadata.setdefault("kernelspec", {"name": KERNEL, "language": "python", "display_name": "Python 3"})
    return inspect_notebook(node)


def _refuse_unknown(given: Mapping[str, object], declared: Mapping[Path, Declared]) -> None:
    known = sorted({name for names in declared.values() for name in names})
    for name in given.keys() - set(known):
        places = ", ".join(notebook.name for notebook in declared)
        raise InvalidInput(
            f"Expected a parameter among {', '.join(known) or 'none at all'} (declared in {places}), "
            f"got {name!r}.{_did_you_mean(name, known)} Nothing was executed."
        )


def _did_you_mean(name: str, known: Sequence[str]) -> str:
    close = get_close_matches(name, known, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def _of_one(
    notebook: Path, declared: Declared, given: Mapping[str, object], everywhere: Mapping[str, object]
) -> dict[str, object]:
    for name in everywhere:
        if name not in declared:
            raise InvalidInput(
                f"Expected {name!r} in a cell tagged 'parameters' of {notebook}, found "
                f"{', '.join(sorted(declared)) or 'no parameters'}. Declare it there, such as seed: int = 7, "
                "and tag the cell. Nothing was executed."
            )
    values = {**everywhere, **{name: value for name, value in given.items() if name in declared}}
    return {name: _typed(notebook, name, declared[name], value) for name, value in values.items()}


def _typed(notebook: Path, name: str, declared: Mapping[str, Any], value: object) -> object:
    wanted = declared["inferred_type_name"]
    if wanted not in TYPES:
        raise InvalidInput(
            f"Expected the parameter {name!r} of {notebook} to be declared as one of {', '.join(TYPES)}, "
            f"found {name} = {declared['default']} without such a type. Write {name}: str = ... Nothing was executed."
        )
    try:
        return msgspec.convert(value, TYPES[wanted], strict=False)
    except msgspec.ValidationError:
        raise InvalidInput(
            f"Expected {wanted} for the parameter {name!r} of {notebook}, got {value!r}. "
            f"Give it as {name}={declared['default']}, for instance. Nothing was executed."
        ) from None
