"""How fast the run goes and how far it is."""

from __future__ import annotations

from perx_tui import format as fmt
from perx_tui.tui import marks
from perx_tui.tui.lines import Line, beside, pair
from perx_tui.tui.panel import Panel

_NUMBERS = 26


class Throughput(Panel):
    """Speed as a number and as a graph of the newest iterations, progress as a line, time done and left."""

    number = 1
    title = "throughput"

    def summary(self) -> list[Line]:
        """How many iterations have ended; where the panel has one line only, also the speed and the time left."""
        snapshot = self.view.snapshot
        line: Line = (("iteration ", "dim"), (fmt.exact(snapshot.iteration or None), "strong"))
        if self.size.height > 3:
            return [line]
        speed: Line = ((fmt.rate(self._speed()), "strong"), ("   time left ", "dim"))
        return [(*speed, (self._left(), "strong"), ("   ", ""), *line), line]

    def body(self, width: int, height: int) -> list[Line]:
        """Numbers at the left, the graph at the right, the progress line below both."""
        snapshot = self.view.snapshot
        rows = height - 1
        now = fmt.rate(self._speed())
        average = fmt.rate(snapshot.average_steps_per_second)
        elapsed = fmt.duration(snapshot.elapsed) if snapshot.elapsed else fmt.UNKNOWN
        left = self._left()
        numbers: list[Line]
        if rows >= 4:
            numbers = [
                pair("now", now, _NUMBERS),
                pair("average", average, _NUMBERS, ""),
                pair("elapsed", elapsed, _NUMBERS, ""),
                pair("time left", left, _NUMBERS, "strong"),
            ]
        else:
            numbers = [pair("now", now, _NUMBERS), pair("time left", left, _NUMBERS)]
        graph = self._graph(width - _NUMBERS - 2, rows)
        if rows < 1:
            return [self._progress(width)]
        return [*beside([(numbers, _NUMBERS), (graph, max(0, width - _NUMBERS - 2))], rows), self._progress(width)]

    def _left(self) -> str:
        return fmt.UNKNOWN if self._still else fmt.duration(self.view.snapshot.seconds_left)

    def _speed(self) -> float | None:
        return None if self._still else self.view.snapshot.steps_per_second

    @property
    def _still(self) -> bool:
        """Whether nothing is known to go on."""
        return self.view.snapshot.ended or self.view.snapshot.state == "disconnected"

    def _progress(self, width: int) -> Line:
        snapshot = self.view.snapshot
        begun = snapshot.step > 0 or snapshot.iteration > 0
        step = fmt.count(snapshot.step if begun else None)
        done = f"{step.rjust(5)} of {fmt.count(snapshot.total_steps or None)} steps "
        share = f" {fmt.percent(snapshot.progress if begun and snapshot.total_steps else None).rjust(6)}"
        line = marks.gauge(snapshot.progress, width - len(done) - len(share), "blue")
        return ((done, ""), *line, (share, "strong"))

    def _graph(self, width: int, rows: int) -> list[Line]:
        """Steps per second of the newest iterations; the scale stands at the graph's upper left."""
        if width < 8:
            return []
        label = 6
        values = self.view.history.recent("sps", 2 * (width - label))
        high = max((value for value in values if value == value), default=0.0)
        if high <= 0:
            return []
        drawn = marks.area(values, width - label, rows, high)
        lines: list[Line] = []
        for row, text in enumerate(drawn):
            tone = f"graph{4 - round(3 * row / max(1, rows - 1))}"
            scale = fmt.count(high) if row == 0 else "0" if row == rows - 1 else ""
            lines.append(((scale.rjust(label - 1) + " ", "dim"), (text, tone)))
        return lines
