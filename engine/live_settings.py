"""What the profile in force says to each part of a minibatch, read anew each time since it may be edited."""

from __future__ import annotations

from dataclasses import dataclass

from engine.advantages import AdvantageSettings
from engine.learner import LearnerSettings
from engine.losses import LossSettings
from engine.optimizer import Rates
from engine.profile import Profile
from engine.replay import SamplingSettings
from engine.schedules import annealed_beta


@dataclass(frozen=True, slots=True)
class UpdateSettings:
    """What a whole minibatch is learned with. `segments` are drawn by `scheme` for their `metric`."""

    scheme: str
    metric: str
    segments: int
    advantages: AdvantageSettings
    sampling: SamplingSettings
    learning: LearnerSettings


def advantages(profile: Profile) -> AdvantageSettings:
    """How advantages are computed."""
    train = profile.train
    return AdvantageSettings(train.gamma, train.gae_lambda, train.rho_clip, train.c_clip)


def sampling(profile: Profile, progress: float) -> SamplingSettings:
    """How segments are drawn at this share of the run, in [0, 1]."""
    replay = profile.replay
    return SamplingSettings(
        alpha=replay.alpha,
        beta=annealed_beta(replay.beta0, progress),
        replacement=replay.replacement,
        normalize_weights=replay.normalize_weights,
    )


def learning(profile: Profile, rates: Rates | None = None) -> LearnerSettings:
    """What a minibatch is trained towards; `rates` None: those that the optimizer was set to."""
    train = profile.train
    loss = LossSettings(train.clip, train.value_clip, train.value_coef, train.entropy_coef)
    return LearnerSettings(loss, train.max_grad_norm, rates)


def update(profile: Profile, progress: float, rates: Rates) -> UpdateSettings:
    """All of it."""
    return UpdateSettings(
        scheme=profile.replay.scheme,
        metric=profile.replay.metric,
        segments=profile.train.minibatch // profile.train.horizon,
        advantages=advantages(profile),
        sampling=sampling(profile, progress),
        learning=learning(profile, rates),
    )
