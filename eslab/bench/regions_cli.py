"""The commands of `eslab bench` that start a cluster of several nodes, with its distances and its slow replica."""

from typing import Annotated

import typer

from eslab.bench.hydrate_cli import steps_shown
from eslab.bench.options import JsonFile, show, write


def lock(
    writes: Annotated[int, typer.Option(min=1, help="Writes of each measure; several writers share them.")] = 30,
    writers: Annotated[int, typer.Option(min=1, max=64, help="Writers at once.")] = 4,
    json: JsonFile = None,
) -> None:
    """Append idempotently and under a lock, in three regions at real distances, one of which is then cut off."""
    from eslab.bench.lock.measure import measure_lock
    from eslab.bench.lock.writers import Plan

    with steps_shown() as on_step:
        report = measure_lock(Plan(writes, writers), on_step)
    write(report, json)
    show(report)


def speculation(
    requests: Annotated[int, typer.Option(min=1, help="Requests of each measure.")] = 300,
    speculate: Annotated[float, typer.Option(min=1, help="Milliseconds until a second replica is asked too.")] = 20,
    json: JsonFile = None,
) -> None:
    """Read and append beside a slow replica of three, with `?speculate=` and without: p99."""
    from eslab.bench.speculation import measure_speculation

    with steps_shown() as on_step:
        report = measure_speculation(requests, speculate, on_step)
    write(report, json)
    show(report)
