"""The bakery: frosting starts as cream, and colours go in but never come out.

A command is a wish. `AddColor("red")` becomes one event. `MakeColor("purple")` names a goal and becomes the events
that are still needed: two on cream, one on red, none on purple. On green it is rejected, because colour can't be
extracted.

    ids        frosting:KEY, within a customer
    events     ColorAdded
    commands   AddColor, MakeColor
    aggregate  Frosting
    handler    handle, a pure function; still_needed
    service    AggregateService(store, Frosting, handle, clock)
"""

from eslab import Aggregate, AggregateService, Clock, Command, Event, EventStore, Rejected, Request
from eslab.domains import pigment
from eslab.errors import InvalidInput

BOWL = 12  # the portions of colour that a bowl of cream holds


# The names of events and fields are stored; rename a class only with tag= holding the old name.
class ColorAdded(Event):
    """One portion of a colour was added to the bowl."""

    color: str


class AddColor(Command):
    """Add one portion of a colour from the shelf."""

    color: str


class MakeColor(Command):
    """Make the frosting this colour, by adding whatever is still needed."""

    color: str


class Frosting(Aggregate):
    """A bowl of frosting: the portions of each colour in the cream."""

    # A sum for each colour, so that `apply` commutes: the same events in any order make the same frosting.
    portions: dict[str, int] = {}

    def apply(self, event: ColorAdded) -> None:
        self.portions[event.color] = self.portions.get(event.color, 0) + 1

    @property
    def hex(self) -> str:
        """The colour that the eye sees, as #rrggbb."""
        return self._mixture.hex

    @property
    def name(self) -> str:
        """The baker's name for the colour."""
        return pigment.name_of(self._mixture)

    @property
    def _mixture(self) -> pigment.Colour:
        return pigment.mix({pigment.BASE: 1, **self.portions})


def handle(frosting: Frosting, command: AddColor | MakeColor, request: Request) -> list[ColorAdded]:
    """Decide which events fulfil the command, given the frosting; raises `Rejected` if a rule forbids it."""
    match command:
        case AddColor(color):
            needed = [color]
        case MakeColor(color):
            needed = still_needed(frosting, color)
        case _:
            raise InvalidInput(f"Expected AddColor or MakeColor, got {command!r}.")
    for color in needed:
        if color not in pigment.SHELF:
            raise Rejected("shelf", f"there is no {color} on the shelf, only {', '.join(pigment.SHELF)}")
    count = sum(frosting.portions.values()) + len(needed)
    if count > BOWL:
        raise Rejected("bowl", "the bowl is too small", limit=BOWL, count=count)
    return [ColorAdded(color) for color in needed]


def still_needed(frosting: Frosting, goal: str) -> list[str]:
    """The colours that turn the frosting into the goal; none if it is reached already.

    Raises `Rejected` if no colours can do that.
    """
    if frosting.name == goal:
        return []
    if goal not in pigment.RECIPES:
        raise Rejected("recipe", f"nobody here knows how to make {goal}, only {', '.join(pigment.RECIPES)}")
    recipe = pigment.RECIPES[goal]
    if extra := sorted(frosting.portions.keys() - recipe.keys()):
        raise Rejected("mixing", f"the recipe for {goal} has no {' or '.join(extra)}, and colour can't be extracted")
    # The smallest multiple of the recipe that uses up what is in the bowl; -(-a // b) divides and rounds up.
    times = max((-(-n // recipe[color]) for color, n in frosting.portions.items()), default=1)
    return [color for color, n in recipe.items() for _ in range(n * times - frosting.portions.get(color, 0))]


def open_bakery(store: EventStore, clock: Clock) -> AggregateService[Frosting]:
    """Open the bakery's service on a store."""
    return AggregateService(store, Frosting, handle, clock)
