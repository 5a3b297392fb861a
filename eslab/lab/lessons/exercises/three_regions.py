"""The exercises of lesson 08: a policy for a studio that forbids overshoot, and a setting that loses rows."""

from collections.abc import Sequence
from functools import partial

import pandas

from eslab.lab import raised
from eslab.lab.answers import Answer, Outcome, Undecided
from eslab.lab.exercises import Exercise, Rule
from eslab.lab.feedback import Difference
from eslab.lab.lessons.exercises.lost_rows import FAULTS, Result, Trial, result_of
from eslab.lab.lessons.exercises.shops import Arena, Asked, NoAnswer, Policy, Shop, Situation, tried
from eslab.lab.lessons.exercises.three_regions_wrong import WRONG_POLICIES, WRONG_TRIALS
from eslab.lab.lessons.regions import ASIA, EU, NAMES, US

__all__ = ["NoAnswer", "Shop", "Trial", "lose_rows", "never_more", "price_of"]

QUIET = [  # each asks when the one before has its answer
    Situation("four devices ask in us, a second apart", 0, (US, US, US, US), 3),
    Situation("four devices ask in eu, asia, us and eu", 0, (EU, ASIA, US, EU), 3),
]
MOVED = [Situation("the third is sold in us; a moment later eu is asked", 2, (US, EU), 0.01)]
PARTED = [
    Situation("us is cut off, and us, eu and asia are asked for the third", 2, (US, EU, ASIA), 6, cut=True),
    Situation("us is cut off, and eu and us are asked for the third", 2, (EU, US), 6, cut=True),
]
RACES = [
    Situation("two devices ask us for the third at once", 2, (US, US), 0),
    Situation("two devices ask us and eu for the third at once", 2, (US, EU), 0),
    Situation("two devices ask eu and asia for the third at once", 2, (EU, ASIA), 0),
]
WHY = {
    "off by one": "With three used, the limit is reached. The third is sold when two are used.",
    "nobody": "Nothing is sold where nothing is wrong: the studio allows three.",
    "shares": "A region refuses what the studio allows. If each region may sell a part of the three only, a customer "
    "who stays at home gets that part.",
    "near": "A row needs 40 ms from us to eu. What is read or written in one region alone is not known in the next.",
    "sides": "Each side of the cut saw two, and none could see the other's third. One region alone can't tell that it "
    "is one of two sides.",
    "unanswered": "A write that got no answer is not undone: the row is there, in the region that wrote it, and counts "
    "when the link is back.",
    "local serial": "LOCAL_SERIAL asks the replicas of one region alone. Each condition held in its own region, and "
    "neither region knew of the other's.",
    "anyway": "No answer is no permission. Your policy sells when it could not ask, and that is just when the other "
    "side may be selling.",
    "home race": "The home region decides alone, but two requests may be there at once: both read before either "
    "writes. It needs a condition, too.",
    "steps": "A read and a write are two steps, whatever their level, and both read before either wrote. Only a "
    "condition joins them: write_if.",
    "told": "The device was told that it is granted, and there is no row. write_if returns False if it wrote nothing.",
    "kept from": "The device was told False, and its row is there: it counts, and nobody can watch it.",
    "neither": "A policy returns True if the download is granted, and False if not.",
    "dark": "Your policy waits for a region that is away, so no region sells while one is. A majority, or the home "
    "region, would be enough.",
}


def _differs(situation: Situation, asked: Sequence[Asked], expected: str, why: str) -> Difference:
    given = [f"{situation.sold} of 3 sold before", *asked]
    stored = situation.sold + sum(one.stored for one in asked)
    return Difference(given, str(situation), expected, f"{stored} rows", why)


def _misses(situation: Situation, one: Asked, said: Outcome, why: str) -> Difference:
    """The answer neither grants nor refuses."""
    given = [f"{situation.sold} of 3 sold before"]
    return Difference(given, f"{one.region} is asked", "True or False", str(said), why)


def _errors(answer: Answer, situation: Situation, asked: Sequence[Asked]) -> Difference | None:
    """The first ask in which the answer raised something, or returned neither True nor False."""
    for one in asked:
        error = one.said.error
        if isinstance(error, Undecided):
            raise error
        if error is not None and not one.is_silent:
            return _misses(situation, one, Outcome(error=error), raised.advice(answer.value, (Shop,), error))
        if error is None and not isinstance(one.said.value, bool):
            return _misses(situation, one, one.said, WHY["neither"])
    return None


def _overshot(kind: str, arena: Arena, asked: Sequence[Asked]) -> str:
    """Why more than three are stored."""
    calls = {(name, level) for _, _, name, level in arena.calls}
    places = {region for _, region, name, _ in arena.calls if name != "used"}
    if arena.wrote_after_failure:
        return WHY["anyway"]
    if kind == "moved":
        return WHY["near"]
    if ("write_if", "LOCAL_SERIAL") in calls and len(places) > 1:
        return WHY["local serial"]
    if kind == "races":
        asks_one = len({region for _, region, *_ in arena.calls}) == 1
        return WHY["home race"] if arena.sent_on and asks_one else WHY["steps"]
    return WHY["unanswered" if any(one.is_silent and one.stored for one in asked) else "sides"]


def keeps(kind: str, answer: Answer, situation: Situation) -> Difference | None:
    """Never more than three rows, what is told is true, and what is allowed is sold."""
    if not callable(answer.value):
        raise Undecided(f"the answer is {answer.value!r}, not a function.")
    arena, asked = tried(answer.value, situation)
    if wrong := _errors(answer, situation, asked):
        return wrong
    differs = partial(_differs, situation, asked)
    stored = situation.sold + sum(one.stored for one in asked)
    if stored > 3:
        return differs("3 rows at most", WHY["off by one"] if kind == "quiet" else _overshot(kind, arena, asked))
    if any(one.said.value is True and not one.stored for one in asked):
        return differs("a row for each device that was told True", WHY["told"])
    if any(one.said.value is False and one.stored for one in asked):
        return differs("no row for a device that was told False", WHY["kept from"])
    if kind == "quiet" and stored < 3:
        return differs("3 rows", WHY["nobody"] if not stored else WHY["shares"])
    return None


def still_sells(answer: Answer, situation: Situation) -> Difference | None:
    """While us is cut off, a region sells the third."""
    _, asked = tried(answer.value, situation)
    if any(one.said.value is True for one in asked):
        return None
    return _differs(situation, asked, "a region that sells the third", WHY["dark"])


def price_of(policy: Policy) -> pandas.DataFrame:
    """What a policy costs: the milliseconds in each region, and what each one says while us is cut off."""
    quiet = [tried(policy, Situation("", 0, (region,), 3))[1][0] for region in NAMES]
    parted = [tried(policy, Situation("", 2, (region,), 6, cut=True))[1][0] for region in NAMES]
    return pandas.DataFrame(
        {
            "region": one.region,
            "ms, nothing broken": round(one.ms),
            "while us is cut off": "no answer" if other.is_silent else "sells" if other.said.value else "refuses",
            "ms then": round(other.ms),
        }
        for one, other in zip(quiet, parted, strict=True)
    )


never_more = Exercise(
    "never_more",
    "08_three_regions",
    "Write `sell(shop)`, the policy of a studio that forbids overshoot: True if the download is granted. Never more "
    "than three rows, also in a race and while us is cut off; three are sold if nothing is wrong; and some region "
    "still sells while us is cut off.",
    answer="sell",
    rules=[
        Rule("three are sold in a quiet time, and no fourth", partial(keeps, "quiet"), examples=QUIET),
        Rule("a customer who moves gets no fourth", partial(keeps, "moved"), examples=MOVED),
        Rule("the two sides of a cut don't sell four", partial(keeps, "parted"), examples=PARTED),
        Rule("two devices at once don't get four", partial(keeps, "races"), examples=RACES),
        Rule("a region sells while us is cut off", still_sells, examples=PARTED[:1]),
    ],
    hints=[
        "A read and a write leave a gap between them, at every level. Which call closes it? And who must agree, so "
        "that two sides of a cut can't both agree?",
        "Read `used` near by. If it is below 3, `shop.write_if(used, 'SERIAL')`. If that returns False, somebody else "
        "wrote meanwhile, or the near read was old: read at QUORUM and try again.",
    ],
    wrong=WRONG_POLICIES,
    seconds=30,
)


def _result(answer: Answer) -> tuple[Trial, Result]:
    trial = answer.value
    if not isinstance(trial, Trial):
        raise Undecided(f"the answer is {trial!r}. Write Trial(...), with the settings that you change.")
    if problem := trial.problem():
        raise Undecided(problem)
    return trial, result_of(trial)


def is_acknowledged(answer: Answer, _: object) -> Difference | None:
    """Something was acknowledged during the fault."""
    trial, result = _result(answer)
    if result.acknowledged:
        return None
    why = (
        "Nothing is written while the fault lasts, so nothing can be missed."
        if not result.asked
        else f"At {trial.level} us waits for every region, and so it acknowledged nothing. What was never acknowledged "
        "isn't lost."
    )
    return _trial_differs(trial, result, "some downloads acknowledged by us", why)


def is_missing(answer: Answer, _: object) -> Difference | None:
    """Asia lacks some of it in the end."""
    trial, result = _result(answer)
    return None if result.missing else _trial_differs(trial, result, "rows missing in asia", _why_none(trial, result))


def _why_none(trial: Trial, result: Result) -> str:
    if trial.repair and result.dropped:
        return "Hints died, and the repair brought what they would have brought: it reads all rows at ALL."
    if trial.kill_us == "after the end":
        return "When us was killed, its hints had been delivered: that takes 10 s from the end of the fault."
    if trial.kill_us == "before the end":
        return "All that us had acknowledged was on its way, or its hints were older than 10 s, and so on its disk."
    if trial.hint_window < 3 * 3600:
        return (
            f"The hint window of {trial.hint_window:g} s was as long as the fault of {trial.seconds:g} s, so a hint "
            "was kept for every row."
        )
    what = {
        FAULTS[0]: "Us kept a hint for every row that asia missed, and delivered all of them when the link was back.",
        FAULTS[1]: "A frozen region answers nobody, so us kept hints for it, and delivered them when it went on.",
        FAULTS[2]: "What asia had was on its disk, and what it missed came as hints. Who keeps these hints?",
    }
    longer = " A longer fault needs more hints, and hints are kept for three hours." if trial.seconds > 60 else ""
    level = " A level doesn't change who keeps hints." if trial.level != "LOCAL_QUORUM" else ""
    return f"{what[trial.fault]}{longer}{level}"


def _trial_differs(trial: Trial, result: Result, expected: str, why: str) -> Difference:
    given = [f"{trial.fault}, {trial.seconds:g} s", f"written at {trial.level}", f"us is killed: {trial.kill_us}"]
    return Difference(given, "all is mended, and a minute has passed", expected, str(result), why)


lose_rows = Exercise(
    "lose_rows",
    "08_three_regions",
    "Find a `Trial` after which asia lacks downloads that us acknowledged, although every link is healed, every node "
    "runs, and hints had a minute to arrive.",
    answer="trial",
    rules=[
        Rule("us acknowledges downloads during the fault", is_acknowledged),
        Rule("asia lacks some of them in the end", is_missing),
    ],
    hints=[
        "Asia misses rows during every one of the faults, and hints bring them. So who keeps a hint, where, and for "
        "how long?",
        "Either let the hint window end before the fault does, or kill us before the fault ends: its youngest hints "
        "are in memory.",
    ],
    wrong=WRONG_TRIALS,
    seconds=30,
)
