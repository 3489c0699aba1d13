"""Pictures show the game: what is where, in which role, at every scale."""

from __future__ import annotations

import numpy as np
import pytest
from rollouts import Rollout
from slow_maze import LAYOUT as MAZE
from slow_maze import Maze
from test_breakout_rules import change

import c_envs

UPPER_HALF = 0x2580
ARROWS = {"north": 0x25B2, "east": 0x25BA, "south": 0x25BC, "west": 0x25C4}
ROLE = {name: number for number, name in enumerate(c_envs.ROLES)}


def pixels(picture: np.ndarray) -> np.ndarray:
    """Roles by pixel, two rows of them to a row of characters."""
    rows, columns, _ = picture.shape
    return picture[:, :, 1:].transpose(0, 2, 1).reshape(2 * rows, columns)


def test_the_roles_are_these() -> None:
    """A frozen list: themes name them."""
    assert c_envs.ROLES == (
        "background", "wall", "text", "paddle", "ball", "brick1", "brick2", "brick3", "brick4", "brick5", "brick6",
        "agent", "goal", "floor", "seen",
    )  # fmt: skip


@pytest.mark.parametrize(("scale", "size"), [(1, (14, 36)), (2, (28, 72)), (4, (56, 144))])
def test_a_breakout_picture_has_paddle_ball_and_bricks_in_their_places(scale: int, size: tuple[int, int]) -> None:
    batch, renderer = c_envs.Batch("breakout", 1), c_envs.Renderer("breakout")
    picture = renderer.render(batch.state(0), scale)
    assert renderer.size(scale) == size == picture.shape[:2]
    assert picture.dtype == np.uint32
    assert (picture[:, :, 0] == UPPER_HALF).all()
    shown = pixels(picture)
    across = {1: (16, 12), 2: (8, 6), 4: (4, 3)}[scale]
    middles = (np.arange(len(shown)) + 0.5) * across[1]
    for row in range(6):
        inside = (middles >= 50 + 12 * row) & (middles < 62 + 12 * row)
        assert inside.sum() == scale
        assert (shown[inside] == ROLE[f"brick{row + 1}"]).all()
    for role, left, top, width, height in (("ball", 272, 135, 32, 32), ("paddle", 257, 312, 62, 8)):
        y, x = np.nonzero(shown == ROLE[role])
        assert x.size >= 1
        assert left - across[0] < x.min() * across[0] < (x.max() + 1) * across[0] < left + width + across[0]
        assert top - across[1] < y.min() * across[1] < (y.max() + 1) * across[1] < top + height + across[1]
    assert set(np.unique(shown)) == {ROLE[f"brick{i}"] for i in range(1, 7)} | {
        ROLE["background"], ROLE["paddle"], ROLE["ball"],
    }  # fmt: skip


def test_a_broken_brick_is_a_gap() -> None:
    batch, renderer = c_envs.Batch("breakout", 1), c_envs.Renderer("breakout")
    whole = pixels(renderer.render(batch.state(0), 1))
    gone = change(batch.state(0), standing=set(range(108)) - {18 * 2 + 5}, score=4)
    holed = pixels(renderer.render(gone, 1))
    assert np.argwhere(whole != holed).tolist() == [[6, 10], [6, 11]]
    assert (holed[6, 10:12] == ROLE["background"]).all()


def test_the_breakout_caption_has_score_and_balls() -> None:
    batch, renderer = c_envs.Batch("breakout", 1), c_envs.Renderer("breakout")
    assert renderer.caption(batch.state(0)) == "score 0  balls 5"
    state = change(batch.state(0), standing=set(range(107)), score=433, balls_left=2, balls_fired=3)
    assert renderer.caption(state) == "score 433  balls 2"


@pytest.mark.parametrize("size", [5, 31])
def test_a_maze_picture_has_walls_goal_and_an_arrow_that_is_the_agent(size: int) -> None:
    config = {"map_size": size}
    rollout = Rollout("maze", environments=8, slots=20, seed=6, config=config)
    renderer = c_envs.Renderer("maze", config, seed=6)
    assert renderer.size(1) == ((size + 1) // 2, size)
    assert renderer.size(2) == (size, 2 * size)
    headings = set()
    for _ in range(10):
        rollout.play(np.random.default_rng(0))
        for i in range(8):
            state = rollout.batch.state(i)
            maze = Maze.read(state)
            heading = list(ARROWS)[maze.heading]
            headings.add(heading)
            small, large = renderer.render(state, 1), renderer.render(state, 2)
            for picture, at in ((small, (maze.y // 2, maze.x)), (large, (maze.y, 2 * maze.x))):
                assert np.argwhere(picture[:, :, 0] != UPPER_HALF).tolist() == [list(at)]
                assert picture[*at].tolist() == [ARROWS[heading], ROLE["agent"], ROLE["seen"]]
            steps, limit = maze.steps, 2 * size * size
            assert renderer.caption(state) == f"steps {steps}/{limit}  heading {heading}"
            cells = large[:, ::2, 2]
            assert (cells == ROLE["goal"]).sum() == 1
            assert (cells[0] == ROLE["wall"]).all()
            same = pixels(small)[:size] == cells
            same[maze.y // 2 * 2 : maze.y // 2 * 2 + 2, maze.x] = True  # the arrow takes a whole character
            assert same.all()
            seen = np.argwhere(cells == ROLE["seen"])
            assert (abs(seen - [maze.y, maze.x]) <= 5).all()
            floor = np.argwhere(cells == ROLE["floor"])
            assert (abs(floor - [maze.y, maze.x]).max(1) > 5).all()
    assert headings == set(ARROWS)


def test_a_small_level_is_drawn_in_the_middle() -> None:
    config = {"map_size": 0, "max_size": 31, "num_maps": 40}
    batch, renderer = c_envs.Batch("maze", 300, config=config), c_envs.Renderer("maze", config)
    margins = set()
    for i in range(300):
        walls = np.argwhere(renderer.render(batch.state(i), 2)[:, ::2, 1] != ROLE["background"])
        assert (walls.min(0) == 30 - walls.max(0)).all()
        margins.add(int(walls.min()))
    assert len(margins) > 5


def test_a_renderer_needs_no_batch_and_knows_its_levels_by_seed() -> None:
    config = {"map_size": 15, "num_maps": 2}
    state = c_envs.Batch("maze", 1, seed=1, config=config).state(0)
    same, other = c_envs.Renderer("maze", config, seed=1), c_envs.Renderer("maze", config, seed=2)
    assert (same.render(state, 1) == c_envs.Renderer("maze", config, seed=1).render(state, 1)).all()
    moved = list(MAZE.unpack(state))
    moved[5:7] = [1, 1]  # a room in every level, unless it is the goal
    assert (same.render(MAZE.pack(*moved), 1) != other.render(MAZE.pack(*moved), 1)).any()


@pytest.mark.parametrize("scale", [0, 5, -1])
def test_an_unknown_scale_is_refused(scale: int) -> None:
    renderer = c_envs.Renderer("breakout")
    state = c_envs.Batch("breakout", 1).state(0)
    with pytest.raises(ValueError, match=f"scale is {scale}; it must be from 1 to 4"):
        renderer.size(scale)
    with pytest.raises(ValueError, match=f"scale is {scale}"):
        renderer.render(state, scale)


def test_a_state_of_another_length_is_refused() -> None:
    renderer = c_envs.Renderer("maze")
    state = c_envs.Batch("breakout", 1).state(0)
    with pytest.raises(ValueError, match=f"a state has 40 bytes, not {len(state)}"):
        renderer.render(state, 1)
    with pytest.raises(ValueError, match="a state has 40 bytes, not 0"):
        renderer.caption(b"")
