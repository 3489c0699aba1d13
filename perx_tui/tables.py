"""Tables on standard output: aligned for people, whole for pipes."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Sequence

from perx_tui import terminal
from perx_tui.output import visible

PIPE_WIDTH = 10_000
"""Width of a table that no terminal limits: nothing is wrapped or cut for grep and awk."""


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[str] = ()) -> None:
    """Print `rows` under `columns`; those named in `right` are numbers, aligned to the right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    numbers = frozenset(right)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for column in columns:
        table.add_column(Text(visible(column)), justify="right" if column in numbers else "left", overflow="fold")
    for row in rows:
        # Text, so that no value is read as markup; visible, so that none is a command to the terminal.
        table.add_row(*(Text(visible(cell)) for cell in row))
    if terminal.is_terminal(sys.stdout):
        Console(file=sys.stdout, highlight=False).print(table)
        return
    text = io.StringIO()
    Console(file=text, width=PIPE_WIDTH, highlight=False).print(table)
    sys.stdout.writelines(f"{line.rstrip()}\n" for line in text.getvalue().splitlines())
