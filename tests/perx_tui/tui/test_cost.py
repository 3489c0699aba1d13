"""What the screen costs: the meter, the pace of charts, letters in the place of colours."""

from __future__ import annotations

import pytest
from driving import staged
from fakes import STATE, FakeRenderer, FakeSession, frame, running

from engine import ROLES
from perx_tui.tui.lines import text_of
from perx_tui.tui.meter import Meter
from perx_tui.tui.picture import Picture


def test_the_meter_tells_share_and_rate_over_its_window() -> None:
    now, used, written = 0.0, 0.0, 0
    meter = Meter(lambda: written, clock=lambda: now, used=lambda: used)
    assert meter.text() == ""
    now, used, written = 1.0, 0.5, 100_000
    assert meter.text() == ""
    now, used, written = 5.0, 0.2, 40_000
    assert meter.text() == "ui 4.0% 8.0 kB/s"
    now, used, written = 6.0, 5.0, 900_000
    assert meter.text() == "ui 4.0% 8.0 kB/s"
    now, used, written = 9.0, 0.9, 90_000
    assert meter.text() == "ui 18% 12 kB/s"


async def test_the_cost_stands_in_the_footer_where_there_is_room() -> None:
    for size, shown in (((160, 48), True), ((80, 24), False)):
        async with staged(FakeSession(), size, cost=lambda: "ui 4% 8 kB/s") as stage:
            await stage.tick()
            assert ("ui 4% 8 kB/s" in stage.footer) == shown


async def test_a_chart_is_drawn_anew_once_a_second_at_most() -> None:
    session = FakeSession(running(250))
    async with staged(session, (160, 48)) as stage:
        await stage.tick(2.0)
        drawn = []
        for iteration in range(251, 259):
            session.current = running(iteration)
            session.past = FakeSession(session.current).past
            await stage.tick(0.25)
            drawn.append(stage.app.dashboard.panels["curve"]._chart._picture)  # type: ignore[attr-defined]
        assert len({id(lines) for lines in drawn}) == 2


def test_without_colours_letters_tell_what_is_where() -> None:
    rows = text_of(Picture(FakeRenderer(), ROLES, plain=True).lines(frame(0).state, 36, 14))
    assert all(row.isascii() for row in rows)
    assert rows[2].count("7") == 36
    assert rows[3].count("4") == 36
    assert rows[4].count("1") == 36
    assert "".join(rows).count("o") == 1
    assert rows[-1].count("=") == 4


def test_a_picture_can_lose_its_colours_while_it_is_shown() -> None:
    picture = Picture(FakeRenderer(), ROLES)
    state = STATE.pack(0, 5, 20, 0, 5, 0, 0)
    assert "▀" in "".join(text_of(picture.lines(state, 36, 14)))
    picture.plain = True
    assert "▀" not in "".join(text_of(picture.lines(state, 36, 14)))


async def test_no_color_draws_the_game_in_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with staged(FakeSession(), (80, 24)) as stage:
        await stage.tick()
        text = "\n".join(stage.rows("episode"))
        assert "====" in text
        assert "▀" not in text


async def test_a_panel_shows_the_focus_at_once_and_nothing_else_is_drawn_anew() -> None:
    """Without waiting for the next refresh, and without a drawing of the whole screen."""
    async with staged(FakeSession(), (160, 48)) as stage:
        await stage.tick()
        screen, panels = stage.app.screen, stage.app.dashboard.panels
        await stage.press("4")
        assert panels["losses"]._shown[0][0][1] == "blue"
        assert not screen._repaint_required
        await stage.press("5")
        assert panels["losses"]._shown[0][0][1] == "frame"
        assert panels["phases"]._shown[0][0][1] == "blue"
