"""What is kept for a user in $XDG_CONFIG_HOME/perx-tui: what the charts showed last (charts.json), and that keys have
been pressed before (welcomed)."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from perx_tui.tui.chart_choice import MOST, SMOOTHING, Choice

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
        try:
            with self.path.open("rb") as file:
                data = file.read(_MOST_BYTES + 1)
        except FileNotFoundError:
            return ""
        except OSError as error:
            return f"the charts of the last time cannot be read: {error.strerror or error} ({self.path})"
        problem = "it is too large" if len(data) > _MOST_BYTES else _take(choice, data)
        return f"{self.path} is passed over: {problem}; pin metrics anew to replace it" if problem else ""

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
        temporary = self.path.with_name(f".charts-{os.getpid()}.json")
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
            os.replace(temporary, self.path)
        except OSError as error:
            return f"the pinned metrics cannot be remembered: {error.strerror or error} ({self.path})"
        return ""


def _take(choice: Choice, data: bytes) -> str:
    """Fill `choice` from the file's text; why it will not do, empty when it does. All of it is taken or nothing."""
    try:
        kept = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        return "it is not JSON"
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
