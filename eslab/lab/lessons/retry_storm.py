"""Lesson 07: a hundred phones ask for Glow over a network that loses messages, and a desk with its settings."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from html import escape
from typing import Any

import altair
import pandas

from eslab import Clock, EventStore
from eslab.domains.downloads.service import DownloadService
from eslab.faults import STRATEGIES, Chances, Counts, LoseReply, LoseRequest, Plan, Retry, Script, Storm, storm
from eslab.faults.storm import Send
from eslab.lab import charts
from eslab.lab.lessons.message_chart import diagram
from eslab.lab.lessons.messages import Exchange, exchange
from eslab.lab.tables import html_table

PHONES = 100
SLOW, LONGEST = 0.3, timedelta(seconds=2)  # the share of requests that are slow, and how long one may take
AXIS = 2 * PHONES  # the least that the bars' axis reaches to
COUNTED = ("attempted", "written", "counted")
SLIDERS = {  # label, least, most, step
    "loss": ("messages lost, %", 0, 50, 5),
    "timeout": ("time-out, s", 0.2, 3.0, 0.2),
    "retries": ("retries, at most", 0, 8, 1),
}


def phones(store: EventStore, clock: Clock) -> Send:
    """The download service, to which each customer's phone sends one wish: Glow."""
    downloads = DownloadService(store, clock)
    return lambda number, request: downloads.request_download(owner(number), "phone", "glow", request)


def bad_luck() -> Plan:
    """The first request is lost, and so is the answer to the second one."""
    return Script(send=[LoseRequest(), LoseReply()])


def owner(number: int) -> str:
    """The customer whose phone sends the wish of this number."""
    return f"customer-{number:02}"


@dataclass(frozen=True)
class Weather:
    """What the network does, and how the clients retry."""

    loss: int = 15  # of a hundred messages, requests and answers alike
    timeout: float = 1.0  # seconds
    retries: int = 4
    seed: int = 7

    def network(self) -> Plan:
        """The faults that the calls of the phones meet."""
        share = self.loss / 100
        return Chances(self.seed, lose_request=share, lose_reply=share, delay=SLOW, by=LONGEST)

    def storm(self, client: str, wishes: int = PHONES) -> Storm:
        """The wishes of all phones, sent by a client of this name. Takes about 0.1 s."""
        retry = Retry(attempts=1 + self.retries, timeout=timedelta(seconds=self.timeout))
        return storm(phones, client, wishes=wishes, seed=self.seed, network=self.network, retry=retry)

    def side_by_side(self) -> dict[str, Storm]:
        """The same faults for each kind of client."""
        return {client: self.storm(client) for client in STRATEGIES}


def counters(storms: Sequence[Storm]) -> pandas.DataFrame:
    """The counters of storms, a line for each."""
    return pandas.DataFrame([one.counts for one in storms])


def counters_chart(storms: Sequence[Storm]) -> charts.Figure:
    """Bars of what was attempted, written and counted, by client, and a rule at the number of wishes."""
    counts = counters(storms)
    bars = counts.melt("client", COUNTED, var_name="counter", value_name="number")
    y = altair.Y("counter:N", sort=list(COUNTED), title=None)
    scale = altair.Scale(domain=[0, max(AXIS, *bars["number"])])  # the same for most settings, to compare them
    base = altair.Chart(bars).encode(y=y, x=altair.X("number:Q", title="number", scale=scale))
    color = altair.Color("counter:N", legend=None, scale=altair.Scale(domain=list(COUNTED)))
    wishes = altair.Chart(bars).mark_rule(strokeDash=[4, 3], strokeWidth=2).encode(x=altair.datum(PHONES))
    layers = base.mark_bar().encode(color=color) + base.mark_text(align="left", dx=4).encode(text="number:Q") + wishes
    header = altair.Header(labelAnchor="start", labelOrient="top", labelFontSize=13, labelFontWeight="bold")
    row = altair.Row("client:N", title=None, sort=list(STRATEGIES), header=header)
    chart = layers.properties(width=420, height=84).facet(row=row)
    return charts.show(chart, alt=in_words([one.counts for one in storms]), table=counts)


def in_words(counts: Sequence[Counts]) -> str:
    """The counters in a sentence for each client."""
    return " ".join(
        f"The client with {_named(each.client)} makes {each.attempted} attempts for {each.wishes} wishes; "
        f"{each.counted} count, and {each.twice or 'none'} of the wishes {'counts' if each.twice == 1 else 'count'} "
        f"more than once. {each.unknown or 'No'} {'client has' if each.unknown == 1 else 'clients have'} no answer."
        for each in counts
    )


def _named(client: str) -> str:
    words = {"same request": "one id for a wish", "new request": "a new id for each attempt"}
    return words.get(client, "a new time in its id")


def worst(storm: Storm) -> int:
    """The first wish that counts more than once, or else the first of those with the most attempts."""
    rows = {customer: len(list(storm.store.rows(customer, "downloaded:glow"))) for customer in storm.store.customers()}
    numbers = range(len(storm.outcomes))
    return max(numbers, key=lambda it: (rows.get(owner(it), 0) > 1, len(storm.outcomes[it].attempts), -it))


def wish_of(storm: Storm, number: int) -> Exchange:
    """The messages of one phone."""
    return exchange(storm, number, owner(number))


def storm_desk(weather: Weather | None = None) -> Any:
    """Sliders for the network and the retries, a picker for the client whose messages are drawn, and the counters.

    The pictures are HTML and not an `ipywidgets.Output`: a runner without a browser, such as nbclient, hangs on one.
    """
    import ipywidgets

    from eslab.lab.widgets import Desk

    weather = weather or Weather()
    sliders = {name: _slider(name, getattr(weather, name)) for name in SLIDERS}
    names = {"style": {"description_width": "9em"}, "layout": {"width": "340px"}}
    drawn: Any = ipywidgets.Dropdown(options=list(STRATEGIES), value="new request", description="messages of", **names)
    words, bars, messages = ipywidgets.HTML(), ipywidgets.HTML(), ipywidgets.HTML()
    storms: dict[str, Storm] = {}

    def draw(_: object = None) -> None:
        number = worst(storms["new request"])  # the same wish for each client
        told = wish_of(storms[drawn.value], number)
        messages.value = (
            f"<p>{escape(f'{owner(number)}, {drawn.value}. {told.in_words()}')}</p>{diagram(told).picture()}"
        )

    def show(_: object = None) -> None:
        chosen = Weather(**{name: slider.value for name, slider in sliders.items()}, seed=weather.seed)
        storms.update(chosen.side_by_side())
        lines = [_counted(one.counts) for one in storms.values()]
        words.value = f'<div role="status">{html_table(lines)}</div>'
        bars.value = counters_chart(list(storms.values())).picture()
        draw()

    for slider in sliders.values():
        slider.observe(show, names="value")
    drawn.observe(draw, names="value")
    show()
    controls = ipywidgets.HBox([*sliders.values(), drawn], layout={"flex_flow": "row wrap"})
    return Desk([controls, words, bars, messages])


def _counted(counts: Counts) -> dict[str, Any]:
    """A line of the desk's table."""
    return {
        "client": counts.client,
        "wishes": counts.wishes,
        **{name: getattr(counts, name) for name in COUNTED},
        "more than once": f"✗ {counts.twice}" if counts.twice else 0,
        "no answer": counts.unknown,
    }


def _slider(name: str, value: float) -> Any:
    import ipywidgets

    label, least, most, step = SLIDERS[name]
    kind = ipywidgets.FloatSlider if isinstance(step, float) else ipywidgets.IntSlider
    slider = kind(value=value, min=least, max=most, step=step, description=label, continuous_update=False)
    slider.style.description_width = "9em"
    slider.layout = {"width": "340px", "flex": "0 0 auto"}  # in a narrow window they wrap rather than shrink
    return slider
