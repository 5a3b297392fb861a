"""The DRM server: what a token says, who may read its keys, and what a service does when it fails."""

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import jwt
import pytest

from eslab import InvalidInput, ManualClock, Request, TimeBounds, open_store
from eslab.domains.downloads.drm import LEEWAY, Claims, DrmUnavailable, LocalSigner, TokenRefused
from eslab.domains.downloads.keys import key_id, lab_key, load_keys, make_key_file
from eslab.domains.downloads.outcome import Granted
from eslab.domains.downloads.service import DownloadService
from eslab.domains.downloads.studios import StudioRules
from eslab.faults import Delay, FaultyDrm, LoseReply, LoseRequest, Refuse, Script
from eslab.faults.kinds import Fault
from tests.domains.downloads.support import Edge, service, stored
from tests.support.sample import DAY, HOUR, MINUTE, START

SIGNER = LocalSigner([lab_key(7)])
CLAIMS = Claims("ann", "phone", "glow", UUID(int=7), START, START + DAY)
SECOND = timedelta(seconds=1)
TERMS = StudioRules(licence_days=10, hours_after_first_play=48)


def test_a_token_says_who_may_play_what_where_and_when() -> None:
    """And verifying it gives back what was signed."""
    assert SIGNER.verify(SIGNER.sign(CLAIMS), START) == CLAIMS
    assert SIGNER.verify(SIGNER.sign(CLAIMS), START + DAY - SECOND) == CLAIMS


@pytest.mark.parametrize("leeway", [timedelta(), SECOND, LEEWAY, 5 * MINUTE])
def test_a_clock_that_is_a_little_off_is_no_reason_to_refuse(leeway: timedelta) -> None:
    """The leeway is a setting, in both directions, to the microsecond."""
    signer, tiny = LocalSigner([lab_key(7)], leeway), timedelta(microseconds=1)
    token = signer.sign(CLAIMS)
    for now in (START - leeway, START + DAY + leeway - tiny):
        assert signer.verify(token, now) == CLAIMS
    for now in (START - leeway - tiny, START + DAY + leeway):
        with pytest.raises(TokenRefused):
            signer.verify(token, now)


def test_a_moment_without_a_zone_is_refused_and_a_token_may_end_in_the_last_year() -> None:
    """It could mean two moments; and no sum of times overflows."""
    claims = Claims("ann", "phone", "glow", UUID(int=7), START, datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))
    token = SIGNER.sign(claims)
    assert SIGNER.verify(token, START) == claims
    with pytest.raises(InvalidInput, match="time zone"):
        SIGNER.verify(token, datetime(2026, 1, 5, 9))


def test_by_default_a_device_may_be_a_minute_behind_or_ahead() -> None:
    """As far as a request may be ahead of the service, since its token begins at its time."""
    assert LocalSigner([lab_key(7)]).leeway == LEEWAY == TimeBounds().early == MINUTE
    with pytest.raises(InvalidInput, match="Expected a leeway of 0 or more, got -1 day"):
        LocalSigner([lab_key(7)], -SECOND)


@pytest.mark.parametrize(
    ("now", "found", "advice"),
    [
        (
            START - HOUR,
            "one that begins at 2026-01-05T09:00:00+00:00, 1:00:00 later by the server's time",
            "Set the device's clock to the server's time and check the same token again; "
            "a new token begins no earlier.",
        ),
        (
            START + 2 * DAY,
            "one that expired at 2026-01-06T09:00:00+00:00, 1 day, 0:00:00 earlier by the server's time",
            "If the device's clock agrees with the server's, send the request again for a new token; otherwise set the "
            "clock to the server's time and check the same token again.",
        ),
    ],
)
def test_a_refused_device_is_told_both_clocks_and_what_helps(now: datetime, found: str, advice: str) -> None:
    """Sending the request again helps against an end, not against a clock that is behind."""
    with pytest.raises(TokenRefused) as refused:
        SIGNER.verify(SIGNER.sign(CLAIMS), now)
    assert str(refused.value) == (
        f"Expected a token valid at the device's time {now.isoformat()}, give or take 0:01:00, got {found}, "
        f"for licence {CLAIMS.license_id}. {advice}"
    )


@pytest.mark.parametrize(("issued", "valid"), [(START, True), (START + HOUR, False)])
def test_a_token_that_says_when_it_was_issued_begins_then(issued: datetime, valid: bool) -> None:
    """Ours don't; another server with the same key may."""
    key, now = lab_key(7), START + HOUR - LEEWAY - SECOND
    payload = jwt.decode(SIGNER.sign(CLAIMS), options={"verify_signature": False})
    token = jwt.encode({**payload, "iat": int(issued.timestamp())}, key, "EdDSA", headers={"kid": key_id(key)})
    if valid:
        assert SIGNER.verify(token, now) == CLAIMS
    else:
        with pytest.raises(TokenRefused, match="begins at 2026-01-05T10:00:00"):
            SIGNER.verify(token, now)


def test_a_token_of_any_length_is_refused_at_once() -> None:
    """A megabyte from a stranger is not even parsed; the longest ids that a store keeps fit."""
    with pytest.raises(TokenRefused, match="1,000,000 characters, and 32,768 is the limit"):
        SIGNER.verify("a" * 1_000_000, START)
    long = Claims("ü" * 512, "ü" * 512, "ü" * 512, UUID(int=7), START, START + DAY)
    assert SIGNER.verify(SIGNER.sign(long), START) == long


def test_the_token_is_an_ed25519_jwt_with_a_key_id() -> None:
    """Any device's library reads it."""
    header, payload, _ = SIGNER.sign(CLAIMS).split(".")
    read = lambda part: json.loads(base64.urlsafe_b64decode(part + "=="))  # noqa: E731
    assert read(header) == {"alg": "EdDSA", "kid": key_id(lab_key(7)), "typ": "JWT"}
    assert read(payload) == {
        "sub": "ann", "device": "phone", "title": "glow", "license_id": str(UUID(int=7)),
        "nbf": int(START.timestamp()), "exp": int((START + DAY).timestamp()),
    }  # fmt: skip


@pytest.mark.parametrize("now", [START - LEEWAY - SECOND, START + DAY + LEEWAY, START + 10 * DAY])
def test_G10_a_token_is_judged_at_a_moment_that_is_given(now) -> None:
    """Not by the machine's clock: not before its begin, nor from its end on, give or take the leeway."""
    with pytest.raises(TokenRefused, match="Expected a token valid at") as refused:
        SIGNER.verify(SIGNER.sign(CLAIMS), now)
    assert (refused.value.claims, refused.value.key_id) == (CLAIMS, key_id(lab_key(7)))


def test_a_token_never_outlasts_what_was_signed() -> None:
    """Its times are whole seconds; what is left of a second is cut."""
    claims = Claims("ann", "phone", "glow", UUID(int=7), START, START + DAY + 0.999 * SECOND)
    assert SIGNER.verify(SIGNER.sign(claims), START).expires == START + DAY


def test_a_forged_token_is_refused() -> None:
    """Signed by another key, changed, cut, unsigned, or no token at all."""
    token = SIGNER.sign(CLAIMS)
    header, payload, signature = token.split(".")
    other = LocalSigner([lab_key(8)]).sign(CLAIMS)
    none = base64.urlsafe_b64encode(b'{"alg":"none","kid":"' + key_id(lab_key(7)).encode() + b'"}').decode().rstrip("=")
    changed = base64.urlsafe_b64encode(base64.urlsafe_b64decode(payload + "==").replace(b"ann", b"bob")).decode()
    forged = [
        other,
        f"{header}.{changed.rstrip('=')}.{signature}",
        f"{header}.{payload}.{other.split('.')[2]}",
        f"{none}.{payload}.",
        token[:-4],
        "",
        "glow",
        "a.b.c",
    ]
    for token in forged:
        with pytest.raises(TokenRefused):
            SIGNER.verify(token, START)


def test_an_older_key_verifies_but_no_longer_signs() -> None:
    """Keys are rotated by putting the new one first."""
    both = LocalSigner([lab_key(8), lab_key(7)])
    assert both.verify(SIGNER.sign(CLAIMS), START) == CLAIMS
    with pytest.raises(TokenRefused, match="fetch newer keys") as refused:
        SIGNER.verify(both.sign(CLAIMS), START)
    assert (refused.value.claims, refused.value.key_id) == (None, key_id(lab_key(8)))
    with pytest.raises(InvalidInput, match="Expected a key to sign with"):
        LocalSigner([])


def test_a_key_file_is_for_its_owner_only(tmp_path: Path) -> None:
    """It is made with mode 600, read back, and never overwritten; a file that others may read is refused."""
    path = tmp_path / "keys.pem"
    make_key_file(path)
    assert path.stat().st_mode & 0o777 == 0o600
    signer = LocalSigner(load_keys(path))
    assert LocalSigner(load_keys(path)).verify(signer.sign(CLAIMS), START) == CLAIMS
    with pytest.raises(InvalidInput, match="Expected a new file for a key"):
        make_key_file(path)
    path.chmod(0o644)
    with pytest.raises(InvalidInput, match="Expected a file for its owner only, found mode 644"):
        load_keys(path)


def test_several_keys_in_a_file(tmp_path: Path) -> None:
    """The first one signs."""
    new, old, path = tmp_path / "new.pem", tmp_path / "old.pem", tmp_path / "keys.pem"
    make_key_file(new)
    make_key_file(old)
    path.touch(0o600)
    path.write_text(new.read_text() + old.read_text())
    assert [key_id(key) for key in load_keys(path)] == [key_id(load_keys(new)[0]), key_id(load_keys(old)[0])]


@pytest.mark.parametrize(
    "content", ["", "secret", "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"]
)
def test_a_file_without_keys_is_named_and_not_quoted(tmp_path: Path, content: str) -> None:
    """No part of a key may end in a message or a representation."""
    path = tmp_path / "keys.pem"
    path.touch(0o600)
    path.write_text(content)
    with pytest.raises(InvalidInput) as error:
        load_keys(path)
    assert str(error.value).startswith(f"{path}: Expected") and "c2VjcmV0" not in str(error.value)
    assert repr(SIGNER) == f"LocalSigner(key {key_id(lab_key(7))} of 1)"


class Desk:
    """A service whose DRM server meets faults, and a request for Glow."""

    def __init__(self, *faults: Fault | None, token_lifetime: timedelta = 30 * DAY) -> None:
        self.clock, self.store = ManualClock(START), open_store("memory:")
        self.edge = Edge(self.clock)
        self.first = self.edge.request()
        self.drm = FaultyDrm(SIGNER, Script(sign=faults), self.clock)
        self.service: DownloadService = service(
            self.store, self.clock, TERMS, drm=self.drm, token_lifetime=token_lifetime
        )

    def ask(self) -> Granted:
        answer = self.service.request_download("ann", "phone", "glow", self.first)
        assert isinstance(answer, Granted)
        return answer

    def command(self, name: str) -> Granted:
        return getattr(self.service, name)("ann", "phone", "glow", self.first.id, self.edge.request())


def opened(desk: Desk, answer: Granted) -> Claims:
    assert answer.token
    return SIGNER.verify(answer.token, desk.clock())


def test_a_granted_download_is_signed() -> None:
    """For this customer, device and title, until the licence ends."""
    desk = Desk()
    answer = desk.ask()
    assert answer.unsigned is None
    claims = ("ann", "phone", "glow", desk.first.id, desk.first.time, answer.ends)
    assert opened(desk, answer) == Claims(*claims)


@pytest.mark.parametrize("fault", [Refuse(), LoseRequest(), LoseReply()], ids=str)
def test_a_failed_call_leaves_the_licence_granted_and_a_repeat_signs_the_same(fault: Fault) -> None:
    """The answer says why there is no token; whether the server signed unheard makes no difference."""
    desk = Desk(fault, fault)
    first, second, third = desk.ask(), desk.ask(), desk.ask()
    assert first.token is None and first.unsigned and "send the same request again" in first.unsigned
    assert (first.status.state, second.token) == ("active", None)
    assert opened(desk, third).license_id == first.license_id == desk.first.id
    assert len(stored(desk.store)) == 4  # three of the grant, and one that it was delivered


class Broken:
    """A DRM server whose client raises or returns something of its own before it works."""

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)

    def sign(self, claims: Claims) -> str:
        answer = self.answers.pop(0) if self.answers else SIGNER.sign(claims)
        if isinstance(answer, BaseException):
            raise answer
        return answer  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (TimeoutError("timed out"), "the DRM server did not sign (TimeoutError: timed out)"),
        (TimeoutError(), "the DRM server did not sign (TimeoutError)"),
        (ConnectionResetError(104, "reset"), "the DRM server did not sign (ConnectionResetError: [Errno 104] reset)"),
        (OSError("no route"), "the DRM server did not sign (OSError: no route)"),
        (KeyError("token"), "the DRM server did not sign (KeyError: 'token')"),
        (RuntimeError("a bug"), "the DRM server did not sign (RuntimeError: a bug)"),
        (None, "the DRM server gave 'None' in place of a token"),
        ("", "the DRM server gave '' in place of a token"),
        (b"bytes", "the DRM server gave \"b'bytes'\" in place of a token"),
    ],
)
@pytest.mark.parametrize("name", ["request_download", "start_playback", "renew"])
def test_whatever_a_client_does_the_licence_is_recorded_and_a_repeat_signs_it(
    name: str, answer: object, reason: str
) -> None:
    """Never a raw error: the answer has the licence, no token, the reason, and what to do next."""
    desk = Desk()
    desk.ask()
    desk.service.drm = Broken(answer)
    request = desk.edge.request()
    licence = [] if name == "request_download" else [desk.first.id]
    send = lambda: getattr(desk.service, name)("ann", "phone", "glow", *licence, request)  # noqa: E731
    granted = send()
    assert granted.unsigned == f"{reason}; the licence is recorded: send the same request again"
    assert (granted.token, granted.status.state) == (None, "active")
    assert opened(desk, send()).license_id == granted.license_id


def test_an_interrupt_while_the_server_is_asked_is_passed_on() -> None:
    """Ctrl-C is not an answer of the server; the licence is recorded all the same."""
    desk = Desk()
    desk.service.drm = Broken(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        desk.ask()
    assert desk.ask().repeated


@pytest.mark.parametrize(("fault", "timeout"), [(Refuse(), None), (LoseReply(), MINUTE / 2)])
def test_a_failed_call_names_its_licence(fault: Fault, timeout: timedelta | None) -> None:
    """And how long the client waited for the server, if it did."""
    with pytest.raises(DrmUnavailable, match="the DRM server") as unavailable:
        FaultyDrm(SIGNER, Script(sign=[fault]), ManualClock(START)).sign(CLAIMS)
    assert (unavailable.value.license_id, unavailable.value.timeout) == (CLAIMS.license_id, timeout)


def test_a_slow_server_is_waited_for() -> None:
    """The clock moves, the token is whole."""
    desk = Desk(Delay(MINUTE / 2))
    assert opened(desk, desk.ask()).license_id == desk.first.id
    assert desk.clock() == desk.first.time + 0.5 * MINUTE


@pytest.mark.parametrize(("name", "state"), [("release", "released"), ("revoke", "revoked")])
def test_what_was_given_back_is_granted_without_a_token(name: str, state: str) -> None:
    """The repeat says which and since when, and the server is not asked."""
    desk = Desk(Refuse())
    desk.ask()
    desk.command(name)
    repeated = desk.ask()
    assert (repeated.token, desk.drm.signed) == (None, 0)
    assert repeated.unsigned == f"the licence is {state} since 2026-01-05 09:02 UTC"


def test_an_expired_licence_is_granted_without_a_token() -> None:
    """At the service's clock, to the second; a renewal makes the same licence active again."""
    desk = Desk(Refuse())
    desk.ask()
    desk.clock.now = desk.first.time + 10 * DAY - SECOND
    assert opened(desk, desk.ask()).license_id == desk.first.id
    desk.clock.advance(SECOND)
    assert desk.ask().unsigned == "the licence is expired since 2026-01-15 09:01 UTC"
    assert opened(desk, desk.command("renew")).expires == desk.clock() + 10 * DAY
    assert opened(desk, desk.ask()).license_id == desk.first.id


def test_a_token_ends_with_the_licence_as_known_at_signing() -> None:
    """Sooner after the first play, and within the lifetime of a token, which bounds what a revocation misses."""
    desk = Desk()
    desk.ask()
    assert opened(desk, desk.command("start_playback")).expires == desk.clock() + 48 * HOUR
    short = Desk(token_lifetime=HOUR)
    assert opened(short, short.ask()).expires == short.clock() + HOUR


def test_a_licence_that_has_not_arrived_is_not_signed() -> None:
    """A play is repeated in a region that has its row, but not yet the issue's."""
    here, there = Desk(), open_store("memory:")
    here.ask()
    request = here.edge.request()
    here.service.start_playback("ann", "phone", "glow", here.first.id, request)
    there.append("ann", [row for row in stored(here.store) if row.event_time == request.event_time])
    elsewhere = service(there, here.clock, TERMS, drm=SIGNER)
    answer = elsewhere.start_playback("ann", "phone", "glow", here.first.id, request)
    assert isinstance(answer, Granted)
    assert (answer.token, answer.unsigned) == (None, "the licence is not known here yet")


def test_what_gives_back_is_not_signed() -> None:
    """Nor is an expiry that is repeated after a renewal."""
    desk = Desk()
    desk.ask()
    desk.clock.advance(11 * DAY)
    request = desk.edge.request()
    expire = lambda: desk.service.expire("ann", "phone", "glow", desk.first.id, request)  # noqa: E731
    expire()
    desk.command("renew")
    assert (expire().token, expire().unsigned) == (None, "this command needs none")


def test_a_late_request_may_find_its_licence_ended() -> None:
    """It is decided at the time of its request and signed at the service's: granted, expired, no token."""
    desk = Desk()
    desk.service = service(desk.store, desk.clock, StudioRules(licence_days=1), drm=desk.drm)
    late = Request.at(START, "late")
    desk.clock.now = START + DAY
    answer = desk.service.request_download("ann", "phone", "glow", late)
    assert isinstance(answer, Granted)
    assert (answer.status.state, answer.token) == ("expired", None)
