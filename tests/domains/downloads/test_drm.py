"""The DRM server: what a token says, who may read its keys, and what a service does when it fails."""

import base64
import json
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from eslab import InvalidInput, ManualClock, Request, open_store
from eslab.domains.downloads.drm import Claims, DrmUnavailable, Fault, FaultyDrm, LocalSigner, TokenRefused
from eslab.domains.downloads.keys import key_id, lab_key, load_keys, make_key_file
from eslab.domains.downloads.outcome import Granted
from eslab.domains.downloads.service import DownloadService
from eslab.domains.downloads.studios import StudioRules
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


def test_the_token_is_an_ed25519_jwt_with_a_key_id() -> None:
    """Any device's library reads it."""
    header, payload, _ = SIGNER.sign(CLAIMS).split(".")
    read = lambda part: json.loads(base64.urlsafe_b64decode(part + "=="))  # noqa: E731
    assert read(header) == {"alg": "EdDSA", "kid": key_id(lab_key(7)), "typ": "JWT"}
    assert read(payload) == {
        "sub": "ann", "device": "phone", "title": "glow", "license_id": str(UUID(int=7)),
        "nbf": int(START.timestamp()), "exp": int((START + DAY).timestamp()),
    }  # fmt: skip


@pytest.mark.parametrize("now", [START - SECOND, START + DAY, START + 10 * DAY])
def test_G10_a_token_is_judged_at_a_moment_that_is_given(now) -> None:
    """Not by the machine's clock: not before its begin, nor from its end on."""
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
        self.drm = FaultyDrm(SIGNER, faults, self.clock.advance)
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


FAULTS: Iterable[Fault] = ["fails", "too late"]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failed_call_leaves_the_licence_granted_and_a_repeat_signs_the_same(fault: Fault) -> None:
    """The answer says why there is no token; whether the server signed unheard makes no difference."""
    desk = Desk(fault, fault)
    first, second, third = desk.ask(), desk.ask(), desk.ask()
    assert first.token is None and first.unsigned and "send the same request again" in first.unsigned
    assert (first.status.state, second.token) == ("active", None)
    assert opened(desk, third).license_id == first.license_id == desk.first.id
    assert len(stored(desk.store)) == 3


@pytest.mark.parametrize(("fault", "timeout"), [("fails", None), ("too late", MINUTE / 2)])
def test_a_failed_call_names_its_licence(fault: Fault, timeout: timedelta | None) -> None:
    """And how long the client waited for the server, if it did."""
    with pytest.raises(DrmUnavailable, match="the DRM server") as unavailable:
        FaultyDrm(SIGNER, [fault]).sign(CLAIMS)
    assert (unavailable.value.license_id, unavailable.value.timeout) == (CLAIMS.license_id, timeout)


def test_a_slow_server_is_waited_for() -> None:
    """The clock moves, the token is whole."""
    desk = Desk("slow")
    assert opened(desk, desk.ask()).license_id == desk.first.id
    assert desk.clock() == desk.first.time + 0.5 * MINUTE


@pytest.mark.parametrize(("name", "state"), [("release", "released"), ("revoke", "revoked")])
def test_what_was_given_back_is_granted_without_a_token(name: str, state: str) -> None:
    """The repeat says which and since when, and the server is not asked."""
    desk = Desk("fails")
    desk.ask()
    desk.command(name)
    repeated = desk.ask()
    assert (repeated.token, desk.drm.signed) == (None, 0)
    assert repeated.unsigned == f"the licence is {state} since 2026-01-05 09:02 UTC"


def test_an_expired_licence_is_granted_without_a_token() -> None:
    """At the service's clock, to the second; a renewal makes the same licence active again."""
    desk = Desk("fails")
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
