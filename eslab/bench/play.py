"""`eslab play`: send a workload through the download service, by several workers, and hash the state that it leaves.

One worker handles the commands of a customer, in order, on a clock that shows the time at which each command arrives.
Customers share no aggregate, so the final state is the same for any number of workers, on any store.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter

from eslab import Aggregate, EventStore, ManualClock, OutcomeUnknown, OutOfTime, Rejected, Repository, StoreUnavailable
from eslab.bench.measure import p99
from eslab.display import quantity
from eslab.domains.downloads.commands import (
    Expire,
    Release,
    Renew,
    RequestDownload,
    Revoke,
    StartPlayback,
)
from eslab.domains.downloads.devices import Devices
from eslab.domains.downloads.downloaded import Downloaded
from eslab.domains.downloads.license import License
from eslab.domains.downloads.outcome import Granted
from eslab.domains.downloads.service import DownloadService
from eslab.domains.downloads.workload import BEGAN, Step, Taste, customers, life_of
from eslab.operations.parallel import in_order
from eslab.payload.encoding import encode

AGGREGATES: tuple[type[Aggregate], ...] = (Devices, Downloaded, License)
TRIES = 5  # of one command whose outcome is unknown

OnProgress = Callable[[int], object]


@dataclass
class Played:
    """The outcome of a workload, or of one customer's part of it."""

    answers: Counter[str] = field(default_factory=Counter)  # "granted", "repeated", and each rule that rejected
    seconds: list[float] = field(default_factory=list)  # of each command

    def add(self, other: "Played") -> None:
        """Add the outcome of another part."""
        self.answers += other.answers
        self.seconds += other.seconds

    def __str__(self) -> str:
        rejected = {name: n for name, n in self.answers.most_common() if name not in ("granted", "repeated")}
        lines = [
            f"{quantity(len(self.seconds), 'command')}: {self.answers['granted']:,} granted, "
            f"{sum(rejected.values()):,} rejected, {quantity(self.answers['repeated'], 'retry', 'retries')} absorbed",
            *(f"  rejected by {name}: {n:,}" for name, n in rejected.items()),
        ]
        if self.seconds:
            lines.append(f"latency p50 {median(self.seconds) * 1e3:.2f} ms, p99 {p99(self.seconds) * 1e3:.2f} ms")
        return "\n".join(lines)

    __repr__ = __str__


def play(
    store: EventStore,
    count: int,
    days: int,
    seed: int,
    workers: int = 1,
    on_progress: OnProgress = lambda commands: None,
) -> Played:
    """Play the first `days` days of `count` customers.

    Calls `on_progress` after each customer, with the number of the customer's commands.
    """
    taste = Taste(seed)
    whole = Played()

    def play_customer(customer: str) -> Played:
        return live(store, life_of(customer, days, seed, taste))

    DownloadService(store, ManualClock(BEGAN))  # on a new store it keeps the settings, before threads contend for it
    with closing(in_order(customers(count), play_customer, workers)) as parts:
        for _, part in parts:
            whole.add(part)
            on_progress(len(part.seconds))
    return whole


def state_hash(store: EventStore, count: int, on_progress: OnProgress = lambda customers: None) -> str:
    """A hash of the states of all aggregates of the first `count` customers, as hydration gives them.

    Calls `on_progress` after each customer, with 1.
    """
    whole = hashlib.blake2b(digest_size=16)
    for customer in customers(count):
        for name, aggregates in states(store, customer):
            whole.update(encode([customer, name, aggregates]))
        on_progress(1)
    return whole.hexdigest()


def states(store: EventStore, customer: str) -> list[tuple[str, list[tuple[str, Aggregate]]]]:
    """The states of all aggregates of a customer, by type and key."""
    repository = Repository(store, ManualClock(BEGAN))
    return [(kind.__name__, sorted(repository.load_all(customer, kind).items())) for kind in AGGREGATES]


def live(store: EventStore, steps: Iterable[Step], after_each: Callable[[], object] = lambda: None) -> Played:
    """Send a customer's commands in the order in which they arrive; call `after_each` after each of them."""
    clock = ManualClock(BEGAN)
    service = DownloadService(store, clock)
    played = Played()
    for step in steps:
        clock.now = step.at
        began = perf_counter()
        played.answers[_outcome(service, step)] += 1
        played.seconds.append(perf_counter() - began)
        after_each()
    return played


def send(service: DownloadService, step: Step) -> Granted | Rejected:
    """Send one command to the service, by the method that handles it."""
    customer, command, request = step.customer, step.command, step.request
    match command:
        case RequestDownload(device, title, plan, country):
            return service.request_download(customer, device, title, request, plan=plan, country=country)
        case StartPlayback(device, title, license_id):
            return service.start_playback(customer, device, title, license_id, request)
        case Renew(device, title, license_id, plan, country):
            return service.renew(customer, device, title, license_id, request, plan=plan, country=country)
        case Release(device, title, license_id):
            return service.release(customer, device, title, license_id, request)
        case Revoke(device, title, license_id, reason):
            return service.revoke(customer, device, title, license_id, request, reason)
        case Expire(device, title, license_id):
            return service.expire(customer, device, title, license_id, request)


def _outcome(service: DownloadService, step: Step) -> str:
    """The name under which the answer is counted."""
    try:
        answer = _answer(service, step)
    except OutOfTime:  # a late retry of a command that was rejected, so nothing recorded it
        return "too late"
    if isinstance(answer, Rejected):
        return answer.rule
    return "repeated" if answer.repeated else "granted"


def _answer(service: DownloadService, step: Step) -> Granted | Rejected:
    """The answer; while it is unknown the same request is sent again, as any client may."""
    for _ in range(TRIES - 1):
        try:
            return send(service, step)
        except (OutcomeUnknown, StoreUnavailable):
            continue
    return send(service, step)
