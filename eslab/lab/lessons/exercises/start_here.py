"""The exercises of lesson 00: which deliveries write a row, and a client that sends until it is answered."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from hypothesis import strategies as st

from eslab import Accepted, Command, OutcomeUnknown, Rejected, Request
from eslab.display import quantity
from eslab.domains.bakery import AddColor, MakeColor, open_bakery
from eslab.errors import InvalidInput
from eslab.faults import Line, LoseReply, LoseRequest, Script
from eslab.faults.kinds import Fault
from eslab.lab.answers import Answer, Outcome, error_in_words
from eslab.lab.choices import numbers_chosen
from eslab.lab.exercises import Exercise, Rule, Wrong
from eslab.lab.feedback import Difference
from eslab.lab.session import open_lab

if TYPE_CHECKING:
    import pandas


class Delivery(NamedTuple):
    """One arrival of a request at the bakery."""

    number: int
    request: str
    command: Command

    def __str__(self) -> str:
        return f"{self.number}: request {self.request}, {self.command}"


DELIVERIES = [
    Delivery(number, request, command)
    for number, (request, command) in enumerate(
        [
            ("A", MakeColor("purple")),
            ("A", MakeColor("purple")),
            ("B", MakeColor("purple")),
            ("C", AddColor("red")),
            ("D", AddColor("red")),
            ("C", AddColor("red")),
            ("E", MakeColor("green")),
        ],
        1,
    )
]
WHY_A_ROW = {
    1: "The first delivery of a wish that needs two portions is one row.",
    4: "The bowl may hold more red than purple needs: `AddColor` asks for one more portion.",
    5: "D asks for the same as C, under another id. To the system that is a second wish.",
}
WHY_NO_ROW = {
    2: "A was recorded by delivery 1. Its repeat meets that row and gets the recorded answer.",
    3: "B is a new request, but purple needs nothing more: a command that needs no event leaves no record.",
    6: "C was recorded by delivery 4. That another request came in between changes nothing.",
    7: "The recipe for green has no red, so E is rejected. A rejection writes nothing.",
}


def deliveries() -> "pandas.DataFrame":
    """Everything that reached an empty bowl, in order."""
    import pandas

    table = pandas.DataFrame({"request": each.request, "command": str(each.command)} for each in DELIVERIES)
    return table.set_index(pandas.Index([each.number for each in DELIVERIES], name="delivery"))


def rows_after_each() -> list[int]:
    """The number of rows in a bakery's store after each delivery, one after the other."""
    lab = open_lab("memory:", 7)
    bakery = open_bakery(lab.store, lab.clock)
    requests = {name: lab.request() for name in sorted({each.request for each in DELIVERIES})}
    counts = []
    for each in DELIVERIES:
        bakery.send("ann", "frosting:1", each.command, requests[each.request])
        counts.append(len(list(lab.store.rows("ann", "frosting:1"))))
    return counts


def finds_the_rows(answer: Answer, _: object) -> Difference | None:
    """The deliveries after which there is a row more, in any order."""
    chosen = numbers_chosen(answer, range(1, len(DELIVERIES) + 1))
    counts = [0, *rows_after_each()]
    for before, each in enumerate(DELIVERIES):
        has_written = counts[before + 1] > counts[before]
        if has_written != (each.number in chosen):
            expected = f"{'a' if has_written else 'no'} row more"
            got = f"{each.number} is {'not ' if has_written else ''}in the list"
            why = (WHY_A_ROW if has_written else WHY_NO_ROW)[each.number]
            return Difference(DELIVERIES[:before], str(each), expected, got, why)
    return None


which_wrote = Exercise(
    "which_wrote",
    "00_start_here",
    "Seven deliveries reach an empty bowl. List the numbers of those that write a row.",
    answer="wrote",
    rules=[Rule("exactly these deliveries write a row", finds_the_rows)],
    hints=[
        "Ask two things about each delivery. Is its request's row there already? If not, does the command need any "
        "event on the bowl as it is then?",
        "A is recorded by delivery 1, and C by delivery 4. B finds a purple bowl. E asks for green on a bowl that "
        "holds red.",
    ],
    wrong=[
        Wrong("wrote = [1, 2, 4, 5]", "A was recorded by delivery 1."),
        Wrong("wrote = [1, 3, 4, 5]", "B is a new request, but purple needs nothing more"),
        Wrong("wrote = [1, 4]", "D asks for the same as C, under another id."),
        Wrong("wrote = [1, 4, 5, 6]", "C was recorded by delivery 4."),
        Wrong("wrote = [1, 4, 5, 7]", "A rejection writes nothing."),
    ],
)


ENOUGH = 20  # attempts, before a check stops an answer that goes on


class EnoughSent(BaseException):
    """Raised instead of one more attempt; no `Exception`, so that an answer which catches all of those ends too."""


class Network:
    """The way to a bakery, which loses what it is told to lose, one thing on each attempt."""

    def __init__(self, losses: Sequence[Fault]) -> None:
        self._lab = open_lab("memory:", 7)
        self._bakery = open_bakery(self._lab.store, self._lab.clock)
        self._line = Line(Script(send=losses), self._lab.clock, caller="tablet", callee="bakery")
        self._send = self._line.over(self._bakery.send)
        self.asked: list[Any] = []  # what was sent, on each attempt
        self.answers: list[Any] = []  # those that came back

    @property
    def portions(self) -> int:
        """The portions of red in the bowl."""
        return self._bakery.load("ann", "frosting:1").portions.get("red", 0)

    def make_request(self) -> Request:
        """A request with an id of its own."""
        return self._lab.request()

    def send(self, request: Request) -> Any:
        """Deliver `AddColor("red")` and bring the answer back, unless something is lost."""
        self.asked.append(request)
        if len(self.asked) > ENOUGH:
            raise EnoughSent
        answer = self._send("ann", "frosting:1", AddColor("red"), request)
        self.answers.append(answer)
        return answer


class Told(NamedTuple):
    """A `send` that is answered in a script: first this, and whoever asks again gets "accepted"."""

    first: Any
    why: str

    def send(self, asked: list[Request]) -> Callable[[Request], Any]:
        """The function; it notes each request."""

        def send(request: Request) -> Any:
            asked.append(request)
            if len(asked) > ENOUGH:
                raise EnoughSent
            if len(asked) > 1:
                return "accepted"
            if isinstance(self.first, InvalidInput):
                raise self.first
            return self.first

        return send

    def __str__(self) -> str:
        return (
            f"raises {error_in_words(self.first)}" if isinstance(self.first, InvalidInput) else f"returns {self.first}"
        )


def counts_once(answer: Answer, losses: Sequence[Fault]) -> Difference | None:
    """The wish is answered in the end, and is in the bowl once."""
    network = Network(losses)
    outcome = answer(network.send, network.make_request)
    if network.portions == 1 and outcome.error is None and isinstance(outcome.value, Accepted):
        return None
    got = f"{network.portions} red, {_in_the_end(outcome)}"
    given, why = [*map(str, losses)], _why(outcome, network)
    return Difference(given, "send_until_answered(...)", "1 red, and its answer", got, why)


def _in_the_end(outcome: Outcome) -> str:
    return f"no end after {ENOUGH} attempts" if isinstance(outcome.error, EnoughSent) else str(outcome)


def _why(outcome: Outcome, network: Network) -> str:
    """The first explanation that is true of what the network saw."""
    attempts = quantity(len(network.asked), "attempt")
    if strange := [sent for sent in network.asked if not isinstance(sent, Request)]:
        return f"`send` got {_short(strange[0])} instead of a request. `make_request()`, with its brackets, makes one."
    if len(set(network.asked)) > 1:
        return "A new request is a new wish. Make one request before the first attempt, and keep it."
    if isinstance(outcome.error, EnoughSent):
        return "The answer came back, and you sent again. Leave the loop with `return` as soon as there is one."
    if isinstance(outcome.error, OutcomeUnknown) or (outcome.error is None and not network.answers):
        unknown = "and nobody knows whether red is in the bowl"
        return f"You gave up after {attempts}, {unknown}. Send until there is an answer."
    return outcome.advice or "Return the answer of `send`, so that Ann can read it."


def _short(value: Any) -> str:
    """A value in a few words; a function by its name."""
    return f"the function {value.__name__}" if callable(value) and hasattr(value, "__name__") else repr(value)


def takes_a_no(answer: Answer, told: Told) -> Difference | None:
    """A rejection, and an error that says more than "unknown", end the attempts."""
    asked: list[Request] = []
    outcome = answer(told.send(asked), Network([]).make_request)
    came = outcome.error if isinstance(told.first, InvalidInput) else outcome.value
    if len(asked) == 1 and came is told.first:
        return None
    got = f"{_in_the_end(outcome)}, after {quantity(len(asked), 'attempt')}"
    why = told.why if len(asked) > 1 else outcome.advice or f"`send` {told}: hand it on as it is."
    return Difference([f"`send` {told}"], "send_until_answered(...)", "the same, after 1 attempt", got, why)


REJECTION = Told(
    Rejected("shelf", "there is no gold on the shelf"),
    "A rejection is an answer. The rule won't change by asking again.",
)
MISTAKE = Told(
    InvalidInput("Expected a customer id, got an empty text."),
    "Only OutcomeUnknown says: send the same again. Any other error belongs to the caller.",
)
LOSSES = st.lists(st.sampled_from([LoseReply(), LoseRequest()]), max_size=5)

until_answered = Exercise(
    "until_answered",
    "00_start_here",
    "Write the tablet's side: send a wish until it is answered, however often the network loses something (it never "
    "loses more than five in a row). `send(request)` returns the answer or raises `OutcomeUnknown`; any other error is "
    "not yours to catch. `make_request()` makes a request with a new id.",
    answer="send_until_answered",
    rules=[
        Rule("whatever is lost, red counts once and the answer comes back", counts_once, cases=LOSSES),
        Rule("a rejection or another error ends the attempts", takes_a_no, examples=[REJECTION, MISTAKE]),
    ],
    hints=[
        "Two things: one request, and several attempts. Which of them belongs into the loop?",
        "`request = make_request()` stands before `while True:`. In the loop, `try: return send(request)`, and "
        "`except OutcomeUnknown: pass`.",
    ],
    wrong=[
        Wrong(
            "def send_until_answered(send, make_request):\n    return send(make_request())",
            "You gave up after 1 attempt",
        ),
        Wrong(
            "def send_until_answered(send, make_request):\n"
            "    while True:\n"
            "        try:\n"
            "            return send(make_request())\n"
            "        except OutcomeUnknown:\n"
            "            pass",
            "A new request is a new wish.",
        ),
        Wrong(
            "def send_until_answered(send, make_request):\n"
            "    request = make_request()\n"
            "    for attempt in range(6):\n"
            "        try:\n"
            "            send(request)\n"
            "            break\n"
            "        except OutcomeUnknown:\n"
            "            pass",
            "Return the answer of `send`",
        ),
        Wrong(
            "def send_until_answered(send, make_request):\n"
            "    request = make_request()\n"
            "    while True:\n"
            "        try:\n"
            "            return send(request)\n"
            "        except Exception:\n"
            "            pass",
            "Only OutcomeUnknown says: send the same again.",
        ),
        Wrong(
            "def send_until_answered(send, make_request):\n"
            "    request, answer = make_request(), None\n"
            "    while answer is None or isinstance(answer, Exception):\n"
            "        try:\n"
            "            answer = send(request)\n"
            "        except OutcomeUnknown:\n"
            "            pass\n"
            "    return answer",
            "A rejection is an answer.",
        ),
    ],
)
