"""Shows a checkpoint at play, step by step, on a plain full-screen terminal."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from perx_tui import format as spell
from perx_tui.picture import Painter
from perx_tui.screen import Screen

if TYPE_CHECKING:
    from engine import Frame, Player

KEYS = "space pause  s step  + faster  - slower  n next episode  q quit"
LEAVE = ("q", "Q")


def show(player: Player, episodes: int | None, fps: float) -> None:
    """Play until `episodes` have ended (None: for ever) or the viewer leaves."""
    with Screen() as screen:
        stage = _Stage(player, screen, fps)
        number = 0
        while (episodes is None or number < episodes) and stage.perform(number + 1):
            number += 1


class _Stage:
    def __init__(self, player: Player, screen: Screen, fps: float) -> None:
        from engine import ROLES

        self._screen = screen
        self._frames = player.play()
        self._renderer = player.renderer()
        self._painter = Painter.for_terminal(ROLES)
        self._fps = fps
        self._paused = False

    def perform(self, number: int) -> bool:
        """Show one episode; False when the viewer wants to leave."""
        total = 0.0
        skipping = False
        for step, frame in enumerate(self._frames, 1):
            total += frame.reward
            if skipping:
                if self._screen.key(0) in LEAVE:
                    return False
            else:
                title = f"episode {number}  step {step}  return {spell.score(total)}  value {spell.score(frame.value)}"
                answer = self._hold(frame, title)
                if answer == "quit":
                    return False
                skipping = answer == "next episode"
            if frame.done:
                break
        return True

    def _draw(self, frame: Frame, title: str) -> None:
        columns, lines = self._screen.size()
        grid_lines = self._picture(frame, columns, lines - 3)
        state = "paused" if self._paused else f"{self._fps:g} steps/s"
        self._screen.paint(
            [
                f"{title}  {state}"[:columns],
                f"{self._renderer.caption(frame.state)}  {self._renderer.action(frame.action)}"[:columns],
                *grid_lines,
                KEYS[:columns],
            ]
        )

    def _picture(self, frame: Frame, columns: int, lines: int) -> list[str]:
        """The largest scale that fits, or words that say what would."""
        sizes = {scale: self._renderer.size(scale) for scale in range(1, self._renderer.scales + 1)}
        fitting = [scale for scale, (rows, width) in sizes.items() if rows <= lines and width <= columns]
        if not fitting:
            rows, width = sizes[1]
            return [
                f"the picture needs {width} columns and {rows + 3} lines; this terminal has {columns} x {lines + 3}"[
                    :columns
                ]
            ]
        return self._painter.lines(self._renderer.render(frame.state, max(fitting)))

    def _hold(self, frame: Frame, title: str) -> str:
        """Show `frame` until the next one is due and obey keys meanwhile. Drawn again after each, for a new size."""
        due = time.monotonic() + 1 / self._fps
        while True:
            self._draw(frame, title)
            match self._screen.key(0.5 if self._paused else due - time.monotonic()):
                case None if not self._paused:
                    return "next frame"
                case key if key in LEAVE:
                    return "quit"
                case "n":
                    return "next episode"
                case " ":
                    self._paused = not self._paused
                    due = time.monotonic()
                case "s" if self._paused:
                    return "next frame"
                case "+" | "=":
                    self._fps = min(240.0, self._fps * 1.5)
                case "-":
                    self._fps = min(self._fps, max(0.5, self._fps / 1.5))
                case _:
                    pass
