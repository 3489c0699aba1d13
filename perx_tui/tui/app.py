"""The application: hosts a session, reads its snapshots on a timer, turns keys into commands."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Iterable
from typing import ClassVar, Literal, cast

from textual.app import App, ComposeResult, SystemCommand
from textual.binding import BindingType
from textual.screen import Screen
from textual.timer import Timer

from engine import ROLES, Snapshot
from perx_tui.tui.dashboard import Dashboard
from perx_tui.tui.history import History
from perx_tui.tui.keys import KEYS, bindings
from perx_tui.tui.picture import Picture
from perx_tui.tui.playback import Playback
from perx_tui.tui.screens.help import HelpScreen
from perx_tui.tui.screens.quit import ATTACHED, OPTIONS, Choice, QuitScreen
from perx_tui.tui.source import Session
from perx_tui.tui.theme import DARK, THEMES, Palette
from perx_tui.tui.view import View

Result = Literal["stopped", "headless", "finished", "failed", "hangup", "crashed", "sigterm", "sigint"]

_NOTICE_SECONDS = 4.0
_PENDING_SECONDS = 20.0
_ROWS_A_TICK = 2000
"""Iterations of history taken in at one refresh: a resumed run's past comes in slices that do not hold up a key."""


class Pending:
    """A command that was given and is not confirmed by a snapshot yet."""

    def __init__(self, text: str, confirmed: Callable[[Snapshot], bool], since: float) -> None:
        self.text = text
        self.confirmed = confirmed
        self.since = since


class PerxApp(App[Result]):
    """Everything the person sees. The trainer never waits for it, and it never waits for the trainer.

    The result says why the app ended: "stopped" (asked for, checkpoint written), "headless" (training goes on),
    "finished" or "failed" (training had ended by itself), "hangup" (the terminal went away, training goes on),
    "sigterm", "sigint".
    """

    TITLE = "perx-tui"
    ENABLE_COMMAND_PALETTE = True
    ALLOW_SELECT = False
    AUTO_FOCUS = None
    CSS = """
    Dashboard { overflow: hidden; }
    CommandPalette > Vertical { width: 78; max-width: 100%; }
    CommandPalette SearchIcon { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = list(bindings())

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
    ) -> None:
        """With `attached` the session trains in another process. `refresh` and `episode_fps` are per second. `backlog`
        tells whether the terminal still has to take the last frame, `hung_up` whether it has gone away."""
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
        self._event_loop: asyncio.AbstractEventLoop | None = None
        self._left: Result | None = None
        self._history = History()
        self._playback = Playback(episode_fps)
        self._pending: Pending | None = None
        self._notice = ""
        self._notice_until = 0.0
        self._stopping = False
        self._frozen = False
        self._failure_seen = False
        self._timers_kept: list[Timer] = []
        for known in THEMES:
            self.register_theme(known)
        self.theme = theme if theme in self.available_themes else DARK.name
        if self.theme != theme:
            self._notice = f"no theme is called {theme}; ^p, Theme lists them"
            self._notice_until = clock() + 2 * _NOTICE_SECONDS
        self.palette = self._make_palette()
        self.dashboard = Dashboard(self.palette)

    # ---- life ----

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
        self.session.watch(clip.environment if clip else 0)  # what other viewers watch stays
        if self._autostart and not self.session.is_alive:
            self.session.start()
        self.tick()
        self._timers_kept = [
            self.set_interval(self._refresh_interval, self.tick),
            self.set_interval(1.0 / self._episode_fps, self.play),
        ]

    # ---- refreshing ----

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
        if snapshot.iteration > self._history.iteration:
            self._history.feed(list(self.session.history(self._history.iteration))[:_ROWS_A_TICK])
        self._playback.offer(snapshot.clip, self._clock())
        self._show(snapshot)
        if not self._frozen and snapshot.iteration >= 1:
            # A full collection would hold the interpreter lock for a tenth of a second, in every thread. By the first
            # iteration everything that stays has been made.
            self._frozen = True
            gc.freeze()

    def play(self) -> None:
        """Advance the episode."""
        episode = self.dashboard.episode
        if not episode.display or self._backlog() or len(self.screen_stack) > 1:
            return
        shown = self._playback.frame(self._clock())
        if shown is not None:
            clip, _, frame = shown
            if episode.picture is None:
                episode.picture = Picture(self.session.renderer(), ROLES)
                self.dashboard.make_room(episode.picture.rows)
            episode.play(clip, frame)

    def _show(self, snapshot: Snapshot) -> None:
        if self._notice and self._clock() >= self._notice_until:
            self._notice = ""
        self.view = View(snapshot, self._history, self._pending.text if self._pending else "", self._notice)
        if len(self.screen_stack) == 1:
            self.dashboard.show(self.view)

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

    def _expect(self, text: str, confirmed: Callable[[Snapshot], bool]) -> None:
        """Answer a key at once; the next snapshots confirm it."""
        self._pending = Pending(text, confirmed, self._clock())
        self._show(self.view.snapshot)

    def _tell(self, text: str) -> None:
        """A short message in the first line."""
        self._notice, self._notice_until = text, self._clock() + _NOTICE_SECONDS
        self._show(self.view.snapshot)

    # ---- colours ----

    def _make_palette(self) -> Palette:
        return Palette(self.get_css_variables(), self.current_theme.dark)

    def _theme_changed(self, _theme: object) -> None:
        self.palette = self._make_palette()
        for widget in self.dashboard.lines():
            widget.recolor(self.palette)

    # ---- commands ----

    def action_pause(self) -> None:
        """Pause, or resume."""
        snapshot = self.session.snapshot()
        if self._refused(snapshot):
            return
        pausing = self._pending is not None and self._pending.text == "pausing…"
        if snapshot.state == "paused" or pausing:
            self.session.resume()
            self._expect("resuming…", lambda new: new.state == "running")
        else:
            self.session.pause()
            self._expect("pausing…", lambda new: new.state == "paused")

    def action_step(self) -> None:
        """One iteration of a paused run."""
        snapshot = self.session.snapshot()
        if self._refused(snapshot):
            return
        if snapshot.state != "paused":
            self._tell("pause first (space), then s trains one iteration")
            return
        self.session.step_iteration()
        self._expect("one step…", lambda new: new.iteration > snapshot.iteration)

    def action_checkpoint(self) -> None:
        """Save now."""
        snapshot = self.session.snapshot()
        if self._refused(snapshot):
            return
        self.session.checkpoint()
        self._expect("saving…", lambda new: _saved(snapshot, new))

    def action_watch(self, by: int) -> None:
        """Another environment in the episode panel."""
        snapshot = self.session.snapshot()
        if snapshot.environments < 1:
            self._tell("the environments are not there yet")
            return
        episode = self.dashboard.episode
        current = episode.expected
        if current is None:
            current = snapshot.clip.environment if snapshot.clip else 0
        episode.expected = (current + by) % snapshot.environments
        self.session.watch(episode.expected)
        self._show(self.view.snapshot)

    def action_panel(self, name: str) -> None:
        """Go to a panel."""
        self.dashboard.go_to(name)
        self.dashboard.show(self.view)

    def action_maximize(self) -> None:
        """Maximize the focused panel, or restore."""
        board = self.dashboard
        if board.maximized is not None:
            board.maximize(None)
            return
        focused = self.focused.id if self.focused is not None else None
        name = focused if focused in board.panels else board.tabs.chosen or "curve"
        board.maximize(name)
        board.panels[name].focus(scroll_visible=False)
        board.show(self.view)

    def action_restore(self) -> None:
        """Show all panels."""
        board = self.dashboard
        if board.maximized is not None or board.failure:
            board.failure = False
            board.maximize(None)
            board.show(self.view)
        else:
            self.screen.set_focus(None)

    def action_help(self) -> None:
        """Show the keys."""
        self.push_screen(HelpScreen(self.palette))

    async def action_quit(self) -> None:
        """Ask what becomes of the training; a run that has ended needs no question."""
        snapshot = self.session.snapshot()
        if snapshot.ended:
            self.exit(cast("Result", snapshot.state))
        elif self._stopping:
            self._tell("stopping; the checkpoint is being written")
        elif not isinstance(self.screen, QuitScreen):
            self.push_screen(QuitScreen(self.palette, ATTACHED if self._attached else OPTIONS), self._answered)

    def action_help_quit(self) -> None:
        """Ctrl+C asks the same question as q."""
        self.call_later(self.action_quit)

    def _answered(self, choice: Choice | None) -> None:
        if choice == "headless":
            self.exit("headless")
        elif choice == "stop":
            self._stopping = True
            self.session.stop(checkpoint=True)
            self._expect("saving…", lambda new: new.ended)
        else:
            self._show(self.view.snapshot)

    def _refused(self, snapshot: Snapshot) -> bool:
        """Commands to a run that has ended, or is about to, are answered instead of sent."""
        if snapshot.ended:
            self._tell(f"training has ended ({snapshot.state}); q leaves")
        elif self._stopping:
            self._tell("stopping; the checkpoint is being written")
        else:
            return False
        return True

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The command palette: every action of the key table, then Textual's themes and screenshot."""
        for key in KEYS:
            if key.command and key.action is not None:
                action = key.action
                yield SystemCommand(
                    key.command, f"{key.help}  ({key.display})", lambda action=action: self._run_later(action)
                )
        yield SystemCommand("Theme", "Choose the colours", self.action_change_theme)
        yield SystemCommand(
            "Screenshot", "Save the screen as SVG", lambda: self.set_timer(0.1, self.deliver_screenshot)
        )

    def _run_later(self, action: str) -> None:
        self.call_later(self.run_action, action)

    def leave(self, result: Result) -> None:
        """End the app from a signal handler or another thread."""
        self._left = result
        if self._event_loop is not None and not self._event_loop.is_closed():
            self._event_loop.call_soon_threadsafe(self.exit, result)


def _saved(asked: Snapshot, new: Snapshot) -> bool:
    """A checkpoint of the step at which it was asked for, or of a later one, is there."""
    return new.checkpoint_step is not None and new.checkpoint_step >= asked.step
