"""Advice about an error that a reader's function raises: in which line, and what such an error usually comes from."""

import inspect
import linecache
from collections.abc import Callable, Sequence
from traceback import walk_tb
from typing import Any

from eslab.display import quantity

RAISES = "Your code raises this error"


def advice(function: Callable[..., Any], arguments: Sequence[Any], error: BaseException) -> str:
    """A few sentences to whoever wrote the function. They say nothing about what its result should be."""
    if not _takes(function, arguments):
        return f"The check calls your function with {quantity(len(arguments), 'argument')}, like the stub's."
    line = _line(function, error)
    where = f" in the line `{line}`" if line else ""
    return f"{RAISES}{where}. {_usual(error)}".strip()


def _takes(function: Callable[..., Any], arguments: Sequence[Any]) -> bool:
    """Can the function be called with so many arguments?"""
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError:
        return False
    except ValueError:  # nobody knows
        return True
    return True


def _line(function: Callable[..., Any], error: BaseException) -> str:
    """The line of the function's own notebook or module in which the error came up; empty if its text is unknown."""
    code = function if inspect.isroutine(function) else type(function).__call__
    there = getattr(inspect.unwrap(code), "__globals__", None)
    own = [(frame, number) for frame, number in walk_tb(error.__traceback__) if frame.f_globals is there]
    if not own:
        return ""
    frame, number = own[-1]
    return linecache.getline(frame.f_code.co_filename, number, frame.f_globals).strip()


def _usual(error: BaseException) -> str:
    """What an error of this type usually comes from; empty if its own message is as good."""
    match error:
        case UnboundLocalError():
            return "A function that gives a name a value has that name for itself, and here it has no value yet."
        case NameError():
            return f"Python doesn't know the name {error.name}: import it, define it, or correct its spelling."
        case KeyError():
            return "The map has no such key: `.get(key, default)` gives a default instead."
        case RecursionError():
            return "The function calls itself without an end."
    return ""
