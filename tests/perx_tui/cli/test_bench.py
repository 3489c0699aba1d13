"""`perx-tui bench`: its tables, its comparison and its refusals."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import run_bench
from perx_tui.commands.bench import comparison_rows, launch_row, phase_rows
from tests.engine.conftest import tiny_profile

from ..program import TINY
from .conftest import Answer


@pytest.fixture
def bench(perx_tui: Callable[..., Answer], tmp_path: Path) -> Callable[..., Answer]:
    (tmp_path / "tiny.toml").write_text(TINY)
    return lambda *arguments: perx_tui("bench", "--profile", "tiny.toml", "--repeat", "2", *arguments)


def test_tables_tell_copies_apart_and_what_is_unknown(bench: Callable[..., Answer]) -> None:
    answer = bench("--device", "cpu")
    assert answer.code == 0, answer.err
    figures = {line[:16].strip(): line[16:].strip() for line in answer.out.splitlines()}
    assert "B/step" in figures["gathering"]
    assert "0 B/step" in figures["crossing"]
    assert figures["launches"].startswith("- ")
    assert figures["CUDA graphs"].startswith("- ")
    assert "against" not in answer.out


def test_a_comparison_ends_with_the_ratio_and_both_phases(bench: Callable[..., Answer]) -> None:
    answer = bench("--device", "cpu", "--compare", "plain")
    assert answer.code == 0, answer.err
    assert "times as fast as with train.fused = false: median of 2 pairs" in answer.out
    heading = next(line.split() for line in answer.out.splitlines() if line.startswith("phase"))
    assert heading == ["phase", "ms", "share", "plain", "ms"]
    report = json.loads(bench("--device", "cpu", "--compare", "plain", "--json").out)
    beside = report["compare"]
    assert beside["ratio_low"] <= beside["ratio"] <= beside["ratio_high"]
    accounted = sum(beside["phases"].values()) + beside["unaccounted_seconds"]
    # Of iterations of milliseconds a busy machine may keep a good share for itself.
    assert 0.5 * beside["iteration_seconds"] < accounted < 1.01 * beside["iteration_seconds"]
    assert report["launches_per_iteration"] is None


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ("--device", "cpu", "--compare", "eager"),
            "perx-tui: compare eager: only a GPU has CUDA graphs to do without; write --device cuda or compare plain",
        ),
        (
            ("--device", "cpu", "--compare", "plain", "--set", "train.fused=false"),
            "perx-tui: compare plain: train.fused is false in the profile already, so both would be the same",
        ),
        (
            ("--compare", "pain"),
            "perx-tui: --compare: invalid choice: 'pain' (choose from ",
        ),
    ],
)
def test_a_comparison_that_cannot_be_is_one_line(
    bench: Callable[..., Answer], arguments: tuple[str, ...], line: str
) -> None:
    answer = bench(*arguments)
    assert (answer.code, answer.out, len(answer.lines)) == (2, "", 1)
    assert answer.lines[0].startswith(line)


def test_what_a_gpu_counts_is_shown_by_kind() -> None:
    what = "queued on the GPU by the host in an iteration"
    assert launch_row("launches", None) == ("launches", "-", what)
    counted = {"kernels": 1100, "graphs": 2, "copies": 102}
    assert launch_row("launches", counted) == ("launches", "1,204", f"{what}: 1,100 kernels, 2 graphs, 102 copies")
    report = run_bench(tiny_profile(), repeats=1, compare="plain")
    assert report.compare is not None
    assert len(list(comparison_rows(report))) == 2
    beside = dataclasses.replace(report.compare, launches={"kernels": 9000}, phases={"collect/rollout": 0.5})
    report = dataclasses.replace(report, compare=beside)
    assert list(comparison_rows(report))[2][:2] == ("plain launches", "9,000")
    rows = {row[0]: row[1:] for row in phase_rows(report)}
    assert rows["collect/rollout"] == ("-", "-", "500")
    assert rows["collect/policy"][2] == "-"
    assert list(rows)[-2:] == ["unaccounted", "iteration"]
