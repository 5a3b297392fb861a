"""A real browser that reaches nothing but this machine, and a real JupyterLab with the project's settings."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).parent.parent.parent
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = ("no-sandbox", "disable-gpu", "disable-background-networking", "disable-component-update", "disable-sync")
HERE = {"127.0.0.1", "localhost"}
IDLE = "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser to drive."""
    found = os.environ.get("ESLAB_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if not found:
        pytest.skip(f"Expected one of {', '.join(NAMES)} on PATH, found none. Install one or set ESLAB_CHROMIUM.")
    return found


@pytest.fixture(scope="package")  # its event loop counts as running until it is closed; later tests need their own
def browser(chromium: str) -> Iterator:
    """A browser with a profile of its own, both gone after the last test of this package."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=[f"--{name}" for name in ARGUMENTS])
        yield browser
        browser.close()


class Window:
    """A page, what it asked of the network beyond this machine (nothing was let out), and its errors."""

    def __init__(self, browser, **options) -> None:
        self.context = browser.new_context(viewport={"width": 1280, "height": 1400}, **options)
        self.refused: list[str] = []
        self.errors: list[str] = []
        self.context.route(lambda url: urlsplit(url).scheme in ("http", "https", "ws", "wss"), self._decide)
        self.page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _decide(self, route) -> None:
        if urlsplit(route.request.url).hostname in HERE:
            route.continue_()
        else:
            self.refused.append(route.request.url)
            route.abort()

    def settled(self, script: str, seconds: float = 60) -> None:
        """Wait until this is true of the page."""
        self.page.wait_for_function(script, timeout=seconds * 1000)

    def command(self, name: str, **arguments: object) -> None:
        """Let JupyterLab do what one of its menus does."""
        self.page.evaluate(
            "([name, arguments]) => window.jupyterapp.commands.execute(name, arguments)", [name, arguments]
        )

    def desk(self, control):
        """The desk that has this control, which is scrolled into view."""
        control.scroll_into_view_if_needed()
        return self.page.locator(".eslab-desk").filter(has=control)

    def picture(self, name: str) -> None:
        """Keep what the window shows, for people: build/browser/NAME.png."""
        (ROOT / "build/browser").mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=ROOT / "build/browser" / f"{name}.png")


@pytest.fixture(scope="module")
def new_window(browser) -> Iterator[Callable[..., Window]]:
    """Open windows; they are closed after the module's last test."""
    opened: list[Window] = []

    def open_window(url: str, **options) -> Window:
        opened.append(Window(browser, **options))
        opened[-1].page.goto(url)
        return opened[-1]

    yield open_window
    for window in opened:
        window.context.close()


@pytest.fixture(scope="module")
def lesson(request, jupyterlab, new_window) -> Window:
    """The lesson that the module names as LESSON, run to its end; SECONDS says how long that may take."""
    address, folder = jupyterlab
    name = f"{request.module.LESSON}.ipynb"
    shutil.copy(ROOT / "notebooks" / name, folder)
    window = new_window(f"{address}lab/tree/{name}?reset")
    window.settled(IDLE, 90)
    window.command("notebook:run-all-cells")
    seconds = getattr(request.module, "SECONDS", 90)
    window.page.get_by_role("heading", name="What to keep").wait_for(timeout=seconds * 1000)
    return window


def check_it_ran(lesson: Window) -> None:
    """No traceback, no broken picture, no script error, no request to the outside."""
    check_pictures(lesson)
    assert lesson.page.locator(".jp-RenderedText[data-mime-type*=stderr]").count() == 0
    assert lesson.refused == lesson.errors == []


def check_pictures(window: Window) -> None:
    """Every picture of the notebook has loaded, also in folded sections.

    Cells that are out of view aren't drawn, so each is scrolled to.
    """
    window.command("notebook:expand-all-headings")
    notebook = "window.jupyterapp.shell.currentWidget.content"
    for number in range(window.page.evaluate(f"{notebook}.widgets.length")):
        window.page.evaluate(f"{notebook}.scrollToItem({number})")
        window.page.locator(f".jp-Cell[data-windowed-list-index='{number}']").wait_for()
        window.settled("[...document.images].every(image => image.hidden || image.naturalWidth > 0)")
        assert window.page.get_by_text("Cannot render").count() == 0


@pytest.fixture(scope="module")
def jupyterlab(chromium: str, tmp_path_factory) -> Iterator[tuple[str, Path]]:
    """A JupyterLab as `make lab` starts it, on an empty folder, with nobody's own settings: its address, its folder."""
    home, folder = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("lessons")
    own = {f"JUPYTER_{name}_DIR": str(home / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    environment = {**os.environ, **own, "IPYTHONDIR": str(home), "JUPYTER_CONFIG_PATH": str(ROOT / ".jupyter")}
    options = [
        "--no-browser",
        "--allow-root",
        "--port=0",
        "--IdentityProvider.token=",
        "--LabApp.expose_app_in_browser=1",
    ]
    log = home / "server.log"
    with log.open("w") as output:
        command = [sys.executable, "-m", "jupyterlab", *options]
        server = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield _address(home / "runtime", log), folder
    finally:
        server.terminate()
        try:
            server.wait(20)
        finally:
            _kill_session(server.pid)


def _address(runtime: Path, log: Path) -> str:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for info in runtime.glob("jpserver-*.json"):
            url = json.loads(info.read_text() or "{}").get("url", "").replace("localhost", "127.0.0.1")
            try:
                urllib.request.urlopen(f"{url}api/status", timeout=5).close()
            except (OSError, ValueError):
                continue
            return url
        time.sleep(0.2)
    raise AssertionError(f"Expected JupyterLab to answer within 60 s, found:\n{log.read_text()}")


def _kill_session(leader: int) -> None:
    """End whatever the server started and left behind: kernels run in process groups of its session."""
    import psutil

    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == leader:
                os.kill(process.pid, signal.SIGKILL)
        except OSError:
            continue
