"""States and saved batches: only bytes that mean something are taken, and nothing changes otherwise."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from rollouts import Rollout
from slow_maze import LAYOUT as MAZE
from test_breakout_rules import change

import c_envs

GAMES = [("breakout", {"max_steps": 500}), ("maze", {"map_size": 9, "num_maps": 3})]


def played(name: str, config: dict[str, object], **arguments: int) -> Rollout:
    rollout = Rollout(name, config=config, **arguments)
    rollout.play(np.random.default_rng(0))
    return rollout


@pytest.mark.parametrize(("name", "config"), GAMES)
def test_a_state_of_another_length_is_refused(name: str, config: dict[str, object]) -> None:
    batch = played(name, config).batch
    state = batch.state(0)
    assert len(state) == batch.spec.state_bytes
    for wrong in (b"", state[:-1], state + b"\0"):
        with pytest.raises(ValueError, match=f"a state has {len(state)} bytes, not {len(wrong)}"):
            batch.set_state(0, wrong)
    with pytest.raises(TypeError):
        batch.set_state(0, "text")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "fields",
    [
        {"ball_x": float("nan")},
        {"ball_x": -1.0},
        {"ball_x": 545.0},
        {"ball_y": float("inf")},
        {"ball_y": 320.0},
        {"ball_vx": 8.0},
        {"ball_vy": float("nan")},
        {"ball_speed": 1e30},
        {"paddle_x": 600.0},
        {"paddle_width": 50.0},
        {"bricks_left": 7},
        {"score": 3},
        {"score": 864},
        {"balls_left": 0},
        {"balls_left": 6},
        {"balls_fired": 4},
        {"in_play": 2},
        {"steps": -1},
        {"steps": 500},
        {"hits": -1},
        {"stream": 4},
        {"total_reward": float("nan")},
    ],
)
def test_an_impossible_breakout_state_is_refused(fields: dict[str, float]) -> None:
    batch = played(*GAMES[0]).batch
    state = batch.state(0)
    with pytest.raises(ValueError, match="not a state that breakout can be in"):
        batch.set_state(0, change(state, **fields))
    assert batch.state(0) == state
    with pytest.raises(ValueError, match="not a state that breakout can be in"):
        c_envs.Renderer(*GAMES[0]).render(change(state, **fields), 1)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (1, 2),
        (2, 0.5),
        (3, -1),
        (3, 162),
        (4, 3),
        (4, -1),
        (5, 0),
        (5, 9),
        (5, -(2**31)),
        (6, 2**31 - 1),
        (7, 4),
        (7, -1),
    ],
)
def test_an_impossible_maze_state_is_refused(field: int, value: float) -> None:
    batch = played(*GAMES[1]).batch
    values = list(MAZE.unpack(batch.state(0)))
    values[field] = value
    with pytest.raises(ValueError, match="not a state that maze can be in"):
        batch.set_state(0, MAZE.pack(*values))


@pytest.mark.parametrize(("name", "config"), GAMES)
def test_a_saved_batch_with_any_byte_changed_is_refused(name: str, config: dict[str, object]) -> None:
    batch = played(name, config, environments=3).batch
    saved = batch.save()
    for at in range(len(saved)):
        damaged = bytearray(saved)
        damaged[at] ^= 1 << at % 8
        with pytest.raises(ValueError, match=r"saved batch|saved state"):
            batch.load(bytes(damaged))
    for wrong in (b"", saved[:50], saved[:-1], saved + b"\0"):
        with pytest.raises(ValueError, match="bytes"):
            batch.load(wrong)
    assert batch.save() == saved


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"name": "maze", "config": {}}, "is of environment breakout, this one of maze"),
        ({"config": {"max_steps": 501}}, "other settings"),
        ({"seed": 1}, "has seed 0, this one 1"),
        ({"environments": 15}, "has 16 environments, this one 15"),
    ],
)
def test_a_batch_of_another_kind_is_refused(arguments: dict[str, object], text: str) -> None:
    name, config = GAMES[0]
    saved = played(name, config).batch.save()
    other = Rollout(**{"name": name, "config": config, **arguments})  # type: ignore[arg-type]
    before = other.batch.save()
    with pytest.raises(ValueError, match=text):
        other.batch.load(saved)
    assert other.batch.save() == before


def test_a_newer_format_is_named() -> None:
    batch = played(*GAMES[0]).batch
    saved = bytearray(batch.save())
    struct.pack_into("<I", saved, 8, 2)
    with pytest.raises(ValueError, match="has format 2; this version reads 1"):
        batch.load(bytes(saved))
