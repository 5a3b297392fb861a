"""What `eslab bench lock` measures is checked: a request that is missing, or there twice, is not a result."""

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from eslab import EslabError, OutcomeUnknown, Request, StoreUnavailable
from eslab.bench.compare import Comparison, Figures
from eslab.bench.lock import parted, writers
from eslab.bench.lock.measure import LONG_AWAY, measure_on
from eslab.bench.lock.parted import Told
from eslab.bench.lock.strict import Settled
from eslab.bench.lock.unanswered import SENT, measure_impatient
from eslab.bench.lock.ways import LEVELS, STRICT_LEVELS, new_request
from eslab.bench.lock.writers import Plan, measure_writers
from eslab.bench.measure import Report, Row
from eslab.bench.steps import unseen
from eslab.bench.table import ratios, show
from eslab.cluster.cluster import Cluster

NAMES = [*(f"append {level}" for level in LEVELS), *(f"strict {level}" for level in STRICT_LEVELS)]


@dataclass
class InMemory:
    """A way to write that keeps lists of requests; `copies` is how often each of them is kept."""

    name: str = "append LOCAL_QUORUM"
    copies: int = 1
    answers: bool = True
    sent: int = 0
    streams: dict[str, list[UUID]] = field(default_factory=dict)

    def prepare(self, customer: str, request: Request, version: int) -> Any:
        return lambda: self.send(customer, request)

    def wish(self, customer: str, request: Request, again: bool = False) -> Settled:
        if request.id in self.held(customer):
            return Settled(repeated=True)
        self._keep(customer, request)
        return Settled(conflicts=2)

    def send(self, customer: str, request: Request, timeout: float | None = None) -> None:
        """Every other write without an answer has happened."""
        self.sent += 1
        if self.answers or self.sent % 2:
            self._keep(customer, request)
        if not self.answers:
            raise OutcomeUnknown("no answer")

    def held(self, customer: str) -> list[UUID]:
        return self.streams.get(customer, [])

    def _keep(self, customer: str, request: Request) -> None:
        self.streams.setdefault(customer, []).extend([request.id] * self.copies)


def test_each_way_is_measured_alone_and_among_others() -> None:
    """Several writers share the writes; conflicts are added up where they can happen."""
    rows = measure_writers([InMemory(name) for name in NAMES], Plan(writes=10, writers=4), unseen)
    parts = ["one writer", "own streams", "one stream"]
    assert [(row.extra["part"], row.measure) for row in rows] == [(part, name) for part in parts for name in NAMES]
    assert [row.runs for row in rows] == [10] * 5 + [12] * 10
    assert [row.extra["conflicts"] for row in rows] == [0] * 10 + [24] * 5


def test_a_write_without_an_answer_is_settled_within_its_time() -> None:
    """And counted: each of them was unknown, and some had happened."""
    way = InMemory(answers=False)
    for row in measure_writers([way], Plan(writes=4, writers=2), unseen)[:2]:
        assert row.extra["unknown"] == row.runs == 4
        assert 0 < row.extra["surfaced"] <= 4
    assert all(len(held) == len({*held}) for held in way.streams.values())


@pytest.mark.parametrize(("copies", "got"), [(0, "got 0 events of 0 requests"), (2, "got 4 events of 2 requests")])
def test_a_request_that_is_missing_or_there_twice_ends_the_benchmark(copies: int, got: str) -> None:
    """A fast wrong answer is not a result."""
    with pytest.raises(EslabError, match=f"Expected 2 events .*{got}: this is not a result"):
        measure_writers([InMemory(copies=copies)], Plan(writes=1, writers=2), unseen)


def test_the_ratios_compare_appends_with_locks() -> None:
    """By medians for one writer, by rates for several."""
    rows = measure_writers([InMemory(name) for name in NAMES], Plan(writes=4, writers=2), unseen)
    for part in (rows[:5], rows[5:10], rows[10:]):
        assert [sentence.split(" is ")[0] for sentence in ratios(part)] == [NAMES[0]] * 2 + [NAMES[1]]
    lock = next(row for row in rows[5:] if row.measure == "strict SERIAL")
    assert ratios(rows[5:10])[1].startswith(f"append LOCAL_QUORUM is {rows[5].per_second / lock.per_second:,.1f} ") or (
        rows[5].per_second < lock.per_second
    )


def test_a_wish_that_is_not_answered_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the same request, until it is answered; each time counts as unknown."""
    monkeypatch.setattr(writers, "LOOK_AGAIN", 0)

    class Silent(InMemory):
        def wish(self, customer: str, request: Request, again: bool = False) -> Settled:
            self.sent += 1
            if self.sent == 1:
                self._keep(customer, request)
            if self.sent < 3:
                raise StoreUnavailable("no answer")
            assert again
            return super().wish(customer, request, again)

    way = Silent()
    assert writers.settle(way, "ann", new_request()) == Settled(repeated=True, surfaced=True, unknown=2)
    assert len(way.held("ann")) == 1


def _a_run(answers: bool) -> list[Row]:
    """Rows of each kind."""
    told = Told([0.1], [], [] if answers else ["StoreUnavailable: Unavailable"]).row("asia", "strict SERIAL")
    impatient = measure_impatient(InMemory("strict SERIAL", answers=answers), unseen)
    return [*measure_writers([InMemory()], Plan(writes=4, writers=2), unseen), impatient, told]


def test_two_runs_can_be_compared(tmp_path: Path) -> None:
    """Row by row: what was counted and which error came is no setting."""
    before, after = _a_run(answers=True), _a_run(answers=False)
    files = [tmp_path / "a", tmp_path / "b"]
    for file, rows in zip(files, (before, after), strict=True):
        file.write_text(Report(rows, "", {}).as_json())
    comparison = Comparison(*map(Figures.read, files))
    assert len(comparison.both) == len(before) == 5
    assert [*comparison.counts(comparison.both[3])] == [f"answered {SENT} to 0", f"happened 0 to {SENT // 2}"]


def test_writes_without_an_answer_are_settled_and_told_apart() -> None:
    """Half of them had happened; each request is there once in the end."""
    way = InMemory("strict SERIAL", answers=False)
    row = measure_impatient(way, unseen)
    assert (row.extra["tries"], row.extra["answered"], row.extra["happened"]) == (SENT, 0, SENT // 2)
    assert all(len(held) == 1 for held in way.streams.values())


def test_an_answered_write_needs_nothing() -> None:
    """And is not settled again."""
    row = measure_impatient(InMemory("strict SERIAL"), unseen)
    assert (row.extra["answered"], row.extra["happened"], row.max_s) == (SENT, 0, 0)


def healed(name: str, held: list[UUID], *acknowledged: UUID) -> Any:
    """What is told of one way when all regions show the same again."""
    return parted._healed(name, 1.0, acknowledged, held).extra


def test_what_was_acknowledged_and_is_gone_is_lost() -> None:
    """What was never acknowledged and is there all the same is not."""
    one, other, unknown = (new_request().id for _ in range(3))
    counts = healed("strict LOCAL_SERIAL", [one, unknown], one, other)
    assert (counts["acknowledged"], counts["held"], counts["lost"]) == (2, 2, 1)
    assert healed("append QUORUM", [one, other, unknown], one, other)["lost"] == 0


def test_an_idempotent_append_that_is_lost_ends_the_benchmark() -> None:
    """It was promised."""
    with pytest.raises(EslabError, match="Expected all 1 acknowledged event of append QUORUM after healing, lost 1"):
        healed("append QUORUM", [], new_request().id)


@pytest.mark.parametrize(
    ("down", "is_parted"),
    [
        ({}, False),
        ({"us/1": ["asia/1"], "eu/1": ["asia/1"]}, False),
        ({"asia/1": ["us/1", "eu/1"]}, False),
        ({"us/1": ["asia/1"], "eu/1": ["asia/1"], "asia/1": ["us/1"]}, False),
        ({"us/1": ["asia/1"], "eu/1": ["asia/1"], "asia/1": ["eu/1", "us/1"]}, True),
    ],
)
def test_regions_are_parted_when_each_side_takes_the_other_for_dead(down: Any, is_parted: bool) -> None:
    """All nodes of both: until then a request may wait for a node and end in a time-out."""
    nodes = [SimpleNamespace(name=f"{region}/1", region=region) for region in ("us", "eu", "asia")]
    cluster: Any = SimpleNamespace(down=lambda: down, plan=SimpleNamespace(nodes=nodes))
    assert parted._is_parted(cluster, "asia") == is_parted


@pytest.mark.full
@pytest.mark.cassandra
@pytest.mark.timeout(900)
def test_G2_a_region_that_is_cut_off_writes_without_locks_and_loses_nothing(regions: Cluster) -> None:
    """It refuses what needs the others; whoever locks by himself has his acknowledged events overwritten."""
    report = measure_on(regions, Plan(writes=2, writers=2))
    assert not [link for link in regions.status().links if link.cut or link.delay]
    show(report)
    answered = {row.measure: row.extra["answered"] for row in report.rows if "a region" in row.extra["part"]}
    assert [answered[f"us: {name}"] for name in NAMES] == [3, 3, 0, 3, 3]
    assert [answered[f"asia: {name}"] for name in NAMES] == [3, 0, 0, 3, 0]
    lost = {row.measure: row.extra["lost"] for row in report.rows if "lost" in row.extra}
    assert [lost[f"healed: {name}"] for name in NAMES] == [0, 0, 0, 3, 0]
    _check_settled(report)


def _check_settled(report: Report) -> None:
    """Writes of both ways were on their way, and some of them had happened."""
    settled = [row for row in report.rows if row.measure.startswith("settled: ")]
    assert [row.measure for row in settled] == [f"settled: {name}" for name in (LONG_AWAY[-1], *LONG_AWAY)]
    assert all(row.extra["tries"] == SENT for row in settled)
    assert settled[0].extra["answered"] < SENT
