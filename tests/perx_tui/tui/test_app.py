"""Every key and what it does, on a session that only remembers its commands."""

from __future__ import annotations

from dataclasses import replace

import pytest
from driving import Stage, staged
from fakes import FakeSession, clip, failed, paused, running, starting
from textual.command import CommandPalette
from textual.geometry import Region

from perx_tui.tui.arrangement import PANELS
from perx_tui.tui.keys import KEYS
from perx_tui.tui.lines import text_of
from perx_tui.tui.panel import Lines
from perx_tui.tui.screens.help import HelpScreen
from perx_tui.tui.screens.question import QuestionScreen
from perx_tui.tui.screens.quit import OPTIONS, QuitScreen


async def test_the_session_is_started_after_the_first_paint_and_watched() -> None:
    session = FakeSession(starting())
    async with staged(session):
        assert session.commands == [("watch", 0), ("start", None)]


async def test_a_session_that_was_started_before_is_not_started_again() -> None:
    session = FakeSession(running())
    session.start()
    async with staged(session):
        assert session.commands.count(("start", None)) == 1


async def test_without_autostart_the_session_is_left_alone() -> None:
    session = FakeSession(starting())
    async with staged(session, autostart=False):
        assert ("start", None) not in session.commands


async def test_space_pauses_and_says_so_before_the_trainer_has_answered() -> None:
    async with staged(FakeSession()) as stage:
        assert "► running" in stage.header
        await stage.press("space")
        assert stage.commands == [("pause", None)]
        assert "pausing…" in stage.header
        stage.session.current = paused()
        await stage.tick()
        assert "paused" in stage.header
        assert "pausing" not in stage.header
        assert "resume" in stage.footer


async def test_space_resumes_a_paused_run() -> None:
    async with staged(FakeSession(paused())) as stage:
        await stage.press("space")
        assert stage.commands == [("resume", None)]
        assert "resuming…" in stage.header
        stage.session.current = running()
        await stage.tick()
        assert "► running" in stage.header


async def test_a_run_held_amid_a_minibatch_still_says_how_it_goes_on() -> None:
    async with staged(FakeSession(replace(paused(), stage="train 3/8")), (80, 24)) as stage:
        assert "space goes on, s trains one iteration" in stage.header
        assert "train 3/8" not in stage.header


async def test_a_run_out_of_reach_is_asked_for_nothing_and_goes_at_no_speed() -> None:
    lost = replace(running(), state="disconnected", stage="nobody answers; trying again")
    async with staged(FakeSession(lost), (80, 24), attached=True) as stage:
        assert "steps/s" not in "".join(stage.rows("throughput"))
        assert "pause" not in stage.footer
        for key in ("space", "c", "s"):
            await stage.press(key)
            assert "the run does not answer" in stage.header
        assert stage.commands == []


async def test_space_twice_takes_the_pause_back() -> None:
    async with staged(FakeSession()) as stage:
        await stage.press("space", "space")
        assert stage.commands == [("pause", None), ("resume", None)]


async def test_space_resumes_a_paused_run_that_runs_on_to_save() -> None:
    """Law: a key means what it said when it was last pressed, also while the run has to move to obey another one."""
    async with staged(FakeSession(replace(paused(), checkpoint_step=None))) as stage:
        await stage.press("c")
        stage.session.current = replace(running(), checkpoint_step=None)
        await stage.tick()
        await stage.press("space")
        assert stage.commands == [("checkpoint", None), ("resume", None)]


async def test_s_trains_one_iteration_of_a_paused_run() -> None:
    async with staged(FakeSession(paused(250), obey=True)) as stage:
        assert "step" in stage.footer
        await stage.press("s")
        assert stage.commands == [("step", None)]
        assert "one step…" in stage.header
        await stage.tick()
        assert "paused" in stage.header
        assert "251" in stage.rows("throughput")[0]


async def test_s_explains_itself_while_the_run_is_not_paused() -> None:
    async with staged(FakeSession()) as stage:
        assert "step" not in stage.footer
        await stage.press("s")
        assert stage.commands == []
        assert "pause first" in stage.header
        await stage.tick(5.0)
        assert "pause first" not in stage.header


async def test_c_saves_and_tells_the_name_of_the_checkpoint() -> None:
    async with staged(FakeSession(obey=True)) as stage:
        await stage.press("c")
        assert stage.commands == [("checkpoint", None)]
        assert "saving…" in stage.header
        await stage.tick()
        assert "saved step-000008192000" in stage.header
        assert "► running" in stage.header


async def test_a_checkpoint_that_was_there_before_confirms_nothing() -> None:
    async with staged(FakeSession()) as stage:
        await stage.press("c")
        await stage.tick()
        assert "saving…" in stage.header


async def test_a_command_that_is_never_confirmed_does_not_claim_to_be_under_way_for_ever() -> None:
    async with staged(FakeSession()) as stage:
        await stage.press("c")
        await stage.tick(30.0)
        assert "saving…" not in stage.header


async def test_n_watches_the_next_environment_and_wraps_around() -> None:
    async with staged(FakeSession(obey=True)) as stage:
        stage.session.current = replace(running(), clip=clip(250, environment=511))
        await stage.tick()
        await stage.press("n")
        assert stage.session.commands[-1] == ("watch", 0)
        assert "env 0 …" in stage.rows("episode")[0]
        await stage.tick()
        await stage.tick()
        assert "env 0 ─" in stage.rows("episode")[0]
        await stage.press("N")
        assert stage.session.commands[-1] == ("watch", 511)


async def test_n_pressed_three_times_goes_three_environments_on() -> None:
    async with staged(FakeSession()) as stage:
        await stage.press("n", "n", "n")
        assert [value for name, value in stage.session.commands if name == "watch"] == [0, 1, 2, 3]


async def test_n_before_there_are_environments_says_so() -> None:
    async with staged(FakeSession(starting())) as stage:
        await stage.press("n")
        assert stage.commands == []
        assert "not there yet" in stage.header


@pytest.mark.parametrize("size", [(50, 20), (80, 24), (160, 48)])
async def test_digits_bring_their_panel_into_sight(size: tuple[int, int]) -> None:
    async with staged(FakeSession(), size) as stage:
        for number, name in enumerate(PANELS, start=1):
            await stage.press(str(number))
            panel = stage.app.dashboard.panels[name]
            assert panel.display
            assert stage.app.focused is panel
            assert f"╭─ {number} " in stage.rows(name)[0]


async def test_tab_goes_through_the_panels_that_are_seen() -> None:
    async with staged(FakeSession(), (80, 24)) as stage:
        seen = []
        for _ in range(4):
            await stage.press("tab")
            assert stage.app.focused is not None
            seen.append(stage.app.focused.id)
        assert seen == ["throughput", "episode", "curve", "throughput"]
        await stage.press("shift+tab")
        assert stage.app.focused is not None
        assert stage.app.focused.id == "curve"


@pytest.mark.parametrize("key", ["f", "enter"])
async def test_a_panel_is_maximized_and_restored(key: str) -> None:
    async with staged(FakeSession()) as stage:
        await stage.press("6", key)
        assert stage.app.dashboard.arrangement.panels == ("replay",)
        assert stage.app.dashboard.panels["replay"].size == (120, 34)
        assert "restore" in stage.footer
        await stage.press("escape")
        assert stage.app.dashboard.arrangement.panels == PANELS
        await stage.press(key, key)
        assert stage.app.dashboard.arrangement.panels == PANELS


async def test_a_digit_changes_which_panel_is_maximized() -> None:
    async with staged(FakeSession()) as stage:
        await stage.press("6", "f", "5")
        assert stage.app.dashboard.arrangement.panels == ("phases",)


async def test_a_double_click_maximizes() -> None:
    async with staged(FakeSession()) as stage:
        await stage.pilot.click("#losses", times=2)
        await stage.pilot.pause()
        assert stage.app.dashboard.arrangement.panels == ("losses",)


async def test_escape_without_anything_to_restore_drops_the_focus() -> None:
    async with staged(FakeSession()) as stage:
        await stage.press("3", "escape")
        assert stage.app.focused is None


async def test_question_mark_shows_every_key_of_the_table() -> None:
    async with staged(FakeSession(), (80, 24)) as stage:
        await stage.press("question_mark")
        assert isinstance(stage.app.screen, HelpScreen)
        for key in (key for key in KEYS if key.display):
            assert f"{key.display}  {key.help}" in stage.text
        await stage.press("escape")
        assert not isinstance(stage.app.screen, HelpScreen)


@pytest.mark.parametrize("size", [(40, 12), (60, 20), (80, 24)])
async def test_every_key_of_the_help_can_be_read_from_the_keyboard(size: tuple[int, int]) -> None:
    async with staged(FakeSession(), size) as stage:
        await stage.press("question_mark")
        top = stage.text
        seen = {*top.split("\n")}
        assert ("scroll, esc closes" in top) == (len(text_of(_keys_of(stage).lines(size[0] - 6, 0))) > size[1] - 2)
        for key in [*["pagedown"] * 20, "down"]:
            await stage.press(key)
            seen |= {*stage.text.split("\n")}
        read = "\n".join(seen)
        assert all(word in read for key in KEYS if key.display for word in key.help.split())
        bottom = stage.text
        await stage.press("home")
        assert stage.text == top
        await stage.press("end")
        assert stage.text == bottom
        await stage.press("pageup", "up")
        assert size == (80, 24) or stage.text != bottom
        await stage.press("escape", "question_mark")
        assert stage.text == top


def _keys_of(stage: Stage) -> Lines:
    return stage.app.screen.query_one("#keys", Lines)


async def test_the_marked_answer_is_always_in_sight() -> None:
    for size in ((40, 12), (60, 20), (80, 24)):
        async with staged(FakeSession(), size) as stage:
            await stage.press("q")
            for option, consequence in zip(OPTIONS, ("Saves", "Closes", "Stay"), strict=True):
                assert f"► {option.key}  {option.name}" in stage.text
                assert consequence in stage.text
                assert all(f"{each.key}  {each.name}" in stage.text for each in OPTIONS)
                await stage.press("down")


async def test_of_a_question_longer_than_the_screen_what_is_marked_is_shown() -> None:
    async with staged(FakeSession(), (40, 12)) as stage:
        about = [f"run {number}" for number in range(30)]
        await stage.app.push_screen(QuestionScreen(stage.app.palette, "delete?", OPTIONS, about))
        await stage.pilot.pause()
        for option in (*OPTIONS, OPTIONS[0]):
            assert f"► {option.key}  {option.name}" in stage.text
            await stage.press("down")


async def test_the_palette_knows_every_command_of_the_table() -> None:
    async with staged(FakeSession()) as stage:
        await stage.press("ctrl+p")
        assert isinstance(stage.app.screen, CommandPalette)
        titles = {command.title for command in stage.app.get_system_commands(stage.app.screen)}
        assert {key.command for key in KEYS if key.command} <= titles


async def test_a_command_of_the_palette_acts() -> None:
    async with staged(FakeSession()) as stage:
        for command in stage.app.get_system_commands(stage.app.screen):
            if command.title == "Pause or resume training":
                command.callback()
        await stage.pilot.pause()
        assert stage.commands == [("pause", None)]


async def test_the_log_scrolls_and_stays_where_it_is_while_lines_come() -> None:
    session = FakeSession(running(2000))
    async with staged(session) as stage:
        newest = stage.rows("log")
        await stage.press("8", "pageup")
        old = stage.rows("log")
        assert old != newest
        assert "newer below" in old[0]
        line = session.current.log[-1]
        session.current = replace(session.current, sequence=9999, log=(*session.current.log, line))
        await stage.tick()
        assert stage.rows("log")[1:] == old[1:]
        await stage.press("end")
        assert "newer below" not in stage.rows("log")[0]


# ---- leaving ----


async def test_q_asks_and_escape_changes_nothing() -> None:
    async with staged(FakeSession()) as stage:
        await stage.press("q")
        assert isinstance(stage.app.screen, QuitScreen)
        for word in ("Stop with a checkpoint", "Keep training headless", "Cancel", "--resume"):
            assert word in stage.text
        await stage.press("escape")
        assert not isinstance(stage.app.screen, QuitScreen)
        assert stage.commands == []


@pytest.mark.parametrize("key", ["ctrl+c", "ctrl+q"])
async def test_the_usual_ways_out_ask_too(key: str) -> None:
    async with staged(FakeSession()) as stage:
        await stage.press(key)
        assert isinstance(stage.app.screen, QuitScreen)


async def test_stopping_waits_for_the_checkpoint() -> None:
    async with staged(FakeSession()) as stage:
        await stage.press("q", "s")
        assert stage.commands == [("stop", True)]
        assert "saving…" in stage.header
        await stage.tick()
        assert stage.app.return_value is None
        await stage.press("space")
        assert stage.commands == [("stop", True)]
        assert "being written" in stage.header
        stage.session.current = replace(running(), state="stopped")
        await stage.tick()
    assert stage.app.return_value == "stopped"


async def test_leaving_the_run_headless_ends_only_the_screen() -> None:
    async with staged(FakeSession()) as stage:
        await stage.press("q", "h")
    assert stage.app.return_value == "headless"
    assert stage.commands == []


async def test_arrows_and_enter_answer_the_dialog() -> None:
    async with staged(FakeSession()) as stage:
        await stage.press("q", "down", "enter")
    assert stage.app.return_value == "headless"


async def test_enter_alone_stops_with_a_checkpoint() -> None:
    async with staged(FakeSession(obey=True)) as stage:
        await stage.press("q", "enter")
        assert stage.commands == [("stop", True)]
        await stage.tick()
    assert stage.app.return_value == "stopped"


@pytest.mark.parametrize("state", ["finished", "failed", "stopped"])
async def test_a_run_that_has_ended_stays_on_the_screen_until_q(state: str) -> None:
    ended = replace(failed() if state == "failed" else running(), state=state)
    async with staged(FakeSession(ended)) as stage:
        await stage.tick()
        assert stage.app.return_value is None
        assert state in stage.header
        await stage.press("space", "c")
        assert stage.commands == []
        assert "training has ended" in stage.header
        await stage.press("q")
    assert stage.app.return_value == state


async def test_a_failure_while_stopping_is_not_called_stopped() -> None:
    async with staged(FakeSession()) as stage:
        await stage.press("q", "s")
        stage.session.current = failed()
        await stage.tick()
    assert stage.app.return_value == "failed"


async def test_a_terminal_that_has_gone_ends_the_screen_only() -> None:
    async with staged(FakeSession(), hung_up=lambda: True) as stage:
        await stage.pilot.pause()
    assert stage.app.return_value == "hangup"
    assert stage.commands == []


# ---- failure ----


async def test_a_failure_is_shown_with_its_reason_and_what_to_do() -> None:
    async with staged(FakeSession(), (80, 24)) as stage:
        stage.session.current = failed()
        await stage.tick()
        assert "✗ failed" in stage.header
        assert "the policy loss of iteration 251 is nan" in stage.text
        assert "perx-tui --resume" in stage.text
        assert "step-000008192000 (score" in stage.text
        await stage.press("escape")
        assert stage.app.dashboard.arrangement.panels == ("throughput", "episode", "curve")
        await stage.tick()
        assert stage.app.dashboard.arrangement.panels == ("throughput", "episode", "curve")


# ---- refreshing ----


async def _refreshes(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str | None, tuple[Region, ...]]]:
    seen: list[tuple[str | None, tuple[Region, ...]]] = []
    for widget in stage.app.dashboard.lines():
        original = widget.refresh

        def record(*regions: Region, _original: object = original, _id: str | None = widget.id, **more: object) -> None:
            seen.append((_id, regions))
            _original(*regions, **more)  # type: ignore[operator]

        monkeypatch.setattr(widget, "refresh", record)
    return seen


async def test_a_snapshot_that_says_nothing_new_draws_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with staged(FakeSession(), (160, 48)) as stage:
        await stage.tick()
        seen = await _refreshes(stage, monkeypatch)
        stage.app.tick()
        assert seen == []


async def test_a_frame_of_the_game_draws_only_the_rows_that_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    async with staged(FakeSession(), (160, 48)) as stage:
        await stage.tick()
        seen = await _refreshes(stage, monkeypatch)
        stage.clock.now += 0.1
        stage.app.play()
        assert [name for name, _ in seen] == ["episode"]
        regions = [region for _, regions in seen for region in regions]
        assert 1 <= len(regions) <= 9
        assert sum(region.width for region in regions) < 150


async def test_hidden_panels_and_covered_screens_are_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    async with staged(FakeSession(), (80, 24)) as stage:
        await stage.tick()
        seen = await _refreshes(stage, monkeypatch)
        stage.session.current = running(260)
        stage.session.past = FakeSession(running(260)).past
        stage.app.tick()
        drawn = {name for name, _ in seen}
        assert "curve" in drawn
        assert drawn.isdisjoint({"losses", "phases", "replay", "memory", "log"})
        await stage.press("question_mark")
        seen.clear()
        stage.session.current = running(270)
        await stage.tick()
        assert seen == []


async def test_nothing_is_drawn_while_the_terminal_still_takes_the_last_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = False
    async with staged(FakeSession(), backlog=lambda: slow) as stage:
        await stage.tick()
        seen = await _refreshes(stage, monkeypatch)
        slow = True
        stage.session.current = running(260)
        await stage.tick()
        assert seen == []
        slow = False
        await stage.tick()
        assert seen != []


async def test_a_long_past_is_taken_in_slices() -> None:
    """A resumed run of thousands of iterations does not hold up a key."""
    async with staged(FakeSession(running(5000))) as stage:
        assert stage.app._history.iteration == 1000
        for _ in range(4):
            await stage.tick()
        assert stage.app._history.iteration == 5000


async def test_resizing_moves_the_panels_and_keeps_their_content() -> None:
    async with staged(FakeSession(), (80, 24)) as stage:
        await stage.pilot.resize_terminal(160, 48)
        await stage.pilot.pause()
        assert stage.app.dashboard.arrangement.panels == PANELS
        assert "43.0k steps/s" in stage.text
        assert "alpha" in stage.text
        await stage.pilot.resize_terminal(30, 8)
        await stage.pilot.pause()
        assert "too small" in stage.text


async def test_a_theme_recolours_every_panel() -> None:
    async with staged(FakeSession()) as stage:
        before = stage.app.palette.style("blue")
        stage.app.theme = "perx-light"
        await stage.pilot.pause()
        assert stage.app.palette.style("blue") != before
        assert all(widget.palette is stage.app.palette for widget in stage.app.dashboard.lines())


@pytest.mark.parametrize("theme", ["ansi-dark", "gruvbox", "perx-light"])
async def test_every_theme_can_be_the_first(theme: str) -> None:
    async with staged(FakeSession(), theme=theme) as stage:
        assert stage.app.theme == theme
        assert "throughput" in stage.text


async def test_an_unknown_theme_is_told_and_replaced() -> None:
    async with staged(FakeSession(), theme="no-such-theme") as stage:
        assert "no theme is called no-such-theme" in stage.header
        assert stage.app.theme == "perx-dark"


async def test_tabs_and_footer_can_be_clicked() -> None:
    async with staged(FakeSession(), (80, 24)) as stage:
        tabs = stage.text.split("\n")[6]
        await stage.pilot.click("#tabs", offset=(tabs.index("phases"), 0))
        await stage.pilot.pause()
        assert "phases" in stage.app.dashboard.arrangement.panels
        await stage.pilot.click("#footer", offset=(stage.footer.index("checkpoint"), 0))
        await stage.pilot.pause()
        assert stage.commands == [("checkpoint", None)]


@pytest.mark.parametrize(("before", "after"), [((160, 48), (120, 36)), ((120, 36), (200, 60)), ((80, 24), (100, 30))])
async def test_after_a_resize_the_screen_is_as_if_it_had_begun_with_that_size(
    before: tuple[int, int], after: tuple[int, int]
) -> None:
    async with staged(FakeSession(), after) as stage:
        await stage.tick()
        fresh = stage.text
    async with staged(FakeSession(), before) as stage:
        await stage.pilot.resize_terminal(*after)
        await stage.pilot.pause()
        await stage.tick()
        assert stage.text == fresh


# ---- the episode ----


async def test_b_follows_the_best_episode_then_the_newest_then_one_environment_again() -> None:
    async with staged(FakeSession(obey=True), (160, 48)) as stage:
        await stage.tick()
        for wanted, heading in (("best", "best"), ("newest", "newest"), (7, "env 7")):
            await stage.press("b")
            assert stage.session.commands[-1] == ("watch", wanted)
            assert f"episode · {heading} …" in stage.rows("episode")[0]
            await stage.tick()
            await stage.tick()
            assert f"episode · {heading} ─" in stage.rows("episode")[0]
        await stage.press("b")
        await stage.tick()
        await stage.press("n")
        assert stage.session.commands[-1] == ("watch", 8)


async def test_plus_minus_and_z_change_the_speed_of_the_episode_and_nothing_else() -> None:
    async with staged(FakeSession(), (160, 48)) as stage:
        await stage.tick()
        for key, shown in (("plus", "2x"), ("minus", "value"), ("minus", "0.5x"), ("z", "▌▌ held"), ("z", "value")):
            await stage.press(key)
            assert shown in stage.rows("episode")[0]
        assert "x  value" not in stage.rows("episode")[0]
        assert stage.commands == []
        await stage.press("z")
        held = stage.rows("episode")[1:]
        await stage.tick(3.0)
        assert stage.rows("episode")[1:] == held
        await stage.press("p", "plus", "escape")
        assert "held" in stage.rows("episode")[0]


async def test_an_environment_is_watched_by_its_number() -> None:
    """Digits are no panels meanwhile; a number that does not exist is not taken."""
    async with staged(FakeSession(obey=True), (80, 24)) as stage:
        await stage.press("number_sign", "9", "9", "9")
        assert "environment 999" in stage.text
        assert "0 to 511" in stage.text
        await stage.press("enter")
        assert stage.commands == []
        await stage.press("backspace", "backspace", "4", "q", "enter")
        assert stage.session.commands[-1] == ("watch", 94)
        assert "env 94 …" in stage.rows("episode")[0]
        await stage.press("number_sign", "1", "escape")
        assert len(stage.app.screen_stack) == 1
        assert stage.session.commands[-1] == ("watch", 94)


async def test_a_number_is_not_asked_for_before_there_are_environments() -> None:
    async with staged(FakeSession(starting())) as stage:
        await stage.press("number_sign")
        assert "not there yet" in stage.header
