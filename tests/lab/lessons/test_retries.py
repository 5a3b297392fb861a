"""Lesson 07: the storm and its desk, the diagram of messages, all orders of two deliveries, decisions made twice."""

from datetime import timedelta
from typing import Any

import pytest

from eslab import Request
from eslab.faults import Crossing, Delay, Duplicate, LoseReply, LoseRequest, Retry, Script, Storm, storm
from eslab.faults.kinds import Fault
from eslab.lab.lessons.decided_twice import decision, first_of_each, folded, heal, parted_purple, two_designs, winners
from eslab.lab.lessons.interleavings import (
    Delivery,
    Order,
    download,
    fold_then_look_up,
    grid,
    look_up_then_fold,
    orders,
    outcomes,
)
from eslab.lab.lessons.message_chart import diagram
from eslab.lab.lessons.messages import Exchange
from eslab.lab.lessons.retry_storm import Weather, bad_luck, counters_chart, phones, storm_desk, wish_of, worst
from eslab.lab.session import START

TV, LAPTOP = Delivery("tv", download("tv")), Delivery("laptop", download("laptop"))


def one_wish(*faults: Fault | None, client: str = "same request", timeout: float = 1) -> Exchange:
    """The messages of one wish that meets these faults."""
    retry = Retry(timeout=timedelta(seconds=timeout))
    return wish_of(storm(phones, client, wishes=1, network=lambda: Script(send=faults), retry=retry), 0)


def lines(exchange: Exchange) -> list[str]:
    """The table of an exchange, without times."""
    return [
        f"{sender}: {words} {lost}".strip() for _, sender, _, words, lost in exchange.table().itertuples(index=False)
    ]


def without_id(line: str) -> str:
    """A line without the request's id."""
    return line.partition(" …")[0] if "send" in line else line


def test_a_lost_request_and_a_lost_answer_end_with_the_same_time_out() -> None:
    """The request that is lost never reaches the service; the answer that is lost comes after the append."""
    told = [*map(without_id, lines(one_wish(LoseRequest(), LoseReply())))]
    served = ["service: read", "store: rows", "service: append", "store: done"]
    assert told == [
        "client: send",
        "client: time-out",
        "client: send",
        *served,
        "service: answer ✗ lost",
        "client: time-out",
        "client: send",
        "service: read",
        "store: rows",
        "service: granted before",
    ]


def test_a_late_request_arrives_behind_the_time_out() -> None:
    """Its answer finds nobody who waits, and the retry finds its row."""
    told = [*map(without_id, lines(one_wish(Delay(timedelta(seconds=1.05)), timeout=1)))]
    assert told.index("client: time-out") < told.index("service: append")
    assert told.count("service: append") == 1 or told.count("client: send") == 2


def test_two_late_requests_may_arrive_at_one_moment() -> None:
    """Each is drawn with its own calls, and the second one finds the row of the first."""
    late = [Delay(timedelta(seconds=seconds)) for seconds in (0.55, 0.3)]
    told = [*map(without_id, lines(one_wish(*late, LoseRequest(), timeout=0.2)))]
    first, second = (place for place, line in enumerate(told) if line == "service: answer ✗ lost")
    assert "service: append" in told[:first] and told[first + 1 : second] == ["service: read", "store: rows"]


def test_a_request_that_arrives_twice_is_answered_once() -> None:
    """Both deliveries ask the store, and only the first one appends."""
    exchange = one_wish(Duplicate())
    assert (exchange.appends, len(exchange.sends)) == (1, 1)
    assert lines(exchange).count("service: read") == 2


@pytest.mark.parametrize(
    ("client", "words"),
    [
        ("same request", "3 times, under 1 id. 2 messages are lost or too late. The store appends once."),
        ("new request", "3 times, under 3 ids. 2 messages are lost or too late. The store appends twice."),
    ],
)
def test_a_diagram_says_in_words_what_it_shows(client: str, words: str) -> None:
    """And its table has every message."""
    exchange = one_wish(LoseRequest(), LoseReply(), client=client)
    figure = diagram(exchange)
    assert words in figure.alt and figure.alt.endswith("The client has its answer in the end.")
    assert figure.table.equals(exchange.table())


def test_every_moment_of_a_storm_follows_the_one_before() -> None:
    """No message arrives before it was sent, for any of the phones."""
    ran = Weather(loss=30, timeout=0.6).storm("new request", wishes=40)
    for number in range(40):
        exchange = wish_of(ran, number)
        times = [moment.time for moment in exchange.moments]
        begun = [moment.message for moment in exchange.moments if moment.begins]
        assert times == sorted(times)
        assert len(begun) == len(set(begun)) == len(exchange.messages)


def test_the_messages_of_a_storm_are_all_its_calls() -> None:
    """Each call of a client and each append is in the exchange of exactly one phone, and is drawn once."""
    ran = Weather(loss=25).storm("new request")
    exchanges = [wish_of(ran, number) for number in range(ran.counts.wishes)]
    assert sum(len(exchange.sends) for exchange in exchanges) == ran.counts.attempted
    assert sum(exchange.appends for exchange in exchanges) == ran.counts.written
    assert sum(lines(exchange).count("service: append") for exchange in exchanges) == ran.counts.written


def test_the_weather_of_the_desk_tells_the_story() -> None:
    """The right client counts each wish once; the wrong ones count more, after as many attempts."""
    storms = Weather().side_by_side()
    right, *wrong = [one.counts for one in storms.values()]
    assert (right.counted, right.twice) == (100, 0)
    assert all(each.twice > 20 and each.attempted == right.attempted for each in wrong)
    assert "The client with one id for a wish makes" in counters_chart(list(storms.values())).alt


def test_the_worst_wish_is_one_that_counts_twice() -> None:
    """Where none does, it is the one with the most attempts."""
    ran = Weather().storm("new request")
    assert wish_of(ran, worst(ran)).appends > 1
    calm = Weather(loss=0).storm("same request")
    assert worst(calm) == max(range(100), key=lambda number: len(calm.outcomes[number].attempts))


def controls(desk: Any) -> tuple[Any, ...]:
    """The sliders of loss, time-out and retries, and the picker of the client."""
    return desk.children[0].children


def test_the_desk_follows_its_sliders() -> None:
    """Without retries no wish counts twice, and the diagram is that of a single attempt."""
    desk = storm_desk()
    _, words, bars, messages, _ = desk.children
    before = bars.value
    assert words.value.count("✗") == 2 and "new request. The client sends the wish" in messages.value
    controls(desk)[2].value = 0
    assert "✗" not in words.value and bars.value != before
    assert "The client sends the wish once" in messages.value


@pytest.mark.parametrize("loss", [0, 50])
@pytest.mark.parametrize("timeout", [0.2, 3.0])
@pytest.mark.parametrize("retries", [0, 8])
def test_the_desk_has_no_state_that_fails(loss: int, timeout: float, retries: int) -> None:
    """At every end of its sliders it shows a line for each client."""
    desk = storm_desk(Weather(loss, timeout, retries))
    assert desk.children[1].value.count("<tr>") == 4


def test_the_desk_draws_the_same_phone_for_each_client() -> None:
    """So the diagrams can be compared."""
    desk = storm_desk()
    picker, messages = controls(desk)[3], desk.children[3]
    told = []
    for client in picker.options:
        picker.value = client
        told.append(messages.value.partition(",")[0])
    assert len(set(told)) == 1


def counted(found: list[Order]) -> set[int]:
    """The downloads that count, in any of the orders."""
    return {order.counted for order in found}


def test_all_orders_of_two_calls_each_are_six() -> None:
    """Four of them let both take the last download; no order runs twice."""
    race = orders(TV, LAPTOP)
    assert len({tuple(order.steps) for order in race}) == len(race) == 6
    assert [order.counted for order in race].count(4) == 4
    assert outcomes(race)["orders"].sum() == 6


def test_reconcile_brings_each_order_back_to_the_limit() -> None:
    """It takes back the same download in each, and none a second time."""
    race = [order for order in orders(TV, LAPTOP) if order.counted == 4]
    taken = {over.device for order in race for over in order.reconcile().overshoots}
    assert len(taken) == 1 and counted(race) == {3}
    assert [order.reconcile().commits for order in race] == [0] * 4


def test_G3_a_look_up_that_is_older_than_the_fold_rejects_a_retry_for_itself() -> None:
    """In some orders; the other way round, and in the service, in none."""
    first = Delivery("first delivery", LAPTOP.send)
    hasty, careful, real = (
        orders(first, Delivery("retry", send)) for send in (look_up_then_fold, fold_then_look_up, LAPTOP.send)
    )
    assert "rejected" in {order.answers["retry"] for order in hasty}
    assert "rejected" not in {answer for order in careful + real for answer in order.answers.values()}
    assert counted(hasty + careful + real) == {3}


def test_the_grid_says_how_many_orders_overshoot() -> None:
    """In words, and in a table with every order."""
    figure = grid(orders(TV, LAPTOP))
    assert figure.alt == "All 6 orders of the calls of two requests; 4 of them count 4 of 3 downloads."
    assert figure.table["counted"].tolist().count(4) == 4


def test_G1_one_decision_stays_in_both_regions() -> None:
    """The one with the greater digest, whichever region made it."""
    red, purple = Request.at(START, "red"), Request.at(START, "purple")
    us, eu = parted_purple("ann", red, purple)
    rival = [decision(region, "ann", purple) for region in (us, eu)]
    heal(us, eu, "ann")
    assert decision(us, "ann", purple) == decision(eu, "ann", purple) == max(rival, key=lambda it: it.payload)
    assert us.bowl("ann") == eu.bowl("ann")
    assert {*winners([Request.at(START, f"{number}") for number in range(20)])} == {"us", "eu"}


def test_a_reader_that_ignores_the_second_row_depends_on_arrival() -> None:
    """The same rows in another order make another bowl; two rows that are the same don't."""
    red, purple = Request.at(START, "red"), Request.at(START, "purple")
    us, eu = parted_purple("ann", red, purple)
    one, other = decision(us, "ann", purple), decision(eu, "ann", purple)
    bowls = [folded("ann", first_of_each(rows)) for rows in ([one, other], [other, one], [one, one])]
    assert bowls[0] != bowls[1] and bowls[0] == bowls[2]


def test_a_row_for_each_delivery_costs_rows_and_memory() -> None:
    """Both designs count the same."""
    by_delivery, by_request = two_designs(wishes=50).to_dict("records")
    assert by_delivery["counted"] == by_request["counted"] == by_request["rows stored and read"] == 50
    assert by_delivery["rows stored and read"] == by_delivery["deliveries"] > 50
    assert (by_delivery["ids to remember"], by_request["ids to remember"]) == (50, 0)


def test_bad_luck_takes_three_attempts() -> None:
    """The request is lost, then the answer."""
    ran: Storm = storm(phones, wishes=1, network=bad_luck)
    assert [str(crossing.fault or "") for crossing in sends(ran)] == [str(LoseRequest()), str(LoseReply()), ""]


def sends(ran: Storm) -> list[Crossing]:
    """The calls of the client."""
    return [crossing for crossing in ran.log if crossing.call == "send"]
