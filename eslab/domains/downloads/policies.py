"""The policies: everything that the operator of a download service decides, each with a default."""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum

from eslab.domains.downloads.catalogue import Catalogue, load_catalogue
from eslab.domains.downloads.plans import Plans, load_plans
from eslab.domains.downloads.studios import Rules, load_rules
from eslab.errors import InvalidInput

TOKEN_LIFETIME = timedelta(days=30)


class Policy(Enum):
    """The policy for grants that exceed a limit because their decisions overlapped (reconcile.py)."""

    REVOKE_THE_NEWEST = "revoke the newest"
    LET_IT_STAND = "let it stand"


@dataclass(frozen=True, kw_only=True)
class Policies:
    """The titles that are offered, the rules and plans in all their versions, and what follows from a decision.

    Raises `InvalidInput` if `on_overshoot` is not a `Policy`: a misspelt word would revoke licences.
    """

    catalogue: Catalogue = field(default_factory=load_catalogue)
    rules: Rules = field(default_factory=load_rules)
    plans: Plans = field(default_factory=load_plans)
    token_lifetime: timedelta = TOKEN_LIFETIME  # how long a device may go on playing after a revocation
    on_overshoot: Policy = Policy.REVOKE_THE_NEWEST

    def __post_init__(self) -> None:
        if not isinstance(self.on_overshoot, Policy):
            names = ", ".join(map(str, Policy))
            raise InvalidInput(f"Expected on_overshoot to be one of {names}, got {self.on_overshoot!r}.")
