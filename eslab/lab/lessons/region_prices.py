"""Lesson 08: what an answer costs at each level, who answers during a cut, and what a lost region takes with it."""

from collections.abc import Callable, Iterator, Sequence

import altair
import pandas

from eslab import Request
from eslab.bench.sample import commit
from eslab.lab import charts
from eslab.lab.lessons.lightweight import SERIAL, Lightweight
from eslab.lab.lessons.regions import (
    ASIA,
    EU,
    LEVELS,
    NAMES,
    US,
    Answer,
    Regions,
    of_limit,
    told,
)
from eslab.lab.lessons.simulated_regions import SimulatedRegions
from eslab.store import Commit

WAYS = ("LOCAL_QUORUM", "QUORUM", "EACH_QUORUM", SERIAL)
TIMES = 5  # that an append is measured
ROWS = 20  # downloads of other customers that a region acknowledges before it is lost
DEVICES = ("laptop", "tv", "console")  # that ask in us, eu and asia
Sell = Callable[[str, str], Answer]  # of a region and a device


def seller(regions: SimulatedRegions, way: str) -> Sell:
    """Ask for Glow at one of the levels, or by a conditional write."""
    if way == SERIAL:
        lightweight = Lightweight(regions)
        return lambda region, device: lightweight.sell(region, device)
    return lambda region, device: regions.sell(region, device, level=way)


def prices() -> pandas.DataFrame:
    """The milliseconds of one download in each region, each way, in virtual time and with nothing broken."""
    lines = [(way, region, _milliseconds(way, region)) for way in WAYS for region in NAMES]
    return pandas.DataFrame(lines, columns=["way", "region", "ms"])


def appends(regions: Regions, levels: Sequence[str] = WAYS[:3]) -> pandas.DataFrame:
    """The milliseconds of the append alone, at each level in each region: the median of five."""
    lines = []
    for level in levels:
        for region in NAMES:
            took = sorted(_append(regions, region, level) for _ in range(TIMES))
            lines.append((level, region, round(took[TIMES // 2] * 1000)))
    return pandas.DataFrame(lines, columns=["way", "region", "ms"])


def _append(regions: Regions, region: str, level: str) -> float:
    commit = _sold(regions, "warm", region)
    began = regions.now
    regions.store(region).append(f"customer of {region}", [commit], LEVELS[level])
    return regions.now - began


def _milliseconds(way: str, region: str) -> int:
    regions = SimulatedRegions()
    sell = seller(regions, way)
    began = regions.now
    answer = sell(region, "phone")
    assert told(answer) == "granted"
    return round((regions.now - began) * 1000)


def price_chart(priced: pandas.DataFrame) -> charts.Figure:
    """Bars of the milliseconds, by way and region."""
    y = altair.Y("region:N", title=None, sort=list(NAMES))
    x = altair.X("ms:Q", title="milliseconds for one download")
    color = altair.Color("region:N", legend=None, scale=altair.Scale(domain=list(NAMES)))
    base = altair.Chart(priced).encode(x=x, y=y)
    layers = base.mark_bar().encode(color=color) + base.mark_text(align="left", dx=4).encode(text="ms:Q")
    header = altair.Header(labelAnchor="start", labelOrient="top", labelFontSize=13, labelFontWeight="bold")
    ways = list(dict.fromkeys(priced["way"]))
    chart = layers.properties(width=420, height=66).facet(row=altair.Row("way:N", title=None, sort=ways, header=header))
    table = priced.pivot(index="way", columns="region", values="ms").loc[ways, list(NAMES)].reset_index()
    words = "; ".join(f"{row['way']}: us {row[US]}, eu {row[EU]}, asia {row[ASIA]}" for _, row in table.iterrows())
    return charts.show(chart, alt=f"Milliseconds for one download, by way and region. {words}.", table=table)


def while_cut_off(way: str) -> dict[str, str]:
    """Two downloads everywhere; us is cut off, and each region is asked for the third: what it says, and after what."""
    regions = SimulatedRegions()
    for device in ("phone", "tablet"):
        regions.sell(US, device)
        regions.wait(1)
    regions.cut_off(US)
    sell = seller(regions, way)
    said = {region: _asked(regions, sell, region, device) for region, device in zip(NAMES, DEVICES, strict=True)}
    regions.heal_all()
    regions.wait(15)
    if way == SERIAL:
        Lightweight(regions).used(EU)
    return {"way": way, **said, "after healing": of_limit(regions.used(EU))}


def _asked(regions: Regions, sell: Sell, region: str, device: str) -> str:
    began = regions.now
    answer = told(sell(region, device))
    regions.wait(1)
    return f"{answer}, {(regions.now - 1 - began) * 1000:,.0f} ms"


def all_ways_while_cut_off() -> pandas.DataFrame:
    """What every way says in every region while us is cut off."""
    return pandas.DataFrame(map(while_cut_off, WAYS))


def lost_for_good(level: str) -> dict[str, str | int]:
    """Us acknowledges downloads while it is cut off, or refuses them, and is then lost with its disk."""
    regions = SimulatedRegions()
    acknowledged = list(_sales(regions, level, cut_after=ROWS // 2))
    regions.lose(US)
    for link in list(regions.cuts):
        regions.heal(*sorted(link))
    regions.wait(30)
    left = [customer for customer in acknowledged if list(regions.store(EU).rows(customer, "downloaded:glow"))]
    return {
        "level": level,
        "asked": ROWS,
        "acknowledged": len(acknowledged),
        "left in eu and asia": len(left),
        "gone for good": len(acknowledged) - len(left),
    }


def _sales(regions: SimulatedRegions, level: str, cut_after: int) -> Iterator[str]:
    """The customers to whom us acknowledged a download; from one of them on it is cut off."""
    for number in range(ROWS):
        if number == cut_after:
            regions.wait(1)
            regions.cut_off(US)
        customer = f"customer-{number:02}"
        if told(regions.sell(US, "phone", level=level, customer=customer)) == "granted":
            yield customer


def _sold(regions: Regions, customer: str, region: str) -> Commit:
    """A row of about the size that a download makes."""
    request = regions.request()
    return commit(f"{customer} {region}", int(request.time.timestamp()), request)


def a_moment_ago(after: Sequence[int] = (0, 10, 20, 30, 38, 40, 60, 80)) -> pandas.DataFrame:
    """A download in us; what eu and asia show so many milliseconds after the answer, and what eu shows at QUORUM."""
    lines = []
    for milliseconds in after:
        regions = SimulatedRegions()
        regions.sell(US, "phone")
        regions.wait(milliseconds / 1000)
        near = regions.shown()
        lines.append({"ms after the answer": milliseconds, EU: near[EU], ASIA: near[ASIA],
                      "eu, at QUORUM": _at_quorum(milliseconds)})  # fmt: skip
    return pandas.DataFrame(lines)


def _at_quorum(milliseconds: int) -> int | None:
    regions = SimulatedRegions()
    regions.sell(US, "phone")
    regions.wait(milliseconds / 1000)
    return regions.used(EU, "QUORUM")


def timed_out(cut_after: int) -> dict[str, str | int]:
    """Us makes a conditional write and is cut off meanwhile; what it is told, and what became of the row."""
    regions, lightweight, _, answer = _cut_amid(cut_after)
    regions.heal_all()
    looked = regions.used(EU)
    return {
        "cut after, ms": cut_after,
        "us is told": told(answer),
        "eu shows": of_limit(looked),
        "eu, at SERIAL": of_limit(lightweight.used(EU)),
    }


def ask_again(cut_after: int) -> dict[str, str | int | None]:
    """The same, and then the same request again, in eu."""
    regions, lightweight, request, answer = _cut_amid(cut_after)
    regions.heal_all()
    again = lightweight.sell(EU, "laptop", request)
    return {"first": told(answer), "again": told(again), "counted": regions.used(EU)}


def _cut_amid(cut_after: int) -> tuple[SimulatedRegions, Lightweight, Request, Answer]:
    regions = SimulatedRegions()
    lightweight = Lightweight(regions)
    for device in ("phone", "tablet"):
        regions.sell(US, device)
        regions.wait(1)
    request = regions.request()
    regions.world.after(cut_after / 1000, lambda: regions.cut_off(US))
    answer = lightweight.sell(US, "laptop", request)
    regions.wait(1)
    return regions, lightweight, request, answer
