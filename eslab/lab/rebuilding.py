"""What another process needs to make a function of a notebook again: its statement, and those that it relies on.

Nothing is run again that may do more than compute. A cell may have opened a store, and opening it a second time would
empty it, so a value that comes from such a call is refused.
"""

import ast
import builtins
import symtable
from collections.abc import Sequence

from eslab.lab import cells

# Modules whose calls only compute. All others might open, write or delete something.
COMPUTING = frozenset([
    "abc", "array", "base64", "binascii", "bisect", "calendar", "collections", "contextlib", "copy", "dataclasses",
    "datetime", "decimal", "enum", "fractions", "functools", "hashlib", "heapq", "itertools", "json", "math",
    "msgspec", "numbers", "numpy", "operator", "pandas", "random", "re", "statistics", "string", "struct",
    "textwrap", "typing", "uuid", "zlib", "zoneinfo",
])  # fmt: skip
EFFECTS = frozenset({"__import__", "breakpoint", "compile", "eval", "exec", "exit", "input", "open", "quit"})


class NotRebuilt(Exception):
    """Raised where a name can't be made again; the message says which one, and where it comes from."""


def needed(name: str, texts: Sequence[str]) -> str:
    """The statements of these cells that make a name, with all names that they use, in an order in which they run.

    Of each name the last definition counts, with what has changed it since. Raises `NotRebuilt` for a value that comes
    from a call which may have effects, such as `open_lab(...)`.
    """
    return "\n".join(_Rebuilding(texts).run(name))


class _Rebuilding:
    """Collects statements: before each one those that make the names in it."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._cells = [cells.statements(text) for text in texts]
        self._begun: set[str] = set()
        self._taken: dict[int, str] = {}  # by the statement's identity

    def run(self, name: str) -> list[str]:
        self._take(name)
        return list(self._taken.values())

    def _take(self, name: str) -> None:
        if name in self._begun:
            return
        self._begun.add(name)
        for statement in self._makers(name):
            self._check(name, statement)
            for used in sorted(_used(statement)):
                self._take(used)
            self._taken.setdefault(id(statement), ast.unparse(statement))

    def _makers(self, name: str) -> list[ast.stmt]:
        """The statements of the last cell that defines a name, and those that have changed it since."""
        places = [place for place, cell in enumerate(self._cells) if any(name in cells.defined_by(it) for it in cell)]
        if not places:
            return [] if hasattr(builtins, name) else self._stars()
        since = [statement for cell in self._cells[places[-1] :] for statement in cell]
        return [statement for statement in since if name in cells.defined_by(statement) | _changed(statement)]

    def _stars(self) -> list[ast.stmt]:
        """The imports of everything that a module has, any of which may bring a name that no cell defines."""
        imports = [it for cell in self._cells for it in cell if isinstance(it, ast.ImportFrom)]
        return [it for it in imports if it.names[0].name == "*"]

    def _check(self, name: str, statement: ast.stmt) -> None:
        """Raise `NotRebuilt` if running the statement again may do more than compute."""
        effects = sorted(callee for callee in _called(statement) if not self._computes(callee, set()))
        if effects:
            raise NotRebuilt(f"`{name}`, which a call of `{effects[0]}` made")

    def _computes(self, callee: str, asked: set[str]) -> bool:
        """May a call that begins with this name be repeated? If the reader wrote the function, all calls in it must."""
        if callee in asked:
            return True
        makers = self._makers(callee)
        imports = [it for it in makers if isinstance(it, cells.IMPORTS)]
        if not makers or imports:
            return all(map(_is_computing, imports)) if imports else callee in _PLAIN
        within = {other for it in makers if isinstance(it, cells.DEFINITIONS) for other in _called_within(it)}
        return all(self._computes(other, {*asked, callee}) for other in within)


_PLAIN = frozenset(dir(builtins)) - EFFECTS


def _is_computing(node: ast.Import | ast.ImportFrom) -> bool:
    names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
    return all(name.partition(".")[0] in COMPUTING for name in names)


def _changed(statement: ast.stmt) -> set[str]:
    """The names whose objects a statement may change: `n += 1`, `table[3] = 4`, `table.append(3)`."""
    nodes = list(cells.outside_of_scopes(statement))
    places: list[ast.AST] = [node.target for node in nodes if isinstance(node, ast.AugAssign)]
    places += [it for it in nodes if isinstance(it, ast.Subscript | ast.Attribute) and cells.is_stored(it)]
    calls = [it.value.func for it in nodes if isinstance(it, ast.Expr) and isinstance(it.value, ast.Call)]
    places += [it for it in calls if isinstance(it, ast.Attribute)]
    return set(map(_root, places)) - {""}


def _called(statement: ast.stmt) -> set[str]:
    """The names with which those calls begin that are made when the statement runs."""
    nodes = cells.outside_of_scopes(statement, in_classes=True)
    return {_root(node.func) for node in nodes if isinstance(node, ast.Call)} - {""}


def _called_within(statement: ast.stmt) -> set[str]:
    """The names from outside with which the calls in a function begin, or those in a class and its methods."""
    return {_root(node.func) for node in ast.walk(statement) if isinstance(node, ast.Call)} & _used(statement)


def _root(node: ast.AST) -> str:
    """The name that `name.attribute[0]` begins with; empty if it begins with something else."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _used(statement: ast.stmt) -> set[str]:
    """The names that a statement, or a function in it, takes from outside."""
    return _free(symtable.symtable(ast.unparse(statement), "cell", "exec"))


def _free(table: symtable.SymbolTable) -> set[str]:
    is_top = table.get_type() == "module"
    own = {it.get_name() for it in table.get_symbols() if (it.is_referenced() if is_top else it.is_global())}
    return own.union(*map(_free, table.get_children()))
