"""Numbers that change with training progress: the learning rate's factor and beta of prioritized replay."""

from __future__ import annotations

import math


def learning_rate_factor(schedule: str, step: int, total_steps: int, warmup: int, floor: float) -> float:
    """Multiplier of the learning rate at `step`: a linear rise over `warmup` steps, then from 1 down to `floor`.

    "cosine" falls along half a cosine (Loshchilov and Hutter 2017), "linear" in a straight line, "constant" not at all.
    """
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if schedule == "constant":
        return 1.0
    progress = min(1.0, (step - warmup) / max(1, total_steps - warmup))
    if schedule == "linear":
        return floor + (1 - floor) * (1 - progress)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))


def annealed_beta(beta0: float, progress: float) -> float:
    """Exponent of the importance weights: beta0 at the start, 1 at the end (Schaul et al. 2015, section 3.4)."""
    return beta0 + (1 - beta0) * min(1.0, max(0.0, progress))
