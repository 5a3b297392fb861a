"""Faults: for users, who want to see what their services do when the network fails; and two ways to search for more.

For users (docs/faults.md), in this order:

    kinds plans waiting     the faults, which call meets which, and clocks on which one can wait
    crossing line           the record of a call, and the way of calls between two actors
    faulty faulty_drm       an event store and a DRM server behind a line
    retries outcome client  a client that retries, in the right way or in a wrong one
    storm                   many wishes, and how often each was attempted, written and counted

To judge what happened:

    tally               a domain under watch: every request that it counted is in its state
    history checker     what the clients saw, and the promises that it breaks
    choices             every random decision, kept so that it can be replayed

Two rooms use all of this: `simulation` searches in a virtual world (`eslab simulate`, docs/simulator.md), and `chaos`
breaks three real regions (`eslab chaos`, docs/faults.md).
"""

from eslab.faults.client import STRATEGIES, Client, new_request, new_time, same_request
from eslab.faults.crossing import Crossing
from eslab.faults.faulty import Faulty
from eslab.faults.faulty_drm import FaultyDrm
from eslab.faults.kinds import Crash, Crashed, Delay, Duplicate, Hold, LoseReply, LoseRequest, Refuse
from eslab.faults.line import Line
from eslab.faults.outcome import Outcome
from eslab.faults.plans import Chances, Plan, Script
from eslab.faults.retries import Budget, Retry, in_a_thread
from eslab.faults.storm import Counts, Storm, side_by_side, storm
from eslab.faults.waiting import RealTime, WaitingClock

__all__ = [
    "STRATEGIES",
    "Budget",
    "Chances",
    "Client",
    "Counts",
    "Crash",
    "Crashed",
    "Crossing",
    "Delay",
    "Duplicate",
    "Faulty",
    "FaultyDrm",
    "Hold",
    "Line",
    "LoseReply",
    "LoseRequest",
    "Outcome",
    "Plan",
    "RealTime",
    "Refuse",
    "Retry",
    "Script",
    "Storm",
    "WaitingClock",
    "in_a_thread",
    "new_request",
    "new_time",
    "same_request",
    "side_by_side",
    "storm",
]
