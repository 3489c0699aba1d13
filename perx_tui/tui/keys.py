"""The one table of keys. Dispatch, the footer, the help screen and the command palette are all made from it.

Keys that belong to tmux and screen (ctrl with a, b, o, s, j, h, m, z) are never used.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

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

TRAINING, WATCHING, PANEL, SCREEN, PROGRAM = "Training", "Watching", "Panels", "Screens", "Program"
GROUPS = (TRAINING, WATCHING, PANEL, SCREEN, PROGRAM)


@dataclass(frozen=True, slots=True)
class Key:
    """One entry of the table."""

    keys: str
    """Textual's names of the keys, separated by commas."""
    display: str
    """What stands for the keys on the screen; empty where the entry before speaks for this one too."""
    label: str
    """One or two words, for the footer."""
    help: str
    group: str
    action: str | None = None
    """The app's action, or "screen." and one of the screen that is open; None where Textual or the panel itself answers
    the key."""
    rank: int = 0
    """Place in the footer, 0 for none. A narrow footer keeps the small ranks."""
    command: str = ""
    """Name in the command palette; empty for keys that make sense only as keys."""


KEYS: tuple[Key, ...] = (
    Key("space", "space", "pause", "Pause training, or go on", TRAINING, "pause", 1, "Pause or resume training"),
    Key("s", "s", "step", "One iteration, while paused", TRAINING, "step", 9, "Train one iteration"),
    Key("c", "c", "checkpoint", "Save a checkpoint now", TRAINING, "checkpoint", 4, "Save a checkpoint"),
    Key("w", "w", "watch", "Watch the policy play", WATCHING, "watch_mode", 8, "Watch mode: the policy plays"),
    Key("n", "n N", "next env", "Next environment, or back", WATCHING, "watch(1)", 15, "Watch the next environment"),
    Key("N", "", "", "The environment before", WATCHING, "watch(-1)", 0, "Watch the environment before"),
    Key(
        "number_sign",
        "#",
        "number",
        "An environment by number",
        WATCHING,
        "number",
        0,
        "Watch an environment by number",
    ),
    Key("b", "b", "follow", "Best or newest episode", WATCHING, "follow", 18, "Follow the best or newest episode"),
    Key(
        "plus,equals_sign", "+ - z", "speed", "Faster, slower, hold", WATCHING, "speed(1)", 0, "Play the episode faster"
    ),
    Key("minus", "", "", "Slower", WATCHING, "speed(-1)", 0, "Play the episode slower"),
    Key("z", "", "", "Hold the episode, or go on", WATCHING, "hold", 0, "Hold the episode"),
    *(
        Key(str(number), str(number), title, f"Go to {title}", PANEL, f"panel('{name}')", 0, f"Go to panel: {title}")
        for number, (name, title) in enumerate(((name, TITLES[name]) for name in PANELS), start=1)
    ),
    Key("tab", "tab", "next panel", "Next panel (shift: back)", PANEL),
    Key("f,enter", "f esc", "maximize", "Maximize, show all again", PANEL, "maximize", 10, "Maximize the panel"),
    Key("escape", "", "restore", "Show all panels again", PANEL, "restore", 0, "Show all panels"),
    Key("h", "h 0", "hide", "Hide it, standard layout", PANEL, "hide", 17, "Hide the panel"),
    Key("0", "", "", "The standard layout", PANEL, "reset_layout", 0, "Standard layout"),
    Key("up,down,pageup,pagedown,home,end", "↑ ↓", "scroll", "Scroll the log", PANEL),
    Key("p", "p", "replay", "What is replayed, and why", SCREEN, "prioritization", 5, "Prioritization screen"),
    Key("g", "g", "charts", "Any metric as a chart", SCREEN, "chart", 13, "Charts"),
    Key("v", "v", "segment", "Watch a segment's steps", SCREEN, "segment", 6, "Segment viewer"),
    Key("e", "e", "edit", "Change settings live", SCREEN, "editor", 7, "Edit live settings"),
    Key("a", "a", "alarms", "Alarms, and what to try", SCREEN, "alarms", 12, "Alarms"),
    Key("i", "i", "explain", "What the figures mean", PROGRAM, "explain", 14, "Explain the figures"),
    Key("r", "r", "runs", "All runs of the folder", PROGRAM, "runs", 16, "Runs of the folder"),
    Key("y", "y Y", "copy", "Copy the panel, all figures", PROGRAM, "copy", 0, "Copy the focused panel"),
    Key("Y", "", "", "Copy the run's figures", PROGRAM, "copy_summary", 0, "Copy the summary of the run"),
    Key("S", "S", "screenshot", "Save the screen as SVG", PROGRAM, "picture"),
    Key("question_mark,f1", "?", "help", "Show the keys", PROGRAM, "help", 2, "Show the keys"),
    Key("ctrl+p", "^p", "commands", "Find a command by its name", PROGRAM, "command_palette", 11),
    Key("q", "q", "quit", "Quit (asks first)", PROGRAM, "quit", 3, "Quit"),
)


GAME = "The game"
TABLE, STEPS, CHOICE, SETTINGS = "Table of segments", "Steps", "Which segment", "Settings"
ALARMS, FIGURES = "Alarms", "Figures"
CURVES, AXES = "Curves", "Axes and crosshair"

_BACK = Key("escape", "esc", "back", "Back", PROGRAM, "screen.back", 1)
_HELP = Key("question_mark,f1", "?", "help", "Show the keys", PROGRAM, "help", 9)
_EXPLAIN = Key("i", "i", "explain", "What the figures mean", PROGRAM, "explain")
_SPACE = Key("space", "space", "pause", "Pause training, or go on", TRAINING, "pause", 6)

PRIORITIZATION_KEYS: tuple[Key, ...] = (
    Key("tab,right_square_bracket", "tab", "next tab", "Next tab", PROGRAM, "screen.tab(1)", 5, command="Next tab"),
    Key("shift+tab,left_square_bracket", "", "", "Tab before", PROGRAM, "screen.tab(-1)", command="Tab before"),
    Key("up", "↑ ↓", "choose", "Choose a segment", TABLE, "screen.move(-1)", 4),
    Key("down", "", "", "Segment below", TABLE, "screen.move(1)"),
    Key("pageup", "pgup pgdn", "", "A page up or down", TABLE, "screen.page(-1)"),
    Key("pagedown", "", "", "A page down", TABLE, "screen.page(1)"),
    Key("home", "home end", "", "The first, the last", TABLE, "screen.move(-1000000)"),
    Key("end", "", "", "The last", TABLE, "screen.move(1000000)"),
    Key(
        "left",
        "← →",
        "sort",
        "Sort by another column",
        TABLE,
        "screen.sort(-1)",
        3,
        command="Sort by the column before",
    ),
    Key("right", "", "", "Sort by the next column", TABLE, "screen.sort(1)", command="Sort by the next column"),
    Key("r", "r", "reverse", "Reverse the order", TABLE, "screen.reverse", 7, command="Reverse the order of the table"),
    Key(
        "enter",
        "enter",
        "watch",
        "Watch the chosen segment",
        TABLE,
        "screen.open",
        2,
        command="Watch the chosen segment",
    ),
    _SPACE,
    Key("e", "e", "edit", "Change settings", PROGRAM, "editor", 8),
    replace(_EXPLAIN, rank=10),
    _BACK,
    _HELP,
)
"""Keys of the prioritization screen; those of the app that it does not name stay in force."""

ALARM_KEYS: tuple[Key, ...] = (
    Key(
        "tab",
        "tab",
        "rules",
        "What is watched, and back",
        ALARMS,
        "screen.tab",
        3,
        command="What is watched, or the alarms",
    ),
    Key("up", "↑ ↓", "scroll", "Scroll the alarms", ALARMS, "screen.scroll(-1)", 2),
    Key("down", "", "", "Down", ALARMS, "screen.scroll(1)"),
    Key("pageup", "pgup pgdn", "", "A page up or down", ALARMS, "screen.scroll(-8)"),
    Key("pagedown", "", "", "A page down", ALARMS, "screen.scroll(8)"),
    Key("home", "home end", "", "The first, the last", ALARMS, "screen.scroll(-1000000)"),
    Key("end", "", "", "The last", ALARMS, "screen.scroll(1000000)"),
    _SPACE,
    Key("e", "e", "edit", "Change settings", PROGRAM, "editor", 8),
    _BACK,
    _HELP,
)
"""Keys of the screen of the alarms."""

EXPLAIN_KEYS: tuple[Key, ...] = (
    Key(
        "tab,right",
        "tab",
        "next panel",
        "The next panel's",
        FIGURES,
        "screen.subject(1)",
        2,
        command="Explain the next panel",
    ),
    Key(
        "shift+tab,left", "", "", "The panel before", FIGURES, "screen.subject(-1)", command="Explain the panel before"
    ),
    Key("1", "1 ... 8", "", "A panel by its number", FIGURES, f"screen.turn('{PANELS[0]}')"),
    *(
        Key(str(number), "", "", TITLES[name], FIGURES, f"screen.turn('{name}')")
        for number, name in enumerate(PANELS[1:], start=2)
    ),
    Key("up", "↑ ↓", "choose", "Choose a figure", FIGURES, "screen.move(-1)", 3),
    Key("down", "", "", "The figure below", FIGURES, "screen.move(1)"),
    Key("pageup", "pgup pgdn", "", "Several up or down", FIGURES, "screen.page(-1)"),
    Key("pagedown", "", "", "Several down", FIGURES, "screen.page(1)"),
    Key("home", "home end", "", "The first, the last", FIGURES, "screen.move(-1000000)"),
    Key("end", "", "", "The last", FIGURES, "screen.move(1000000)"),
    Key(
        "enter,g",
        "enter",
        "chart",
        "Show it as a chart",
        FIGURES,
        "screen.chart",
        4,
        command="Show the figure as a chart",
    ),
    Key("i", "i", "", "Close it", PROGRAM, "screen.back"),
    _SPACE,
    _BACK,
    _HELP,
)
"""Keys of the screen that explains figures."""

CHART_KEYS: tuple[Key, ...] = (
    Key("slash,enter", "/", "find", "Find a metric by letters", CURVES, "screen.pick", 2, command="Find a metric"),
    Key("up,shift+tab", "↑ ↓", "curve", "Another of the curves", CURVES, "screen.curve(-1)", 8),
    Key("down,tab", "", "", "The next curve", CURVES, "screen.curve(1)"),
    Key(
        "d,backspace,delete",
        "d",
        "unpin",
        "Take the curve away",
        CURVES,
        "screen.erase",
        11,
        command="Take the curve away",
    ),
    Key(
        "o",
        "o",
        "stack",
        "One chart, or one each",
        CURVES,
        "screen.stack",
        10,
        command="One chart for all curves, or one each",
    ),
    Key("i", "i", "explain", "What the metric means", CURVES, "screen.explain", 7, command="Explain the metric"),
    Key("left", "← →", "crosshair", "Move the crosshair", AXES, "screen.move(-1)", 3),
    Key("right", "", "", "Crosshair to the right", AXES, "screen.move(1)"),
    Key("pageup", "pgup pgdn", "", "Move it farther", AXES, "screen.page(-1)"),
    Key("pagedown", "", "", "Farther to the right", AXES, "screen.page(1)"),
    Key("home", "home end", "", "The first point, the last", AXES, "screen.end(-1)"),
    Key("end", "", "", "The last point", AXES, "screen.end(1)"),
    Key("plus,equals_sign", "+ -", "zoom", "Closer, farther (wheel)", AXES, "screen.zoom(1)", 4, command="Zoom in"),
    Key("minus", "", "", "Farther", AXES, "screen.zoom(-1)", command="Zoom out"),
    Key("comma,shift+left", ", .", "pan", "Earlier, later (drag)", AXES, "screen.pan(-1)", 5, command="Pan to earlier"),
    Key("full_stop,shift+right", "", "", "Later", AXES, "screen.pan(1)", command="Pan to later"),
    Key("0", "0", "all", "The whole run again", AXES, "screen.whole", 13, command="Show the whole run"),
    Key("x", "x", "axis", "Over steps, over time", AXES, "screen.axis", 6, command="Steps or time on the axis"),
    Key("l", "l", "log", "Logarithmic, linear", AXES, "screen.log", 9, command="Logarithmic or linear axis"),
    Key("s", "s", "smooth", "Smooth more, or not", AXES, "screen.smooth", 12, command="Smooth the curves more, or not"),
    Key("w", "w", "save", "Save as CSV, SVG, PNG", PROGRAM, "screen.save", 14, command="Save the charts as files"),
    Key("y", "y", "copy", "Copy the values shown", PROGRAM, "screen.copy", 15, command="Copy the values of the curves"),
    Key("f,g", "g", "", "Close the charts", PROGRAM, "screen.close"),
    _BACK,
    replace(_HELP, rank=16),
)
"""Keys of the chart screen; those of the app that it does not name stay in force."""

SEARCH_KEYS: tuple[Key, ...] = (
    Key("letters", "a ... z", "", "Find a metric by letters", CURVES),
    Key("up", "↑ ↓", "choose", "Choose a metric", CURVES, "screen.curve(-1)", 4),
    Key("down", "", "", "The metric below", CURVES, "screen.curve(1)"),
    Key("enter", "enter", "show", "Show it", CURVES, "screen.pick", 2),
    Key("space", "space", "pin", "Pin it beside others", CURVES, None, 3),
    Key("backspace", "bksp", "", "Erase a letter", CURVES, "screen.erase"),
    Key("escape", "esc", "back", "Back to the chart", PROGRAM, "screen.back", 1),
    Key("f1", "F1", "help", "Show the keys", PROGRAM, "help", 5),
)
"""Keys of the chart screen while a metric is searched for."""

VIEWER_KEYS: tuple[Key, ...] = (
    Key("space", "space", "play", "Play, or hold", STEPS, "screen.play", 2, command="Play or hold the segment"),
    Key("left", "← →", "step", "A step back or on", STEPS, "screen.move(-1)", 3),
    Key("right", "", "", "A step on", STEPS, "screen.move(1)"),
    Key("pageup", "pgup pgdn", "", "Eight steps back or on", STEPS, "screen.move(-8)"),
    Key("pagedown", "", "", "Eight steps on", STEPS, "screen.move(8)"),
    Key("home", "home end", "", "The first step, the last", STEPS, "screen.move(-1000000)"),
    Key("end", "", "", "The last step", STEPS, "screen.move(1000000)"),
    Key("j", "j", "surprise", "Largest surprise, next", STEPS, "screen.jump", 4, command="Jump to the next surprise"),
    Key(
        "plus,equals_sign", "+ -", "speed", "Play faster or slower", STEPS, "screen.speed(1)", 8, command="Play faster"
    ),
    Key("minus", "", "", "Slower", STEPS, "screen.speed(-1)", command="Play slower"),
    Key(
        "h",
        "h",
        "highest",
        "Highest priority",
        CHOICE,
        "screen.choose('priority')",
        6,
        command="Segment of the highest priority",
    ),
    Key("u", "u", "most used", "Most used", CHOICE, "screen.choose('uses')", 7, command="Most used segment"),
    Key("o", "o", "oldest", "Oldest", CHOICE, "screen.choose('age')", 9, command="Oldest segment"),
    Key("x", "x", "random", "At random", CHOICE, "screen.choose('random')", 10, command="Segment at random"),
    Key("n", "n N", "next", "Rank below, rank above", CHOICE, "screen.rank(1)", 5, command="Segment below in rank"),
    Key("N", "", "", "The one before in rank", CHOICE, "screen.rank(-1)", command="Segment above in rank"),
    Key(
        "r",
        "r",
        "newest",
        "Ask again: the newest data",
        CHOICE,
        "screen.refresh_segment",
        11,
        command="The segment from the newest data",
    ),
    replace(_EXPLAIN, rank=13),
    _BACK,
    replace(_HELP, rank=12),
)
"""Keys of the segment viewer."""

WATCH_KEYS: tuple[Key, ...] = (
    Key("space", "space", "hold", "Hold the play, not training", GAME, "screen.hold", 2, "Hold the play"),
    Key("s", "s", "one step", "One step, then hold", GAME, "screen.single", 3, "One step of the play"),
    Key("plus,equals_sign", "+ -", "speed", "Faster or slower", GAME, "screen.speed(1)", 4, "Play faster"),
    Key("minus", "", "", "Slower", GAME, "screen.speed(-1)", command="Play slower"),
    Key("n", "n", "new", "Another episode", GAME, "screen.episode", 5, "Another episode"),
    Key("g,x", "g x", "sampling", "Likeliest action, or drawn", GAME, "screen.greedy", 6, "Greedy or sampled actions"),
    _EXPLAIN,
    _BACK,
    replace(_HELP, rank=7),
)
"""Keys of watch mode; those of the app that it does not name stay in force."""

EDITOR_KEYS: tuple[Key, ...] = (
    Key("up", "↑ ↓", "choose", "Choose a setting, a word", SETTINGS, "screen.move(-1)", 3),
    Key("down", "", "", "The setting below", SETTINGS, "screen.move(1)"),
    Key("pageup", "pgup pgdn", "", "A page up or down", SETTINGS, "screen.page(-1)"),
    Key("pagedown", "", "", "A page down", SETTINGS, "screen.page(1)"),
    Key("home", "home end", "", "The first, the last", SETTINGS, "screen.move(-1000000)"),
    Key("end", "", "", "The last", SETTINGS, "screen.move(1000000)"),
    Key("enter", "enter", "change", "Change it, apply it", SETTINGS, "screen.confirm", 2),
    Key("letters", "a ... z", "", "Find a setting by letters", SETTINGS),
    Key("backspace", "bksp", "", "Erase a letter", SETTINGS, "screen.erase"),
    Key(
        "ctrl+u",
        "^u",
        "undo",
        "Take the last change back",
        SETTINGS,
        "screen.undo",
        4,
        command="Undo the last change of a setting",
    ),
    Key("escape", "esc", "back", "Cancel, or back", PROGRAM, "screen.back", 1),
    Key("f1", "F1", "help", "Show the keys", PROGRAM, "help", 5),
)
"""Keys of the editor. Letters belong to the filter and to the value there, so none of them is a command."""

RUNS, CHOSEN = "List of runs", "The chosen run"

_LIST_KEYS: tuple[Key, ...] = (
    Key("up", "↑ ↓", "choose", "Choose a run", RUNS, "screen.move(-1)", 12),
    Key("down", "", "", "The run below", RUNS, "screen.move(1)"),
    Key("pageup", "pgup pgdn", "", "A page up or down", RUNS, "screen.page(-1)"),
    Key("pagedown", "", "", "A page down", RUNS, "screen.page(1)"),
    Key("home", "home end", "", "The first, the last", RUNS, "screen.move(-1000000)"),
    Key("end", "", "", "The last", RUNS, "screen.move(1000000)"),
    Key(
        "left",
        "← →",
        "sort",
        "Sort by another column",
        RUNS,
        "screen.sort(-1)",
        10,
        command="Sort by the column before",
    ),
    Key("right", "", "", "Sort by the next column", RUNS, "screen.sort(1)", command="Sort by the next column"),
    Key("o", "o", "order", "Turn the order round", RUNS, "screen.reverse", 11, command="Reverse the order of the list"),
    Key("slash", "/", "filter", "Only runs with some words", RUNS, "screen.filter", 4, command="Filter the runs"),
    Key("space", "space", "mark", "Mark the run, or not", RUNS, "screen.mark", 3, command="Mark the run, or not"),
    Key("enter", "enter", "open", "What makes sense: asks", CHOSEN, "screen.open", 1, command="Open the run"),
    Key("a", "a", "attach", "The TUI on a live run", CHOSEN, "screen.attach", 7, command="Attach to the run"),
    Key("p", "p", "play", "Watch its checkpoint play", CHOSEN, "screen.play", 8, command="Play the run's checkpoint"),
    Key("c", "c", "compare", "Compare it, or the marked", CHOSEN, "screen.compare", 5, command="Compare the runs"),
    Key("d,delete", "d", "delete", "Delete it, or the marked", CHOSEN, "screen.delete", 6, command="Delete the runs"),
)

BROWSER_KEYS: tuple[Key, ...] = (
    *_LIST_KEYS,
    Key("r", "r", "resume", "Train on, here", CHOSEN, "screen.resume", 9),
    Key("escape", "esc", "", "Drop the filter, the marks", PROGRAM, "screen.back"),
    Key("question_mark,f1", "?", "help", "Show the keys", PROGRAM, "help", 13),
    Key("q", "q", "quit", "Quit", PROGRAM, "quit", 2),
)
"""Keys of `perx-tui runs`."""

RUNS_KEYS: tuple[Key, ...] = (
    *_LIST_KEYS,
    Key("r", "r", "", "Close the list", PROGRAM, "screen.close"),
    replace(_BACK, rank=2),
    replace(_HELP, rank=13),
)
"""Keys of the list of runs in the training app; those of the app that it does not name stay in force."""

FILTER_KEYS: tuple[Key, ...] = (
    Key("letters", "a ... z", "", "Words that a run must have", RUNS),
    Key("up", "↑ ↓", "choose", "Choose a run", RUNS, "screen.move(-1)", 3),
    Key("down", "", "", "The run below", RUNS, "screen.move(1)"),
    Key("enter", "enter", "keep", "Keep the filter", RUNS, "screen.keep", 2),
    Key("backspace", "bksp", "", "Erase a letter", RUNS, "screen.erase"),
    Key("escape", "esc", "all runs", "Drop the filter", PROGRAM, "screen.back", 1),
    Key("f1", "F1", "help", "Show the keys", PROGRAM, "help", 4),
)
"""Keys of the list of runs while a filter is typed."""


def bindings(table: tuple[Key, ...] = KEYS) -> list[Binding]:
    """Textual's bindings for every key of `table` that an action answers."""
    return [
        Binding(key.keys, key.action, key.help, show=False)
        for key in table
        if key.action is not None and key.keys != App.COMMAND_PALETTE_BINDING
    ]
