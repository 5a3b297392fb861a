# ruff: noqa: E501
"""The schema lock: the changes that old rows don't fit, and the fix that each message names."""

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import pytest

from eslab import Aggregate, Command, Event, InvalidInput
from eslab.operations.discovery import aggregates_in, commands_in
from eslab.operations.schema_lock import LOCK, Lock, check, lock_of, problems, read_lock, write_lock
from eslab.operations.shapes import shape_of, widens
from tests.support.sample import ROOT


def event(fields: dict[str, Any], tag: str) -> type[Event]:
    """An event with these fields, given as types or as (type, default)."""
    pairs = [(name, *field) if isinstance(field, tuple) else (name, field) for name, field in fields.items()]
    return msgspec.defstruct("Paid", pairs, bases=(Event,), tag=tag, frozen=True)  # type: ignore[return-value]


def paying(fields: dict[str, Any], tag: str = "Paid:1", name: str = "Purse", **namespace: Any) -> type[Aggregate]:
    """An aggregate that understands one event with these fields."""
    state = namespace.pop("state", {"total": (int, 0)})

    def apply(self: Any, event: Any) -> None:
        """Never called: only the shape counts."""

    apply.__annotations__["event"] = event(fields, tag)
    pairs = [(field, *declared) for field, declared in state.items()]
    return msgspec.defstruct(name, pairs, bases=(Aggregate,), namespace={**namespace, "apply": apply})  # type: ignore[return-value]


def ordering(fields: dict[str, Any], tag: str = "Order") -> Lock:
    """The lock of one command with these fields."""
    pairs = [(name, *field) if isinstance(field, tuple) else (name, field) for name, field in fields.items()]
    order: Any = msgspec.defstruct("Order", pairs, bases=(Command,), tag=tag, frozen=True)
    return lock_of([], [order])


class Size(Enum):
    SMALL = "small"
    LARGE = "large"


class Smaller(Enum):
    SMALL = "small"


Smaller.__name__ = "Size"


class Line(msgspec.Struct):
    cake: str
    size: Size
    tip: int = 0


BEFORE = paying({"cents": int})
LOCKED = lock_of([BEFORE])


def changed(name: str, *fields: Any, **options: Any) -> type[msgspec.Struct]:
    """Another class under the name of a nested one."""
    return msgspec.defstruct(name, list(fields), **options)


CAKE, SIZE, TIP = ("cake", str), ("size", Size), ("tip", int, 0)


def test_a_shape_holds_names_types_and_defaults() -> None:
    """Of the events and of the state; nested structs and enums have entries of their own."""
    lines = paying({"lines": list[Line], "by": (dict[str, float | None], {}), "currency": (str, "EUR")})
    assert lock_of([lines]).aggregates["purse"].events["Paid:1"] == {
        "lines": "list[Line]",
        "by": "dict[str, float | none] = dict()",
        "currency": 'str = "EUR"',
        "enum Size": ["large", "small"],
        "struct Line": {"cake": "str", "size": "Size", "tip": "int = 0"},
    }
    assert LOCKED.aggregates["purse"].folds == {"1": {"total": "int = 0"}}


def test_shapes_tell_types_apart() -> None:
    """Constraints, literals, recursion, other kinds of struct, two nested classes with one name."""

    class Node(msgspec.Struct, tag="node", array_like=True):
        below: list["Node"]

    @dataclass
    class Plain:
        number: int = 3

    class Pair(NamedTuple):
        first: int

    other = changed("Line", ("anything", Any))
    hints = {
        "node": Node,
        "plain": Plain,
        "pair": Pair,
        "word": Literal["b", "a"],
        "positive": Annotated[int, msgspec.Meta(ge=0)],
        "pairs": tuple[int, ...],
        "lines": dict[str, Line | None],
        "when": (frozenset[str], frozenset("a")),
    }
    sys.modules[__name__].__dict__["Node"] = Node  # for the forward reference
    fields = shape_of(event(hints, "Paid:1"))
    assert [fields[name] for name in ("word", "positive", "pairs", "when")] == [
        "'a' | 'b'",
        "int(ge=0)",
        "vartuple[int]",
        'frozenset[str] = ["a"]',
    ]
    assert fields["struct Node"] == {"type": "tag node", "(as an array)": "below", "below": "list[Node]"}
    assert fields["struct Plain"] == {"number": "int = 3"}
    two = shape_of(event({"one": Line, "other": other}, "Paid:1"))
    assert [key for key in two if key.startswith("struct")] == ["struct Line", f"struct {other.__module__}.Line"]


ENUM_OLD, ENUM_NEW = paying({"size": Smaller}), paying({"size": Size})
LINES = paying({"lines": list[Line]})
TWO = {"Paid:1": lambda old: old}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (BEFORE, paying({"cents": int})),
        (BEFORE, paying({"cents": int, "currency": (str, "EUR")})),
        (BEFORE, paying({"cents": int, "currency": (str, "EUR")}, "Paid:2")),
        (BEFORE, paying({}, "Paid:2")),
        (BEFORE, paying({"euros": int}, "Paid:2", upcasters=TWO)),
        (BEFORE, paying({"euros": int}, "Paid:2", upcasters={"Paid:1/0": lambda old: old})),
        (BEFORE, paying({"cents": int}, state={"total": (str, "")}, fold_version=2)),
        (BEFORE, paying({"cents": float}, "Paid:2")),
        (BEFORE, paying({"cents": int | None}, "Paid:2")),
        (BEFORE, paying({"cents": int, "line": (Line | None, None)})),
        (BEFORE, paying({"cents": int}, "Bought:1", upcasters={"Paid:1": lambda old: {**old, "type": "Bought:1"}})),
        (BEFORE, paying({"cents": int}, name="Wallet", stored_as="purse")),
        (BEFORE, paying({"cents": int}, encrypted=True)),
        (ENUM_OLD, ENUM_NEW),
        (LINES, paying({"lines": list[changed("Line", CAKE, SIZE, TIP, ("by", str, ""))]})),
        (paying({"cents": int}, "Paid:2/1"), paying({"cents": int}, "Paid:2/1")),
    ],
)
def test_what_old_rows_still_fit_is_no_problem(before: type[Aggregate], after: type[Aggregate]) -> None:
    """A default, a version, an upcaster, a new fold, a wider type, a new value of an enum, a class renamed or moved."""
    assert problems(lock_of([before]), lock_of([after])) == []


RAISE = "raise fold_version"


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (BEFORE, paying({"cents": int, "tip": int}), "purse Paid:1: field 'tip' was added without a default; give it"),
        (BEFORE, paying({}), "field 'cents' was removed, which older code would miss; make it Paid:2 with tag=version"),
        (BEFORE, paying({"cents": str}), "purse Paid:1: field 'cents' was int and is str; make it Paid:2"),
        (BEFORE, paying({"cents": float}), "field 'cents' was int and is float; make it Paid:2"),
        (BEFORE, paying({"cents": (int, 0)}), "field 'cents' was int and is int = 0; make it Paid:2"),
        (BEFORE, paying({"euros": int}, "Paid:2"), "needs 'euros', which it lacks; give a default, or an upcaster for"),
        (
            BEFORE,
            paying({"cents": str}, "Paid:2"),
            "'cents' was int and is str in Paid:2; write an upcaster for \"Paid:1",
        ),
        (BEFORE, paying({"cents": int}, "Bought:1"), "Paid:1: no class and no upcaster reads it any more; keep one"),
        (BEFORE, paying({"cents": int}, "Paid:0"), "Paid:1: the class went back to Paid:0, which refuses its rows"),
        (
            BEFORE,
            paying({"cents": int}, name="Wallet"),
            'purse: no aggregate type stores .* set stored_as = "purse" in',
        ),
        (
            BEFORE,
            paying({"cents": int}, stored_as="wallet"),
            "purse: no aggregate type stores under this name any more",
        ),
        (
            BEFORE,
            paying({"cents": int}, state={"total": (int, 0), "n": (int, 0)}),
            f"fold 1: field 'n' was added; {RAISE}",
        ),
        (BEFORE, paying({"cents": int}, state={"total": (str, "")}), f'was int = 0 and is str = ""; {RAISE}'),
        (BEFORE, paying({"cents": int}, state={"total": (int, 1)}), f"was int = 0 and is int = 1; {RAISE}"),
        (BEFORE, paying({"cents": int, "tip": (int, 0)}, "Paid:2/1"), f"field 'event Paid:2/1' was added; {RAISE}"),
        (paying({"cents": int}, fold_version=2), BEFORE, "purse fold 2: fold_version went back to 1"),
        (paying({"cents": int}, encrypted=True), BEFORE, "purse is stored encrypted, and the class is not"),
        (paying({"tip": (int, 0)}), paying({"tip": int}), "field 'tip' was int = 0 and is int; make it Paid:2"),
        (
            paying({"tip": (int, 0)}),
            paying({"tip": (int, 1)}),
            "field 'tip' was int = 0 and is int = 1; make it Paid:2",
        ),
        (
            paying({"tip": (int, 0)}),
            paying({"tip": int}, "Paid:2"),
            "may lack 'tip', which then was 0 and is missing in",
        ),
        (
            paying({"tip": (int, 0)}),
            paying({"tip": (int, 1)}, "Paid:2"),
            "may lack 'tip', which then was 0 and is 1 in",
        ),
        (ENUM_NEW, ENUM_OLD, "'enum Size' was \\['large', 'small'\\] and is \\['small'\\]; make it Paid:2"),
        (LINES, paying({"lines": list[changed("Line", CAKE, SIZE)]}), "in struct Line: field 'tip' was removed"),
        (
            LINES,
            paying({"lines": list[changed("Line", CAKE, SIZE, ("by", str), TIP)]}),
            "in struct Line: field 'by' was added",
        ),
        (
            LINES,
            paying({"lines": list[changed("Line", CAKE, SIZE, ("tip", int))]}),
            "'tip' was int = 0 and is int; make",
        ),
        (
            LINES,
            paying({"lines": list[changed("Line", CAKE, SIZE, TIP, tag="line")]}),
            "in struct Line: field 'type' was",
        ),
        (
            LINES,
            paying({"lines": list[changed("Line", CAKE, ("size", str), TIP)]}),
            "in struct Line: field 'size' was Size",
        ),
    ],
)
def test_G9_a_change_that_strands_old_rows_says_what_to_do(
    before: type[Aggregate], after: type[Aggregate], message: str
) -> None:
    """One sentence, with the type, the field and the fix."""
    (problem,) = problems(lock_of([before]), lock_of([after]))
    assert re.search(message, problem), problem


@pytest.mark.parametrize("locked_tag", ["Paid:2", "Paid:2/1"])
def test_G9_a_gap_in_a_chain_of_upcasters_is_a_problem(locked_tag: str, tmp_path: Path) -> None:
    """Rows of version 2 would skip the upcaster of version 3; an upcaster that once was there may not go."""
    file = tmp_path / "lock.json"
    write_lock(file, lock_of([paying({"cents": int}, locked_tag)]))
    gap = paying({"cents": int}, "Paid:4", upcasters={"Paid:3": lambda old: old}, fold_version=2)
    with pytest.raises(
        InvalidInput, match=f"purse {locked_tag}: has no upcaster, so its rows would skip the one of Paid:3"
    ):
        write_lock(file, lock_of([gap]))
    both = {"Paid:2": lambda old: old, "Paid:3": lambda old: old}
    write_lock(file, lock_of([paying({"cents": int}, "Paid:4", upcasters=both, fold_version=2)]))
    gone = paying({"cents": int}, "Paid:4", upcasters={"Paid:2": lambda old: old}, fold_version=2)
    assert any("purse Paid:3: its upcaster is gone" in each for each in problems(read_lock(file), lock_of([gone])))


def test_G9_a_default_that_changes_over_versions_is_a_problem(tmp_path: Path) -> None:
    """Rows from before the field take its default, whatever version the class has by now."""
    file = tmp_path / "lock.json"
    versions = [
        paying({"cents": int}),
        paying({"cents": int, "currency": (str, "EUR")}, "Paid:2"),
        paying({"cents": int, "currency": (str, "USD")}, "Paid:3", upcasters={"Paid:2": lambda old: old, **TWO}),
    ]
    for version in versions:
        write_lock(file, lock_of([version]))
    after = lock_of([paying({"cents": int, "currency": (str, "USD")}, "Paid:3")])
    found = [each for each in problems(read_lock(file), after) if "may lack" in each]
    assert [each.partition(":")[0] for each in found] == ["purse Paid", "purse Paid"]


def test_two_aggregates_may_each_have_an_event_of_one_name(tmp_path: Path) -> None:
    """A change to either is found; two that store under one name are refused."""
    file = tmp_path / "lock.json"
    write_lock(file, lock_of([BEFORE, paying({"name": str}, name="Shop")]))
    check(file, lock_of([BEFORE, paying({"name": str}, name="Shop")]))
    with pytest.raises(InvalidInput, match="purse Paid:1: field 'cents' was int and is str"):
        check(file, lock_of([paying({"cents": str}), paying({"name": str}, name="Shop")]))
    with pytest.raises(InvalidInput, match=r"one aggregate type stored as 'purse', got two, one of them .*Shop"):
        lock_of([BEFORE, paying({}, name="Shop", stored_as="purse")])


ORDER = ordering({"cake": str, "plan": (str, "standard")})


@pytest.mark.parametrize(
    ("after", "message"),
    [
        (
            {"cake": str, "plan": (str, "premium")},
            '\'plan\' was str = "standard" and is str = "premium"; make it another',
        ),
        ({"cake": str, "plan": str}, "'plan' was str = \"standard\" and is str"),
        ({"plan": (str, "standard")}, "'cake' was removed"),
        ({"cake": int, "plan": (str, "standard")}, "'cake' was str and is int"),
        (
            {"cake": str, "size": int, "plan": (str, "standard")},
            "'size' was added without a default; give it a default",
        ),
    ],
)
def test_G3_a_command_whose_hash_would_mean_another_wish_is_a_problem(after: dict[str, Any], message: str) -> None:
    """The hash leaves defaults out, so the lock keeps them."""
    (problem,) = problems(ORDER, ordering(after))
    assert problem.startswith("command Order: ") and message in problem


def test_a_command_may_get_a_field_with_a_default_or_another_name() -> None:
    """Then equal wishes still have equal hashes, and other wishes have others."""
    assert problems(ORDER, ordering({"cake": str, "plan": (str, "standard"), "size": (int, 1)})) == []
    assert problems(ORDER, ordering({"cake": str, "plan": (str, "premium")}, "Order2")) == []
    with pytest.raises(InvalidInput, match="one command 'Order', got two"):
        lock_of([], [msgspec.defstruct("Order", [], bases=(Command,), tag="Order", frozen=True)] * 2)  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("was", "now", "fits"),
    [
        ("int", "float", True),
        ("float", "int", False),
        ("int", "any", True),
        ("int | none", "int", False),
        ("int", "int | none", True),
        ("int(ge=0)", "int", True),
        ("int", "int(ge=0)", False),
        ("list[int]", "list[float | none]", True),
        ("list[int | str]", "list[int]", False),
        ("dict[str, int | none]", "dict[str, int | none | str]", True),
        ("f[a | b] | g[c | d]", "f[a | d] | g[c | b]", False),
        ("tuple[int, str]", "tuple[int]", False),
        ("'a'", "'a' | 'b'", True),
        ("list[int]", "set[int]", False),
        (["a"], ["a", "b"], True),
        (["a", "b"], ["a"], False),
        ({"a": "int"}, {"a": "float", "b": "int = 0"}, True),
        ({"a": "int"}, {"b": "int"}, False),
        ("Size", ["a"], False),
    ],
)
def test_a_type_is_wider_if_it_takes_all_that_is_stored(was: Any, now: Any, fits: bool) -> None:
    """As docs/serializer.md says what a newer version may read without an upcaster."""
    assert widens(was, now) is fits


def test_the_lock_keeps_older_versions_and_refuses_to_forget(tmp_path: Path) -> None:
    """A new version is added beside the old one; a change that old rows don't fit writes nothing."""
    file = tmp_path / "lock.json"
    write_lock(file, LOCKED)
    after = lock_of([paying({"euros": int}, "Paid:2", upcasters=TWO)])
    with pytest.raises(InvalidInput, match=r"Expected purse, purse Paid:2 in .*lock.json as in the code; run the same"):
        check(file, after)
    write_lock(file, after)
    check(file, after)
    assert list(read_lock(file).aggregates["purse"].events) == ["Paid:1", "Paid:2"]
    kept = file.read_bytes()
    with pytest.raises(InvalidInput, match="Expected shapes that old rows still fit"):
        write_lock(file, lock_of([paying({"euros": str}, "Paid:2")]))
    assert file.read_bytes() == kept and [path.name for path in tmp_path.iterdir()] == ["lock.json"]


def test_the_file_keeps_its_form(tmp_path: Path) -> None:
    """Reading and writing the lock of this project gives the same bytes; so does a lock that is new."""
    file = tmp_path / "lock.json"
    file.write_bytes((ROOT / LOCK).read_bytes())
    write_lock(file, lock_of(aggregates_in(["eslab.domains"]), commands_in(["eslab.domains"])))
    assert file.read_bytes() == (ROOT / LOCK).read_bytes()
    file.unlink()
    write_lock(file, LOCKED)
    purse = {
        "encrypted": False,
        "upcasters": [],
        "events": {"Paid:1": {"cents": "int"}},
        "folds": {"1": {"total": "int = 0"}},
    }
    assert json.loads(file.read_text()) == {"aggregates": {"purse": purse}, "commands": {}}


@pytest.mark.parametrize(
    "text",
    [
        '{"Paid:1": 7}',
        '{"aggregates": {"purse": 7}}',
        '{"aggregates": {"purse": {"encrypted": false, "upcasters": [], "events": {"Paid": {}}, "folds": {}}}}',
        '{"aggregates": {"purse": {"encrypted": false, "upcasters": [], "events": {}, "folds": {"one": {}}}}}',
        '{"aggregates": {"purse": {"encrypted": false, "upcasters": [], "events": {"Paid:1": {"a": {"b": {}}}}, "folds": {}}}}',
        "",
        "[" * 10_000,
        "\ud800",
    ],
)
def test_a_broken_lock_is_said_to_be_one(tmp_path: Path, text: str) -> None:
    """It isn't taken for an empty one."""
    file = tmp_path / "lock.json"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(InvalidInput, match=r"Expected a schema lock at .*lock\.json, found something else"):
        read_lock(file)


def test_a_lock_that_can_not_be_read_or_written_is_named(tmp_path: Path) -> None:
    """A folder, a missing folder, a file as folder."""
    with pytest.raises(InvalidInput, match=r"Expected a schema lock at .*, which can't be read: .*Check --file"):
        read_lock(tmp_path)
    (tmp_path / "file").write_text("")
    for file in (tmp_path / "no" / "lock.json", tmp_path / "file" / "lock.json"):
        with pytest.raises(InvalidInput, match="Check --file"):
            write_lock(file, LOCKED)


def test_G9_the_domains_fit_what_they_stored() -> None:
    """Fails if a shape changed without a version. Fix it or run `eslab schema-lock`, and review what that changed."""
    command = [sys.executable, "-m", "eslab", "schema-lock", "--check", "--file", str(ROOT / LOCK)]
    checked = subprocess.run(command, capture_output=True, text=True)  # a process that has seen no test's aggregates
    assert checked.returncode == 0, checked.stderr
