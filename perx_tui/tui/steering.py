"""What keys ask of the run: to stand still, to save, to end, and what the episode's panel shows of it."""

from __future__ import annotations

from typing import cast

from engine import Snapshot
from perx_tui.tui.live import LiveApp, Result
from perx_tui.tui.pending import saved
from perx_tui.tui.screens.number import NumberScreen
from perx_tui.tui.screens.quit import ATTACHED, OPTIONS, QuitScreen

FACTORS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""How much faster than by itself the episode can be played."""


class SteeringApp(LiveApp):
    """An app whose keys reach the session. Every one is answered at once, and confirmed by the snapshots to come."""

    # ---- training ----

    def action_pause(self) -> None:
        """Pause, or resume."""
        snapshot = self.session.snapshot()
        if self._refused(snapshot):
            return
        if self._paused(snapshot):
            self.session.resume()
            self._expect("resuming…", lambda new: new.state == "running", paused=False)
        else:
            self.session.pause()
            self._expect("pausing…", lambda new: new.state == "paused", paused=True)

    def _paused(self, snapshot: Snapshot) -> bool:
        """Whether the run stands still, or will when it has obeyed the last key: one that is paused runs on to the end
        of its iteration to save, and then the next key means what it says."""
        return self._pending.paused if self._pending is not None else snapshot.state == "paused"

    def action_step(self) -> None:
        """One iteration of a paused run."""
        snapshot = self.session.snapshot()
        if self._refused(snapshot):
            return
        if not self._paused(snapshot):
            self._tell("pause first (space), then s trains one iteration")
            return
        self.session.step_iteration()
        self._expect("one step…", lambda new: new.iteration > snapshot.iteration, paused=True)

    def action_checkpoint(self) -> None:
        """Save now."""
        snapshot = self.session.snapshot()
        if self._refused(snapshot):
            return
        self.session.checkpoint()
        self._expect("saving…", lambda new: saved(snapshot, new), paused=self._paused(snapshot))

    # ---- the episode ----

    def action_watch(self, by: int) -> None:
        """Another environment in the episode panel."""
        snapshot = self.session.snapshot()
        if snapshot.environments < 1:
            self._tell("the environments are not there yet")
            return
        episode = self.dashboard.episode
        current = episode.expected
        if not isinstance(current, int):
            current = snapshot.clip.environment if snapshot.clip else 0
        self._watch_instead((current + by) % snapshot.environments)

    def _watch_instead(self, wanted: int | str) -> None:
        self.dashboard.episode.expected = wanted
        self.session.watch(wanted)
        self._show(self.view.snapshot)

    def action_number(self) -> None:
        """Ask which environment shall be watched."""
        count = self.session.snapshot().environments
        if count < 1:
            self._tell("the environments are not there yet")
        elif not isinstance(self.screen, NumberScreen):
            self.push_screen(NumberScreen(self.palette, count), self._numbered)

    def _numbered(self, number: int | None) -> None:
        if number is not None:
            self._watch_instead(number)

    def action_follow(self) -> None:
        """The best episode of those that end, the newest, or one environment again."""
        snapshot = self.session.snapshot()
        if snapshot.environments < 1:
            self._tell("the environments are not there yet")
            return
        clip, expected = snapshot.clip, self.dashboard.episode.expected
        now = expected if expected is not None else clip.follow if clip else None
        environment = clip.environment if clip else 0
        self._watch_instead("newest" if now == "best" else environment if now == "newest" else "best")

    def action_speed(self, by: int) -> None:
        """The episode faster or slower."""
        episode = self.dashboard.episode
        factor = episode.factor or 1.0
        others = [each for each in FACTORS if (each - factor) * by > 0]
        self._play_at(min(others, key=lambda each: abs(each - factor), default=factor))

    def action_hold(self) -> None:
        """Hold the episode, or let it go on. Training does not notice."""
        self._play_at(0.0 if self.dashboard.episode.factor else 1.0)

    def _play_at(self, factor: float) -> None:
        if len(self.screen_stack) == 1:  # elsewhere nobody would see what the key does
            self.dashboard.episode.factor = self._playback.factor = factor
            self.dashboard.episode.redraw()

    # ---- leaving ----

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

    def _answered(self, choice: str | None) -> None:
        if choice == "headless":
            self.exit("headless")
        elif choice == "stop":
            self._stopping = True
            self.session.stop(checkpoint=True)
            self._expect("saving…", lambda new: new.ended, paused=False)
        else:
            self._show(self.view.snapshot)

    def _refused(self, snapshot: Snapshot) -> bool:
        """Commands to a run that has ended, is about to, or is out of reach are answered instead of sent."""
        if snapshot.ended:
            self._tell(f"training has ended ({snapshot.state}); q leaves")
        elif self._stopping:
            self._tell("stopping; the checkpoint is being written")
        elif snapshot.state == "disconnected":
            self._tell("the run does not answer; q leaves the screen")
        else:
            return False
        return True
