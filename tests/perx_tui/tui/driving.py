"""Driving the app in tests: a clock that stands until it is moved, and the screen as text."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from fakes import FakeSession
from textual.pilot import Pilot

from perx_tui.tui import PerxApp, Result
from perx_tui.tui.lines import text_of


@dataclass
class Clock:
    """Seconds, moved by hand."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Stage:
    """A running app with what a test needs of it."""

    app: PerxApp
    session: FakeSession
    pilot: Pilot[Result]
    clock: Clock = field(default_factory=Clock)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def tick(self, seconds: float = 0.5) -> None:
        """Let time pass and the app refresh once."""
        self.clock.now += seconds
        self.app.tick()
        self.app.play()
        await self.pilot.pause()

    @property
    def commands(self) -> list[tuple[str, object]]:
        """What the app told the session after the start."""
        return [command for command in self.session.commands if command not in (("start", None), ("watch", 0))]

    @property
    def text(self) -> str:
        """The whole screen."""
        strips = self.app.screen._compositor.render_strips()
        return "\n".join(strip.text for strip in strips)

    def rows(self, panel: str) -> list[str]:
        """A panel's rows as text."""
        return text_of(self.app.dashboard.panels[panel]._shown)

    @property
    def header(self) -> str:
        return text_of(self.app.dashboard.header._shown)[0]

    @property
    def footer(self) -> str:
        return text_of(self.app.dashboard.footer._shown)[0]


def build(session: FakeSession, clock: Clock | None = None, **options: object) -> PerxApp:
    """The app on a fake session. Only `Stage.tick` refreshes it: one timer is too slow for any test, and the one that
    plays the episode plays nothing, because how often it comes between two steps of a test depends on the machine."""
    settings: dict[str, object] = {"refresh": 0.001, "episode_fps": 10.0} | options
    app = PerxApp(session, clock=clock or Clock(), **settings)  # type: ignore[arg-type]
    app._paced_play = lambda: None  # type: ignore[method-assign]
    return app


@asynccontextmanager
async def staged(session: FakeSession, size: tuple[int, int] = (120, 36), **options: object) -> AsyncIterator[Stage]:
    """The app running without a terminal."""
    clock = Clock()
    app = build(session, clock, **options)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        yield Stage(app, session, pilot, clock)
