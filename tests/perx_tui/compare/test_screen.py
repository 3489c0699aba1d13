"""The comparison's screen driven by its keys, and its looks."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from engine import group_runs, read_run
from perx_tui.compare.screen import CompareApp
from perx_tui.compare.wording import Axis

from ...synthetic_runs import rows, write_run

UNIFORM = "replay.scheme='uniform'"


def learning(top: float, wobble: float) -> list[float | None]:
    return [top / (1 + math.exp(8 - 0.4 * k)) + wobble * math.sin(k) for k in range(40)]


def build(folder: Path, *, x: Axis = "steps", threshold: float | None = None, seeds: int = 3) -> CompareApp:
    """Three seeds with the scheme as it ships and, faster per step of time, three with the uniform one."""
    paths = [
        write_run(folder, f"plain-s{s}", rows(learning(600.0 + 60 * s, 9.0), replay=1.0), seed=s)
        for s in range(1, seeds + 1)
    ]
    paths += [
        write_run(folder, f"uni-s{s}", rows(learning(350.0 + 40 * s, 9.0), sps=800.0), UNIFORM, seed=s)
        for s in range(1, seeds + 1)
    ]
    groups = group_runs([read_run(path) for path in paths])
    return CompareApp(paths, groups, "episode/score", x, threshold)


@asynccontextmanager
async def on_screen(app: CompareApp, size: tuple[int, int] = (100, 30)) -> AsyncIterator[Pilot[int]]:
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        yield pilot


def text(app: CompareApp) -> str:
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


async def press(pilot: Pilot[int], *keys: str) -> str:
    await pilot.press(*keys)
    await pilot.pause()
    assert isinstance(pilot.app, CompareApp)
    return text(pilot.app)


async def test_it_opens_with_the_curves_and_the_figures_of_the_groups(tmp_path: Path) -> None:
    app = build(tmp_path)
    async with on_screen(app):
        shown = text(app)
        assert "episode/score, 1.00k to 40.0k steps: 6 runs in 2 groups" in shown
        assert "A scheme=prioritized" in shown
        assert "B scheme=uniform" in shown
        comparison = app.showing.comparison
        assert comparison is not None
        assert f"{comparison.groups[0].auc.value:.1f}" in shown
        assert f"{comparison.groups[0].final.low:.1f} … {comparison.groups[0].final.high:.1f}" in shown


async def test_m_goes_through_the_metrics_that_all_runs_have_and_back(tmp_path: Path) -> None:
    app = build(tmp_path)
    async with on_screen(app) as pilot:
        assert app.metrics() == ["episode/score", "episode/length", "loss/policy", "sps", "episode/count"]
        assert "episode/length over steps" in await press(pilot, "m")
        assert "loss/policy over steps" in await press(pilot, "m")
        assert "episode/score over steps" in await press(pilot, "M", "M")
        assert "episode/count over steps" in await press(pilot, "M")
        assert "episode/score over steps" in await press(pilot, "m")


async def test_x_changes_the_axis_and_the_footer_names_the_other_one(tmp_path: Path) -> None:
    app = build(tmp_path)
    async with on_screen(app) as pilot:
        assert "x over time" in text(app)
        shown = await press(pilot, "x")
        assert "2s to 50s of training" in shown
        assert "episode/score over time" in shown
        assert "x over steps" in shown
        assert "1.00k to 40.0k steps" in await press(pilot, "x")


async def test_d_brings_the_differences_to_the_front(tmp_path: Path) -> None:
    app = build(tmp_path)
    async with on_screen(app, (80, 24)) as pilot:
        assert "area − A" not in text(app)
        assert "area − A" in await press(pilot, "d")
        comparison = app.showing.comparison
        assert comparison is not None
        assert f"{comparison.differences[0].auc.value:.1f}" in text(app)
        assert "area − A" not in await press(pilot, "d")


async def test_i_explains_the_metric_that_is_compared(tmp_path: Path) -> None:
    app = build(tmp_path)
    async with on_screen(app, (80, 24)) as pilot:
        assert "i explain" in text(app)
        shown = await press(pilot, "i")
        assert "what the figures mean · episode/score" in shown
        assert "this is what a run is judged by" in " ".join(shown.replace("│", " ").split())
        assert "Longer is better where the agent must survive" in await press(pilot, "m")
        assert "what the figures mean" not in await press(pilot, "i")


async def test_the_threshold_belongs_to_the_metric_that_it_was_given_for(tmp_path: Path) -> None:
    app = build(tmp_path, threshold=500.0)
    async with on_screen(app, (160, 40)) as pilot:
        assert "≥ 500.0" in text(app)
        assert "3 of 3" in text(app)
        assert "0 of 3" in text(app)
        assert "≥" not in await press(pilot, "m")


async def test_r_reads_runs_that_have_trained_on(tmp_path: Path) -> None:
    app = build(tmp_path)
    async with on_screen(app) as pilot:
        for name in ("plain-s1", "plain-s2", "plain-s3", "uni-s1", "uni-s2", "uni-s3"):
            with (tmp_path / name / "metrics.jsonl").open("a") as file:
                file.write('{"step":50000,"iteration":50,"time":100,"episode/score":1,"episode/count":100}\n')
        shown = await press(pilot, "r")
        assert "1.00k to 50.0k steps" in shown
        assert "read again" in shown
        (tmp_path / "uni-s1" / "metrics.jsonl").write_text("")
        assert "'uni-s1' has no metrics yet" in await press(pilot, "r")
        assert "1.00k to 50.0k steps" in await press(pilot, "x", "x")


async def test_groups_that_do_not_fit_can_be_reached(tmp_path: Path) -> None:
    paths = [
        write_run(tmp_path, f"r{k}", rows(learning(100.0 * (k + 1), 0.0)), f"replay.alpha={k / 16}") for k in range(15)
    ]
    app = CompareApp(paths, group_runs([read_run(path) for path in paths]), "episode/score", "steps", None)
    async with on_screen(app, (80, 24)) as pilot:
        assert "↑↓ 1 to 8 of 15" in text(app)
        assert "O r14" not in text(app)
        shown = await press(pilot, *["down"] * 20)
        assert "↑↓ 8 to 15 of 15" in shown
        assert "O r14: alpha=0.875" in shown


async def test_a_range_that_the_runs_do_not_share_is_told_in_place_of_the_chart(tmp_path: Path) -> None:
    """Over steps they meet; over time one ends before the other begins."""
    fast = write_run(tmp_path, "fast", rows([1.0, 2.0], sps=1000.0))
    slow = write_run(tmp_path, "slow", rows([1.0, 2.0], sps=10.0), seed=2)
    app = CompareApp([fast, slow], group_runs([read_run(fast), read_run(slow)]), "episode/score", "steps", None)
    async with on_screen(app) as pilot:
        assert "the runs share no seconds" in await press(pilot, "x")
        assert "1.00k to 2.00k steps" in await press(pilot, "x")


@pytest.mark.parametrize("key", ["q", "escape", "ctrl+c"])
async def test_it_can_be_left(tmp_path: Path, key: str) -> None:
    app = build(tmp_path, seeds=1)
    async with on_screen(app) as pilot:
        await pilot.press(key)
        await pilot.pause()
    assert app.return_value == (130 if key == "ctrl+c" else 0)


@pytest.mark.parametrize("size", [(1, 1), (20, 5), (40, 12), (80, 24), (300, 90)])
async def test_every_size_is_survived(tmp_path: Path, size: tuple[int, int]) -> None:
    app = build(tmp_path, threshold=300.0)
    async with on_screen(app, size) as pilot:
        for keys in ("d", "x", "m", "down"):
            await pilot.press(keys)
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert "COMPARE" in text(app)


async def test_every_theme_is_drawn(tmp_path: Path) -> None:
    app = build(tmp_path)
    async with on_screen(app) as pilot:
        for theme in ("perx-light", "ansi-dark", "ansi-light", "gruvbox"):
            app.theme = theme
            await pilot.pause()
            assert "COMPARE" in text(app)


@pytest.mark.parametrize(("size", "keys"), [((80, 24), ()), ((80, 24), ("d",)), ((160, 48), ()), ((120, 36), ("x",))])
def test_the_screen_looks_as_it_did(
    snap_compare: Any, tmp_path: Path, size: tuple[int, int], keys: tuple[str, ...]
) -> None:
    app = build(tmp_path, threshold=500.0)

    async def prepare(pilot: Pilot[Any]) -> None:
        await pilot.pause()
        await pilot.press(*keys)
        await pilot.pause()

    assert snap_compare(app, terminal_size=size, run_before=prepare)
