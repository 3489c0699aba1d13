"""Playing the watched environment's clips back at human speed.

A trainer hands over a clip of `horizon` steps once an iteration, all at once. Shown as it comes, the game would stand
still through the update phase and race through the collection. `Playback` stretches every clip until the next one is
expected, but never plays faster than the game is watched, and moves on to the newest clip when the current one has
ended.
"""

from __future__ import annotations

from engine import Clip, Frame

GAME_SPEED = 15.0
"""Steps per second at which a person follows Breakout (a step is 4 frames of 1/60 s)."""


class Playback:
    """Which frame to show at a moment. Frames never go backwards: clips follow one another by their iteration."""

    def __init__(self, pictures_per_second: float, speed: float = GAME_SPEED) -> None:
        # With a whole number of steps per picture the ball moves evenly; 15 steps at 10 pictures would stutter 1, 2,
        # 1, 2.
        self._fastest = pictures_per_second * max(1, int(speed / pictures_per_second))
        self._clip: Clip | None = None
        self._next: Clip | None = None
        self._position, self._at = 0.0, 0.0
        self.factor = 1.0
        """How much faster than by itself the game is played; 0 holds it."""
        self._speed = self._fastest
        self._arrived: float | None = None
        self._interval: float | None = None

    def offer(self, clip: Clip | None, now: float) -> None:
        """Take the newest clip of a snapshot; the same clip again is ignored."""
        newest = self._next or self._clip
        if clip is None or not clip.frames or (newest is not None and _same(clip, newest)):
            return
        if self._clip is None or _subject(clip) != _subject(self._clip):
            self._arrived, self._interval, self._next = now, None, None
            self._start(clip, now)
            return
        if self._arrived is not None:
            gap = now - self._arrived
            self._interval = gap if self._interval is None else 0.7 * self._interval + 0.3 * gap
        self._arrived = now
        self._next = clip

    def frame(self, now: float) -> tuple[Clip, int, Frame] | None:
        """The clip, the index and the frame to show at `now`; None before the first clip."""
        if self._clip is None:
            return None
        self._position += max(0.0, now - self._at) * self._speed * self.factor
        self._at = now
        index = int(self._position + 1e-6)
        if index >= len(self._clip.frames):
            if self._next is not None:
                self._start(self._next, now)
                self._next = None
                index = 0
            else:
                index = len(self._clip.frames) - 1
                self._position = float(index)
        return self._clip, index, self._clip.frames[index]

    def _start(self, clip: Clip, now: float) -> None:
        self._clip = clip
        self._position, self._at = 0.0, now
        self._speed = self._fastest
        if self._interval and clip.follow is None:  # an episode that is followed is complete
            self._speed = min(self._fastest, len(clip.frames) / self._interval)


def _subject(clip: Clip) -> object:
    """What is watched: an environment, or the episodes that a rule chooses."""
    return clip.follow or clip.environment


def _same(one: Clip, other: Clip) -> bool:
    return one is other or (one.iteration == other.iteration and _subject(one) == _subject(other))
