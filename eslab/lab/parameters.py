"""The parameters of notebooks, checked before anything runs. Papermill only warns; this module refuses."""

import ast
import typing
from collections.abc import Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, Union

import msgspec
import nbformat
from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode
from papermill.iorw import load_notebook_node

from eslab.errors import InvalidInput

KERNEL = "python3"
TAG = "parameters"
TYPES: dict[str, type] = {"str": str, "int": int, "float": float, "bool": bool}
SIMPLE = (*TYPES.values(), NoneType)
# The names that an annotation may use. A type of another name is known only in the notebook's kernel.
NAMES = {
    **TYPES,
    "list": list,
    "dict": dict,
    **{name: getattr(typing, name) for name in ("Optional", "Union", "Literal", "List", "Dict")},
    "typing": typing,
    "t": typing,
    "__builtins__": {},
}


class Parameter(NamedTuple):
    """A parameter as a notebook declares it; `type` is None if it has none that a value could be converted to."""

    annotation: str
    type: Any
    default: str


Declared = dict[str, Parameter]  # by name


def read(notebook: Path) -> NotebookNode:
    """Read a notebook as papermill does. Raises `InvalidInput` if the file can't be read as one."""
    try:
        content = load_notebook_node(nbformat.read(notebook, as_version=4))
        for cell in content.cells:
            if not isinstance(cell.source, str) or not isinstance(cell.metadata.tags, list):
                raise ValueError("a cell has no text, or its tags are no list")
        return content
    except Exception as error:  # a file that isn't quite a notebook fails anywhere in nbformat, with any error
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InvalidInput(
            f"Expected a notebook at {notebook}, but the file can't be read as one: {reason[:300]}. Fix the file."
        ) from error


def resolve(notebooks: Sequence[Path], given: Mapping[str, object], everywhere: Mapping[str, object]) -> list[dict]:
    """The parameters of each notebook: all of `everywhere`, and those of `given` that it declares, in their types.

    Raises `InvalidInput` if a notebook doesn't declare all of `everywhere`, if no notebook declares a name of
    `given`, if a name is in both, or if a value isn't of the declared type.
    """
    declared = {notebook: declared_in(notebook) for notebook in notebooks}
    if own := given.keys() & everywhere.keys():
        raise InvalidInput(
            f"Expected --{min(own)} for the {min(own)}, got it among the parameters. Nothing was executed."
        )
    _refuse_unknown(given, declared)
    return [_of_one(notebook, declared[notebook], given, everywhere) for notebook in notebooks]


def declared_in(notebook: Path) -> Declared:
    """The parameters in the notebook's cell tagged `parameters`, in order; none without such a cell."""
    cells = [cell for cell in read(notebook).cells if TAG in cell.metadata.tags]
    if len(cells) > 1:
        raise InvalidInput(
            f"Expected one cell tagged '{TAG}' in {notebook}, found {len(cells)}: the later ones would undo the "
            "parameters that are set after the first. Join them. Nothing was executed."
        )
    declared: Declared = {}
    for node in _statements(notebook, cells[0].source) if cells else []:
        declared |= _declared_by(node)
    return declared


def _statements(notebook: Path, source: str) -> list[ast.stmt]:
    code = TransformerManager().transform_cell(source)  # magics become calls
    try:
        return ast.parse(code, type_comments=True).body
    except SyntaxError as error:
        raise InvalidInput(
            f"Expected Python in the cell tagged '{TAG}' of {notebook}, found in its line {error.lineno}: {error.msg}. "
            "Correct it there. Nothing was executed."
        ) from None


def _declared_by(node: ast.stmt) -> Declared:
    if isinstance(node, ast.AnnAssign):
        annotation, targets = _annotation(node.annotation), [node.target]
    elif isinstance(node, ast.Assign):
        annotation, targets = node.type_comment or "", node.targets
    else:
        return {}
    default = ast.unparse(node.value) if node.value else "..."
    parameter = Parameter(annotation, _type(annotation), default)
    return {target.id: parameter for target in targets if isinstance(target, ast.Name)}


def _annotation(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ast.unparse(node)


def _type(annotation: str) -> Any:
    """The type that an annotation means, if a value from the command line can be converted to it."""
    try:
        hinted = typing.get_type_hints(type("Cell", (), {"__annotations__": {"value": annotation}}), NAMES, {})
    except Exception:  # whatever the expression does that should be a type
        return None
    return hinted["value"] if annotation and _is_supported(hinted["value"]) else None


def _is_supported(wanted: Any) -> bool:
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if origin is Literal:
        return all(isinstance(value, SIMPLE) for value in arguments)
    return wanted in (*SIMPLE, list, dict) or (
        origin in (Union, UnionType, list, dict) and all(map(_is_supported, arguments))
    )


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
                f"Expected {name!r} in a cell tagged '{TAG}' of {notebook}, found "
                f"{', '.join(sorted(declared)) or 'no parameters'}. Declare it there, such as seed: int = 7, "
                "and tag the cell. Nothing was executed."
            )
    values = {**everywhere, **{name: value for name, value in given.items() if name in declared}}
    return {name: _typed(notebook, name, declared[name], value) for name, value in values.items()}


def _typed(notebook: Path, name: str, declared: Parameter, value: object) -> object:
    if declared.type is None:
        found = f"{name}: {declared.annotation} = " if declared.annotation else f"{name} = "
        raise InvalidInput(
            f"Expected the parameter {name!r} of {notebook} to be declared as one of {', '.join(TYPES)}, "
            f"found {found}{declared.default} without such a type. Write {name}: str = ..., or a list, dict, Literal, "
            "Optional or union of these. Nothing was executed."
        )
    for candidate in _readings(value):
        with suppress(msgspec.ValidationError):
            return msgspec.convert(candidate, declared.type, strict=candidate is not value)
    raise InvalidInput(
        f"Expected {declared.annotation} for the parameter {name!r} of {notebook}, got {_short(value)}. "
        f"Give it as {name}={declared.default}, for instance. Nothing was executed."
    )


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _readings(value: object) -> list[object]:
    """What a text may mean, in order: itself, a Python literal such as [1, 2], JSON such as null or {"loud": true}."""
    readings = [value]
    if isinstance(value, str):
        with suppress(ValueError, SyntaxError, MemoryError, RecursionError):
            readings.append(ast.literal_eval(value.strip()))
        with suppress(msgspec.DecodeError):
            readings.append(msgspec.json.decode(value))
    return readings
