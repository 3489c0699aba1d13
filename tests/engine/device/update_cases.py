"""What recorded updates are compared on, with the tape and on a GPU: two trainers, iteration by iteration."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from engine.resume import load_state, save_state
from engine.trainer import Trainer
from tests.engine.conftest import figures

Pair = tuple[Trainer, Trainer]
"""One that learns by recordings, and one that learns as the trainer's text says."""


def learned(trainer: Trainer) -> dict[str, Tensor]:
    """All that minibatches change."""
    experience, optimizer = trainer.experience, trainer.optimizer
    names = ("values", "ratios", "advantages")
    stores = {name: torch.cat([getattr(store, name) for store in experience.stores], dim=1) for name in names}
    return optimizer.weights() | stores | {"uses": trainer.sampler.uses}


def assert_alike(recorded: Trainer, plain: Trainer) -> None:
    """But for rounding. Weight matrices are compared as a whole: Muon takes a step of unit size in directions that
    hardly any gradient points to, and there rounding decides."""
    found = learned(recorded)
    for name, value in learned(plain).items():
        if name in plain.optimizer.weights() and value.ndim == 2:
            distance, size = (float(torch.linalg.matrix_norm(each.detach())) for each in (found[name] - value, value))
            assert distance <= 2e-3 * size + 1e-6, (name, distance, size)
        else:
            torch.testing.assert_close(
                found[name], value, rtol=1e-3, atol=2e-4, msg=lambda text, name=name: f"{name}: {text}"
            )


def assert_iterate_alike(pair: Pair, times: int = 1) -> None:
    """Iterates both: weights, experience, uses and every metric are equal but for rounding.

    Each iteration begins where the plain trainer stands, or roundings would grow over iterations.
    """
    recorded, plain = pair
    for _ in range(times):
        load_state(recorded, save_state(plain, {}))
        one, other = figures(recorded.iterate().metrics), figures(plain.iterate().metrics)
        assert one.keys() == other.keys()
        for key, value in other.items():
            assert one[key] == pytest.approx(value, rel=1e-3, abs=1e-4), key
        assert_alike(recorded, plain)


SCHEMES = ["prioritized", "stratified", "rank", "topk", "uniform", "sequential"]

EDITS: list[tuple[str, object]] = [
    ("train.learning_rate", 0.003),
    ("train.adam_learning_rate", 0.01),
    ("train.weight_decay", 0.1),
    ("train.gamma", 0.9),
    ("train.gae_lambda", 0.5),
    ("train.clip", 0.05),
    ("train.value_clip", 0.01),
    ("train.value_clip", 0.0),
    ("train.value_coef", 0.3),
    ("train.entropy_coef", 0.1),
    ("train.entropy_coef", 0.0),
    ("train.max_grad_norm", 0.01),
    ("train.rho_clip", 0.8),
    ("train.c_clip", 0.7),
    ("replay.alpha", 0.0),
    ("replay.alpha", 1.5),
    ("replay.beta0", 0.9),
    ("replay.metric", "max"),
    ("replay.replacement", False),
    ("replay.normalize_weights", True),
    ("replay.scheme", "topk"),
    ("replay.scheme", "sequential"),
    ("replay.factor", 1.0),
    ("replay.factor", 0.0),
]
STRUCTURAL = {
    "train.weight_decay",
    "replay.metric",
    "replay.replacement",
    "replay.normalize_weights",
    "replay.scheme",
    "replay.factor",
}
