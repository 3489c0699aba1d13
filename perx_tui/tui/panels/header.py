"""The first line: the state of the run, what it is doing, which run it is and where it trains."""

from __future__ import annotations

from perx_tui import format as fmt
from perx_tui.tui.lines import Line, Part, cells, clean, shorten, spread
from perx_tui.tui.panel import Lines
from perx_tui.tui.view import STATES

_BADGE = 12


class Header(Lines):
    """One line. The badge keeps its width in every state, so that nothing beside it moves."""

    def lines(self, width: int, height: int) -> list[Line]:
        """Badge and stage at the left, the name of the run after them, facts at the right as far as they fit."""
        snapshot = self.view.snapshot
        left: tuple[Part, ...] = (self._badge(), ("  ", ""), self._message())
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
        return (snapshot.device, snapshot.profile if snapshot.profile not in snapshot.run else "", policy, environments)

    def _badge(self) -> Part:
        pending = self.view.pending
        text, hue = STATES[self.view.snapshot.state]
        if pending:
            return f" {pending}".ljust(_BADGE), "yellow!"
        return f" {text}".ljust(_BADGE), f"{hue}!"

    def _message(self) -> Part:
        """The answer to the last key while it is fresh, otherwise what the trainer does."""
        if self.view.notice:
            return self.view.notice, "yellow+"
        return clean(self.view.snapshot.stage).ljust(14), "dim"
