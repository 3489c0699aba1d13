"""Where every panel stands for a size of the terminal. A pure function, so that every size can be tested.

Wide terminals show every panel at once. Smaller ones show what matters (throughput, the episode and one of the
others) and a row of tabs for the rest. Rectangles of one arrangement never overlap and leave no cell of the screen
unused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from perx_tui.terminal import SMALLEST as SMALLEST

PANELS = ("throughput", "episode", "curve", "losses", "phases", "replay", "memory", "log")
"""All panels in the order of their number keys, 1 to 8."""


class Rect(NamedTuple):
    """A place on the screen, in cells."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Arrangement:
    """Places by name: the panels that are shown, and "header", "tabs", "footer", "failure" or "notice"."""

    places: dict[str, Rect]
    tabs: tuple[str, ...] = ()
    """Panels that share one place, in order; empty when there is no such place."""

    @property
    def panels(self) -> tuple[str, ...]:
        """The panels that are shown, in the order of their numbers."""
        return tuple(name for name in PANELS if name in self.places)


def arrange(
    width: int,
    height: int,
    *,
    tab: str = "curve",
    maximized: str | None = None,
    failure: bool = False,
    picture_rows: int = 14,
) -> Arrangement:
    """Places for a terminal of `width` x `height`.

    `tab` is the panel wanted where several share a place, `picture_rows` the height of the game in its small size,
    which gets its room before others where the terminal is low.
    """
    if width < SMALLEST[0] or height < SMALLEST[1]:
        return Arrangement({"notice": Rect(0, 0, width, height)})
    places = {"header": Rect(0, 0, width, 1), "footer": Rect(0, height - 1, width, 1)}
    body = Rect(0, 1, width, height - 2)
    tabs: tuple[str, ...] = ()
    if failure:
        places |= _failure(body)
    elif maximized is not None:
        places[maximized] = body
    elif width >= 150 and height >= 44:
        places |= _full(body)
    elif width >= 116 and height >= 34:
        places |= _medium(body, picture_rows + 2)
    elif width >= 76 and height >= 22:
        shown, tabs = _small(body, tab, picture_rows + 2)
        places |= shown
    else:
        shown, tabs = _tiny(body, tab)
        places |= shown
    return Arrangement(places, tabs)


def _rows(area: Rect, *heights: int) -> list[Rect]:
    """Slices of `area` from the top; the one height that is 0 takes what the others leave."""
    rest = area.height - sum(heights)
    result, y = [], area.y
    for height in heights:
        actual = height or rest
        result.append(Rect(area.x, y, area.width, actual))
        y += actual
    return result


def _columns(area: Rect, *widths: int) -> list[Rect]:
    """Slices of `area` from the left; the one width that is 0 takes what the others leave."""
    rest = area.width - sum(widths)
    result, x = [], area.x
    for width in widths:
        actual = width or rest
        result.append(Rect(x, area.y, actual, area.height))
        x += actual
    return result


def _failure(body: Rect) -> dict[str, Rect]:
    """The failure above all; on a large terminal with the last figures under it."""
    if body.height < 32:
        return {"failure": body}
    failure, lower = _rows(body, 0, 15)
    if lower.width < 116:
        return {"failure": failure, "losses": lower}
    curve, losses, phases = _columns(lower, 0, lower.width // 3, lower.width // 3)
    return {"failure": failure, "curve": curve, "losses": losses, "phases": phases}


def _full(body: Rect) -> dict[str, Rect]:
    """Everything: the game large at the left under speed and memory, learning and its reasons at the right."""
    left, right = _columns(body, 76, 0)
    places: dict[str, Rect] = {}
    if body.height >= 54:
        throughput, memory, episode, places["log"] = _rows(left, 8, 6, 34, 0)
        curve, middle, replay = _rows(right, 0, 15, 15)
    else:
        throughput, memory, episode = _rows(left, 0, 6, 33)
        curve, middle, replay, places["log"] = _rows(right, 0, 15, 12, 7)
    phases, losses = _columns(middle, right.width // 2, 0)
    return places | {
        "throughput": throughput,
        "memory": memory,
        "episode": episode,
        "curve": curve,
        "phases": phases,
        "losses": losses,
        "replay": replay,
    }


def _medium(body: Rect, game: int) -> dict[str, Rect]:
    """Everything, smaller: the game in its small size."""
    top, main = _rows(body, 7, 0)
    throughput, memory = _columns(top, 0, 40)
    left, right = _columns(main, 40, 0)
    episode, log = _rows(left, min(max(16, game) + min(2, (main.height - 27) // 4), main.height - 6), 0)
    upper, lower = _rows(right, 0, 15)
    curve, losses = _columns(upper, 0, max(31, right.width * 3 // 8))
    phases, replay = _columns(lower, right.width // 2, 0)
    return {
        "throughput": throughput,
        "memory": memory,
        "episode": episode,
        "curve": curve,
        "losses": losses,
        "phases": phases,
        "replay": replay,
        "log": log,
    }


def _small(body: Rect, tab: str, game: int) -> tuple[dict[str, Rect], tuple[str, ...]]:
    """Speed on top, the game at the left, one other panel at the right; more rows below where the terminal is tall."""
    if body.height >= 36:
        throughput, tabs, upper, lower = _rows(body, 5 if body.height - 21 >= game else 3, 1, 0, 15)
        phases, replay = _columns(lower, body.width // 2, 0)
        fixed = {"phases": phases, "replay": replay}
    else:
        throughput, tabs, upper = _rows(body, 5 if body.height - 6 >= game else 3, 1, 0)
        fixed = {}
    episode, slot = _columns(upper, 38, 0)
    if slot.width >= 78 and not fixed:
        curve, slot = _columns(slot, slot.width // 2, 0)
        fixed["curve"] = curve
    sharing = tuple(name for name in PANELS[2:] if name not in fixed)
    chosen = tab if tab in sharing else sharing[0]
    return {"throughput": throughput, "tabs": tabs, "episode": episode, chosen: slot} | fixed, sharing


def _tiny(body: Rect, tab: str) -> tuple[dict[str, Rect], tuple[str, ...]]:
    """One panel at a time, with the speed above it where there is room."""
    if body.height >= 18:
        throughput, tabs, slot = _rows(body, 5, 1, 0)
        sharing = PANELS[1:]
        chosen = tab if tab in sharing else "curve"
        return {"throughput": throughput, "tabs": tabs, chosen: slot}, sharing
    tabs, slot = _rows(body, 1, 0)
    return {"tabs": tabs, tab if tab in PANELS else "curve": slot}, PANELS
