"""Plays a saved policy: batches of evaluation episodes, or one game step by step for a viewer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

import c_envs
from engine.checkpoint import read_checkpoint
from engine.errors import CheckpointError, ProfileError, RunError
from engine.playing import Game
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
        folder = RunFolder.read(run)
        _check_sets(sets)
        profile = Profile.from_toml(folder.profile_toml, name=run.name, sets=sets)
        self.checkpoint, weights = _load_policy(folder, checkpoint)
        self.profile, self.environments = profile, environments
        self._game = Game(profile, environments, seed=seed, greedy=greedy)
        try:
            self._game.policy.load_state_dict(weights)
        except RuntimeError as error:
            raise CheckpointError(f"checkpoint {self.checkpoint} does not fit the run's profile: {error}") from error

    def renderer(self) -> c_envs.Renderer:
        """Draws the states of `play`'s frames."""
        return c_envs.Renderer(self.profile.env.name, self.profile.env.config, seed=self.profile.train.seed)

    def episodes(self, count: int) -> Iterator[EpisodeResult]:
        """Exactly `count` episodes, divided over the environments beforehand.

        Taking the first `count` to end instead would favour short episodes.
        """
        if count < 1:
            raise RunError(f"{count} episodes: ask for at least 1")
        quota = [count // self.environments + (index < count % self.environments) for index in range(self.environments)]
        while any(quota):
            ended = self._game.step().reshape(self.environments, -1).min(1).nonzero()[0]
            for index in ended.tolist():
                last = self._game.batch.statistics(index, 1)
                if quota[index]:
                    quota[index] -= 1
                    yield EpisodeResult(last.score, last.episode_return, int(last.length))

    def play(self) -> Iterator[Frame]:
        """Endless frames of environment 0: its state before each step, and what its first agent did."""
        while True:
            state = self._game.batch.state(0)
            done = self._game.step()
            yield Frame(
                state=state,
                action=int(self._game.actions[0, 0]),
                reward=float(self._game.rewards[0, 0]),
                value=float(self._game.values[0]),
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
