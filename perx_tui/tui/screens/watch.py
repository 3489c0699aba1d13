"""Watch mode: the present policy plays an endless stream of episodes beside the training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from textual.binding import BindingType
from textual.timer import Timer

from engine import Snapshot
from perx_tui.tui.arrangement import Rect
from perx_tui.tui.keys import WATCH_KEYS, bindings
from perx_tui.tui.panels.spectacle import Episodes, Stage, Thoughts
from perx_tui.tui.picture import Picture
from perx_tui.tui.screens.full import FullScreen
from perx_tui.tui.source import Session
from perx_tui.tui.spectating import Spectating
from perx_tui.tui.theme import Palette
from perx_tui.tui.view import View

_PICTURES = 15.0
"""A picture for every step, where that many are wanted."""
_PLAYING = frozenset({"hold", "one step", "speed", "new", "sampling"})
"""Labels of the keys that say how it is played."""


def pictures_per_second(episode_fps: float) -> float:
    """How often the game is drawn where the episode panel is drawn so often: a slow line stays slow."""
    return max(_PICTURES, episode_fps) if episode_fps >= 10.0 else episode_fps


class WatchScreen(FullScreen):
    """The game as large as the screen allows; what the policy thinks and how the episodes go beside it."""

    BINDINGS: ClassVar[list[BindingType]] = list(bindings(WATCH_KEYS))
    subject = "watch"

    def __init__(
        self,
        palette: Palette,
        session: Session,
        picture: Picture,
        clock: Callable[[], float],
        beat: Callable[[], bool],
        pictures: float,
        attached: bool = False,
    ) -> None:
        """`pictures` are drawn a second at most, each when `beat` says that the screen may be drawn. `attached`: the
        run is another process's, which tells nothing after its end."""
        self._attached = attached
        self._session, self._clock, self._beat, self._pictures = session, clock, beat, pictures
        self.spectating = Spectating()
        self.stage = Stage(palette, self.spectating, picture, id="stage")
        self.thoughts = Thoughts(palette, self.spectating, picture, id="thoughts")
        self.episodes = Episodes(palette, self.spectating, picture, id="episodes")
        self._timer: Timer | None = None
        super().__init__(palette, WATCH_KEYS, [self.stage, self.thoughts, self.episodes])

    def places(self, body: Rect) -> Mapping[str, Rect]:
        """The game at the left; on a narrow screen above the others, as far as there is room for them."""
        if body.width >= 70:
            side = max(32, min(50, body.width // 4))
            across = body.width - side
            upper = min(10, body.height // 2)
            return {
                "stage": Rect(body.x, body.y, across, body.height),
                "thoughts": Rect(body.x + across, body.y, side, upper),
                "episodes": Rect(body.x + across, body.y + upper, side, body.height - upper),
            }
        lower = 8 if body.height >= 26 else 0
        places = {"stage": Rect(body.x, body.y, body.width, body.height - lower)}
        if lower:
            y = body.y + body.height - lower
            half = body.width // 2
            places["thoughts"] = Rect(body.x, y, half, lower)
            places["episodes"] = Rect(body.x + half, y, body.width - half, lower)
        return places

    # ---- who watches ----

    def on_mount(self) -> None:
        """Pictures come at a rate of their own."""
        self._timer = self.set_interval(1 / self._pictures, self._on_beat)

    def on_screen_resume(self) -> None:
        """From now on the policy plays."""
        self._session.spectate(True)
        if self._timer is not None:
            self._timer.resume()

    def on_screen_suspend(self) -> None:
        """No longer than somebody watches."""
        if self._timer is not None:
            self._timer.pause()
        if self not in self.app.screen_stack:
            self._session.spectate(False)

    def on_unmount(self) -> None:
        """The same where the whole app goes."""
        self._session.spectate(False)

    def show(self, view: View) -> None:
        """The newest spectacle, too."""
        self._take(view.snapshot, self._clock())
        super().show(view)

    def _take(self, snapshot: Snapshot, now: float) -> bool:
        """The newest of the game; whether another frame is to be drawn. Of a run that has ended, a game that somebody
        watches goes on; none can begin any more, as nobody has the weights."""
        shown = self.spectating
        shown.offer(snapshot.spectacle, now)
        plays = shown.spectacle is not None and bool(shown.spectacle.frames)
        shown.over = snapshot.ended and (self._attached or not plays)
        self.footer.idle = _PLAYING if shown.over else frozenset()
        return shown.advance(now)

    def _on_beat(self) -> None:
        if self._beat():
            self.play(self._clock())

    def play(self, now: float) -> None:
        """Draw the frame that is due."""
        if self._take(self._session.snapshot(), now):
            self._redraw()

    def _redraw(self) -> None:
        for panel in self.panels:
            if panel.display:
                panel.redraw()

    # ---- keys ----

    def _direct(self, act: str, field: str, value: bool | float) -> None:
        if self.spectating.over:
            return
        self._session.direct(act, value if act == "speed" else None)
        self.spectating.ask(field, value, self._clock())
        self._redraw()

    def action_hold(self) -> None:
        """Hold the play, or let it go on. Training does not notice."""
        paused = not self.spectating.paused
        self._direct("pause" if paused else "resume", "paused", paused)

    def action_single(self) -> None:
        """One step of the game, which is held then."""
        self._direct("step", "paused", True)

    def action_speed(self, by: int) -> None:
        """Faster or slower."""
        speed = self.spectating.faster(by)
        self._direct("speed", "speed", speed)

    def action_episode(self) -> None:
        """Another episode, from its beginning."""
        if not self.spectating.over:
            self._session.direct("restart")

    def action_greedy(self) -> None:
        """Take the likeliest action, or draw one as training does."""
        greedy = not self.spectating.greedy
        self._direct("greedy" if greedy else "sample", "greedy", greedy)
