"""Errors carry the place that their message names, and survive being copied and sent to another process."""

import ast
import builtins
import copy
import multiprocessing
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import import_module
from inspect import isclass
from signal import Signals
from typing import Any
from uuid import UUID

import pytest

from eslab import EslabError, OutOfTime, Rejected, errors
from tests.support.sample import ROOT, at

KINDS = [kind for kind in vars(errors).values() if isclass(kind) and issubclass(kind, EslabError)]
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
PLACE = {"customer_id": "ann", "aggregate_id": "counter:1", "event_time": at().event_time}


def classes() -> Iterator[tuple[str, ast.ClassDef]]:
    """Every class of the package, with its module; found in the source, since to import all of it takes seconds."""
    for file in sorted((ROOT / "eslab").rglob("*.py")):
        module = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        tree = ast.parse(file.read_text(encoding="utf-8"))
        yield from ((module, node) for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


@cache
def exceptions() -> list[str]:
    """Every exception of the package as `module:name`, those that inherit from another of them too."""
    names = {name for name, it in vars(builtins).items() if isclass(it) and issubclass(it, BaseException)}
    found: set[tuple[str, str]] = set()
    bases = {
        (module, node.name): {ast.unparse(base).rpartition(".")[2] for base in node.bases} for module, node in classes()
    }
    while mine := {one for one in bases if one not in found and names & bases[one]}:
        names |= {name for _, name in mine}
        found |= mine
    return sorted(f"{module}:{name}" for module, name in found)


def refused() -> Exception:
    """A rejection by a rule of the downloads."""
    from eslab.domains.downloads.rules import RULES, Check, Refused

    return Refused(RULES[0], Check(False, "too many", 3, 4, NOON))


def token_refused(kind: Any) -> Exception:
    """A token with claims."""
    from eslab.domains.downloads.drm import Claims

    return kind("too late", "key", Claims("ann", "phone", "glow", UUID(int=1), NOON, NOON))


EXAMPLES: dict[str, Callable[[Any], Exception]] = {
    "OutOfTime": lambda kind: kind("too late", NOON, **PLACE),
    "Rejected": lambda kind: kind("limit", "too many", limit=3, count=4),
    "Refused": lambda kind: refused(),
    "DrmUnavailable": lambda kind: kind("too late", UUID(int=1), timedelta(seconds=3)),
    "TokenRefused": token_refused,
    "Damaged": lambda kind: kind(3, ("one row",)),
    "Stopped": lambda kind: kind(Signals.SIGINT, None, ["02_downloads"]),
}  # the exceptions that take more than a message


def example(name: str) -> Exception:
    """An exception of this class, with all that its constructor takes; add yours to `EXAMPLES` if this fails."""
    module, _, kind = name.partition(":")
    error = EXAMPLES.get(kind, lambda kind: kind("too late"))(getattr(import_module(module), kind))
    error.add_note("seen in region us")
    return error


def seen(error: Exception) -> tuple[Any, ...]:
    """All that can be read of an exception."""
    return type(error), str(error), repr(error), error.args, vars(error)


def fail(name: str) -> None:
    """Raise the example, in a worker."""
    raise example(name)


def test_the_search_finds_all_exceptions() -> None:
    """Of the core and of every room, such as these."""
    assert {f"eslab.errors:{kind.__name__}" for kind in KINDS} < set(exceptions())
    others = {"eslab.event:Rejected", "eslab.lab.runner:Stopped", "eslab.cluster.errors:NodeFailed"}
    assert {*others, "eslab.domains.downloads.rules:Refused", "eslab.cluster.relay:UnknownSender"} < set(exceptions())


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_carries_the_place_that_it_names(kind: type[EslabError]) -> None:
    """Customer, aggregate and event time are attributes, and None unless they are given."""

    def made(**place: Any) -> EslabError:
        return OutOfTime("too late", NOON, **place) if kind is OutOfTime else kind("too late", **place)

    assert {name: getattr(made(), name) for name in PLACE} == dict.fromkeys(PLACE)
    assert {name: getattr(made(**PLACE), name) for name in PLACE} == PLACE


@pytest.mark.parametrize("name", exceptions())
def test_an_error_survives_pickling_and_copying(name: str) -> None:
    """Class, message, attributes and notes arrive as they were sent, by every protocol."""
    sent = example(name)
    protocols = range(pickle.HIGHEST_PROTOCOL + 1)
    received = [pickle.loads(pickle.dumps(sent, protocol)) for protocol in protocols]
    for copied in (*received, copy.copy(sent), copy.deepcopy(sent), copy.copy(received[0])):
        assert seen(copied) == seen(sent)


def test_an_error_of_a_worker_arrives_through_a_process_pool() -> None:
    """One that can't be pickled would break the pool, and with it all other work."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
        raised = {name: pool.submit(fail, name).exception() for name in exceptions()}
    for name, error in raised.items():
        assert isinstance(error, BaseException) and seen(error)[:4] == seen(example(name))[:4]


def test_an_error_of_yours_survives_too() -> None:
    """A rejection or an error of a domain, whatever its constructor takes."""
    sent = Broke(3, of="purse")
    assert seen(pickle.loads(pickle.dumps(sent))) == seen(copy.deepcopy(sent)) == seen(sent)


class Broke(Rejected):
    """A rejection with a constructor of its own."""

    def __init__(self, missing: int, *, of: str) -> None:
        super().__init__("money", f"{missing} are missing in the {of}", limit=0, count=missing)
        self.of = of
