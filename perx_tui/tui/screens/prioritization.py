"""The prioritization screen: what is replayed how often, how much of it counts, and every segment in a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from textual import on
from textual.binding import BindingType

from perx_tui.tui.arrangement import Rect
from perx_tui.tui.keys import PRIORITIZATION_KEYS, bindings
from perx_tui.tui.lines import Line, Part
from perx_tui.tui.panel import Bar
from perx_tui.tui.panels.distributions import Ages, Priorities, Uses, Weights
from perx_tui.tui.panels.prioritization import ClipByAge, InForce, Shares
from perx_tui.tui.panels.segments import COLUMNS, Segments
from perx_tui.tui.screens.full import FullScreen
from perx_tui.tui.theme import Palette

TABS = ("distributions", "over time", "segments")


class _Tabs(Bar):
    """The parts of the screen, where they share it."""

    chosen = 0

    def lines(self, width: int, height: int) -> list[Line]:
        """The one that is shown is marked by brackets as well as by colour."""
        parts: list[Part] = []
        spans: list[tuple[int, int, str]] = []
        used = 0
        for index, name in enumerate(TABS):
            text = f"[{name}]" if index == self.chosen else f" {name} "
            parts.extend(((text, "blue!" if index == self.chosen else "dim"), (" ", "")))
            spans.append((used, used + len(text), f"screen.show_tab({index})"))
            used += len(text) + 1
        self.spans = spans
        return [(*parts, ("  tab", "blue+"), (" changes", "dim"))]


class PrioritizationScreen(FullScreen):
    """Large terminals show everything at once, smaller ones one of three tabs."""

    subject = "prioritization"
    BINDINGS: ClassVar[list[BindingType]] = list(bindings(PRIORITIZATION_KEYS))

    def __init__(self, palette: Palette, inspect: Callable[[bool], None], watch: Callable[[int], None]) -> None:
        """`inspect` tells the session whether somebody looks at the table, `watch` opens the viewer on a segment."""
        self.tabs = _Tabs(palette, id="tabs")
        self.segments = Segments(palette, id="segments")
        self._inspect, self._watch = inspect, watch
        self._tabbed = False
        super().__init__(
            palette,
            PRIORITIZATION_KEYS,
            [
                self.tabs,
                Priorities(palette, id="priorities"),
                Uses(palette, id="uses"),
                Weights(palette, id="weights"),
                Ages(palette, id="ages"),
                Shares(palette, id="shares"),
                InForce(palette, id="force"),
                ClipByAge(palette, id="clip"),
                self.segments,
            ],
        )

    def on_screen_resume(self) -> None:
        """From now on the table is wanted."""
        self._inspect(True)

    def on_screen_suspend(self) -> None:
        """The table costs the trainer a little: no longer than it is looked at."""
        if self not in self.app.screen_stack:
            self._inspect(False)

    def on_unmount(self) -> None:
        """The same where the whole app goes."""
        self._inspect(False)

    def places(self, body: Rect) -> Mapping[str, Rect]:
        """Everything, or the tab that is chosen."""
        self._tabbed = body.width < 116 or body.height < 32
        self.footer.idle = frozenset() if self._tabbed else frozenset({"next tab"})
        if not self._tabbed:
            return _everything(body)
        row, rest = Rect(body.x, body.y, body.width, 1), Rect(body.x, body.y + 1, body.width, body.height - 1)
        tab = TABS[self.tabs.chosen]
        shown = _distributions(rest) if tab == "distributions" else _over_time(rest) if tab == "over time" else {}
        return {"tabs": row, **(shown or {"segments": rest})}

    def action_tab(self, by: int) -> None:
        """The next tab, where there are any."""
        self.action_show_tab((self.tabs.chosen + by) % len(TABS))

    def action_show_tab(self, index: int) -> None:
        """Show one of the tabs."""
        self.tabs.chosen = index
        self.rearrange()
        self.tabs.redraw()

    def action_move(self, by: int) -> None:
        """Move the cursor of the table."""
        self._to_table()
        self.segments.move(by)

    def action_page(self, by: int) -> None:
        """Move by what is seen at once."""
        self._to_table()
        self.segments.move(by * self.segments.page)

    def action_sort(self, by: int) -> None:
        """Sort by the column beside the present one."""
        self._to_table()
        self.segments.sort((self.segments.column + by) % len(COLUMNS))

    def action_reverse(self) -> None:
        """Turn the order of the table round."""
        self._to_table()
        self.segments.reverse()

    @on(Segments.Opened)
    def action_open(self) -> None:
        """Watch the chosen segment."""
        if self._tabbed and TABS[self.tabs.chosen] != "segments":
            self._to_table()
        elif self.segments.chosen is not None:
            self._watch(self.segments.chosen.index)

    def _to_table(self) -> None:
        """Bring the table into sight: keys never move a cursor that cannot be seen."""
        if self._tabbed and TABS[self.tabs.chosen] != "segments":
            self.action_show_tab(TABS.index("segments"))


def _everything(body: Rect) -> dict[str, Rect]:
    """Four distributions on top, what changes over time at the left below, the table at the right."""
    upper = max(12, body.height * 3 // 8)
    places = _row(Rect(body.x, body.y, body.width, upper), ("priorities", "uses", "weights", "ages"))
    left = max(60, body.width // 2 - 1)
    y, height = body.y + upper, body.height - upper
    low = 10 if height >= 20 else height - 9
    places["shares"] = Rect(body.x, y, left, height - low)
    places["force"] = Rect(body.x, y + height - low, left * 11 // 20, low)
    places["clip"] = Rect(body.x + left * 11 // 20, y + height - low, left - left * 11 // 20, low)
    places["segments"] = Rect(body.x + left, y, body.width - left, height)
    return places


def _distributions(area: Rect) -> dict[str, Rect]:
    """Two by two."""
    upper = area.height // 2
    return {
        **_row(Rect(area.x, area.y, area.width, upper), ("priorities", "uses")),
        **_row(Rect(area.x, area.y + upper, area.width, area.height - upper), ("weights", "ages")),
    }


def _over_time(area: Rect) -> dict[str, Rect]:
    """Settings and clipping over the chart."""
    upper = min(10, area.height // 2)
    return {
        **_row(Rect(area.x, area.y, area.width, upper), ("force", "clip")),
        "shares": Rect(area.x, area.y + upper, area.width, area.height - upper),
    }


def _row(area: Rect, names: tuple[str, ...]) -> dict[str, Rect]:
    """Equal widths, the rest to the last."""
    places: dict[str, Rect] = {}
    x = area.x
    for index, name in enumerate(names):
        width = area.width // len(names) if index < len(names) - 1 else area.x + area.width - x
        places[name] = Rect(x, area.y, width, area.height)
        x += width
    return places
