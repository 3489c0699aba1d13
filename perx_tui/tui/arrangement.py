"""Where every panel stands for a size of the terminal. A pure function, so that every size can be tested.

Wide terminals show every panel at once. Smaller ones show what matters (throughput, the episode and one of the
others) and a row of tabs for the rest. Panels can be hidden; those beside them take their room. Rectangles of one
arrangement never overlap and leave no cell of the screen unused.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, NamedTuple

from perx_tui.terminal import SMALLEST as SMALLEST

PANELS = ("throughput", "episode", "curve", "losses", "phases", "replay", "memory", "log")
"""All panels in the order of their number keys, 1 to 8."""

SizeClass = Literal["tiny", "small", "medium", "large"]
SIZE_CLASSES: tuple[SizeClass, ...] = ("tiny", "small", "medium", "large")
"""One arrangement each: one panel at a time, three, all, all with the game large."""

_WILLING = ("curve", "episode", "log", "losses", "phases", "replay", "memory", "throughput")
"""Panels by what they make of more room."""
_SLOT = "slot"
"""The place that several panels share, until it is known whose it is."""

_Cuts = tuple["str | _Cuts", ...]
"""How an area is cut from edge to edge into places and areas that are cut in their turn, the other way."""


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
    hidden: Collection[str] = (),
) -> Arrangement:
    """Places for a terminal of `width` x `height`.

    `tab` is the panel wanted where several share a place, `picture_rows` the height of the game in its small size,
    which gets its room before others where the terminal is low. Panels that are `hidden` have no place and no tab; all
    of them hidden count as none.
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
    else:
        seen = [name for name in PANELS if name not in hidden] or list(PANELS)
        shown, tabs = _seen(width, height, body, tab, picture_rows + 2, seen)
        places |= shown
    return Arrangement(places, tabs)


def size_class(width: int, height: int) -> SizeClass:
    """Which of the arrangements a terminal of this size has."""
    if width >= 150 and height >= 44:
        return "large"
    if width >= 116 and height >= 34:
        return "medium"
    return "small" if width >= 76 and height >= 22 else "tiny"


def _seen(
    width: int, height: int, body: Rect, tab: str, game: int, seen: Collection[str]
) -> tuple[dict[str, Rect], tuple[str, ...]]:
    """Places of the panels that are `seen` and, where several share one, that of the tabs and their names."""
    kind = size_class(width, height)
    if kind in ("large", "medium"):
        places, cuts = _full(body) if kind == "large" else _medium(body, game)
        return _without(places, cuts, [name for name in places if name not in seen]), ()
    divide = _small if kind == "small" else _tiny
    places, cuts = divide(body, game)
    sharing = _sharing(places, seen)
    row = len(sharing) > 1
    if row:
        places, cuts = divide(body._replace(height=body.height - 1), game)
        sharing = _sharing(places, seen)
    gone = [name for name in places if name not in seen and name != _SLOT]
    places = _without(places, cuts, gone if sharing else [*gone, _SLOT])
    top = body.y
    if sharing:
        slot = places.pop(_SLOT)
        chosen = tab if tab in sharing else "curve" if "curve" in sharing else sharing[0]
        places[chosen], top = slot, slot.y
    if not row:
        return places, ()
    lower = {name: rect._replace(y=rect.y + 1) for name, rect in places.items() if rect.y >= top}
    return places | lower | {"tabs": Rect(body.x, top, body.width, 1)}, sharing


def _sharing(places: dict[str, Rect], seen: Collection[str]) -> tuple[str, ...]:
    """The panels that have no place of their own."""
    return tuple(name for name in PANELS if name in seen and name not in places)


def _without(places: dict[str, Rect], cuts: _Cuts, names: Collection[str]) -> dict[str, Rect]:
    """`places` without some of them, whose room goes to those beside them, across the cut between them.

    Those of one side of a cut that touch it have exactly the edge of the place on its other side in common with it, and
    can be drawn out over it; what is left is cut from edge to edge as before. Others can have the same edge by chance,
    at one width or height: drawn out, they could leave a place that no others can be drawn out over.
    """
    places = dict(places)
    for name in names:
        gone = places.pop(name)
        cuts, beside = _taken_out(cuts, name)
        sides = [_drawn_out({each: places[each] for each in _names(part)}, gone) for part in beside]
        most_willing = min(sides, key=lambda side: min(map(_reluctance, side)))
        places |= most_willing
    return places


def _taken_out(cuts: _Cuts, name: str) -> tuple[_Cuts, _Cuts]:
    """`cuts` without a place, and what was beside it."""
    index = next(index for index, part in enumerate(cuts) if name in _names(part))
    part, before, after = cuts[index], cuts[:index], cuts[index + 1 :]
    if isinstance(part, str):
        return before + after, before[-1:] + after[:1]
    rest, beside = _taken_out(part, name)
    if len(rest) > 1:
        return (*before, rest, *after), beside
    only = rest[0]  # alone between two cuts; what it is cut into is cut the same way as they are
    return (*before, *((only,) if isinstance(only, str) else only), *after), beside


def _names(part: str | _Cuts) -> tuple[str, ...]:
    """All places of a part."""
    return (part,) if isinstance(part, str) else tuple(name for each in part for name in _names(each))


def _drawn_out(part: dict[str, Rect], gone: Rect) -> dict[str, Rect]:
    """The places of a `part` that touch the place beside it, drawn out over it."""
    right, bottom = gone.x + gone.width, gone.y + gone.height
    drawn: dict[str, Rect] = {}
    for name, rect in part.items():
        if gone.y <= rect.y and rect.y + rect.height <= bottom:
            if rect.x + rect.width == gone.x:
                drawn[name] = rect._replace(width=rect.width + gone.width)
            elif rect.x == right:
                drawn[name] = rect._replace(x=gone.x, width=rect.width + gone.width)
        elif gone.x <= rect.x and rect.x + rect.width <= right:
            if rect.y + rect.height == gone.y:
                drawn[name] = rect._replace(height=rect.height + gone.height)
            elif rect.y == bottom:
                drawn[name] = rect._replace(y=gone.y, height=rect.height + gone.height)
    return drawn


def _reluctance(name: str) -> int:
    return _WILLING.index(name) if name in _WILLING else 0


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


def _full(body: Rect) -> tuple[dict[str, Rect], _Cuts]:
    """Everything: the game large at the left under speed and memory, learning and its reasons at the right."""
    left, right = _columns(body, 76, 0)
    if body.height >= 54:
        throughput, memory, episode, log = _rows(left, 8, 6, 34, 0)
        curve, middle, replay = _rows(right, 0, 15, 15)
        cuts: _Cuts = ("throughput", "memory", "episode", "log"), ("curve", ("phases", "losses"), "replay")
    else:
        throughput, memory, episode = _rows(left, 0, 6, 33)
        curve, middle, replay, log = _rows(right, 0, 15, 12, 7)
        cuts = ("throughput", "memory", "episode"), ("curve", ("phases", "losses"), "replay", "log")
    phases, losses = _columns(middle, right.width // 2, 0)
    places = {
        "throughput": throughput,
        "memory": memory,
        "episode": episode,
        "curve": curve,
        "phases": phases,
        "losses": losses,
        "replay": replay,
        "log": log,
    }
    return places, cuts


def _medium(body: Rect, game: int) -> tuple[dict[str, Rect], _Cuts]:
    """Everything, smaller: the game in its small size."""
    top, main = _rows(body, 7, 0)
    throughput, memory = _columns(top, 0, 40)
    left, right = _columns(main, 40, 0)
    episode, log = _rows(left, min(max(16, game) + min(2, (main.height - 27) // 4), main.height - 6), 0)
    upper, lower = _rows(right, 0, 15)
    curve, losses = _columns(upper, 0, max(31, right.width * 3 // 8))
    phases, replay = _columns(lower, right.width // 2, 0)
    places = {
        "throughput": throughput,
        "memory": memory,
        "episode": episode,
        "curve": curve,
        "losses": losses,
        "phases": phases,
        "replay": replay,
        "log": log,
    }
    return places, (("throughput", "memory"), (("episode", "log"), (("curve", "losses"), ("phases", "replay"))))


def _small(body: Rect, game: int) -> tuple[dict[str, Rect], _Cuts]:
    """Speed on top, the game at the left, one other panel at the right; more rows below where the terminal is tall."""
    places: dict[str, Rect] = {}
    cuts: _Cuts = ("throughput", ("episode", _SLOT))
    if body.height >= 35:
        places["throughput"], upper, lower = _rows(body, 5 if body.height - 20 >= game else 3, 0, 15)
        places["phases"], places["replay"] = _columns(lower, body.width // 2, 0)
        cuts = (*cuts, ("phases", "replay"))
    else:
        places["throughput"], upper = _rows(body, 5 if body.height - 5 >= game else 3, 0)
    places["episode"], slot = _columns(upper, 38, 0)
    if slot.width >= 78 and body.height < 35:
        places["curve"], slot = _columns(slot, slot.width // 2, 0)
        cuts = ("throughput", ("episode", "curve", _SLOT))
    return places | {_SLOT: slot}, cuts


def _tiny(body: Rect, game: int) -> tuple[dict[str, Rect], _Cuts]:
    """One panel at a time, with the speed above it where there is room."""
    if body.height < 17:
        return {_SLOT: body}, (_SLOT,)
    throughput, slot = _rows(body, 5, 0)
    return {"throughput": throughput, _SLOT: slot}, ("throughput", _SLOT)
