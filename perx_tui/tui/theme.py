"""Colours: two themes of our own, and the palette of styles that the panels draw with under any theme.

The six hues of our own themes can be told apart by people of every kind of colour vision: the tests hold every pair,
as it is seen without red, green or blue cones, to a distance, and every hue to a contrast. No state is told by colour
alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from rich.color import ColorSystem
from rich.style import Style
from textual.color import Color, ColorParseError
from textual.theme import Theme

DARK = Theme(
    name="perx-dark",
    primary="#9bbdfd",
    secondary="#a97bb5",
    accent="#d69324",
    foreground="#d3dae6",
    background="#0f1319",
    surface="#151b24",
    panel="#1b222d",
    success="#4fc1a0",
    warning="#eed872",
    error="#f1785d",
    dark=True,
    variables={"perx-dim": "#8793a6", "perx-faint": "#36404f", "perx-frame": "#3a4656", "border": "#9bbdfd"},
)

LIGHT = Theme(
    name="perx-light",
    primary="#1273ce",
    secondary="#7e3297",
    accent="#ad5e04",
    foreground="#1f2733",
    background="#fbfbf9",
    surface="#f1f2f0",
    panel="#e6e8e6",
    success="#00694d",
    warning="#81723d",
    error="#971b02",
    dark=False,
    variables={"perx-dim": "#5c6675", "perx-faint": "#cdd2d8", "perx-frame": "#bfc6ce", "border": "#1273ce"},
)

THEMES = (DARK, LIGHT)

_HUES = {
    "blue": "primary",
    "orange": "accent",
    "green": "success",
    "yellow": "warning",
    "red": "error",
    "purple": "secondary",
}

_TEXT, _REST = 4.6, 3.1
"""Contrasts with the background of text, and of labels and hues: WCAG asks for 4.5 and 3, terminals round. Many a
theme was made for areas and borders in its hues, not for words."""
_SHADED = 0.78
"""Share of the background in the shade of a hue."""
_SOFT = 0.5
"""The same for a line behind another one."""

_ANSI = {
    "background": "default",
    "text": "bright_white",
    "blue": "bright_blue",
    "orange": "yellow",
    "green": "green",
    "yellow": "bright_yellow",
    "red": "red",
    "purple": "magenta",
    "dim": "bright_black",
    "faint": "bright_black",
    "frame": "bright_black",
    "fill": "bright_black",
    "wall": "bright_black",
    "seen": "blue",
    "graph1": "blue",
    "graph2": "blue",
    "graph3": "bright_blue",
    "graph4": "bright_blue",
}
"""Colours under the themes that use the terminal's own sixteen."""

_SIXTEEN_DARK = {**_ANSI, "background": "black", "dim": "white"}
_SIXTEEN_LIGHT = {
    **_ANSI,
    "background": "bright_white",
    "text": "black",
    "blue": "blue",
    "orange": "bright_red",
    "yellow": "yellow",
    **dict.fromkeys(("fill", "wall", "seen"), "white"),
    **dict.fromkeys(("graph1", "graph2"), "cyan"),
    **dict.fromkeys(("graph3", "graph4"), "blue"),
}
"""Colours of every other theme on a terminal that has sixteen. Left to themselves, several hues would end as one."""

_ROLES = {
    "background": "background",
    "floor": "background",
    "wall": "wall",
    "seen": "seen",
    "text": "text",
    "label": "dim",
    "paddle": "blue",
    "ball": "text",
    "agent": "orange",
    "goal": "green",
    "brick1": "red",
    "brick2": "orange",
    "brick3": "yellow",
    "brick4": "green",
    "brick5": "blue",
    "brick6": "purple",
}
"""Colours of the environments' roles; a role that is not known here is drawn in the colour of text."""


class Palette:
    """Rich styles by name for one theme.

    Names are a colour ("text", "dim", "faint", "frame", "blue", ...), the same with "+" for bold or "!" for a filled
    badge, "strong" for a number that matters, "" for plain text, "wall/floor" for a cell of a picture in two roles'
    colours, "blue-shade" for what lies behind a blue line ("meet-shade" where several meet), "blue-soft" for a line
    behind it, and any colour on another: "blue on orange-shade".
    """

    def __init__(self, variables: Mapping[str, str], dark: bool = True, colours: str | None = "truecolor") -> None:
        """`colours`: what the terminal has, as `terminal.colours` tells it."""
        self._seen: _Seen = _rounded if colours == "256" else lambda color: color
        background = _color(variables.get("background"), Color.parse("#0f1319" if dark else "#fbfbf9"))
        text = _color(variables.get("foreground"), background.get_contrast_text(1.0))
        text = _legible(text, background, _TEXT, self._seen)
        colors = {
            name: _legible(_color(variables.get(variable), text), background, _REST, self._seen)
            for name, variable in _HUES.items()
        }
        colors |= {
            "background": background,
            "text": text,
            "dim": _legible(
                _color(variables.get("perx-dim"), text.blend(background, 0.4)), background, _REST, self._seen
            ),
            "faint": _color(variables.get("perx-faint"), text.blend(background, 0.78)),
            "frame": _color(variables.get("perx-frame"), text.blend(background, 0.74)),
        }
        colors["fill"] = colors["green"].blend(background, 0.72)
        colors["wall"] = text.blend(background, 0.62)
        colors["seen"] = colors["blue"].blend(background, 0.8)
        for index, share in enumerate((0.6, 0.42, 0.22, 0.0), start=1):
            colors[f"graph{index}"] = colors["blue"].blend(background, share)
        colors |= {f"{hue}-shade": colors[hue].blend(background, _SHADED) for hue in _HUES}
        colors |= {f"{hue}-soft": colors[hue].blend(background, _SOFT) for hue in _HUES}
        colors["meet-shade"] = text.blend(background, _SHADED)
        if background.ansi is not None or colours == "standard":
            # The terminal's own colours have no shades between them.
            few = _ANSI if background.ansi is not None else _SIXTEEN_DARK if dark else _SIXTEEN_LIGHT
            colors = {name: Color.parse(f"ansi_{color}") for name, color in few.items()}
            colors |= {f"{hue}-shade": colors["faint"] for hue in (*_HUES, "meet")}
            colors |= {f"{hue}-soft": colors["dim"] for hue in _HUES}
            if not dark:
                colors["text"] = Color.parse("ansi_black")
        self.colors: Mapping[str, Color] = colors
        self._light = not dark
        self._styles: dict[str, Style] = {"": self._make("text"), "strong": self._make("text", bold=True)}

    @property
    def monochrome(self) -> bool:
        """Whether the hues are shades of grey, so that nothing can be told by them."""
        return all(max(self.colors[hue].rgb) - min(self.colors[hue].rgb) < 24 for hue in _HUES)

    def style(self, name: str) -> Style:
        """The style called `name`; raises KeyError for a name that no palette has."""
        style = self._styles.get(name)
        if style is None:
            style = self._styles[name] = self._resolve(name)
        return style

    def _resolve(self, name: str) -> Style:
        front, on, back = name.partition(" on ")
        if on:
            return Style(color=self.colors[front or "text"].rich_color, bgcolor=self.colors[back].rich_color)
        if "/" in name:
            upper, lower = (self.colors[_ROLES.get(role, "text")] for role in name.split("/"))
            return Style(color=upper.rich_color, bgcolor=lower.rich_color)
        mark = name[-1] if name[-1] in "+!" else ""
        return self._make(name.rstrip("+!"), bold=bool(mark), filled=mark == "!")

    def _make(self, name: str, *, bold: bool = False, filled: bool = False) -> Style:
        color, background = self.colors[name], self.colors["background"]
        if filled:
            if background.ansi is None:
                ink = _ink(color, background, self._seen)
            else:
                light = self._light and name in ("blue", "red", "purple")
                ink = Color.parse("ansi_bright_white" if light else "ansi_black")
            color, background = ink, color
        return Style(color=color.rich_color, bgcolor=background.rich_color, bold=bold or None)


def _color(text: str | None, fallback: Color) -> Color:
    """The colour called `text`, or `fallback` for none and for those that have no place in a blend (such as "auto")."""
    if not text:
        return fallback
    try:
        color = Color.parse(text)
    except ColorParseError:
        return fallback
    return color if color.a == 1.0 else fallback


_Seen: TypeAlias = Callable[[Color], Color]
"""From a colour to the one that the terminal shows for it."""


def _rounded(color: Color) -> Color:
    """What a terminal of 256 colours shows."""
    return color if color.ansi is not None else Color.from_rich_color(color.rich_color.downgrade(ColorSystem.EIGHT_BIT))


def _legible(color: Color, background: Color, least: float, seen: _Seen) -> Color:
    """`color`, made lighter or darker until it stands out from the background by a contrast of `least`."""
    if color.ansi is not None or background.ansi is not None:
        return color
    pole = max((Color(0, 0, 0), Color(255, 255, 255)), key=lambda end: _contrast(end, background))
    steps = (color.blend(pole, step / 20) for step in range(21))
    return next((each for each in steps if _contrast(seen(each), seen(background)) >= least), pole)


def _ink(filled: Color, background: Color, seen: _Seen) -> Color:
    """What words on a badge are written in: the colour around it where that can be read, else black or white."""
    if _contrast(seen(background), seen(filled)) >= _TEXT:
        return background
    return max((Color(0, 0, 0), Color(255, 255, 255)), key=lambda ink: _contrast(seen(ink), seen(filled)))


def _contrast(one: Color, other: Color) -> float:
    """The contrast ratio of WCAG 2.1, 1 to 21."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(color: Color) -> float:
    """Relative luminance of WCAG 2.1."""
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in color.normalized]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
