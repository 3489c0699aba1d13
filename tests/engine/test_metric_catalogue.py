"""Every metric is explained: the catalogue against what real runs write."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import METRIC_CATALOGUE, MetricInfo, RunFolder, TrainingSession, explain_metric

from .conftest import tiny_profile

ON_A_GPU = {"time/collect/rollout", "time/collect/copy", "time/collect/wait", "time/train/update"}
"""Metrics of runs on a GPU, with the environments there or in groups on the CPU (tests/engine/device writes them)."""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Keys of metrics.jsonl of a run in which episodes end and older segments are kept."""
    runs: Path = tmp_path_factory.mktemp("runs")
    profile = tiny_profile("train.total_steps=1024", "replay.factor=1.0", name="bandit.toml")
    session = TrainingSession(profile, runs=runs)
    session.start()
    session.join(60)
    assert session.snapshot().state == "finished", session.snapshot().error
    assert session.folder is not None
    return {key for row in RunFolder.read(session.folder).read_metrics() for key in row}


def test_every_metric_that_a_run_writes_is_explained(written: set[str]) -> None:
    """Who adds a metric says in engine/metric_catalogue.py what it means and what is healthy."""
    assert {"episode/score", "replay/old_share", "time/train/keep"} <= written, "the run shows too little"
    assert written - set(METRIC_CATALOGUE) == set()


def test_every_metric_that_is_explained_is_written(written: set[str]) -> None:
    """What is gone from the engine is gone from the catalogue."""
    assert set(METRIC_CATALOGUE) - written == ON_A_GPU


@pytest.mark.parametrize("info", METRIC_CATALOGUE.values(), ids=lambda info: info.key)
def test_an_explanation_is_one_sentence_each_and_short_enough_for_a_panel(info: MetricInfo) -> None:
    for sentence in (info.meaning, info.healthy):
        assert sentence.endswith(".")
        assert ". " not in sentence
        assert 10 <= len(sentence) <= 130
    assert len(info.unit) <= 10


def test_a_phase_without_an_entry_is_explained_by_its_group() -> None:
    found = explain_metric("time/train/something")
    assert found is not None
    assert (found.key, found.unit) == ("time/train/something", "s")
    assert explain_metric("no/such") is None
