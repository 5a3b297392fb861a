"""The pigments' reflectances are what their script computes."""

import runpy
from pathlib import Path

import pytest

from eslab.domains.pigment import PIGMENTS

smoothest = runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "make_pigments.py"))["smoothest"]


@pytest.mark.parametrize("name", PIGMENTS)
def test_run_again_it_gives_the_same_curves(name: str) -> None:
    """Same colour, same curve."""
    assert smoothest(PIGMENTS[name].colour) == list(PIGMENTS[name].reflectance)
