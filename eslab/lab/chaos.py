"""The command `eslab chaos`, and the report of a run: what broke when, and what was told meanwhile."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eslab.terminal import say

if TYPE_CHECKING:
    import pandas as pd

    from eslab.faults.chaos.run import Chaos

Minutes = Annotated[float, typer.Option(min=0.5, max=600, help="How long requests are sent and things break.")]
Seed = Annotated[int, typer.Option(help="The same seed is the same weather and the same clients.")]
Name = Annotated[str, typer.Option("--cluster", help="A running cluster of several regions; default: a fresh one.")]
Out = Annotated[Path, typer.Option(help="The report.", dir_okay=False)]
Clients = Annotated[int, typer.Option(min=1, max=20, help="Clients in each region.")]


def chaos(
    minutes: Minutes = 10, seed: Seed = 1, cluster: Name = "", clients: Clients = 3, out: Out = Path("build/chaos.html")
) -> None:
    """Send requests to three real regions while links are cut and regions freeze and die, then judge what was told.

    Exit code 1 if a promise was broken, if the regions were not equal after a repair, or if something that the run is
    there for never happened. Ctrl-C ends the load early, mends the cluster and judges what there is.
    """
    from eslab.cluster.cluster import Cluster
    from eslab.faults.chaos.run import run

    out.parent.mkdir(parents=True, exist_ok=True)
    opened = Cluster.start(name=cluster) if cluster else Cluster.start(regions="us,eu,asia", on_progress=say)
    with opened as regions:
        result = run(regions, minutes * 60, seed, say, clients=clients)
    write_report(result, out)
    say(f"\n{summary(result)}\n\nThe report: {out}")
    equal = not any((result.convergence.after or result.convergence.left).values())
    raise typer.Exit(int(bool(result.violations or result.never_met or not equal)))


def summary(result: "Chaos") -> str:
    """What a run met and how it ended, in lines."""
    lines = [f"{number:>9,}  {what}" for what, number in result.met.items()]
    lines += ["", *convergence_in_words(result)]
    if result.never_met:
        lines.append(f"Expected to meet {', '.join(result.never_met)}, never did: run longer, or take another seed.")
    lines += [f"{len(result.violations)} broken promises", *map(str, result.violations[:20])]
    return "\n".join(lines)


def convergence_in_words(result: "Chaos") -> list[str]:
    """How the regions became equal."""
    found = result.convergence
    lines = [f"After the last fault was mended, {_missing(found.missing)}."]
    if found.hints is not None:
        return [*lines, f"Hints made all regions equal within {found.hints:.0f} s."]
    lines.append(f"Hints had not made them equal by then: {_missing(found.left)}.")
    return [*lines, f"A repair read {found.rows:,} rows in {found.repair or 0:.0f} s; then {_missing(found.after)}."]


def _missing(rows: Mapping[str, int]) -> str:
    lacking = [f"{number:,} in {region}" for region, number in rows.items() if number]
    return f"commits were missing: {', '.join(lacking)}" if lacking else "no region missed a commit"


def write_report(result: "Chaos", out: Path) -> None:
    """Write the page: the figures, the timeline as a chart with its table, the faults, and all violations."""
    from importlib.resources import files

    from jinja2 import Environment

    from eslab.lab import charts
    from eslab.lab.files import write_whole

    text = files("eslab.lab").joinpath("assets", "chaos.html.j2").read_text(encoding="utf-8")
    words = "Answers of each region over time, the faults, and how far each region lagged behind the others."
    figure = charts.show(timeline(result), alt=words, table=answers(result))
    environment = Environment(autoescape=True)
    environment.filters["format_number"] = "{:,}".format
    picture, convergence = figure.picture(), convergence_in_words(result)
    write_whole(out, environment.from_string(text).render(result=result, convergence=convergence, picture=picture))


def answers(result: "Chaos") -> "pd.DataFrame":
    """The deliveries to each region in spans of time, by what came of them."""
    import pandas as pd

    span = max(1.0, result.seconds / 120)
    rows = [
        {"seconds": span * int(it.began / span), "region": it.region, "outcome": _outcome(it)}
        for it in result.operations
        if it.what == "count"
    ]
    frame = pd.DataFrame(rows, columns=["seconds", "region", "outcome"])
    return frame.value_counts().rename("deliveries").reset_index().sort_values(["seconds", "region", "outcome"])


def _outcome(operation: Any) -> str:
    if operation.accepted:
        return "accepted"
    if operation.rejected:
        return "rejected"
    return "no answer" if operation.ended is None or operation.error else "accepted"


def timeline(result: "Chaos") -> Any:
    """Three charts below each other, over one axis of time: answers, faults, lag."""
    import altair as alt
    import pandas as pd

    from eslab.lab import charts

    time: Any = alt.X("seconds:Q", title="seconds", scale=alt.Scale(domain=[0, result.seconds]))
    told = answers(result)
    outcomes = alt.Scale(domain=["accepted", "rejected", "no answer"], range=[charts.COLORS[i] for i in (0, 5, 1)])
    bars = (
        alt.Chart(told, height=70)
        .mark_bar()
        .encode(x=time, y=alt.Y("deliveries:Q"), color=alt.Color("outcome:N", scale=outcomes), row=alt.Row("region:N"))
    )
    faults = pd.DataFrame(
        [{"seconds": it.at, "end": it.ends, "kind": it.kind, "where": "-".join(it.regions)} for it in result.faults],
        columns=["seconds", "end", "kind", "where"],
    )
    broken = (
        alt.Chart(faults, height=alt.Step(20))
        .mark_bar()
        .encode(x=time, x2="end:Q", y=alt.Y("where:N", title="faults"), color=alt.Color("kind:N", title="fault"))
    )
    lags = pd.DataFrame([{"seconds": it.at, "region": it.region, "lag": it.seconds} for it in result.lags])
    behind = (
        alt.Chart(lags, height=120)
        .mark_line()
        .encode(x=time, y=alt.Y("lag:Q", title="lag in seconds"), color="region:N", strokeDash="region:N")
    )
    return alt.vconcat(bars, broken, behind).resolve_scale(color="independent", strokeDash="independent")
