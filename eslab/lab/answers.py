"""A reader's answer: its value, the text it was written in, and calls that never leave the check with a traceback."""

import ast
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from io import StringIO
from itertools import groupby
from typing import Any

from IPython.core.inputtransformer2 import TransformerManager

from eslab import EventStore, Rejected

ELSEWHERE = 20.0  # seconds that a second process may take
AGAIN = 0.5  # seconds until an answer that goes on after its time is stopped again


class Undecided(BaseException):
    """Raised where a check can't tell whether an answer is right; the message is the reason.

    It is no `Exception`, so that neither an answer nor the search for a counter-example catches it.
    """


@dataclass(frozen=True)
class Outcome:
    """What a call of an answer came to: a value, or the error that it raised."""

    value: Any = None
    error: BaseException | None = None

    @property
    def is_rejected(self) -> bool:
        """Did the answer raise `Rejected`?"""
        return isinstance(self.error, Rejected)

    def __str__(self) -> str:
        try:
            return in_words(self.value) if self.error is None else f"{type(self.error).__name__}: {self.error}"
        except Exception:
            return f"a {type(self.value if self.error is None else self.error).__name__} that can't be shown"


def in_words(value: Any) -> str:
    """A value as Python shows it; in a list, equal neighbours are counted.

    >>> in_words(["red", "red", "blue"])
    "['red' (2 times), 'blue']"
    """
    if not isinstance(value, list):
        return repr(value)
    runs = [(item, len(list(run))) for item, run in groupby(map(repr, value))]
    return f"[{', '.join(f'{item} ({count} times)' if count > 1 else item for item, count in runs)}]"


@dataclass(frozen=True)
class Answer:
    """A reader's answer: a function or a plain value, and the cell that it comes from."""

    value: Any
    source: str = ""
    imports: str = ""  # the import statements that the source relies on
    store: EventStore | None = None  # for an exercise that is checked on a store

    def __call__(self, *arguments: Any) -> Outcome:
        """Call the answer; its errors are outcomes, and what it prints is dropped: a check calls it hundreds of times.

        One that raises `NotImplementedError` is not written yet.
        """
        if not callable(self.value):
            raise Undecided(f"the answer is {self.value!r}, not a function.")
        try:
            with redirect_stdout(StringIO()):
                return Outcome(self.value(*arguments))
        except NotImplementedError:
            raise Undecided("the answer raises NotImplementedError, so it isn't written yet.") from None
        except (Undecided, KeyboardInterrupt):
            raise
        except BaseException as error:  # show whatever the reader's code raises
            return Outcome(error=error)

    def elsewhere(self, expression: str) -> Any:
        """The value of an expression over the answer's names, in a second process with another seed for `hash`.

        Takes about half a second. The value must be one that JSON can hold.
        """
        definitions = f"{self.imports}\n{_definitions(self.source)}"
        script = f"{definitions}\nimport json, sys\nsys.stdout.write('\\n' + json.dumps({expression}))"
        another = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
        environment = {**os.environ, "PYTHONHASHSEED": another}
        command = [sys.executable, "-c", script]
        try:
            done = subprocess.run(  # noqa: S603 - the reader's own code
                command, env=environment, capture_output=True, text=True, timeout=ELSEWHERE, check=False
            )
        except subprocess.TimeoutExpired:
            raise Undecided(f"in a second process the answer didn't end within {ELSEWHERE:g} s.") from None
        if done.returncode:
            problem = done.stderr.strip().rpartition("\n")[2]
            raise Undecided(f"in a second process the answer's cell ends with {problem}. Import in it what it uses.")
        return json.loads(done.stdout.rpartition("\n")[2])


def names_chosen(answer: Answer, names: Collection[str]) -> set[str]:
    """The names that an answer holds, as a set, list or tuple, or as a text of letters; can't tell of anything else."""
    value = answer.value
    is_read = isinstance(value, set | frozenset | list | tuple | str) and all(isinstance(it, str) for it in value)
    if not is_read or not set(value) <= set(names):
        example = f"{{{min(names)!r}}}"
        raise Undecided(f"the answer is {value!r}. Write a set such as {example}, of some of: {', '.join(names)}.")
    return set(value)


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `Undecided` if the block takes longer; only where the system has timers, and in the main thread."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    ended = False

    def stop(*_: object) -> None:
        if not ended:
            raise Undecided(f"the answer didn't end within {seconds:g} s. Is there a loop without an end, or a sleep?")

    before = signal.signal(signal.SIGALRM, stop)
    # Again and again, since the first one may meet code that swallows whatever is raised.
    signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN)
    try:
        try:
            yield
        finally:
            ended = True
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def name_of(answer: Any, usual: str) -> str:
    """The name under which an answer is defined: a function's own, which the reader may choose, or the usual one."""
    name = getattr(answer, "__name__", usual) if callable(answer) else usual
    return name if name.isidentifier() else usual  # a lambda has the name of what it is assigned to


def is_written_here(answer: Any) -> bool:
    """May the text of an answer be in a cell? Not if it was imported, or is an object that can be called."""
    return not callable(answer) or (hasattr(answer, "__name__") and getattr(answer, "__module__", None) == "__main__")


def is_stub(answer: Any, source: str, stub: str, name: str) -> bool:
    """Is an answer still what the stub gives? `source` is the text that it was written in, empty if nobody knows it."""
    if answer is ... or not callable(answer):
        return answer is ... or answer == _value_in(stub, name)
    return bool(source) and is_same_code(source, stub)


def _value_in(cell: str, name: str) -> Any:
    """The plain value that a cell assigns to a name; a new object, equal to nothing, if it assigns none."""
    for node in _statements(cell):
        if isinstance(node, ast.Assign) and any(isinstance(it, ast.Name) and it.id == name for it in node.targets):
            with suppress(ValueError):
                return ast.literal_eval(node.value)
    return object()


def written_in(name: str) -> tuple[str, str]:
    """The last cell of this notebook that defines a name, and the imports of the cells that it relies on."""
    from IPython.core.getipython import get_ipython

    shell: Any = get_ipython()
    cells = [cell for cell in shell.history_manager.input_hist_raw if cell.strip()] if shell else []
    source = next((cell for cell in reversed(cells) if name in defined_in(cell)), "")
    return source, imports_for(source, cells)


def defined_in(cell: str) -> set[str]:
    """The names that a cell defines at its top level."""
    names = set()
    for node in _statements(cell):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


def imports_for(source: str, cells: Iterable[str]) -> str:
    """The import statements at the top level of these cells that bind a name which the source uses."""
    used = {node.id for node in ast.walk(ast.Module(_statements(source), [])) if isinstance(node, ast.Name)}
    imports = {}
    for node in (node for cell in cells for node in _statements(cell)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            kept = [alias for alias in node.names if (alias.asname or alias.name.partition(".")[0]) in used]
            for alias in kept:
                node.names = [alias]
                imports[ast.unparse(node)] = None
    return "\n".join(imports)


def is_same_code(one: str, other: str) -> bool:
    """Are two texts the same code, whatever their comments and blank lines?"""
    return [ast.dump(node) for node in _statements(one)] == [ast.dump(node) for node in _statements(other)]


def _definitions(cell: str) -> str:
    """A cell without its magics, and without expressions, such as a trial call in its last line."""
    return ast.unparse(ast.Module([node for node in _statements(cell) if not isinstance(node, ast.Expr)], []))


def _statements(cell: str) -> list[ast.stmt]:
    """The statements of a cell, also below a magic such as %%time; none if it isn't Python."""
    body = cell.partition("\n")[2] if cell.startswith("%%") else cell
    try:
        return ast.parse(TransformerManager().transform_cell(body)).body
    except SyntaxError:
        return []
