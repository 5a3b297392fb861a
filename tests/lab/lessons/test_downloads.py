"""Lesson 02: the command desk, the parts and what they ask, a counter, a year of one customer, rules that change."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from eslab import Rejected, RequestConflict, open_store
from eslab.domains.downloads.commands import RequestDownload
from eslab.domains.downloads.license import License
from eslab.domains.downloads.rules import broken
from eslab.domains.downloads.service import DownloadService
from eslab.domains.downloads.studios import load_rules
from eslab.errors import InvalidInput
from eslab.lab.lessons.downloads import Unfolded, attempt, attempts, html_table
from eslab.lab.lessons.downloads_desk import AGAIN, DOWNLOAD, PLAY, RELEASE, RENEW, CommandDesk
from eslab.lab.lessons.downloads_parts import (
    Counter,
    asked_of_the_store,
    commits_by_type,
    invented,
    side_by_side,
    signer_that_fails_once,
    with_its_log,
)
from eslab.lab.lessons.downloads_rules import around_midnight, licences, with_version
from eslab.lab.lessons.downloads_year import SHOWN, Year, a_year_with_everything, timeline
from eslab.lab.rows import rows
from eslab.lab.session import Lab, open_lab


@pytest.fixture
def lab() -> Iterator[Lab]:
    """A lab for one test."""
    lab = open_lab("memory:", 7)
    yield lab
    lab.store.close()


@pytest.fixture
def downloads(lab: Lab) -> DownloadService:
    """The service of the lesson, after Ann has used up her three downloads of Glow."""
    downloads = DownloadService(lab.store, lab.clock)
    for device in ("phone", "tablet", "laptop"):
        downloads.request_download("ann", device, "glow", lab.request())
    return downloads


@pytest.fixture
def desk(downloads: DownloadService, lab: Lab) -> CommandDesk:
    """A desk that has requested a fourth download."""
    return CommandDesk(downloads, lab, "ann", "tv", "glow")


def test_the_desk_tells_its_story_without_a_click(desk: CommandDesk) -> None:
    """It shows every rule with its numbers and a mark in words, the answer, and that nothing was written."""
    told: Any = desk.told.value
    assert told.count("✓ passes") == 8 and told.count("✗ forbids it") == 1
    assert "Netflix allows 3 downloads of Glow a year, and 3 are used" in told
    assert "Rows of ann: 9 before, 9 after: nothing was written." in told
    assert 'role="status"' in told


def test_g7_a_rejection_at_the_desk_writes_nothing(desk: CommandDesk) -> None:
    """The count of rows is that of the store, before and after."""
    (tried,) = desk.journal
    assert isinstance(tried.answer, Rejected)
    assert (tried.before, tried.after, tried.events) == (9, 9, [])
    assert len(rows(desk.lab.store, "ann")) == 9


def test_the_desk_shows_the_events_that_a_wish_wrote(desk: CommandDesk) -> None:
    """Events are shown as stored, aggregate by aggregate."""
    desk.buttons[RELEASE].click()
    tried = desk.journal[-1]
    assert [event["event"] for event in tried.events] == ["HoldEnded:1", "LicenseReleased:1"]
    assert [event["aggregate"] for event in tried.events] == ["devices:all", "license:laptop/glow"]
    assert "9 before, 11 after: 2 were written" in desk.told.value  # type: ignore[operator]


def test_g3_the_desk_sends_the_same_request_again(desk: CommandDesk) -> None:
    """A granted request gets the same answer a month later; nothing is written, and no rule is asked."""
    desk.customer.value = "eve"
    desk.buttons[DOWNLOAD].click()
    desk.later.value = "a month"
    desk.buttons[AGAIN].click()
    granted, again = desk.journal[-2:]
    assert granted.request == again.request and granted.after == again.before == again.after == 3
    assert again.verdict.startswith("✓ granted before")
    assert "passes" not in again._repr_html_()


def test_an_error_is_said_in_the_desk(desk: CommandDesk) -> None:
    """A rejection left no record, so a month later the request is too old to be decided."""
    desk.later.value = "a month"
    desk.buttons[AGAIN].click()
    assert desk.journal[-1].verdict == "✗ an error: OutOfTime"
    assert "Expected a first request at most 1 day" in desk.told.value  # type: ignore[operator]


def test_a_store_that_fails_is_said_in_the_desk(desk: CommandDesk) -> None:
    """The error is shown when a picker moves and when a button is pressed."""
    desk.lab.store.close()
    desk.customer.value = "eve"
    assert "✗ StoreClosed" in desk.told.value  # type: ignore[operator]
    desk.told.value = ""
    desk.buttons[DOWNLOAD].click()
    assert "✗ StoreClosed" in desk.told.value  # type: ignore[operator]


def test_a_picker_that_moves_sends_nothing(desk: CommandDesk) -> None:
    """The desk shows the rules' checks, and the store is unchanged."""
    desk.title.value, desk.country.value = "amadeus", "AQ"
    assert "Not sent yet." in desk.told.value  # type: ignore[operator]
    assert "Warner Bros. allows no downloads in AQ" in desk.told.value  # type: ignore[operator]
    assert len(desk.journal) == 1 and len(rows(desk.lab.store, "ann")) == 9


def test_without_a_licence_there_is_nothing_to_play(desk: CommandDesk) -> None:
    """The buttons are disabled; with licences, they act on the chosen one, and the choice stays."""
    desk.customer.value = "eve"
    assert [desk.buttons[name].disabled for name in (PLAY, RENEW, RELEASE)] == [True] * 3
    desk.customer.value = "ann"
    desk.licence.index = 2  # the oldest
    for name in (PLAY, RENEW):
        desk.buttons[name].click()
    assert [tried.command.device for tried in desk.journal[1:]] == ["phone", "phone"]
    assert [tried.verdict for tried in desk.journal[1:]] == ["✓ granted", "✓ granted"]


def test_an_attempt_shows_a_conflict_as_its_answer(downloads: DownloadService, lab: Lab) -> None:
    """One id for two commands: the error is the answer, and the rows stay."""
    request = lab.request()
    attempt(downloads, "bob", RequestDownload("phone", "glow"), request)
    tried = attempt(downloads, "bob", RequestDownload("tv", "glow"), request)
    assert isinstance(tried.answer, RequestConflict)
    assert (tried.before, tried.after) == (3, 3)


def test_an_answer_is_unfolded_with_every_attempt_and_the_last_in_full(downloads: DownloadService, lab: Lab) -> None:
    """The question is the line to unfold; each attempt is a request of its own, a minute later."""
    tried = attempts(downloads, lab, "bob", RequestDownload("phone", "glow"), RequestDownload("moon", "nothing"))
    html = Unfolded("What is <granted>?", tried)._repr_html_()
    assert html.startswith("<details><summary>What is &lt;granted&gt;?</summary>")
    assert "download glow on phone, plan standard, in US" in html and "0 → 3" in html
    assert html.count("there is no such title in the catalogue") == 1
    assert tried[1].request.time - tried[0].request.time == timedelta(minutes=1)


@pytest.mark.parametrize("url", ["memory:", "sqlite:"])
def test_the_parts_ask_the_store_for_what_they_may(url: str) -> None:
    """A grant reads and writes, a rejection only reads (G7)."""
    lab = open_lab(url, 7)
    downloads = DownloadService(lab.store, lab.clock)
    acts = {
        "nobody": lambda _: None,
        "grant": lambda counted: counted.request_download("ann", "phone", "glow", lab.request()),
        "rejection": lambda counted: counted.request_download("ann", "phone", "nothing", lab.request()),
    }
    asked = asked_of_the_store(downloads, acts).set_index("who")
    assert list(asked["reads"]) == [0, 1, 1]
    assert asked["writes"]["grant"] > asked["writes"]["rejection"] == asked["writes"]["nobody"] == 0
    lab.store.close()


def test_an_invented_wish_meets_the_studios_limit(downloads: DownloadService) -> None:
    """The fourth within a year is one too many, by the rules of the service."""
    assert broken(invented(downloads.policies, "glow", 2, 1)) is None
    forbids = broken(invented(downloads.policies, "glow", 3, 2, 1))
    assert forbids and (forbids[0].name, forbids[1].count) == ("downloads per title per year", 3)


def test_the_signer_fails_once_and_signs_the_repeat(lab: Lab) -> None:
    """The licence is recorded without a token; a repeat of the request signs the same one."""
    downloads = DownloadService(lab.store, lab.clock, drm=signer_that_fails_once(lab))
    request = lab.request()
    send = lambda: downloads.request_download("ann", "phone", "glow", request)  # noqa: E731
    (first, log), (second, nothing) = with_its_log(send), with_its_log(send)
    assert log == [f"No token for licence {request.id}: the DRM server could not be reached"] and nothing == []
    assert not isinstance(first, Rejected) and not isinstance(second, Rejected)
    assert first.token is None and second.token and first.license_id == second.license_id == request.id
    assert (second.repeated, second.used) == (True, 1)


def test_a_counter_counts_attempts_and_the_log_counts_wishes(downloads: DownloadService, lab: Lab) -> None:
    """Both do their work each time; only the counter takes a repeat for another wish."""
    beside = side_by_side(Counter(limit=3), downloads, lab, "ivy", "glow", ("phone", 3), ("tablet", 1))
    assert list(beside["number in its table"]) == [1, 2, 3, 3]
    assert list(beside["downloads in its log"]) == [1, 1, 1, 2]
    assert list(beside["the counter says"]) == ["granted", "granted", "granted", "rejected"]
    assert list(beside["the service says"]) == ["granted", "granted before", "granted before", "granted"]
    assert list(beside["its answer"]) == ["is lost", "is lost", "arrives", "arrives"]


def test_aggregates_are_counted_by_type(downloads: DownloadService, lab: Lab) -> None:
    """Three downloads: one list of devices, one count, three licences."""
    by_type = commits_by_type(lab.store, "ann").set_index("type")
    assert list(by_type.index) == ["devices", "downloaded", "license"]
    assert list(by_type["aggregates"]) == [1, 1, 3]
    assert list(by_type["commits"]) == [3, 3, 3]
    assert list(by_type["longest"]) == [3, 3, 1]


def test_tables_escape_what_they_show() -> None:
    """Every value is text; without lines there is no table."""
    assert "<td style" in html_table([{"who": "<b>"}]) and "&lt;b&gt;" in html_table([{"who": "<b>"}])
    assert html_table([]) == ""


@pytest.fixture(scope="module")
def year() -> Year:
    """The year shown in the lesson."""
    return a_year_with_everything(open_store("memory:"), 7)


def test_the_year_has_everything_that_the_lesson_mentions(year: Year) -> None:
    """It has a mark of each kind, a retry and a refused download, in few enough lanes to read."""
    assert all(year.count(what) for what in (*SHOWN, "a retry"))
    assert {"devices with downloads", "downloads per title per year"} & {wish.rule for wish in year.wishes}
    assert len({wish.lane for wish in year.wishes}) <= 12
    assert all(bool(wish.rule) == (wish.what == "rejected") for wish in year.wishes)


def test_each_period_of_the_year_was_granted_or_renewed(year: Year) -> None:
    """There is a bar for each grant and each renewal, and none ends before it begins."""
    assert len(year.periods) == year.count("granted") + year.count("renewed")
    assert all(period.ends >= period.begins for period in year.periods)


def test_the_same_seed_is_the_same_year(year: Year) -> None:
    """The store makes no difference (G10)."""
    again = a_year_with_everything(open_store("sqlite:"), 7)
    assert again == year


def test_the_timeline_is_described_in_words_and_numbers(year: Year) -> None:
    """Shapes and colours distinguish the marks; the table holds every command with a mark."""
    figure = timeline(year)
    assert str(year) in figure.alt and len(figure.table) == len(year.wishes) - year.count("a retry")
    (marks,) = [layer for layer in figure.spec["layer"] if layer["mark"]["type"] == "point"]
    assert marks["encoding"]["shape"]["scale"] == marks["encoding"]["color"]["scale"]


def test_the_rules_of_a_request_are_those_of_its_making(downloads: DownloadService, lab: Lab) -> None:
    """A late request that was made before midnight is decided by the old version, a new one by the new."""
    start = (lab.clock() + timedelta(days=2)).date()
    newer = with_version(downloads.rules, "Netflix", start, downloads_per_title_per_year=2, licence_days=7)
    downloads.adopt(rules=newer)
    downloads.request_download("fay", "phone", "glow", lab.request())
    answers = around_midnight(downloads, lab, "fay", "glow", ("tablet", "laptop", "tv"))
    assert list(answers["answer"]) == ["granted", "granted", "rejected"]
    assert list(answers["used"]) == ["2 of 3", "3 of 3", "3 of 2"]
    assert list(answers["rules"]) == [1, 1, 2]


def test_licences_say_which_rules_gave_them(downloads: DownloadService, lab: Lab) -> None:
    """A licence keeps the version that decided, and its expiry."""
    start = (lab.clock() + timedelta(days=2)).date()
    downloads.adopt(rules=with_version(downloads.rules, "Netflix", start, licence_days=7))
    lab.clock.advance(timedelta(days=2))
    downloads.request_download("ann", "tv", "dark", lab.request())
    table = licences(downloads, "ann")
    assert list(table["licence"]) == ["phone/glow", "tablet/glow", "laptop/glow", "tv/dark"]
    assert list(table["rules"]) == [1, 1, 1, 2]
    assert [expires[:10] for expires in table["expires"]] == ["2026-02-04"] * 3 + ["2026-01-14"]


def test_a_version_changes_one_studio_and_nothing_else() -> None:
    """It is a copy: earlier versions and other studios stay the same."""
    rules = load_rules()
    newer = with_version(rules, "Netflix", rules.versions[-1].effective_from + timedelta(days=9000), licence_days=7)
    *old, added = newer.versions
    assert tuple(old) == rules.versions
    assert added.for_studio("Warner Bros.") == rules.versions[-1].for_studio("Warner Bros.")
    assert added.for_studio("Netflix").licence_days == 7


def test_what_was_in_force_cannot_vanish(downloads: DownloadService, lab: Lab) -> None:
    """A version in force may not be removed, nor a new one start at once; granted licences stay the same."""
    before = downloads.repository.load_all("ann", License)
    with pytest.raises(InvalidInput, match="to start after"):
        downloads.adopt(rules=with_version(downloads.rules, "Netflix", lab.clock().date(), licence_days=1))
    newer = with_version(downloads.rules, "Netflix", (lab.clock() + timedelta(days=2)).date(), licence_days=1)
    downloads.adopt(rules=newer)
    with pytest.raises(InvalidInput, match="changed or removed"):
        downloads.adopt(rules=load_rules())
    assert downloads.repository.load_all("ann", License) == before
