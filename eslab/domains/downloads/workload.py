"""A workload that looks like life: customers, their devices and evenings, favourite titles, trips, lost answers.

All follows from a seed, and each customer from seed and name alone, so that neither their number nor the order in which
they are played changes anything. EVERY FIGURE HERE IS INVENTED: none says anything about real customers.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from random import Random
from typing import NamedTuple
from uuid import UUID

from eslab import Request
from eslab.domains.downloads.catalogue import Catalogue, load_catalogue
from eslab.domains.downloads.commands import (
    DownloadCommand,
    Expire,
    Release,
    Renew,
    RequestDownload,
    Revoke,
    StartPlayback,
)

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
PLANS = {"basic": 30, "standard": 55, "premium": 15}  # weights
COUNTRIES = {"US": 40, "GB": 15, "DE": 15, "JP": 15, "BR": 15}
DEVICES = ("phone", "tablet", "laptop", "tv")
EVENINGS = (0.01, 0.03, 0.1)  # chances that an evening has a download: somebody who seldom does, often, always
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class Step(NamedTuple):
    """A wish as it reaches the service: at its request's time, or late, or once more."""

    at: datetime
    customer: str
    command: DownloadCommand
    request: Request


class Taste:
    """Which titles are wanted how much: by Zipf's law, the second half as much as the first, and so on."""

    def __init__(self, seed: int, catalogue: Catalogue | None = None) -> None:
        self._titles = list(catalogue or load_catalogue())
        _random(seed, "taste").shuffle(self._titles)
        self._weights = list(accumulate(1 / rank for rank in range(1, len(self._titles) + 1)))

    def pick(self, random: Random) -> str:
        """A title for one evening."""
        (title,) = random.choices(self._titles, cum_weights=self._weights)
        return title


def customers(count: int) -> Iterator[str]:
    """Their ids, in order."""
    return (f"customer-{number:06d}" for number in range(count))


def life_of(customer: str, days: int, seed: int, taste: Taste) -> list[Step]:
    """All that one customer's devices send in so many days, in the order in which it arrives."""
    random = _random(seed, customer)
    life = _Life(customer, random, taste)
    for day in range(days):
        life.evening(BEGAN + day * DAY)
    return sorted(life.steps, key=lambda step: (step.at, step.request.id))


class _Life:
    """One customer while they are made up."""

    def __init__(self, customer: str, random: Random, taste: Taste) -> None:
        self.customer, self.random, self.taste = customer, random, taste
        self.plan, self.home = _weighted(random, PLANS), _weighted(random, COUNTRIES)
        self.devices: Sequence[str] = random.sample(DEVICES, random.randint(1, len(DEVICES)))
        self.chance = random.choice(EVENINGS)
        self.abroad_until, self.abroad = BEGAN, self.home
        self.steps: list[Step] = []

    def evening(self, day: datetime) -> None:
        """Perhaps a trip begins, perhaps something is downloaded, and what becomes of it is known by the end."""
        if self.random.random() < 0.005:
            self.abroad, self.abroad_until = _weighted(self.random, COUNTRIES), day + 10 * DAY
        if self.random.random() >= self.chance:
            return
        country = self.abroad if day < self.abroad_until else self.home
        device, title = self.random.choice(self.devices), self.taste.pick(self.random)
        wanted = self._send(self._moment(day), RequestDownload(device, title, self.plan, country))
        self._afterwards(wanted.time, device, title, wanted.id)

    def _afterwards(self, time: datetime, device: str, title: str, license_id: UUID) -> None:
        """It is watched or not, kept longer or not, and then deleted, forgotten or taken back."""
        if self.random.random() < 0.8:
            self._send(self._later(time, 20), StartPlayback(device, title, license_id))
        if self.random.random() < 0.15:
            self._send(self._later(time, 28), Renew(device, title, license_id, self.plan, self.home))
        end = self.random.random()
        if end < 0.55:
            self._send(self._later(time, 40), Release(device, title, license_id))
        elif end < 0.95:
            self._send(self._later(time + 60 * DAY, 3), Expire(device, title, license_id))
        elif end < 0.96:
            self._send(self._later(time, 40), Revoke(device, title, license_id))

    def _send(self, time: datetime, command: DownloadCommand) -> Request:
        """Send it; a few arrive hours late, and of a few the answer is lost, so that they are sent once more."""
        request = Request.new(lambda: time, self.random)
        arrives = request.time + (self.random.random() * 20 * HOUR if self.random.random() < 0.03 else timedelta())
        repeats = self.random.randint(1, 3) if self.random.random() < 0.08 else 0
        delays = sorted(self.random.random() ** 4 * 48 for _ in range(repeats))
        for at in (arrives, *(arrives + delay * HOUR for delay in delays)):
            self.steps.append(Step(at, self.customer, command, request))
        return request

    def _moment(self, day: datetime) -> datetime:
        return day + 18 * HOUR + self.random.random() * 5 * HOUR

    def _later(self, time: datetime, days: int) -> datetime:
        return time + HOUR + self.random.random() * days * DAY


def _random(seed: int, name: str) -> Random:
    return Random(f"{seed}/{name}")  # noqa: S311 - repeatable on purpose


def _weighted(random: Random, weights: dict[str, int]) -> str:
    (chosen,) = random.choices(list(weights), list(weights.values()))
    return chosen
