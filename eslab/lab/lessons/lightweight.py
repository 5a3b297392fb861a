"""Lesson 08: a small model of Cassandra's lightweight transactions, over the links of the simulated regions.

The simulated Cassandra doesn't speak conditional writes, so this is a model of ours and not the store's code. It is
Paxos as Cassandra runs it, for one customer: a ballot is promised by a majority, the rows are read, the new rows are
accepted by a majority, and then they are committed as any other append. Each of the first three steps is a round trip.
Whoever prepares later first completes what a majority, or a part of it, has accepted and nobody has committed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NamedTuple, cast

from eslab import EventStore, Rejected, Request
from eslab.domains.downloads.service import DownloadService
from eslab.errors import EslabError, OutcomeUnknown, StoreUnavailable
from eslab.faults.simulation.cluster import SERVER_TIMEOUT
from eslab.faults.simulation.replica import Replica
from eslab.faults.simulation.world import Answer as Later
from eslab.lab.lessons.at_level import AtLevel
from eslab.lab.lessons.regions import ANN, GLOW, LEVELS, Answer
from eslab.lab.lessons.simulated_regions import SimulatedRegions
from eslab.store import Commit, Consistency, ReadRow

SERIAL, LOCAL_SERIAL = "SERIAL", "LOCAL_SERIAL"
ATTEMPTS = 12  # until one who is overtaken again and again gives up
PAUSE = 0.05  # seconds before the second attempt; twice as long before each further one
Ballot = tuple[int, str]  # a number, and the region that drew it


class Proposal(NamedTuple):
    """Rows that are to be written, and the ballot that they are written under."""

    ballot: Ballot
    commits: tuple[Commit, ...]


@dataclass
class Acceptor:
    """What one replica remembers of the conditional writes to a customer's rows."""

    promised: Ballot = (0, "")
    accepted: Proposal | None = None  # until it is known to be committed

    def promise(self, ballot: Ballot) -> tuple[bool, Proposal | None]:
        """Promise to accept nothing older; refused if something newer was promised."""
        if ballot <= self.promised:
            return False, None
        self.promised = ballot
        return True, self.accepted

    def accept(self, proposal: Proposal) -> tuple[bool, None]:
        """Accept rows, unless something newer was promised."""
        if proposal.ballot < self.promised:
            return False, None
        self.promised, self.accepted = proposal.ballot, proposal
        return True, None

    def forget(self, ballot: Ballot) -> None:
        """The rows of this ballot are committed."""
        if self.accepted and self.accepted.ballot <= ballot:
            self.accepted = None


class Overtaken(Exception):
    """Raised if another ballot was promised meanwhile: begin again."""


@dataclass
class Capture(AtLevel):
    """A store whose append writes nothing and keeps the commits, so that an unchanged service can decide for us."""

    store: EventStore
    level: Consistency
    commits: list[Commit] = field(default_factory=list)

    def append(
        self,
        customer_id: str,
        commits: Sequence[Commit],
        consistency: Consistency = Consistency.LOCAL,
        read_rows: Sequence[ReadRow] = (),
    ) -> None:
        """Keep the commits."""
        self.commits += commits


class Lightweight:
    """Conditional writes in the simulated regions: at SERIAL among all of them, at LOCAL_SERIAL within one."""

    def __init__(self, regions: SimulatedRegions) -> None:
        self.regions = regions
        self._acceptors = {
            (replica.name, level): Acceptor()
            for replica in regions.cluster.replicas
            for level in (SERIAL, LOCAL_SERIAL)
        }
        self._numbers = count(1)

    def sell(self, region: str, device: str, request: Request | None = None, level: str = SERIAL) -> Answer:
        """Ask a region for Glow; the service decides, and what it decides is written only if nobody wrote meanwhile."""
        asked = request or self.regions.request()

        def decide(service: DownloadService) -> Any:
            return service.request_download(ANN, device, GLOW, asked, plan="premium")

        try:
            return self.decide(region, decide, level)
        except EslabError as error:
            return error

    def decide(self, region: str, decide: Callable[[DownloadService], Any], level: str = SERIAL) -> Any:
        """Let a service decide on what a majority knows, and write its rows if no other decision came between."""
        for attempt in range(ATTEMPTS):
            try:
                ballot = self._prepare(region, level)
                captured = Capture(self.regions.store(region), self._reads_at(level))
                answer = decide(DownloadService(cast("EventStore", captured), self.regions.clock, read_tables=()))
                if captured.commits and not isinstance(answer, Rejected):
                    self._propose(region, Proposal(ballot, tuple(captured.commits)), level)
                return answer
            except Overtaken:
                self._sleep(PAUSE * 2**attempt)
            except StoreUnavailable as error:  # for the client it is one statement, whose answer is missing
                raise OutcomeUnknown(str(error)) from error
        raise OutcomeUnknown(
            f"Expected a majority at {level} to accept the rows from {region}, found other ballots {ATTEMPTS} times. "
            "Send the same request again."
        )

    def used(self, region: str, level: str = SERIAL) -> int | None:
        """How many downloads are counted, after whatever is half written was completed; None without an answer."""
        try:
            self._prepare(region, level)
        except (EslabError, Overtaken):
            return None
        name = next(name for name, it in LEVELS.items() if it is self._reads_at(level))
        return self.regions.used(region, name)

    def _prepare(self, region: str, level: str) -> Ballot:
        """Get a ballot promised, and complete what another one left half written."""
        ballot = (next(self._numbers), region)
        found = self._round(region, level, lambda acceptor: acceptor.promise(ballot), StoreUnavailable)
        unfinished = max((proposal for _, proposal in found if proposal), default=None, key=lambda it: it.ballot)
        if unfinished:
            self._propose(region, Proposal(ballot, unfinished.commits), level)
            return self._prepare(region, level)
        return ballot

    def _propose(self, region: str, proposal: Proposal, level: str) -> None:
        self._round(region, level, lambda acceptor: acceptor.accept(proposal), OutcomeUnknown)
        self.regions.store(region).append(ANN, list(proposal.commits))
        for replica in self._replicas(region, level):
            acceptor = self._acceptors[replica.name, level]
            self._tell(region, replica, lambda acceptor=acceptor: acceptor.forget(proposal.ballot))

    def _round(
        self, region: str, level: str, ask: Callable[[Acceptor], tuple[bool, Any]], error: type[EslabError]
    ) -> list[tuple[bool, Any]]:
        """Ask every replica that takes part, and wait for a majority."""
        replicas = self._replicas(region, level)
        needed = len(replicas) // 2 + 1
        answers: list[tuple[bool, Any]] = []
        enough: Later[None] = Later(self.regions.world)

        def receive(_: Replica, answer: tuple[bool, Any]) -> None:
            answers.append(answer)
            if sum(agrees for agrees, _ in answers) >= needed or not answer[0]:
                enough.give(None)

        for replica in replicas:
            look = lambda at: ask(self._acceptors[at.name, level])  # noqa: E731
            self.regions.cluster.ask(region, replica, look, receive)
        late = error(
            f"Expected answers of {needed} replicas at {level} within {SERVER_TIMEOUT:g} s, found fewer from {region}. "
            "Send the same request again."
        )
        self.regions.world.after(SERVER_TIMEOUT, lambda: None if enough.done else enough.fail(late))
        enough.wait()
        if not all(agrees for agrees, _ in answers):
            raise Overtaken
        return answers

    def _replicas(self, region: str, level: str) -> list[Replica]:
        """The replicas that take part."""
        replicas = self.regions.cluster.replicas
        return replicas if level == SERIAL else [replica for replica in replicas if replica.region == region]

    def _reads_at(self, level: str) -> Consistency:
        return Consistency.QUORUM if level == SERIAL else Consistency.LOCAL

    def _tell(self, region: str, replica: Replica, do: Callable[[], None]) -> None:
        self.regions.cluster.ask(region, replica, lambda _: do(), lambda *_: None)

    def _sleep(self, seconds: float) -> None:
        world = self.regions.world
        if world.who() == "end":
            self.regions.wait(seconds)
        else:
            world.sleep(seconds)
