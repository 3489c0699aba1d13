"""The same seed gives the same bytes: on any number of threads, after any save, load or copy, on any machine."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from rollouts import Rollout

GAMES = [
    ("breakout", {"max_steps": 90}),
    ("breakout", {"continuous": True, "frame_skip": 2}),
    ("maze", {"map_size": 7, "num_maps": 5}),
    ("squared", {}),
    ("spaces", {}),
    ("multiagent", {"agents": 3}),
]


@pytest.mark.parametrize(
    ("name", "config", "golden"),
    [
        ("breakout", {"max_steps": 90}, "4c282e640d9aa693"),
        ("maze", {"map_size": 7, "num_maps": 5}, "d605528b9e453bba"),
    ],
)
def test_a_run_has_the_same_bytes_on_any_number_of_threads(name: str, config: dict[str, object], golden: str) -> None:
    """The golden hash holds for every platform; a change of it is a change of the game and breaks saved runs."""
    # Many environments: the pool leaves its threads asleep where there is little to do.
    for threads in (1, 2, 4):
        rollout = Rollout(name, environments=4096, slots=4, seed=11, threads=threads, config=config)
        hasher = hashlib.sha256()
        for t in range(120):
            # Actions by arithmetic: a library's random numbers may change with its version.
            mixed = (np.arange(4096, dtype=np.uint64) + np.uint64(4096 * t)) * np.uint64(0x9E3779B97F4A7C15)
            rollout.actions[t % 4] = (mixed >> np.uint64(40)) % np.uint64(rollout.batch.spec.actions)
            rollout.batch.step(t % 4)
        hasher.update(rollout.digest().encode())
        hasher.update(rollout.batch.save())
        ended = rollout.batch.statistics()
        assert ended.episodes > 0
        hasher.update(repr(ended).encode())
        assert hasher.hexdigest()[:16] == golden


@pytest.mark.parametrize(("name", "config"), GAMES)
def test_playing_in_parts_equals_playing_at_once(name: str, config: dict[str, object]) -> None:
    whole = Rollout(name, environments=30, slots=1, config=config)
    parts = Rollout(name, environments=30, slots=1, config=config)
    random = np.random.default_rng(1)
    for _ in range(60):
        whole.actions[:] = parts.actions[:] = random.integers(0, 3, (1, whole.batch.rows))
        whole.batch.step(0)
        parts.batch.step(0, first=17)
        parts.batch.step(0, first=0, count=5)
        parts.batch.step(0, first=3, count=0)
        parts.batch.step(0, first=5, count=12)
        assert whole.digest() == parts.digest()
    assert whole.batch.save() == parts.batch.save()


def test_a_part_leaves_the_others_alone() -> None:
    rollout = Rollout("breakout", environments=10, slots=1)
    for name, buffer in rollout.buffers.items():
        if name != "actions":
            buffer[...] = 77
    before = [rollout.batch.state(i) for i in range(10)]
    rollout.batch.step(0, first=3, count=4)
    inside = np.zeros(10, bool)
    inside[3:7] = True
    np.testing.assert_array_equal((rollout.observations[1] != 77).any(1), inside)
    np.testing.assert_array_equal(rollout.rewards[0] != 77, inside)
    np.testing.assert_array_equal(rollout.terminals[0] != 77, inside)
    np.testing.assert_array_equal([rollout.batch.state(i) != before[i] for i in range(10)], inside)
    assert (rollout.observations[0] == 77).all()


@pytest.mark.parametrize(("name", "config"), GAMES)
def test_reset_starts_the_same_episodes_again(name: str, config: dict[str, object]) -> None:
    rollout = Rollout(name, config=config)
    first = rollout.batch.save()
    rollout.play(np.random.default_rng(0))
    assert rollout.batch.save() != first
    rollout.batch.reset()
    assert rollout.batch.save() == first


def test_other_seeds_play_other_games() -> None:
    runs = []
    for seed in (0, 1, 2**64 - 1):
        rollout = Rollout("breakout", seed=seed)
        rollout.play(np.random.default_rng(0))
        runs.append(rollout.observations.tobytes())
    assert len(set(runs)) == 3


@pytest.mark.parametrize(("name", "config"), GAMES)
def test_environments_of_a_batch_differ(name: str, config: dict[str, object]) -> None:
    rollout = Rollout(name, environments=50, config=config)
    generators = {rollout.batch.state(i)[:16] for i in range(50)}
    assert len(generators) == 50


@pytest.mark.parametrize(("name", "config"), GAMES)
def test_a_run_saved_in_mid_stream_goes_on_to_the_same_bytes(name: str, config: dict[str, object]) -> None:
    through, again = Rollout(name, config=config), Rollout(name, threads=2, config=config)
    random = np.random.default_rng(2)
    for _ in range(20):
        through.play(random)
    saved, ahead = through.batch.save(), np.random.default_rng(3)
    for _ in range(20):
        through.play(ahead)
    again.batch.load(saved)
    again.batch.observe(again.batch.slots)
    again.final_observations[:] = through.final_observations
    ahead = np.random.default_rng(3)
    for _ in range(20):
        again.play(ahead)
    again.final_observations[:] = through.final_observations  # rows truncated before the save were not
    assert again.digest() == through.digest()
    assert again.batch.save() == through.batch.save()
    assert again.batch.statistics() == through.batch.statistics()


@pytest.mark.parametrize(("name", "config"), GAMES)
def test_a_forked_environment_plays_as_its_origin(name: str, config: dict[str, object]) -> None:
    """A state copied to all other environments, of another batch too, makes them all play alike."""
    origin, other = Rollout(name, config=config), Rollout(name, environments=3, config=config)
    origin.play(np.random.default_rng(4))
    state, agents = origin.batch.state(5), origin.batch.spec.agents_per_environment
    for i in range(3):
        other.batch.set_state(i, state)
        assert other.batch.state(i) == state
    for _ in range(100):
        other.actions[:] = 1
        origin.actions[:] = 1
        other.batch.step(0)
        origin.batch.step(0)
        for i in range(3):
            rows, source = (np.arange(agents) + agents * environment for environment in (i, 5))
            np.testing.assert_array_equal(other.observations[1, rows], origin.observations[1, source])
            np.testing.assert_array_equal(other.rewards[0, rows], origin.rewards[0, source])


@pytest.mark.parametrize(("name", "config"), GAMES)
def test_observe_shows_what_the_last_step_wrote(name: str, config: dict[str, object]) -> None:
    rollout = Rollout(name, config=config)
    rollout.play(np.random.default_rng(5))
    last = rollout.observations[-1].copy()
    rollout.observations[:] = 9
    rollout.batch.observe(3)
    np.testing.assert_array_equal(rollout.observations[3], last)
    assert (rollout.observations[2] == 9).all()
