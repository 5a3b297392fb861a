"""The DRM server: it signs what a licence allows, as an Ed25519 JWT that a device can check offline.

A token can't be taken back: until it expires the device may play, even after its licence was revoked
(docs/downloads.md says for how long). PyJWT's checks of the clock are switched off, since the moment is an argument
here (G10); the leeway means the same as PyJWT's. Signing needs the extra `eslab[downloads]`.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

import msgspec

from eslab.clock import to_ms
from eslab.domains.downloads.keys import key_id
from eslab.errors import EslabError, InvalidInput

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ALGORITHM = "EdDSA"
# How far the clocks of a device and of the server may differ: as far as a request may be early (TimeBounds.early),
# since the token of such a request begins at its time.
LEEWAY = timedelta(seconds=60)
MAX_TOKEN = 32_768  # characters; ids of 1,024 bytes each make a token of half that size
WHEN_EARLY = (
    "Set the device's clock to the server's time and check the same token again; a new token begins no earlier."
)
WHEN_LATE = (
    "If the device's clock agrees with the server's, send the request again for a new token; otherwise set the clock "
    "to the server's time and check the same token again."
)
NO_CLOCK: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}


class DrmUnavailable(EslabError):
    """The DRM server did not sign, or its answer did not arrive; the licence remains, and a repeat signs it.

    `license_id` is the licence that was to be signed; `timeout` is how long the client waited, None if it didn't.
    """

    def __init__(self, message: str, license_id: UUID, timeout: timedelta | None = None) -> None:
        super().__init__(message)
        self.license_id = license_id
        self.timeout = timeout


class TokenRefused(EslabError):
    """A token is forged, broken, signed by an unknown key, or not valid at the moment.

    `key_id` is the key that it names, `claims` are those of a token that one of our keys signed; None if unknown.
    """

    def __init__(self, message: str, key_id: str | None = None, claims: "Claims | None" = None) -> None:
        super().__init__(message)
        self.key_id = key_id
        self.claims = claims


class Claims(msgspec.Struct, frozen=True):
    """The content of a token: the customer, the device, the title, and the time in which it may be played."""

    customer: str
    device: str
    title: str
    license_id: UUID
    not_before: datetime
    expires: datetime


class DrmServer(Protocol):
    """Signs claims; signing the same claims twice is safe, since the licence's identity comes from the request."""

    def sign(self, claims: Claims) -> str:
        """Sign the claims as a token; raises `DrmUnavailable`.

        The service waits for as long as this takes, so a client of a server elsewhere needs a timeout of its own.
        """
        ...


def sign(server: DrmServer, claims: Claims) -> str:
    """The token of a DRM server; whatever its client raises instead becomes a `DrmUnavailable`."""
    try:
        token = server.sign(claims)
    except DrmUnavailable:
        raise
    except Exception as error:  # somebody else's client: a timeout, a lost connection, or a bug in it
        reason = f"{type(error).__name__}: {error}".removesuffix(": ")
        raise DrmUnavailable(f"the DRM server did not sign ({reason})", claims.license_id) from error
    if not isinstance(token, str) or not token:
        raise DrmUnavailable(f"the DRM server gave {str(token)[:40]!r} in place of a token", claims.license_id)
    return token


class LocalSigner:
    """A DRM server in this process: signs with the first key, verifies with every key.

    `leeway` is how far the clock of a device may be behind or ahead of the server's.
    """

    def __init__(self, keys: Sequence["Ed25519PrivateKey"], leeway: timedelta = LEEWAY) -> None:
        if not keys:
            raise InvalidInput("Expected a key to sign with, got none; make one with keys.make_key_file.")
        if leeway < timedelta():
            raise InvalidInput(f"Expected a leeway of 0 or more, got {leeway}.")
        self.leeway = leeway
        self._keys = {key_id(key): key for key in keys}
        self._current = key_id(keys[0])

    def __repr__(self) -> str:
        return f"LocalSigner(key {self._current} of {len(self._keys)})"

    def sign(self, claims: Claims) -> str:
        """Sign the claims as a token; its times are cut to whole seconds, so it never outlasts them."""
        import jwt

        payload = {
            "sub": claims.customer,
            "device": claims.device,
            "title": claims.title,
            "license_id": str(claims.license_id),
            "nbf": int(claims.not_before.timestamp()),
            "exp": int(claims.expires.timestamp()),
        }
        return jwt.encode(payload, self._keys[self._current], ALGORITHM, headers={"kid": self._current})

    def verify(self, token: str, now: datetime) -> Claims:
        """The claims of a token that one of our keys signed and that is valid at `now`, give or take the leeway.

        `now` is the time on the clock of the device that checks. Otherwise raises `TokenRefused`.
        """
        to_ms(now)  # refuses a time without a zone
        key, claims, begins = self._decode(token)
        if begins - now <= self.leeway and now - claims.expires < self.leeway:
            return claims
        if now < begins:
            found = f"one that begins at {begins.isoformat()}, {begins - now} later"
        else:
            found = f"one that expired at {claims.expires.isoformat()}, {now - claims.expires} earlier"
        raise TokenRefused(
            f"Expected a token valid at the device's time {now.isoformat()}, give or take {self.leeway}, got {found} "
            f"by the server's time, for licence {claims.license_id}. {WHEN_EARLY if now < begins else WHEN_LATE}",
            key,
            claims,
        )

    def _decode(self, token: str) -> tuple[str, Claims, datetime]:
        """The id of the key that signed the token, its claims, and the moment from which it is valid."""
        import jwt

        kid = None
        try:
            if len(token) > MAX_TOKEN:
                raise ValueError(f"{len(token):,} characters, and {MAX_TOKEN:,} is the limit")
            kid = jwt.get_unverified_header(token).get("kid")
            if kid not in self._keys:
                raise TokenRefused(f"Expected a key of {', '.join(self._keys)}, got {kid!r}; fetch newer keys.", kid)
            payload = jwt.decode(token, self._keys[kid].public_key(), [ALGORITHM], options=NO_CLOCK)
            claims = _claims(payload)
            return kid, claims, max(claims.not_before, _moment(payload.get("iat", payload["nbf"])))
        except (jwt.PyJWTError, KeyError, ValueError, TypeError, OverflowError, OSError) as error:
            raise TokenRefused(
                f"Expected a token that we signed, got {type(error).__name__}: {error}. Ask for a new one.", kid
            ) from None


def _claims(payload: dict[str, Any]) -> Claims:
    not_before, expires = (_moment(payload[name]) for name in ("nbf", "exp"))
    return Claims(payload["sub"], payload["device"], payload["title"], UUID(payload["license_id"]), not_before, expires)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
