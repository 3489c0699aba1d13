"""Pictures in all sizes: what an environment draws, and what is magnified of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import c_envs
from engine import ROLES
from perx_tui.picture import Painter
from perx_tui.tui.lines import Line, text_of
from perx_tui.tui.picture import Picture, magnified


def state_of(name: str, seed: int = 1, **config: object) -> tuple[c_envs.Renderer, bytes]:
    batch = c_envs.Batch(name, 1, seed=seed, config=config)
    rows, size = batch.rows, batch.spec.observation_size
    batch.bind(
        observations=np.zeros((2, rows, size), np.float32),
        actions=np.zeros((1, rows), np.int32),
        rewards=np.zeros((1, rows), np.float32),
        terminals=np.zeros((1, rows), np.uint8),
        truncations=np.zeros((1, rows), np.uint8),
        masks=np.zeros((1, rows), np.uint8),
        final_observations=np.zeros((rows, size), np.float32),
    )
    batch.reset()
    return c_envs.Renderer(name, config, seed=seed), batch.state(0)


def size_of(lines: list[Line], plain: bool = False) -> tuple[int, int]:
    """Rows and columns that a picture takes."""
    widths = [sum(len(text) for text, style in line if "/" in style or (plain and text.strip())) for line in lines]
    return sum(width > 0 for width in widths), max(widths)


def roles_of(lines: list[Line]) -> list[list[str]]:
    """Roles of the half cells of a picture, from the names of the styles; "agent" for an arrow's both halves."""
    rows: list[list[str]] = []
    for line in lines:
        upper: list[str] = []
        lower: list[str] = []
        for text, style in line:
            front, _, back = style.partition("/")
            arrow = text in "▲►▼◄"
            upper += ["agent" if arrow else front] * len(text)
            lower += ["agent" if arrow else back] * len(text)
        rows += [upper, lower]
    return rows


@given(st.integers(1, 5), st.integers(1, 6), st.integers(1, 7), st.integers(0, 2**32 - 1))
def test_a_magnified_pixel_is_a_block_of_its_role(factor: int, rows: int, columns: int, seed: int) -> None:
    """Law: half cell (y, x) has the role of pixel (y / factor, x / factor)."""
    image = np.random.default_rng(seed).integers(1, 15, (rows, columns), dtype=np.uint32)
    cells = magnified(image, factor)
    halves = cells[..., 1:].transpose(0, 2, 1).reshape(-1, cells.shape[1])
    assert (cells[..., 0] == 0x2580).all()
    for y in range(rows * factor):
        for x in range(columns * factor):
            assert halves[y, x] == image[y // factor, x // factor]
    assert (halves[rows * factor :] == 0).all()


@pytest.mark.parametrize("scale", [3, 4, 5, 8])
def test_a_large_maze_has_the_cells_of_the_small_one_and_one_agent(scale: int) -> None:
    """Each cell of the maze a block of equal size, the agent's as well, with the arrow in it."""
    renderer, state = state_of("maze", map_size=7)
    native = renderer.render(state, 2)
    agent = tuple(np.argwhere(native[..., 0] != 0x2580)[0] // (1, 2))
    lines = Picture(renderer, ROLES).lines(state, 7 * scale, 4 * scale)
    assert sum(text.count(c) for line in lines for text, _ in line for c in "▲►▼◄") == 1
    found = [row for row in roles_of(lines) if row]
    for y in range(7 * scale):
        for x in range(7 * scale):
            cell = y // scale, x // scale
            assert found[y][x] == ("agent" if cell == agent else ROLES[native[cell[0], 2 * cell[1] + 1, 1]]), (y, x)


def test_a_small_level_of_a_large_maze_fills_the_room() -> None:
    level = 31
    for seed in range(100):
        renderer, state = state_of("maze", seed=seed, map_size=0, max_size=31, num_maps=40)
        level = int((renderer.render(state, 2)[..., 1:] != ROLES.index("background")).any(-1).any(1).sum())
        if 9 <= level <= 13:
            break
    assert level <= 13
    rows, columns = size_of(Picture(renderer, ROLES).lines(state, 62, 31))
    assert rows > 31 - level
    assert columns >= 4 * level


@pytest.mark.parametrize("name", list(c_envs.ENVIRONMENTS))
@pytest.mark.parametrize("size", [(10, 3), (36, 14), (62, 31), (118, 44), (154, 56)])
@pytest.mark.parametrize("plain", [False, True])
def test_every_environment_is_drawn_within_its_room(name: str, size: tuple[int, int], plain: bool) -> None:
    renderer, state = state_of(name)
    lines = Picture(renderer, ROLES, plain=plain).lines(state, *size)
    assert any(line for line in lines)
    assert len(lines) <= size[1]
    assert all(len(row) <= size[0] for row in text_of(lines))
    if plain:
        assert all(row.isascii() for row in text_of(lines) if name in ("breakout", "maze"))


@pytest.mark.parametrize("size", [(30, 15), (45, 23), (90, 45)])
def test_without_colours_the_agents_window_of_a_maze_is_lit(size: tuple[int, int]) -> None:
    """Floor that the agent sees is dotted, other floor is blank: in the TUI and in `play`."""
    renderer, state = state_of("maze", seed=2, map_size=15)
    text = "\n".join(text_of(Picture(renderer, ROLES, plain=True).lines(state, *size)))
    assert "." in text
    assert sum(text.count(c) for c in "^>v<") == 1
    assert any("  " in row.strip() for row in text.split("\n"))
    shown = "\n".join(Painter(ROLES, None).lines(renderer.render(state, 2)))  # type: ignore[arg-type]
    assert "·" in shown
    assert "    " in shown
