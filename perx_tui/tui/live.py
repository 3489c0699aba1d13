"""What the app does by itself: hosts a session, reads its snapshots on a timer, and shows what they change."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from rich.console import RenderableType
from textual import events
from textual.app import App, ComposeResult
from textual.reactive import Reactive
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget

from engine import ROLES, Snapshot
from perx_tui.tui.chart_choice import Choice
from perx_tui.tui.dashboard import Dashboard
from perx_tui.tui.editing import Edits
from perx_tui.tui.explaining import SUBJECTS, explained, figure_at
from perx_tui.tui.history import History
from perx_tui.tui.pace import UNFOCUSED_SECONDS, Governor, Pace
from perx_tui.tui.painting import Painter
from perx_tui.tui.pending import Pending
from perx_tui.tui.picture import Picture
from perx_tui.tui.playback import Playback
from perx_tui.tui.remembered import ChartMemory, LayoutMemory, Welcome
from perx_tui.tui.replay_past import ReplayPast
from perx_tui.tui.screens.full import FullScreen
from perx_tui.tui.screens.help import HelpScreen
from perx_tui.tui.source import Session
from perx_tui.tui.theme import DARK, THEMES, Palette
from perx_tui.tui.view import View
from perx_tui.tui.watching import Watching

Result = Literal["stopped", "headless", "finished", "failed", "hangup", "crashed", "sigterm", "sigint"]
"""Why the app ended: "stopped" (asked for, checkpoint written), "headless" (training goes on), "finished" or "failed"
(training had ended by itself), "hangup" (the terminal went away, training goes on), "crashed" (the screen's own fault),
"sigterm", "sigint"."""

_NOTICE_SECONDS = 4.0
_HINT_SECONDS = 8.0
_PENDING_SECONDS = 20.0
_ROWS_A_TICK = 1000
"""Iterations of history taken in at one refresh: a resumed run's past comes in slices that do not hold up a key."""


class MainScreen(Screen[None]):
    """The screen of the panels. The panel that gains or loses the focus is drawn anew, not all of them."""

    focused: Reactive[Widget | None] = Reactive(None, repaint=False)


class LiveApp(App[Result]):
    """Shows a session. The trainer never waits for it, and it never waits for the trainer. What keys do is the
    business of `app.PerxApp`."""

    TITLE = "perx-tui"
    ENABLE_COMMAND_PALETTE = True
    ALLOW_SELECT = False
    AUTO_FOCUS = None
    CSS = """
    Dashboard { overflow: hidden; }
    CommandPalette > Vertical { width: 78; max-width: 100%; }
    CommandPalette SearchIcon { display: none; }
    """

    def __init__(
        self,
        session: Session,
        *,
        autostart: bool = True,
        attached: bool = False,
        refresh: float = 2.0,
        episode_fps: float = 10.0,
        theme: str = DARK.name,
        clock: Callable[[], float] = time.monotonic,
        backlog: Callable[[], bool] = lambda: False,
        hung_up: Callable[[], bool] = lambda: False,
        cost: Callable[[], str] = lambda: "",
        chart_memory: ChartMemory | None = None,
        layout_memory: LayoutMemory | None = None,
        welcome: Welcome | None = None,
        budget: float = 1.0,
        used: Callable[[], float] = time.thread_time,
    ) -> None:
        """With `attached` the session trains in another process. `refresh` and `episode_fps` are per second. `backlog`
        tells whether the terminal still has to take the last frame, `hung_up` whether it has gone away; `cost` says
        what the screen costs; `chart_memory` keeps what the charts show for the next time, `welcome` whether the user
        is new here. `budget` is the share of wall time that the screen may take, and `used` the seconds of processor
        time that it has taken."""
        super().__init__()
        self.session = session
        self.view = View(snapshot=session.snapshot())
        self._autostart = autostart
        self._attached = attached
        self._refresh_interval = 1.0 / refresh
        self._episode_fps = episode_fps
        self._clock = clock
        self._backlog = backlog
        self._hung_up = hung_up
        self._cost = cost
        self._governor = Governor(budget, clock, used)
        self._numbers, self._pictures = Pace(1.0 / refresh), Pace(1.0 / episode_fps)
        self._event_loop: asyncio.AbstractEventLoop | None = None
        self._left: Result | None = None
        self._history = History()
        self._rollbacks = 0
        self._past = ReplayPast()
        self._edits = Edits()
        self._charts = Choice()
        self._chart_memory = chart_memory or ChartMemory(None)
        self._welcome = welcome or Welcome(None)
        self._pointed = ("", "", -1)
        self._hint, self._hint_until = "", 0.0
        self._watching = Watching()
        self._playback = Playback(episode_fps)
        self._picture: Picture | None = None
        self._pending: Pending | None = None
        self._notice = ""
        self._notice_until = 0.0
        self._stopping = False
        self._frozen = False
        self._failure_seen = False
        self._timers_kept: list[Timer] = []
        self._kept_screens: dict[type[Screen[None]], Screen[None]] = {}
        """Screens that stay mounted when they are closed."""
        for known in THEMES:
            self.register_theme(known)
        self.theme = theme if theme in self.available_themes else DARK.name
        if self.theme != theme:
            self._notice = f"no theme is called {theme}; ^p, Theme lists them"
            self._notice_until = clock() + 2 * _NOTICE_SECONDS
        if problem := self._chart_memory.load(self._charts):
            self._notice, self._notice_until = problem, clock() + 2 * _NOTICE_SECONDS
        self.palette = self._make_palette()
        self.painter = Painter(self, clock)
        self.dashboard = Dashboard(self.palette)
        self._layout_memory = layout_memory or LayoutMemory(None)
        if problem := self._layout_memory.load(self.dashboard.layouts):
            self._notice, self._notice_until = problem, clock() + 2 * _NOTICE_SECONDS

    # ---- life ----

    def get_default_screen(self) -> Screen[None]:
        """The screen below all others."""
        return MainScreen(id="_default")

    def compose(self) -> ComposeResult:
        """One container; it knows the rest."""
        yield self.dashboard

    def on_mount(self) -> None:
        """Paint first: the session starts after the first frame is on the screen, because it imports torch."""
        self._event_loop = asyncio.get_running_loop()
        if self._left is not None:
            self.exit(self._left)
        self.theme_changed_signal.subscribe(self, self._theme_changed)
        self.dashboard.show(self.view)
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        clip = self.view.snapshot.clip
        self.session.watch((clip.follow or clip.environment) if clip else 0)  # what other viewers watch stays
        if self._autostart and not self.session.is_alive:
            self.session.start()
        self.tick()
        self._timers_kept = [
            self.set_interval(self._refresh_interval, self._paced_tick),
            self.set_interval(1.0 / self._episode_fps, self._paced_play),
        ]

    def leave(self, result: Result) -> None:
        """End the app from a signal handler or another thread."""
        self._left = result
        if self._event_loop is not None and not self._event_loop.is_closed():
            self._event_loop.call_soon_threadsafe(self.exit, result)

    @property
    def leaving(self) -> bool:
        """The app ends, or is about to."""
        return self._left is not None or not self.is_running

    # ---- refreshing ----

    def _paced_tick(self) -> None:
        """Refresh, unless the budget or a terminal without the focus asks for patience. An answer is not kept back."""
        self._governor.measure()
        stretch = self._governor.stretch if self.app_focus else UNFOCUSED_SECONDS / self._refresh_interval
        if self._numbers.due(self._clock(), stretch) or self._pending is not None:
            self.tick()

    def _paced_play(self) -> None:
        if self._pictures.due(self._clock(), self._governor.stretch):
            self.play()

    def _beat_of(self, rate: float) -> Callable[[], bool]:
        """For a screen with a timer of its own: whether it may be drawn now, by the rules that hold for the others."""
        pace = Pace(1.0 / rate)
        return lambda: self.app_focus and not self._backlog() and pace.due(self._clock(), self._governor.stretch)

    def watch_app_focus(self, focused: bool) -> None:
        """Where the terminal tells that nobody looks at it, pictures stop; they go on when somebody does again."""
        for timer in self._timers_kept[1:]:
            timer.resume() if focused else timer.pause()
        if self._timers_kept:
            self._numbers = Pace(self._refresh_interval)
            self.tick()

    def tick(self) -> None:
        """Read the newest snapshot and show what it changes. Skipped while the terminal still takes the last frame."""
        if self._hung_up():
            self.exit("hangup")
            return
        snapshot = self.session.snapshot()
        if self._stopping and snapshot.ended:
            self.exit("failed" if snapshot.state == "failed" else "stopped")
            return
        self._settle(snapshot)
        if self._backlog():
            return
        if snapshot.rollbacks != self._rollbacks:
            # What was drawn of the iterations behind the checkpoint is no part of the run any more.
            self._rollbacks, self._history = snapshot.rollbacks, History()
        if snapshot.iteration > self._history.iteration:
            self._history.feed(self.session.history(self._history.iteration, _ROWS_A_TICK))
        self._past.offer(snapshot)
        self._playback.offer(snapshot.clip, self._clock())
        self._show(snapshot)
        if not self._frozen and snapshot.iteration >= 1:
            # A full collection would hold the interpreter lock for a tenth of a second, in every thread. By the first
            # iteration everything that stays has been made.
            self._frozen = True
            gc.freeze()

    def play(self) -> None:
        """Advance the episode, or the segment that is watched."""
        full = self._full
        if full is not None and not self._backlog():
            full.play(self._clock())
        episode = self.dashboard.episode
        if not episode.display or self._backlog() or len(self.screen_stack) > 1:
            return
        shown = self._playback.frame(self._clock())
        if shown is not None:
            clip, _, frame = shown
            if episode.picture is None:
                episode.picture = self._painter()
                self.dashboard.make_room(episode.picture.rows)
            episode.play(clip, frame)

    def _show(self, snapshot: Snapshot) -> None:
        if self._notice and self._clock() >= self._notice_until:
            self._notice = ""
        if self._hint and self._clock() >= self._hint_until:
            self._hint = ""
        self.view = View(
            snapshot,
            self._history,
            self._pending.text if self._pending else "",
            self._notice,
            self._past,
            self.session.profile,
            self._edits,
            self._clock(),
            self._cost() if self.app_focus else "no focus: every 5 s",
            self._charts,
            self._hint,
            self._welcome.wanted,
        )
        full = self._full
        with self.painter.frame():
            if full is not None:
                full.show(self.view)
            elif len(self.screen_stack) == 1:
                self.dashboard.show(self.view)

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        # Textual has no public place to put this; without it the screen only costs more.
        if self.painter.display(renderable):
            self.post_display_hook()
        else:
            super()._display(screen, renderable)

    @property
    def _full(self) -> FullScreen | None:
        """The screen on top where it is a full one; timers may fire when the app has closed its screens already."""
        top = self.screen_stack[-1] if self.screen_stack else None
        return top if isinstance(top, FullScreen) else None

    def _settle(self, snapshot: Snapshot) -> None:
        """Drop what has been confirmed, and show a failure once."""
        pending = self._pending
        if pending is not None and (
            pending.confirmed(snapshot) or snapshot.ended or self._clock() - pending.since > _PENDING_SECONDS
        ):
            self._pending = None
            if pending.text == "saving…" and pending.confirmed(snapshot) and not snapshot.ended:
                self._notice = f"saved {snapshot.checkpoint}"
                self._notice_until = self._clock() + _NOTICE_SECONDS
        if snapshot.state == "failed" and not self._failure_seen:
            self._failure_seen = True
            self.dashboard.failure = True
            self.dashboard.rearrange()

    def _expect(self, text: str, confirmed: Callable[[Snapshot], bool], *, paused: bool) -> None:
        """Answer a key at once; the next snapshots confirm it. `paused`: the run then stands still."""
        self._pending = Pending(text, confirmed, self._clock(), paused)
        self._show(self.view.snapshot)

    def _tell(self, text: str) -> None:
        """A short message in the first line."""
        self._notice, self._notice_until = text, self._clock() + _NOTICE_SECONDS
        self._show(self.view.snapshot)

    # ---- hints ----

    async def on_event(self, event: events.Event) -> None:
        """A key takes the hint away; keys are counted until this user has pressed some."""
        if isinstance(event, events.Key) and not event.is_forwarded:
            self._say("")
            if self._welcome.press():
                self._show(self.view.snapshot)
        await super().on_event(event)

    def hover(self, panel: str, row: str, x: int) -> None:
        """The pointer stands at column `x` of a panel's row: say in the last line what the figure there means."""
        if (panel, row, x) == self._pointed or self._backlog():
            return
        self._pointed = panel, row, x
        subject = self._full.subject if self._full is not None else panel
        figure = figure_at(explained(subject, self.view), row, x) if row and subject in SUBJECTS else None
        self._say(f"{figure.label}: {figure.meaning}" if figure is not None else "")

    def _say(self, hint: str) -> None:
        """Put a hint in place of the keys, for a while; none gives the keys back."""
        self._hint_until = self._clock() + _HINT_SECONDS
        if hint != self._hint:
            self._hint = hint
            self.view = replace(self.view, hint=hint)
            footer = self._full.footer if self._full is not None else self.dashboard.footer
            with self.painter.frame():
                footer.show(self.view)

    # ---- colours ----

    def _make_palette(self) -> Palette:
        return Palette(self.get_css_variables(), self.current_theme.dark)

    def _theme_changed(self, _theme: object) -> None:
        self.palette = self._make_palette()
        if self._picture is not None:
            self._picture.plain = self._colourless()
        for widget in self.dashboard.lines():
            widget.recolor(self.palette)
        for screen in {*self.screen_stack, *self._kept_screens.values()}:
            if isinstance(screen, FullScreen | HelpScreen):
                screen.recolor(self.palette)

    def _colourless(self) -> bool:
        """Whether pictures need letters: colours were refused, or the theme has none."""
        return bool(os.environ.get("NO_COLOR")) or self.palette.monochrome

    def _painter(self) -> Picture:
        """The one painter of this run's environment."""
        if self._picture is None:
            self._picture = Picture(self.session.renderer(), ROLES, plain=self._colourless())
        return self._picture
