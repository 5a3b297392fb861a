"""Read tables and aggregate types are found in the modules that a user names."""

from collections.abc import Callable
from pathlib import Path

import pytest

from eslab import InvalidInput
from eslab.domains.bakery import Frosting
from eslab.domains.downloads.read_tables import CUSTOMER_PAGES, READ_TABLES
from eslab.operations.discovery import aggregates_in, commands_in, tables_in

DOWNLOADS = "eslab.domains.downloads.read_tables"
Find = Callable[[list[str]], object]


def test_the_read_tables_of_a_module_are_found_in_order_of_their_names() -> None:
    """A table that is named twice is found once."""
    tables = tables_in([DOWNLOADS, DOWNLOADS])
    assert [table.layout.name for table in tables] == sorted(table.layout.name for table in READ_TABLES)


def test_one_read_table_is_found_by_its_name() -> None:
    """`module:NAME` means this one alone."""
    assert tables_in([f"{DOWNLOADS}:CUSTOMER_PAGES"]) == [CUSTOMER_PAGES]


def test_aggregates_are_found_inside_a_package() -> None:
    """In all of its modules; a module alone has its own, not those that it imports."""
    inside = aggregates_in(["eslab.domains"])
    assert [aggregate.__name__ for aggregate in inside] == ["Account", "Devices", "Downloaded", "Frosting", "License"]
    assert aggregates_in(["eslab.domains.bakery"]) == [Frosting]
    assert aggregates_in([]) == []


def test_commands_are_found_as_aggregates_are() -> None:
    """A module need not have any."""
    assert [command.__name__ for command in commands_in(["eslab.domains.bakery"])] == ["AddColor", "MakeColor"]
    assert commands_in(["eslab.domains.downloads.license", "os"]) == []


@pytest.mark.parametrize("module", ["os", "eslab.domains.downloads.service"])
def test_a_module_without_aggregates_is_refused(module: str) -> None:
    """Beside others too: a check of nothing would pass."""
    with pytest.raises(InvalidInput, match=rf"Expected aggregate types in {module}, found none; name the module that"):
        aggregates_in(["eslab.domains.bakery", module])


@pytest.mark.parametrize("find", [tables_in, aggregates_in, commands_in])
@pytest.mark.parametrize(
    "name", ["", ".", "..", ".shop", "shop.", "a..b", "a b", "../shop", "shop.py/", "a\0", "\ud800"]
)
def test_a_name_that_no_module_can_have_is_refused(find: Find, name: str) -> None:
    """Before anything is imported."""
    with pytest.raises(InvalidInput, match=r"Expected a module such as my_shop\.domain, got"):
        find([name])


@pytest.mark.parametrize("find", [tables_in, aggregates_in, commands_in])
@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("import sys; sys.exit(3)", "SystemExit"),
        ("raise ImportError('no driver')", "ImportError"),
        ("a syntax error", "SyntaxError"),
        ("x = x", "NameError"),
        ("\0", "(SyntaxError|ValueError)"),
    ],
)
def test_a_module_that_raises_names_itself_and_the_error(
    find: Find, code: str, error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it raises when it is imported, SystemExit too."""
    (tmp_path / "shop_that_raises.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InvalidInput, match=f"'shop_that_raises' that can be imported, it raised {error}: "):
        find(["shop_that_raises"])


def test_a_program_in_a_package_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`__main__` is left out of the modules inside."""
    package = tmp_path / "shop_with_program"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text("raise SystemExit(1)")
    monkeypatch.syspath_prepend(tmp_path)
    assert commands_in(["shop_with_program"]) == []


@pytest.mark.parametrize("find", [tables_in, aggregates_in])
def test_a_module_that_does_not_exist_is_refused(find: Find) -> None:
    """By its name."""
    with pytest.raises(InvalidInput, match=r"Expected a module 'eslab\.nowhere', found none"):
        find(["eslab.nowhere"])


@pytest.mark.parametrize("find", [tables_in, aggregates_in])
def test_a_module_whose_package_is_missing_names_both(
    find: Find, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The module that the user named, and the package that it needs."""
    (tmp_path / "shop_of_mine.py").write_text("import a_package_that_is_not_here\n")
    monkeypatch.syspath_prepend(tmp_path)
    message = r"Expected a module 'shop_of_mine', found none: No module named 'a_package_that_is_not_here'"
    with pytest.raises(InvalidInput, match=message):
        find(["shop_of_mine"])
