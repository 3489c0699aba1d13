"""A spectator's side of watch mode: which frame of the game is shown at a moment. No drawing here.

The run tells the newest frames in batches. They are shown one after another at the game's own speed, so that it moves
evenly however seldom a viewer looks at the run.
"""

from __future__ import annotations

from engine import Spectacle, SpectatorFrame

SPEEDS = (1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0)
"""Steps per second that the keys choose from."""

_PATIENCE = 2.0
"""Seconds after which a wish that the run has not answered is no wish any more."""


class Spectating:
    """The newest spectacle, the frame that is shown of it, and what was asked for and has not come yet."""

    def __init__(self) -> None:
        self.spectacle: Spectacle | None = None
        self.frame: SpectatorFrame | None = None
        self.over = False
        """The run has ended and plays no more: the frame that is shown is the last one."""
        self._moved = 0.0
        self._asked: dict[str, tuple[object, float]] = {}

    def offer(self, spectacle: Spectacle | None, now: float) -> None:
        """Take the newest spectacle; a game that has ended leaves its last frame."""
        if spectacle is None:
            self.spectacle = None
            return
        self.spectacle = spectacle
        for name, (value, since) in list(self._asked.items()):
            if getattr(spectacle, name) == value or now - since > _PATIENCE:
                del self._asked[name]

    def advance(self, now: float) -> bool:
        """Go on to the frame that is due; whether that is another one."""
        frames = self.spectacle.frames if self.spectacle else ()
        if not frames:
            return False
        newest = frames[-1]
        if self.frame is None or newest.number < self.frame.number or self.paused:
            return self._show(newest, now)
        steps = int((now - self._moved) * self.speed + 0.5)  # timers are a little early and a little late
        if steps < 1:
            return False
        wanted = self.frame.number + steps
        if wanted >= newest.number:
            return self._show(newest, now)
        self._moved += steps / self.speed
        first = frames[0].number
        return self._show(frames[max(0, wanted - first)], self._moved if wanted >= first else now)

    def _show(self, frame: SpectatorFrame, moved: float) -> bool:
        self._moved = moved
        if frame == self.frame:
            return False
        self.frame = frame
        return True

    def ask(self, name: str, value: object, now: float) -> None:
        """Remember that `paused`, `speed` or `greedy` shall have a value: it is shown before the run has answered."""
        self._asked[name] = value, now

    def _told(self, name: str, without: object) -> object:
        if name in self._asked:
            return self._asked[name][0]
        return getattr(self.spectacle, name) if self.spectacle else without

    @property
    def paused(self) -> bool:
        """The game stands still."""
        return bool(self._told("paused", False))

    @property
    def greedy(self) -> bool:
        """The likeliest action is taken."""
        return bool(self._told("greedy", True))

    @property
    def speed(self) -> float:
        """Steps per second."""
        return float(self._told("speed", 0.0) or 15.0)  # type: ignore[arg-type]

    def faster(self, by: int) -> float:
        """The speed above the present one, or below it."""
        others = [speed for speed in SPEEDS if (speed - self.speed) * by > 1e-9]
        return min(others, key=lambda speed: abs(speed - self.speed), default=self.speed)
