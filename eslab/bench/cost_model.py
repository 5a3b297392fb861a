"""The cost of a hydration as fixed + per event + per byte, fitted to measures; and the interval of snapshots that it means.

    report = measure_hydration(lengths=(10, 100, 1_000, 10_000), intervals=(None, 10, 100))
    model = CostModel.fit(report.frame())
    model.hydration(5_000)            # seconds to replay 5,000 events
    model.best_interval(10)           # with ten hydrations for each event that is written

Each row is weighted by its own time, so that the shortest hydration counts as much as the longest: what is smallest is
the sum of the squared relative errors. A part that comes out below zero is left out, and the others are fitted again.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from eslab.errors import InvalidInput

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

FITTED = ("hydrate", "live")  # the measures of a hydration
PARTS = ("fixed", "per event", "per byte")
NO_BYTES = "Bytes can't be told apart from events, since all events have about one size: they count as events."
NEEDED = ("name", "store", "temperature", "replayed", "bytes", "snapshot_bytes", "p50")
ONE_SIZE = 0.1  # sizes of events that differ by less than this part can't be told apart from the number of events


@dataclass(frozen=True)
class Choice:
    """The interval of snapshots that costs least, and its costs in seconds for each event that is written."""

    interval: int
    reads_per_write: float
    building: float  # seconds a write: the builder's share
    reading: float  # seconds a write: hydrations, on average half an interval behind the snapshot
    break_even: float  # below this interval a snapshot costs more than it saves until the next one
    pays_from: float  # the length of a stream at which replaying it all costs as much

    @property
    def cost(self) -> float:
        """Seconds for each event that is written, of builder and readers together."""
        return self.building + self.reading

    def __str__(self) -> str:
        return (
            f"With {self.reads_per_write:g} hydrations for each write, a snapshot every {self.interval:,} events costs "
            f"least: {_time(self.building)} to build and {_time(self.reading)} to read for each write. Below an "
            f"interval of {self.break_even:,.0f} a snapshot costs more than it saves before the next one; it pays for "
            f"streams of more than {self.pays_from:,.0f} events."
        )


@dataclass(frozen=True)
class CostModel:
    """Seconds of a hydration: `fixed + per_event * events + per_byte * bytes`; prints as a sentence."""

    fixed: float
    per_event: float
    per_byte: float
    event_bytes: float = 0.0  # of an event's payload, on average
    snapshot_bytes: float = 0.0  # of the snapshots that a hydration reads
    build: float = 0.0  # of one snapshot, without the replay of its events
    residual: float = 0.0  # the relative error of the fit, root mean square
    worst: float = 0.0  # the largest relative error of a row
    notes: Sequence[str] = ()

    @classmethod
    def fit(cls, frame: "pd.DataFrame") -> "CostModel":
        """Fit the model to the warm hydrations in a report's frame; several reports of one store may be concatenated.

        Raises `InvalidInput` if there are too few lengths to tell fixed costs from those of an event.
        """
        import numpy

        rows = _fitted_rows(frame)
        events, size, seconds = (rows[name].to_numpy(float) for name in ("replayed", "bytes", "p50"))
        each = _sizes(rows)
        names, notes = (list(PARTS), []) if numpy.ptp(each) > ONE_SIZE * each.mean() else (list(PARTS[:2]), [NO_BYTES])
        parts, left_out = _fit(names, events, size, seconds)
        error = _predicted(parts, events, size) / seconds - 1
        model = cls(
            *(parts[name] for name in PARTS),
            event_bytes=float(each[0]),
            snapshot_bytes=float(rows["snapshot_bytes"].max()),
            residual=float((error**2).mean() ** 0.5),
            worst=float(abs(error).max()),
            notes=(*notes, *left_out),
        )
        built = frame[frame["name"] == "build"]
        if built.empty:
            return model
        alone = built["p50"] - built["replayed"] * model.each_event
        return replace(model, build=max(0.0, float(alone.median())))

    @property
    def each_event(self) -> float:
        """Seconds to replay one event of average size."""
        return self.per_event + self.per_byte * self.event_bytes

    def hydration(self, events: float, bytes: float | None = None) -> float:
        """Seconds to replay so many events of so many bytes in all; without `bytes`, events of average size."""
        return (
            self.fixed
            + self.per_event * events
            + self.per_byte * (events * self.event_bytes if bytes is None else bytes)
        )

    def cost(self, interval: int, reads_per_write: float, unsettled: float = 0.0) -> float:
        """Seconds for each write: the builder's share of it, and the hydrations that come with it.

        A hydration finds on average half an interval of events behind the newest snapshot, and the `unsettled` ones,
        which no snapshot may hold yet: the writes of the last 26 hours by default (`fold_after`).
        """
        return self._building(interval) + self._reading(interval, reads_per_write, unsettled)

    def best_interval(self, reads_per_write: float, unsettled: float = 0.0) -> Choice:
        """The interval at which builder and readers together cost least.

        A snapshot costs `build` and the replay of its events once; longer intervals share that among more writes, and
        leave more events to every reader: the sum is least at sqrt(2 * build / (reads_per_write * each_event)).
        Raises `InvalidInput` if nothing is ever read, or if no snapshots were measured.
        """
        self._check(reads_per_write)
        exact = math.sqrt(2 * self.build / (reads_per_write * self.each_event))
        near = {max(1, math.floor(exact)), max(1, math.ceil(exact))}
        best = min(sorted(near), key=lambda interval: self.cost(interval, reads_per_write, unsettled))
        building, reading = self._building(best), self._reading(best, reads_per_write, unsettled)
        pays_from = ((building + reading) / reads_per_write - self.fixed) / self.each_event
        return Choice(best, reads_per_write, building, reading, self.break_even(reads_per_write), pays_from)

    def break_even(self, reads_per_write: float) -> float:
        """The interval at which a snapshot saves its readers, until the next one, just as much as it costs to build.

        There are reads_per_write * interval of them, and each is spared the replay of an interval.
        """
        self._check(reads_per_write)
        b, e, r = self.build, self.each_event, reads_per_write
        return (e + math.sqrt(e * e + 4 * r * e * b)) / (2 * r * e)

    def _building(self, interval: int) -> float:
        return self.build / interval + self.each_event

    def _reading(self, interval: int, reads_per_write: float, unsettled: float) -> float:
        events = (interval - 1) / 2 + unsettled
        return reads_per_write * self.hydration(events, events * self.event_bytes + self.snapshot_bytes)

    def _check(self, reads_per_write: float) -> None:
        if not reads_per_write > 0:
            raise InvalidInput(f"Expected reads_per_write above 0, got {reads_per_write}: unread, no snapshot pays.")
        if self.build <= 0 or self.each_event <= 0:
            raise InvalidInput(
                f"Expected a model that knows what a snapshot and the replay of an event cost, got {self!r}. Measure "
                "at least one interval beside off."
            )

    def __str__(self) -> str:
        lines = [
            f"hydration = {_time(self.fixed)} + {_time(self.per_event)} for each event replayed + "
            f"{_time(self.per_byte)} for each byte read; off by {self.residual:.0%} (root mean square), at most "
            f"{self.worst:.0%}",
            *self.notes,
        ]
        return "\n".join(lines)


def _fitted_rows(frame: "pd.DataFrame") -> "pd.DataFrame":
    """The warm hydrations of a frame. Raises `InvalidInput` if they are too few, or of several stores."""
    if missing := [name for name in NEEDED if name not in frame.columns]:
        raise InvalidInput(f"Expected the frame of a report of hydrations, found no column {', '.join(missing)}.")
    rows = frame[frame["name"].isin(FITTED) & (frame["temperature"] == "warm")]
    if len(stores := sorted(set(rows["store"]))) > 1:
        raise InvalidInput(f"Expected hydrations on one store, got {', '.join(stores)}; fit one at a time.")
    lengths = sorted(set(rows["replayed"]))
    if len(lengths) < len(PARTS):
        raise InvalidInput(
            f"Expected hydrations that replay at least {len(PARTS)} different numbers of events, got {len(lengths)}: "
            f"{', '.join(f'{length:,.0f}' for length in lengths) or 'none'}. Measure more lengths."
        )
    return rows


def _sizes(rows: "pd.DataFrame") -> "np.ndarray[Any, Any]":
    """The size of an event in each row that replays any."""
    some = rows[rows["replayed"] > 0]
    return ((some["bytes"] - some["snapshot_bytes"]) / some["replayed"]).to_numpy(float)


def _fit(
    names: list[str], events: "np.ndarray[Any, Any]", size: "np.ndarray[Any, Any]", seconds: "np.ndarray[Any, Any]"
) -> tuple[dict[str, float], list[str]]:
    """Fit these parts; one below zero is left out, the most negative first."""
    import numpy

    columns = {"fixed": numpy.ones_like(events), "per event": events, "per byte": size}
    left_out: list[str] = []
    while True:
        scaled = numpy.column_stack([columns[name] / seconds for name in names])
        norms = numpy.linalg.norm(scaled, axis=0)  # so that a byte's small seconds are no rounding error
        found = numpy.linalg.lstsq(scaled / norms, numpy.ones_like(seconds), rcond=None)[0]
        worst = int(found.argmin())
        if found[worst] >= 0 or len(names) == 1:
            parts = dict.fromkeys(PARTS, 0.0) | dict(zip(names, map(float, found / norms), strict=True))
            return parts, left_out
        left_out.append(f"No cost {names[worst]} was found: it came out below zero.")
        names = [name for name in names if name != names[worst]]


def _predicted(
    parts: dict[str, float], events: "np.ndarray[Any, Any]", size: "np.ndarray[Any, Any]"
) -> "np.ndarray[Any, Any]":
    return parts["fixed"] + parts["per event"] * events + parts["per byte"] * size


def _time(seconds: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * scale >= 1:
            return f"{seconds * scale:,.3g} {unit}"
    return f"{seconds * 1e9:,.3g} ns"
