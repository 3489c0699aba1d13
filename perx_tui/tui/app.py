"""The application: hosts a session, reads its snapshots on a timer, turns keys into commands."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Callable, Iterable
from typing import ClassVar, Literal, cast

from rich.console import RenderableType
from textual.app import App, ComposeResult, SystemCommand
from textual.binding import BindingType
from textual.screen import Screen
from textual.timer import Timer

from engine import ROLES, Snapshot
from perx_tui.tui.dashboard import Dashboard
from perx_tui.tui.editing import Edits
from perx_tui.tui.history import History
from perx_tui.tui.keys import KEYS, bindings
from perx_tui.tui.pending import Pending, saved
from perx_tui.tui.picture import Picture
from perx_tui.tui.playback import Playback
from perx_tui.tui.replay_past import ReplayPast
from perx_tui.tui.screens.editor import EditorScreen
from perx_tui.tui.screens.full import FullScreen
from perx_tui.tui.screens.help import HelpScreen
from perx_tui.tui.screens.prioritization import PrioritizationScreen
from perx_tui.tui.screens.quit import ATTACHED, OPTIONS, Choice, QuitScreen
from perx_tui.tui.screens.segment import SegmentScreen
from perx_tui.tui.source import Session
from perx_tui.tui.theme import DARK, THEMES, Palette
from perx_tui.tui.updates import cropped
from perx_tui.tui.view import View
from perx_tui.tui.watching import Watching

Result = Literal["stopped", "headless", "finished", "failed", "hangup", "crashed", "sigterm", "sigint"]

_NOTICE_SECONDS = 4.0
_PENDING_SECONDS = 20.0
_ROWS_A_TICK = 2000
"""Iterations of history taken in at one refresh: a resumed run's past comes in slices that do not hold up a key."""


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
        cost: Callable[[], str] = lambda: "",
    ) -> None:
        """With `attached` the session trains in another process. `refresh` and `episode_fps` are per second. `backlog`
        tells whether the terminal still has to take the last frame, `hung_up` whether it has gone away; `cost` says
        what the screen costs."""
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
        self._event_loop: asyncio.AbstractEventLoop | None = None
        self._left: Result | None = None
        self._history = History()
        self._past = ReplayPast()
        self._edits = Edits()
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
        self.view = View(
            snapshot,
            self._history,
            self._pending.text if self._pending else "",
            self._notice,
            self._past,
            self.session.profile,
            self._edits,
            self._clock(),
            self._cost(),
        )
        full = self._full
        if full is not None:
            full.show(self.view)
        elif len(self.screen_stack) == 1:
            self.dashboard.show(self.view)

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        # Textual has no public place to put this; without it the screen only costs more.
        super()._display(screen, cropped(renderable))

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
        if self._picture is not None:
            self._picture.plain = self._colourless()
        for widget in self.dashboard.lines():
            widget.recolor(self.palette)
        for screen in self.screen_stack:
            if isinstance(screen, FullScreen):
                screen.recolor(self.palette)

    def _colourless(self) -> bool:
        """Whether pictures need letters: colours were refused, or the theme has none."""
        return bool(os.environ.get("NO_COLOR")) or self.palette.monochrome

    def _painter(self) -> Picture:
        """The one painter of this run's environment."""
        if self._picture is None:
            self._picture = Picture(self.session.renderer(), ROLES, plain=self._colourless())
        return self._picture

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
        self._expect("saving…", lambda new: saved(snapshot, new))

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
        """Go to a panel, from a full screen too."""
        self._uncover(lambda screen: not isinstance(screen, FullScreen))
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

    def action_prioritization(self) -> None:
        """Open the prioritization screen; close it where it is on top."""
        if not self._bring_up(PrioritizationScreen):
            self._open(PrioritizationScreen(self.palette, self.session.inspect, self._watch_segment))

    def action_segment(self) -> None:
        """Open the segment viewer; close it where it is on top."""
        if not self._bring_up(SegmentScreen):
            viewer = self._viewer()
            self._open(viewer)
            if self._watching.view is None:
                viewer.ask("priority")

    def action_editor(self) -> None:
        """Open the editor; close it where it is on top."""
        if not self._bring_up(EditorScreen):
            refused, refresh = lambda: self._refused(self.session.snapshot()), lambda: self._show(self.view.snapshot)
            self._open(EditorScreen(self.palette, self.session, refused, refresh))

    def _viewer(self) -> SegmentScreen:
        return SegmentScreen(self.palette, self.session, self._watching, self._painter(), self._clock)

    def _watch_segment(self, index: int) -> None:
        """The viewer on a segment of the table."""
        viewer = self._viewer()
        self._open(viewer)
        viewer.ask("index", index)

    def _open(self, screen: FullScreen) -> None:
        self.push_screen(screen, lambda _: self._show(self.view.snapshot))
        screen.show(self.view)

    def _bring_up(self, kind: type[FullScreen]) -> bool:
        """Go back to the screen of a kind, or close it where it is on top; whether there was one."""
        if isinstance(self.screen, kind):
            self.screen.action_back()
            return True
        if not any(isinstance(screen, kind) for screen in self.screen_stack):
            return False
        self._uncover(lambda screen: isinstance(screen, kind))
        return True

    def _uncover(self, found: Callable[[Screen[object]], bool]) -> None:
        """Close screens until one is found."""
        while len(self.screen_stack) > 1 and not found(self.screen):
            self.pop_screen()
        self._show(self.view.snapshot)

    def action_help(self) -> None:
        """Show the keys."""
        self.push_screen(HelpScreen(self.palette, self.screen.table if isinstance(self.screen, FullScreen) else KEYS))

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
