"""Whether this process has a terminal that a full-screen program can use, and what that terminal can show."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

SMALLEST = (40, 12)
"""Columns and rows below which nothing useful fits."""

_KNOWN = (
    *("xterm", "screen", "tmux", "rxvt", "linux", "vt100", "vt102", "vt220", "vt320", "vt420", "alacritty", "foot"),
    *("kitty", "ghostty", "wezterm", "konsole", "gnome", "vte", "st-", "putty", "iterm", "contour", "mintty", "eterm"),
    *("cygwin", "mlterm", "nsterm", "pcansi", "ansi", "dvtm", "bvterm", "ms-terminal", "zellij"),
)
"""Beginnings of the names of terminals that move the cursor as Textual expects. Many a machine has never heard of the
newer ones: the list of types comes with the system, the terminal from somewhere else."""


def obstacle(smallest: tuple[int, int] | None = SMALLEST) -> str | None:
    """Why a full-screen program cannot run here, in a few words; None when it can.

    `smallest`: columns and rows that it needs.
    """
    if not is_terminal(sys.stdout):
        return "standard output is not a terminal"
    if not is_terminal(sys.stdin):
        return "standard input is not a terminal"
    term = os.environ.get("TERM", "")
    if term in ("", "dumb", "unknown"):
        return f"the terminal type is '{term}' (environment variable TERM)"
    if not _can_move(term):
        return f"the terminal type '{term}' is not known here (try TERM=xterm-256color)"
    columns, rows = terminal_size()
    if smallest is not None and (columns < smallest[0] or rows < smallest[1]):
        return f"the terminal is {columns}x{rows}, the screen needs {smallest[0]}x{smallest[1]}"
    return None


def terminal_size() -> tuple[int, int]:
    """Columns and rows of the terminal now.

    The terminal is asked first: COLUMNS and LINES, which standard tools trust more, hold what it had when they were
    exported, as by `docker exec -e COLUMNS=...`, and know of no resize. They count where it gives no size.
    """
    return _size_by_terminal() or shutil.get_terminal_size()


def forget_exported_size() -> None:
    """Have libraries ask the terminal, too, where it tells its size: they look at COLUMNS and LINES first."""
    if _size_by_terminal() is not None:
        for name in ("COLUMNS", "LINES"):
            os.environ.pop(name, None)


def _size_by_terminal() -> tuple[int, int] | None:
    for stream in (sys.__stdout__, sys.__stdin__, sys.__stderr__):
        try:
            columns, rows = os.get_terminal_size(stream.fileno()) if stream is not None else (0, 0)
        except (OSError, ValueError):
            continue
        if columns > 0 and rows > 0:
            return columns, rows
    return None


def is_terminal(stream: TextIO | None) -> bool:
    """True when `stream` is open and leads to a terminal."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False


def _can_move(term: str) -> bool:
    """Whether the cursor of such a terminal can be put anywhere, as far as anybody here knows."""
    if term.lower().startswith(_KNOWN) or term == "st":
        return True
    try:
        import curses

        curses.setupterm(term, 1)
        return bool(curses.tigetstr("cup"))
    except (ImportError, curses.error):
        return False


def colours() -> str | None:
    """How many colours this terminal has, as far as its variables say: "standard" (16), "256", "truecolor" or None."""
    from rich.console import Console

    return Console(force_terminal=True, no_color=False).color_system


def ascii_only(environment: Mapping[str, str] | None = None) -> bool:
    """Whether only ASCII characters may be shown: the locale says so, or it is the console of a Linux machine, whose
    font has no braille. Without any word about a locale the terminal is taken for one of today, which speak UTF-8."""
    environment = _started_with() if environment is None else environment
    if environment.get("TERM") == "linux":
        return True
    locale = next((environment[key] for key in ("LC_ALL", "LC_CTYPE", "LANG") if environment.get(key)), "")
    if not locale:
        return False
    charset = locale.partition("@")[0].partition(".")[2].lower().replace("-", "")
    if locale.partition(".")[0] in ("C", "POSIX"):
        return charset != "utf8"
    return charset not in ("", "utf8")


def _started_with() -> Mapping[str, str]:
    """The environment that this process was given. Python itself changes LC_CTYPE under LANG=C, so that the present
    one does not tell."""
    now = dict(os.environ)
    if now.get("LC_CTYPE") in ("C.UTF-8", "C.utf8", "UTF-8"):
        try:
            given = Path("/proc/self/environ").read_bytes().split(b"\0")
        except OSError:
            return now
        if not any(entry.startswith(b"LC_CTYPE=") and entry != b"LC_CTYPE=" for entry in given):
            del now["LC_CTYPE"]
    return now


def limit_streams() -> None:
    """Has standard output and standard error write ASCII where they lead to a terminal that knows no more."""
    if not ascii_only():
        return
    from perx_tui.ascii import ERRORS

    for stream in (sys.stdout, sys.stderr):
        if is_terminal(stream) and hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="ascii", errors=ERRORS)
