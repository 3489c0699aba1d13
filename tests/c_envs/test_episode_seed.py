"""A reset with another seed plays other episodes on the same levels."""

from __future__ import annotations

import numpy as np

import c_envs

CONFIG = {"map_size": 9, "num_maps": 1}


def first_observations(episode_seed: int | None, seed: int = 3) -> np.ndarray:
    batch = c_envs.Batch("maze", 64, seed=seed, config=CONFIG, slots=1)
    size = batch.spec.observation_size
    observations = np.zeros((2, 64, size), np.float32)
    flags = [np.zeros((1, 64), np.uint8) for _ in range(3)]
    batch.bind(
        observations=observations,
        actions=np.zeros((1, 64), np.int32),
        rewards=np.zeros((1, 64), np.float32),
        terminals=flags[0],
        truncations=flags[1],
        masks=flags[2],
        final_observations=np.zeros((64, size), np.float32),
    )
    batch.reset(episode_seed)
    return observations[0].copy()


def test_without_an_episode_seed_the_batch_seed_decides() -> None:
    np.testing.assert_array_equal(first_observations(None), first_observations(3))


def test_another_episode_seed_starts_elsewhere_in_the_same_maze() -> None:
    """64 starts in one small maze show the same views whatever the episode seed; another maze shows others."""

    def views(observations: np.ndarray) -> set[bytes]:
        return {row.tobytes() for row in observations}

    one, other = first_observations(3), first_observations(4)
    assert not np.array_equal(one, other)
    assert len(views(one) & views(other)) > 8
    assert len(views(one) & views(first_observations(None, seed=5))) < 4
