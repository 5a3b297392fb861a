"""The metaclass of events, commands and aggregates: it names a mistake in a class, or in a call of it, on the spot.

msgspec makes the class. This module only checks it, and says in the words of a domain what msgspec can't accept.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from types import SimpleNamespace, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec

from eslab.errors import InvalidInput

Options = Mapping[str, tuple[Any, str]]  # by the option of msgspec.Struct: the value that it must have, and why
_make = msgspec.StructMeta.__call__  # named once, since every event and command is made by it
DATA = (str, bytes, int, float, list, dict, set, frozenset, tuple, type(None))


class Declared(msgspec.StructMeta):
    """Makes a class of a domain; raises `InvalidInput` for one that could not be stored and read back."""

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any) -> Any:
        """Make the class; a mistake that msgspec finds becomes an `InvalidInput` that names the class."""
        # msgspec.defstruct comes here with the slots that it made; msgspec makes them once more, and accepts none.
        namespace = {key: value for key, value in namespace.items() if key != "__slots__"}
        _check_annotations(name, bases, namespace)
        try:
            return super().__new__(mcs, name, bases, namespace, **options)
        except (TypeError, ValueError) as error:
            raise InvalidInput(_class_message(name, error)) from None

    def __init__(cls, *args: Any, **options: Any) -> None:
        super().__init__(*args)
        _check_names(cls)
        check_options(cls)

    if not TYPE_CHECKING:  # type checkers look at the fields of the class instead

        def __call__(cls, *args: Any, **values: Any) -> Any:
            """Make an instance; wrong arguments are an `InvalidInput` with the call that was expected."""
            try:
                return _make(cls, *args, **values)
            except TypeError as error:
                if error.__traceback__.tb_next:  # raised by the class's own code
                    raise
                raise InvalidInput(
                    f"Expected {cls.__name__}{cls.__signature__}, got {_call(cls.__name__, args, values)}: {error}."
                ) from None


def check_options(cls: msgspec.StructMeta) -> None:
    """Refuse a class with an option of msgspec that its base doesn't allow."""
    options: Options = getattr(cls, "_options", {})
    for option, (expected, reason) in options.items():
        found = getattr(cls.__struct_config__, option)
        if found != expected:
            raise InvalidInput(
                f"Expected {option}={expected!r} in the class {cls.__name__}, got {option}={found!r}: {reason}. "
                "Leave the option out."
            )


def annotation_of(function: Callable[..., Any], name: str) -> Any:
    """The annotation of one parameter, resolved; raises `NameError` if it names what its module doesn't define."""
    only = SimpleNamespace(__annotations__={name: function.__annotations__.get(name)})
    return get_type_hints(only, globalns=getattr(function, "__globals__", {})).get(name)


def members(annotation: Any) -> Iterator[Any]:
    """The members of a union, those of unions and type aliases inside it too; or what is no union."""
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        for member in get_args(annotation):
            yield from members(member)
    elif origin is Annotated:
        yield from members(get_args(annotation)[0])
    elif hasattr(annotation, "__value__"):  # type Change = Added | Removed, since Python 3.12
        yield from members(annotation.__value__)
    else:
        yield annotation


def defined_again(cls: type, known: Collection[type]) -> bool:
    """Is the class none of the known ones, but has the name of one? In a notebook, a cell that defines it ran again."""
    return cls not in known and (cls.__module__, cls.__qualname__) in {(it.__module__, it.__qualname__) for it in known}


def _check_annotations(name: str, bases: Iterable[type], namespace: Mapping[str, Any]) -> None:
    """Refuse data without an annotation: it would be no field, but one value shared by all instances."""
    annotated = namespace.get("__annotations__", {})
    for key, value in namespace.items():
        inherited = any(hasattr(base, key) and key not in getattr(base, "__struct_fields__", ()) for base in bases)
        if isinstance(value, DATA) and not (key.startswith("_") or key.isupper() or key in annotated or inherited):
            raise InvalidInput(
                f"Expected a type for {key} in the class {name}, got {key} = {value!r}. Write "
                f"`{key}: {type(value).__name__} = {value!r}` for a field, or a name in capitals for a constant."
            )


def _check_names(cls: msgspec.StructMeta) -> None:
    """Refuse a field that hides a setting or a method of the class that it inherits from."""
    for field in cls.__struct_fields__:
        for base in cls.__mro__[1:]:
            if hasattr(base, field) and field not in getattr(base, "__struct_fields__", ()):
                raise InvalidInput(
                    f"Expected another name for the field {field} in the class {cls.__name__}, got one that "
                    f"{base.__name__} has. To set what is in {base.__name__}, write `{field} = ...` without a type."
                )


def _class_message(name: str, error: Exception) -> str:
    if late := re.search("Required field '(.*)' cannot follow optional fields", str(error)):
        return (
            f"Expected a default for the field {late[1]} in the class {name}, got none after a field that has one. "
            f"Write `{late[1]}: ... = ...`, or move it above the fields with a default."
        )
    if "conflicts with an existing field" in str(error):
        return (
            f'Expected fields with other names than "type" in the class {name}, got one: the name of the class is '
            "stored under it. Rename the field."
        )
    return f"Expected a class {name} whose instances can be stored, got one that msgspec refuses: {error}"


def _call(name: str, args: tuple[Any, ...], values: Mapping[str, Any]) -> str:
    given = [*map(repr, args), *(f"{key}={value!r}" for key, value in values.items())]
    return f"{name}({', '.join(given)})"
