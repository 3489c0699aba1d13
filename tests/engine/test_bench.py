"""The benchmark's figures agree with one another."""

from __future__ import annotations

import pytest

from engine import run_bench
from tests.engine.conftest import tiny_profile


def test_the_figures_of_a_benchmark_agree_with_one_another() -> None:
    heard: list[str] = []
    report = run_bench(tiny_profile("train.update_epochs=2"), repeats=3, tell=heard.append)
    assert len(heard) == 3
    assert report.sps_low <= report.sps <= report.sps_high
    assert report.limit_sps == pytest.approx(report.gemm_gflops * 1e9 / report.flop_per_step)
    assert report.share == pytest.approx(report.sps / report.limit_sps)
    weights = 118 * 16 + 2 * 16 * 64 + 16 * 4
    assert report.flop_per_step == 2 * weights + 2 * (6 * weights - 2 * 118 * 16)
    assert sum(report.phases.values()) + report.unaccounted_seconds == pytest.approx(report.iteration_seconds, rel=0.05)
    assert report.rollout_sps > report.sps
    assert report.environment_sps > report.rollout_sps
    # Observations, seven numbers and the flags of a step, and a share of the state; gathered twice, read and written.
    assert 2 * 2 * 118 * 4 < report.copied_bytes_per_step < 2 * 2 * 118 * 4 * 1.2
