"""Read tables and aggregate types are found in the modules that a user names."""

from collections.abc import Callable
from pathlib import Path

import pytest

from eslab import InvalidInput
from eslab.domains.bakery import Frosting
from eslab.domains.downloads.read_tables import CUSTOMER_PAGES, READ_TABLES
from eslab.operations.discovery import aggregates_in, tables_in

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
    assert [aggregate.__name__ for aggregate in inside] == ["Devices", "Downloaded", "Frosting", "License"]
    assert aggregates_in(["eslab.domains.bakery"]) == [Frosting]
    assert aggregates_in(["eslab.domains.downloads.service"]) == []
    assert aggregates_in([]) == []


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
