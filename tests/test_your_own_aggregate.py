"""docs/your_own_aggregate.md keeps its promises about size, rejection and retries. tests/test_pages.py runs it."""

import re
from pathlib import Path

from tests.support.pages import Given, Reader, snippets_of
from tests.support.sample import ROOT

PAGE = ROOT / "docs" / "your_own_aggregate.md"


def test_it_takes_less_than_60_lines() -> None:
    """Of Python and shell together, blank lines aside."""
    code = [snippet.text for snippet in snippets_of(PAGE) if snippet.kind != "text"]
    assert len([line for text in code for line in text.splitlines() if line.strip()]) < 60


def test_the_fourth_run_is_rejected(tmp_path: Path) -> None:
    """Each run lends one book, though it sends its request twice; the rejection is the page's."""
    reader = Reader(PAGE.name, tmp_path / "clone", Given(), {"make venv && . .venv/bin/activate": "is made already"})
    for snippet in reader.snippets:
        if snippet.file:
            reader.run(snippet)
    (desk,) = [snippet for snippet in reader.snippets if snippet.text.startswith("python desk.py")]
    printed = [reader.shell(desk.text) for _ in range(4)]
    loans = [len(re.findall("'Emma'[,}]", text.splitlines()[-1])) for text in printed[:3]]
    rejected = printed[3].splitlines()[0].removeprefix("first ")
    assert loans == [1, 2, 3]
    assert f"`{rejected}`" in PAGE.read_text(encoding="utf-8").replace("\n", " ")
