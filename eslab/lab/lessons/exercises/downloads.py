"""The exercises of lesson 02: read what a log will hold, and write a rule."""

from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from datetime import timedelta
from typing import NamedTuple

from hypothesis import strategies as st

from eslab import ManualClock, Request, open_store
from eslab.domains.downloads.catalogue import load_catalogue
from eslab.domains.downloads.commands import RequestDownload
from eslab.domains.downloads.devices import Devices, DownloadHeld, HoldEnded
from eslab.domains.downloads.downloaded import DownloadCounted, Downloaded
from eslab.domains.downloads.plans import Plan
from eslab.domains.downloads.rules import Ask, Check
from eslab.domains.downloads.service import DownloadService
from eslab.domains.downloads.studios import StudioRules
from eslab.errors import EslabError
from eslab.lab.answers import Answer, Outcome, names_chosen
from eslab.lab.exercises import Exercise, Rule, Wrong
from eslab.lab.feedback import Difference
from eslab.lab.rows import rows
from eslab.lab.session import START

NOW = START + timedelta(days=3)
LIMIT = 3


GIL = "gil"
LOG = ["glow granted on phone, tablet and laptop", "glow given back on laptop"]
GLOW_ON = ("phone", "tablet", "laptop")
ASKING = "laptop"  # the device whose download is judged
EARLIER = {device: Request.at(START + timedelta(hours=hour), device) for hour, device in enumerate(GLOW_ON)}


class Wish(NamedTuple):
    """A request that reaches the service behind Gil's log: in words, as a call, and why it writes or doesn't."""

    words: str
    send: Callable[[DownloadService], object]
    why: str


def _download(device: str, title: str, request: Request) -> Callable[[DownloadService], object]:
    return lambda downloads: downloads.request_download(GIL, device, title, request)


def _release(device: str, request: Request) -> Callable[[DownloadService], object]:
    return lambda downloads: downloads.release(GIL, device, "glow", EARLIER[device].id, request)


WISHES = {
    "a": Wish(
        "the phone's first request for glow, sent once more",
        _download("phone", "glow", EARLIER["phone"]),
        "The service finds the rows of this request. They are the answer, and nothing is decided again.",
    ),
    "b": Wish(
        "glow for the tv, under a new id",
        _download("tv", "glow", Request.at(NOW, "b")),
        "Three downloads are used, also the one that was given back. A rejection writes nothing.",
    ),
    "c": Wish(
        "dark for the tv, under a new id",
        _download("tv", "dark", Request.at(NOW, "c")),
        "Another title has its own count, so this is granted, and a grant is recorded.",
    ),
    "d": Wish(
        "dark for the tv, under the id of the phone's first request",
        _download("tv", "dark", EARLIER["phone"]),
        "One id for two commands is a conflict: an error, and no row.",
    ),
    "e": Wish(
        "glow on the phone is given back, under a new id",
        _release("phone", Request.at(NOW, "e")),
        "Giving back is an event too: it frees the place on the device.",
    ),
    "f": Wish(
        "glow on the laptop is given back a second time, under a new id",
        _release("laptop", Request.at(NOW, "f")),
        "It was given back before. The command is fulfilled without an event, so there is nothing to write.",
    ),
    "g": Wish(
        "dark for the tv, under an id made two days ago that arrives only now",
        _download("tv", "dark", Request.at(NOW - timedelta(days=2), "g")),
        "A first decision is made only for a request up to a day old: an error, and no row.",
    ),
}


def rows_of(wish: Wish) -> int:
    """The number of rows that the wish writes behind Gil's log, on a store of its own."""
    with closing(open_store("memory:")) as store:
        clock = ManualClock(START)
        downloads = DownloadService(store, clock)
        for device, request in EARLIER.items():
            clock.now = request.time
            _download(device, "glow", request)(downloads)
        _release("laptop", Request.at(clock.now, "given back"))(downloads)
        before = len(rows(store, GIL))
        clock.now = NOW
        with suppress(EslabError):  # an answer too
            wish.send(downloads)
        return len(rows(store, GIL)) - before


def names_what_writes(answer: Answer, letter: str) -> Difference | None:
    """The answer holds the letters of the wishes that write rows, and no others."""
    wish, written = WISHES[letter], rows_of(WISHES[letter])
    chosen = letter in names_chosen(answer, WISHES)
    if chosen == bool(written):
        return None
    expected = f"{written or 'no'} rows are written"
    got = f"{letter} is {'' if chosen else 'not '}in the answer"
    return Difference(LOG, f"{letter}: {wish.words}", expected, got, wish.why)


which_write = Exercise(
    "which_write",
    "02_downloads",
    "Seven wishes, a to g, reach the service one at a time, each behind the same log. Which of them write rows?",
    answer="writing",
    rules=[Rule("each wish is judged rightly", names_what_writes, examples=list(WISHES))],
    hints=[
        "Only a decision that has events is recorded. Which of the seven are repeats, which are refused, and which ask "
        "for what is true already?",
        "Two wishes write. One is for another title, and the other one gives something back.",
    ],
    wrong=[
        Wrong('writing = {"a", "c", "e"}', "They are the answer, and nothing is decided again."),
        Wrong('writing = {"b", "c", "e"}', "A rejection writes nothing."),
        Wrong('writing = {"e"}', "Another title has its own count"),
        Wrong('writing = {"c", "d", "e"}', "One id for two commands is a conflict"),
        Wrong('writing = {"c"}', "Giving back is an event too"),
        Wrong('writing = {"c", "e", "f"}', "fulfilled without an event"),
        Wrong('writing = {"c", "e", "g"}', "only for a request up to a day old"),
    ],
)


class Held(NamedTuple):
    """A download that was granted this many hours before the request; less than 0 is after it."""

    hours: int
    title: str
    device: str
    given_back: bool = False

    def __str__(self) -> str:
        when = f"{self.hours} h before" if self.hours >= 0 else f"{-self.hours} h after"
        return f"{self.title} on {self.device}, {when}{', given back' if self.given_back else ''}"


def within_a_day(held: Sequence[Held]) -> int:
    """The downloads that count: granted less than 24 hours before the request, or after it."""
    return sum(each.hours < 24 for each in held)


def ask(held: Sequence[Held]) -> Ask:
    """A request for Glow, three days after the start, with these downloads granted."""
    seen, devices = Downloaded(), Devices()
    for number, (hours, title, device, given_back) in enumerate(held):
        at = NOW - timedelta(hours=hours)
        id = Request.at(at, f"{number}: {title} on {device}").id
        devices.apply(DownloadHeld(id, device, title, at, "standard", 1, 1))
        if title == "glow":
            seen.apply(DownloadCounted(id, device, at, 1))
        if given_back:
            devices.apply(HoldEnded(id))
    command, glow = RequestDownload(ASKING, "glow"), load_catalogue()["glow"]
    return Ask(command, NOW, glow, studio=StudioRules(), plan=Plan(), seen=seen, devices=devices)


def counts(answer: Answer, held: Sequence[Held]) -> Difference | None:
    """The rule passes while fewer than three downloads count, and gives limit, count and reason."""
    count = within_a_day(held)
    outcome = answer(ask(held))
    expected = f"{'passed' if count < LIMIT else 'broken'}, {count} of {LIMIT}"
    said = _said(outcome)
    if said == expected:
        return None
    return Difference(list(held), "another download of glow is requested", expected, said, _why(held, outcome, count))


def _said(outcome: Outcome) -> str:
    """A rule's check, in words."""
    check = outcome.value
    if not isinstance(check, Check):
        return f"{outcome}, which is no Check"
    words = f"{'passed' if check.passed else 'broken'}, {check.count} of {check.limit}"
    return words if check.passed or check.reason else f"{words}, without a reason"


def _why(held: Sequence[Held], outcome: Outcome, count: int) -> str:
    check = outcome.value
    if not isinstance(check, Check):
        return "A rule returns a Check: Check(passed, reason, limit=..., count=...)."
    if check.limit != LIMIT or check.count is None:
        return "A Check gives its numbers: limit=3 and count=..., also if it passes."
    if check.count == count:
        return _misjudged(check)
    return _miscounted(held, check.count)


def _misjudged(check: Check) -> str:
    if not check.passed and not check.reason:
        return "A broken rule says why: give the reason in words."
    return "The count is right, the answer isn't: the third download is granted, the fourth is too many."


def _miscounted(held: Sequence[Held], counted: int) -> str:
    """The first of the usual mistakes that gives this count."""
    recent = [each for each in held if each.hours < 24]
    mistakes = {
        "Downloads that were given back count too: use holds, not held.": [e for e in recent if not e.given_back],
        "A download exactly 24 hours ago no longer counts.": [each for each in held if each.hours <= 24],
        "A download after this late wish counts too: requests may arrive out of order.": [
            each for each in recent if each.hours >= 0
        ],
        "Only downloads of the last 24 hours count.": held,
        "Downloads on the asking device count too.": [each for each in recent if each.device != ASKING],
        "Only this title was counted: look at ask.devices, which holds all titles.": [
            each for each in held if each.title == "glow"
        ],
    }
    return next((why for why, mistaken in mistakes.items() if len(mistaken) == counted), "")


TITLES, DEVICES = st.sampled_from(["glow", "bolt", "amadeus"]), st.sampled_from(["phone", "tv", ASKING])
RECENTLY = st.builds(Held, st.integers(1, 23), TITLES, DEVICES)
HELD = RECENTLY | st.builds(Held, st.integers(25, 48), TITLES, DEVICES)
BACK = st.builds(Held, st.integers(1, 23), st.just("glow"), st.just("phone"), st.just(True))
TWO = [Held(1, "glow", "phone"), Held(2, "bolt", "phone")]

DEFINITION = "def downloads_per_day(ask):\n"
RECENT = "hold.time > ask.time - timedelta(days=1)"
CHECK = '    return Check(count < 3, "too many downloads", limit=3, count=count)'

three_a_day = Exercise(
    "three_a_day",
    "02_downloads",
    "Write a rule: no more than three downloads in 24 hours, of any title, on any device.",
    answer="downloads_per_day",
    rules=[
        Rule("downloads of any title and device count", counts, cases=st.lists(RECENTLY, max_size=4)),
        Rule("only those of the last 24 hours count", counts, cases=st.lists(HELD, max_size=5)),
        Rule("downloads that were given back count", counts, cases=st.lists(BACK, max_size=4)),
        Rule("a download exactly 24 hours ago no longer counts", counts, examples=[[*TWO, Held(24, "glow", "tv")]]),
        Rule("a download after a late request counts", counts, examples=[[*TWO, Held(-1, "glow", "tv")]]),
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
            "the fourth is too many",
        ),
        Wrong(
            f"{DEFINITION}    count = sum({RECENT} for hold in ask.devices.holds.values())\n    return count < 3",
            "A rule returns a Check",
        ),
    ],
)
