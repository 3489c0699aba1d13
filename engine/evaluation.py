"""Plays a saved policy: batches of evaluation episodes, or one game step by step for a viewer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import c_envs
from engine.checkpoint import read_checkpoint
from engine.errors import CheckpointError, ProfileError, RunError
from engine.parallel import prepare_thread
from engine.policy import Policy
from engine.profile import Profile
from engine.profile.wording import printable
from engine.run_folder import RunFolder
from engine.snapshot import Frame


@dataclass(frozen=True, slots=True)
class EpisodeResult:
    """One finished episode."""

    score: float
    episode_return: float
    length: int


class Player:
    """A checkpoint's policy on the CPU with environments of its own.

    `checkpoint` names one of the run's checkpoints, "best" the one with the best score; the newest good one is taken
    without. Actions are drawn from the policy, or are its likeliest ones with `greedy`. `seed` decides the
    random numbers of the environments and of the policy; levels that are made from the profile's seed are those of
    training.

    `sets` ("env.config.map_size=31", "train.seed=7") let it play something else than it was trained on: the
    environment's own settings, and the seed that levels are made from. Raises ProfileError for any other key.
    """

    def __init__(
        self,
        run: Path,
        checkpoint: str | None = None,
        *,
        seed: int = 0,
        greedy: bool = False,
        environments: int = 16,
        sets: Sequence[str] = (),
    ) -> None:
        prepare_thread()
        folder = RunFolder.read(run)
        _check_sets(sets)
        profile = Profile.from_toml(folder.profile_toml, name=run.name, sets=sets)
        self.checkpoint, weights = _load_policy(folder, checkpoint)
        env, policy = profile.env, profile.policy
        spec = c_envs.spec(env.name, env.config)
        self.profile, self.environments, self.greedy = profile, environments, greedy
        self.agents = environments * spec.agents_per_environment
        self.policy = Policy(
            spec.observation_size, spec.actions, core=policy.core, hidden=policy.hidden, layers=policy.layers
        )
        try:
            self.policy.load_state_dict(weights)
        except RuntimeError as error:
            raise CheckpointError(f"checkpoint {self.checkpoint} does not fit the run's profile: {error}") from error
        self._generator = torch.Generator().manual_seed(seed)
        self._batch = c_envs.Batch(
            env.name, environments, seed=profile.train.seed, threads=1, config=env.config, slots=1
        )
        self._observations = torch.zeros(2, self.agents, spec.observation_size)
        self._actions = torch.zeros(1, self.agents, dtype=torch.int32)
        self._rewards = torch.zeros(1, self.agents)
        self._flags = [torch.zeros(1, self.agents, dtype=torch.uint8) for _ in range(3)]
        final = torch.zeros(self.agents, spec.observation_size)
        self._batch.bind(
            observations=self._observations.numpy(),
            actions=self._actions.numpy(),
            rewards=self._rewards.numpy(),
            terminals=self._flags[0].numpy(),
            truncations=self._flags[1].numpy(),
            masks=self._flags[2].numpy(),
            final_observations=final.numpy(),
        )
        self._batch.reset(seed)
        self._state = self.policy.initial_state(self.agents)
        self._values = torch.zeros(self.agents)

    def renderer(self) -> c_envs.Renderer:
        """Draws the states of `play`'s frames."""
        return c_envs.Renderer(self.profile.env.name, self.profile.env.config, seed=self.profile.train.seed)

    @torch.no_grad()
    def _step(self) -> np.ndarray:
        """One step of every environment; returns uint8 [N]: 1 where an episode ended."""
        logits, self._values, state = self.policy.step(self._observations[0], self._state)
        if self.greedy:
            actions = logits.argmax(-1)
        else:
            actions = torch.multinomial(logits.softmax(-1), 1, generator=self._generator).squeeze(-1)
        self._actions[0] = actions.int()
        self._batch.step(0)
        done = torch.maximum(self._flags[0][0], self._flags[1][0])
        self._observations[0].copy_(self._observations[1])
        self._state = state * (1.0 - done.float())[None, None, :, None]
        ended: np.ndarray = done.numpy()
        return ended

    def episodes(self, count: int) -> Iterator[EpisodeResult]:
        """Exactly `count` episodes, divided over the environments beforehand.

        Taking the first `count` to end instead would favour short episodes.
        """
        if count < 1:
            raise RunError(f"{count} episodes: ask for at least 1")
        quota = [count // self.environments + (index < count % self.environments) for index in range(self.environments)]
        while any(quota):
            ended = self._step().reshape(self.environments, -1).min(1).nonzero()[0]
            for index in ended.tolist():
                last = self._batch.statistics(index, 1)
                if quota[index]:
                    quota[index] -= 1
                    yield EpisodeResult(last.score, last.episode_return, int(last.length))

    def play(self) -> Iterator[Frame]:
        """Endless frames of environment 0: its state before each step, and what its first agent did."""
        while True:
            state = self._batch.state(0)
            done = self._step()
            yield Frame(
                state=state,
                action=int(self._actions[0, 0]),
                reward=float(self._rewards[0, 0]),
                value=float(self._values[0]),
                done=bool(done[0]),
            )


def _check_sets(sets: Sequence[str]) -> None:
    """Refuses to change what has no meaning while a trained policy plays."""
    wrong = [
        f"--set {printable(text)}: a run is played with env.config.KEY=VALUE and train.seed=N over its profile, "
        "nothing else; leave it out"
        for text in sets
        if not text.startswith("env.config.") and text.partition("=")[0].strip() != "train.seed"
    ]
    if wrong:
        raise ProfileError(wrong)


def _load_policy(folder: RunFolder, name: str | None) -> tuple[str, dict[str, torch.Tensor]]:
    """Name and weights of a run's checkpoint."""
    if name is None:
        path, checkpoint, _ = folder.newest_good(groups=("policy",))
        return path.name, checkpoint.tensors["policy"]
    path = (folder.best() or folder.checkpoints_dir / "best") if name == "best" else folder.checkpoints_dir / name
    known = [other.name for other in folder.checkpoints.paths()]
    if path.name not in known:
        raise CheckpointError(
            f"no checkpoint {name!r} in {folder.name!r}; there are: {', '.join(known) or 'none yet'}, best"
        )
    return path.name, read_checkpoint(path, ("policy",)).tensors["policy"]
