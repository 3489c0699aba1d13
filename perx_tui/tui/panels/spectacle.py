"""The panels of watch mode: the game, what the policy thinks of it, and how the episodes go."""

from __future__ import annotations

import itertools
import statistics

from perx_tui import format as fmt
from perx_tui.tui import marks
from perx_tui.tui.lines import EMPTY, Line, centered, clean, pair
from perx_tui.tui.panel import Panel
from perx_tui.tui.panels.actions import action_lines
from perx_tui.tui.picture import Picture
from perx_tui.tui.spectating import Spectating
from perx_tui.tui.theme import Palette

_WAITING = {
    "starting": "the policy plays as soon as the first iteration is done",
    "disconnected": "the run does not answer",
    "running": "the policy comes at the end of the iteration",
    "paused": "the policy is on its way",
    "saving": "the policy comes when the checkpoint is written",
}
_OVER = "the run has ended"
"""Why there is no picture yet, by the state of the run, or no other any more."""


class _Spectator(Panel):
    """What the panels of watch mode share."""

    def __init__(self, palette: Palette, spectating: Spectating, picture: Picture, *, id: str) -> None:
        super().__init__(palette, id=id)
        self.spectating, self.picture = spectating, picture


class Stage(_Spectator):
    """The game in the largest size that fits; its frame tells whose policy plays, and how."""

    title = "watch"
    padding_across = 0

    def heading(self) -> str:
        """Which policy plays, or that none does any more."""
        if self.spectating.over and self.spectating.frame is not None:
            return f"watch · {_OVER}; its last frame" if self.size.width >= 64 else f"watch · {_OVER}"
        shown = self.spectating.spectacle
        if shown is None or not shown.frames:
            return "watch · the present policy"
        if self.size.width < 64:
            return f"watch · policy of step {fmt.count(shown.step)}"
        return f"watch · the policy of step {fmt.exact(shown.step)} (iteration {fmt.exact(shown.iteration)}) plays"

    def summary(self) -> list[Line]:
        """Whether it plays, and how fast."""
        if self.spectating.frame is None or self.spectating.over:
            return []
        if self.spectating.paused:
            return [(("▌▌ play held", "yellow+"),), (("▌▌ held", "yellow+"),)]
        speed = f"{self.spectating.speed:g}"
        return [((f"► {speed} steps/s", "green+"),), ((f"► {speed}/s", "green+"),)]

    def caption(self) -> list[Line]:
        """What the environment counts; of a game that is held also that training is not."""
        frame = self.spectating.frame
        if frame is None:
            return []
        words: Line = ((clean(self.picture.caption(frame.state)), "strong"),)
        if frame.done:
            words = (*words, ("  end of the episode", "yellow+"))
        if self.spectating.over or not self.spectating.paused:
            return [words, words[:1]]
        keys: Line = (("  space", "blue+"), (" goes on, ", "dim"), ("s", "blue+"), (" one step", "dim"))
        note: Line = (("; training is not held", "dim"),) if self.view.snapshot.state == "running" else ()
        return [(*words, *keys, *note), (*words, *keys), words, words[:1]]

    def body(self, width: int, height: int) -> list[Line]:
        """The picture, centred."""
        frame = self.spectating.frame
        if frame is None:
            text = _WAITING.get(self.view.snapshot.state, _OVER)
            return centered(text, width, height)
        return self.picture.lines(frame.state, width, height)


class Thoughts(_Spectator):
    """The probabilities of the actions and the value of the state."""

    title = "policy"

    def summary(self) -> list[Line]:
        """How actions are chosen."""
        if self.spectating.frame is None:
            return []
        if self.spectating.greedy:
            return [(("greedy: takes the likeliest", "dim"),), (("greedy", "dim"),)]
        return [(("sampled: drawn by chance", "dim"),), (("sampled", "dim"),)]

    def body(self, width: int, height: int) -> list[Line]:
        """A bar an action, then the value."""
        frame = self.spectating.frame
        if frame is None:
            return []
        figures: list[Line] = [
            pair("value", fmt.number(frame.value), width),
            pair("reward", fmt.score(frame.reward), width, "green+" if frame.reward > 0 else "strong"),
        ]
        room = height - len(figures)
        actions = action_lines(frame.probabilities, frame.action, self.picture.action, width, room)
        gap = [EMPTY] if room > len(actions) else []
        return [*actions, *gap, *figures]


class Episodes(_Spectator):
    """How far the episode is, and the scores of those before it."""

    title = "episodes"

    def heading(self) -> str:
        """The number of the episode."""
        frame = self.spectating.frame
        return f"episode {frame.episode:,}" if frame else self.title

    def body(self, width: int, height: int) -> list[Line]:
        """Step and return, the mean of the last scores, and as many of these as fit, the newest first."""
        spectating = self.spectating
        frame, shown = spectating.frame, spectating.spectacle
        if frame is None:
            return []
        scores = shown.scores if shown else ()
        mean = statistics.fmean(scores) if scores else None
        label = f"mean score of {len(scores)}" if len(scores) > 1 else "mean score"
        lines: list[Line] = [
            pair("step", f"{frame.step:,}", width),
            pair("return so far", fmt.score(frame.total), width),
            pair(label, fmt.score(mean), width),
        ]
        room = height - len(lines) - 2
        if scores and room > 0 and shown is not None:
            lines += [EMPTY, (("last scores, newest first", "dim"),)]
            highest = max(max(scores), 1e-9)
            numbers = itertools.count(shown.episodes, -1)
            for _, score in zip(numbers, reversed(scores[-room:]), strict=False):
                bar = marks.bar(max(0.0, score) / highest, max(4, width - 9))
                lines.append(((fmt.score(score).rjust(8) + " ", ""), (bar, "blue")))
        return lines
