"""Every command of docs/operations.md runs on an intact store, and ends well."""

import re
from typing import Any

import pytest

from tests.support.sample import ROOT
from tests.test_troubleshooting import lab, run  # noqa: F401 - a fixture

PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.M | re.S) for line in block.splitlines()]


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_page_runs(lab: dict[str, Any], line: str) -> None:  # noqa: F811 - a fixture
    """Snapshots are built, an audit finds nothing, and there is nothing to repair."""
    done = run(line)
    assert (done.exit_code, "bug in eslab" in done.output) == (0, False), done.output


def test_every_link_of_the_page_leads_somewhere() -> None:
    """To a heading of a page beside it."""
    for target in re.findall(r"\]\(([^)]+)\)", PAGE):
        page, _, anchor = target.partition("#")
        text = (ROOT / "docs" / page).read_text(encoding="utf-8")
        headings = {
            re.sub(r"[^\w\- ]", "", it.lower()).replace(" ", "-") for it in re.findall(r"^##+ (.*)$", text, re.M)
        }
        assert not anchor or anchor in headings, target
