"""Exercises: a task, a check that draws its cases, hints, and the wrong answers that the check must know.

    at_least.check(handle_at_least)     right, not yet with the smallest case that shows it, or can't tell
    at_least.hint(1)                    then hint(2)
    at_least.solution()
    at_least.reset()                    a fresh stub below; your text is kept in a file

A check is a list of rules. A rule looks at one case and returns the `Difference` from what is expected, or None. Its
cases are examples, in the order in which they are written, then whatever hypothesis draws from `cases`. On the same
machine the same seed draws the same cases, and the smallest one that shows a difference is kept.
"""

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from random import Random
from tempfile import gettempdir
from typing import Any

from hypothesis import configuration, errors, find, settings
from hypothesis.strategies import SearchStrategy

from eslab import EventStore
from eslab.errors import InvalidInput
from eslab.lab import answers, cells, reader, solutions
from eslab.lab.answers import Answer, Undecided, time_limit
from eslab.lab.feedback import Checked, Difference, Note
from eslab.lab.source import Source

SEED = 7
CASES = 100  # drawn for a rule
Judge = Callable[[Answer, Any], Difference | None]


@dataclass(frozen=True)
class Rule:
    """One thing that a right answer does, the cases that show it, and the judge of a case.

    `says` is a sentence without a full stop. A rule without examples and cases is judged once, with None.
    """

    says: str
    judge: Judge
    _: KW_ONLY
    examples: Sequence[Any] = ()
    cases: SearchStrategy[Any] | None = None

    def broken_by(self, answer: Answer, seed: int) -> Difference | None:
        """The smallest difference that was found; None if the answer keeps the rule."""
        examples = self.examples or ([None] if self.cases is None else [])
        found = next((found for case in examples if (found := self.judge(answer, case))), None)
        return found or (self._drawn(answer, self.cases, seed) if self.cases is not None else None)

    def _drawn(self, answer: Answer, cases: SearchStrategy[Any], seed: int) -> Difference | None:
        smallest: list[Difference] = []

        def differs(case: Any) -> bool:
            difference = self.judge(answer, case)
            smallest[:] = [difference] if difference else smallest
            return difference is not None

        limits = settings(max_examples=CASES, database=None, deadline=None)
        try:
            find(cases, differs, settings=limits, random=Random(seed))  # noqa: S311 - repeatable on purpose
        except errors.NoSuchExample:
            return None
        except errors.Flaky:  # the answer said something else the second time
            pass
        except answers.Undecided:  # such as for want of time: the smallest so far is one nevertheless
            if not smallest:
                raise
        return smallest[0]


@dataclass(frozen=True)
class Wrong:
    """A typical wrong answer, as the text of the exercise's cell, and a part of the feedback that it must get."""

    source: str
    feedback: str


@dataclass(frozen=True, repr=False)
class Exercise:
    """A task with its check. `answer` is the name under which the exercise's cell defines the answer."""

    name: str
    lesson: str
    task: str
    _: KW_ONLY
    answer: str
    rules: Sequence[Rule]
    hints: Sequence[str]
    wrong: Sequence[Wrong]
    on_cassandra: bool = False  # the check needs a Cassandra: check(answer, store=lab.store)
    seconds: float = 5  # until a check gives up

    def check(self, answer: Any, *, store: EventStore | None = None, seed: int = SEED) -> Checked:
        """Check an answer: right, not yet, or can't tell. The text that was checked is kept in the reader's record."""
        # Its default is a folder beside the notebook, for what it has read in modules.
        configuration.set_hypothesis_home_dir(Path(gettempdir()) / "eslab-hypothesis")
        texts = cells.run_so_far()
        given = Answer(answer, texts, cells.name_of(answer, self.answer, texts), store)
        stub = solutions.cell_of(self.lesson, self.name).stub
        if answers.is_stub(answer, given.source, stub, self.answer):
            checked = self._undecided("the cell above is still the stub. Change it, and run it.")
        else:
            checked = self.judge(given, seed)
        renamed = f"\n\n{self.answer} = {given.name}" if given.source and given.name != self.answer else ""
        kept = {"passed": checked.passed, "source": f"{given.source}{renamed}"}
        reader.keep(reader.CHECKED, f"{self.lesson}/{self.name}", kept)
        return checked

    def judge(self, answer: Answer, seed: int = SEED) -> Checked:
        """Judge an answer by each rule in turn, up to the first one that it breaks."""
        if self.on_cassandra and answer.store is None:
            return self._undecided(f"this check needs the lesson's store: {self.name}.check(..., store=lab.store)")
        drawn = f"Cases drawn from seed {seed}." if any(rule.cases is not None for rule in self.rules) else ""
        kept: list[str] = []
        try:
            with time_limit(self.seconds):
                for rule in self.rules:
                    if difference := rule.broken_by(answer, seed):
                        return Checked(self.name, False, kept, rule.says, difference, drawn=drawn)
                    kept.append(rule.says)
        except Undecided as undecided:
            return self._undecided(str(undecided))
        except Exception as error:
            return self._undecided(
                f"your result can't be judged ({type(error).__name__}: {error}). Is it what the task asks for?"
            )
        return Checked(self.name, True, kept, drawn=drawn)

    def hint(self, number: int = 1) -> Note:
        """Show a hint; each later one gives away more."""
        if type(number) is not int or number not in range(1, len(self.hints) + 1):
            raise InvalidInput(f"Expected a hint from 1 to {len(self.hints)} of {self.name}, got {number!r}.")
        return Note(f"**Hint {number} of {len(self.hints)}.** {self.hints[number - 1]}")

    def solution(self) -> Source:
        """Show one right answer. The check accepts others too."""
        return Source(f"A solution of {self.name}", solutions.cell_of(self.lesson, self.name).solution.rstrip())

    def reset(self) -> Note:
        """Put a fresh stub into a new cell below, and keep the reader's text in a file that the note names."""
        from IPython.core.getipython import get_ipython

        if not reader.is_reading():
            return Note("Nobody is reading: nothing was reset.")
        shell: Any = get_ipython()
        cell = solutions.cell_of(self.lesson, self.name)
        written = cells.text_of(self.answer, cells.run_so_far())
        if shell:
            shell.set_next_input(cell.stub)
        if not written or cells.is_same_code(written, cell.stub):
            return Note("A fresh stub is in the cell below.")
        return Note(f"A fresh stub is in the cell below. Your text is in {self._kept(written)}.")

    def _kept(self, text: str) -> str:
        """Where the reader's text is."""
        try:
            return f"`{reader.keep_text(f'{self.lesson}_{self.name}', text).as_posix()}`"
        except OSError as error:
            return f"its cell only, since it could not be copied: {error.strerror}"

    def _undecided(self, reason: str) -> Checked:
        return Checked(self.name, None, reason=reason)

    def __repr__(self) -> str:
        return f"Exercise {self.name}: {self.task}"

    def _repr_markdown_(self) -> str:
        return f"**Exercise {self.name}.** {self.task}"
