"""Lesson 02: the command desk, with pickers for a command, buttons that send it, and the answer below."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from html import escape
from typing import Any
from uuid import UUID

import ipywidgets

from eslab import Request
from eslab.domains.downloads.commands import DownloadCommand, Release, Renew, RequestDownload, StartPlayback
from eslab.domains.downloads.devices import ALL, Devices, DownloadHeld
from eslab.domains.downloads.service import DownloadService
from eslab.errors import EslabError
from eslab.lab.lessons.downloads import Tried, attempt, in_words, rules_in_words, rules_table
from eslab.lab.session import Lab
from eslab.lab.tables import html_table
from eslab.lab.widgets import Desk

CUSTOMERS = ("ann", "bob", "cleo", "dan", "eve")
DEVICES = ("phone", "tablet", "laptop", "tv")
TITLES = ("glow", "bolt", "amadeus", "casablanca", "12-angry-men")  # five studios with five kinds of rules
PLANS = ("basic", "standard", "premium")
COUNTRIES = ("US", "DE", "JP", "AQ")
LATER = {"a minute": timedelta(minutes=1), "a day": timedelta(days=1), "a month": timedelta(days=31),
         "a year": timedelta(days=366)}  # fmt: skip
DOWNLOAD, PLAY, RENEW, RELEASE = "Request download", "Play", "Renew", "Release"
AGAIN = "Send the same request again"
WIDE = {"description_width": "7em"}


class CommandDesk(Desk):
    """A desk that sends commands; when it opens, it requests the download that the pickers show.

    Each command advances the clock by the chosen time and is a new request. `AGAIN` sends the last request once more,
    as a phone does that never received the answer. Moving a picker shows the rules' checks and sends nothing.
    """

    def __init__(self, downloads: DownloadService, lab: Lab, customer: str, device: str, title: str) -> None:
        self.downloads = downloads
        self.lab = lab
        self.journal: list[Tried] = []
        self.customer = _picker("customer", CUSTOMERS, customer)
        self.device = _picker("device", DEVICES, device)
        self.title = _picker("title", TITLES, title)
        self.plan = _picker("plan", PLANS, "standard")
        self.country = _picker("country", COUNTRIES, "US")
        self.later = _picker("wait first", tuple(LATER), "a minute")
        self.licence = _picker("licence", (), None, {"width": "42em", "max_width": "100%"})
        self.buttons = {name: ipywidgets.Button(description=name, layout={"width": "auto"}) for name in _names()}
        self.told = ipywidgets.HTML()
        self.sent = ipywidgets.HTML()
        super().__init__([*self._rows(), self.told, self.sent])

        for picker in (self.customer, self.device, self.title, self.plan, self.country):
            picker.observe(lambda _: self._say_errors(self.preview), names="value")
        for name, button in self.buttons.items():
            button.on_click(lambda _, name=name: self._say_errors(lambda: self.press(name)))
        self.press(DOWNLOAD)

    def press(self, name: str) -> None:
        """Act as if the button of this name were pressed."""
        if name == AGAIN:
            last = self.journal[-1]
            self.lab.clock.advance(LATER[self.later.value])
            self._try(last.customer, last.command, last.request)
        else:
            self._try(self.customer.value, self._command(name), self.lab.request(LATER[self.later.value]))

    def preview(self) -> None:
        """Show the rules' checks for the download in the pickers; decides and writes nothing."""
        self._show_licences()
        command = self._command(DOWNLOAD)
        now = Request.at(self.lab.clock(), "preview")
        checks = self.downloads.explain(self.customer.value, command, now)
        rules = rules_in_words(checks)
        words = f"<p><b>Not sent yet.</b> The rules about {escape(in_words(command))}: {escape(rules)}.</p>"
        self.told.value = _announced(words) + rules_table(checks)

    def _say_errors(self, act: Callable[[], None]) -> None:
        """Run a callback and show its error in the desk; Jupyter would only log it."""
        try:
            act()
        except EslabError as error:
            self.told.value = _announced(html_table([{f"✗ {type(error).__name__}": str(error)}]))

    def _try(self, customer: str, command: DownloadCommand, request: Request) -> None:
        tried = attempt(self.downloads, customer, command, request)
        self.journal.append(tried)
        self._show_licences()
        sent = escape(f"{customer}: {in_words(command)}")
        self.told.value = _announced(f"<p>{sent}</p>{tried.told}") + tried.details
        lines = [tried.line for tried in reversed(self.journal)]
        self.sent.value = f"<p>Commands sent from this desk, newest first:</p>{html_table(lines)}"

    def _command(self, name: str) -> DownloadCommand:
        if name == DOWNLOAD:
            return RequestDownload(self.device.value, self.title.value, self.plan.value, self.country.value)
        hold: DownloadHeld = self.licence.value
        if name == RENEW:
            return Renew(hold.device, hold.title, hold.license_id, self.plan.value, self.country.value)
        return {PLAY: StartPlayback, RELEASE: Release}[name](hold.device, hold.title, hold.license_id)

    def _show_licences(self) -> None:
        """Offer the customer's licences; keep the choice until there is a newer licence or another customer."""
        chosen = self.licence.value
        number = len(self.licence.options)
        devices = self.downloads.repository.load(self.customer.value, Devices, ALL)
        on_device = {hold.license_id for hold in devices.held}
        newest_first = sorted(devices.holds.values(), key=lambda hold: hold.time, reverse=True)
        self.licence.options = [(_name(hold, on_device), hold) for hold in newest_first] or [("none yet", None)]
        same = number == len(newest_first) and chosen in newest_first
        self.licence.index = newest_first.index(chosen) if same else 0
        for name in (PLAY, RENEW, RELEASE):
            self.buttons[name].disabled = not newest_first

    def _rows(self) -> list[ipywidgets.HBox]:
        """The controls, in the order in which the Tab key meets them."""
        command = [self.customer, self.device, self.title, self.plan, self.country, self.later]
        sending = [self.buttons[DOWNLOAD], self.buttons[AGAIN]]
        by_licence = [self.buttons[name] for name in (PLAY, RENEW, RELEASE)]
        wrapped = {"flex_flow": "row wrap"}
        return [ipywidgets.HBox(row, layout=wrapped) for row in (command, sending, [self.licence, *by_licence])]


def _names() -> tuple[str, ...]:
    return (DOWNLOAD, AGAIN, PLAY, RENEW, RELEASE)


def _picker(name: str, options: tuple[str, ...], value: str | None, layout: Mapping[str, str] | None = None) -> Any:
    return ipywidgets.Dropdown(options=options, value=value, description=name, style=WIDE, layout=layout or {})


def _name(hold: DownloadHeld, on_device: set[UUID]) -> str:
    state = "on the device" if hold.license_id in on_device else "gone"
    return f"{hold.title} on {hold.device}, {hold.time:%Y-%m-%d %H:%M}, {state}"


def _announced(html: str) -> str:
    """HTML that a screen reader reads out when it changes."""
    return f'<div role="status">{html}</div>'
