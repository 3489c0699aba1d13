"""Small graphics made of characters: bars, trends, filled graphs, histograms. Pure functions from numbers to text."""

from __future__ import annotations

import math
from collections.abc import Sequence

from perx_tui.tui.lines import Part

_EIGHTHS_ACROSS = " ▏▎▍▌▋▊▉█"
_EIGHTHS_UP = " ▁▂▃▄▅▆▇█"

_LEFT_DOTS = (0x00, 0x40, 0x44, 0x46, 0x47)
_RIGHT_DOTS = (0x00, 0x80, 0xA0, 0xB0, 0xB8)
"""Braille patterns of a column that is filled from the bottom by 0 to 4 dots."""


def bar(share: float, width: int) -> str:
    """A bar of `width` cells filled to `share` in [0, 1], to an eighth of a cell; a positive share is never empty."""
    if width <= 0:
        return ""
    share = min(1.0, max(0.0, share)) if math.isfinite(share) else 0.0
    eighths = round(share * width * 8)
    if share > 0:
        eighths = max(1, eighths)
    full, rest = divmod(eighths, 8)
    text = "█" * full + (_EIGHTHS_ACROSS[rest] if rest else "")
    return text.ljust(width)


def gauge(share: float, width: int, style: str) -> tuple[Part, Part]:
    """A thin progress line: its done part in `style`, the rest faint."""
    share = min(1.0, max(0.0, share)) if math.isfinite(share) else 0.0
    done = min(width, int(share * width + 1e-9))
    if share > 0 and width:
        done = max(1, done)
    return ("━" * done, style), ("─" * (width - done), "faint")


def trend(values: Sequence[float], width: int) -> str:
    """The newest `width` values as one row of blocks between their own minimum and maximum, right-aligned.

    The highest block leaves a gap to the row above, so that trends of neighbouring rows stay apart.
    """
    shown = [value for value in values[-width:] if math.isfinite(value)] if width > 0 else []
    if not shown:
        return " " * max(0, width)
    low, high = min(shown), max(shown)
    # Halves of numbers differ by no more than a number can hold.
    span = high / 2 - low / 2
    shares = [(value / 2 - low / 2) / span if span > 0 else 0.0 for value in shown]
    return "".join(_EIGHTHS_UP[1 + round(6 * share)] for share in shares).rjust(width)


def area(values: Sequence[float], width: int, height: int, high: float) -> list[str]:
    """A filled braille graph of the newest `2 * width` values from zero to `high`, right-aligned, as rows."""
    if width <= 0 or height <= 0:
        return [""] * max(0, height)
    shown = list(values[-2 * width :])
    shown = [0.0] * (2 * width - len(shown)) + shown
    scale = height * 4 / high if high > 0 else 0.0
    dots = [
        max(1, min(height * 4, round(value * scale))) if value > 0 and math.isfinite(value) else 0 for value in shown
    ]
    rows = []
    for row in range(height):
        floor = (height - 1 - row) * 4
        rows.append(
            "".join(
                chr(
                    0x2800
                    | _LEFT_DOTS[max(0, min(4, dots[2 * x] - floor))]
                    | _RIGHT_DOTS[max(0, min(4, dots[2 * x + 1] - floor))]
                )
                for x in range(width)
            )
        )
    return [row.replace("\u2800", " ") for row in rows]


def histogram(counts: Sequence[int], width: int, height: int) -> tuple[list[str], int]:
    """Upright bars for `counts` in at most `width` cells and `height` rows; with the number of cells that one bin
    takes.

    The largest count fills the height, and a count above zero always shows something.
    """
    if not counts or width <= 0 or height <= 0:
        return [" " * max(0, width)] * max(0, height), 1
    pitch = max(1, min(4, width // len(counts)))
    shown = counts[: width // pitch]
    largest = max(max(shown), 1)
    eighths = [max(1, round(count / largest * height * 8)) if count > 0 else 0 for count in shown]
    solid = max(1, pitch - 1)
    rows = []
    for row in range(height):
        floor = (height - 1 - row) * 8
        text = "".join((_EIGHTHS_UP[max(0, min(8, e - floor))] * solid).ljust(pitch) for e in eighths)
        rows.append(text.ljust(width))
    return rows, pitch
