"""The one table of keys. Dispatch, the footer, the help screen and the command palette are all made from it.

Keys that belong to tmux and screen (ctrl with a, b, o, s, j, h, m, z) are never used.
"""

from __future__ import annotations

from dataclasses import dataclass

from textual.app import App
from textual.binding import Binding

from perx_tui.tui.arrangement import PANELS

TITLES = {
    "throughput": "throughput",
    "episode": "episode",
    "curve": "learning curve",
    "losses": "losses",
    "phases": "phases",
    "replay": "prioritized replay",
    "memory": "memory",
    "log": "log",
}
"""What the panels are called on the screen."""

TAB_NAMES = TITLES | {"throughput": "speed", "curve": "curve", "replay": "replay"}
"""Shorter names, for the row of tabs."""

TRAINING, PANEL, PROGRAM = "Training", "Panels", "Program"
GROUPS = (TRAINING, PANEL, PROGRAM)


@dataclass(frozen=True, slots=True)
class Key:
    """One entry of the table."""

    keys: str
    """Textual's names of the keys, separated by commas."""
    display: str
    """What stands for the keys on the screen."""
    label: str
    """One or two words, for the footer."""
    help: str
    group: str
    action: str | None = None
    """The app's action; None where Textual or the panel itself answers the key."""
    rank: int = 0
    """Place in the footer, 0 for none. A narrow footer keeps the small ranks."""
    command: str = ""
    """Name in the command palette; empty for keys that make sense only as keys."""


KEYS: tuple[Key, ...] = (
    Key("space", "space", "pause", "Pause training, or go on", TRAINING, "pause", 1, "Pause or resume training"),
    Key("s", "s", "step", "One iteration, while paused", TRAINING, "step", 6, "Train one iteration"),
    Key("c", "c", "checkpoint", "Save a checkpoint now", TRAINING, "checkpoint", 4, "Save a checkpoint"),
    Key("n", "n", "next env", "Watch the next environment", TRAINING, "watch(1)", 5, "Watch the next environment"),
    Key("N", "N", "previous env", "Watch the one before", TRAINING, "watch(-1)", 0, "Watch the environment before"),
    *(
        Key(str(number), str(number), title, f"Go to {title}", PANEL, f"panel('{name}')", 0, f"Go to panel: {title}")
        for number, (name, title) in enumerate(((name, TITLES[name]) for name in PANELS), start=1)
    ),
    Key("tab", "tab", "next panel", "Next panel (shift: back)", PANEL),
    Key("f,enter", "f enter", "maximize", "Maximize the panel", PANEL, "maximize", 7, "Maximize the panel"),
    Key("escape", "esc", "restore", "Show all panels again", PANEL, "restore", 0, "Show all panels"),
    Key("up,down,pageup,pagedown,home,end", "↑ ↓", "scroll", "Scroll the log", PANEL),
    Key("question_mark,f1", "?", "help", "Show the keys", PROGRAM, "help", 2, "Show the keys"),
    Key("ctrl+p", "^p", "commands", "Find a command by its name", PROGRAM, "command_palette", 8),
    Key("q", "q", "quit", "Quit (asks first)", PROGRAM, "quit", 3, "Quit"),
)


def bindings() -> list[Binding]:
    """Textual's bindings for every key that the app answers."""
    return [
        Binding(key.keys, key.action, key.help, show=False)
        for key in KEYS
        if key.action is not None and key.keys != App.COMMAND_PALETTE_BINDING
    ]
