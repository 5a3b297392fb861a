"""Run the tests that need Cassandra beside those that don't: two pytest processes at once.

    python -m tests.support.suites [-m EXPRESSION] [--search 'OPTIONS of eslab simulate'] [pytest's options]

A search of the simulator, if one is asked for, runs beside them at the lowest priority, in the time that they leave.
Shows both as they go, and keeps what each says in build/test-NAME.log. Ends with what failed and one summary of both.
Ctrl-C and SIGTERM end both as Ctrl-C ends pytest: each stops the clusters that it started.
"""

import argparse
import re
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from threading import Thread
from typing import IO, NamedTuple

import pytest

from eslab.cluster.process import die_with_parent
from tests.support.sample import ROOT

SUITES = {"embedded": "not cassandra", "cassandra": "cassandra"}
CLOSING = re.compile(r"^(no tests ran|\d+ [a-z]+).* in [\d.]+s\b")
COUNTS = ("failed", "passed", "skipped", "xfailed", "xpassed", "error")
NOTHING_RAN = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)


class Suite(NamedTuple):
    """One process, pytest or a search, and the thread that carries what it says."""

    name: str
    process: "subprocess.Popen[str]"
    reader: Thread
    lines: list[str]


def start_suite(name: str, expression: str, options: Sequence[str]) -> Suite:
    """Start pytest on one half of the tests."""
    both = f"({expression}) and ({SUITES[name]})" if expression else SUITES[name]
    return start(name, ["pytest", "-m", both, "-o", f"cache_dir=.pytest_cache/{name}", *options])


def start(name: str, module: Sequence[str], prefix: Sequence[str] = ()) -> Suite:
    """Start a module with its arguments as a process of its own."""
    command = [*prefix, sys.executable, "-m", *module]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,  # Ctrl-C reaches us alone, and we pass it on once: a second one would cut short the tidying up
        preexec_fn=die_with_parent(),
    )
    lines: list[str] = []
    reader = Thread(target=carry, args=(name, process.stdout, lines))
    reader.start()
    return Suite(name, process, reader, lines)


def carry(name: str, output: IO[str], lines: list[str]) -> None:
    """Show each line with the suite's name before it, and keep it in the suite's own file."""
    path = ROOT / "build" / f"test-{name}.log"
    path.parent.mkdir(exist_ok=True)
    with path.open("w", encoding="utf-8") as log:
        for line in output:
            lines.append(line.rstrip("\n"))
            log.write(line)
            log.flush()
            with suppress(OSError):  # nobody looks any more; the tests have to end well all the same
                print(f"{name:9} | {line}", end="", flush=True)


def pass_on_interrupts(suites: Sequence[Suite]) -> None:
    """From now on Ctrl-C or SIGTERM interrupts the suites; we go on until they have ended."""

    def interrupt(*_: object) -> None:
        for suite in suites:
            if suite.process.poll() is None:
                suite.process.send_signal(signal.SIGINT)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)


def wait(suites: Sequence[Suite]) -> int:
    """Wait for all suites; return one exit code for all."""
    codes = [suite.process.wait() for suite in suites]
    for suite in suites:
        suite.reader.join()
    if all(code in NOTHING_RAN for code in codes):
        return min(codes)
    return max(abs(code) for code in codes if code not in NOTHING_RAN)


def summary(suites: Sequence[Suite], seconds: float) -> str:
    """Return pytest's closing line for all suites together; one without such a line counts as an error."""
    total: Counter[str] = Counter()
    for suite in suites:
        closing = next(filter(CLOSING.search, reversed(suite.lines)), "1 error")
        counts = {kind: int(number) for number, kind in re.findall(r"(\d+) ([a-z]+?)s?\b", closing)}
        total.update({kind: counts.get(kind, 0) for kind in COUNTS})
    said = [f"{number} {kind}" for kind in COUNTS if (number := total[kind])]
    return f"{', '.join(said) or 'no tests ran'} in {seconds:.2f}s ({int(seconds) // 60}:{int(seconds) % 60:02})"


def main(arguments: Sequence[str]) -> int:
    """Run both suites."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("-m", default="", metavar="EXPRESSION", help="run only tests with these marks")
    parser.add_argument("--search", default="", metavar="OPTIONS", help="search with the simulator beside them")
    known, options = parser.parse_known_args(arguments)
    began = time.monotonic()
    started: list[Suite] = []
    pass_on_interrupts(started)
    for name in SUITES:
        started.append(start_suite(name, known.m, options))
    suites = [*started]
    if known.search:
        started.append(start("search", ["eslab", "simulate", *shlex.split(known.search)], ["nice", "-n", "19"]))
    code = wait(started)
    for suite in suites:
        print(*(line for line in suite.lines if line.startswith(("FAILED ", "ERROR "))), sep="\n", end="")
    print(f"\n{summary(suites, time.monotonic() - began)}")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
