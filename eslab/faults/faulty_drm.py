"""A DRM server behind a line that fails.

signer = FaultyDrm(LocalSigner(keys), Script(sign=[Refuse(), LoseReply()]), clock)
downloads = DownloadService(store, clock, drm=signer)
"""

from datetime import timedelta
from functools import partial
from typing import Any

from eslab.domains.downloads.drm import Claims, DrmServer, DrmUnavailable
from eslab.errors import OutcomeUnknown, StoreUnavailable
from eslab.faults.crossing import Log
from eslab.faults.line import Line
from eslab.faults.plans import Plan
from eslab.faults.waiting import WaitingClock


class FaultyDrm:
    """A DRM server whose calls cross a line, where each may meet a fault; it raises what a client of one raises."""

    def __init__(
        self,
        server: DrmServer,
        plan: Plan,
        clock: WaitingClock,
        *,
        timeout: timedelta = timedelta(seconds=30),
        **settings: Any,
    ) -> None:
        """Raises `InvalidInput` for a plan that names another call than `sign`."""
        self.server = server
        self.line = Line(
            plan, clock, caller="service", callee="DRM server", timeout=timeout, calls=["sign"], **settings
        )

    def __repr__(self) -> str:
        return f"FaultyDrm({self.server!r}, {self.line.plan})"

    @property
    def log(self) -> Log:
        """What happened, call by call."""
        return self.line.log

    @property
    def signed(self) -> int:
        """How many tokens the server signed, delivered or not."""
        return sum(len(crossing.arrived) for crossing in self.log if crossing.call == "sign")

    def sign(self, claims: Claims) -> str:
        """Sign the claims; raises `DrmUnavailable` if the call, or its answer, is refused, lost or late."""
        try:
            return self.line.call("sign", partial(self.server.sign, claims), about=claims.customer)
        except OutcomeUnknown:
            timeout = self.line.timeout
            raise DrmUnavailable(
                f"the DRM server did not answer within {timeout}", claims.license_id, timeout
            ) from None
        except StoreUnavailable:
            raise DrmUnavailable("the DRM server could not be reached", claims.license_id) from None
