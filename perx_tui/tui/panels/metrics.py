"""The metrics of a run as a list that a few letters narrow, and one of them explained."""

from __future__ import annotations

from textual import events
from textual.message import Message

from engine import METRIC_CATALOGUE
from perx_tui import format as fmt
from perx_tui import metrics as names
from perx_tui.tui.finding import rank
from perx_tui.tui.history import History
from perx_tui.tui.lines import EMPTY, Line, Part, centered, pair, shorten, wrap
from perx_tui.tui.panel import Panel

_KEY, _VALUE = 25, 9
_ORDER = {key: place for place, key in enumerate(METRIC_CATALOGUE)}


def find(history: History, typed: str) -> list[str]:
    """The metrics that `typed` may mean, the likeliest first; without letters all, as they are best read."""
    wanted = "".join(typed.lower().split())
    found = []
    for key in history.metrics():
        place = rank(key, key.rpartition("/")[2], names.info(key).meaning, wanted)
        if place is not None:
            found.append((place, _ORDER.get(key, len(_ORDER)), key))
    return [key for *_, key in sorted(found)]


class MetricList(Panel, can_focus=False):
    """Every metric with its newest value; those that are pinned carry their marker."""

    title = "metrics"
    typed = ""
    typing = False
    """Whether letters go into the filter."""
    cursor = 0
    _upper = 0

    class Picked(Message):
        """A row was clicked."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    def found(self) -> list[str]:
        """What the filter leaves."""
        return find(self.view.history, self.typed)

    @property
    def chosen(self) -> str | None:
        """The metric under the cursor."""
        found = self.found()
        return found[min(self.cursor, len(found) - 1)] if found else None

    @property
    def page(self) -> int:
        """Rows that are seen at once."""
        return max(1, self.size.height - 3)

    def move(self, by: int) -> None:
        """Move the cursor."""
        self.cursor = max(0, min(self.cursor + by, len(self.found()) - 1))

    def go_to(self, key: str) -> None:
        """Put the cursor on a metric, where the filter leaves it."""
        found = self.found()
        if key in found:
            self.cursor = found.index(key)

    def narrow(self, typed: str) -> None:
        """Other letters, another list: from its likeliest."""
        self.typed, self.cursor = typed, 0

    def summary(self) -> list[Line]:
        """How many there are."""
        return [((f"{len(self.found())}", "strong"), (f" of {len(self.view.history.metrics())}", "dim"))]

    def caption(self) -> list[Line]:
        """What the keys do."""
        if not self.typing:
            return [(("/", "blue+"), (" finds one", "dim"))]
        show: Line = (("enter", "blue+"), (" shows it", "dim"))
        pin: Line = (("   space", "blue+"), (" pins several", "dim"))
        return [(*show, *pin, ("   esc", "blue+"), (" back", "dim")), (*show, *pin), show]

    def body(self, width: int, height: int) -> list[Line]:
        """The filter, then a row a metric."""
        found = self.found()
        head: list[Line] = []
        if self.typing or self.typed:
            cursor: Part = ("▏", "blue+") if self.typing else ("", "")
            hint: Part = ("type a few letters", "dim") if not self.typed else ("", "")
            head = [(("find ", "dim"), (self.typed, "strong"), cursor, hint)]
        if not found:
            what = f"no metric is like {self.typed}" if self.typed else "no iteration has ended yet"
            return [*head, *centered(what, width, height - len(head))]
        room = max(1, height - len(head))
        self.cursor = min(self.cursor, len(found) - 1)
        self._upper = max(0, min(self._upper, self.cursor, len(found) - room))
        self._upper = max(self._upper, self.cursor - room + 1)
        shown = found[self._upper : self._upper + room]
        return [
            *head,
            *(
                self._row(key, width, self.typing and self._upper + place == self.cursor)
                for place, key in enumerate(shown)
            ),
        ]

    def _row(self, key: str, width: int, at_cursor: bool) -> Line:
        charts = self.view.charts
        pinned = key in charts.pinned
        hue, marker = charts.look(charts.pinned.index(key)) if pinned else ("", " ")
        value = names.spelling(key)(self.view.metric(key)).rjust(_VALUE)
        room = width - _KEY - _VALUE - 5
        text = shorten(names.info(key).meaning, room) if room >= 16 else ""
        size = _KEY if text else max(8, width - _VALUE - 3)
        name = shorten(key, size).ljust(size)
        meaning: Part = (f"  {text}" if text else "", "dim")
        if at_cursor:
            return ((f"{marker} {name} {value}{meaning[0]}".ljust(width), "blue!"),)
        return (
            (marker + " ", f"{hue}+" if hue else ""),
            (name, "strong" if pinned else ""),
            (f" {value}", "strong"),
            meaning,
        )

    def on_click(self, event: events.Click) -> None:
        """A row is chosen."""
        event.stop()
        first = 2 if self.typing or self.typed else 1
        found, place = self.found(), self._upper + event.y - first
        if first <= event.y < self.size.height - 1 and place < len(found):
            self.cursor = place
            self.post_message(self.Picked(found[place]))

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel moves three rows."""
        self._scroll(event, -3)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel moves three rows."""
        self._scroll(event, 3)

    def _scroll(self, event: events.MouseEvent, by: int) -> None:
        event.stop()
        room = max(1, self.size.height - 2 - bool(self.typing or self.typed))
        if self.typing:
            self.move(by)
        else:
            self._upper = max(0, min(self._upper + by, len(self.found()) - room))
            self.cursor = max(self._upper, min(self.cursor, self._upper + room - 1))
        self.redraw()


class About(Panel, can_focus=False):
    """One metric in words: what it means, what is healthy, and its figures over the run."""

    title = "metric"
    key = ""

    def heading(self) -> str:
        """The metric."""
        return self.key or self.title

    def summary(self) -> list[Line]:
        """Its unit."""
        unit = names.info(self.key).unit
        return [((unit, "dim"),)] if unit else []

    def body(self, width: int, height: int) -> list[Line]:
        """Sentences first, figures where there is room."""
        if not self.key:
            return centered("no metric is chosen", width, height)
        info = names.info(self.key)
        lines: list[Line] = [((row, ""),) for row in wrap(info.meaning, width)]
        if info.healthy:
            healthy = wrap("✓ " + info.healthy, width)
            lines.extend(((row, "green"),) for row in healthy)
        figures = self._figures(width)
        if len(lines) + len(figures) < height:
            lines.append(EMPTY)
        return [*lines, *figures][:height]

    def _figures(self, width: int) -> list[Line]:
        series = self.view.history.series(self.key)
        if series is None or not len(series.xs):
            return []
        charts = self.view.charts
        lines = [pair("newest", names.with_unit(self.key, series.last), width)]
        spell = names.spelling(self.key)
        if charts.cursor is not None:
            place = charts.point(self.view.history, self.key, charts.cursor)
            if place is not None:
                low, high = series.lows[place], series.highs[place]
                lines.append(pair(f"at {fmt.count(series.xs[place])} steps", spell(series.ys[place]), width, "blue+"))
                if low < high:
                    lines.append(pair("  of its iterations", f"{spell(low)} … {spell(high)}", width))
        for name, values, best in (
            ("largest", list(series.highs), max(series.highs)),
            ("smallest", list(series.lows), min(series.lows)),
        ):
            at = series.xs[values.index(best)]
            lines.append(pair(f"{name}, at {fmt.count(at)} steps", spell(best), width))
        return lines
