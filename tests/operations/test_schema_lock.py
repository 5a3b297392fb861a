"""The schema lock: the changes that old rows don't fit, and the fix that each message names."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from eslab import Aggregate, Event, InvalidInput
from eslab.operations.discovery import aggregates_in
from eslab.operations.schema_lock import (
    LOCK,
    EventShape,
    Field,
    SnapshotShape,
    check,
    problems,
    read_lock,
    shapes,
    write_lock,
)
from tests.support.sample import ROOT


def paying(fields: dict[str, Any], tag: str = "Paid:1", **namespace: Any) -> type[Aggregate]:
    """An aggregate that understands one event with these fields, given as types or as (type, default)."""
    types = {name: field[0] if isinstance(field, tuple) else field for name, field in fields.items()}
    defaults = {name: field[1] for name, field in fields.items() if isinstance(field, tuple)}
    event = type(Event)("Paid", (Event,), {"__annotations__": types, "__module__": __name__, **defaults}, tag=tag)
    state = namespace.pop("state", {"total": (int, 0)})
    annotations = {name: kind for name, (kind, _) in state.items()}

    def apply(self: Any, event: Any) -> None:
        """Never called: only the shape counts."""

    apply.__annotations__["event"] = event
    body = {"__annotations__": annotations, **{name: default for name, (_, default) in state.items()}, "apply": apply}
    return type(Aggregate)("Purse", (Aggregate,), {**body, **namespace})


BEFORE = paying({"cents": int})
LOCKED = shapes([BEFORE])


def test_a_shape_holds_names_types_and_defaults() -> None:
    """Of the events, and of the state in a snapshot."""
    assert {
        "Paid:1": EventShape("Paid:1", {"cents": Field("int")}),
        "purse fold 1": SnapshotShape("purse", 1, {"total": Field("int", has_default=True)}),
    } == LOCKED
    nested = paying({"lines": list[tuple[str, int]], "by": (dict[str, float | None], {})})
    lines, by = Field("list[tuple[str, int]]"), Field("dict[str, float | none]", has_default=True)
    assert shapes([nested])["Paid:1"] == EventShape("Paid:1", {"lines": lines, "by": by})


@pytest.mark.parametrize(
    "after",
    [
        paying({"cents": int}),
        paying({"cents": int, "currency": (str, "EUR")}),
        paying({"cents": int, "currency": (str, "EUR")}, "Paid:2"),
        paying({}, "Paid:2"),
        paying({"euros": int}, "Paid:2", upcasters={"Paid:1": lambda old: old}),
        paying({"cents": int}, state={"total": (str, "")}, fold_version=2),
    ],
    ids=["nothing", "a default", "a default and a version", "removed in a version", "an upcaster", "a fold"],
)
def test_what_old_rows_still_fit_is_no_problem(after: type[Aggregate]) -> None:
    """A default, a version with an upcaster, a new fold."""
    assert problems(LOCKED, [after]) == []


@pytest.mark.parametrize(
    ("after", "message"),
    [
        (paying({"cents": int, "tip": int}), "Paid:1: field 'tip' was added without a default; give it a default, or"),
        (paying({}), "field 'cents' was removed, which older code would miss; make it Paid:2 with tag=version"),
        (paying({"cents": str}), "Paid:1: field 'cents' was int and is str; make it Paid:2"),
        (paying({"euros": int}, "Paid:2"), "needs 'euros', which it lacks; give a default, or an upcaster for"),
        (paying({"cents": str}, "Paid:2"), "'cents' was int and is str in Paid:2; write an upcaster for \"Paid:1\""),
        (paying({"cents": int}, "Bought:1"), "Paid:1: no class and no upcaster reads it any more; keep one of them"),
        (
            paying({"cents": int}, state={"total": (int, 0), "n": (int, 0)}),
            "purse fold 1: field 'n' was added; raise fold_version",
        ),
        (
            paying({"cents": int, "tip": (int, 0)}, "Paid:2/1"),
            "purse fold 1: field 'event Paid:2/1' was added; raise fold_version",
        ),
        (paying({"cents": int}, state={"total": (str, "")}), "was int with a default and is str with a default; raise"),
    ],
)
def test_G9_a_change_that_strands_old_rows_says_what_to_do(after: type[Aggregate], message: str) -> None:
    """One sentence, with the type, the field and the fix."""
    (problem,) = problems(LOCKED, [after])
    assert message in problem


def test_the_lock_keeps_older_versions_and_refuses_to_forget(tmp_path: Path) -> None:
    """A new version is added beside the old one; a change that old rows don't fit writes nothing."""
    file = tmp_path / "lock.json"
    write_lock(file, [BEFORE])
    after = paying({"euros": int}, "Paid:2", upcasters={"Paid:1": lambda old: old})
    with pytest.raises(InvalidInput, match=r"Expected Paid:2 in .*lock.json as in the code; run: eslab schema-lock"):
        check(file, [after])
    write_lock(file, [after])
    check(file, [after])
    assert read_lock(file).keys() == {"Paid:1", "Paid:2", "purse fold 1"}
    kept = file.read_bytes()
    with pytest.raises(InvalidInput, match="Expected shapes that old rows still fit"):
        write_lock(file, [paying({"euros": str}, "Paid:2")])
    assert file.read_bytes() == kept and [path.name for path in tmp_path.iterdir()] == ["lock.json"]


def test_the_file_keeps_its_form(tmp_path: Path) -> None:
    """Reading and writing the lock of this project gives the same bytes; so does a lock that is new."""
    file = tmp_path / "lock.json"
    file.write_bytes((ROOT / LOCK).read_bytes())
    write_lock(file, aggregates_in(["eslab.domains"]))
    assert file.read_bytes() == (ROOT / LOCK).read_bytes()
    file.unlink()
    write_lock(file, [BEFORE])
    assert json.loads(file.read_text()) == {"Paid:1": {"cents": "int"}, "purse fold 1": {"total": "int ="}}


def test_a_broken_lock_is_said_to_be_one(tmp_path: Path) -> None:
    """It isn't taken for an empty one."""
    file = tmp_path / "lock.json"
    file.write_text(json.dumps({"Paid:1": 7}))
    with pytest.raises(InvalidInput, match=r"Expected a schema lock at .*lock\.json, found something else"):
        read_lock(file)


def test_G9_the_domains_fit_what_they_stored() -> None:
    """Fails if a shape changed without a version. Fix it or run `eslab schema-lock`, and review what that changed."""
    command = [sys.executable, "-m", "eslab", "schema-lock", "--check", "--file", str(ROOT / LOCK)]
    checked = subprocess.run(command, capture_output=True, text=True)  # a process that has seen no test's aggregates
    assert checked.returncode == 0, checked.stderr
