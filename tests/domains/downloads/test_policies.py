"""Policies: everything that the operator decides, each with a default."""

from typing import Any

import pytest

from eslab import InvalidInput, ManualClock, open_store
from eslab.domains.downloads.catalogue import load_catalogue
from eslab.domains.downloads.plans import load_plans
from eslab.domains.downloads.policies import Policies, Policy
from eslab.domains.downloads.service import DownloadService
from eslab.domains.downloads.studios import load_rules
from tests.domains.downloads.support import CATALOGUE
from tests.support.sample import DAY, START


def test_every_policy_has_a_default() -> None:
    """The files in data/, tokens of 30 days, and the newest grants are revoked."""
    policies = DownloadService(open_store("memory:"), ManualClock(START)).policies
    assert policies == Policies()
    assert (policies.catalogue, policies.rules, policies.plans) == (load_catalogue(), load_rules(), load_plans())
    assert (policies.token_lifetime, policies.on_overshoot) == (30 * DAY, Policy.REVOKE_THE_NEWEST)


def test_one_policy_may_be_given_and_the_others_keep_their_defaults() -> None:
    """The service shows its catalogue and its rules."""
    service = DownloadService(open_store("memory:"), ManualClock(START), Policies(catalogue=CATALOGUE))
    assert (service.catalogue, service.rules) == (CATALOGUE, load_rules())


@pytest.mark.parametrize("policy", ["let it stand", "LET_IT_STAND", None])
def test_a_policy_that_is_no_policy_is_refused(policy: Any) -> None:
    """Even the text of one: a word that is not understood must not revoke licences."""
    with pytest.raises(InvalidInput, match=r"Expected on_overshoot to be one of .*Policy\.LET_IT_STAND, got"):
        Policies(on_overshoot=policy)
