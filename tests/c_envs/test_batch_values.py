"""What a batch writes: within the declared bounds, ends that exclude each other, statistics that add up."""

from __future__ import annotations

import numpy as np
import pytest
from rollouts import Rollout

GAMES = [
    ("breakout", {}),
    ("breakout", {"frame_skip": 13, "max_steps": 50}),
    ("breakout", {"continuous": True}),
    ("maze", {}),
    ("maze", {"map_size": 0, "max_size": 9, "num_maps": 10, "difficulty": 1.0}),
]


@pytest.mark.parametrize(("name", "config"), GAMES)
def test_observations_stay_within_their_bounds_and_reach_them(name: str, config: dict[str, object]) -> None:
    rollout = Rollout(name, environments=64, slots=64, config=config)
    spec, random = rollout.batch.spec, np.random.default_rng(0)
    assert spec.observation_low.shape == spec.observation_high.shape == (spec.observation_size,)
    least, most = np.inf, -np.inf
    for _ in range(20):
        rollout.play(random)
        assert (rollout.observations >= spec.observation_low).all()
        assert (rollout.observations <= spec.observation_high).all()
        assert (rollout.masks == 1).all()
        assert not (rollout.terminals & rollout.truncations).any()
        least, most = min(least, rollout.observations.min()), max(most, rollout.observations.max())
    assert least < -0.5
    assert most == 1


@pytest.mark.parametrize(("name", "config"), GAMES)
def test_statistics_equal_sums_over_the_rewards(name: str, config: dict[str, object]) -> None:
    rollout = Rollout(name, environments=32, slots=100, config=config)
    random = np.random.default_rng(1)
    running, lengths = np.zeros(32), np.zeros(32)
    episodes, total, steps = 0, 0.0, 0.0
    for _ in range(25):
        rollout.play(random)
        for t in range(100):
            running += rollout.rewards[t]
            lengths += 1
            ended = (rollout.terminals[t] | rollout.truncations[t]) == 1
            episodes += ended.sum()
            total += running[ended].sum()
            steps += lengths[ended].sum()
            running[ended] = lengths[ended] = 0
    found = rollout.batch.statistics()
    assert episodes > 10
    assert (found.episodes, found.episode_return, found.length) == (episodes, total, steps)
    assert found.score == total  # in both games the score is the return
    assert rollout.batch.statistics() == type(found)(0, 0.0, 0.0, 0.0)


def test_statistics_of_a_part_leave_the_rest() -> None:
    """Asked for in parts they add up to the whole; each environment's are cleared by the call that told them."""
    rollout, whole = (Rollout("breakout", environments=32, slots=400) for _ in range(2))
    for each in (rollout, whole):
        each.play(np.random.default_rng(0))
    found = [rollout.batch.statistics(4, 10), rollout.batch.statistics(0, 4), rollout.batch.statistics(14)]
    expected = whole.batch.statistics()
    assert min(part.episodes for part in found) > 0
    for name in ("episodes", "score", "episode_return", "length"):
        assert sum(getattr(part, name) for part in found) == getattr(expected, name)
    assert rollout.batch.statistics().episodes == 0
    for first, count in ((32, 1), (-1, 1), (0, 33), (5, -1)):
        with pytest.raises(ValueError, match="it must"):
            rollout.batch.statistics(first, count)


def test_statistics_survive_a_save_before_they_are_asked_for() -> None:
    rollout = Rollout("breakout", environments=32, slots=200)
    rollout.play(np.random.default_rng(0))
    other = Rollout("breakout", environments=32, slots=200)
    other.batch.load(rollout.batch.save())
    found = rollout.batch.statistics()
    assert found.episodes > 0
    assert other.batch.statistics() == found


@pytest.mark.parametrize("frame_skip", [1, 4])
def test_a_truncated_episode_leaves_its_last_observation(frame_skip: int) -> None:
    """Two batches of one seed, one with a limit: the final observation is what the other sees at that step."""
    config = {"frame_skip": frame_skip}
    limited = Rollout("breakout", environments=8, slots=1, config=config | {"max_steps": 10})
    free = Rollout("breakout", environments=8, slots=1, config=config | {"max_steps": 0})
    random = np.random.default_rng(0)
    limited.final_observations[:] = 9
    for step in range(1, 11):
        limited.actions[:] = free.actions[:] = random.integers(0, 3, (1, 8))
        assert (limited.final_observations == 9).all()
        limited.batch.step(0)
        free.batch.step(0)
        assert (limited.truncations == (step == 10)).all()
    np.testing.assert_array_equal(limited.final_observations, free.observations[1])
    assert not limited.terminals.any()
    assert (limited.observations[1, :, 6] == 0).all()  # no ball fired yet: the next episode's first observation
    assert limited.batch.statistics().length == 80


def test_a_terminal_end_leaves_the_final_observations_alone() -> None:
    rollout = Rollout("breakout", environments=32, slots=300)
    rollout.final_observations[:] = 9
    rollout.play(np.random.default_rng(0))
    assert rollout.terminals.any()
    assert (rollout.final_observations == 9).all()
    ends = np.argwhere(rollout.terminals)
    for t, row in ends:
        assert rollout.observations[t + 1, row, 8] == 1  # all five balls are back
