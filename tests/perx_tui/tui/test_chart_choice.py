"""What a person has chosen to see."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from fakes import metrics
from hypothesis import given
from hypothesis import strategies as st

from perx_tui.tui.chart_choice import FIRST, MOST, Choice, nearest, translated
from perx_tui.tui.history import History
from perx_tui.tui.remembered import ChartMemory, config_folder

AXIS = st.lists(st.floats(0, 1000), min_size=1, max_size=30, unique=True).map(sorted)


@pytest.fixture
def history() -> History:
    made = History()
    made.feed([metrics(iteration) for iteration in range(1, 201)])
    return made


@given(AXIS, st.floats(-100, 1100))
def test_the_nearest_point_is_the_nearest_of_all(xs: list[float], x: float) -> None:
    place = nearest(xs, x)
    assert place is not None
    assert abs(xs[place] - x) == min(abs(each - x) for each in xs)


@given(AXIS, st.floats(0.5, 4), st.floats(0, 1000))
def test_a_place_on_one_axis_has_its_place_on_the_other_and_back(xs: list[float], ratio: float, x: float) -> None:
    xs = [value + 1 for value in xs]
    times = [ratio * value for value in xs]
    assert translated(x, xs, times) == pytest.approx(ratio * x, rel=1e-6, abs=1e-6)
    assert translated(translated(x, xs, times), times, xs) == pytest.approx(x, rel=1e-6, abs=1e-6)


def test_pins_have_looks_of_their_own_and_a_bound() -> None:
    choice = Choice()
    assert choice.unpin(FIRST) == "one metric stays; pin another one first (/)"
    for number in range(MOST - 1):
        assert choice.toggle(f"m{number}") == ""
    assert "6 metrics are pinned" in choice.toggle("one more")
    looks = [choice.look(place) for place in range(MOST)]
    assert len({hue for hue, _ in looks}) == len({marker for _, marker in looks}) == MOST
    assert choice.toggle("m1") == ""
    assert "m1" not in choice.pinned
    assert 0 <= choice.active < len(choice.pinned)


def test_every_change_grows_the_version(history: History) -> None:
    choice = Choice()
    for change in (
        lambda: choice.toggle("sps"),
        lambda: choice.step_active(1),
        lambda: choice.swap_axis(history),
        lambda: choice.point_at(history, 50.0),
        lambda: choice.move_cursor(history, 1, 100),
        lambda: choice.unpin("sps"),
        lambda: choice.only("sps"),
    ):
        before = choice.version
        change()
        assert choice.version > before


def test_the_window_stays_on_the_same_part_of_the_run_when_the_axis_changes(history: History) -> None:
    choice = Choice()
    choice.viewport.show(2_000_000, 3_000_000, choice.last(history))
    choice.point_at(history, 2_500_000)
    steps = choice.cursor
    choice.swap_axis(history)
    sps = 41_700.0
    assert choice.window(history) == pytest.approx((2_000_000 / sps, 3_000_000 / sps), rel=1e-3)
    assert choice.cursor == pytest.approx((steps or 0) / sps, rel=1e-6)
    choice.swap_axis(history)
    assert choice.window(history) == pytest.approx((2_000_000, 3_000_000), rel=1e-3)


def test_the_crosshair_goes_to_the_next_point_or_the_next_column(history: History) -> None:
    choice = Choice()
    series = history.series(FIRST)
    assert series is not None
    choice.move_cursor(history, 1, 20)
    assert choice.cursor == series.xs[0]
    choice.move_cursor(history, 1, 20)
    assert choice.cursor is not None
    assert choice.cursor - series.xs[0] > 5 * (series.xs[1] - series.xs[0]), (
        "ten points in a column: it moves by columns"
    )
    choice.viewport.show(series.xs[10], series.xs[14], choice.last(history))
    choice.point_at(history, series.xs[12])
    choice.move_cursor(history, 1, 400)
    assert choice.cursor == series.xs[13], "a hundred columns to a point: it moves by points"
    for _ in range(5):
        choice.move_cursor(history, 1, 400)
    start, end = choice.window(history)
    assert start <= choice.cursor <= end, "the window goes along"


# ---- what is remembered ----


def test_what_was_shown_is_remembered(tmp_path: Path) -> None:
    memory = ChartMemory(tmp_path / "perx-tui")
    assert memory.load(Choice()) == "", "nothing is there yet"
    choice = Choice(pinned=["sps", "loss/value"], time=True, log=True, stacked=False, smoothing=2)
    assert memory.save(choice) == ""
    again = Choice()
    assert memory.load(again) == ""
    kept = ("pinned", "time", "log", "stacked", "smoothing")
    assert [getattr(again, name) for name in kept] == [getattr(choice, name) for name in kept]
    assert [path.name for path in (tmp_path / "perx-tui").iterdir()] == ["charts.json"]
    assert stat.S_IMODE((tmp_path / "perx-tui").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"{", "it is not JSON"),
        (b"\xff\xfe", "it is not JSON"),
        (b"[" * 5000, "it is not JSON"),
        (b"[]", "it is not a JSON object"),
        (b" " * 20_000, "it is too large"),
        (b'{"pinned": []}', "pinned must be 1 to 6 different names"),
        (b'{"pinned": "sps"}', "pinned must be 1 to 6 different names"),
        (b'{"pinned": ["sps", "sps"]}', "pinned must be 1 to 6 different names"),
        (b'{"pinned": ["a\\u001b[2J"]}', "pinned must be 1 to 6 different names"),
        (b'{"pinned": ["sps"], "log": 1}', "log must be true or false"),
        (b'{"pinned": ["sps"], "smoothing": true}', "smoothing must be a whole number from 0 to 3"),
        (b'{"pinned": ["sps"], "smoothing": 9}', "smoothing must be a whole number from 0 to 3"),
    ],
)
def test_a_bad_file_costs_a_warning_and_changes_nothing(tmp_path: Path, data: bytes, problem: str) -> None:
    (tmp_path / "charts.json").write_bytes(data)
    choice = Choice()
    told = ChartMemory(tmp_path).load(choice)
    assert problem in told
    assert "\n" not in told
    assert choice == Choice()


def test_a_folder_that_cannot_be_written_costs_a_warning(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    told = ChartMemory(tmp_path / "file" / "perx-tui").save(Choice())
    assert told.startswith("the pinned metrics cannot be remembered: ")
    assert "cannot be read" in ChartMemory(tmp_path / "file" / "perx-tui").load(Choice())


def test_the_folder_is_where_the_desktop_keeps_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert config_folder({}) == Path("/home/somebody/.config/perx-tui")
    assert config_folder({"XDG_CONFIG_HOME": "/etc/xdg"}) == Path("/etc/xdg/perx-tui")
    assert config_folder({"XDG_CONFIG_HOME": "relative"}) == Path("/home/somebody/.config/perx-tui")


def test_the_file_is_plain_json(tmp_path: Path) -> None:
    ChartMemory(tmp_path).save(Choice())
    assert json.loads((tmp_path / "charts.json").read_text())["pinned"] == [FIRST]
