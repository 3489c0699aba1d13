"""Where the time of an iteration goes."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine import Phase
from perx_tui import format as fmt
from perx_tui.tui import marks
from perx_tui.tui.lines import Line, centered
from perx_tui.tui.panel import Panel

_HUES = {"collect": "blue", "train": "orange", "report": "purple"}
_UNACCOUNTED = "unaccounted"


@dataclass(slots=True)
class Group:
    """A top-level phase with the phases inside it."""

    name: str
    seconds: float = 0.0
    parts: list[Phase] = field(default_factory=list)


def grouped(phases: tuple[Phase, ...]) -> list[Group]:
    """The phases as a tree of two levels. A group's time is the sum of its parts unless it is given itself."""
    groups: dict[str, Group] = {}
    given: set[str] = set()
    for phase in phases:
        head, _, tail = phase.name.partition("/")
        group = groups.setdefault(head, Group(head))
        if tail:
            group.parts.append(Phase(tail, phase.seconds))
            if head not in given:
                group.seconds += phase.seconds
        else:
            given.add(head)
            group.seconds = phase.seconds
    return list(groups.values())


class Phases(Panel):
    """A tree of phases with bars, milliseconds and shares of the iteration; what no phase covers has its own line."""

    number = 5
    title = "phases"

    def summary(self) -> list[Line]:
        """Time of the whole iteration."""
        seconds = self.view.snapshot.iteration_seconds
        return [(("iteration ", "dim"), (f"{fmt.milliseconds(seconds)} ms" if seconds else fmt.UNKNOWN, "strong"))]

    def body(self, width: int, height: int) -> list[Line]:
        """One line a phase; where the panel is low, the smallest phases inside groups are left out."""
        snapshot = self.view.snapshot
        groups = grouped(snapshot.phases)
        if not groups:
            return centered("no iteration has ended yet", width, height)
        known = sum(group.seconds for group in groups)
        total = snapshot.iteration_seconds or known
        if all(group.name != _UNACCOUNTED for group in groups):
            groups.append(Group(_UNACCOUNTED, max(0.0, total - known)))
        room = height - len(groups)
        parts = sorted((part.seconds for group in groups for part in group.parts), reverse=True)
        smallest = parts[room - 1] if 0 < room < len(parts) else 0.0 if room > 0 else float("inf")
        lines: list[Line] = []
        for group in groups:
            hue = _HUES.get(group.name, "dim")
            lines.append(self._row(group.name, group.seconds, total, width, hue, top=True))
            lines.extend(
                self._row("  " + part.name, part.seconds, total, width, hue, top=False)
                for part in group.parts
                if part.seconds >= smallest
            )
        return lines

    def _row(self, name: str, seconds: float, total: float, width: int, hue: str, *, top: bool) -> Line:
        share = seconds / total if total else 0.0
        # One number of decimals for the whole panel keeps the points under one another.
        decimals = 2 if total < 0.1 else 1 if total < 10 else 0
        time = f"{seconds * 1000:.{decimals}f}".rjust(6)
        percent = fmt.percent(share).rjust(6)
        label = name.ljust(13)[:13]
        bar = marks.bar(share, width - len(label) - len(time) - len(percent) - 7)
        style = "strong" if top else ""
        return (
            (label + " ", "" if top else "dim"),
            (bar + " ", hue),
            (time, style),
            (" ms  ", "dim"),
            (percent, style),
        )
