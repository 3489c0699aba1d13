"""The palette under every theme."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from rich.color import ColorSystem
from rich.style import Style
from textual.theme import BUILTIN_THEMES, Theme

from engine import ROLES
from perx_tui.tui.theme import THEMES, Palette

ALL = [*THEMES, *BUILTIN_THEMES.values()]
STATES = ("green!", "yellow!", "blue!", "red!")


HUES = ("blue", "orange", "green", "yellow", "red", "purple")
VISIONS = {
    "normal": np.eye(3),
    "without red cones": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "without green cones": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
    ),
    "without blue cones": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]]
    ),
}
"""What linear RGB is seen as (Machado, Oliveira and Fernandes 2009, severity 1)."""


def palette(theme: Theme, colours: str = "truecolor") -> Palette:
    return Palette({**theme.to_color_system().generate(), **theme.variables}, theme.dark, colours)


@pytest.mark.parametrize("theme", ALL, ids=lambda theme: theme.name)
def test_every_style_can_be_told_from_the_background(theme: Theme) -> None:
    """Law: nothing is drawn in the colour of what it stands on, badges and walls included."""
    made = palette(theme)
    for name in ("", "strong", "dim", "faint", "frame", "graph1", "fill", "blue", "orange+", "purple", *STATES):
        style = made.style(name)
        assert style.color != style.bgcolor, name
    for role in ROLES:
        if role not in ("background", "floor"):
            style = made.style(f"{role}/background")
            assert style.color != style.bgcolor, role


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_text_is_readable_in_our_own_themes(theme: Theme) -> None:
    """WCAG AA asks for a contrast of 4.5; labels and all hues have it."""
    made = palette(theme)
    background = made.colors["background"]
    for name in ("text", "dim", "blue", "orange", "green", "yellow", "red", "purple"):
        assert contrast(made.colors[name].rgb, background.rgb) >= 4.5, name


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_no_two_hues_are_confused_by_any_kind_of_colour_vision(theme: Theme, vision: str) -> None:
    """A CIELAB distance of 2.3 is just noticed, one above 10 seen at a glance; every pair has at least 17."""
    made = palette(theme)
    seen = {hue: lab(VISIONS[vision] @ linear(made.colors[hue].rgb)) for hue in HUES}
    for one, other in itertools.combinations(HUES, 2):
        assert float(np.linalg.norm(seen[one] - seen[other])) >= 17, (one, other)


def test_the_measure_of_colour_vision_finds_what_is_known_to_be_confused() -> None:
    """Red and green of equal lightness are one for an eye without green cones, and two for any other."""
    red, green = linear((176, 106, 62)), linear((110, 130, 60))
    near = np.linalg.norm(lab(VISIONS["without green cones"] @ red) - lab(VISIONS["without green cones"] @ green))
    assert near < 10
    assert np.linalg.norm(lab(red) - lab(green)) > 25


@pytest.mark.parametrize("colours", ["truecolor", "256"])
@pytest.mark.parametrize("theme", ALL, ids=lambda theme: theme.name)
def test_words_can_be_read_in_every_theme_as_the_terminal_shows_it(theme: Theme, colours: str) -> None:
    """Law: text has a contrast of 4.5 to what it stands on, badges included, labels and hues have one of 3."""
    made = palette(theme, colours)
    if made.colors["background"].ansi is not None:
        pytest.skip("the terminal's own colours are its user's choice")
    for name in ("", "strong", "dim", *HUES, *(f"{hue}!" for hue in HUES)):
        style = made.style(name)
        assert style.color is not None
        assert style.bgcolor is not None
        if colours == "256":
            style = Style(
                color=style.color.downgrade(ColorSystem.EIGHT_BIT),
                bgcolor=style.bgcolor.downgrade(ColorSystem.EIGHT_BIT),
            )
        front, back = style.color.get_truecolor(), style.bgcolor.get_truecolor()  # type: ignore[union-attr]
        assert contrast(tuple(front), tuple(back)) >= (3 if name in ("dim", *HUES) else 4.5), name


def test_sixteen_colours_have_text_and_labels_apart_from_the_background() -> None:
    """Under the table of xterm, for light and dark themes."""
    for theme in ALL:
        made = palette(theme, "standard")
        for name in ("", "strong", "dim"):
            style = made.style(name)
            if style.bgcolor is None or style.bgcolor.is_default:
                continue
            front, back = style.color.get_truecolor(), style.bgcolor.get_truecolor()  # type: ignore[union-attr]
            assert contrast(tuple(front), tuple(back)) >= (3 if name == "dim" else 4.5), (theme.name, name)


@pytest.mark.parametrize("theme", ALL, ids=lambda theme: theme.name)
def test_sixteen_colours_keep_the_hues_apart(theme: Theme) -> None:
    """Rounded to the nearest of sixteen, blue, purple and grey would be one colour."""
    made = palette(theme, "standard")
    background = made.style("").bgcolor
    numbers = [made.style(hue).color.number for hue in HUES]  # type: ignore[union-attr]
    assert len(set(numbers)) == len(HUES)
    for name in ("", "strong", "dim", "faint", "frame", *(f"{hue}!" for hue in HUES), *HUES, "graph1", "wall/floor"):
        style = made.style(name)
        assert style.color != style.bgcolor, name
        assert style.color is not None
        assert style.color.is_default or style.color.number is not None
        if "!" not in name and "/" not in name:
            assert style.bgcolor == background


def test_neighbouring_bricks_have_different_colours() -> None:
    made = palette(THEMES[0])
    colors = [made.style(f"brick{row}/background").color for row in range(1, 7)]
    assert len(set(colors)) == 6


def test_a_role_that_is_not_known_is_still_drawn() -> None:
    made = palette(THEMES[0])
    assert made.style("dragon/background").color == made.style("").color


def test_a_style_that_no_palette_has_is_refused() -> None:
    with pytest.raises(KeyError):
        palette(THEMES[0]).style("chartreuse")


def contrast(one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
    """The contrast ratio of WCAG 2.1."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(rgb: tuple[int, int, int]) -> float:
    """Relative luminance of WCAG 2.1."""
    channels = [c / 255 / 12.92 if c / 255 <= 0.03928 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in rgb]
    return 0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2]


def linear(rgb: tuple[int, int, int]) -> Any:
    """Linear RGB in [0, 1] of an sRGB colour."""
    share = np.array(rgb) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def lab(rgb: Any) -> Any:
    """CIELAB of linear RGB under D65."""
    matrix = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]
    )
    xyz = matrix @ np.clip(rgb, 0, 1) / np.array([0.95047, 1.0, 1.08883])
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])
