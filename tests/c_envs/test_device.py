"""What a copy of a batch elsewhere is made of, and what it hands back."""

from __future__ import annotations

import numpy as np
import pytest
from rollouts import Rollout

import c_envs
from c_envs.device import SUMS_BYTES, device_program


def test_a_batch_takes_over_what_another_played() -> None:
    played, other = (Rollout("maze", 6, slots=64, config={"map_size": 5}) for _ in range(2))
    for _ in range(3):
        played.play(np.random.default_rng(1))
    saved, states = played.batch.save(), played.batch.states()
    sums = saved[len(saved) - len(states) - 6 * SUMS_BYTES : len(saved) - len(states)]
    other.batch.assign(sums, states)
    assert other.batch.save() == saved
    assert other.batch.statistics() == played.batch.statistics()
    assert other.batch.statistics().episodes == 0


def test_states_that_cannot_be_are_refused_and_change_nothing() -> None:
    batch = c_envs.Batch("breakout", 3)
    before, size = batch.save(), batch.spec.state_bytes
    good = batch.states()
    broken = good[:size] + b"\xff" * size + good[2 * size :]
    with pytest.raises(ValueError, match="the state of environment 1 is none that breakout can be in"):
        batch.assign(bytes(3 * SUMS_BYTES), broken)
    for sums, states in ((b"", good), (bytes(3 * SUMS_BYTES), good[1:]), (bytes(4 * SUMS_BYTES), good)):
        with pytest.raises(ValueError, match="3 environments have 96 bytes of sums"):
            batch.assign(sums, states)
    assert batch.save() == before
    batch.close()
    with pytest.raises(ValueError, match="closed"):
        batch.assign(bytes(3 * SUMS_BYTES), good)


def test_constants_are_the_same_for_the_same_seed_alone() -> None:
    def constants(seed: int) -> bytes:
        return c_envs.Batch("maze", 2, seed=seed, config={"map_size": 7, "num_maps": 3}).constants()

    assert constants(1) == constants(1)
    assert constants(1) != constants(2)


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("breakout", {"max_steps": 11}),
        ("maze", {"map_size": 7}),
        ("maze", {"map_size": 0, "max_size": 9, "num_maps": 40}),
        ("squared", {"distance": 2}),
    ],
)
def test_the_shortest_truncated_episode_is_as_long_as_the_spec_says(name: str, config: dict[str, object]) -> None:
    """An agent that stays where it is is cut by the limit alone: never sooner than the spec says, some just then."""
    rollout = Rollout(name, 64, slots=256, config=config)
    rollout.actions[:] = 0
    lengths = []
    for environment in range(64):
        for t in range(256):
            rollout.batch.step(t, environment, 1)
        lengths.append(int(rollout.truncations[:, environment].argmax()) + 1)
    assert min(lengths) == rollout.batch.spec.truncation_steps
    assert max(lengths) < 257


def test_environments_without_a_time_limit_say_so() -> None:
    for name in set(c_envs.ENVIRONMENTS) - {"breakout", "maze", "squared"}:
        assert c_envs.spec(name, {}).truncation_steps == 0
    assert c_envs.spec("breakout", {"max_steps": 0}).truncation_steps == 0


@pytest.mark.parametrize("name", c_envs.ENVIRONMENTS)
def test_a_program_includes_only_what_it_brings_along(name: str) -> None:
    """A run-time compiler has no file system: every header outside the host's parts is among those it is given."""
    program = device_program(name, {})
    for text in (program.source, *program.headers.values()):
        device, host, depth = [], False, 0
        for line in text.splitlines():
            depth += line.startswith("#if") - line.startswith("#endif")
            if line == "#ifndef __CUDACC_RTC__":
                host, outside = True, depth - 1
            elif host and depth == outside:
                host = False
            if not host and line.startswith('#include "'):
                device.append(line.split('"')[1])
        assert set(device) <= set(program.headers)


def test_a_config_that_will_not_do_makes_no_program() -> None:
    with pytest.raises(c_envs.EnvironmentConfigError, match="map_size"):
        device_program("maze", {"map_size": 6})
