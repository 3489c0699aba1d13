"""The screen of the alarms: what is wrong now, since when, what to try, and what is watched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual.binding import BindingType

from engine import alarm_rules
from perx_tui.tui.arrangement import Rect
from perx_tui.tui.keys import ALARM_KEYS, bindings
from perx_tui.tui.panels.alarms import ActiveAlarms, WatchedAlarms
from perx_tui.tui.screens.full import FullScreen
from perx_tui.tui.theme import Palette
from perx_tui.tui.view import View


class AlarmScreen(FullScreen):
    """Alarms above, rules below; where there is no room for both, tab goes from one to the other."""

    BINDINGS: ClassVar[list[BindingType]] = list(bindings(ALARM_KEYS))

    def __init__(self, palette: Palette) -> None:
        self.active = ActiveAlarms(palette, id="active")
        self.watched = WatchedAlarms(palette, id="watched")
        self._rules = False
        """Whether the rules are wanted where only one fits."""
        super().__init__(palette, ALARM_KEYS, (self.active, self.watched))

    def places(self, body: Rect) -> Mapping[str, Rect]:
        """The rules take a row each where enough rows stay for the alarms that are raised."""
        rows = len(alarm_rules()) + 2
        if body.height < rows + (16 if self.view.snapshot.alarms else 6):
            return {"watched" if self._rules else "active": body}
        return {
            "active": Rect(body.x, body.y, body.width, body.height - rows),
            "watched": Rect(body.x, body.y + body.height - rows, body.width, rows),
        }

    def show(self, view: View) -> None:
        """The first alarm takes more room than none."""
        before, quiet = not self.view.snapshot.alarms, not view.snapshot.alarms
        super().show(view)
        if before != quiet:
            self.rearrange()

    def action_tab(self) -> None:
        """The other panel, where only one fits."""
        self._rules = not self._rules
        self.rearrange()

    def action_scroll(self, by: int) -> None:
        """Move through the alarms."""
        self.active.scroll(by)
