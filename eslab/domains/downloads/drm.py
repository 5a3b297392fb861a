"""The DRM server: it signs what a licence allows, as an Ed25519 JWT that a device can check offline.

A token can't be taken back: until it expires the device may play, even after its licence was revoked
(docs/downloads.md says for how long). PyJWT's checks of the clock are switched off, since the moment is an argument
here (G10). Signing needs the extra `eslab[downloads]`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, Protocol
from uuid import UUID

import msgspec

from eslab.domains.downloads.keys import key_id
from eslab.errors import EslabError, InvalidInput

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ALGORITHM = "EdDSA"
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
        """Sign the claims as a token; raises `DrmUnavailable`."""
        ...


class LocalSigner:
    """A DRM server in this process: signs with the first key, verifies with every key."""

    def __init__(self, keys: Sequence["Ed25519PrivateKey"]) -> None:
        if not keys:
            raise InvalidInput("Expected a key to sign with, got none; make one with keys.make_key_file.")
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
        """The claims of a token that one of our keys signed and that is valid at `now`; otherwise `TokenRefused`."""
        key, claims = self._decode(token)
        if not claims.not_before <= now < claims.expires:
            raise TokenRefused(
                f"Expected a token valid at {now.isoformat()}, got one from {claims.not_before.isoformat()} "
                f"until {claims.expires.isoformat()} for licence {claims.license_id}; send its request again.",
                key,
                claims,
            )
        return claims

    def _decode(self, token: str) -> tuple[str, Claims]:
        """The id of the key that signed the token, and its claims."""
        import jwt

        kid = None
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            if kid not in self._keys:
                raise TokenRefused(f"Expected a key of {', '.join(self._keys)}, got {kid!r}; fetch newer keys.", kid)
            return kid, _claims(jwt.decode(token, self._keys[kid].public_key(), [ALGORITHM], options=NO_CLOCK))
        except (jwt.PyJWTError, KeyError, ValueError, TypeError, OverflowError, OSError) as error:
            raise TokenRefused(
                f"Expected a token that we signed, got {type(error).__name__}: {error}. Ask for a new one.", kid
            ) from None


def _claims(payload: dict[str, Any]) -> Claims:
    not_before, expires = (datetime.fromtimestamp(payload[name], UTC) for name in ("nbf", "exp"))
    return Claims(payload["sub"], payload["device"], payload["title"], UUID(payload["license_id"]), not_before, expires)


Fault = Literal["fails", "slow", "too late"]


@dataclass
class FaultyDrm:
    """A DRM server behind a bad line; each call meets the next fault, and none once they are used up.

    `fails`: nothing is signed. `slow`: signed after `wait` was called. `too late`: signed too, but the client has
    stopped waiting and never gets the token.
    """

    server: DrmServer
    faults: Iterable[Fault | None]
    wait: Callable[[timedelta], object] = lambda _: None
    delay: timedelta = timedelta(seconds=30)

    def __post_init__(self) -> None:
        self.signed = 0  # how many tokens the server signed, delivered or not
        self._next: Iterator[Fault | None] = iter(self.faults)

    def sign(self, claims: Claims) -> str:
        """Meet the next fault, then let the server sign."""
        fault = next(self._next, None)
        if fault == "fails":
            raise DrmUnavailable("the DRM server could not be reached", claims.license_id)
        if fault in ("slow", "too late"):
            self.wait(self.delay)
        token = self.server.sign(claims)
        self.signed += 1
        if fault == "too late":
            raise DrmUnavailable(f"the DRM server did not answer within {self.delay}", claims.license_id, self.delay)
        return token
