"""Shown alone where the terminal is too small for anything else."""

from __future__ import annotations

from perx_tui.tui.arrangement import SMALLEST
from perx_tui.tui.lines import Line
from perx_tui.tui.panel import Lines


class Notice(Lines):
    """Says which size is needed."""

    def lines(self, width: int, height: int) -> list[Line]:
        """The size there is, and the smallest one."""
        columns, rows = SMALLEST
        return [((f"{width}x{height} is too small,", ""),), ((f"needs {columns}x{rows}", "strong"),)]
