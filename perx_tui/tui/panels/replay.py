"""What prioritized replay drew in the last iteration."""

from __future__ import annotations

import math

from engine import ReplayView
from perx_tui import format as fmt
from perx_tui.tui import marks
from perx_tui.tui.lines import Line, beside, pair, spread
from perx_tui.tui.panel import Panel

_TABLE = 35


class Replay(Panel):
    """Figures of the draw, a histogram of uses, one of priorities, and the segments with the highest priority."""

    number = 6
    title = "prioritized replay"

    def heading(self) -> str:
        """Names another scheme than the prioritized one."""
        scheme = self.view.snapshot.replay.scheme
        return self.title if scheme in ("", "prioritized") else f"replay · {scheme}"

    def summary(self) -> list[Line]:
        """The size of the pool and of the draw."""
        replay = self.view.snapshot.replay
        if not replay.segments:
            return []
        draws, segments = fmt.count(replay.draws), fmt.count(replay.segments)
        short: Line = ((f"{draws} of {segments}", "dim"),)
        middle: Line = ((f"{draws} draws of {segments} segments", "dim"),)
        return [(*middle, ("  p", "blue+"), (" more", "dim")), middle, short]

    def body(self, width: int, height: int) -> list[Line]:
        """Three blocks side by side where the panel is wide, figures over histograms where it is not."""
        replay = self.view.snapshot.replay
        if width >= 78 and height >= 8:
            figures = 22
            bins = width - figures - _TABLE - 6
            half = (height + 1) // 2
            graphs = [*self._uses(replay, bins, half), *self._priorities(replay, bins, height - half)]
            table = self._table(replay, height)
            return beside([(self._figures(figures), figures), (graphs, bins), (table, _TABLE)], height, 3)
        column = (width - 2) // 2
        pairs = self._figures(column)
        rows = (len(pairs) + 1) // 2
        lines = beside([(pairs[:rows], column), (pairs[rows:], width - 2 - column)], rows)
        left = height - rows
        if left >= 3:
            graphs = beside(
                [
                    (self._uses(replay, column, left), column),
                    (self._priorities(replay, width - 2 - column, left), width - 2 - column),
                ],
                left,
            )
            lines.extend(graphs)
        return lines[:height]

    def _figures(self, width: int) -> list[Line]:
        metric = self.view.metric
        fixed = {
            "alpha": _fixed(metric("replay/alpha")),
            "beta": _fixed(metric("replay/beta")),
            "uses mean": _fixed(metric("replay/uses_mean")),
            "uses max": fmt.count(metric("replay/uses_max")),
            "unused": fmt.percent(metric("replay/unused")),
            "effective": fmt.percent(metric("replay/ess")),
            "entropy": fmt.percent(metric("replay/entropy")),
            "weight min": _fixed(metric("replay/weight_min")),
            "weight mean": _fixed(metric("replay/weight_mean")),
            "weight max": _fixed(metric("replay/weight_max")),
        }
        if metric("replay/age_mean") is not None:
            # Kept segments are the news then; what the weights are at least, and entropy beside the effective size,
            # say little more.
            del fixed["weight min"], fixed["entropy"]
            fixed["older"] = fmt.percent(metric("replay/old_share"))
            fixed["age mean"] = _fixed(metric("replay/age_mean"))
        return [pair(label, value, width) for label, value in fixed.items()]

    def _uses(self, replay: ReplayView, width: int, height: int) -> list[Line]:
        """How many segments were drawn 0, 1, 2, ... times."""
        title: Line = (("segments by uses", "dim"),)
        if not replay.uses_histogram or height < 3:
            return [title, ((fmt.UNKNOWN, "dim"),)][:height]
        counts = replay.uses_histogram
        most = max(1, min(len(counts), width // 2))
        if len(counts) > most:
            counts = (*counts[: most - 1], sum(counts[most - 1 :]))
        rows, pitch = marks.histogram(counts, width, height - 2)
        labels = "".join((str(k) if k < 10 else "…").ljust(pitch) for k in range(len(counts) - 1))
        return [title, *((((row, "orange"),)) for row in rows), ((labels + f"{len(counts) - 1}+", "dim"),)]

    def _priorities(self, replay: ReplayView, width: int, height: int) -> list[Line]:
        """How many segments have which priority, on a logarithmic axis."""
        title: Line = (("by priority", "dim"),)
        if not replay.priority_histogram or height < 3:
            return [title, ((fmt.UNKNOWN, "dim"),)][:height]
        rows, pitch = marks.histogram(replay.priority_histogram, width, height - 2)
        used = max(1, min(width, pitch * len(replay.priority_histogram)))
        low, high = replay.priority_range
        scale = spread(((_short(low), "dim"),), ((_short(high), "dim"),), used)
        return [title, *((((row, "purple"),)) for row in rows), scale]

    def _table(self, replay: ReplayView, height: int) -> list[Line]:
        """The segments most likely to be drawn."""
        lines: list[Line] = [(("top segment  priority  uses   score".rjust(_TABLE), "dim"),)]
        for top in replay.top[: height - 1]:
            text = (
                f"{f'agent {top.agent}'.ljust(11)}  {_short(top.priority).rjust(8)}  "
                f"{fmt.count(top.uses).rjust(4)}  {_score(top.score).rjust(6)}"
            )
            lines.append(((text, ""),))
        if not replay.top:
            lines.append(((fmt.UNKNOWN, "dim"),))
        return lines


def _fixed(value: float | None) -> str:
    """Two decimals, for values near one."""
    return fmt.UNKNOWN if value is None else f"{value:.2f}" if abs(value) < 1000 else fmt.count(value)


def _short(value: float) -> str:
    """A priority with three digits, in at most 8 characters."""
    if not math.isfinite(value):
        return fmt.number(value)
    return fmt.count(value) if abs(value) >= 999.5 else f"{value:#.3g}" if value else "0"


def _score(value: float) -> str:
    """A segment's reward with two decimals, in at most 6 characters."""
    return f"{value:.2f}" if abs(value) < 99.995 else f"{value:.1f}" if abs(value) < 999.95 else fmt.count(value)
