"""Watching a segment: which one is asked for, which step is looked at, and playing it. No drawing here."""

from __future__ import annotations

from engine import SegmentView, Snapshot

SPEEDS = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Steps per second."""

_PATIENCE = 3.0
"""Seconds after which the same segment as before is taken for the answer: a paused run has no newer data."""

WORDS = {
    "priority": "by priority",
    "uses": "by uses",
    "age": "by age",
    "random": "at random",
    "index": "from the table",
}
"""How a segment was chosen, in words."""


class Watching:
    """The state of the viewer. A segment stays until another one is asked for, however long the run goes on."""

    def __init__(self) -> None:
        self.view: SegmentView | None = None
        self.cursor = 0
        self.playing = False
        self.speed = 3
        self.wanted: tuple[str, int] = ("priority", 0)
        self.waiting = False
        self._before: SegmentView | None = None
        self._since = 0.0
        self._moved = 0.0
        self._visited: list[int] = []

    # ---- which segment ----

    def ask(self, by: str, index: int, newest: SegmentView | None, now: float) -> None:
        """Remember what is wanted; `newest` is the segment that the run shows already."""
        self.wanted, self.waiting, self._before, self._since = (by, index), True, newest, now

    def offer(self, snapshot: Snapshot, now: float) -> bool:
        """Take the segment that was asked for when it has come; a run that has ended sends none any more."""
        segment = snapshot.segment
        if not self.waiting:
            return False
        if segment is None or not self._answers(segment) or not self._is_news(segment, snapshot, now):
            self.waiting = not snapshot.ended
            return False
        self.view, self.waiting = segment, False
        self.playing, self.cursor, self._visited = False, 0, []
        self.jump()
        return True

    def _is_news(self, segment: SegmentView, snapshot: Snapshot, now: float) -> bool:
        """The same data again is an answer only when no newer one is there or to come."""
        if segment is not self._before and segment != self._before:
            return True
        outdated = segment.iteration < snapshot.iteration
        return not outdated and not snapshot.ended and now - self._since >= _PATIENCE

    def _answers(self, segment: SegmentView) -> bool:
        by, index = self.wanted
        if segment.chosen != by:
            return False
        return by != "index" or segment.summary.index == index

    # ---- which step ----

    @property
    def length(self) -> int:
        """Steps of the segment."""
        return len(self.view.steps) if self.view else 0

    def move(self, by: int) -> None:
        """Go to another step by hand, which holds the play."""
        self.playing = False
        self._go(self.cursor + by)

    def go(self, step: int) -> None:
        """Go to a step by its number."""
        self.move(step - self.cursor)

    def _go(self, step: int) -> None:
        self.cursor = max(0, min(step, self.length - 1))

    def surprises(self) -> list[int]:
        """The steps from the largest |advantage| to the smallest."""
        steps = self.view.steps if self.view else ()
        return sorted(range(len(steps)), key=lambda step: -abs(steps[step].advantage))

    def jump(self) -> None:
        """Go to the largest |advantage|; again, to the next largest that was not visited."""
        order = self.surprises()
        if not order:
            return
        if self.cursor not in self._visited[-1:]:
            self._visited = []
        left = [step for step in order if step not in self._visited] or order
        if len(left) == len(order):
            self._visited = []
        self._visited.append(left[0])
        self.playing = False
        self._go(left[0])

    def toggle(self, now: float) -> None:
        """Play from here, from the beginning when this is the end; or hold."""
        self.playing = not self.playing and self.length > 1
        self._moved = now
        if self.playing and self.cursor >= self.length - 1:
            self.cursor = 0

    def faster(self, by: int) -> None:
        """Another of the speeds."""
        self.speed = max(0, min(self.speed + by, len(SPEEDS) - 1))

    def advance(self, now: float) -> bool:
        """Let the play go on until `now`; whether another step is to be shown."""
        if not self.playing:
            return False
        steps = int((now - self._moved) * SPEEDS[self.speed] + 1e-6)
        if steps < 1:
            return False
        self._moved += steps / SPEEDS[self.speed]
        self._go(self.cursor + steps)
        if self.cursor >= self.length - 1:
            self.playing = False
        return True
