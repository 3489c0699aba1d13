"""The watched environment, drawn live."""

from __future__ import annotations

from engine import Clip, Frame
from perx_tui import format as fmt
from perx_tui.tui.lines import Line, centered, clean
from perx_tui.tui.panel import Panel
from perx_tui.tui.picture import Picture


class Episode(Panel):
    """The picture in the largest size that fits; in its frame, what the policy thinks and what the game counts."""

    number = 2
    title = "episode"
    padding_across = 0
    picture: Picture | None = None
    expected: int | str | None = None
    """The environment that was asked for, or "best" or "newest", while its first clip has not come."""
    factor = 1.0
    """How much faster than by itself it is played; 0 where it is held."""
    _clip: Clip | None = None
    _frame: Frame | None = None

    def play(self, clip: Clip, frame: Frame) -> None:
        """Show a frame; only rows that differ from the one before are drawn."""
        if frame is self._frame:
            return
        if self.expected == (clip.follow or clip.environment):
            self.expected = None
        self._clip, self._frame = clip, frame
        if self.display:
            self.redraw()

    def heading(self) -> str:
        """Which environment is shown, or which of the episodes that ended."""
        if self.expected is not None:
            return f"episode · {_subject(self.expected)} …"
        if self._clip is None:
            return self.title
        return f"episode · {_subject(self._clip.follow or self._clip.environment)}"

    def summary(self) -> list[Line]:
        """The value that the policy gives to this state; before it the speed where that is not the usual one."""
        if self._frame is None:
            return []
        value = f"{self._frame.value:.2f}" if abs(self._frame.value) < 1000 else fmt.count(self._frame.value)
        full: Line = (("value ", "dim"), (value.rjust(5), "strong"))
        short: Line = (("V ", "dim"), (value.rjust(5), "strong"))
        if self.factor == 1.0:
            return [full, short]
        speed: Line = ((("▌▌ held" if not self.factor else f"{self.factor:g}x") + "  ", "yellow+"),)
        return [(*speed, *full), (*speed, *short), speed]

    def caption(self) -> list[Line]:
        """Score and lives, or steps and heading, as the environment says it, and the action taken."""
        if self._frame is None or self.picture is None:
            return []
        words: Line = ((clean(self.picture.caption(self._frame.state)), "strong"),)
        end: Line = (
            (("  end", "yellow+"),) if self._frame.done else ((f"  {self.picture.action(self._frame.action)}", "dim"),)
        )
        return [(*words, *end), words]

    def body(self, width: int, height: int) -> list[Line]:
        """The picture, centred."""
        if self._frame is None or self.picture is None:
            return centered("no clip has come yet", width, height)
        return self.picture.lines(self._frame.state, width, height)


def _subject(watched: int | str) -> str:
    return f"env {watched}" if isinstance(watched, int) else watched
