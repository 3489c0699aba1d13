"""The table of segments, sorted by any column."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import NamedTuple

from textual import events
from textual.message import Message

from engine import SegmentSummary
from perx_tui import format as fmt
from perx_tui.tui import marks
from perx_tui.tui.lines import Line, Part, centered
from perx_tui.tui.panel import Panel
from perx_tui.tui.theme import Palette


class Column(NamedTuple):
    """One column: the field it shows, its heading, its width and its spelling."""

    field: str
    heading: str
    width: int
    spell: Callable[[SegmentSummary], str]


def priority_text(value: float) -> str:
    """A priority with three digits, in at most 8 characters."""
    return fmt.count(value) if abs(value) >= 999.5 else f"{value:#.3g}" if value else "0"


def score_text(value: float) -> str:
    """A segment's reward with two decimals, in at most 7 characters."""
    return f"{value:.2f}" if abs(value) < 999.95 else fmt.count(value)


COLUMNS = (
    Column("index", "segment", 8, lambda each: str(each.index)),
    Column("agent", "agent", 6, lambda each: str(each.agent)),
    Column("priority", "priority", 9, lambda each: priority_text(each.priority)),
    Column("probability", "probability", 12, lambda each: fmt.percent(each.probability)),
    Column("uses", "uses", 5, lambda each: fmt.count(each.uses)),
    Column("age", "age", 4, lambda each: fmt.count(each.age)),
    Column("score", "score", 7, lambda each: score_text(each.score)),
)
_NARROW = tuple(
    column._replace(heading="prob.", width=6) if column.field == "probability" else column for column in COLUMNS
)


def columns_for(width: int) -> tuple[Column, ...]:
    """The columns for a panel of `width` cells inside its frame."""
    return COLUMNS if width >= _span(COLUMNS) else _NARROW


def _span(columns: tuple[Column, ...]) -> int:
    return sum(column.width for column in columns) + len(columns) - 1


_ASCENDING = ("index", "agent")
"""Columns whose small values come first unless reversed."""


class Segments(Panel):
    """One row a segment. A column's heading carries the arrow of the order; a click on it sorts, again reverses."""

    title = "segments"
    can_focus = True

    class Opened(Message):
        """A segment was chosen to be watched."""

    def __init__(self, palette: Palette, *, id: str) -> None:
        super().__init__(palette, id=id)
        self.column = 2
        self.reversed = False
        self.cursor = 0
        self._top_row = 0
        self._rows: list[SegmentSummary] = []
        self._sorted_for: tuple[object, ...] = ()
        self._source: tuple[SegmentSummary, ...] = ()
        """Held, so that no other tuple can take its identity."""

    @property
    def chosen(self) -> SegmentSummary | None:
        """The segment under the cursor."""
        rows = self.rows()
        return rows[min(self.cursor, len(rows) - 1)] if rows else None

    def rows(self) -> list[SegmentSummary]:
        """Every segment in order: the table where it is there, the few top ones before."""
        replay = self.view.snapshot.replay
        source = replay.table or replay.top
        key = (id(source), self.column, self.reversed)
        if key != self._sorted_for:
            self._sorted_for = key
            field = COLUMNS[self.column].field
            downward = (field not in _ASCENDING) != self.reversed
            self._rows = sorted(source, key=attrgetter(field), reverse=downward)
            self._source = source
        return self._rows

    def summary(self) -> list[Line]:
        """Where the cursor is and how many there are."""
        replay, rows = self.view.snapshot.replay, self.rows()
        if not rows:
            return []
        where = f"{min(self.cursor, len(rows) - 1) + 1:,} of {len(rows):,}"
        more = f" · {replay.segments:,} in all" if replay.segments > len(rows) else ""
        return [((where + more, "dim"),), ((where, "dim"),)]

    def caption(self) -> list[Line]:
        """The order in words, and the keys."""
        column = COLUMNS[self.column]
        way = "lowest" if (column.field in _ASCENDING) != self.reversed else "highest"
        order: Line = ((f"{way} {column.heading} first", "dim"),)
        keys: Line = (("   ← →", "blue+"), (" column  ", "dim"), ("r", "blue+"), (" reverse  ", "dim"))
        return [(*order, *keys, ("enter", "blue+"), (" watch", "dim")), order]

    def body(self, width: int, height: int) -> list[Line]:
        """Headings and the window of rows around the cursor."""
        rows = self.rows()
        columns = columns_for(width)
        if not rows:
            return [self._headings(columns), *centered("the table comes with the next iteration", width, height - 1)]
        room = max(1, height - 1)
        self.cursor = min(self.cursor, len(rows) - 1)
        self._top_row = max(0, min(self._top_row, self.cursor, len(rows) - room))
        self._top_row = max(self._top_row, self.cursor - room + 1)
        bar = width - _span(columns) - 3
        high = max((row.probability for row in rows), default=0.0) if bar >= 6 else 0.0
        lines: list[Line] = [self._headings(columns)]
        for place, row in enumerate(rows[self._top_row : self._top_row + room], start=self._top_row):
            text = " ".join(column.spell(row).rjust(column.width) for column in columns)
            at_cursor = place == self.cursor
            parts: list[Part] = [(text, "blue!" if at_cursor else "" if row.uses else "dim")]
            if high:
                parts.extend((("   ", ""), (marks.bar(row.probability / high, bar), "purple")))
            lines.append(tuple(parts))
        return lines

    def _headings(self, columns: tuple[Column, ...]) -> Line:
        parts: list[Part] = []
        for index, column in enumerate(columns):
            if index:
                parts.append((" ", ""))
            if index != self.column:
                parts.append((column.heading.rjust(column.width), "dim"))
                continue
            downward = (column.field not in _ASCENDING) != self.reversed
            arrow = "▼" if downward else "▲"
            parts.append(((arrow + column.heading).rjust(column.width), "strong"))
        return tuple(parts)

    def move(self, by: int) -> None:
        """Move the cursor."""
        self.cursor = max(0, min(self.cursor + by, len(self.rows()) - 1))
        self.redraw()

    @property
    def page(self) -> int:
        """Rows that are seen at once."""
        return max(1, self.size.height - 3)

    def sort(self, column: int) -> None:
        """Sort by a column, from its natural end; the cursor goes to the first row."""
        self.column, self.reversed, self.cursor = column % len(COLUMNS), False, 0
        self.redraw()

    def reverse(self) -> None:
        """Turn the order round."""
        self.reversed, self.cursor = not self.reversed, 0
        self.redraw()

    def on_click(self, event: events.Click) -> None:
        """A heading sorts, a row is chosen, a double click watches it."""
        event.stop()
        if event.y == 1:
            right = 1 + self.padding_across
            for index, column in enumerate(columns_for(self.size.width - 2 - 2 * self.padding_across)):
                right += column.width + 1
                if event.x < right:
                    self.reverse() if index == self.column else self.sort(index)
                    return
        elif 2 <= event.y < self.size.height - 1 and self._top_row + event.y - 2 < len(self.rows()):
            self.cursor = self._top_row + event.y - 2
            self.redraw()
            if event.chain == 2:
                self.post_message(self.Opened())

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel moves three rows."""
        event.stop()
        self.move(-3)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel moves three rows."""
        event.stop()
        self.move(3)
