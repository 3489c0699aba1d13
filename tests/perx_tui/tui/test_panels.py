"""What the panels say."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from driving import staged
from fakes import FakeRenderer, FakeSession, on_gpu, paused, running, starting

from engine import LogLine, Memory, Phase, Snapshot
from perx_tui.tui.arrangement import PANELS
from perx_tui.tui.panels.phases import grouped

SIZES = [(80, 24), (100, 30), (120, 36), (160, 48), (200, 60)]
NUMERIC = ("throughput", "losses", "phases", "replay", "memory", "curve")


@pytest.mark.parametrize("size", [(40, 12), (60, 20), *SIZES])
async def test_no_number_is_cut_at_any_size(size: tuple[int, int]) -> None:
    """Law: the panels of figures never need an ellipsis, maximized or not."""
    async with staged(FakeSession(on_gpu()), size) as stage:
        for name in NUMERIC:
            for keys in ((str(PANELS.index(name) + 1),), ("f",)):
                await stage.press(*keys)
                body = "\n".join(stage.rows(name)[1:])
                assert "…" not in body, body
            await stage.press("escape")


@pytest.mark.parametrize("size", SIZES)
async def test_what_is_not_known_yet_is_a_dash_and_never_a_zero(size: tuple[int, int]) -> None:
    async with staged(FakeSession(starting(), past=0), size) as stage:
        for name in NUMERIC:
            await stage.press(str(PANELS.index(name) + 1))
            rows = stage.rows(name)
            text = "\n".join(rows).replace(f" {PANELS.index(name) + 1} ", " ").replace("30.0M", "")
            assert not re.search(r"\d", text), text
        await stage.press("4")
        assert all(" - " in row for row in stage.rows("losses")[1:9])


async def test_figures_keep_their_columns_while_their_size_changes() -> None:
    """Nothing jitters: a value of any size ends in the cell in which the other one ended."""
    async with staged(FakeSession(), (160, 48)) as stage:
        ends = set()
        for value in (3.0, 999.6, 41_700.0, 1_250_000.0):
            stage.session.current = replace(running(), steps_per_second=value, sequence=int(value))
            await stage.tick()
            ends.add(stage.rows("throughput")[1].index("steps/s"))
        assert len(ends) == 1
        ends = set()
        for value in (0.00001, -0.5, 12.0, 12_345.0):
            metrics = {**running().metrics, "loss/value": value}
            stage.session.current = replace(running(), metrics=metrics, sequence=int(value * 1e5) + 7)
            await stage.tick()
            row = next(row for row in stage.rows("losses") if "value loss" in row)
            ends.add(re.search(r"value loss\s+\S+", row).end())  # type: ignore[union-attr]
        assert len(ends) == 1


async def test_the_badge_of_every_state_has_its_own_symbol_and_word() -> None:
    states = ("starting", "running", "paused", "saving", "finished", "failed", "stopped")
    async with staged(FakeSession(), (80, 24)) as stage:
        badges = []
        for number, state in enumerate(states):
            stage.session.current = replace(running(), state=state, sequence=number)
            await stage.tick()
            badges.append(stage.header[:12])
            assert state in badges[-1]
        assert len({badge.split()[0] for badge in badges}) == len(states)


async def test_throughput_tells_speed_progress_and_time() -> None:
    async with staged(FakeSession(), (160, 48)) as stage:
        text = "\n".join(stage.rows("throughput"))
        for word in ("43.0k steps/s", "41.7k steps/s", "3m 16s", "8m 43s", "8.19M of 30.0M steps", "27.3%", "250"):
            assert word in text


async def test_a_finished_run_has_no_time_left() -> None:
    async with staged(FakeSession(replace(running(), state="finished")), (160, 48)) as stage:
        row = next(row for row in stage.rows("throughput") if "time left" in row)
        assert row.split()[3] == "-"


async def test_phases_are_a_tree_with_milliseconds_and_shares() -> None:
    async with staged(FakeSession(), (160, 48)) as stage:
        rows = {row.split()[1]: row.split() for row in stage.rows("phases")[1:-1] if len(row.split()) > 3}
        assert rows["train"][-4:-1] == ["494.0", "ms", "62.9%"]
        assert rows["collect"][-4:-1] == ["260.0", "ms", "33.1%"]
        assert rows["draw"][-4:-1] == ["3.0", "ms", "0.4%"]
        assert rows["unaccounted"][-2] == "2.5%"


def test_groups_sum_their_parts_unless_their_time_is_given() -> None:
    phases = (Phase("collect/env", 1.0), Phase("collect/policy", 2.0), Phase("train", 9.0), Phase("train/draw", 4.0))
    assert [(group.name, group.seconds, len(group.parts)) for group in grouped(phases)] == [
        ("collect", 3.0, 2),
        ("train", 9.0, 1),
    ]


async def test_a_low_panel_leaves_out_the_smallest_phases_first() -> None:
    many = tuple(Phase(f"train/part{k}", k / 1000) for k in range(1, 30))
    async with staged(FakeSession(replace(running(), phases=many)), (160, 48)) as stage:
        text = "\n".join(stage.rows("phases"))
        assert "part29 " in text
        assert "part1 " not in text
        assert "train" in text
        assert "unaccounted" in text


async def test_without_a_gpu_the_memory_panel_says_so() -> None:
    async with staged(FakeSession(), (160, 48)) as stage:
        text = "\n".join(stage.rows("memory"))
        assert "no GPU" in text
        for word in ("1.23 GiB", "1.41 GiB", "5.60 GiB", "16.0 GiB"):
            assert word in text


async def test_with_a_gpu_the_memory_panel_shows_the_card() -> None:
    async with staged(FakeSession(on_gpu()), (160, 48)) as stage:
        text = "\n".join(stage.rows("memory"))
        assert "no GPU" not in text
        for word in ("NVIDIA H200", "allocated", "3.20 GiB", "reserved", "4.50 GiB", "peak", "4.10 GiB", "140 GiB"):
            assert word in text


async def test_a_card_whose_figures_are_unknown_is_not_full_of_zeros() -> None:
    snapshot = replace(running(), memory=Memory(gpu_name="NVIDIA H200"))
    async with staged(FakeSession(snapshot), (160, 48)) as stage:
        assert not re.search(r" 0 B|0\.0", "\n".join(stage.rows("memory")))


@pytest.mark.parametrize("size", [(120, 36), (160, 48)])
async def test_prioritization_shows_draw_reuse_and_weights(size: tuple[int, int]) -> None:
    async with staged(FakeSession(), size) as stage:
        text = " ".join(" ".join(stage.rows("replay")).split())
        for word in ("alpha 0.80", "beta 0.42", "uses mean 1.00", "uses max 7", "unused 36.2%", "effective 71.3%"):
            assert word in text
        for word in ("entropy 95.2%", "weight min 0.42", "weight mean 0.81", "weight max 1.00", "7+", "14.2"):
            assert word in text


async def test_the_top_segments_are_listed_where_there_is_room() -> None:
    async with staged(FakeSession(), (160, 48)) as stage:
        rows = stage.rows("replay")
        assert "top segment" in rows[1]
        assert sum("agent" in row for row in rows) == 9


async def test_another_scheme_is_named() -> None:
    snapshot = replace(running(), replay=replace(running().replay, scheme="uniform"))
    async with staged(FakeSession(snapshot), (160, 48)) as stage:
        assert "replay · uniform" in stage.rows("replay")[0]


async def test_the_curve_names_the_newest_and_the_best_score() -> None:
    async with staged(FakeSession(), (160, 48)) as stage:
        assert "score 316.3  best 329.1" in stage.rows("curve")[0]


async def test_a_diverged_loss_is_shown_as_what_it_is() -> None:
    snapshot = replace(running(), metrics={**running().metrics, "loss/policy": float("nan")})
    async with staged(FakeSession(snapshot), (160, 48)) as stage:
        row = next(row for row in stage.rows("losses") if "policy loss" in row)
        assert row.split()[3] == "nan"


async def test_the_episode_shows_the_game_with_score_action_and_value() -> None:
    async with staged(FakeSession(), (160, 48)) as stage:
        await stage.tick()
        rows = stage.rows("episode")
        assert "env 0" in rows[0]
        assert "value" in rows[0]
        assert re.search(r"score \d+  balls \d  (stay|left|right)", rows[-1])
        assert stage.app.dashboard.episode.size == (76, 33)


async def test_names_and_log_lines_from_outside_cannot_break_the_screen() -> None:
    evil = "\x1b[2J\x1b]0;title\x07\nsecond line\t" + "wide 漢字 " * 30
    snapshot: Snapshot = replace(
        running(), run=evil, stage=evil, device=evil, policy=evil, log=(LogLine(0.0, "error", evil),)
    )
    async with staged(FakeSession(snapshot), (80, 24)) as stage:
        await stage.press("8")
        assert "\x1b" not in stage.text
        assert all(len(row) <= 80 for row in stage.text.split("\n"))


async def test_a_paused_run_shows_its_last_figures() -> None:
    async with staged(FakeSession(paused()), (160, 48)) as stage:
        assert "43.0k steps/s" in "\n".join(stage.rows("throughput"))


async def test_a_higher_picture_takes_the_room_of_the_speed_at_80x24(monkeypatch: pytest.MonkeyPatch) -> None:
    """A maze of 31 x 31 needs 16 rows; speed and time left are still told."""
    monkeypatch.setattr(FakeRenderer, "size", lambda self, scale: (16 * scale, 31 * scale))
    async with staged(FakeSession(), (80, 24)) as stage:
        await stage.tick()
        await stage.pilot.pause()
        assert stage.app.dashboard.episode.size.height == 18
        rows = stage.rows("throughput")
        assert len(rows) == 3
        assert "43.0k steps/s" in rows[0]
        assert "8m 43s" in rows[0]
        assert "27.3%" in rows[1]
