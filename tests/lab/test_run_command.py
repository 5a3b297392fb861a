"""Parameters may be given as NAME VALUE, and the help of a notebook lists its own."""

import pytest
from typer.testing import CliRunner

from eslab import cli
from eslab.lab.run_command import joined


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (["-p", "rounds", "3"], ["-p", "rounds=3"]),
        (["--parameter", "rounds", "-3", "a.ipynb"], ["--parameter", "rounds=-3", "a.ipynb"]),
        (["-p", "rounds=3", "a.ipynb"], ["-p", "rounds=3", "a.ipynb"]),
        (["-p", "rounds", "a=b"], ["-p", "rounds=a=b"]),
        (["-p", "rounds", "--seed", "3"], ["-p", "rounds", "--seed", "3"]),
        (["-p", "rounds", "-p", "x=1"], ["-p", "rounds", "-p", "x=1"]),
        (["-p", "rounds"], ["-p", "rounds"]),
        (["-p"], ["-p"]),
        ([], []),
    ],
)
def test_a_name_and_its_value_are_joined(given, meant):
    """Unless the value is missing: an option follows, or nothing."""
    assert joined(given) == meant


def run(*arguments: object):
    """Call `eslab run` in this process."""
    return CliRunner().invoke(cli.app, ["run", *map(str, arguments)])


def test_a_parameter_by_name_reaches_the_notebook(notebook, tmp_path):
    """In its type."""
    path = notebook("a", "assert rounds == -4")
    done = run(path, "-p", "rounds", "-4", "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output


def test_the_help_of_a_notebook_lists_its_parameters(notebook):
    """With default and type; `--store` and `--seed` are options."""
    assert "Parameters of a.ipynb:\n  -p rounds 3    int\n" in run(notebook("a"), "--help").stdout
    plain = notebook("plain", parameters='store: str = ""\nseed: int = 7')
    assert "plain.ipynb has no parameters but --store and --seed." in run("--help", plain).stdout
    assert "Parameters of" not in run("--help").stdout
