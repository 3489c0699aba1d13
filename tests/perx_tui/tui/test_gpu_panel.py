"""The memory panel on a GPU: what it shows at which size, and what it says of what the driver does not tell."""

from __future__ import annotations

from dataclasses import replace

import pytest
from driving import staged
from fakes import FakeSession, on_gpu

from engine import Card, Memory, Snapshot
from perx_tui.tui.lines import cells, text_of
from perx_tui.tui.panels import gpu


def with_card(card: Card | None, **changes: object) -> Snapshot:
    snapshot = on_gpu()
    return replace(snapshot, memory=replace(snapshot.memory, card=card, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (160, 48), (200, 60)])
async def test_the_whole_panel_tells_everything(size: tuple[int, int]) -> None:
    async with staged(FakeSession(on_gpu()), size) as stage:
        await stage.press("7", "f")
        text = " ".join(" ".join(stage.rows("memory")).split())
        for words in ("allocated", "3.20 GiB", "by others", "307 MiB", "card total", "140 GiB", "process", "1.96 GiB"):
            assert words in text
        for words in ("load", "87%", "412/700 W", "64 °C", "1755/1980 MHz", "mem. clock", "3201 MHz"):
            assert words in text
        for part in ("rollout", "environments", "parameters", "optimizer", "replay", "graphs", "other", "free"):
            assert f"■ {part}" in text


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
async def test_the_small_panel_tells_load_and_the_largest_parts(size: tuple[int, int]) -> None:
    async with staged(FakeSession(on_gpu()), size) as stage:
        await stage.press("7")
        rows = stage.rows("memory")
        assert "87% · 64 °C" in rows[0]
        assert "412/700 W" in "\n".join(rows)
        if size == (80, 24):
            assert [row.split()[2] for row in rows if "■" in row] == ["rollout", "replay", "other"]


@pytest.mark.parametrize("width", [30, 38, 75, 157])
@pytest.mark.parametrize("height", range(1, 40))
def test_no_line_is_wider_and_no_body_lower_than_its_place(width: int, height: int) -> None:
    for snapshot in (on_gpu(), with_card(None), with_card(Card(note="no figures of the card: NVML not found " * 3))):
        lines = gpu.body(snapshot.memory, width, height)
        assert all(cells(line) <= width for line in lines), text_of(lines)


def test_the_bar_is_as_wide_as_its_place_whatever_the_parts() -> None:
    for sizes in ((1, 1, 1, 1_000_000), (3, 3, 3), (10**12,), (7, 0, 5)):
        parts = dict(zip(("rollout", "graphs", "other", "free"), sizes, strict=False))
        memory = Memory(gpu_name="H200", gpu_reserved=sum(sizes), gpu_parts=parts)
        bar, *rows = gpu.parts(memory, 41, 9)
        assert cells(bar) == 41
        assert len(rows) == sum(size > 0 for size in sizes)


async def test_without_a_driver_the_reason_stands_in_the_panel() -> None:
    card = Card(note="no figures of the card: NVML Shared Library Not Found")
    async with staged(FakeSession(with_card(card)), (160, 48)) as stage:
        await stage.press("7", "f")
        text = " ".join(" ".join(stage.rows("memory")).replace("│", " ").split())
        assert "no figures of the card: NVML Shared" in text
        assert "0 W" not in text
        assert "0%" not in text.replace("0.0%", "").replace("20.0%", "")
        assert "3.20 GiB" in text, "torch's own figures stand"


async def test_a_slice_and_one_of_several_cards_are_named() -> None:
    for card, words in (
        (Card(index=1, count=4), "NVIDIA H200 · 1 of 0-3"),
        (Card(mig=True, note="a MIG slice: the driver tells neither its load nor its neighbours"), "NVIDIA H200 · MIG"),
    ):
        async with staged(FakeSession(with_card(card)), (160, 48)) as stage:
            assert words in stage.rows("memory")[0]


async def test_before_the_first_answer_every_figure_is_a_dash() -> None:
    memory = Memory(gpu_name="NVIDIA H200", card=Card())
    async with staged(FakeSession(replace(on_gpu(), memory=memory)), (160, 48)) as stage:
        rows = stage.rows("memory")[1:]
        assert not any(character.isdigit() for row in rows for character in row), rows
