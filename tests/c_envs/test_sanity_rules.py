"""The games of the sanity environments: beside slow ones step by step, to the bit."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from rollouts import Rollout
from slow_random import Pcg32, derive
from slow_sanity import SLOW

import c_envs

GAMES: list[tuple[str, dict[str, object]]] = [
    ("bandit", {}),
    ("bandit", {"arms": 16, "pulls": 1}),
    ("memory", {}),
    ("memory", {"delay": 0, "cues": 5}),
    ("password", {"length": 2, "symbols": 2}),
    ("password", {"length": 32, "symbols": 16}),
    ("stochastic", {}),
    ("stochastic", {"share": 0.3, "steps": 3}),
    ("squared", {}),
    ("squared", {"distance": 1, "targets": 1}),
    ("squared", {"distance": 3, "targets": 24}),
    ("spaces", {}),
    ("spaces", {"side": 2, "digits": 8, "steps": 3}),
    ("multiagent", {}),
    ("multiagent", {"agents": 3, "turns": 2}),
    ("multiagent", {"agents": 8, "turns": 1}),
]
KEYS = ("rewards", "terminals", "truncations", "masks")
HEAD = struct.Struct("<QQfi")
"""How every state begins: the generator, the return so far, the steps."""


@pytest.mark.parametrize(("name", "config"), GAMES)
def test_every_step_equals_the_slow_game(name: str, config: dict[str, object]) -> None:
    """Rewards, masks, ends, observations, scores and random numbers, to the bit."""
    seed, environments = 77, 4
    rollout = Rollout(name, environments=environments, slots=1, seed=seed, config=config)
    agents, size = rollout.batch.spec.agents_per_environment, rollout.batch.spec.observation_size
    full = {key: float(value) for key, value in c_envs.check(name, config).items()}
    slow = [SLOW[name](full, seed, Pcg32.seeded(derive(seed, i))) for i in range(environments)]
    random = np.random.default_rng(0)
    ends, score, total = 0, 0.0, np.zeros(environments)
    for _ in range(600):
        actions = random.integers(0, rollout.batch.spec.actions, (environments, agents))
        rollout.actions[0] = actions.ravel()
        rollout.final_observations[:] = 9
        rollout.batch.step(0)
        got = {key: buffer[0].reshape(environments, agents) for key, buffer in rollout.buffers.items() if key in KEYS}
        seen = rollout.observations[1].reshape(environments, agents, size)
        final = rollout.final_observations.reshape(environments, agents, size)
        for i, game in enumerate(slow):
            outcome = game.step(actions[i].tolist())
            np.testing.assert_array_equal(got["rewards"][i], outcome.rewards)
            np.testing.assert_array_equal(got["masks"][i], outcome.acted)
            terminal, truncated = (outcome.end == kind for kind in ("terminal", "truncated"))
            np.testing.assert_array_equal(got["terminals"][i], [terminal or died for died in outcome.died])
            np.testing.assert_array_equal(got["truncations"][i], truncated)
            total[i] += sum(outcome.rewards)
            if outcome.end:
                ends, score, total[i] = ends + 1, score + game.score(), 0
                if truncated:
                    np.testing.assert_array_equal(final[i], game.observation())
                game.begin()
            assert truncated or (final[i] == 9).all()
            np.testing.assert_array_equal(seen[i], game.observation())
            state, stream, total_reward, _ = HEAD.unpack_from(rollout.batch.state(i))
            assert (state, stream) == (game.random.state, game.random.stream)
            assert total_reward == pytest.approx(total[i], abs=1e-5)
    ended = rollout.batch.statistics()
    assert ended.episodes == ends > 20
    assert ended.score == pytest.approx(score, abs=1e-4 * ends)


@pytest.mark.parametrize(("name", "config"), GAMES)
def test_all_values_lie_within_their_bounds_and_reach_them(name: str, config: dict[str, object]) -> None:
    rollout = Rollout(name, environments=256, slots=64, config=config)
    spec, random = rollout.batch.spec, np.random.default_rng(0)
    low, high = np.full(spec.observation_size, np.inf), np.full(spec.observation_size, -np.inf)
    for _ in range(10):
        rollout.play(random)
        low = np.minimum(low, rollout.observations.min((0, 1)))
        high = np.maximum(high, rollout.observations.max((0, 1)))
        assert (abs(rollout.rewards) <= 1).all()
        assert not (rollout.terminals & rollout.truncations).any()
        if spec.agents_per_environment == 1:
            assert (rollout.masks == 1).all()
    assert (spec.observation_low <= low).all()
    assert (spec.observation_high >= high).all()
    if name not in ("bandit", "stochastic"):  # always the same
        assert low.min() == spec.observation_low.min()
        assert high.max() == spec.observation_high.max()


@pytest.mark.parametrize(("name", "config"), GAMES)
def test_a_state_is_refused_with_steps_or_a_generator_it_cannot_have(name: str, config: dict[str, object]) -> None:
    batch = c_envs.Batch(name, 1, config=config)
    state = batch.state(0)
    head = HEAD.unpack_from(state)
    for wrong in (
        (head[0], head[1] - 1, *head[2:]),
        (*head[:2], float("nan"), head[3]),
        (*head[:2], 99.0, head[3]),
        (*head[:3], -1),
        (*head[:3], 1_000_000),
    ):
        with pytest.raises(ValueError, match=f"not a state that {name} can be in"):
            batch.set_state(0, HEAD.pack(*wrong) + state[HEAD.size :])
    batch.set_state(0, state)
