"""The exercises of lesson 02: read what a log will hold, and write a rule (in downloads_rule.py)."""

from collections.abc import Callable
from contextlib import closing, suppress
from datetime import timedelta
from typing import NamedTuple

from eslab import ManualClock, Request, open_store
from eslab.display import quantity
from eslab.domains.downloads.service import DownloadService
from eslab.errors import EslabError
from eslab.lab.answers import Answer
from eslab.lab.choices import names_chosen
from eslab.lab.exercises import Exercise, Rule, Wrong
from eslab.lab.feedback import Difference
from eslab.lab.lessons.exercises.downloads_rule import three_a_day
from eslab.lab.rows import rows
from eslab.lab.session import START

__all__ = ["three_a_day", "which_write"]

NOW = START + timedelta(days=3)
GIL = "gil"
LOG = ["glow granted on phone, tablet and laptop", "glow given back on laptop"]
GLOW_ON = ("phone", "tablet", "laptop")
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
    expected = "no row is written" if not written else f"{quantity(written, 'row')} written"
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
