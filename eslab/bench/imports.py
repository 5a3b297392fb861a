"""The cost of `import eslab` in a fresh interpreter, with compiled bytecode, as after an installation.

startup   an interpreter that imports nothing, from start to exit
import    the import alone, timed inside a fresh interpreter
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from tempfile import TemporaryDirectory
from time import perf_counter

from eslab.bench.measure import Report, row, versions_of

RUNS = 21
TIMED_IMPORT = "from time import perf_counter as now; begin = now(); import eslab; print(now() - begin)"
NOTE = "The files are in the page cache: this can't show the first start after a boot, nor what a store's driver adds."


def measure_import(runs: int = RUNS) -> Report:
    """Measure `import eslab` in fresh interpreters, one after the other; the first one isn't counted."""
    with TemporaryDirectory(prefix="eslab-bench-", ignore_cleanup_errors=True) as folder:
        # The first import writes its bytecode to the folder, so neither the environment nor the installation matters.
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment = {**inherited, "PYTHONPYCACHEPREFIX": folder}
        pairs = [(_startup(environment), _import(environment)) for _ in range(runs + 1)][1:]
    startups, imports = zip(*pairs, strict=True)
    rows = [row("startup", "no store", 1, startups), row("import", "no store", 1, imports)]
    return Report(rows, NOTE, versions_of())


def _startup(environment: Mapping[str, str]) -> float:
    begin = perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], env=environment, check=True)
    return perf_counter() - begin


def _import(environment: Mapping[str, str]) -> float:
    command = [sys.executable, "-c", TIMED_IMPORT]
    return float(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)  # noqa: S603
