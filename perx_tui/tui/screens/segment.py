"""The segment viewer: a segment of the replay step by step, to see what the agent is surprised by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from textual import on
from textual.binding import BindingType

from perx_tui.tui.arrangement import Rect
from perx_tui.tui.keys import VIEWER_KEYS, bindings
from perx_tui.tui.panels.segment import NO_MORE, Facts, StatePicture, Step, Strip
from perx_tui.tui.picture import Picture
from perx_tui.tui.screens.full import FullScreen
from perx_tui.tui.source import Session
from perx_tui.tui.theme import Palette
from perx_tui.tui.view import View
from perx_tui.tui.watching import Watching


class SegmentScreen(FullScreen):
    """Picture and policy side by side, the strip over the whole segment below them."""

    subject = "segment"
    BINDINGS: ClassVar[list[BindingType]] = list(bindings(VIEWER_KEYS))

    def __init__(
        self,
        palette: Palette,
        session: Session,
        watching: Watching,
        picture: Picture,
        clock: Callable[[], float],
        tell: Callable[[str], None],
    ) -> None:
        """`tell` takes short messages on keys that cannot be obeyed."""
        self._session, self.watching, self._picture, self._clock = session, watching, picture, clock
        self._tell = tell
        self.facts = Facts(palette, watching, id="facts")
        self.state = StatePicture(palette, watching, picture, id="state")
        self.step = Step(palette, watching, picture, id="step")
        self.strip = Strip(palette, watching, id="strip")
        super().__init__(palette, VIEWER_KEYS, [self.facts, self.state, self.step, self.strip])

    def places(self, body: Rect) -> Mapping[str, Rect]:
        """The picture gets the room of its larger size where the terminal has it, at least that of the small one."""
        rows, columns = self._picture.size(1)
        large_rows, large_columns = self._picture.size(2)
        height = body.height - 1
        if body.width >= large_columns + 46 and height >= large_rows + 10:
            rows, columns = large_rows, large_columns
        across = min(max(34, columns + 2), body.width - 30)
        upper = rows + 2
        upper = max(min(upper, height - 3), min(14, height - 3))
        if height - upper > 16:
            upper = height - 16
        y = body.y + 1
        return {
            "facts": Rect(body.x, body.y, body.width, 1),
            "state": Rect(body.x, y, across, upper),
            "step": Rect(body.x + across, y, body.width - across, upper),
            "strip": Rect(body.x, y + upper, body.width, height - upper),
        }

    def ask(self, by: str, index: int = 0) -> None:
        """Ask the session for a segment; the present one stays until it has come. A run that has ended has none."""
        snapshot = self._session.snapshot()
        if snapshot.ended:
            self._tell(NO_MORE)
            return
        self.watching.ask(by, index, snapshot.segment, self._clock())
        self._session.show_segment(by, index)
        self._moved()

    def show(self, view: View) -> None:
        """Take the segment that was asked for, and nothing else, from the newest snapshot."""
        waiting = self.watching.waiting
        if not self.watching.offer(view.snapshot, self._clock()) and waiting != self.watching.waiting:
            self.call_later(self._tell, NO_MORE)  # it ended before it could answer
        super().show(view)

    def play(self, now: float) -> None:
        """Let the play go on."""
        if self.watching.advance(now):
            self._moved()

    @on(Strip.Moved)
    def _moved(self) -> None:
        for panel in self.panels:
            panel.redraw()

    def action_play(self) -> None:
        """Play, or hold."""
        self.watching.toggle(self._clock())
        self._moved()

    def action_move(self, by: int) -> None:
        """Another step."""
        self.watching.move(by)
        self._moved()

    def action_jump(self) -> None:
        """To the largest surprise, then to the next."""
        self.watching.jump()
        self._moved()

    def action_speed(self, by: int) -> None:
        """Faster or slower."""
        self.watching.faster(by)
        self._moved()

    def action_choose(self, by: str) -> None:
        """Another way to choose, from its first."""
        self.ask(by)

    def action_rank(self, by: int) -> None:
        """The neighbour in the order of the choice; after a random or an indexed one, in that of priority."""
        how, index = self.watching.wanted
        if how in ("random", "index"):
            index = self.watching.view.rank if self.watching.view else 0
            how = "priority"
        segments = self.view.snapshot.replay.segments
        self.ask(how, max(0, min(index + by, segments - 1 if segments else index + by)))

    def action_refresh_segment(self) -> None:
        """The same choice again, from the newest data."""
        self.ask(*self.watching.wanted)
