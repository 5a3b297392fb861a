"""The DRM server signs what a licence allows: an Ed25519 JWT that a device can check without a network.

Nobody can take a token back: until it expires a device may play, even after its licence was revoked (docs/downloads.md
says how long that can be). PyJWT's own reading of the clock is switched off: the moment is an argument (G10). Signing
needs the extra `eslab[downloads]`.
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
    """The DRM server did not sign, or its answer did not arrive; the licence stands, and a repeat signs it."""


class TokenRefused(EslabError):
    """A token that is forged, broken, signed by an unknown key, or not valid at the moment."""


class Claims(msgspec.Struct, frozen=True):
    """What a token says: who may play what, where, from when and until when."""

    customer: str
    device: str
    title: str
    license_id: UUID
    not_before: datetime
    expires: datetime


class DrmServer(Protocol):
    """Signs claims; the same claims twice are fine, since the licence's identity comes from the request."""

    def sign(self, claims: Claims) -> str:
        """The token; raises `DrmUnavailable`."""
        ...


class LocalSigner:
    """A DRM server in this process: signs with the first key, verifies with all."""

    def __init__(self, keys: Sequence["Ed25519PrivateKey"]) -> None:
        if not keys:
            raise InvalidInput("Expected a key to sign with, found none; make one with keys.make_key_file.")
        self._keys = {key_id(key): key for key in keys}
        self._current = key_id(keys[0])

    def __repr__(self) -> str:
        return f"LocalSigner(key {self._current} of {len(self._keys)})"

    def sign(self, claims: Claims) -> str:
        """The token of the claims; the seconds of its times are cut, so it never outlasts them."""
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
        """What the token says, if one of our keys signed it and it is valid at `now`; otherwise `TokenRefused`."""
        claims = self._opened(token)
        if not claims.not_before <= now < claims.expires:
            raise TokenRefused(
                f"Expected a token valid at {now.isoformat()}, found one from {claims.not_before.isoformat()} "
                f"until {claims.expires.isoformat()} for licence {claims.license_id}; send its request again."
            )
        return claims

    def _opened(self, token: str) -> Claims:
        import jwt

        try:
            kid = jwt.get_unverified_header(token).get("kid")
            if kid not in self._keys:
                raise TokenRefused(f"Expected a key of {', '.join(self._keys)}, found {kid!r}; fetch newer keys.")
            public = self._keys[kid].public_key()
            payload = jwt.decode(token, public, [ALGORITHM], options=NO_CLOCK)
            times = [datetime.fromtimestamp(payload[name], UTC) for name in ("nbf", "exp")]
            return Claims(
                payload["sub"], payload["device"], payload["title"], UUID(payload["license_id"]), times[0], times[1]
            )
        except (jwt.PyJWTError, KeyError, ValueError, TypeError, OverflowError, OSError) as error:
            raise TokenRefused(
                f"Expected a token that we signed, found: {type(error).__name__}: {error}. Ask for a new one."
            ) from None


Fault = Literal["fails", "slow", "too late"]


@dataclass
class FaultyDrm:
    """A DRM server behind a bad line; each call meets the next fault, and none when they are used up.

    `fails`: nothing is signed. `slow`: `wait` is called, then it is signed. `too late`: it is signed, but the client
    has given up waiting and never hears of it.
    """

    server: DrmServer
    faults: Iterable[Fault | None]
    wait: Callable[[timedelta], object] = lambda _: None
    delay: timedelta = timedelta(seconds=30)

    def __post_init__(self) -> None:
        self.signed = 0  # how often the server signed, heard or not
        self._next: Iterator[Fault | None] = iter(self.faults)

    def sign(self, claims: Claims) -> str:
        """Like the server behind it, after the next fault."""
        fault = next(self._next, None)
        if fault == "fails":
            raise DrmUnavailable("the DRM server could not be reached")
        if fault in ("slow", "too late"):
            self.wait(self.delay)
        token = self.server.sign(claims)
        self.signed += 1
        if fault == "too late":
            raise DrmUnavailable(f"the DRM server did not answer within {self.delay}")
        return token
