"""The actions of a policy as bars, for every panel that shows what a policy thinks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from perx_tui import format as fmt
from perx_tui.tui import marks
from perx_tui.tui.lines import Line, Part, clean, pair


def action_lines(
    probabilities: Sequence[float], chosen: int, name: Callable[[int], str], width: int, room: int
) -> list[Line]:
    """A bar an action, the chosen one marked; where there are more than `room`, the likeliest and the chosen one."""
    if not probabilities:
        return [pair("action", clean(name(chosen)), width)]
    actions = list(range(len(probabilities)))
    if len(actions) > max(1, room):
        likeliest = sorted(actions, key=lambda each: (each != chosen, -probabilities[each]))
        actions = sorted(likeliest[: max(1, room)])
    names = {action: clean(name(action)) for action in actions}
    room_of_names = max(map(len, names.values())) + 1
    lines: list[Line] = []
    for action in actions:
        share = probabilities[action]
        taken = action == chosen
        bar = marks.bar(share, max(4, width - room_of_names - 10))
        mark: Part = ("► ", "orange+") if taken else ("  ", "")
        named: Part = (names[action].ljust(room_of_names), "strong" if taken else "dim")
        text: Part = (fmt.percent(share).rjust(7), "strong" if taken else "")
        lines.append((mark, named, (bar, "orange" if taken else "blue"), text))
    return lines
