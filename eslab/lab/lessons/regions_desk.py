"""Lesson 08: a desk with a map, whose links the reader cuts and heals, and buttons that sell, wait and mend."""

from collections.abc import Callable
from html import escape
from typing import Any

import ipywidgets

from eslab.errors import EslabError
from eslab.lab.lessons.region_map import region_map, steps_table
from eslab.lab.lessons.regions import LINKS, NAMES, Regions, both_sides_sell, told
from eslab.lab.lessons.simulated_regions import SimulatedRegions
from eslab.lab.widgets import Desk

DEVICES = ("phone", "tablet", "laptop", "tv", "console", "projector")
WAIT, RECONCILE, REPAIR, AGAIN = "wait 15 s", "us reconciles", "repair at ALL", "start again"
NARROW = {"width": "auto", "flex": "0 0 auto"}


class RegionsDesk(Desk):
    """Toggles for links and regions, buttons, the map, and the steps so far; it opens amid a story, at step 4.

    `open_regions` is called to start, and to start again. Each change is a step, and is written down with what every
    region shows afterwards.
    """

    def __init__(self, open_regions: Callable[[], Regions] = SimulatedRegions) -> None:
        self._open = open_regions
        self._quiet = False
        self.cuts = {link: _toggle(f"cut {link[0]} – {link[1]}") for link in LINKS}
        self.freezes = {region: _toggle(f"freeze {region}") for region in NAMES}
        self.sells = {region: _button(f"Glow in {region}") for region in NAMES}
        self.others = {name: _button(name) for name in (WAIT, RECONCILE, REPAIR, AGAIN)}
        self.told, self.map, self.steps = ipywidgets.HTML(), ipywidgets.HTML(), ipywidgets.HTML()
        rows = [[*self.cuts.values(), *self.freezes.values()], [*self.sells.values(), *self.others.values()]]
        wrapped = {"flex_flow": "row wrap"}
        boxes = [ipywidgets.HBox(row, layout=wrapped) for row in rows]
        super().__init__([*boxes, self.told, self.map, self.steps])
        for link, toggle in self.cuts.items():
            toggle.observe(lambda change, link=link: self._turned(change["new"], link), names="value")
        for region, toggle in self.freezes.items():
            toggle.observe(lambda change, region=region: self._turned(change["new"], (region,)), names="value")
        for region, button in self.sells.items():
            button.on_click(lambda _, region=region: self._act(lambda: self._sell(region)))
        for name, button in self.others.items():
            button.on_click(lambda _, name=name: self.press(name))
        self.regions = self._start()

    def press(self, name: str) -> None:
        """Act as if the button of this name were pressed."""
        if name == AGAIN:
            self.regions.close()
            self.regions = self._start()
            return
        actions = {WAIT: self._wait, RECONCILE: self._reconcile, REPAIR: self._repair}
        self._act(actions[name])

    def _start(self) -> Regions:
        regions = self.regions = self._open()
        self._device = 4
        both_sides_sell(regions)
        self._show(f"This is {regions.where}. us was cut off, and both sides have sold the third download.")
        return regions

    def _act(self, action: Callable[[], str]) -> None:
        try:
            did = short = action()
        except EslabError as error:
            short = f"✗ {type(error).__name__}"
            did = f"{short}: {error}"
        self.regions.note(short)
        self._show(did)

    def _turned(self, on: bool, target: tuple[str, ...]) -> None:
        if not self._quiet:
            self._act(lambda: self._turn(on, target))

    def _turn(self, on: bool, target: tuple[str, ...]) -> str:
        if len(target) == 1:
            (self.regions.freeze if on else self.regions.thaw)(*target)
            return f"{target[0]} is {'frozen' if on else 'thawed'}"
        (self.regions.cut if on else self.regions.heal)(*target)
        return f"{' – '.join(target)} is {'cut' if on else 'healed'}"

    def _sell(self, region: str) -> str:
        device = DEVICES[self._device % len(DEVICES)]
        self._device += 1
        answer = self.regions.sell(region, device)
        self.regions.wait(1)
        return f"{region}: Glow on the {device}, {told(answer)}"

    def _wait(self) -> str:
        self.regions.wait(15)
        return "15 s later"

    def _reconcile(self) -> str:
        found = self.regions.reconcile("us")
        self.regions.wait(1)
        return f"us reconciles: {found}"

    def _repair(self) -> str:
        self.regions.repair()
        return "all of Ann's rows were read at ALL"

    def _show(self, did: str) -> None:
        regions = self.regions
        self._quiet = True
        for link, toggle in self.cuts.items():
            toggle.value = frozenset(link) in regions.cuts
        for region, toggle in self.freezes.items():
            toggle.value = region in regions.frozen
        self._quiet = False
        self.told.value = f'<div role="status" style="line-height:1.45">{escape(did)}</div>'
        self.map.value = region_map(regions, regions.steps[-1].shown).html
        self.steps.value = f"<p>Steps on {regions.where}, newest first:</p>{steps_table(regions.steps)}"


def _toggle(description: str) -> Any:
    return ipywidgets.ToggleButton(value=False, description=description, layout=NARROW)


def _button(description: str) -> Any:
    return ipywidgets.Button(description=description, layout=NARROW)
