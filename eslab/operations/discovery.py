"""Finds the read tables, aggregate types and commands in modules that a user names on the command line.

Modules of the folder that the command runs in are found too, before those that are installed, as `python -m` does.
"""

import sys
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from eslab.aggregate import Aggregate, type_name
from eslab.errors import InvalidInput
from eslab.event import Command
from eslab.read_table import ReadTable


def tables_in(modules: Iterable[str]) -> list[ReadTable]:
    """The read tables of these modules, in order of their names; `module:NAME` means a single one."""
    tables: dict[str, ReadTable] = {}
    for named in modules:
        module, _, wanted = named.partition(":")
        members = vars(_import(module))
        chosen = [it for name, it in members.items() if isinstance(it, ReadTable) and wanted in ("", name)]
        if not chosen:
            raise InvalidInput(f"Expected a ReadTable{f' called {wanted}' if wanted else ''} in {module}, found none.")
        tables |= {table.layout.name: table for table in chosen}
    return [tables[name] for name in sorted(tables)]


def aggregates_in(modules: Iterable[str]) -> list[type[Aggregate]]:
    """All aggregate types that these modules, or modules inside them, define; imports them all.

    `module:Class` means a single one. Raises `InvalidInput` for a module without any, so that nobody takes a check of
    nothing for a check.
    """
    found: dict[type[Aggregate], None] = {}
    for named in modules:
        module, _, wanted = named.partition(":")
        defined = [it for it in _defined_in(module, Aggregate) if wanted in ("", it.__qualname__)]
        if not defined:
            what = f"an aggregate type called {wanted}" if wanted else "aggregate types"
            raise InvalidInput(f"Expected {what} in {module}, found none; name the module that defines them.")
        found |= dict.fromkeys(defined)
    return sorted(found, key=type_name)


def commands_in(modules: Iterable[str]) -> list[type[Command]]:
    """All commands that these modules, or modules inside them, define; there may be none."""
    found = dict.fromkeys(command for module in modules for command in _defined_in(module, Command))
    return sorted(found, key=lambda command: command.__name__)


def member(named: str) -> Any:
    """What `module:NAME` names."""
    module, _, name = named.partition(":")
    found = vars(_import(module)).get(name)
    if found is None:
        raise InvalidInput(f"Expected {name or 'a name'} in {module}, as in loans:Loans, got {named!r}.")
    return found


def _defined_in(module: str, base: type[Any]) -> list[type[Any]]:
    names = {module, *_inside(module)}
    for name in sorted(names):
        _import(name)
    return [it for it in _subclasses(base) if it.__module__ in names]


def _subclasses(base: type) -> Iterator[type[Any]]:
    for subclass in base.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


def _inside(module: str) -> Iterator[str]:
    for folder in map(Path, getattr(_import(module), "__path__", ())):
        for file in folder.rglob("*.py"):
            parts = file.relative_to(folder).with_suffix("").parts
            if "__main__" not in parts:  # to import it would run the program
                yield ".".join((module, *(part for part in parts if part != "__init__")))


def _import(module: str) -> Any:
    if not all(map(str.isidentifier, module.split("."))):
        raise InvalidInput(f"Expected a module such as my_shop.domain, got {module!r}.")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise InvalidInput(
            f"Expected a module {module!r}, found none: {error}. Check its name, or the packages it needs."
        ) from None
    except (Exception, SystemExit) as error:  # the user's own code, which may do anything
        raise InvalidInput(
            f"Expected a module {module!r} that can be imported, it raised {type(error).__name__}: {error}. "
            f"To see where: python -c 'import {module}'"
        ) from error
