"""Breakout once more, slowly and by other means: double precision, every brick and wall a rectangle of its own.

The ball is a point that flies against rectangles grown by its size; the first it enters is the one it meets.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field

from slow_random import Pcg32

LAYOUT = struct.Struct("<QQfi7f6i108B")
WIDTH, BALL, PADDLE_Y = 576, 32, 312
FAR = 10_000
VALUES = (7, 7, 4, 4, 1, 1)


@dataclass(frozen=True)
class Box:
    left: float
    top: float
    right: float
    bottom: float
    kind: str  # "wall", "back", "paddle" or "brick"
    brick: int = -1


@dataclass
class Contact:
    time: float
    sideways: bool  # the ball meets the box's left or right side
    overlap: float  # of ball and box along that side
    box: Box


@dataclass
class Breakout:
    """The state under the names of the C struct."""

    random: Pcg32
    total_reward: float
    steps: int
    paddle_x: float
    paddle_width: float
    ball_x: float
    ball_y: float
    ball_vx: float
    ball_vy: float
    ball_speed: float
    hits: int
    score: int
    bricks_left: int
    balls_fired: int
    balls_left: int
    in_play: int
    broken: list[int] = field(default_factory=list)

    @classmethod
    def read(cls, state: bytes) -> Breakout:
        values = LAYOUT.unpack(state)
        return cls(Pcg32(values[0], values[1]), *values[2:17], broken=list(values[17:]))

    def step(self, push: float, frames: int = 4) -> tuple[int, bool]:
        """The reward and whether the episode is over."""
        before = self.score
        over = False
        for _ in range(frames):
            self._frame(push)
            over = self.balls_left == 0 or self.score == 864
            if over:
                break
        self.steps += 1
        self.total_reward += self.score - before
        return self.score - before, over

    def _frame(self, push: float) -> None:
        if not self.in_play:
            self.in_play = 1
            self.balls_fired += 1
            right = self.random.next() >= 2**31
            self.ball_vx = math.sin(math.pi / 3.25) * self.ball_speed / 60 * (1 if right else -1)
            self.ball_vy = math.cos(math.pi / 3.25) * self.ball_speed / 60
        self.paddle_x = min(max(self.paddle_x + push * 620 / 60, 0), WIDTH - self.paddle_width)
        contact = min(self._contacts(), key=lambda c: (round(c.time, 5), -round(c.overlap, 3)), default=None)
        share = contact.time if contact else 1.0
        self.ball_x += self.ball_vx * share
        self.ball_y += self.ball_vy * share
        if contact:
            self._meet(contact)
        if self.ball_y >= PADDLE_Y + 8:
            self.balls_left -= 1
            self._new_ball()

    def _boxes(self) -> list[Box]:
        boxes = [
            Box(-FAR, -FAR, 0, FAR, "wall"),
            Box(WIDTH, -FAR, WIDTH + FAR, FAR, "wall"),
            Box(-FAR, -FAR, FAR, 0, "back"),
            Box(self.paddle_x, PADDLE_Y, self.paddle_x + self.paddle_width, FAR, "paddle"),
        ]
        for i, broken in enumerate(self.broken):
            if not broken:
                left, top = i % 18 * 32, 50 + i // 18 * 12
                boxes.append(Box(left, top, left + 32, top + 12, "brick", i))
        return boxes

    def _contacts(self) -> list[Contact]:
        return [contact for box in self._boxes() if (contact := self._contact(box))]

    def _contact(self, box: Box) -> Contact | None:
        near_x, far_x = _passage(self.ball_x, self.ball_vx, box.left - BALL, box.right)
        near_y, far_y = _passage(self.ball_y, self.ball_vy, box.top - BALL, box.bottom)
        time = max(near_x, near_y)
        if time < -1e-6 or time > 1 or time >= min(far_x, far_y) - 1e-9:
            return None
        time = max(time, 0.0)
        sideways = near_x > near_y
        if box.kind == "paddle" and sideways:
            return None  # a ball beside the paddle is lost
        x, y = self.ball_x + self.ball_vx * time, self.ball_y + self.ball_vy * time
        if sideways:
            overlap = min(y + BALL, box.bottom) - max(y, box.top)
        else:
            overlap = min(x + BALL, box.right) - max(x, box.left)
        return Contact(time, sideways, overlap, box)

    def _meet(self, contact: Contact) -> None:
        if contact.box.kind == "paddle":
            self._bounce_off_paddle()
            return
        if contact.box.kind == "back":
            self.paddle_width = 31
        if contact.box.brick >= 0:
            self.broken[contact.box.brick] = 1
            self.bricks_left -= 1
            self.score += VALUES[contact.box.brick // 18]
            if contact.box.brick < 3 * 18:
                self.ball_speed = 448
        if contact.sideways:
            self.ball_vx = -self.ball_vx
        else:
            self.ball_vy = -self.ball_vy

    def _bounce_off_paddle(self) -> None:
        offset = self.ball_x + BALL / 2 - (self.paddle_x + self.paddle_width / 2)
        steepest = math.radians(45) * (62 + BALL) / 62
        angle = max(-steepest, min(steepest, math.radians(90) * offset / self.paddle_width))
        self.ball_vx = math.sin(angle) * self.ball_speed / 60
        self.ball_vy = -math.cos(angle) * self.ball_speed / 60
        self.hits += 1
        if self.hits % 4 == 0:
            self.ball_speed = min(448, self.ball_speed + 64)
        if self.bricks_left == 0:
            self.broken = [0] * 108
            self.bricks_left = 108

    def _new_ball(self) -> None:
        self.paddle_width, self.paddle_x = 62, 257
        self.ball_x, self.ball_y, self.ball_vx, self.ball_vy = 272, 135, 0, 0
        self.ball_speed, self.hits, self.in_play = 256, 0, 0


def _passage(at: float, speed: float, low: float, high: float) -> tuple[float, float]:
    """The times between which a point that moves along an axis lies strictly within (low, high)."""
    if speed == 0:
        return (-math.inf, math.inf) if low < at < high else (math.inf, -math.inf)
    times = sorted(((low - at) / speed, (high - at) / speed))
    return times[0], times[1]
