"""Mixes the colours of frosting as pigments, which absorb light, and not as lights, which add up.

Each pigment has a reflectance R in 16 bands of the visible spectrum. Absorption over scattering, K/S, follows
from R and adds up in a mixture, weighted by concentration (Kubelka and Munk 1931, in the single-constant form
reviewed by Berns and Mohammadi, Color Res. Appl. 2007). The mixture's R, seen in daylight, gives its sRGB.

The reflectances are the smoothest that have the given sRGB (the third method in Burns, "Numerical methods for
smoothest reflectance reconstruction", Color Res. Appl. 2020): `scripts/make_pigments.py` computes them. A colour
gets the name that is nearest in OKLab (Ottosson 2020), among the names that people use (xkcd colour survey 2010).

Limits: these pigments are invented, not measured; their strengths were chosen by eye, so that equal portions
balance. The model leaves out thin layers, gloss and fluorescence. Only proportions count, never the amount.
"""

import re
from collections.abc import Mapping, Sequence
from math import cbrt, dist, isfinite, sqrt
from operator import mul
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from eslab.errors import InvalidInput


def _row(figures: str) -> tuple[float, ...]:
    return tuple(map(float, figures.split()))


# A row of 16 figures is for 400, 420 .. 700 nm. These are the CIE's: the 2° observer of 1931, and daylight D65.
_OBSERVER = (
    _row(".0143 .1344 .3483 .2908 .0956 .0049 .0633 .2904 .5945 .9163 1.0622 .8545 .4479 .1649 .0468 .0114"),
    _row(".0004 .0040 .0230 .0600 .1390 .3230 .7100 .9540 .9950 .8700 .6310 .3810 .1750 .0610 .0170 .0041"),
    _row(".0679 .6456 1.7471 1.6692 .8130 .2720 .0783 .0203 .0039 .0017 .0008 .0002 .0000 .0000 .0000 .0000"),
)
_DAYLIGHT = _row("82.8 93.4 104.9 117.8 115.9 109.4 104.8 104.4 100 95.8 90.0 87.7 83.7 80.2 78.3 71.6")
_XYZ_TO_RGB = (_row("3.2406 -1.5372 -.4986"), _row("-.9689 1.8758 .0415"), _row(".0557 -.2040 1.0570"))
_RGB_TO_LMS = (_row(".41222 .53633 .05145"), _row(".21190 .68070 .10740"), _row(".08830 .28172 .62998"))
_LMS_TO_LAB = (_row(".21045 .79362 -.00407"), _row("1.97800 -2.42859 .45059"), _row(".02590 .78277 -.80868"))


class Colour(msgspec.Struct, frozen=True):
    """A colour that the eye sees, as sRGB `#rrggbb`."""

    hex: str

    def __post_init__(self) -> None:
        if not re.fullmatch("#[0-9a-f]{6}", self.hex):
            raise InvalidInput(f"Expected a colour as #rrggbb in lower case, got {self.hex!r}.")


class Pigment(NamedTuple):
    """A food colour: its pure look, the strength of one portion, and its reflectance in each band."""

    colour: Colour
    strength: float
    reflectance: Sequence[float]


def _pigment(look: str, strength: float, reflectance: str) -> Pigment:
    return Pigment(Colour(look), strength, [thousandths / 1000 for thousandths in _row(reflectance)])


# fmt: off
# Cream is weak, so that one portion of a colour tints a bowl of it; white is strong, as titanium white is.
PIGMENTS: Mapping[str, Pigment] = MappingProxyType({
    "cream": _pigment("#fff4dc", .1, "718 718 721 736 769 814 863 905 935 953 962 967 968 969 969 969"),
    "red": _pigment("#ec2a55", .7, "155 153 132 83 47 30 24 28 53 174 601 831 886 899 902 903"),
    "yellow": _pigment("#ffe52e", 2.6, "61 62 68 96 191 413 672 811 869 892 900 903 904 904 904 904"),
    "blue": _pigment("#2a62f0", .8, "880 879 867 810 644 385 200 120 89 77 73 72 72 72 72 72"),
    "white": _pigment("#fcfcfa", 4, "954 954 955 958 963 968 971 973 974 974 973 973 972 972 972 972"),
})
BASE = "cream"  # the content of an untouched bowl
SHELF: Mapping[str, Pigment] = MappingProxyType({name: PIGMENTS[name] for name in PIGMENTS if name != BASE})

# The survey's cream is nearly yellow, so this one is our own; frosting is pale, so its brown is "cinnamon".
NAMES: Mapping[str, Colour] = MappingProxyType({name: Colour(look) for name, look in {
    "cream": "#fff4dc", "white": "#ffffff", "red": "#e50000", "pink": "#ff81c0", "orange": "#f97306",
    "yellow": "#ffff14", "green": "#15b01a", "blue": "#0343df", "sky blue": "#75bbfd", "purple": "#7e1e9c",
    "brown": "#ac4f06",
}.items()})
RECIPES: Mapping[str, Mapping[str, int]] = MappingProxyType({
    name: MappingProxyType(dict.fromkeys(colours.split(), 1)) for name, colours in {
        "cream": "", "white": "white", "red": "red", "pink": "red white", "orange": "red yellow",
        "yellow": "yellow", "green": "yellow blue", "blue": "blue", "sky blue": "blue white",
        "purple": "red blue", "brown": "red yellow blue",
    }.items()
})
# fmt: on


def mix(portions: Mapping[str, int | float]) -> Colour:
    """The colour of frosting with these portions stirred in; cream if there are none.

    The order of portions does not matter, nor does multiplying all of them. Raises `InvalidInput` for a colour that
    is not among `PIGMENTS`, and for a portion that is negative or infinite.
    """
    shares = weights(portions)
    total = sum(shares.values())
    curves = [[weight * _absorption(r) for r in PIGMENTS[name].reflectance] for name, weight in shares.items()]
    return seen([_reflectance(sum(band) / total) for band in zip(*curves, strict=True)])


def weights(portions: Mapping[str, int | float]) -> dict[str, float]:
    """The weight of each pigment in a mixture: its share of the portions, times its strength.

    Weights are in the order of `PIGMENTS` and computed from shares, so that equal bowls are equal to the last bit.
    Raises the same errors as `mix`.
    """
    if unknown := portions.keys() - PIGMENTS.keys():
        raise InvalidInput(f"Expected colours among {', '.join(PIGMENTS)}, got {', '.join(sorted(unknown))}.")
    for name, amount in portions.items():
        if not (isfinite(amount) and amount >= 0):
            raise InvalidInput(f"Expected a portion of {name} of zero or more, got {amount!r}.")
    total = sum(portions[name] for name in PIGMENTS if name in portions)
    if not total:
        return {BASE: 1.0}
    return {name: portions[name] / total * pigment.strength for name, pigment in PIGMENTS.items() if portions.get(name)}


def seen(reflectance: Sequence[float]) -> Colour:
    """The colour of a surface with this reflectance in each band, seen in daylight; white light is sRGB white."""
    linear = [_dot(eye, reflectance) for eye in EYES]
    # A mixture may lie outside of sRGB, so its channels are clipped.
    clipped = [min(max(light, 0.0), 1.0) for light in linear]
    return Colour("#" + "".join(f"{round(255 * _encoded(light)):02x}" for light in clipped))


def name_of(colour: Colour) -> str:
    """The baker's name for the colour: the nearest of `NAMES`, by Euclidean distance in OKLab."""
    place = _oklab(colour)
    return min(NAMES, key=lambda name: dist(place, _oklab(NAMES[name])))


def linear_rgb(colour: Colour) -> list[float]:
    """Red, green and blue as amounts of light, 0 to 1 (IEC 61966-2-1)."""
    channels = [int(colour.hex[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]


def _absorption(reflectance: float) -> float:
    return (1 - reflectance) ** 2 / (2 * reflectance)


def _reflectance(absorption: float) -> float:
    return 1 + absorption - sqrt(absorption * (absorption + 2))


def _dot(left: Sequence[float], right: Sequence[float]) -> float:
    return sum(map(mul, left, right))


def _times(matrix: Sequence[Sequence[float]], vector: Sequence[float]) -> list[float]:
    return [_dot(row, vector) for row in matrix]


def _encoded(light: float) -> float:
    return 12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055


def _oklab(colour: Colour) -> list[float]:
    return _times(_LMS_TO_LAB, [cbrt(cone) for cone in _times(_RGB_TO_LMS, linear_rgb(colour))])


def _eyes() -> list[list[float]]:
    """The share of each band in each sRGB channel, scaled so that a perfect white is 1 in all three."""
    lit = [list(map(mul, curve, _DAYLIGHT)) for curve in _OBSERVER]
    rows = [[_dot(channel, band) for band in zip(*lit, strict=True)] for channel in _XYZ_TO_RGB]
    return [[weight / sum(row) for weight in row] for row in rows]


EYES = _eyes()
