"""Attach the picture of the first lesson to its source, as PNG: JupyterLab shows no attached SVG.

python scripts/attach_picture.py        needs Playwright and a Chromium; run scripts/make_notebooks.py afterwards
"""

import os
import shutil
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import nbformat

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "docs" / "architecture.svg"
LESSON = ROOT / "notebooks" / "solutions" / "00_start_here.ipynb"


def drawn_from(picture: Path) -> str:
    """A hash of the drawing, kept beside its PNG, whose bytes differ with the machine's fonts."""
    return sha256(picture.read_bytes()).hexdigest()


def png(picture: Path) -> bytes:
    """The drawing at one and a half times its size, on transparent ground."""
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("ESLAB_CHROMIUM") or shutil.which("chromium") or "chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_context(viewport={"width": 860, "height": 330}, device_scale_factor=1.5).new_page()
        page.goto(picture.as_uri())
        drawing = page.screenshot(omit_background=True)
        browser.close()
    return drawing


if __name__ == "__main__":
    notebook = nbformat.read(LESSON, as_version=4)
    (cell,) = [cell for cell in notebook.cells if "attachments" in cell]
    cell.attachments = {f"{PICTURE.stem}.png": {"image/png": b64encode(png(PICTURE)).decode()}}
    cell.source = cell.source.replace(f"attachment:{PICTURE.stem}.svg", f"attachment:{PICTURE.stem}.png")
    cell.metadata["drawn_from"] = drawn_from(PICTURE)
    LESSON.write_text(nbformat.writes(notebook, indent=1) + "\n", encoding="utf-8")
