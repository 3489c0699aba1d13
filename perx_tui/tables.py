"""Tables on standard output: aligned for people, whole for pipes."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Sequence

from perx_tui import terminal
from perx_tui.output import say, visible

PIPE_WIDTH = 10_000
"""Width of a table that no terminal limits: nothing is wrapped or cut for grep and awk."""
_PROSE = 30
"""Cells: a column with longer texts is the first to be made narrower. Others are names and numbers, which are hard to
read in pieces."""
_NARROW_PROSE, _NARROWEST = 12, 4
_GAP = 3
"""Cells between two columns."""


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    right: Iterable[str] = (),
    spare: Iterable[str] = (),
) -> None:
    """Print `rows` under `columns`; those named in `right` are numbers, aligned to the right.

    On a terminal that is too narrow, as many of the columns in `spare` as it takes are left out, in this order, and
    standard error says which.
    """
    from rich import box
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    head, *body = [[visible(cell) for cell in row] for row in (columns, *rows)]
    widths = [max(map(cell_len, column)) for column in zip(head, *body, strict=True)]
    kept, out = list(range(len(head))), list[str]()
    on_terminal = terminal.is_terminal(sys.stdout)
    if on_terminal:
        room = terminal.terminal_size()[0]
        for name in spare:
            if name in columns and _total(widths, kept) > room:
                kept.remove(columns.index(name))
                out.append(name)
        _fit(widths, kept, room)
    numbers = frozenset(right)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for place in kept:
        justify = "right" if columns[place] in numbers else "left"
        # Text, so that no value is read as markup; visible, so that none is a command to the terminal.
        table.add_column(Text(head[place]), justify=justify, overflow="fold", width=widths[place])  # type: ignore[arg-type]
    for row in body:
        table.add_row(*(Text(row[place]) for place in kept))
    if on_terminal:
        Console(file=sys.stdout, width=max(room, _total(widths, kept)), highlight=False).print(table)
        if out:
            say(f"the terminal is too narrow for {', '.join(out)}; a pipe gets every column (| less -S)")
        return
    text = io.StringIO()
    Console(file=text, width=PIPE_WIDTH, highlight=False).print(table)
    sys.stdout.writelines(f"{line.rstrip()}\n" for line in text.getvalue().splitlines())


def _total(widths: Sequence[int], kept: Sequence[int]) -> int:
    """Cells that these columns take side by side."""
    return sum(widths[place] + _GAP for place in kept) - _GAP


def _fit(widths: list[int], kept: Sequence[int], room: int) -> None:
    """Make columns narrower until they fit or nothing is left to take: long texts first, the widest one first."""
    prose = [place for place in kept if widths[place] > _PROSE]
    for narrowed, least in ((prose, _NARROW_PROSE), (kept, _NARROWEST)):
        while _total(widths, kept) > room:
            widest = max(narrowed, key=lambda place: widths[place], default=None)
            if widest is None or widths[widest] <= least:
                break
            widths[widest] -= 1
