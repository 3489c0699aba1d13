"""Panels hidden, in front and alone: by keys, by class of sizes, and from one start to the next."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from driving import Stage, staged
from fakes import FakeSession, running
from hypothesis import given
from hypothesis import strategies as st
from textual.pilot import Pilot

from perx_tui.tui.arrangement import PANELS, SIZE_CLASSES
from perx_tui.tui.layouts import PanelLayout, from_record, standard, to_record
from perx_tui.tui.remembered import LayoutMemory

SIZES = {"tiny": (60, 20), "small": (80, 24), "medium": (120, 36), "large": (160, 48)}

LAYOUT = st.builds(
    PanelLayout,
    hidden=st.sets(st.sampled_from(PANELS), max_size=len(PANELS) - 1),
    tab=st.none() | st.sampled_from(PANELS),
    maximized=st.none() | st.sampled_from(PANELS),
)


def shown(stage: Stage) -> set[str]:
    return {name for name, panel in stage.app.dashboard.panels.items() if panel.display}


# ---- keys ----


@pytest.mark.parametrize("size", [(120, 36), (160, 48)])
async def test_h_hides_the_focused_panel_and_its_number_shows_it_again(size: tuple[int, int]) -> None:
    async with staged(FakeSession(running()), size) as stage:
        await stage.press("5", "h")
        assert shown(stage) == set(PANELS) - {"phases"}
        assert "phases is hidden; 5 shows it again, 0 all" in stage.text
        await stage.press("7", "h")
        assert shown(stage) == set(PANELS) - {"phases", "memory"}
        await stage.press("5")
        assert shown(stage) == set(PANELS) - {"memory"}
        assert stage.app.focused is stage.app.dashboard.panels["phases"]
        await stage.press("0")
        assert shown(stage) == set(PANELS)


async def test_on_a_small_terminal_a_hidden_panel_has_no_tab() -> None:
    async with staged(FakeSession(running()), (80, 24)) as stage:
        await stage.press("6", "h")
        assert shown(stage) == {"throughput", "episode", "curve"}
        assert "6 replay" not in stage.text.splitlines()[6]
        assert "5 phases" in stage.text
        await stage.press("2", "h")
        assert shown(stage) == {"throughput", "curve"}
        await stage.press("6")
        assert shown(stage) == {"throughput", "replay"}
        assert "[6 replay]" in stage.text
        assert to_record(stage.app.dashboard.layouts) == {"small": {"hidden": ["episode"], "tab": "replay"}}


async def test_one_panel_stays_and_without_a_focus_nothing_is_hidden() -> None:
    async with staged(FakeSession(running()), (120, 36)) as stage:
        await stage.press("h")
        assert "choose a panel by its number first" in stage.text
        for number in range(1, 9):
            await stage.press(str(number), "h")
        assert shown(stage) == {"log"}
        assert "one panel has to stay" in stage.text
        await stage.press("0")
        assert shown(stage) == set(PANELS)


async def test_a_maximized_panel_that_is_hidden_gives_way_to_the_others() -> None:
    async with staged(FakeSession(running()), (120, 36)) as stage:
        await stage.press("8", "f")
        assert shown(stage) == {"log"}
        await stage.press("h")
        assert shown(stage) == set(PANELS) - {"log"}


# ---- from one start to the next ----


async def test_every_class_of_sizes_has_its_own_layout_and_keeps_it(tmp_path: Path) -> None:
    async with staged(FakeSession(running()), SIZES["medium"], layout_memory=LayoutMemory(tmp_path)) as stage:
        await stage.press("5", "h", "7", "h")
        await stage.pilot.resize_terminal(*SIZES["small"])
        await stage.press("6")
        assert shown(stage) == {"throughput", "episode", "replay"}
        await stage.pilot.resize_terminal(*SIZES["large"])
        await stage.pilot.pause()
        assert shown(stage) == set(PANELS)
    kept = json.loads((tmp_path / "layout.json").read_text())
    assert kept == {"small": {"tab": "replay"}, "medium": {"hidden": ["phases", "memory"]}}
    for kind, expected in (
        ("medium", set(PANELS) - {"phases", "memory"}),
        ("small", {"throughput", "episode", "replay"}),
        ("large", set(PANELS)),
    ):
        async with staged(FakeSession(running()), SIZES[kind], layout_memory=LayoutMemory(tmp_path)) as stage:
            assert shown(stage) == expected


async def test_a_maximized_panel_is_kept_until_it_is_restored(tmp_path: Path) -> None:
    async with staged(FakeSession(running()), (120, 36), layout_memory=LayoutMemory(tmp_path)) as stage:
        await stage.press("8", "f")
    async with staged(FakeSession(running()), (120, 36), layout_memory=LayoutMemory(tmp_path)) as stage:
        assert shown(stage) == {"log"}
        await stage.pilot.resize_terminal(80, 24)
        await stage.pilot.pause()
        assert shown(stage) == {"log"}, "a window that is dragged does not lose it"
        await stage.pilot.resize_terminal(120, 36)
        await stage.press("escape")
    async with staged(FakeSession(running()), (120, 36), layout_memory=LayoutMemory(tmp_path)) as stage:
        assert shown(stage) == set(PANELS)


async def test_zero_forgets_what_was_chosen_for_this_class_of_sizes(tmp_path: Path) -> None:
    (tmp_path / "layout.json").write_text(
        '{"small": {"tab": "log"}, "medium": {"hidden": ["log"], "maximized": "losses"}}'
    )
    async with staged(FakeSession(running()), (120, 36), layout_memory=LayoutMemory(tmp_path)) as stage:
        assert shown(stage) == {"losses"}
        await stage.press("0")
        assert shown(stage) == set(PANELS)
    assert json.loads((tmp_path / "layout.json").read_text()) == {"small": {"tab": "log"}}


async def test_a_file_that_will_not_do_is_one_line_and_the_standard_layout(tmp_path: Path) -> None:
    (tmp_path / "layout.json").write_text("no")
    async with staged(FakeSession(running()), (200, 60), layout_memory=LayoutMemory(tmp_path)) as stage:
        assert "layout.json is passed over: it is not JSON; 0 puts the standard layout in its place" in stage.header
        assert shown(stage) == set(PANELS)
        await stage.press("0")
    assert json.loads((tmp_path / "layout.json").read_text()) == {}


async def test_a_folder_that_cannot_be_written_is_told_and_the_layout_holds(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    memory = LayoutMemory(tmp_path / "file" / "perx-tui")
    async with staged(FakeSession(running()), (160, 48), layout_memory=memory) as stage:
        await stage.press("5", "f")
        assert "the layout cannot be remembered" in stage.header
        assert shown(stage) == {"phases"}


# ---- the file ----


@given(st.fixed_dictionaries(dict.fromkeys(SIZE_CLASSES, LAYOUT)))
def test_what_is_written_is_read_back(layouts: dict[Any, PanelLayout]) -> None:
    assert from_record(json.loads(json.dumps(to_record(layouts)))) == layouts


def test_the_standard_layouts_are_an_empty_record() -> None:
    assert to_record(standard()) == {}
    assert from_record({}) == standard()


@pytest.mark.parametrize(
    "record",
    [
        [], "x", 3, {"huge": {}}, {"small": []}, {"small": {"hidden": "log"}}, {"small": {"hidden": ["no"]}},
        {"small": {"hidden": [["log"]]}}, {"small": {"tab": 3}}, {"small": {"tab": ["log"]}},
        {"large": {"maximized": "no"}}, {"large": {"maximized": 0}}, {"tiny": {"hidden": list(PANELS)}},
    ],
)  # fmt: skip
def test_a_record_that_will_not_do_changes_nothing_and_is_told_in_one_line(record: object, tmp_path: Path) -> None:
    (tmp_path / "layout.json").write_text(json.dumps(record))
    layouts = standard()
    told = LayoutMemory(tmp_path).load(layouts)
    assert layouts == standard()
    assert len(told.splitlines()) == 1
    assert "layout.json is passed over" in told


def test_nothing_is_written_where_nothing_was_changed(tmp_path: Path) -> None:
    memory, layouts = LayoutMemory(tmp_path / "perx-tui"), standard()
    assert memory.load(layouts) == memory.save(layouts) == ""
    assert not (tmp_path / "perx-tui").exists()
    layouts["small"].tab = "log"
    assert memory.save(layouts) == ""
    assert [path.name for path in (tmp_path / "perx-tui").iterdir()] == ["layout.json"]
    (tmp_path / "perx-tui" / "layout.json").unlink()
    assert memory.save(layouts) == ""
    assert not list((tmp_path / "perx-tui").iterdir())


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60)])
def test_hidden_panels_leave_no_hole(snap_compare: Any, size: tuple[int, int]) -> None:
    from driving import build

    async def prepare(pilot: Pilot[Any]) -> None:
        await pilot.pause()
        await pilot.press("7", "h", "5", "h", "2", "h")
        await pilot.pause()

    assert snap_compare(build(FakeSession(running())), terminal_size=size, run_before=prepare)
