"""The game of maze.h: beside a slow one step by step, its levels, and the facts of the game."""

from __future__ import annotations

import numpy as np
import pytest
from rollouts import Rollout
from slow_maze import FLOOR, GOAL, WALL, Cells, Level, Maze, build_level
from slow_random import Pcg32, derive

import c_envs

STAY, FORWARD, LEFT, RIGHT, BACK = range(5)


def drawn_cells(renderer: c_envs.Renderer, state: bytes) -> Cells:
    """A level's cells out of its picture; the agent stands on floor."""
    kinds = {"wall": WALL, "floor": FLOOR, "seen": FLOOR, "goal": GOAL, "agent": FLOOR, "background": 9}
    roles = renderer.render(state, 2)[:, ::2, 1]
    cells = np.vectorize(lambda role: kinds[c_envs.ROLES[role]])(roles).astype(np.int8)
    inside = cells != 9
    return cells[inside.any(1)][:, inside.any(0)]


def exits(cells: Cells) -> Cells:
    """For every inner cell how many of its four neighbours are no wall."""
    free = cells != WALL
    return free[:-2, 1:-1] * 1 + free[2:, 1:-1] + free[1:-1, :-2] + free[1:-1, 2:]


def dead_ends(cells: Cells) -> int:
    return int(((cells[1:-1, 1:-1] != WALL) & (exits(cells) == 1)).sum())


def wall_follower(windows: np.ndarray) -> np.ndarray:
    """Actions of somebody who keeps a hand on the left wall, out of windows [rows, 11, 11]."""
    free = windows <= 0
    return np.where(free[:, 5, 4], LEFT, np.where(free[:, 4, 5], FORWARD, np.where(free[:, 5, 6], RIGHT, BACK)))


@pytest.mark.parametrize(
    ("config", "sizes"),
    [
        ({"map_size": 15, "num_maps": 3, "difficulty": 0.5}, [15]),
        ({"map_size": 5, "num_maps": 2, "difficulty": 0.0}, [5]),
        ({"map_size": 0, "max_size": 11, "num_maps": 6, "difficulty": 1.0}, [5, 7, 9, 11]),
    ],
)
def test_every_step_equals_the_slow_game(config: dict[str, int | float], sizes: list[int]) -> None:
    """Levels, starts, moves, rewards, ends, observations and random numbers, to the bit."""
    seed, environments = 77, 3
    levels = [build_level(seed, i, float(config["difficulty"]), sizes) for i in range(int(config["num_maps"]))]
    rollout = Rollout("maze", environments=environments, slots=1, seed=seed, config=config)
    slow = [Maze.begin(Pcg32.seeded(derive(seed, i)), levels) for i in range(environments)]
    random = np.random.default_rng(0)
    rollout.batch.observe(1)
    ends = {"terminal": 0, "truncated": 0}
    for _ in range(2500):
        follow = wall_follower(rollout.observations[1, :, :121].reshape(-1, 11, 11))
        actions = np.where(random.random(environments) < 0.6, random.integers(0, 5, environments), follow)
        rollout.actions[0] = actions
        rollout.batch.step(0)
        for i, maze in enumerate(slow):
            reward, end = maze.step(int(actions[i]), levels)
            got = rollout.rewards[0, i], rollout.terminals[0, i], rollout.truncations[0, i]
            assert got == (reward, end == "terminal", end == "truncated")
            if end:
                ends[end] += 1
                if end == "truncated":
                    np.testing.assert_array_equal(rollout.final_observations[i], maze.observation(levels))
                slow[i] = maze = Maze.begin(maze.random, levels)
            assert Maze.read(rollout.batch.state(i)) == maze
            np.testing.assert_array_equal(rollout.observations[1, i], maze.observation(levels))
    assert ends["terminal"] > 5
    assert ends["truncated"] > 5 or config["map_size"] == 15


@pytest.mark.parametrize("size", [5, 7, 31, 127])
@pytest.mark.parametrize("difficulty", [0.0, 0.4, 1.0])
def test_a_level_is_a_tree_of_rooms_within_walls(size: int, difficulty: float) -> None:
    config = {"map_size": size, "difficulty": difficulty}
    batch = c_envs.Batch("maze", 1, seed=5, config=config)
    cells = drawn_cells(c_envs.Renderer("maze", config, seed=5), batch.state(0))
    side = size // 2
    assert cells.shape == (size, size)
    assert (cells == GOAL).sum() == 1
    assert all((edge == WALL).all() for edge in (cells[0], cells[-1], cells[:, 0], cells[:, -1]))
    assert (cells[1::2, 1::2] != WALL).all()
    assert (cells[::2, ::2] == WALL).all()
    assert (cells != WALL).sum() == 2 * side * side - 1  # rooms, and one door less than rooms: no loops if connected
    reached, todo = set(), [(1, 1)]
    while todo:
        x, y = todo.pop()
        if (x, y) not in reached and cells[y, x] != WALL:
            reached.add((x, y))
            todo += [(x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)]
    assert len(reached) == (cells != WALL).sum()


def test_difficulty_makes_more_dead_ends() -> None:
    def count(difficulty: float) -> int:
        return sum(dead_ends(build_level(1, i, difficulty, [21]).cells) for i in range(10))

    assert count(0.0) < 0.7 * count(0.5) < 0.9 * count(1.0)


def test_a_level_does_not_depend_on_how_many_there_are() -> None:
    renderer = c_envs.Renderer("maze", {"num_maps": 1}, seed=3)
    many = c_envs.Renderer("maze", {"num_maps": 9}, seed=3)
    state = c_envs.Batch("maze", 1, seed=3, config={"num_maps": 1}).state(0)
    np.testing.assert_array_equal(renderer.render(state, 1), many.render(state, 1))


def test_sizes_are_drawn_odd_up_to_the_largest() -> None:
    config = {"map_size": 0, "max_size": 13, "num_maps": 200}
    batch = c_envs.Batch("maze", 400, config=config)
    renderer = c_envs.Renderer("maze", config)
    sizes = {len(drawn_cells(renderer, batch.state(i))) for i in range(400)}
    assert sizes == {5, 7, 9, 11, 13}


def test_starts_are_rooms_at_a_distance_from_the_goal() -> None:
    config = {"map_size": 9, "num_maps": 4}
    levels = [build_level(2, i, 0.5, [9]) for i in range(4)]
    batch = c_envs.Batch("maze", 2000, seed=2, config=config)
    mazes = [Maze.read(batch.state(i)) for i in range(2000)]
    assert {maze.level for maze in mazes} == {0, 1, 2, 3}
    assert {maze.heading for maze in mazes} == {0, 1, 2, 3}
    distances = [abs(m.x - levels[m.level].goal[0]) + abs(m.y - levels[m.level].goal[1]) for m in mazes]
    assert min(distances) == 4
    assert all(m.x % 2 == 1 and m.y % 2 == 1 for m in mazes)


def test_a_hand_on_the_wall_always_finds_the_goal() -> None:
    """Every maze can be solved in its time: the wall follower passes each of its cells at most twice."""
    rollout = Rollout("maze", environments=64, slots=1, seed=4, config={"map_size": 31, "num_maps": 64})
    rollout.batch.observe(1)
    for _ in range(2000):
        rollout.actions[0] = wall_follower(rollout.observations[1, :, :121].reshape(-1, 11, 11))
        rollout.batch.step(0)
        assert not rollout.truncations.any()
    ended = rollout.batch.statistics()
    assert ended.episodes > 128
    assert ended.score == ended.episodes == ended.episode_return


def test_staying_is_truncated_after_twice_the_cells() -> None:
    rollout = Rollout("maze", environments=2, slots=1, config={"map_size": 7})
    for step in range(1, 99):
        before = rollout.observations[1].copy()
        rollout.batch.step(0)
        assert rollout.truncations.all() == (step == 98)
        assert not rollout.terminals.any()
        if 1 < step < 98:
            np.testing.assert_array_equal(rollout.observations[1, :, :-1], before[:, :-1])
            np.testing.assert_allclose(rollout.observations[1, :, -1], step / 98)
    assert (rollout.final_observations[:, -1] == 1).all()
    assert (rollout.observations[1, :, -1] == 0).all()
    ended = rollout.batch.statistics()
    assert (ended.episodes, ended.score, ended.length) == (2, 0, 196)


def test_a_step_into_a_wall_neither_moves_nor_turns() -> None:
    rollout = Rollout("maze", environments=1, slots=1)
    for _ in range(300):
        state = Maze.read(rollout.batch.state(0))
        window = rollout.observations[0, 0, :121].reshape(11, 11)
        blocked = {FORWARD: window[4, 5], LEFT: window[5, 4], RIGHT: window[5, 6], BACK: window[6, 5]}
        walls = [action for action, cell in blocked.items() if cell == WALL]
        ways = [action for action, cell in blocked.items() if cell != WALL]
        if walls:
            rollout.actions[0] = walls[0]
            rollout.batch.step(0)
            after = Maze.read(rollout.batch.state(0))
            assert (after.x, after.y, after.heading) == (state.x, state.y, state.heading)
        rollout.actions[0] = ways[-1]
        rollout.batch.step(0)
        after = Maze.read(rollout.batch.state(0))
        assert (after.x, after.y) != (state.x, state.y)
        rollout.batch.observe(0)


def test_levels_follow_from_the_batchs_seed() -> None:
    def level(seed: int) -> Level:
        return build_level(seed, 0, 0.5, [31])

    for seed in (0, 1, 2**64 - 1):
        renderer = c_envs.Renderer("maze", {}, seed=seed)
        state = c_envs.Batch("maze", 1, seed=seed).state(0)
        np.testing.assert_array_equal(drawn_cells(renderer, state), level(seed).cells)
    assert (level(0).cells != level(1).cells).any()
