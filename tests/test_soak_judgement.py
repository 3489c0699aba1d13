"""What a soak calls growth: a leak is found, and memory that comes and goes is none."""

from __future__ import annotations

import random
from collections.abc import Callable

import psutil
import pytest

from tests.measure.resources import MOST_GROWTH, Sample, Track

MB = 1_000_000


def watched(memory: Callable[[float], float], past: Callable[[float], float] = lambda share: 0.0) -> Track:
    """A process that was looked at for an hour; megabytes by the share of it that has passed."""
    track = Track("run", psutil.Process())
    for second in range(0, 3600, 5):
        share = second / 3600
        kept = past(share)
        track.samples.append(Sample(float(second), int((memory(share) + kept) * MB), int(kept * MB), 4, 8))
    return track


@pytest.mark.parametrize("noise", [0.0, 3.0])
@pytest.mark.parametrize("leak", [0.03, 0.2])
def test_a_leak_is_found(leak: float, noise: float) -> None:
    generator = random.Random(1)
    track = watched(lambda share: 400 * (1 + leak * share) + generator.uniform(-noise, noise))
    assert track.growth() == pytest.approx(leak, rel=0.15)
    assert track.faults() == [f"run: memory grows by {100 * (track.growth() or 0):.1f} % per hour"]


def test_the_past_that_is_kept_is_no_leak() -> None:
    assert watched(lambda share: 100.0, past=lambda share: 11 * share).growth() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    "memory",
    [
        lambda share: 380.0 if share < 0.4 or share > 0.6 else 373.0,  # given back for a while
        lambda share: 374.0 if 0.3 < share < 0.7 else 381.0,
        lambda share: 105.0 if share > 0.95 else 102.0,  # a larger screen at the end
        lambda share: 100.0 + 40 * min(share, 0.2),  # caches that fill at first
    ],
)
def test_what_comes_and_goes_is_none(memory: Callable[[float], float]) -> None:
    growth = watched(memory).growth()
    assert growth is not None
    assert growth < MOST_GROWTH


def test_a_short_life_tells_nothing() -> None:
    track = watched(lambda share: 400 * (1 + share))
    del track.samples[200:]
    assert track.growth() is None
