"""The game of breakout.h: beside a slow one step by step, and the facts of the game."""

from __future__ import annotations

import numpy as np
import pytest
from rollouts import Rollout
from slow_breakout import LAYOUT, Breakout

STILL, LEFT, RIGHT = 0, 1, 2
PUSH = {STILL: 0.0, LEFT: -1.0, RIGHT: 1.0}


def track(observations: np.ndarray, aim: float = 0.0) -> np.ndarray:
    """Actions that keep the paddle under the ball, `aim` pixels off its middle."""
    paddle = observations[:, 0] * 576 + observations[:, 9] * 31
    ball = observations[:, 2] * 576 + 16 + aim
    return np.where(ball < paddle - 8, LEFT, np.where(ball > paddle + 8, RIGHT, STILL))


def change(state: bytes, **fields: float) -> bytes:
    """The state with some fields of the struct set."""
    names = [
        "random", "stream", "total_reward", "steps", "paddle_x", "paddle_width", "ball_x", "ball_y", "ball_vx",
        "ball_vy", "ball_speed", "hits", "score", "bricks_left", "balls_fired", "balls_left", "in_play",
    ]  # fmt: skip
    values = list(LAYOUT.unpack(state))
    for name, value in fields.items():
        if name == "standing":
            for i in range(108):
                values[17 + i] = 0 if i in value else 1
            values[names.index("bricks_left")] = len(value)
        else:
            values[names.index(name)] = value
    return LAYOUT.pack(*values)


@pytest.mark.parametrize("seed", range(6))
def test_every_step_equals_the_slow_game(seed: int) -> None:
    """From equal states one step leads to equal states: the same bricks, score and counts, positions to 1e-3 pixels."""
    rollout = Rollout("breakout", environments=1, slots=1, seed=seed)
    random = np.random.default_rng(seed)
    rollout.batch.observe(1)
    for step in range(1500):
        slow = Breakout.read(rollout.batch.state(0))
        chance = random.random() < (0.7 if step > 1000 else 0.1)
        action = int(random.integers(0, 3)) if chance else int(track(rollout.observations[1], random.normal(0, 12))[0])
        rollout.actions[0] = action
        rollout.batch.step(0)
        reward, over = slow.step(PUSH[action])
        assert rollout.rewards[0, 0] == reward
        assert rollout.terminals[0, 0] == over
        if over:
            continue
        fast = Breakout.read(rollout.batch.state(0))
        for name in (
            "score",
            "broken",
            "bricks_left",
            "balls_left",
            "balls_fired",
            "in_play",
            "hits",
            "steps",
            "random",
        ):
            assert getattr(fast, name) == getattr(slow, name), (step, name)
        for name in (
            "paddle_x",
            "paddle_width",
            "ball_x",
            "ball_y",
            "ball_vx",
            "ball_vy",
            "ball_speed",
            "total_reward",
        ):
            assert getattr(fast, name) == pytest.approx(getattr(slow, name), abs=1e-3), (step, name)


def test_a_paddle_under_the_ball_breaks_most_bricks() -> None:
    rollout = Rollout("breakout", environments=64, slots=1, seed=3)
    random = np.random.default_rng(0)
    rollout.batch.observe(1)
    for _ in range(6000):
        rollout.actions[0] = track(rollout.observations[1], random.normal(0, 6))
        rollout.batch.step(0)
    ended = rollout.batch.statistics()
    assert ended.episodes > 32
    assert ended.score / ended.episodes > 400
    assert ended.episode_return == ended.score


def test_a_paddle_that_rests_loses_five_balls() -> None:
    rollout = Rollout("breakout", environments=8, slots=1)
    left = [5] * 8
    for _ in range(400):
        before = list(left)
        rollout.batch.step(0)
        for i in range(8):
            left[i] = Breakout.read(rollout.batch.state(i)).balls_left
            if rollout.terminals[0, i]:
                assert (before[i], left[i]) == (1, 5)
            else:
                assert before[i] - left[i] in (0, 1)
    ended = rollout.batch.statistics()
    assert ended.episodes >= 8
    # Five times 185 pixels down at 256 * cos(pi / 3.25) / 60 = 2.424 pixels a frame, 4 frames a step.
    assert ended.length / ended.episodes == 97


def test_both_first_directions_occur_and_are_mirrored() -> None:
    rollout = Rollout("breakout", environments=64, slots=1)
    rollout.batch.step(0)
    speeds = {round(Breakout.read(rollout.batch.state(i)).ball_vx, 4) for i in range(64)}
    assert len(speeds) == 2
    assert sum(speeds) == 0


@pytest.mark.parametrize(("row", "value"), list(enumerate((7, 7, 4, 4, 1, 1))))
def test_a_brick_is_worth_its_row(row: int, value: int) -> None:
    rollout = Rollout("breakout", environments=1, slots=1, config={"frame_skip": 1})
    ball_y = 50 + 12 * (row + 1) + 1.0
    state = change(
        rollout.batch.state(0), standing={row * 18 + 4, 107}, ball_x=128.0, ball_y=ball_y, ball_vy=-4.0, in_play=1,
        balls_fired=1, score=432 - value - 1,
    )  # fmt: skip
    rollout.batch.set_state(0, state)
    rollout.batch.step(0)
    after = Breakout.read(rollout.batch.state(0))
    assert rollout.rewards[0, 0] == value
    assert after.broken[row * 18 + 4] == 1
    assert after.bricks_left == 1
    assert after.ball_vy == 4.0
    assert after.ball_speed == (448 if row < 3 else 256)


def test_four_touches_speed_the_ball_up_to_the_limit() -> None:
    rollout = Rollout("breakout", environments=1, slots=1, config={"frame_skip": 1})
    speeds = []
    for hits in range(24):
        state = Breakout.read(rollout.batch.state(0))
        rollout.batch.set_state(
            0,
            change(
                rollout.batch.state(0), paddle_x=257.0, ball_x=272.0, ball_y=279.0, ball_vx=0.0, ball_vy=2.0,
                ball_speed=state.ball_speed, hits=hits, in_play=1, balls_fired=1,
            ),
        )  # fmt: skip
        rollout.batch.step(0)
        speeds.append(Breakout.read(rollout.batch.state(0)).ball_speed)
    assert speeds == [256] * 3 + [320] * 4 + [384] * 4 + [448] * 13


def test_the_back_wall_halves_the_paddle_until_the_next_ball() -> None:
    rollout = Rollout("breakout", environments=1, slots=1, config={"frame_skip": 1})
    above = change(rollout.batch.state(0), ball_x=100.0, ball_y=2.0, ball_vy=-4.0, in_play=1, balls_fired=1)
    rollout.batch.set_state(0, above)
    rollout.batch.step(0)
    assert Breakout.read(rollout.batch.state(0)).paddle_width == 31
    assert rollout.observations[1, 0, 9] == 0.5
    below = change(rollout.batch.state(0), ball_x=500.0, ball_y=319.0, ball_vy=4.0, paddle_x=10.0)
    rollout.batch.set_state(0, below)
    rollout.batch.step(0)
    after = Breakout.read(rollout.batch.state(0))
    assert (after.paddle_width, after.balls_left, after.in_play) == (62, 4, 0)


def test_a_broken_wall_is_rebuilt_at_the_paddle_and_the_second_ends_the_game() -> None:
    rollout = Rollout("breakout", environments=1, slots=1, config={"frame_skip": 4})
    cleared = {"standing": set(), "in_play": 1, "balls_fired": 1, "ball_speed": 448.0, "total_reward": 432.0}
    at_paddle = change(rollout.batch.state(0), **cleared, score=432, ball_x=272.0, ball_y=279.0, ball_vy=7.0)
    rollout.batch.set_state(0, at_paddle)
    rollout.batch.step(0)
    assert Breakout.read(rollout.batch.state(0)).bricks_left == 108
    assert rollout.terminals[0, 0] == 0
    last = change(rollout.batch.state(0), standing={0}, score=857, ball_x=0.0, ball_y=70.0, ball_vx=0.0, ball_vy=-7.0)
    rollout.batch.set_state(0, last)
    rollout.batch.step(0)
    assert (rollout.rewards[0, 0], rollout.terminals[0, 0]) == (7, 1)
    ended = rollout.batch.statistics()
    assert (ended.episodes, ended.score) == (1, 864)
    assert Breakout.read(rollout.batch.state(0)).score == 0


def test_frames_after_the_end_are_not_played() -> None:
    """With the last ball one frame from its loss, a step of 64 frames leaves the next episode untouched."""
    rollout = Rollout("breakout", environments=1, slots=1, config={"frame_skip": 64})
    fresh = Rollout("breakout", environments=1, slots=1, seed=9)
    lost = change(rollout.batch.state(0), balls_left=1, balls_fired=5, in_play=1, ball_y=319.0, ball_vy=4.0)
    rollout.batch.set_state(0, lost)
    rollout.batch.step(0)
    assert rollout.terminals[0, 0] == 1
    np.testing.assert_array_equal(rollout.observations[1, 0], fresh.observations[0, 0])


def test_the_paddle_moves_at_its_speed_and_stays_in_the_field() -> None:
    rollout = Rollout("breakout", environments=1, slots=1, config={"frame_skip": 1})
    rollout.actions[0] = RIGHT
    rollout.batch.step(0)
    assert Breakout.read(rollout.batch.state(0)).paddle_x == pytest.approx(257 + 620 / 60)
    for _ in range(40):
        rollout.batch.step(0)
    assert Breakout.read(rollout.batch.state(0)).paddle_x == 576 - 62


def test_a_continuous_action_scales_the_paddles_speed() -> None:
    rollout = Rollout("breakout", environments=6, slots=1, config={"frame_skip": 1, "continuous": True})
    assert rollout.batch.spec.continuous
    assert rollout.batch.spec.actions == 1
    rollout.actions[0] = [0.5, -0.25, 7.0, -np.inf, np.nan, 0.0]
    rollout.batch.step(0)
    moved = [Breakout.read(rollout.batch.state(i)).paddle_x - 257 for i in range(6)]
    np.testing.assert_allclose(moved, np.array([0.5, -0.25, 1, -1, 0, 0]) * 620 / 60, atol=1e-4)


def test_an_action_out_of_range_does_nothing() -> None:
    rollout = Rollout("breakout", environments=4, slots=1)
    rollout.actions[0] = [-1, 3, 2**31 - 1, -(2**31)]
    rollout.batch.step(0)
    assert {Breakout.read(rollout.batch.state(i)).paddle_x for i in range(4)} == {257}


def test_the_observation_is_the_state_normalized() -> None:
    rollout = Rollout("breakout", environments=1, slots=1, seed=5)
    rollout.batch.observe(1)
    for _ in range(200):
        rollout.actions[0] = track(rollout.observations[1])
        rollout.batch.step(0)
    state, seen = Breakout.read(rollout.batch.state(0)), rollout.observations[1, 0]
    full = 448 / 60
    expected = [
        state.paddle_x / 576, 312 / 330, state.ball_x / 576, state.ball_y / 330, state.ball_vx / full,
        state.ball_vy / full, state.balls_fired / 5, state.score / 864, state.balls_left / 5, state.paddle_width / 62,
        *state.broken,
    ]  # fmt: skip
    assert state.score > 0
    np.testing.assert_allclose(seen, expected, atol=1e-6)
