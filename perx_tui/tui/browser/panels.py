"""The list of runs, the chosen run from near, and the first line of the browser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.message import Message

from perx_tui import format as fmt
from perx_tui.output import PROGRAM
from perx_tui.tui.browser.board import Board
from perx_tui.tui.browser.columns import COLUMNS, GAP, NAME, Column, fitting, state_text
from perx_tui.tui.browser.describing import describe
from perx_tui.tui.browser.details import Details
from perx_tui.tui.lines import Line, Part, cells, centered, clean, shorten, spread
from perx_tui.tui.panel import Lines, Panel
from perx_tui.tui.theme import Palette

_MARGIN = 3
"""Cells before the first column: the cursor and the mark."""


class RunTable(Panel, can_focus=False):
    """One row a run. The heading of the order carries an arrow; a click on a heading sorts, again reverses."""

    title = "runs"
    padding_across: ClassVar[int] = 0

    class Opened(Message):
        """A run was chosen to be opened."""

    class Chosen(Message):
        """Another run is under the cursor."""

    def __init__(self, palette: Palette, board: Board, *, id: str) -> None:
        super().__init__(palette, id=id)
        self.board = board
        self._top_row = 0

    def summary(self) -> list[Line]:
        """The filter, the marks, and where the cursor is."""
        board = self.board
        parts: list[Part] = []
        if board.typing or board.typed:
            parts += [("/", "blue+"), (board.typed + ("▏" if board.typing else ""), "strong"), ("  ", "")]
        if board.marked:
            parts += [(f"● {len(board.marked)} marked", "yellow+"), ("  ", "")]
        count, total = len(board.rows), len(board.listing.runs)
        if not total:
            return [tuple(parts)] if parts else []
        where = f"{board.cursor + 1 if count else 0:,} of {count:,}"
        more = f" (of {total:,})" if count < total else ""
        return [(*parts, (where + more, "dim")), tuple(parts) or ((where, "dim"),)]

    def caption(self) -> list[Line]:
        """What the runs take, what is free, and the order."""
        listing = self.board.listing
        if not listing.at:
            return []
        used = "measuring…" if listing.used is None else fmt.bytes_(listing.used)
        column = COLUMNS[self.board.column]
        arrow = "▲" if column.upward != self.board.reversed else "▼"
        free: Line = (("   free on the disk ", "dim"), (fmt.bytes_(listing.free), "strong"))
        disk: Line = (("all runs ", "dim"), (used, "strong"), *free)
        order: Line = (("   by ", "dim"), (f"{column.heading} {arrow}", "strong"))
        return [(*disk, *order), disk, ((used, "strong"),)]

    def body(self, width: int, height: int) -> list[Line]:
        """Headings and the window of rows around the cursor."""
        board = self.board
        columns = fitting(width - _MARGIN - 1, board.column)
        heading = self._headings(columns)
        rows = board.rows
        if not rows:
            return [heading, *centered(self._nothing(), width, height - 1)]
        room, cursor = max(1, height - 1), board.cursor
        self._top_row = max(0, min(self._top_row, cursor, len(rows) - room))
        self._top_row = max(self._top_row, cursor - room + 1)
        lines = [heading]
        for place, run in enumerate(rows[self._top_row : self._top_row + room], start=self._top_row):
            here, marked = place == cursor, run.path in board.marked
            parts: list[Part] = [("►" if here else " ", "blue+"), ("●" if marked else " ", "yellow+"), (" ", "")]
            for index, (column, size) in enumerate(columns):
                text = _aligned(clean(column.spell(run, board.now)), size, column.left)
                style = "" if run.live or column is COLUMNS[NAME] else "dim"
                if column is COLUMNS[0]:
                    style = state_text(run)[1] + "+"
                parts.append(((" " * GAP if index else "") + text, "blue!" if here else style))
            lines.append(tuple(parts))
        return lines

    def _nothing(self) -> str:
        board = self.board
        if board.typed and board.listing.runs:
            return f"no run has '{clean(board.typed)}' in its name, state, profile, device, host or seed; esc shows all"
        if not board.listing.at:
            return "looking for runs…"
        root = clean(str(board.listing.root))
        return f"no runs in {root}; start one with: {PROGRAM} --profile breakout.toml"

    def _headings(self, columns: Sequence[tuple[Column, int]]) -> Line:
        parts: list[Part] = [(" " * _MARGIN, "")]
        for index, (column, size) in enumerate(columns):
            chosen = column is COLUMNS[self.board.column]
            arrow = ("▲" if column.upward != self.board.reversed else "▼") if chosen else ""
            text = _aligned(column.heading + arrow if column.left else arrow + column.heading, size, column.left)
            parts.append(((" " * GAP if index else "") + text, "strong" if chosen else "dim"))
        return tuple(parts)

    @property
    def page(self) -> int:
        """Rows that are seen at once."""
        return max(1, self.size.height - 3)

    def on_click(self, event: events.Click) -> None:
        """A heading sorts, a row is chosen, a double click opens it."""
        event.stop()
        row = self._top_row + event.y - 2
        if event.y == 1:
            self._click_heading(event.x)
        elif 2 <= event.y < self.size.height - 1 and row < len(self.board.rows):
            self.board.go_to(row)
            self.post_message(self.Opened() if event.chain == 2 else self.Chosen())

    def _click_heading(self, x: int) -> None:
        end = 1 + _MARGIN
        for column, size in fitting(self.size.width - 2 - _MARGIN - 1, self.board.column):
            end += size + GAP
            if x < end:
                index = COLUMNS.index(column)
                self.board.reverse() if index == self.board.column else self.board.sort(index)
                self.post_message(self.Chosen())
                return

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel moves three rows."""
        self._scroll(event, -3)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel moves three rows."""
        self._scroll(event, 3)

    def _scroll(self, event: events.MouseEvent, by: int) -> None:
        event.stop()
        self.board.move(by)
        self.post_message(self.Chosen())


def _aligned(text: str, width: int, left: bool) -> str:
    """`text` in exactly `width` cells."""
    text = shorten(text, width)
    space = " " * (width - cells(((text, ""),)))
    return text + space if left else space + text


class RunDetails(Panel, can_focus=False):
    """The chosen run: facts, its curve, its last events."""

    title = "details"

    def __init__(self, palette: Palette, board: Board, *, id: str) -> None:
        super().__init__(palette, id=id)
        self.board = board
        self.details: Details | None = None

    def heading(self) -> str:
        """The run's name."""
        return clean(self.board.chosen.name) if self.board.chosen is not None else self.title

    def summary(self) -> list[Line]:
        """Its state."""
        run = self.board.chosen
        if run is None:
            return []
        text, hue = state_text(run)
        return [((clean(text), f"{hue}+"),)]

    def body(self, width: int, height: int) -> list[Line]:
        """What is known of it; what its files tell beyond the list comes a moment later."""
        run = self.board.chosen
        if run is None:
            return []
        details = self.details if self.details is not None and self.details.path == run.path else None
        return describe(run, details, self.board.now, width, height)


class Heading(Lines):
    """The first line of the browser: which folder, how many runs, the answer to the last key."""

    def __init__(self, palette: Palette, board: Board, *, id: str) -> None:
        super().__init__(palette, id=id)
        self.board = board
        self.notice = ""

    def lines(self, width: int, height: int) -> list[Line]:
        """One line."""
        listing = self.board.listing
        badge: Part = (" RUNS ", "blue!")
        if self.notice:
            return [(badge, ("  " + shorten(clean(self.notice), width - 9), "yellow+"))]
        count = len(listing.runs)
        counts = f"{count:,} run{'s' * (count != 1)}, {listing.live} live " if listing.at else ""
        root = shorten(clean(str(listing.root)), max(8, width - len(counts) - 12))
        return [spread((badge, ("  " + root, "strong")), ((counts, "dim"),), width)]
