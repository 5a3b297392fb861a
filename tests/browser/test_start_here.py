"""The first lesson as a learner opens it, before any cell has run."""

import shutil

import pytest

from tests.browser.conftest import IDLE, ROOT, check_pictures

pytestmark = [pytest.mark.browser, pytest.mark.full]


def test_the_first_picture_shows(jupyterlab, new_window):
    """It is attached to the text; JupyterLab refuses an attached SVG."""
    address, folder = jupyterlab
    shutil.copy(ROOT / "notebooks" / "00_start_here.ipynb", folder)
    window = new_window(f"{address}lab/tree/00_start_here.ipynb?reset")
    window.settled(IDLE, 90)
    check_pictures(window)
    picture = window.page.get_by_role("img", name="A request with a command reaches the aggregate service")
    assert picture.evaluate("image => image.naturalWidth") == 1290
    assert window.refused == window.errors == []
