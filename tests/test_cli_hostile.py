"""No argument, however wrong, leads to a traceback or to "This is a bug in eslab"."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from eslab import cli

HOSTILE = ["", " ", "7", "-1", "é\U0001f9c1", "a\0b", "\ud800", "nowhere", "../..", "/", "os", "a:b",
           "memory:", "sqlite:", "sqlite:////", "sqlite:///no/such/folder/x.db", "sqlite:///a\0b",
           "sqlite:///x.db?mode=no", "cassandra://", "cassandra://h:x/k", "%", "x" * 5000]  # fmt: skip
COMMANDS = {
    "inspect store": ["inspect", "--customer", "ann", "--store"],
    "inspect customer": ["inspect", "--store", "memory:", "--customer"],
    "inspect aggregate": ["inspect", "--store", "memory:", "--customer", "ann", "--aggregate"],
    "inspect module": ["inspect", "--store", "memory:", "--customer", "ann", "--module"],
    "inspect keys": ["inspect", "--store", "memory:", "--customer", "ann", "--keys"],
    "inspect master": ["inspect", "--store", "memory:", "--customer", "ann", "--master"],
    "schema-lock": ["schema-lock", "--check"],
    "schema-lock file": ["schema-lock", "--check", "eslab.domains.bakery", "--file"],
    "read-tables status": ["read-tables", "status", "--store"],
    "read-tables module": ["read-tables", "status", "--store", "memory:", "--module"],
    "schema show keyspace": ["schema", "show", "--keyspace"],
    "schema show regions": ["schema", "show", "--regions"],
    "schema show module": ["schema", "show", "--module"],
    "schema apply regions": ["schema", "apply", "cassandra://", "--regions"],
}


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda text: ascii(text[:20]))
@pytest.mark.parametrize("name", COMMANDS)
def test_a_hostile_argument_gets_a_message(
    name: str, hostile: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 0, 1 or 2, and never a bug."""
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli.app, [*COMMANDS[name], hostile])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code in (0, 1, 2)
    assert "bug in eslab" not in done.output and "Traceback" not in done.output, done.output
