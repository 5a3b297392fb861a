"""Finds the read tables and aggregate types in modules that a user names on the command line."""

from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from eslab.aggregate import Aggregate, type_name
from eslab.errors import InvalidInput
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
    """All aggregate types of these modules and of the modules inside them; imports them all."""
    names = {name for module in modules for name in (module, *_inside(module))}
    for name in sorted(names):
        _import(name)
    return sorted((it for it in _subclasses(Aggregate) if it.__module__ in names), key=type_name)


def _subclasses(base: type) -> Iterator[type[Any]]:
    for subclass in base.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


def _inside(module: str) -> Iterator[str]:
    for folder in map(Path, getattr(_import(module), "__path__", ())):
        for file in folder.rglob("*.py"):
            parts = file.relative_to(folder).with_suffix("").parts
            yield ".".join((module, *(part for part in parts if part != "__init__")))


def _import(module: str) -> Any:
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise InvalidInput(
            f"Expected a module {module!r}, found none: {error}. Check its name, or the packages it needs."
        ) from None
