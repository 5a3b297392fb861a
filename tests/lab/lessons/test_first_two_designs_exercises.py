"""Lesson 09: its exercises accept every right answer, and say what is wrong with the others."""

import pytest

from eslab.lab import lessoncheck
from eslab.lab.answers import Answer
from eslab.lab.exercises import Exercise
from eslab.lab.feedback import Checked
from eslab.lab.lessons.exercises.executed import WHY
from eslab.lab.lessons.exercises.link_use import BODY, DEF, MISTAKES, PROBES, link_use
from eslab.lab.lessons.exercises.one_statement import COUNTED, INTO, RIGHT, cell, one_statement


def judged(source: str, exercise: Exercise) -> Checked:
    """The check's word about the text of a cell."""
    return lessoncheck.judged(exercise, source)


STATEMENTS = {
    "ignored": cell(RIGHT),
    "replaced": cell(RIGHT, INTO.replace("IGNORE", "REPLACE") + " (?, ?, ?, ?)"),
    "on conflict": cell(RIGHT, INTO.replace(" OR IGNORE", "") + " (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"),
    "event time": cell(RIGHT.replace("request.id", "request.event_time")),
    "hex": cell(RIGHT.replace("str(request.id)", "request.id.hex")),
    "bytes": cell(RIGHT.replace("str(request.id)", "request.id.bytes")),
    "a uuid of the request": cell(
        RIGHT.replace("request.id", "uuid5(NAMESPACE_URL, str(request.id))"),
        before="from uuid import NAMESPACE_URL, uuid5",
    ),
    "a digest": cell(
        RIGHT.replace("str(request.id)", "hashlib.sha256(f'{request.id}/{title}'.encode()).hexdigest()"),
        before="import hashlib",
    ),
    "iso time": cell(RIGHT.replace("str(request.time)", "request.time.isoformat()")),
    "seconds": cell(RIGHT.replace("str(request.time)", "request.time.timestamp()")),
    "the day": cell(RIGHT.replace("str(request.time)", "f'{request.time:%Y-%m-%d}'")),
    "a datetime": cell(RIGHT.replace("str(request.time)", "request.time")),
    "names": f"def statement(request, customer, title):\n    text = '{INTO} (:id, :customer, :title, :at)'\n"
    "    return text, dict(id=str(request.id), customer=customer, title=title, at=str(request.time))",
    "a list": "TEXT = 'INSERT OR IGNORE INTO downloads VALUES (?, ?, ?, ?)'\n\n"
    f"def statement(request, customer, title):\n    return [TEXT, [{RIGHT}]]",
    "a lambda": f"statement = lambda request, customer, title: ('{INTO} (?, ?, ?, ?)', ({RIGHT}))",
    "only if it is not there": "def statement(request, customer, title):\n"
    "    text = '''INSERT INTO downloads SELECT ?1, ?2, ?3, ?4\n"
    "              WHERE NOT EXISTS (SELECT 1 FROM downloads WHERE id = ?1)'''\n"
    f"    return text, ({RIGHT})",
}


@pytest.mark.parametrize("source", STATEMENTS.values(), ids=STATEMENTS)
def test_every_statement_that_derives_its_values_is_right(source: str) -> None:
    """However the id is written down, and whatever a repeat meets."""
    checked = judged(source, one_statement)
    assert checked.passed is True, checked


WRONG_STATEMENTS = {
    "the clock of the database": (
        cell("str(request.id), customer, title", f"{INTO} (?, ?, ?, strftime('%f', 'now'))"),
        "database",
    ),
    "the clock of the function": (
        cell(RIGHT.replace("request.time", "datetime.now()"), before="from datetime import datetime"),
        "function",
    ),
    "a random number": (
        cell(RIGHT.replace("request.id", "random.random()"), before="import random"),
        "function",
    ),
    "a counter of the process": (
        cell(RIGHT.replace("request.id", "next(NUMBERS)"), before="from itertools import count\nNUMBERS = count()"),
        "function",
    ),
    "a seeded number": (
        cell(RIGHT.replace("request.id", "random.Random(7).random()"), before="import random"),
        "same wish",
    ),
    "no column of its own for the time": (cell("str(request.id), customer, title, ''"), "time"),
    "the greatest id and one": (
        cell(
            "customer, title, str(request.time)",
            INTO.replace(" OR IGNORE", "") + " ((SELECT coalesce(max(id), 0) + 1 FROM downloads), ?, ?, ?)",
        ),
        "repeat row",
    ),
    "numbers in order of arrival": (
        "def statement(request, customer, title):\n"
        "    text = '''INSERT INTO downloads SELECT (SELECT count(*) FROM downloads), ?1, ?2, ?3\n"
        "              WHERE NOT EXISTS (SELECT 1 FROM downloads WHERE at = ?3)'''\n"
        "    return text, (customer, title, f'{request.time} {request.id}')",
        "order",
    ),
    "title and customer exchanged": (cell("str(request.id), title, customer, str(request.time)"), "other"),
    "nothing written": (cell("", "SELECT 1"), "nothing"),
    "half of the id": (cell(RIGHT.replace("request.id)", "request.id)[:18]")), "same time"),
    "a repeat that moves": (
        cell(RIGHT, f"{INTO} (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET at = at || '+'".replace(" OR IGNORE", "")),
        "repeat changed",
    ),
}


@pytest.mark.parametrize(("source", "why"), WRONG_STATEMENTS.values(), ids=WRONG_STATEMENTS)
def test_what_is_said_of_a_wrong_statement_is_true_of_it(source: str, why: str) -> None:
    """Each has the words of its own mistake, below the executions that show it."""
    checked = judged(source, one_statement)
    assert checked.passed is False and checked.difference, checked
    assert checked.difference.why == WHY[why], checked


@pytest.mark.parametrize("value", [None, "text", ("text",), ("text", "ann"), 5, ["a", "b", "c"], (1, ()), {}], ids=repr)
def test_what_is_no_statement_is_told_so(value: object) -> None:
    """The check says what to return."""
    checked = one_statement.judge(Answer(lambda *_: value))
    assert checked.passed is False and WHY["shape"] in str(checked)


def test_a_statement_that_sql_does_not_know_is_told_with_its_error() -> None:
    """In the words of the database."""
    checked = judged(cell("", "INSRT INTO downloads"), one_statement)
    assert checked.passed is False and "syntax error" in str(checked)


def test_every_reason_of_a_statement_is_met() -> None:
    """Here, or by a wrong answer of the exercise itself."""
    met = {why for _, why in WRONG_STATEMENTS.values()} | {"shape"}
    said = {each.feedback for each in one_statement.wrong}
    assert {name for name, words in WHY.items() if words not in said} <= met
    assert COUNTED.startswith(INTO)


SHARES = {
    "in parts": BODY,
    "in one line": f"{DEF}    return writes * ((plan.rows + plan.table) * plan.replicas / nodes "
    "+ plan.entry * plan.copies * plan.times) / plan.megabits / 125000",
    "in bits": f"{DEF}    size = plan.replicas * (plan.rows + plan.table) / nodes\n"
    "    size += plan.times * plan.copies * plan.entry\n"
    "    return 8 * size * writes / (plan.megabits * 1e6)",
    "with helpers": "MEGABIT = 10**6 / 8\n\ndef row_bytes(plan, nodes):\n"
    "    return plan.replicas * (plan.rows + plan.table) / nodes\n\n"
    f"{DEF}    index = plan.copies * plan.times * plan.entry\n"
    "    return writes * (row_bytes(plan, nodes) + index) / (plan.megabits * MEGABIT)",
    "unpacked": f"{DEF}    megabits, rows, table, replicas, entry, copies, times = plan\n"
    "    return writes * ((rows + table) * replicas / nodes + entry * copies * times) / (megabits * 125e3)",
    "by loops": f"{DEF}    sent = (plan.rows + plan.table) * plan.replicas / nodes\n"
    "    for _ in range(plan.copies):\n        sent += plan.entry * plan.times\n"
    "    return sent * writes / plan.megabits / 125_000",
    "as a fraction": "from fractions import Fraction\n\n"
    f"{DEF}    rows = Fraction(plan.rows + plan.table) * plan.replicas / nodes\n"
    "    return float(writes * (rows + Fraction(plan.entry * plan.copies * plan.times)) / (plan.megabits * 125_000))",
    "an array's number": f"import numpy\n\n{DEF}    rows = (plan.rows + plan.table) * plan.replicas / nodes\n"
    "    sent = numpy.array([rows, plan.entry * plan.copies * plan.times]).sum()\n"
    "    return writes * sent / (plan.megabits * 125_000)",
    "rounded": BODY.replace("return ", "share = ") + "\n    return float(f'{share:.4g}')",
}


@pytest.mark.parametrize("source", SHARES.values(), ids=SHARES)
def test_every_way_to_add_up_the_link_is_right(source: str) -> None:
    """In whatever unit, to a hundredth."""
    checked = judged(source, link_use)
    assert checked.passed is True, checked


ADD_UP = "Add up the bytes that the node sends for one download"
WRONG_SHARES = {
    "the stub": (f"{DEF}    return writes * (plan.rows + plan.entry) / (plan.megabits * 125_000)", ADD_UP),
    "nothing at all": (f"{DEF}    return 0", ADD_UP),
    "whole numbers": (BODY.replace(") / (plan.megabits", ") // (plan.megabits"), ADD_UP),
    "copies added": (BODY.replace("plan.entry * plan.copies", "(plan.entry + plan.copies)"), ADD_UP),
    "true": (f"{DEF}    return True", "Return one number"),
    "a text": (f"{DEF}    return '50 %'", "Return one number"),
    "another name": (BODY.replace("plan.times", "plan.merges"), "Your code raises this error"),
    "a plan as a map": (BODY.replace("plan.entry", "plan['entry']"), "Your code raises this error"),
    "nothing for an idle link": (BODY.replace("return ", "return 1 - "), ADD_UP),
}


@pytest.mark.parametrize(("source", "said"), WRONG_SHARES.values(), ids=WRONG_SHARES)
def test_what_is_said_of_a_wrong_share_is_true_of_it(source: str, said: str) -> None:
    """A cause is named only if it explains the answer; else the check says where to begin."""
    checked = judged(source, link_use)
    assert checked.passed is False and said in str(checked), checked


def test_each_mistake_is_another_one() -> None:
    """In the probes no two of them come to the same, and none to what is right."""
    computed = {name: tuple(round(mistake(*probe), 9) for probe in PROBES) for name, (mistake, _) in MISTAKES.items()}
    right = tuple(round(plan.used(writes, nodes), 9) for plan, writes, nodes in PROBES)
    assert len({*computed.values(), right}) == len(MISTAKES) + 1
