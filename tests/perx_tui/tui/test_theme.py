"""The palette under every theme."""

from __future__ import annotations

import pytest
from textual.theme import BUILTIN_THEMES, Theme

from engine import ROLES
from perx_tui.tui.theme import THEMES, Palette

ALL = [*THEMES, *BUILTIN_THEMES.values()]
STATES = ("green!", "yellow!", "blue!", "red!")


def palette(theme: Theme) -> Palette:
    return Palette({**theme.to_color_system().generate(), **theme.variables}, theme.dark)


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
