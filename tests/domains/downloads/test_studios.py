"""Studio rules: the version in force at the request's time decides; a file that is wrong is named with line and key."""

from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest

from eslab import InvalidInput
from eslab.domains.downloads.catalogue import load_catalogue
from eslab.domains.downloads.studios import Rules, RuleSet, StudioRules, load_rules

OLD = RuleSet(1, date(2020, 1, 1), StudioRules(), {"Netflix": StudioRules(3)})
NEW = RuleSet(2, date(2024, 7, 1), StudioRules(9), {})
RULES = Rules((OLD, NEW))


def test_netflix_allows_three_downloads_of_a_title_a_year() -> None:
    """The rule of the story; a studio without a rule sets no limit."""
    rules = load_rules().at(datetime(2024, 6, 1, tzinfo=UTC))
    assert rules.for_studio("Netflix").downloads_per_title_per_year == 3
    assert rules.for_studio("Zeitgeist").downloads_per_title_per_year is None


def test_the_figures_are_invented_and_the_studios_real() -> None:
    """The file says that its figures are made up; every studio in it has titles."""
    studios = {title.studio for title in load_catalogue().values()}
    assert load_rules().invented
    assert all(rules.studios.keys() <= studios for rules in load_rules().versions)


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (datetime(2020, 1, 1, tzinfo=UTC), OLD),
        (datetime(2024, 6, 30, 23, 59, 59, tzinfo=UTC), OLD),
        (datetime(2024, 7, 1, tzinfo=UTC), NEW),
        (datetime(2024, 7, 1, 8, tzinfo=timezone(timedelta(hours=9))), OLD),  # in Tokyo it is July already
        (datetime(2030, 1, 1, tzinfo=UTC), NEW),
    ],
)
def test_a_version_is_in_force_from_the_start_of_its_day(time: datetime, expected: RuleSet) -> None:
    """From 00:00 UTC of its day until the next version starts."""
    assert RULES.at(time) is expected


def test_a_time_that_no_rules_cover() -> None:
    """Before the first version nothing is in force, and a time without a zone could mean two moments."""
    with pytest.raises(InvalidInput, match="Expected a time from 2020-01-01 on"):
        RULES.at(datetime(2019, 12, 31, tzinfo=UTC))
    with pytest.raises(InvalidInput, match="Expected a datetime with a time zone"):
        RULES.at(datetime(2024, 1, 1))


VERSION = "[[versions]]\nversion = 1\neffective_from = 2020-01-01\n[versions.default]\n"
LATER = "[versions.studios]\n[[versions]]\nversion = 2\neffective_from = 2019-01-01\n[versions.studios]\n"
NETFLIX = VERSION + "# a comment\n[versions.studios.Netflix]\nlicence_days = 30\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            NETFLIX + "downloads_per_title_per_year = -3\n",
            ", line 8, versions[0].studios.Netflix.downloads_per_title_per_year: Expected `int` >= 0, found -3;",
        ),
        (
            NETFLIX + "downloads_per_year = 3\n",
            ", line 6, versions[0].studios.Netflix: Object contains unknown field `downloads_per_year`; fix it there.",
        ),
        (
            NETFLIX + 'year = "lunar"\n',
            ", line 8, versions[0].studios.Netflix.year: Expected rolling or calendar, found 'lunar'; fix it there.",
        ),
        (
            NETFLIX + 'time_zone = "Europe/Atlantis"\n',
            ", line 8, versions[0].studios.Netflix.time_zone: Expected a time zone such as Europe/Berlin, "
            "found 'Europe/Atlantis'; fix it there.",
        ),
        (
            NETFLIX + 'blocked_countries = [\n    "AQ",\n    "Peru",\n]\n',
            ", line 8, versions[0].studios.Netflix.blocked_countries: Expected `str` matching regex '^[A-Z]{2}$', "
            "found ['AQ', 'Peru']; fix it there.",
        ),
        (
            NETFLIX.replace("30", "0"),
            ", line 7, versions[0].studios.Netflix.licence_days: Expected `int` >= 1, found 0; fix it there.",
        ),
        (
            VERSION.replace("2020-01-01", "'soon'") + "[versions.studios]\n",
            ", line 3, versions[0].effective_from: Invalid RFC3339 encoded date, found 'soon'; fix it there.",
        ),
        (VERSION, ", line 1, versions[0]: Object missing required field `studios`; fix it there."),
        ("versions = []", ", line 1, versions: Expected `array` of length >= 1, found []; fix it there."),
        (
            VERSION + LATER,
            ", line 6, versions[1]: Expected a number above 1 and a start after 2020-01-01, found 2 and 2019-01-01; "
            "put versions in order, each with its own day.",
        ),
        (
            VERSION + LATER.replace("version = 2", "version = 1").replace("2019", "2021"),
            ", line 6, versions[1]: Expected a number above 1 and a start after 2020-01-01, found 1 and 2021-01-01;",
        ),
        (
            VERSION + LATER.replace("2019", "2021") + "[versions.studios.MGM]\nlicence_days = true\n",
            ", line 11, versions[1].studios.MGM.licence_days: Expected `int | null`, found True; fix it there.",
        ),
        ("versions", ": Expected TOML, found an error: "),
    ],
)
def test_a_wrong_rule_is_named(tmp_path: Path, text: str, message: str) -> None:
    """The error has the file, the line, the key, what was expected and what was found."""
    path = tmp_path / "rules.toml"
    path.write_text(text)
    with pytest.raises(InvalidInput) as error:
        load_rules(path)
    assert str(error.value).startswith(f"{path}{message}")


def test_a_newer_file_may_add_what_starts_later() -> None:
    """More than a day ahead: by then every service has it, and no request is that early."""
    assert Rules((OLD,)).grown_to(RULES, datetime(2024, 6, 29, 23, 59, tzinfo=UTC)) is RULES
    with pytest.raises(InvalidInput, match=r"Expected version 2 to start after 2024-07-01 00:00 UTC, a day from now"):
        Rules((OLD,)).grown_to(RULES, datetime(2024, 6, 30, tzinfo=UTC))


@pytest.mark.parametrize("newer", [(NEW,), (OLD,), (OLD, RuleSet(2, date(2024, 7, 1), StudioRules(8), {}))])
def test_a_newer_file_must_leave_what_was_known(newer: tuple[RuleSet, ...]) -> None:
    """A version may have decided grants, so it is neither changed nor taken out, even one that has not started."""
    with pytest.raises(InvalidInput, match=r"Version \d was changed or removed, .* Restore it"):
        RULES.grown_to(Rules(newer), datetime(2020, 1, 1, tzinfo=UTC))


def test_an_event_names_its_version() -> None:
    """That one is used, and no other in its place; without a number it is the version of the event's time."""
    time = datetime(2025, 1, 1, tzinfo=UTC)
    assert RULES.numbered(1, time) is OLD
    assert RULES.numbered(0, time) is NEW
    assert RULES.numbered(3, time) is RULES.numbered(0, datetime(2019, 1, 1, tzinfo=UTC)) is None
