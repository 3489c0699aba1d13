"""The segment viewer's panels: which segment it is, the picture of a step, what the policy thought there, and the
whole segment as a strip."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

from textual import events
from textual.message import Message

from engine import SegmentStep, SegmentView
from perx_tui import format as fmt
from perx_tui.tui import waterfall
from perx_tui.tui.lines import EMPTY, Line, Part, cells, centered, clean, pair, wrap
from perx_tui.tui.panel import Lines, Panel
from perx_tui.tui.panels.actions import action_lines
from perx_tui.tui.panels.segments import priority_text, score_text
from perx_tui.tui.picture import Picture
from perx_tui.tui.theme import Palette
from perx_tui.tui.watching import SPEEDS, WORDS, Watching

NO_MORE = "the run has ended: no segment can be looked up"
"""The answer to whoever asks for a segment too late."""


class _Watched:
    """What the panels of the viewer share."""

    def __init__(self, watching: Watching) -> None:
        self.watching = watching

    @property
    def segment(self) -> SegmentView | None:
        """The segment that is watched."""
        return self.watching.view

    @property
    def step(self) -> SegmentStep | None:
        """The step under the cursor."""
        segment = self.segment
        return segment.steps[self.watching.cursor] if segment and segment.steps else None


class Facts(Lines, _Watched):
    """One line: how the segment was chosen, its rank, and what prioritized replay knows about it."""

    def __init__(self, palette: Palette, watching: Watching, *, id: str) -> None:
        Lines.__init__(self, palette, id=id)
        _Watched.__init__(self, watching)

    def lines(self, width: int, height: int) -> list[Line]:
        """The most telling first; what does not fit is left out whole."""
        segment, ended = self.segment, self.view.snapshot.ended
        if self.watching.waiting or (segment is None and not ended):
            return [self._asked(width)]
        if segment is None:
            return [((" " + NO_MORE, "yellow+"),)]
        summary = segment.summary
        facts: list[tuple[str, str]] = [
            ("rank", f"{segment.rank + 1:,}"),
            ("priority", priority_text(summary.priority)),
            ("used", f"{fmt.count(summary.uses)}x"),
            ("age", fmt.count(summary.age)),
            ("iteration", f"{segment.iteration:,}"),
            ("agent", str(summary.agent)),
            ("score", score_text(summary.score)),
            ("drawn with", fmt.percent(summary.probability)),
        ]
        chosen = f" {WORDS.get(segment.chosen, segment.chosen)}"
        if segment.chosen == "index":
            # An index names a segment within one iteration: what comes is what has this index when it is looked up.
            chosen = f" segment {summary.index} now"
        line: list[Part] = [(chosen, "blue+")]
        for name, value in facts:
            more: Line = ((f"  {name} ", "dim"), (value, "strong"))
            if cells((*line, *more)) > width:
                break
            line.extend(more)
        return [tuple(line)]

    def _asked(self, width: int) -> Line:
        """What is asked for and when it comes. Nothing of the segment that is shown till then could pass for it."""
        by, _ = self.watching.wanted
        asked: Part = (f" asked for a segment {WORDS[by]}…", "yellow+")
        when: Part = (" it comes at the end of the iteration", "dim")
        before: Part = (" below is still the one before", "dim")
        wordings: list[Line] = [(asked, when), (asked,)]
        if self.segment is not None:
            wordings = [(asked, when, (";", "dim"), before), (asked, before), (asked,)]
        return next((line for line in wordings if cells(line) <= width), wordings[-1])


class StatePicture(Panel, _Watched):
    """The environment before the step, in the largest size that fits."""

    title = "state"
    padding_across = 0

    def __init__(self, palette: Palette, watching: Watching, picture: Picture, *, id: str) -> None:
        Panel.__init__(self, palette, id=id)
        _Watched.__init__(self, watching)
        self.picture = picture

    def heading(self) -> str:
        """Which step is shown."""
        if not self.segment:
            return self.title
        return f"step {self.watching.cursor + 1} of {self.watching.length}"

    def summary(self) -> list[Line]:
        """Whether it plays, and how fast."""
        if not self.segment:
            return []
        speed = f"{SPEEDS[self.watching.speed]:g}/s"
        return [(("► " + speed, "green+"),) if self.watching.playing else (("▌▌ " + speed, "dim"),)]

    def caption(self) -> list[Line]:
        """What the environment counts."""
        step = self.step
        if step is None or not step.state:
            return []
        words: Line = ((clean(self.picture.caption(step.state)), "strong"),)
        return [(*words, ("  end", "yellow+")) if step.done else words, words]

    def body(self, width: int, height: int) -> list[Line]:
        """The picture, centred."""
        step = self.step
        if step is None:
            ended = self.view.snapshot.ended
            return centered("no segment was looked up" if ended else "no segment has come yet", width, height)
        if not step.state:
            return centered("the state of this step was not kept", width, height)
        return self.picture.lines(step.state, width, height)


class Step(Panel, _Watched):
    """What the policy thinks of the state and of what it did there."""

    title = "policy"

    def __init__(self, palette: Palette, watching: Watching, picture: Picture, *, id: str) -> None:
        Panel.__init__(self, palette, id=id)
        _Watched.__init__(self, watching)
        self.picture = picture

    def summary(self) -> list[Line]:
        """How surprising this step is among those of the segment."""
        if self.step is None:
            return []
        place = self.watching.surprises().index(self.watching.cursor) + 1
        words: Line = ((f"surprise {place} of {self.watching.length}", "orange+" if place == 1 else "dim"),)
        return [words]

    def body(self, width: int, height: int) -> list[Line]:
        """Figures below, the probabilities of the actions above them."""
        step = self.step
        if step is None:
            return []
        figures = self._figures(step, min(width, 44))
        explained = [EMPTY, *(((row, "dim"),) for text in _EXPLAINED for row in wrap(text, width))]
        if height >= len(figures) + len(step.probabilities) + len(explained) + 2:
            figures += explained
        room = height - len(figures) - 1
        gap = [EMPTY] if room > len(step.probabilities) else []
        if room > len(step.probabilities) + 1:
            gap = [EMPTY]
            heading: list[Line] = [(("probability now; ► was taken", "dim"),)]
            return [*heading, *self._actions(step, width, room - 1), *gap, *figures]
        return [*self._actions(step, width, room), *gap, *figures]

    def _actions(self, step: SegmentStep, width: int, room: int) -> list[Line]:
        return action_lines(step.probabilities, step.action, self.picture.action, width, room)

    def _figures(self, step: SegmentStep, width: int) -> list[Line]:
        verdict = "better than expected" if step.advantage > 0 else "worse than expected" if step.advantage < 0 else ""
        hue = "green" if step.advantage > 0 else "red"
        lines: list[Line] = [
            pair("value", fmt.number(step.value), width),
            pair("reward", score_text(step.reward), width, "green+" if step.reward > 0 else "strong"),
            pair("advantage", _signed(step.advantage), width, f"{hue}+"),
            (("  " + verdict, hue),),
            pair("ratio now / then", fmt.number(step.ratio), width),
            pair("episode", "ends here" if step.done else "goes on", width, "yellow+" if step.done else ""),
        ]
        return lines if self.size.height >= 12 else [*lines[:3], *lines[4:]]


_EXPLAINED = (
    "value: the rewards to come, discounted, as the policy expects them in this state.",
    "advantage: how much more (+) or less (-) came of the action than that. A large one is a surprise, and the sum of "
    "their sizes makes a segment's priority.",
    "ratio: how likely the action is to the present policy, over how likely it was to the one that played. Far from 1, "
    "the policy has changed its mind.",
)
"""What the figures mean, where there is room for it."""


class Strip(Panel, _Watched):
    """The whole segment: |advantage| of every step as bars, so that one sees where the surprise is; the cursor below.

    The taller the panel, the more stands under it: rewards and ends, value, ratio, the chosen action's probability.
    """

    title = "|advantage| of every step"
    _MARGIN = 12

    class Moved(Message):
        """Another step was chosen with the mouse."""

    def __init__(self, palette: Palette, watching: Watching, *, id: str) -> None:
        Panel.__init__(self, palette, id=id)
        _Watched.__init__(self, watching)
        self._per_cell, self._pitch = 1, 1

    def summary(self) -> list[Line]:
        """The largest one and where it is."""
        segment = self.segment
        if segment is None or not segment.steps:
            return []
        largest = self.watching.surprises()[0]
        size = fmt.number(abs(segment.steps[largest].advantage))
        return [(("largest ", "dim"), (size, "orange+"), (f" at step {largest + 1}", "dim"))]

    def caption(self) -> list[Line]:
        """What the marks mean."""
        if self.segment is None:
            return []
        way: Line = (("█", "green"), (" better than expected  ", "dim"), ("█", "red"), (" worse  ", "dim"))
        marks_: Line = (("+", "green+"), (" reward  ", "dim"), ("-", "red+"), (" penalty  ", "dim"), ("┃", "yellow+"))
        full: Line = (*way, *marks_, (" episode ends", "dim"))
        return [(*full, ("  j", "blue+"), (" next surprise", "dim")), full, way]

    def body(self, width: int, height: int) -> list[Line]:
        """Bars, marks, cursor, and further rows."""
        segment = self.segment
        if segment is None or not segment.steps:
            return []
        steps = segment.steps
        room = width - self._MARGIN
        self._per_cell = max(1, math.ceil(len(steps) / room))
        self._pitch = max(1, min(4, room // len(steps)))
        more = (height - 6) // 2 if height >= 8 else 0
        traces = self._traces()[:more]
        tail = 2 * len(traces) + (2 if height >= 4 else 1 if height >= 2 else 0)
        sizes = self._cells([abs(step.advantage) for step in steps], max)
        high = max(sizes) or 1.0
        bars = waterfall.bars(sizes, height - tail, high)
        at = self.watching.cursor // self._per_cell
        ways = ["green" if way > 0 else "red" for way in self._cells([step.advantage for step in steps], _largest)]
        lines = [self._row("|advantage|" if y == 0 else "", bar, at, ways) for y, bar in enumerate(bars)]
        if height >= 2:
            lines.append(self._events(steps, None if height >= 4 else at))
        if height >= 4:
            cursor = "".join("▲" if cell == at else "┈" for cell in range(len(sizes)))
            lines.append(self._row("", cursor, at, ["faint"] * len(sizes)))
        for name, values, hue in traces:
            drawn = marks_of(self._cells(values, _mean), 2)
            hues = [hue] * len(sizes)
            lines.extend(self._row(name if y == 0 else "", row, at, hues) for y, row in enumerate(drawn))
        return lines

    def _traces(self) -> list[tuple[str, list[float], str]]:
        """Other quantities over the segment."""
        steps = self.segment.steps if self.segment else ()
        return [
            ("value", [step.value for step in steps], "blue"),
            ("P(action)", [_chosen(step) for step in steps], "purple"),
            ("ratio", [step.ratio for step in steps], "yellow"),
        ]

    def _cells(self, values: Sequence[float], join: Callable[[Sequence[float]], float]) -> list[float]:
        """A value for every cell column: several steps are joined where they outnumber the columns."""
        n = self._per_cell
        return [join(values[start : start + n]) for start in range(0, len(values), n)]

    def _row(self, label: str, text: str, at: int, hues: Sequence[str]) -> Line:
        """A row over all steps, the cursor's column in its own colour; every step `pitch` cells wide."""
        parts: list[Part] = [(label.ljust(self._MARGIN), "dim")]
        cells_ = [("▲" if x == at and c == "┈" else c, "orange+" if x == at else hues[x]) for x, c in enumerate(text)]
        for hue, group in itertools.groupby(cells_, key=lambda cell: cell[1]):
            parts.append(("".join(character * self._pitch for character, _ in group), hue))
        return tuple(parts)

    def _events(self, steps: Sequence[SegmentStep], cursor: int | None) -> Line:
        """Rewards and ends of episodes; with the cursor where it has no row of its own."""
        parts: list[Part] = [("events".ljust(self._MARGIN), "dim")]
        for cell, start in enumerate(range(0, len(steps), self._per_cell)):
            group = steps[start : start + self._per_cell]
            reward = sum(step.reward for step in group)
            mark: Part = (" ", "")
            if cell == cursor:
                mark = ("▲", "orange+")
            elif any(step.done for step in group):
                mark = ("┃", "yellow+")
            elif reward:
                mark = ("+", "green+") if reward > 0 else ("-", "red+")
            parts.extend((mark, (" " * (self._pitch - 1), "")))
        return tuple(parts)

    def on_click(self, event: events.Click) -> None:
        """Go to the step under the pointer."""
        event.stop()
        column = event.x - 1 - self.padding_across - self._MARGIN
        step = column // self._pitch * self._per_cell
        if self.segment is not None and 0 <= step < self.watching.length:
            self.watching.go(step)
            self.post_message(self.Moved())


def marks_of(values: Sequence[float], height: int) -> list[str]:
    """Bars between the smallest and the largest of `values`; the smallest is an eighth high."""
    finite = [value for value in values if math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    span = (high - low) or 1.0
    lifted = [(value - low) / span + 0.08 if math.isfinite(value) else 0.0 for value in values]
    return waterfall.bars(lifted, height, 1.08)


def _chosen(step: SegmentStep) -> float:
    """Probability of the action that was taken."""
    return step.probabilities[step.action] if 0 <= step.action < len(step.probabilities) else 0.0


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _largest(values: Sequence[float]) -> float:
    """The value of the largest size, with its sign."""
    return max(values, key=abs)


def _signed(value: float) -> str:
    return f"+{fmt.number(value)}" if value > 0 else fmt.number(value)
