"""The names of actions stand for what the environments do."""

from __future__ import annotations

import numpy as np
import pytest

import c_envs
from c_envs.actions import action_name


@pytest.mark.parametrize("name", sorted(c_envs.ENVIRONMENTS))
def test_every_action_has_a_name_of_its_own(name: str) -> None:
    actions = c_envs.spec(name, {}).actions
    names = [action_name(name, action) for action in range(actions)]
    assert len(set(names)) == actions
    listed = not names[-1].endswith(str(actions - 1))
    assert action_name(name, actions) == f"action {actions}" or not listed


@pytest.mark.parametrize(("action", "heading"), [(1, "north"), (2, "west"), (3, "east"), (4, "south")])
def test_maze_actions_turn_the_agent_as_they_are_called(action: int, heading: str) -> None:
    """From a state that heads north with open floor on that side, the caption tells the new heading."""
    assert [action_name("maze", each) for each in range(5)] == ["stay", "forward", "left", "right", "back"]
    assert moved_heading(action) == heading


def moved_heading(action: int) -> str:
    size = c_envs.spec("maze", {}).observation_size
    observations = np.zeros((2, 256, size), np.float32)
    flags = [np.zeros((1, 256), np.uint8) for _ in range(3)]
    with c_envs.Batch("maze", 256, seed=1, slots=1) as batch:
        batch.bind(
            observations=observations,
            actions=np.full((1, 256), action, np.int32),
            rewards=np.zeros((1, 256), np.float32),
            terminals=flags[0],
            truncations=flags[1],
            masks=flags[2],
            final_observations=np.zeros((256, size), np.float32),
        )
        batch.reset()
        renderer = c_envs.Renderer("maze", seed=1)
        before = [renderer.caption(state) for state in map(batch.state, range(256))]
        batch.step(0)
        after = [renderer.caption(batch.state(index)) for index in range(256)]
    moved = {
        new.split()[-1]
        for old, new, saw in zip(before, after, observations[0], strict=True)
        if old.split()[-1] == "north" and saw[{1: 49, 2: 59, 3: 61, 4: 71}[action]] == 0
    }
    assert len(moved) == 1
    return moved.pop()
