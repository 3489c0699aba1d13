"""The first line: the state of the run, its alarms, what it is doing, which run it is and where it trains."""

from __future__ import annotations

from perx_tui import format as fmt
from perx_tui.tui.chart_choice import FIRST
from perx_tui.tui.lines import Line, Part, cells, clean, shorten, spread
from perx_tui.tui.panel import Bar
from perx_tui.tui.states import STATE_HINTS, STATES

_BADGE = 13
_WIDE = 100
"""From this width on the badge of the alarms spells everything out."""
_TIMED = ("starting", "disconnected")
"""States in which one wants to know for how long already."""


class Header(Bar):
    """One line. The badge keeps its width in every state, so that nothing beside it moves; a click on the alarms lists
    them."""

    _timed = ("", 0.0)
    """What is being waited for, and since when."""

    def lines(self, width: int, height: int) -> list[Line]:
        """Badges and stage at the left, the name of the run after them, facts at the right as far as they fit."""
        snapshot = self.view.snapshot
        alarms = self._alarms(width)
        begin = cells((self._badge(),)) + 1
        self.spans = [(begin, begin + cells(alarms[1:]), "alarms")] if alarms else []
        left: tuple[Part, ...] = (self._badge(), *alarms, ("  ", ""), self._message())
        name = clean(snapshot.run)
        room = width - cells(left) - 3
        facts = [clean(fact) for fact in self._facts() if fact]
        shown = shorten(name, max(0, min(len(name), room)))
        kept: list[str] = []
        for fact in facts:
            if len(shown) + 3 + len("   ".join([*kept, fact])) > room:
                break
            kept.append(fact)
        right = ("   ".join(kept) + " ", "dim") if kept else (" ", "")
        return [spread((*left, ("  ", ""), (shown, "strong")), (right,), width)]

    def _facts(self) -> tuple[str, ...]:
        """The most useful first."""
        snapshot = self.view.snapshot
        policy = snapshot.policy
        if policy and snapshot.parameters:
            policy = f"{policy}, {fmt.count(snapshot.parameters)} parameters"
        environments = f"{fmt.exact(snapshot.environments)} environments" if snapshot.environments else ""
        trend = self.view.history.trend(FIRST)
        score = f"score {trend.brief}" if trend is not None else ""
        return (
            snapshot.device,
            score,
            snapshot.profile if snapshot.profile not in snapshot.run else "",
            policy,
            environments,
        )

    def _badge(self) -> Part:
        pending = self.view.pending
        text, hue = STATES[self.view.snapshot.state]
        if pending:
            return f" {pending}".ljust(_BADGE), "yellow!"
        return f" {text}".ljust(_BADGE), f"{hue}!"

    def _alarms(self, width: int) -> tuple[Part, ...]:
        """How many alarms there are and the worst one; only their number while an answer needs the room."""
        alarms = self.view.snapshot.alarms
        if not alarms:
            return ()
        count, worst = len(alarms), clean(alarms[0].title)
        if self.view.notice or width < 60:
            text = f" ! {count} "
        elif width >= _WIDE:
            text = f" ! {count} alarms: {worst} " if count > 1 else f" ! alarm: {worst} "
        else:
            text = f" ! {count}: {worst} "
        return (" ", ""), (text, "red!" if any(alarm.level == "error" for alarm in alarms) else "yellow!")

    def _message(self) -> Part:
        """The answer to the last key while it is fresh, else what the trainer does, or what to know of the state."""
        if self.view.notice:
            return self.view.notice, "yellow+"
        snapshot = self.view.snapshot
        hint = STATE_HINTS.get(snapshot.state, "")
        # A pause holds the trainer amid a stage, which is not what one wants to know then.
        text = hint if snapshot.state == "paused" else clean(snapshot.stage) or hint
        if snapshot.state in _TIMED:
            waited = self.view.now - self._since(f"{snapshot.state} {text}")
            text += f" ({fmt.duration(waited)})" if waited >= 2 else ""
        return text.ljust(14), "dim"

    def _since(self, what: str) -> float:
        """When it was waited for first."""
        if self._timed[0] != what or not self._timed[1]:
            self._timed = what, self.view.now
        return self._timed[1]
