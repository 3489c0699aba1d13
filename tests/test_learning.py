"""The engine learns: sanity environments, each solved by its shipped profile within 50,000 steps, and mazes.

The sanity environments over three seeds take a minute or two, the mazes more: `pytest -m slow tests/test_learning.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import Player, Profile, TrainingSession

STEPS = 50_000
OPTIMUM = {
    "bandit": 1.0,
    "memory": 1.0,
    "password": 1.0,
    "stochastic": 0.954,  # of all mixtures; see c_envs/stochastic.h
    "squared": 1.0,
    "spaces": 1.0,
    "multiagent": 1.0,
}
"""The mean score of the best policy."""


def train(name: str, runs: Path, *sets: str, steps: int | None = STEPS, seconds: float = 100) -> tuple[float, Path]:
    """The mean score over the last tenth of a run of `steps` steps (None: those of the profile), and its folder."""
    total = [] if steps is None else [f"train.total_steps={steps}"]
    session = TrainingSession(Profile.load(f"{name}.toml", [*total, *sets]), runs=runs)
    session.start()
    assert session.join(seconds)
    assert session.snapshot().state == "finished", session.snapshot().error
    assert session.folder is not None
    scores = [row["episode/score"] for row in session.history() if "episode/score" in row]
    last = scores[-max(1, len(scores) // 10) :]
    return sum(last) / len(last), session.folder


def test_a_bit_is_remembered_and_a_policy_without_memory_knows_nothing(tmp_path: Path) -> None:
    """Also when the saved policy is played under another seed."""
    score, run = train("memory", tmp_path)
    assert score > 0.97
    results = list(Player(run, seed=9).episodes(200))
    assert sum(result.score for result in results) / len(results) > 0.97
    forgetful, _ = train("memory", tmp_path, "policy.core=none")
    assert forgetful == pytest.approx(0.5, abs=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("name", OPTIMUM)
def test_a_shipped_profile_solves_its_environment(name: str, seed: int, tmp_path: Path) -> None:
    """In training, and by `perx-tui play` under a seed of its own."""
    score, run = train(name, tmp_path, f"train.seed={seed}")
    assert score >= 0.95 * OPTIMUM[name]
    results = list(Player(run, seed=seed + 100).episodes(500))
    assert sum(result.score for result in results) / len(results) >= 0.95 * OPTIMUM[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bandit", "password"])
@pytest.mark.parametrize("seed", range(4, 12))
def test_whatever_a_seed_hides_is_found(name: str, seed: int, tmp_path: Path) -> None:
    score, _ = train(name, tmp_path, f"train.seed={seed}")
    assert score >= 0.95


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_three_agents_learn_their_answers_too(seed: int, tmp_path: Path) -> None:
    """Half of the steps or more are masked: agents wait, or are dead. One agent's answers are wrong for the others."""
    sets = ("env.config.agents=3", "env.agents=60", "train.minibatch=240", f"train.seed={seed}")
    score, _ = train("multiagent", tmp_path, *sets)
    assert score >= 0.95


def success(run: Path, *sets: str) -> float:
    """Share of 200 episodes that reach the goal."""
    results = list(Player(run, seed=5, sets=sets).episodes(200))
    return sum(result.score for result in results) / len(results)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_mazes_of_all_sizes_teach_to_search_the_largest(seed: int, tmp_path: Path) -> None:
    """Also levels that training never showed."""
    score, run = train("maze", tmp_path, f"train.seed={seed}", steps=None, seconds=3600)
    assert score >= 0.9
    assert success(run, "env.config.map_size=31") >= 0.9
    assert success(run, "env.config.map_size=31", "train.seed=1000") >= 0.9


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_one_maze_is_learned_by_heart(seed: int, tmp_path: Path) -> None:
    """What was learned is that maze: in another one the policy is lost."""
    score, run = train("maze-fixed", tmp_path, f"train.seed={seed}", steps=None, seconds=1800)
    assert score >= 0.95
    assert success(run) >= 0.95
    assert success(run, "train.seed=1000") < 0.9
