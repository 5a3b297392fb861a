"""A lifelike workload: customers with devices, evenings, favourite titles and trips, and answers that get lost.

Everything follows from a seed. A customer's life follows from seed and name alone, so it depends neither on the number
of customers nor on the order in which they are played. EVERY FIGURE HERE IS INVENTED: none describes real customers.
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
EVENINGS = (0.01, 0.03, 0.1)  # the chance that an evening has a download, for a rare, a usual and a keen customer
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


class Step(NamedTuple):
    """A command as it reaches the service: at its request's time, late, or repeated."""

    at: datetime
    customer: str
    command: DownloadCommand
    request: Request


class Taste:
    """The popularity of titles, by Zipf's law: the second is half as popular as the first, and so on."""

    def __init__(self, seed: int, catalogue: Catalogue | None = None) -> None:
        self._titles = list(catalogue or load_catalogue())
        _random(seed, "taste").shuffle(self._titles)
        self._weights = list(accumulate(1 / rank for rank in range(1, len(self._titles) + 1)))

    def pick(self, random: Random) -> str:
        """A title for one evening."""
        (title,) = random.choices(self._titles, cum_weights=self._weights)
        return title


def customers(count: int) -> Iterator[str]:
    """The ids of this many customers, in order."""
    return (f"customer-{number:06d}" for number in range(count))


def life_of(customer: str, days: int, seed: int, taste: Taste) -> list[Step]:
    """Everything that one customer's devices send in a number of days, in order of arrival."""
    random = _random(seed, customer)
    life = _Life(customer, random, taste)
    for day in range(days):
        life.evening(BEGAN + day * DAY)
    return sorted(life.steps, key=lambda step: (step.at, step.request.id))


class _Life:
    """The life of one customer, while it is made up."""

    def __init__(self, customer: str, random: Random, taste: Taste) -> None:
        self.customer = customer
        self.random = random
        self.taste = taste
        # Every draw below moves the generator on, so their order is part of what a seed means.
        self.plan = _weighted(random, PLANS)
        self.home = _weighted(random, COUNTRIES)
        self.devices: Sequence[str] = random.sample(DEVICES, random.randint(1, len(DEVICES)))
        self.chance = random.choice(EVENINGS)
        self.abroad = self.home
        self.abroad_until = BEGAN
        self.steps: list[Step] = []

    def evening(self, day: datetime) -> None:
        """Make up one evening: perhaps a trip begins, perhaps a title is downloaded and then used."""
        if self.random.random() < 0.005:
            self.abroad = _weighted(self.random, COUNTRIES)
            self.abroad_until = day + 10 * DAY
        if self.random.random() >= self.chance:
            return
        country = self.abroad if day < self.abroad_until else self.home
        device = self.random.choice(self.devices)
        title = self.taste.pick(self.random)
        wanted = self._send(self._moment(day), RequestDownload(device, title, self.plan, country))
        self._afterwards(wanted.time, device, title, wanted.id)

    def _afterwards(self, time: datetime, device: str, title: str, license_id: UUID) -> None:
        """The title is played or not, renewed or not, and then deleted, forgotten or taken back."""
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
        """Send a command; a few arrive hours late, and a few are repeated because their answer got lost."""
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
