"""What is kept for a user in $XDG_CONFIG_HOME/perx-tui: what the charts showed last (charts.json), and that keys have
been pressed before (welcomed)."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from perx_tui.tui.chart_choice import MOST, SMOOTHING, Choice
from perx_tui.tui.layouts import Layouts, from_record, to_record

_MOST_BYTES = 16_384
_LONGEST_KEY = 120


def config_folder(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The user's folder of settings of this program; None where the system names no home."""
    chosen = environ.get("XDG_CONFIG_HOME", "")
    if chosen.startswith("/"):
        return Path(chosen) / "perx-tui"
    try:
        return Path.home() / ".config" / "perx-tui"
    except RuntimeError:
        return None


class Welcome:
    """Whether the user still needs to be told how one finds one's way: until some keys have been pressed, ever."""

    KEYS = 3

    def __init__(self, folder: Path | None) -> None:
        """`folder` is the user's; without one nobody is taken for new, because it could not be remembered."""
        self.path = None if folder is None else folder / "welcomed"
        self._pressed = 0
        self.wanted = self.path is not None and not self.path.exists()

    def press(self) -> bool:
        """Count a key; whether it was the last one that counts. That is remembered by an empty file: where it cannot
        be written the next time begins with the hint again, and nothing else comes of it."""
        if not self.wanted or self.path is None:
            return False
        self._pressed += 1
        self.wanted = self._pressed < self.KEYS
        if not self.wanted:
            with contextlib.suppress(OSError):
                self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self.path.touch()
        return not self.wanted


class ChartMemory:
    """The file, or nothing at all where there is no place for one."""

    def __init__(self, folder: Path | None) -> None:
        self.path = None if folder is None else folder / "charts.json"

    def load(self, choice: Choice) -> str:
        """Take over what was shown the last time; a warning of one line when the file is there and will not do, and
        then `choice` stays as it is."""
        if self.path is None:
            return ""
        kept, problem = _read(self.path, "the charts")
        if kept is not None:
            problem = _take(choice, kept)
        return _passed_over(self.path, problem, "pin metrics anew to replace it") if problem else ""

    def save(self, choice: Choice) -> str:
        """Keep what is shown; what went wrong, in one line. The file is replaced in one step."""
        if self.path is None:
            return ""
        kept = {
            "pinned": choice.pinned,
            "time": choice.time,
            "log": choice.log,
            "stacked": choice.stacked,
            "smoothing": choice.smoothing,
        }
        problem = _replace(self.path, kept)
        return f"the pinned metrics cannot be remembered: {problem}" if problem else ""


class LayoutMemory:
    """The same for the arrangement of the panels, in layout.json."""

    def __init__(self, folder: Path | None) -> None:
        self.path = None if folder is None else folder / "layout.json"
        self._kept: object = {}

    def load(self, layouts: Layouts) -> str:
        """Take over the layouts of the last time; a warning of one line when the file will not do, and then `layouts`
        stay as they are."""
        if self.path is None:
            return ""
        kept, problem = _read(self.path, "the layout")
        if kept is not None:
            try:
                layouts.update(from_record(kept))
            except ValueError as fault:
                problem = str(fault)
        self._kept = to_record(layouts) if not problem else None
        return _passed_over(self.path, problem, "0 puts the standard layout in its place") if problem else ""

    def save(self, layouts: Layouts) -> str:
        """Keep them where they have changed; what went wrong, in one line."""
        record = to_record(layouts)
        if self.path is None or record == self._kept:
            return ""
        self._kept = record
        problem = _replace(self.path, record)
        return f"the layout cannot be remembered: {problem}" if problem else ""


def _read(path: Path, what: str) -> tuple[Any, str]:
    """What the JSON file holds, or None and why it will not do; None and nothing where there is no file."""
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        return None, ""
    except OSError as error:
        return None, f"{what} of the last time cannot be read: {error.strerror or error}"
    if len(data) > _MOST_BYTES:
        return None, "it is too large"
    try:
        kept = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        return None, "it is not JSON"
    return (kept, "") if kept is not None else (None, "it is not a JSON object")


def _passed_over(path: Path, problem: str, remedy: str) -> str:
    return f"{path} is passed over: {problem}; {remedy}"


def _replace(path: Path, kept: object) -> str:
    """Write the file in one step; what went wrong."""
    temporary = path.with_name(f".{path.stem}-{os.getpid()}.json")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
        os.replace(temporary, path)
    except OSError as error:
        return f"{error.strerror or error} ({path})"
    return ""


def _take(choice: Choice, kept: object) -> str:
    """Fill `choice` from what the file holds; why it will not do, empty when it does. All of it is taken or nothing."""
    if not isinstance(kept, dict):
        return "it is not a JSON object"
    pinned = kept.get("pinned", choice.pinned)
    good = isinstance(pinned, list) and 1 <= len(pinned) <= MOST and len(set(map(str, pinned))) == len(pinned)
    if not good or not all(
        isinstance(key, str) and 0 < len(key) <= _LONGEST_KEY and key.isprintable() for key in pinned
    ):
        return f"pinned must be 1 to {MOST} different names of metrics"
    switches = {name: kept.get(name, getattr(choice, name)) for name in ("time", "log", "stacked")}
    for name, value in switches.items():
        if not isinstance(value, bool):
            return f"{name} must be true or false"
    smoothing = kept.get("smoothing", choice.smoothing)
    if type(smoothing) is not int or not 0 <= smoothing < len(SMOOTHING):
        return f"smoothing must be a whole number from 0 to {len(SMOOTHING) - 1}"
    choice.pinned, choice.active = list(pinned), 0
    choice.time, choice.log, choice.stacked = switches["time"], switches["log"], switches["stacked"]
    choice.smoothing = smoothing
    choice.changed()
    return ""
