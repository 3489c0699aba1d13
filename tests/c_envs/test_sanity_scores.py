"""What the sanity environments ask for: who can do it scores the optimum, who cannot scores what chance gives."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import pytest
from rollouts import Rollout
from slow_random import Pcg32
from slow_sanity import Bandit, Password

import c_envs

Choice = Callable[[npt.NDArray[np.float32], int], npt.NDArray[np.int64]]
"""A policy: observations [rows, size] and the step's number to actions [rows]."""


def mean_score(name: str, choose: Choice, steps: int, config: Mapping[str, object] | None = None) -> float:
    """The mean score of the episodes that 512 environments end in so many steps."""
    rollout = Rollout(name, environments=512, slots=1, seed=3, config=config)
    rollout.batch.observe(1)
    for step in range(steps):
        rollout.actions[0] = choose(rollout.observations[1], step)
        rollout.batch.step(0)
    ended = rollout.batch.statistics()
    assert ended.episodes >= 512
    return ended.score / ended.episodes


@pytest.mark.parametrize(
    ("name", "score"),
    [
        ("bandit", 1 / 4),
        ("memory", 1 / 2),
        ("password", 3**-5),
        ("stochastic", 0.16),
        ("squared", 0.28),
        ("spaces", 1 / 2),
        ("multiagent", 0.12),
    ],
)
def test_who_guesses_scores_little(name: str, score: float) -> None:
    """The figures of the headers' comments."""
    random, actions = np.random.default_rng(0), c_envs.spec(name, {}).actions
    found = mean_score(name, lambda seen, step: random.integers(0, actions, len(seen)), 640)
    assert found == pytest.approx(score, abs=0.01 if score > 0.01 else 0.002)


def secrets(name: type[Bandit] | type[Password], seed: int) -> list[float]:
    """What the slow game hides under a batch's seed."""
    game = name({key: float(value) for key, value in c_envs.check(name.name, {}).items()}, seed, Pcg32.seeded(0))
    return [float(chance) for chance in game.chances] if isinstance(game, Bandit) else [*map(float, game.password)]


def test_the_best_arm_alone_scores_1_and_pays_as_often_as_its_chance() -> None:
    chances = secrets(Bandit, 3)
    for arm, chance in enumerate(chances):
        rollout = Rollout("bandit", environments=512, slots=64, seed=3)
        rollout.actions[:] = arm
        for t in range(64):
            rollout.batch.step(t)
        ended = rollout.batch.statistics()
        assert ended.score == (ended.episodes if arm == np.argmax(chances) else 0)
        assert rollout.rewards.mean() == pytest.approx(chance, abs=0.02)


@pytest.mark.parametrize("seed", range(40))
def test_arms_have_chances_that_differ(seed: int) -> None:
    chances = sorted(secrets(Bandit, seed))
    assert all(i / 4 <= chance <= (i + 1) / 4 for i, chance in enumerate(chances))
    assert min(np.diff(chances)) >= 1 / 8


@pytest.mark.parametrize("game", [Bandit, Password])
def test_what_is_hidden_follows_the_batchs_seed_and_stays_in_all_its_episodes(
    game: type[Bandit] | type[Password],
) -> None:
    """Other episodes under the same seed meet it again: so a saved policy can be evaluated."""
    assert len({tuple(secrets(game, seed)) for seed in range(30)}) > 25
    batch = c_envs.Batch(game.name, 1, seed=5)
    first = batch.state(0)
    pictures = [c_envs.Renderer(game.name, seed=seed).render(first, 1).tobytes() for seed in (5, 5, 6)]
    assert pictures[0] == pictures[1] != pictures[2]


@pytest.mark.parametrize(("delay", "cues"), [(0, 2), (6, 2), (40, 3)])
def test_who_remembers_scores_1(delay: int, cues: int) -> None:
    memory = np.zeros(512, np.int64)

    def choose(seen: npt.NDArray[np.float32], step: int) -> npt.NDArray[np.int64]:
        shown = seen[:, :cues].any(1)
        memory[shown] = seen[shown, :cues].argmax(1)
        return memory

    assert mean_score("memory", choose, 3 * (delay + 2), {"delay": delay, "cues": cues}) == 1


def test_without_memory_no_answer_beats_chance() -> None:
    """When the cue is asked for all agents see the same, whatever their cue was: only the share of each cue counts."""
    rollout = Rollout("memory", environments=2000, slots=8)
    cues = rollout.observations[0, :, :2].argmax(1)
    rollout.play(np.random.default_rng(0))
    asked = rollout.observations[7]
    assert (asked == [0, 0, 1]).all()
    assert (rollout.observations[1:7] == 0).all()
    assert abs(cues.mean() - 0.5) < 0.03
    for answer in (0, 1):
        found = mean_score("memory", lambda seen, step, answer=answer: np.full(len(seen), answer), 8 * 40)
        assert found == pytest.approx(0.5, abs=0.02)


def test_exactly_one_password_pays_and_only_at_its_end() -> None:
    every = np.array(list(itertools.product(range(3), repeat=5)))
    rollout = Rollout("password", environments=len(every), slots=5, seed=3)
    rollout.actions[:] = every.T
    for t in range(5):
        rollout.batch.step(t)
    assert (rollout.rewards[:4] == 0).all()
    assert rollout.rewards[4].sum() == 1
    assert every[rollout.rewards[4].argmax()].tolist() == secrets(Password, 3)
    assert rollout.batch.statistics().score == 1


def mixture_score(q: float, share: float, steps: int) -> float:
    """The mean score of a policy that does 1 with probability q, summed over the binomial distribution."""
    ones = np.arange(steps + 1)
    scores = np.maximum(0, 1 - ((ones / steps - share) / min(share, 1 - share)) ** 2)
    chances = np.array([math.comb(steps, k) * q**k * (1 - q) ** (steps - k) for k in ones])
    return float(chances @ scores)


def test_the_best_policy_is_the_given_mixture_and_no_deterministic_one() -> None:
    """The optimum and where it lies as stochastic.h says; the environment's means are those of the binomial."""
    grid = np.linspace(0, 1, 1001)
    expected = [mixture_score(q, 0.75, 64) for q in grid]
    best = grid[np.argmax(expected)]
    assert max(expected) == pytest.approx(0.954, abs=0.001)
    assert best == pytest.approx((0.75 - 1 / 128) / (1 - 1 / 64), abs=0.002)
    assert expected[0] == expected[-1] == 0
    random = np.random.default_rng(1)
    for q in (0.0, 0.5, 0.65, float(best), 0.85, 1.0):
        found = mean_score("stochastic", lambda seen, step, q=q: (random.random(len(seen)) < q) * 1, 640)
        assert found == pytest.approx(mixture_score(q, 0.75, 64), abs=0.01)


@pytest.mark.parametrize(("share", "steps"), [(0.1, 2), (0.9, 50), (0.5, 7), (0.75, 64)])
def test_the_return_is_the_score_in_other_units(share: float, steps: int) -> None:
    rollout = Rollout("stochastic", environments=300, slots=steps, config={"share": share, "steps": steps})
    rollout.play(np.random.default_rng(0))
    away = rollout.actions.mean(0) - share
    np.testing.assert_allclose(rollout.rewards.sum(0), -steps / 2 * away**2, atol=2e-5 * steps)
    assert (rollout.terminals[-1] == 1).all()


def nearest_target(seen: npt.NDArray[np.float32], step: int) -> npt.NDArray[np.int64]:
    """One move towards the nearest target, by what is seen alone."""
    side = math.isqrt(seen.shape[1])
    actions = np.zeros(len(seen), np.int64)
    for row, grid in enumerate(seen.reshape(-1, side, side)):
        (at,) = np.argwhere(grid == -1)
        ways = np.argwhere(grid == 1) - at
        down, right = ways[abs(ways).sum(1).argmin()]
        actions[row] = (2 if down > 0 else 1) if down else (4 if right > 0 else 3)
    return actions


@pytest.mark.parametrize(("distance", "targets"), [(1, 8), (2, 4), (4, 1)])
def test_who_walks_to_the_targets_reaches_all(distance: int, targets: int) -> None:
    config = {"distance": distance, "targets": targets}
    assert mean_score("squared", nearest_target, 30, config) == 1


def test_once_round_the_border_reaches_every_target_in_time() -> None:
    way = [1] * 2 + [4] * 2 + [2] * 4 + [3] * 4 + [1] * 4 + [4]
    rollout = Rollout("squared", environments=64, slots=17, config={"targets": 15})
    for t, action in enumerate(way):
        rollout.actions[t] = action
        rollout.batch.step(t)
        if t < 15:
            assert not rollout.terminals[t].any()
    ended = rollout.batch.statistics()
    assert (ended.episodes, ended.score) == (64, 64)
    np.testing.assert_allclose(rollout.rewards.sum(0), 1, rtol=1e-6)


def test_who_reads_both_parts_is_right() -> None:
    def choose(seen: npt.NDArray[np.float32], step: int) -> npt.NDArray[np.int64]:
        return 2 * (seen[:, :25].sum(1, dtype=np.float64) > 0) + (seen[:, 25:].sum(1) > 22)

    assert mean_score("spaces", choose, 80) == 1
    assert mean_score("spaces", lambda seen, step: choose(seen, step) & 2, 80) == pytest.approx(0.75, abs=0.01)


@pytest.mark.parametrize("agents", [2, 3, 8])
def test_agents_who_know_their_number_are_right(agents: int) -> None:
    def choose(seen: npt.NDArray[np.float32], step: int) -> npt.NDArray[np.int64]:
        number, cue = seen[:, :agents].argmax(1), seen[:, agents : 2 * agents].argmax(1)
        return (number + cue) % agents

    assert mean_score("multiagent", choose, 64, {"agents": agents}) == 1


def test_who_waits_or_is_dead_does_not_act() -> None:
    """Masks: an agent's turn comes every other step until its first wrong answer, which is its terminal."""
    rollout = Rollout("multiagent", environments=400, slots=16)
    rollout.batch.observe(16)
    rollout.play(np.random.default_rng(0))
    seen = {"turn": rollout.observations[:16, :, 4], "alive": rollout.observations[:16, :, 5]}
    np.testing.assert_array_equal(rollout.masks, seen["turn"])
    first_half = rollout.masks[:2].reshape(2, 400, 2)
    assert (first_half[0] == [1, 0]).all()
    assert (first_half[1, :, 0] == 0).all()
    deaths = 0
    for row in range(0, 800, 2):
        both = rollout.terminals[:, row] & rollout.terminals[:, row + 1]
        over = int(both.argmax()) if both.any() else 15
        for agent in (row, row + 1):
            wrong = np.flatnonzero(rollout.rewards[: over + 1, agent] == -1)
            assert len(wrong) <= 1
            if len(wrong) and wrong[0] < over:
                deaths += 1
                died = wrong[0]
                assert rollout.terminals[died, agent] == 1
                assert not rollout.terminals[died, agent ^ 1]
                assert not rollout.terminals[died + 1 : over, agent].any()
                assert not rollout.masks[died + 1 : over + 1, agent].any()
                assert not rollout.rewards[died + 1 : over + 1, agent].any()
                assert not seen["alive"][died + 1 : over + 1, agent].any()
                assert not rollout.observations[died + 1 : over + 1, agent, 2:].any()
    assert deaths > 100
