"""What a GPU holds and does, as blocks of lines for the memory panel."""

from __future__ import annotations

from collections.abc import Sequence

from engine import Card, Memory
from perx_tui import format as fmt
from perx_tui.tui import marks
from perx_tui.tui.lines import EMPTY, Line, beside, clean, shorten, wrap

_PARTS = (
    ("rollout", "blue"),
    ("environments", "green"),
    ("parameters", "yellow"),
    ("optimizer", "orange"),
    ("replay", "purple"),
    ("graphs", "red"),
    ("other", "text"),
    ("free", "faint"),
)
"""Parts of torch's memory in the order of the bar, and their colours."""
_SIDE_BY_SIDE = 68
"""Cells from which two blocks stand next to one another."""
_THREE = 120


def figure_row(label: str, value: str, share: float | None, width: int, hue: str, room: int = 8) -> Line:
    """A label, a bar of the share where there is one, and the figure at the right end in `room` cells."""
    head, figure = label.ljust(12), value.rjust(room)
    across = width - len(head) - len(figure) - 1
    if share is None:
        return ((head + " " * max(0, across), "dim"), (" " + figure, "strong"))
    return ((head, "dim"), *marks.gauge(share, across, hue), (" " + figure, "strong"))


def body(memory: Memory, width: int, height: int) -> list[Line]:
    """Memory, load and what torch's memory is for, next to one another where there is room, else in a column."""
    card = memory.card or Card()
    if height <= 5 and width < _SIDE_BY_SIDE:
        return holdings(memory, width, height)
    if height <= 5:
        half = (width - 2) // 2
        return beside([(holdings(memory, half, height), half), (load(card, width - 2 - half), half)], height)
    if width >= _THREE:
        third = (width - 6) // 3
        blocks = [holdings(memory, third, height), load(card, third), parts(memory, third, height)]
        return beside([(block, third) for block in blocks], height, gap=3)
    if width >= _SIDE_BY_SIDE:
        half = (width - 3) // 2
        left = [*holdings(memory, half, 7), EMPTY, *load(card, half)]
        return beside([(left, half), (parts(memory, half, height), half)], height, gap=3)
    room = height - 6
    lines = [*holdings(memory, width, 6), *load(card, width)[: min(room, 4)]]
    gap = [EMPTY] if height - len(lines) >= len(_shown(memory)) + 2 else []
    return [*lines, *gap, *parts(memory, width, height - len(lines) - len(gap))]


def summary(card: Card | None) -> Sequence[Line]:
    """Load, temperature and power for the frame, the fullest wording first; nothing where the driver tells nothing."""
    if card is None:
        return ()
    load = None if card.utilization is None else f"{card.utilization:.0%}"
    heat = None if card.temperature is None else f"{card.temperature} °C"
    power = None if card.power is None else f"{card.power:.0f} W"
    known = [each for each in (load, heat, power) if each is not None]
    return [((" · ".join(known[:count]), "strong"),) for count in range(len(known), 0, -1)]


def title(memory: Memory) -> str:
    """The card's name, and which of several it is."""
    name = shorten(clean(memory.gpu_name or ""), 22)
    card = memory.card
    which = f" · {card.index} of 0-{card.count - 1}" if card is not None and card.count > 1 else ""
    return f"memory · {name}{' · MIG' if card is not None and card.mig else ''}{which}"


def holdings(memory: Memory, width: int, height: int) -> list[Line]:
    """What torch holds and what else is on the card, the most telling first; the card's size last."""
    total = memory.gpu_total

    def row(label: str, value: int | None, hue: str) -> Line:
        share = value / total if value is not None and total else 0.0
        return figure_row(label, fmt.bytes_(value), share, width, hue)

    others = memory.card.others if memory.card is not None else None
    rows = [
        row("allocated", memory.gpu_allocated, "blue"),
        row("reserved", memory.gpu_reserved, "blue"),
        row("peak", memory.gpu_peak, "blue"),
        row("card used", memory.gpu_used, "orange"),
        row("by others", others, "orange"),
        figure_row(
            "process",
            fmt.bytes_(memory.process),
            _share(memory.process, memory.machine_total),
            width,
            "purple",
        ),
    ]
    last = figure_row("card total", fmt.bytes_(total), None, width, "")
    return [*rows[: height - 1], last]


def load(card: Card, width: int) -> list[Line]:
    """How busy, how hot and how fast the card is; why that is not known."""
    rows = [
        figure_row("load", _whole(card.utilization, 100, "%"), card.utilization or 0.0, width, "green", 13),
        _limited("power", card.power, card.power_limit, "W", width),
        figure_row("temperature", _whole(card.temperature, 1, " °C"), _share(card.temperature, 100), width, "red", 13),
        _limited("clock", card.clock, card.clock_limit, "MHz", width),
        figure_row("mem. clock", _whole(card.memory_clock, 1, " MHz"), None, width, "", 13),
    ]
    return [*rows, *(((line, "dim"),) for line in wrap(clean(card.note), width) if line)]


def parts(memory: Memory, width: int, height: int) -> list[Line]:
    """One bar of what torch's reserved memory is for, and a line a part; low places show the largest."""
    total = memory.gpu_reserved
    shown = _shown(memory)
    if not total or not shown or height < 2:
        return []
    room = height - 1
    largest = sorted((size for _, _, size in shown), reverse=True)
    least = largest[room - 1] if room < len(largest) else 0
    lines: list[Line] = [_stacked(shown, total, width)]
    for name, hue, size in shown:
        if size >= least and len(lines) <= room:
            figure = fmt.bytes_(size).rjust(8) + fmt.percent(size / total).rjust(7)
            label = name.ljust(max(0, width - 2 - len(figure)))
            lines.append((("■ ", hue), (label, "dim"), (figure, "strong")))
    return lines


def _shown(memory: Memory) -> list[tuple[str, str, int]]:
    """The parts that hold anything: name, colour and bytes."""
    hues = dict(_PARTS)
    order = [name for name, _ in _PARTS]
    known = sorted(memory.gpu_parts.items(), key=lambda item: order.index(item[0]) if item[0] in order else len(order))
    return [(clean(name), hues.get(name, "text"), size) for name, size in known if size > 0]


def _stacked(shown: Sequence[tuple[str, str, int]], total: int, width: int) -> Line:
    """The parts as one bar: every part its share of the cells, rounded so that the bar is as wide as it shall be."""
    line, done, sum_so_far = [], 0, 0
    for _, hue, size in shown:
        sum_so_far += size
        until = min(width, round(sum_so_far / total * width))
        line.append(("━" * (until - done), hue))
        done = until
    return tuple(line)


def _limited(label: str, value: float | None, limit: float | None, unit: str, width: int) -> Line:
    text = fmt.UNKNOWN if value is None else f"{value:.0f}/{limit:.0f} {unit}" if limit else f"{value:.0f} {unit}"
    return figure_row(label, text, _share(value, limit), width, "purple", 13)


def _share(value: float | None, limit: float | None) -> float:
    return value / limit if value is not None and limit else 0.0


def _whole(value: float | None, scale: int, unit: str) -> str:
    return fmt.UNKNOWN if value is None else f"{value * scale:.0f}{unit}"
