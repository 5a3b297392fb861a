"""The texts of a notebook's cells, and the names that they define."""

import ast
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from IPython.core.inputtransformer2 import TransformerManager

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
SCOPES = (*DEFINITIONS, ast.Lambda)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
IMPORTS = (ast.Import, ast.ImportFrom)


def run_so_far() -> list[str]:
    """The texts of all cells that this notebook has run, in order; none outside a notebook."""
    shell = _shell()
    return [cell for cell in shell.history_manager.input_hist_raw if cell.strip()] if shell else []


def name_of(thing: Any, usual: str, cells: Sequence[str]) -> str:
    """The name under which these cells define an object, the usual one if it can be; empty if they don't."""
    shell = _shell()
    known = shell.user_ns if shell else {}
    names = [usual, getattr(thing, "__name__", usual), *known]
    own = (name for name in names if name in known and known[name] is thing)
    return next((name for name in own if text_of(name, cells)), "")


def text_of(name: str, cells: Sequence[str]) -> str:
    """The last of these cells that defines a name; empty if none does."""
    return next((cell for cell in reversed(cells) if name in defined_in(cell)), "")


def defined_in(cell: str) -> set[str]:
    """The names that a cell defines at its top level."""
    return {name for statement in statements(cell) for name in defined_by(statement)}


def defined_by(statement: ast.stmt) -> set[str]:
    """The names that a statement defines; one that it only adds to, as in `n += 1`, is not among them."""
    nodes = list(outside_of_scopes(statement))
    added = {id(node.target) for node in nodes if isinstance(node, ast.AugAssign)}
    names = {node.name for node in nodes if isinstance(node, DEFINITIONS)}
    names |= {node.id for node in nodes if isinstance(node, ast.Name) and is_stored(node) and id(node) not in added}
    imports = [alias for node in nodes if isinstance(node, IMPORTS) for alias in node.names]
    return names | {alias.asname or alias.name.partition(".")[0] for alias in imports}


def value_in(cell: str, name: str) -> Any:
    """The plain value that a cell assigns to a name; a new object, equal to nothing, if it assigns none."""
    for node in statements(cell):
        if isinstance(node, ast.Assign) and any(isinstance(it, ast.Name) and it.id == name for it in node.targets):
            with suppress(ValueError):
                return ast.literal_eval(node.value)
    return object()


def imports_for(source: str, cells: Iterable[str]) -> str:
    """The import statements at the top level of these cells that bind a name which the source uses."""
    used = {node.id for node in ast.walk(ast.Module(statements(source), [])) if isinstance(node, ast.Name)}
    imports = {}
    for node in (node for cell in cells for node in statements(cell)):
        if isinstance(node, IMPORTS):
            kept = [alias for alias in node.names if (alias.asname or alias.name.partition(".")[0]) in used]
            for alias in kept:
                node.names = [alias]
                imports[ast.unparse(node)] = None
    return "\n".join(imports)


def is_same_code(one: str, other: str) -> bool:
    """Are two texts the same code, whatever their comments and blank lines?"""
    return [ast.dump(node) for node in statements(one)] == [ast.dump(node) for node in statements(other)]


def statements(cell: str) -> list[ast.stmt]:
    """The statements of a cell, also below a magic such as %%time; none if it isn't Python."""
    body = cell.partition("\n")[2] if cell.startswith("%%") else cell
    try:
        return ast.parse(TransformerManager().transform_cell(body)).body
    except SyntaxError:
        return []


def outside_of_scopes(node: ast.AST, *, in_classes: bool = False) -> Iterator[ast.AST]:
    """A node and all in it that runs with it: not the bodies of functions, nor the names of comprehensions."""
    yield node
    for field, value in ast.iter_fields(node):
        is_body = field == "body" and isinstance(node, SCOPES) and not (in_classes and isinstance(node, ast.ClassDef))
        is_target = field == "generators" and isinstance(node, COMPREHENSIONS) and not in_classes
        if not is_body and not is_target:
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from outside_of_scopes(child, in_classes=in_classes)


def is_stored(node: ast.AST) -> bool:
    """Does a statement give this place a value?"""
    return isinstance(getattr(node, "ctx", None), ast.Store)


def _shell() -> Any:
    """The notebook's shell; None outside a notebook."""
    from IPython.core.getipython import get_ipython

    return get_ipython()
