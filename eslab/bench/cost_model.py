"""The cost of a hydration, fixed + per event + per byte, fitted to measures; and the best interval of snapshots.

    report = measure_hydration(lengths=(10, 100, 1_000, 10_000), intervals=(None, 10, 100))
    model = CostModel.fit(report.frame())
    model.hydration(5_000)            # seconds to replay 5,000 events
    model.best_interval(10)           # with ten hydrations for each event that is written

The fit makes the sum of the squared relative errors smallest, so that the shortest hydration counts as much as the
longest. A part that comes out below zero is left out, and the others are fitted again.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from eslab.errors import InvalidInput

if TYPE_CHECKING:
    import numpy
    import pandas

    Array = numpy.ndarray[Any, numpy.dtype[Any]]

HYDRATIONS = ("hydrate", "live")  # the measures that are fitted
PARTS = ("fixed", "per event", "per byte")
ONE_SIZE = 0.1  # sizes of events that differ by less than this part can't be told apart from the number of events
NO_BYTES = "Bytes can't be told apart from events, since all events have about one size: they count as events."
COLUMNS = ("replayed", "bytes", "snapshot_bytes", "p50")


@dataclass(frozen=True)
class Choice:
    """An interval of snapshots and its costs in seconds for each event that is written; prints the arithmetic."""

    interval: int
    reads_per_write: float
    build: float  # of one snapshot, without the replay
    each_event: float  # of its replay
    read: float  # of one hydration, on average half an interval behind the snapshot
    break_even: float  # below this interval a snapshot costs more than it saves until the next one
    pays_from: float  # the length of a stream at which replaying it all costs as much as its snapshots do

    @property
    def building(self) -> float:
        """Seconds for each write: the builder's share."""
        return self.build / self.interval + self.each_event

    @property
    def reading(self) -> float:
        """Seconds for each write: the hydrations that come with it."""
        return self.reads_per_write * self.read

    @property
    def cost(self) -> float:
        """Seconds for each write, of builder and readers together."""
        return self.building + self.reading

    def __str__(self) -> str:
        b, e, r, k = seconds(self.build), seconds(self.each_event), f"{self.reads_per_write:g}", f"{self.interval:,}"
        return (
            f"With {r} hydrations for each write, a snapshot every {k} events costs least: for each write "
            f"{seconds(self.building)} to build ({b} / {k} + {e}) and {seconds(self.reading)} to hydrate ({r} x "
            f"{seconds(self.read)}).\nBest is sqrt(2 x {b} / ({r} x {e})). Below an interval of {self.break_even:,.0f} "
            f"a snapshot costs more than it saves until the next one. A stream of less than {self.pays_from:,.0f} "
            "events is cheaper without."
        )


@dataclass(frozen=True)
class CostModel:
    """Seconds of a hydration: `fixed + per_event * events + per_byte * bytes`; prints as a sentence."""

    fixed: float
    per_event: float
    per_byte: float = 0.0
    event_bytes: float = 0.0  # of an event's payload; of the first sample, if there were several
    snapshot_bytes: float = 0.0  # of all snapshots that a hydration reads
    build: float = 0.0  # of one snapshot, without the replay of its events
    residual: float = 0.0  # the relative error of the fit, root mean square
    worst: float = 0.0  # the largest relative error
    notes: Sequence[str] = ()  # what could not be fitted

    @classmethod
    def fit(cls, frame: "pandas.DataFrame") -> "CostModel":
        """Fit the model to the warm hydrations in a report's frame; frames of one store may be concatenated.

        Only hydrations of events of several sizes tell what a byte costs. Raises `InvalidInput` if there are too few
        lengths to tell fixed costs from those of an event.
        """
        import numpy

        columns = _hydrations(frame)
        events, size, seconds = columns["replayed"], columns["bytes"], columns["p50"]
        some = events > 0
        each = (size - columns["snapshot_bytes"])[some] / events[some]
        one_size = bool(numpy.ptp(each) <= ONE_SIZE * each.mean())
        parts, left_out = _fit(PARTS[:2] if one_size else PARTS, events, size, seconds)
        error = sum(parts[name] * column for name, column in _regressors(events, size).items()) / seconds - 1
        model = cls(
            *(parts[name] for name in PARTS),
            event_bytes=float(each[0]),
            snapshot_bytes=float(columns["snapshot_bytes"].max()),
            residual=float(numpy.sqrt((error**2).mean())),
            worst=float(numpy.abs(error).max()),
            notes=(*([NO_BYTES] if one_size else []), *left_out),
        )
        return model._with_builds(frame)

    def _with_builds(self, frame: "pandas.DataFrame") -> "CostModel":
        import numpy

        built = _columns(frame, frame["name"] == "build", ("replayed", "p50"))
        if not len(built["p50"]):
            return self
        return replace(self, build=max(0.0, float(numpy.median(built["p50"] - built["replayed"] * self.each_event))))

    @property
    def each_event(self) -> float:
        """Seconds to replay one event of average size."""
        return self.per_event + self.per_byte * self.event_bytes

    def hydration(self, events: float, bytes: float | None = None) -> float:
        """Seconds to replay so many events of so many bytes in all; without `bytes`, events of average size."""
        size = events * self.event_bytes if bytes is None else bytes
        return self.fixed + self.per_event * events + self.per_byte * size

    def cost(self, interval: int, reads_per_write: float, unsettled: float = 0.0) -> float:
        """Seconds for each write with snapshots at an interval: the builder's share, and the hydrations beside it.

        A hydration finds on average half an interval of events behind the newest snapshot, and the `unsettled` ones,
        which no snapshot may hold yet: the writes of the last 26 hours by default (`fold_after`).
        """
        return self._choice(interval, reads_per_write, unsettled).cost

    def best_interval(self, reads_per_write: float, unsettled: float = 0.0) -> Choice:
        """The interval at which builder and readers together cost least.

        A snapshot costs `build` and the replay of its events once; a longer interval shares `build` among more writes,
        and leaves more events to every reader. The sum is least at sqrt(2 * build / (reads_per_write * each_event)).
        Raises `InvalidInput` if nothing is ever read, or if no snapshots were measured.
        """
        self._check(reads_per_write)
        exact = math.sqrt(2 * self.build / (reads_per_write * self.each_event))
        near = [self._choice(max(1, it), reads_per_write, unsettled) for it in (math.floor(exact), math.ceil(exact))]
        return min(near, key=lambda choice: choice.cost)

    def break_even(self, reads_per_write: float) -> float:
        """The interval at which a snapshot saves its readers, until the next one, just as much as it costs to build.

        There are reads_per_write * interval of them, and each is spared the replay of one interval.
        """
        self._check(reads_per_write)
        build, each, reads = self.build, self.each_event, reads_per_write
        return (each + math.sqrt(each * each + 4 * reads * each * build)) / (2 * reads * each)

    def _choice(self, interval: int, reads_per_write: float, unsettled: float) -> Choice:
        if interval < 1:
            raise InvalidInput(f"Expected an interval of 1 event or more, got {interval}.")
        break_even = self.break_even(reads_per_write)
        events = (interval - 1) / 2 + unsettled
        read = self.hydration(events, events * self.event_bytes + self.snapshot_bytes)
        choice = Choice(interval, reads_per_write, self.build, self.each_event, read, break_even, 0.0)
        pays_from = (choice.cost / reads_per_write - self.fixed) / self.each_event
        return replace(choice, pays_from=pays_from)

    def _check(self, reads_per_write: float) -> None:
        if not 0 < reads_per_write < math.inf:
            raise InvalidInput(
                f"Expected reads for each write above 0, got {reads_per_write}: unread, no snapshot pays."
            )
        if self.build <= 0 or self.each_event <= 0:
            raise InvalidInput(
                f"Expected to know what a snapshot and the replay of an event cost, got {self.build} s and "
                f"{self.each_event} s. Measure at least one interval that is shorter than the stream, beside off."
            )

    def __str__(self) -> str:
        named = {"for each event replayed": self.per_event, "for each byte read": self.per_byte}
        sum_of = " + ".join([seconds(self.fixed), *(f"{seconds(it)} {name}" for name, it in named.items() if it)])
        error = f"The fit is off by {self.residual:.0%} (root mean square), at most by {self.worst:.0%}."
        return "\n".join([f"A hydration takes {sum_of}. {error}", *self.notes])


def seconds(seconds: float) -> str:
    """A time in words, with three digits."""
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * scale >= 1:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def _hydrations(frame: "pandas.DataFrame") -> "dict[str, Array]":
    """The columns of the warm hydrations. Raises `InvalidInput` if they are too few, or of several stores."""
    if missing := [it for it in ("name", "store", "temperature", *COLUMNS) if it not in frame.columns]:
        raise InvalidInput(f"Expected the frame of a report of hydrations, found no column {', '.join(missing)}.")
    rows = frame["name"].isin(HYDRATIONS) & (frame["temperature"] == "warm")
    if len(stores := sorted({*frame["store"][rows]})) > 1:
        raise InvalidInput(f"Expected hydrations on one store, got {', '.join(stores)}; fit one at a time.")
    columns = _columns(frame, rows, COLUMNS)
    if len(lengths := sorted({*columns["replayed"]})) < len(PARTS):
        raise InvalidInput(
            f"Expected hydrations that replay at least {len(PARTS)} different numbers of events, got {len(lengths)}: "
            f"{', '.join(f'{length:,.0f}' for length in lengths) or 'none'}. Measure more lengths."
        )
    return columns


def _columns(frame: "pandas.DataFrame", rows: Any, names: Sequence[str]) -> "dict[str, Array]":
    import numpy

    return {name: numpy.asarray(frame[name][rows], float) for name in names}


def _regressors(events: "Array", size: "Array") -> "dict[str, Array]":
    """What each part is multiplied by."""
    return dict(zip(PARTS, (events * 0 + 1, events, size), strict=True))


def _fit(
    names: Sequence[str], events: "Array", size: "Array", seconds: "Array"
) -> tuple[Mapping[str, float], Sequence[str]]:
    """Fit these parts; one below zero is left out, the most negative first."""
    import numpy

    columns = _regressors(events, size)
    scaled = numpy.column_stack([columns[name] / seconds for name in names])
    lengths = numpy.linalg.norm(scaled, axis=0)  # all columns get length 1, so that none is lost in rounding
    found = numpy.linalg.lstsq(scaled / lengths, numpy.ones_like(seconds), rcond=None)[0]
    worst = int(found.argmin())
    if found[worst] >= 0:
        return {**dict.fromkeys(PARTS, 0.0), **dict(zip(names, map(float, found / lengths), strict=True))}, []
    parts, left_out = _fit([name for name in names if name != names[worst]], events, size, seconds)
    return parts, [f"No cost {names[worst]} is in it: it came out below zero.", *left_out]
