"""Helpers of the downloads' tests: a small catalogue, a service, and requests and times by day."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from eslab import Event, EventStore, ManualClock, Request
from eslab.domains.downloads.catalogue import Title
from eslab.domains.downloads.drm import DrmServer
from eslab.domains.downloads.plans import Plan, PlanSet
from eslab.domains.downloads.policies import Policies
from eslab.domains.downloads.service import DownloadService
from eslab.domains.downloads.studios import RuleSet, StudioRules
from eslab.domains.downloads.versions import Versions
from eslab.store import Commit
from tests.support.sample import START

GLOW = Title("glow", "Glow", "series", "Netflix", 2017)
DARK = Title("dark", "Dark", "series", "Netflix", 2017, frozenset({"DE"}))
MAX = Title("mad-max", "Mad Max", "film", "MGM", 1980)
CATALOGUE = {title.title_id: title for title in (GLOW, DARK, MAX)}


def rules(studio: StudioRules | None = None, version: int = 1, start: date = date(2020, 1, 1)) -> RuleSet:
    """One version of the rules: the studio's for Netflix, none for others."""
    return RuleSet(version, start, StudioRules(), {"Netflix": studio or StudioRules()})


def plans(plan: Plan | None = None, version: int = 1, start: date = date(2020, 1, 1)) -> PlanSet:
    """One version of the plans: one named standard."""
    return PlanSet(version, start, {"standard": plan or Plan(), "small": Plan(devices=1)})


def service(
    store: EventStore,
    clock: ManualClock,
    studio: StudioRules | None = None,
    plan: Plan | None = None,
    *,
    drm: DrmServer | None = None,
    **policies: Any,
) -> DownloadService:
    """A service with three titles, one studio with rules, and one plan."""
    versions = {"rules": Versions((rules(studio),)), "plans": Versions((plans(plan),))}
    return DownloadService(store, clock, Policies(catalogue=CATALOGUE, **{**versions, **policies}), drm=drm)


class Edge:
    """The edge that makes requests, by default a minute apart."""

    def __init__(self, clock: ManualClock, seed: int = 7) -> None:
        self.clock, self.random = clock, Random(seed)

    def request(self, later: timedelta = timedelta(minutes=1)) -> Request:
        self.clock.advance(later)
        return Request.new(self.clock, self.random)


def at(days: float, key: str = "a request") -> Request:
    """The request made this many days after the start."""
    return Request.at(START + timedelta(days=days), key)


def id_at(days: float, key: str = "a request") -> UUID:
    """The id of that request, which names its licence."""
    return at(days, key).id


def time_at(days: float) -> datetime:
    """The moment this many days after the start."""
    return START + timedelta(days=days)


def stored(store: EventStore, customer: str = "ann") -> list[Commit]:
    """Every commit of a customer."""
    return [commit for id in store.heads_of_type(customer, "") for commit in store.rows(customer, id)]


def folded(aggregate_type: type, events: Sequence[Event]) -> Any:
    """The state that events add up to."""
    state = aggregate_type()
    for event in events:
        state.apply(event)
    return state
