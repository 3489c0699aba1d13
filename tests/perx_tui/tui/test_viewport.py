"""Windows on the x axis: zooming, panning, following."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perx_tui.tui.chart import roomy
from perx_tui.tui.viewport import Viewport

LAST = 1_000_000.0
MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("zoom"), st.floats(0.1, 10), st.floats(0, LAST)),
        st.tuples(st.just("pan"), st.floats(-2, 2), st.just(0.0)),
    ),
    max_size=30,
)


def moved(moves: list[tuple[str, float, float]]) -> Viewport:
    view = Viewport()
    for what, amount, at in moves:
        if what == "zoom":
            view.zoom(amount, at, LAST)
        else:
            view.pan(amount, LAST)
    return view


@given(MOVES)
def test_a_window_never_leaves_the_axis_and_never_vanishes(moves: list[tuple[str, float, float]]) -> None:
    start, end = moved(moves).shown(LAST)
    whole = roomy(LAST)
    assert start >= -whole / 16
    assert end <= whole * 17 / 16
    assert whole * 0.9e-4 <= end - start <= whole * (1 + 1e-9)


@given(st.floats(0.02, 0.6), st.floats(0.02, 0.3), st.floats(0.05, 0.95), st.floats(1.1, 3))
def test_zooming_keeps_what_is_under_the_pointer_in_its_place_and_back_undoes_it(
    start: float, width: float, share: float, factor: float
) -> None:
    """Inside of the axis, against the formula written out."""
    view = Viewport()
    view.show(start * LAST, (start + width) * LAST, LAST)
    before = view.shown(LAST)
    at = before[0] + share * (before[1] - before[0])
    view.zoom(factor, at, LAST)
    after = view.shown(LAST)
    assert after == pytest.approx((at - (at - before[0]) / factor, at + (before[1] - at) / factor), abs=1e-3)
    view.zoom(1 / factor, at, LAST)
    assert view.shown(LAST) == pytest.approx(before, abs=1e-3)


@given(st.floats(0.2, 0.5), st.floats(0.05, 0.2), st.floats(0.01, 0.9))
def test_panning_moves_by_shares_of_the_window_and_back(start: float, width: float, share: float) -> None:
    view = Viewport()
    view.show(start * LAST, (start + width) * LAST, LAST)
    before = view.shown(LAST)
    view.pan(share, LAST)
    shift = share * (before[1] - before[0])
    assert view.shown(LAST) == pytest.approx((before[0] + shift, before[1] + shift), abs=1e-3)
    view.pan(-share, LAST)
    assert view.shown(LAST) == pytest.approx(before, abs=1e-3)


def test_zooming_out_far_enough_shows_everything_again() -> None:
    view = Viewport()
    view.zoom(4, LAST / 2, LAST)
    assert not view.whole
    view.zoom(1 / 5, LAST / 2, LAST)
    assert view.whole
    assert view.shown(LAST) == (0.0, roomy(LAST))


def test_a_window_that_reaches_the_newest_point_follows_it_in_a_few_strides() -> None:
    view = Viewport()
    view.zoom(10, LAST, LAST)
    assert view.tail
    windows = []
    for point in range(1000):
        last = LAST + point * 100.0
        start, end = view.shown(last)
        assert start <= last <= end
        assert end - start == pytest.approx(windows[0][1] - windows[0][0] if windows else end - start)
        windows.append((start, end))
    assert 5 < len(set(windows)) < 40, "a window that moved with every point would be drawn anew with every point"


def test_a_window_in_the_past_stays_where_it_is() -> None:
    view = Viewport()
    view.show(100_000, 200_000, LAST)
    assert not view.tail
    assert view.shown(LAST) == view.shown(50 * LAST) == (100_000, 200_000)
