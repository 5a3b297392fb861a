"""Lesson 07: a Lamport diagram of the messages of one wish.

Time runs downwards, in steps and not to scale: such a diagram shows what came before what. A lost message is dashed and
ends in a cross. A call whose answer is late or lost ends for its client with a time-out.
"""

from collections.abc import Iterator
from typing import Any

import altair
import pandas

from eslab.faults.crossing import time_of_day
from eslab.lab import charts
from eslab.lab.lessons.messages import ACTORS, ANSWER, LOST, REQUEST, TIME_OUT, Exchange

STEP, WIDTH = 20, 540  # pixels from one moment to the next; of the diagram
LEFT, RIGHT = -0.75, len(ACTORS) - 0.75
LOST_AT, TEXT_AT = 0.8, 0.45  # where on its way a message is lost; where its text is
LOOKS = {REQUEST: (charts.COLORS[0], [1, 0]), ANSWER: (charts.COLORS[2], [1, 0]), LOST: (charts.COLORS[1], [5, 4])}
HEADS = {"the right": ("triangle-right", -4), "the left": ("triangle-left", 4)}


def diagram(exchange: Exchange) -> charts.Figure:
    """The diagram of a wish's messages; its alternative text is the exchange in words, its table has every message."""
    rows = _rows(exchange)
    down = altair.Scale(domain=[len(rows) - 0.5, -1])
    layers = [*_lifelines(len(rows), down), *_arrows(pandas.DataFrame(_messages(exchange, rows)), down)]
    chart = altair.layer(*layers, *_times(exchange, rows, down)).properties(width=WIDTH, height=STEP * (len(rows) + 1))
    return charts.show(chart, alt=exchange.in_words(), table=exchange.table())


def _at(x: str, y: str, down: altair.Scale) -> dict[str, Any]:
    """The place of a mark: across by actor, down by moment."""
    across = altair.Scale(domain=[LEFT, RIGHT])
    return {"x": altair.X(f"{x}:Q", axis=None, scale=across), "y": altair.Y(f"{y}:Q", axis=None, scale=down)}


def _rows(exchange: Exchange) -> pandas.DataFrame:
    """A row for each moment."""
    return pandas.DataFrame(
        {"row": row, "message": moment.message, "begins": moment.begins, "time": time_of_day(moment.time)}
        for row, moment in enumerate(exchange.moments)
    )


def _messages(exchange: Exchange, rows: pandas.DataFrame) -> Iterator[dict[str, Any]]:
    """Where each message begins and ends."""
    for number, message in enumerate(exchange.messages):
        begin, *arrival = rows[rows["message"] == number]["row"].tolist()
        end = arrival[0] if arrival else begin + 1
        x, to = ACTORS.index(message.sender), ACTORS.index(message.receiver)
        share = LOST_AT if message.is_lost else 1.0
        place = {"x": x, "y": begin, "x2": x + share * (to - x), "y2": begin + share * (end - begin)}
        towards = LOST if message.is_lost else "the right" if to > x else "the left"
        words = {"text x": x + TEXT_AT * (to - x), "text y": begin + TEXT_AT * (end - begin)}
        yield {**place, **words, "kind": message.kind, "text": message.text, "towards": towards}


def _lifelines(rows: int, down: altair.Scale) -> Iterator[Any]:
    actors = pandas.DataFrame({"x": range(len(ACTORS)), "actor": ACTORS, "y": -0.6, "y2": rows - 0.5})
    base = altair.Chart(actors).encode(**_at("x", "y", down))
    yield base.mark_rule(opacity=0.5).encode(y2="y2:Q")
    yield base.mark_text(dy=-9, fontWeight="bold", fontSize=13).encode(text="actor:N")


def _arrows(arrows: pandas.DataFrame, down: altair.Scale) -> Iterator[Any]:
    """The lines of messages, their heads or crosses, and their texts."""
    kinds = [kind for kind in LOOKS if kind in set(arrows["kind"])]
    colors = altair.Scale(domain=kinds, range=[LOOKS[kind][0] for kind in kinds])
    dashes = altair.Scale(domain=kinds, range=[LOOKS[kind][1] for kind in kinds])
    legend = altair.Legend(orient="bottom", symbolType="stroke")
    base = altair.Chart(arrows).encode(color=altair.Color("kind:N", scale=colors, title=None, legend=legend))
    dash = altair.StrokeDash("kind:N", scale=dashes, title=None, legend=legend)
    yield base.mark_rule(strokeWidth=2).encode(**_at("x", "y", down), x2="x2:Q", y2="y2:Q", strokeDash=dash)
    ends = base.encode(**_at("x2", "y2", down))
    for towards, (shape, dx) in HEADS.items():
        heads = ends.transform_filter(altair.datum.towards == towards)
        yield heads.mark_point(shape=shape, filled=True, size=70, xOffset=dx, opacity=1)
    yield ends.transform_filter(altair.datum.towards == LOST).mark_text(text="✗", fontSize=18, fontWeight="bold")
    words = altair.Chart(arrows).mark_text(dy=-8, fontSize=12)
    yield words.encode(**_at("text x", "text y", down), text="text:N")


def _times(exchange: Exchange, rows: pandas.DataFrame, down: altair.Scale) -> Iterator[Any]:
    """The times at which the client sends, and stops waiting."""
    sent = [number for number, message in enumerate(exchange.messages) if message.sender == ACTORS[0]]
    told = rows[(rows["begins"] & rows["message"].isin(sent)) | (rows["message"] == TIME_OUT)].assign(x=0)
    told["text"] = told["time"] + told["message"].map(lambda number: "  time-out" if number == TIME_OUT else "")
    base = altair.Chart(told).encode(**_at("x", "row", down))
    yield base.mark_text(align="right", dx=-10).encode(text="text:N")
    yield base.mark_point(shape="square", filled=True, color=charts.INK)
