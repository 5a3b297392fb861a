"""An exercise of lesson 02: a rule for downloads, which is judged by what it counts and by what it leaves alone."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from hypothesis import strategies as st

from eslab import Request
from eslab.display import duration, fields, quantity
from eslab.domains.downloads.catalogue import load_catalogue
from eslab.domains.downloads.commands import RequestDownload
from eslab.domains.downloads.devices import Devices, DownloadHeld, HoldEnded
from eslab.domains.downloads.downloaded import DownloadCounted, Downloaded
from eslab.domains.downloads.plans import Plan
from eslab.domains.downloads.rules import Ask, Check
from eslab.domains.downloads.studios import StudioRules
from eslab.lab.answers import Answer, Outcome
from eslab.lab.exercises import Exercise, Rule, Wrong
from eslab.lab.feedback import Difference
from eslab.lab.session import START

NOW = START.replace(hour=0, minute=30) + timedelta(days=3)  # half an hour after midnight: most of a day is yesterday
DAY = timedelta(days=1)
LIMIT = 3
ASKING = "laptop"  # the device whose download is judged
GLOW = load_catalogue()["glow"]


def _moment(time: datetime) -> str:
    return f"{time:%b} {time.day} at {time:%H:%M}"


class Held(NamedTuple):
    """A download that was granted so long before the request; an age below zero is after it."""

    age: timedelta
    title: str
    device: str
    given_back: bool = False

    @property
    def counts(self) -> bool:
        """Was it granted less than 24 hours before the request, or after it?"""
        return self.age < DAY

    def __str__(self) -> str:
        when = f"{duration(abs(self.age))} {'before' if self.age >= timedelta() else 'after'}"
        back = ", given back" if self.given_back else ""
        return f"{self.title} on the {self.device}, {when}, on {_moment(NOW - self.age)}{back}"


def ask(held: Sequence[Held], now: datetime = NOW) -> Ask:
    """A request for Glow at this moment, with these downloads granted."""
    seen, devices = Downloaded(), Devices()
    for number, (age, title, device, given_back) in enumerate(held):
        at = now - age
        id = Request.at(at, f"{number}: {title} on {device}").id
        devices.apply(DownloadHeld(id, device, title, at, "standard", 1, 1))
        if title == "glow":
            seen.apply(DownloadCounted(id, device, at, 1))
        if given_back:
            devices.apply(HoldEnded(id))
    return Ask(
        RequestDownload(ASKING, "glow"), now, GLOW, studio=StudioRules(), plan=Plan(), seen=seen, devices=devices
    )


def counts(answer: Answer, held: Sequence[Held]) -> Difference | None:
    """The rule passes while fewer than three downloads count, and gives limit, count and reason."""
    count = sum(each.counts for each in held)
    outcome = answer(ask(held))
    check = outcome.value
    has_numbers = isinstance(check, Check) and (check.limit, check.count) == (LIMIT, count)
    if has_numbers and check.passed == (count < LIMIT) and (check.passed or check.reason):
        return None
    expected = f"{'passed' if count < LIMIT else 'broken'}, {count} of {LIMIT}"
    when = f"another download of glow is requested on the {ASKING}, on {_moment(NOW)}"
    return Difference(list(held), when, expected, _said(outcome), _why(answer, held, outcome))


def leaves_the_state_alone(answer: Answer, held: Sequence[Held]) -> Difference | None:
    """A rule looks at the state that it is given, and changes nothing in it."""
    before, asked = ask(held), ask(held)
    answer(asked)
    for name in ("devices", "seen", "licence"):
        was, now = fields(getattr(before, name)), fields(getattr(asked, name))
        if changed := [part for part in was if was[part] != now[part]]:
            place = f"`ask.{name}.{changed[0]}`"
            why = f"The rule changed {place}, and the next rule would decide on that. A rule only looks."
            words = [f"{quantity(len(parts[changed[0]]), 'entry', 'entries')} in {place}" for parts in (was, now)]
            return Difference(list(held), "the rule is called", f"{words[0]} afterwards", words[1], why)
    return None


def _said(outcome: Outcome) -> str:
    """A rule's check, in words."""
    check = outcome.value
    if not isinstance(check, Check):
        return f"{outcome}, which is no Check" if outcome.error is None else str(outcome)
    words = f"{'passed' if check.passed else 'broken'}, {check.count} of {check.limit}"
    return words if check.passed or check.reason else f"{words}, without a reason"


def _why(answer: Answer, held: Sequence[Held], outcome: Outcome) -> str:
    check, count = outcome.value, sum(each.counts for each in held)
    if outcome.is_rejected:
        return "A rule doesn't reject: it returns a Check that is not passed, and `allow` raises."
    if not isinstance(check, Check):
        return outcome.advice or "A rule returns a Check: Check(passed, reason, limit=..., count=...)."
    if check.limit != LIMIT or check.count is None:
        return "A Check gives its numbers: limit=3 and count=..., also if it passes."
    if check.count != count:
        return _miscounted(answer, held, check.count)
    if check.passed not in (True, False):
        return f"A Check is passed, True or False: Python reads {check.passed!r} as {bool(check.passed)}."
    if check.passed == (count < LIMIT):
        return "A broken rule says why: give the reason in words."
    allowed = f"{count} of {LIMIT} are used, so another one is" if count else "None is used yet, so the first one is"
    return f"The count is right, the answer isn't. {allowed} {'granted' if count < LIMIT else 'too many'}."


def _miscounted(answer: Answer, held: Sequence[Held], counted: int) -> str:
    """The first of the usual mistakes that gives the same counts, in this case and in all probes; or what is due."""
    if counted != _counted(answer, held):
        return "The same downloads, asked about once more, give another count: a rule remembers nothing."
    if counted != _counted(answer, held, NOW.replace(year=NOW.year + 100)):
        return "A hundred years later the same downloads are counted differently: the time of a rule is `ask.time`."
    counts = [counted, *(_counted(answer, probe) for probe in PROBES)]
    usual = [why for why, mistake in MISTAKES.items() if counts == [mistake(probe) for probe in (held, *PROBES)]]
    due = sum(each.counts for each in held)
    words = f"Granted less than 24 hours before the request, or after it: {due} of these. The rule counted {counted}."
    return usual[0] if usual else words


def _counted(answer: Answer, held: Sequence[Held], now: datetime = NOW) -> int | None:
    check = answer(ask(held, now)).value
    return check.count if isinstance(check, Check) else None


def _of(is_counted: Callable[[Held], bool]) -> Callable[[Sequence[Held]], int]:
    return lambda held: sum(map(is_counted, held))


def _is_today(each: Held) -> bool:
    return (NOW - each.age).date() == NOW.date()


MISTAKES: Mapping[str, Callable[[Sequence[Held]], int]] = {
    "Downloads that were given back count too: use holds, not held.": _of(lambda it: it.counts and not it.given_back),
    "A download exactly 24 hours ago no longer counts.": _of(lambda it: it.age <= DAY),
    "A download after this late wish counts too: requests may arrive out of order.": _of(
        lambda it: it.counts and it.age >= timedelta()
    ),
    "Only downloads of the last 24 hours count.": len,
    "24 hours are no calendar day: count back from the request, not from midnight.": _of(_is_today),
    "Count from the request's minute: an hour or a day that is rounded lets too much in, or too little.": _of(
        lambda it: round(it.age / timedelta(hours=1)) < 24
    ),
    "Downloads on the asking device count too.": _of(lambda it: it.counts and it.device != ASKING),
    "Downloads on other devices count too.": _of(lambda it: it.counts and it.device == ASKING),
    "Only this title was counted: look at ask.devices, which holds all titles.": _of(lambda it: it.title == "glow"),
    "Other titles count too, not only the one that is asked for.": _of(lambda it: it.counts and it.title == "glow"),
    "Each download counts, also if its title was downloaded before.": lambda held: len(
        {it.title for it in held if it.counts}
    ),
    "Each download counts, also if its device has another one.": lambda held: len(
        {it.device for it in held if it.counts}
    ),
    "The download that is asked for isn't one of the three yet: count those that were granted.": lambda held: (
        sum(it.counts for it in held) + 1
    ),
}
HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
PROBES = [  # what tells the mistakes apart
    [],
    [Held(HOUR, "glow", "phone"), Held(2 * HOUR, "glow", "phone"), Held(3 * HOUR, "bolt", "phone")],
    [
        Held(MINUTE, "bolt", "tv"),
        Held(23 * HOUR + 40 * MINUTE, "bolt", ASKING),
        Held(20 * HOUR, "glow", "tv", True),
        Held(HOUR, "glow", "tv", True),
    ],
    [Held(24 * HOUR, "glow", "phone"), Held(24 * HOUR + 20 * MINUTE, "glow", "tv"), Held(30 * HOUR, "glow", ASKING)],
    [Held(-HOUR, "bolt", "phone"), Held(-HOUR, "glow", ASKING)],
]

TITLES, DEVICES = st.sampled_from(["glow", "bolt", "amadeus"]), st.sampled_from(["phone", "tv", ASKING])


def _minutes(fewest: int, most: int) -> st.SearchStrategy[timedelta]:
    return st.integers(fewest, most).map(lambda minutes: minutes * MINUTE)


RECENTLY = st.builds(Held, _minutes(1, 24 * 60 - 1), TITLES, DEVICES)
HELD = RECENTLY | st.builds(Held, _minutes(24 * 60 + 1, 48 * 60), TITLES, DEVICES)
BACK = st.builds(Held, _minutes(1, 24 * 60 - 1), st.just("glow"), st.just("phone"), st.just(True))
ANY = HELD | BACK
TWO = [Held(HOUR, "glow", "phone"), Held(2 * HOUR, "bolt", "phone")]
EDGE = [[*TWO, Held(DAY + beyond, "glow", "tv")] for beyond in (timedelta(), -SECOND, SECOND)]

DEFINITION = "def downloads_per_day(ask):\n"
RECENT = "hold.time > ask.time - timedelta(days=1)"
CHECK = '    return Check(count < 3, "too many downloads", limit=3, count=count)'

three_a_day = Exercise(
    "three_a_day",
    "02_downloads",
    "Write a rule: no more than three downloads in 24 hours, of any title, on any device. A download counts if it was "
    "granted less than 24 hours before the request, or after it. The rule changes nothing.",
    answer="downloads_per_day",
    rules=[
        Rule("downloads of any title and device count", counts, cases=st.lists(RECENTLY, max_size=4)),
        Rule("only those of the last 24 hours count", counts, cases=st.lists(HELD, max_size=5)),
        Rule("downloads that were given back count", counts, cases=st.lists(BACK, max_size=4)),
        Rule("a download exactly 24 hours ago no longer counts, one a second later does", counts, examples=EDGE),
        Rule("a download after a late request counts", counts, examples=[[*TWO, Held(-HOUR, "glow", "tv")]]),
        Rule("the rule changes nothing", leaves_the_state_alone, cases=st.lists(ANY, min_size=1, max_size=4)),
    ],
    hints=[
        "`ask.devices.holds.values()` holds a `DownloadHeld` for each download that was granted, of every title. Which "
        "of them are younger than a day?",
        f"`count = sum({RECENT} for hold in ask.devices.holds.values())`, and the rule is kept while `count < 3`.",
    ],
    wrong=[
        Wrong(
            f"{DEFINITION}    count = len(ask.seen.downloads)\n{CHECK}",
            "Only this title was counted",
        ),
        Wrong(
            f"{DEFINITION}    count = len(ask.devices.holds)\n{CHECK}",
            "Only downloads of the last 24 hours count.",
        ),
        Wrong(
            f"{DEFINITION}    count = sum({RECENT} for hold in ask.devices.held)\n{CHECK}",
            "Downloads that were given back count too",
        ),
        Wrong(
            f"{DEFINITION}    count = sum({RECENT.replace('>', '>=')} for hold in ask.devices.holds.values())\n{CHECK}",
            "exactly 24 hours ago no longer counts.",
        ),
        Wrong(
            f"{DEFINITION}    count = sum(ask.time > {RECENT} for hold in ask.devices.holds.values())\n{CHECK}",
            "A download after this late wish counts too",
        ),
        Wrong(
            f"{DEFINITION}    count = sum({RECENT} for hold in ask.devices.holds.values())\n{CHECK.replace('<', '<=')}",
            "so another one is too many",
        ),
        Wrong(
            f"{DEFINITION}    count = sum({RECENT} for hold in ask.devices.holds.values())\n    return count < 3",
            "A rule returns a Check",
        ),
        Wrong(
            f"{DEFINITION}    times = [hold.time for hold in ask.devices.holds.values()]\n"
            f"    count = sum(time.date() == ask.time.date() for time in times)\n{CHECK}",
            "24 hours are no calendar day",
        ),
        Wrong(
            f"{DEFINITION}    for name, hold in list(ask.devices.holds.items()):\n"
            "        if hold.time <= ask.time - timedelta(days=1):\n"
            f"            del ask.devices.holds[name]\n    count = len(ask.devices.holds)\n{CHECK}",
            "A rule only looks.",
        ),
    ],
)
