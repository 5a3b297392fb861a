"""A mistake in a domain's class, or in a call of it, is named where it is made, with what to write instead."""

import copy
import inspect
import pickle
from typing import Any, ClassVar

import msgspec
import pytest

from eslab import Aggregate, Command, Event, InvalidInput
from eslab.declared import check_options, defined_again, members
from eslab.payload.serializer import check_type
from tests.support.sample import Count, Counted, Counter, Stamped, Voided

BASES = (Event, Command, Aggregate)
BY_NAME = "fields.* are stored by name"
OPTIONS: list[tuple[type, dict[str, Any], str]] = [
    *((base, {"array_like": True}, BY_NAME) for base in BASES),
    *((base, {"tag_field": "kind"}, 'stored under "type"') for base in BASES[:2]),
    *((base, {"tag": False}, "tag_field='type' in the class Told, got tag_field=None") for base in BASES[:2]),
    *((base, {"frozen": False}, "what happened, or was wished, can't change") for base in BASES[:2]),
    *((base, {"eq": False}, "equal if their fields are") for base in BASES[:2]),
    (Event, {"omit_defaults": True}, "would change old events"),
    (Command, {"omit_defaults": False}, "turn repeats of older requests into conflicts"),
    (Event, {"forbid_unknown_fields": True}, "old events may have fields that were removed since"),
    (Aggregate, {"forbid_unknown_fields": False}, "a snapshot with other fields is passed over"),
    (Event, {"rename": {"told": "type"}}, 'names than "type" in the class Told'),
    (Event, {"dict": True}, "msgspec refuses: Cannot set gc=False and dict=True"),
    (Aggregate, {"colour": 1}, "keyword argument"),
]


def told(base: type, options: dict[str, Any]) -> Any:
    """A class with one field, made with these options of msgspec."""

    class Told(base, **options):
        told: int = 0

    return Told


@pytest.mark.parametrize(("base", "options", "message"), OPTIONS, ids=str)
def test_an_option_that_does_not_fit_is_refused_where_the_class_is_made(
    base: type, options: dict[str, Any], message: str
) -> None:
    """It would be written, and never be read again, or not as what it was."""
    with pytest.raises(InvalidInput, match=message):
        told(base, options)


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("option", ["kw_only", "order", "repr_omit_defaults", "gc"])
def test_options_that_change_nothing_stored_are_allowed(base: Any, option: str) -> None:
    """The order of instances, their repr, how they are made."""
    assert told(base, {option: True})(told=1).told == 1


def test_a_class_made_by_defstruct_is_checked_when_it_is_first_used() -> None:
    """msgspec makes it without asking; everything else works as in a class statement."""
    made: Any = msgspec.defstruct("Told", [("what", str), ("amount", int, 1)], bases=(Counted,), frozen=True)
    assert made("tea") == made("tea", 1)
    odd: Any = msgspec.defstruct("Told", [("what", str)], bases=(Event,), array_like=True, frozen=True)
    with pytest.raises(InvalidInput, match=BY_NAME):
        check_type(odd)
    with pytest.raises(InvalidInput, match=BY_NAME):
        check_options(odd)


def test_a_field_without_a_default_comes_first() -> None:
    """The advice is to give a default or to move it, not to make every field a keyword."""
    with pytest.raises(InvalidInput) as caught:

        class Priced(Event):
            currency: str = "EUR"
            cents: int  # type: ignore[misc]

    assert str(caught.value) == (
        "Expected a default for the field cents in the class Priced, got none after a field that has one. "
        "Write `cents: ... = ...`, or move it above the fields with a default."
    )


def test_a_field_named_type_is_refused() -> None:
    """The class's own name is stored there."""
    base: Any
    for base in BASES[:2]:
        with pytest.raises(InvalidInput, match=r'names than "type" in the class Told, got one: .* Rename the field'):

            class Told(base):
                type: str


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("value", [0, "red", [], {}, None])
def test_a_value_without_an_annotation_is_refused(base: Any, value: Any) -> None:
    """It would be no field: all instances would share it, and nothing would be stored."""
    with pytest.raises(InvalidInput, match=r"Expected a type for told in the class Told, got told = .*Write `told: "):

        class Told(base):
            told = value


def test_constants_methods_and_settings_need_no_annotation() -> None:
    """Only data under a plain name is taken for a forgotten field."""

    class Told(Aggregate):
        LIMIT = 3
        stored_as = "tale"
        _cache = ()
        told: int = 0

        def apply(self, event: Counted) -> None: ...

        @property
        def twice(self) -> int:
            return 2 * self.told

    assert (Told().twice, Told.LIMIT, Told.stored_as) == (0, 3, "tale")


def test_a_field_cannot_hide_a_setting_or_a_method() -> None:
    """Such as `stored_as: str`, which would be a field of every state and no setting of the class."""
    with pytest.raises(InvalidInput, match=r"another name for the field stored_as .* write `stored_as = ...` without"):

        class Told(Aggregate):
            stored_as: str = "tale"  # type: ignore[misc]

    class Fine(Aggregate):
        stored_as: ClassVar[str] = "tale"


@pytest.mark.parametrize(
    ("cls", "args", "values", "message"),
    [
        (
            Counted,
            (),
            {},
            "Expected Counted(what: str, amount: int = 1), got Counted(): Missing required argument 'what'.",
        ),
        (
            Count,
            ("tea", 1, 2),
            {},
            "Expected Count(what: str, amount: int = 1), got Count('tea', 1, 2): Extra positional ",
        ),
        (Counted, (), {"waht": "tea"}, "got Counted(waht='tea'): "),
        (Counter, (1, 2, 3), {}, "got Counter(1, 2, 3): Extra positional arguments provided."),
    ],
)
def test_wrong_arguments_show_the_call_that_was_expected(cls: Any, args: Any, values: Any, message: str) -> None:
    """And the one that was written."""
    with pytest.raises(InvalidInput) as caught:
        cls(*args, **values)
    assert message in str(caught.value)


def test_an_error_of_the_class_itself_stays_as_it_is() -> None:
    """Only the call is checked; what `__post_init__` raises is the domain's own."""

    class Picky(Event):
        def __post_init__(self) -> None:
            raise TypeError("my own")

    with pytest.raises(TypeError, match="my own"):
        Picky()


def test_instances_and_signatures_are_those_of_msgspec() -> None:
    """Copies, pickles, and what a notebook shows behind a class's name."""
    event = Counted("tea", 2)
    assert copy.copy(event) == pickle.loads(pickle.dumps(event)) == msgspec.structs.replace(event) == event
    assert str(inspect.signature(Counted)) == "(what: str, amount: int = 1)"


def test_the_members_of_a_union() -> None:
    """Unions inside unions are one; anything else is itself."""
    assert [*members(Counted | (Voided | Stamped))] == [Counted, Voided, Stamped]
    assert [*members(Counted)] == [Counted]
    assert [*members(None)] == [None]


def test_a_class_that_was_defined_again_has_the_name_of_another() -> None:
    """In the same module and under the same qualified name."""
    again = [told(Event, {}) for _ in range(2)]
    assert defined_again(again[1], again[:1])
    assert not defined_again(again[0], again[:1])
    assert not defined_again(again[0], [Counted])
