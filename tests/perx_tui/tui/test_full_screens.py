"""The screens that stand in place of the panels: every key of theirs, on a session that only remembers its commands."""

from __future__ import annotations

from dataclasses import replace

import pytest
from driving import Stage, staged
from fakes import FakeSession, kept, paused, running, segment, starting
from textual import events

from perx_tui.tui.keys import EDITOR_KEYS, PRIORITIZATION_KEYS, VIEWER_KEYS, Key
from perx_tui.tui.lines import text_of
from perx_tui.tui.panels.segments import COLUMNS
from perx_tui.tui.screens.editor import EditorScreen
from perx_tui.tui.screens.prioritization import PrioritizationScreen
from perx_tui.tui.screens.segment import SegmentScreen

SIZES = [(40, 12), (60, 20), (80, 24), (100, 30), (116, 34), (120, 36), (160, 48), (200, 60)]


def inspecting() -> FakeSession:
    session = FakeSession(kept())
    session.profile = session.profile.with_value("replay.factor", 1.0)
    return session


def body(stage: Stage, name: str) -> str:
    """A panel of the open screen as text."""
    panel = next(panel for panel in stage.app.screen.panels if panel.id == name)  # type: ignore[attr-defined]
    return "\n".join(text_of(panel._shown))


# ---- opening and closing ----


@pytest.mark.parametrize(
    ("key", "kind"), [("p", PrioritizationScreen), ("v", SegmentScreen), ("e", EditorScreen)], ids=["p", "v", "e"]
)
async def test_a_screen_opens_by_its_key_and_escape_leads_back(key: str, kind: type) -> None:
    async with staged(FakeSession(), (80, 24)) as stage:
        await stage.press(key)
        assert isinstance(stage.app.screen, kind)
        await stage.press("escape")
        assert len(stage.app.screen_stack) == 1
        assert "throughput" in stage.text


@pytest.mark.parametrize("key", ["p", "v"])
async def test_the_key_that_opened_a_screen_closes_it(key: str) -> None:
    async with staged(FakeSession(), (80, 24)) as stage:
        await stage.press(key, key)
        assert len(stage.app.screen_stack) == 1


async def test_no_screen_is_opened_twice() -> None:
    async with staged(FakeSession(), (80, 24)) as stage:
        await stage.press("p", "v", "p")
        assert isinstance(stage.app.screen, PrioritizationScreen)
        assert len(stage.app.screen_stack) == 2


async def test_a_digit_leads_from_a_full_screen_to_its_panel() -> None:
    async with staged(FakeSession(), (80, 24)) as stage:
        await stage.press("v", "5")
        assert len(stage.app.screen_stack) == 1
        assert "phases" in stage.app.dashboard.arrangement.panels


async def test_training_is_steered_from_the_prioritization_screen_too() -> None:
    async with staged(FakeSession(), (80, 24)) as stage:
        await stage.press("p", "space")
        assert ("pause", None) in stage.commands
        assert "pausing…" in stage.text
        await stage.press("q", "h")
    assert stage.app.return_value == "headless"


@pytest.mark.parametrize(
    ("keys", "table"),
    [(("p", "question_mark"), PRIORITIZATION_KEYS), (("v", "question_mark"), VIEWER_KEYS), (("e", "f1"), EDITOR_KEYS)],
    ids=["p", "v", "e"],
)
async def test_help_shows_the_keys_of_the_screen_it_was_called_from(
    keys: tuple[str, ...], table: tuple[Key, ...]
) -> None:
    async with staged(FakeSession(), (80, 24)) as stage:
        await stage.press(*keys)
        for key in table:
            assert not key.display or key.help in stage.text, key.help


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("key", ["p", "v", "e"])
async def test_every_screen_draws_at_every_size_before_and_while_it_trains(size: tuple[int, int], key: str) -> None:
    """Law: no state of the run and no size breaks a screen, and no figure is cut."""
    for snapshot in (starting(), kept()):
        async with staged(FakeSession(snapshot, past=snapshot.iteration), size) as stage:
            await stage.press(key)
            for _ in range(3):
                await stage.press("tab")
                assert all(len(row) <= size[0] for row in stage.text.split("\n"))
                if size[0] >= 80 and key != "e":
                    shown = [panel for panel in stage.app.screen.panels if panel.display]  # type: ignore[attr-defined]
                    texts = [body(stage, panel.id) for panel in shown]
                    assert not any("…" in text for text in texts if "asked" not in text), texts


@pytest.mark.parametrize("key", ["p", "v", "e"])
async def test_a_theme_recolours_an_open_screen(key: str) -> None:
    async with staged(FakeSession(), (80, 24)) as stage:
        await stage.press(key)
        stage.app.theme = "perx-light"
        await stage.pilot.pause()
        screen = stage.app.screen
        assert all(widget.palette is stage.app.palette for widget in screen.lines())  # type: ignore[attr-defined]


# ---- prioritization ----


async def test_the_table_is_asked_for_only_while_the_screen_is_open() -> None:
    async with staged(FakeSession(), (80, 24)) as stage:
        await stage.press("p")
        assert stage.commands == [("inspect", True)]
        await stage.press("escape")
        assert stage.commands == [("inspect", True), ("inspect", False)]


async def test_leaving_the_app_gives_the_table_up() -> None:
    async with staged(FakeSession(), (80, 24)) as stage:
        await stage.press("p", "q", "h")
    assert stage.commands[-1] == ("inspect", False)


async def test_at_80x24_tabs_share_the_screen() -> None:
    async with staged(inspecting(), (80, 24)) as stage:
        await stage.press("p")
        for word in ("priorities", "uses", "weights", "ages"):
            assert word in stage.text
        await stage.press("tab")
        for word in ("in force", "over time", "effective 71.3%", "clipped, by age", "30.7%"):
            assert word in stage.text
        await stage.press("tab")
        assert "▼priority" in stage.text
        await stage.press("shift+tab", "shift+tab")
        assert "below: older iterations" in stage.text
        await stage.pilot.click("#tabs", offset=(20, 0))
        await stage.pilot.pause()
        assert "in force" in stage.text


async def test_at_160x48_everything_is_seen_at_once() -> None:
    async with staged(inspecting(), (160, 48)) as stage:
        await stage.press("p")
        for word in ("priorities", "uses", "weights", "ages", "over time", "in force", "clipped, by age", "segments"):
            assert word in stage.text
        for word in ("prioritized", "sum", "0.80", "0.42", "topk", "1 of 1,024", "95.2%", "71.3%", "36.2%", "50.0%"):
            assert word in stage.text
        assert "next tab" not in stage.text


async def test_what_was_drawn_before_stays_below_the_bars() -> None:
    """An iteration that has gone by adds one row of shades; the same snapshot again adds none."""
    session = FakeSession(running(250))
    async with staged(session, (80, 24)) as stage:
        await stage.press("p")
        assert "░" not in body(stage, "uses")
        await stage.tick()
        assert "░" not in body(stage, "uses")
        session.current = running(251)
        await stage.tick()
        assert body(stage, "uses").count("░░") > 0


async def test_fresh_segments_only_are_told_in_words() -> None:
    async with staged(FakeSession(), (160, 48)) as stage:
        await stage.press("p")
        assert "every segment is fresh" in " ".join(body(stage, "ages").replace("│", " ").split())
        assert "fresh" in body(stage, "clip")
        assert "0 (fresh only)" in body(stage, "force")


async def test_an_edit_is_seen_in_force() -> None:
    async with staged(FakeSession(), (160, 48)) as stage:
        await stage.press("p")
        stage.session.profile = stage.session.profile.with_value("replay.metric", "max")
        await stage.tick()
        assert "max" in body(stage, "force").split("metric of priority")[1].split("\n")[0]


@pytest.mark.parametrize("column", range(len(COLUMNS)))
async def test_the_table_sorts_by_every_column_and_back(column: int) -> None:
    async with staged(inspecting(), (160, 48)) as stage:
        await stage.press("p")
        table = stage.app.screen.segments  # type: ignore[attr-defined]
        await stage.press(*["right"] * ((column - 2) % len(COLUMNS)))
        values = [getattr(row, COLUMNS[column].field) for row in table.rows()]
        downward = "▼" in body(stage, "segments")
        assert values == sorted(values, reverse=downward)
        await stage.press("r")
        values = [getattr(row, COLUMNS[column].field) for row in table.rows()]
        assert values == sorted(values, reverse=not downward)
        assert ("▲" if downward else "▼") + COLUMNS[column].heading in body(stage, "segments")


async def test_left_goes_to_the_column_before() -> None:
    async with staged(inspecting(), (160, 48)) as stage:
        await stage.press("p", "left")
        assert "▲agent" in body(stage, "segments")


async def test_the_cursor_moves_by_rows_pages_and_to_the_ends() -> None:
    async with staged(inspecting(), (80, 24)) as stage:
        await stage.press("p", "down")
        table = stage.app.screen.segments  # type: ignore[attr-defined]
        assert table.display, "a cursor that moves is seen"
        places = []
        for key in ("down", "pagedown", "up", "pageup", "end", "home"):
            await stage.press(key)
            places.append(table.cursor)
        page = table.page
        assert places == [2, 2 + page, 1 + page, 1, 1023, 0]


async def test_headings_and_rows_can_be_clicked() -> None:
    async with staged(inspecting(), (160, 48)) as stage:
        await stage.press("p")
        heading = body(stage, "segments").split("\n")[1]
        await stage.pilot.click("#segments", offset=(heading.index("uses") + 1, 1))
        await stage.pilot.pause()
        assert "▼uses" in body(stage, "segments")
        await stage.pilot.click("#segments", offset=(heading.index("uses") + 1, 1))
        await stage.pilot.pause()
        assert "▲uses" in body(stage, "segments")
        await stage.pilot.click("#segments", offset=(20, 5), times=2)
        await stage.pilot.pause()
        assert isinstance(stage.app.screen, SegmentScreen)


async def test_enter_watches_the_segment_under_the_cursor() -> None:
    async with staged(inspecting(), (160, 48)) as stage:
        await stage.press("p", "down", "down")
        chosen = stage.app.screen.segments.chosen  # type: ignore[attr-defined]
        await stage.press("enter")
        assert isinstance(stage.app.screen, SegmentScreen)
        assert ("segment", ("index", chosen.index)) in stage.commands
        await stage.press("escape")
        assert isinstance(stage.app.screen, PrioritizationScreen)
        assert stage.commands.count(("inspect", False)) == 0


async def test_before_the_table_has_come_the_top_segments_are_listed() -> None:
    async with staged(FakeSession(running()), (160, 48)) as stage:
        await stage.press("p")
        assert "1 of 10 · 512 in all" in body(stage, "segments")


# ---- viewer ----


async def watched(stage: Stage) -> SegmentScreen:
    """The viewer with a segment in it."""
    await stage.press("v")
    await stage.tick()
    screen = stage.app.screen
    assert isinstance(screen, SegmentScreen)
    assert screen.watching.view is not None
    return screen


async def test_the_viewer_asks_for_the_highest_priority_and_shows_its_largest_surprise() -> None:
    async with staged(FakeSession(obey=True), (80, 24)) as stage:
        await watched(stage)
        assert stage.commands == [("segment", ("priority", 0))]
        assert "by priority  rank 1  priority 14.2  used 7x  age 0  iteration 250" in stage.text
        assert "step 42 of 64" in stage.text
        for word in ("surprise 1 of 64", "worse than expected", "left", "12.2%", "score 63"):
            assert word in stage.text


async def test_until_a_segment_comes_the_viewer_says_when_it_will() -> None:
    async with staged(FakeSession(), (80, 24)) as stage:
        await stage.press("v")
        assert "at the end of the iteration" in stage.text
        assert "no segment has come yet" in stage.text


@pytest.mark.parametrize(
    ("key", "by"), [("h", "priority"), ("u", "uses"), ("o", "age"), ("x", "random")], ids=["h", "u", "o", "x"]
)
async def test_keys_choose_the_segment(key: str, by: str) -> None:
    async with staged(FakeSession(obey=True), (80, 24)) as stage:
        screen = await watched(stage)
        await stage.press(key)
        assert stage.commands[-1] == ("segment", (by, 0))
        stage.session.current = replace(stage.session.current, segment=segment(251, by))
        await stage.tick()
        assert screen.watching.view is not None
        assert screen.watching.view.chosen == by


async def test_n_goes_down_the_ranks_and_back() -> None:
    async with staged(FakeSession(obey=True), (80, 24)) as stage:
        await watched(stage)
        await stage.press("n")
        await stage.tick()
        assert "rank 2" in stage.text
        await stage.press("n", "N", "N", "N")
        asked = [value for name, value in stage.commands if name == "segment"]
        assert asked[1:] == [("priority", 1), ("priority", 2), ("priority", 1), ("priority", 0), ("priority", 0)]


async def test_a_segment_does_not_change_under_the_eyes_until_r_asks() -> None:
    async with staged(FakeSession(obey=True), (80, 24)) as stage:
        await watched(stage)
        stage.session.current = replace(running(260), segment=segment(260))
        await stage.tick(60)
        assert "iteration 250" in stage.text
        await stage.press("r")
        assert stage.commands[-1] == ("segment", ("priority", 0))
        stage.session.current = replace(running(261), segment=segment(261))
        await stage.tick()
        assert "iteration 261" in stage.text


async def test_a_paused_run_answers_with_the_same_segment() -> None:
    async with staged(FakeSession(replace(paused(), segment=segment(250)), obey=True), (80, 24)) as stage:
        await stage.press("v")
        await stage.tick(5.0)
        assert "step 42 of 64" in stage.text


async def test_a_run_that_has_ended_is_asked_for_no_segment() -> None:
    async with staged(FakeSession(replace(kept(), state="finished")), (80, 24)) as stage:
        await stage.press("v")
        await stage.tick()
        assert "the run has ended: no segment can be looked up" in body(stage, "facts")
        assert "no segment was looked up" in body(stage, "state")
        await stage.press("escape", "p", "tab", "tab", "enter")
        assert isinstance(stage.app.screen, PrioritizationScreen)
        assert "the run has ended: no segment can be looked up" in stage.text
        assert not any(name == "segment" for name, _ in stage.commands)


async def test_what_was_watched_before_the_end_is_no_answer_to_what_is_asked_after_it() -> None:
    async with staged(FakeSession(obey=True), (80, 24)) as stage:
        await watched(stage)
        stage.session.current = replace(stage.session.current, state="finished")
        for key in ("h", "n", "r", "x"):
            await stage.press(key)
            assert "the run has ended: no segment can be looked up" in stage.text
            await stage.tick(10.0)
            assert "by priority  rank 1  priority 14.2  used 7x  age 0  iteration 250" in stage.text
        assert stage.commands == [("segment", ("priority", 0))]


async def test_a_run_that_ends_before_it_has_answered_says_so() -> None:
    async with staged(FakeSession(replace(running(), segment=segment(250))), (80, 24)) as stage:
        await stage.press("v")
        await stage.tick(5.0)
        await stage.press("u")
        stage.session.current = replace(stage.session.current, state="finished")
        await stage.tick()
        assert "the run has ended: no segment can be looked up" in stage.text
        assert "by priority  rank 1" in body(stage, "facts")


async def test_while_one_is_asked_for_nothing_of_the_segment_before_stands_for_it() -> None:
    for width, words in ((160, "it comes at the end of the iteration; below is"), (80, "below is"), (40, "by uses…")):
        async with staged(FakeSession(replace(running(), segment=segment(250))), (width, 24)) as stage:
            await stage.press("v")
            await stage.tick(5.0)
            await stage.press("u")
            await stage.tick()
            assert "asked for a segment by uses…" in body(stage, "facts")
            assert words in body(stage, "facts")
            assert "rank" not in body(stage, "facts")


async def test_arrows_pages_and_ends_move_through_the_steps() -> None:
    async with staged(FakeSession(obey=True), (80, 24)) as stage:
        screen = await watched(stage)
        seen = []
        for key in ("right", "left", "left", "pageup", "pagedown", "end", "right", "home", "left"):
            await stage.press(key)
            seen.append(screen.watching.cursor)
        assert seen == [42, 41, 40, 32, 40, 63, 63, 0, 0]
        assert "step 1 of 64" in stage.text


async def test_j_visits_the_surprises_from_the_largest_down() -> None:
    async with staged(FakeSession(obey=True), (80, 24)) as stage:
        screen = await watched(stage)
        order = screen.watching.surprises()
        await stage.press("j")
        assert screen.watching.cursor == order[1]
        assert "surprise 2 of 64" in stage.text
        await stage.press("home", "j")
        assert screen.watching.cursor == order[0]


async def test_space_plays_at_the_chosen_speed_and_holds_and_stops_at_the_end() -> None:
    async with staged(FakeSession(obey=True), (80, 24)) as stage:
        screen = await watched(stage)
        await stage.press("home", "space")
        assert "► 4/s" in stage.text
        stage.clock.now += 1.0
        stage.app.play()
        assert screen.watching.cursor == 4
        await stage.press("plus", "plus", "minus", "space")
        assert "8/s" in stage.text
        assert ("pause", None) not in stage.commands
        stage.clock.now += 9.0
        stage.app.play()
        assert screen.watching.cursor == 4
        await stage.press("space")
        stage.clock.now += 100.0
        stage.app.play()
        assert screen.watching.cursor == 63
        assert not screen.watching.playing
        await stage.press("space")
        assert screen.watching.cursor == 0


async def test_a_click_on_the_strip_goes_to_that_step() -> None:
    async with staged(FakeSession(obey=True), (80, 24)) as stage:
        screen = await watched(stage)
        await stage.pilot.click("#strip", offset=(2 + 12 + 20, 1))
        await stage.pilot.pause()
        assert screen.watching.cursor == 20
        assert "step 21 of 64" in stage.text


async def test_the_end_of_an_episode_and_a_reward_are_marked() -> None:
    async with staged(FakeSession(obey=True), (160, 48)) as stage:
        await watched(stage)
        events = next(row for row in body(stage, "strip").split("\n") if "events" in row)
        assert events.count("+") == 3
        assert events.count("┃") == 1
        await stage.press("right", "right", "right")
        assert "ends here" in body(stage, "step")


@pytest.mark.parametrize("steps", [1, 16, 200, 1000])
async def test_a_segment_of_any_length_fits_the_strip(steps: int) -> None:
    session = FakeSession(replace(paused(), segment=segment(250, steps=steps)))
    async with staged(session, (80, 24)) as stage:
        await stage.press("v")
        await stage.tick(5.0)
        await stage.press("end")
        assert f"step {steps} of {steps}" in stage.text
        assert "…" not in body(stage, "strip")


# ---- editor ----


async def typing(stage: Stage, text: str) -> None:
    await stage.press(*text)


async def test_typing_finds_a_setting_and_enter_changes_it() -> None:
    async with staged(FakeSession(), (80, 24)) as stage:
        await stage.press("e")
        await typing(stage, "entrop")
        assert "train.entropy_coef" in body(stage, "detail")
        await stage.press("enter", *["backspace"] * 5)
        await typing(stage, "0.02")
        assert "0.005 → 0.02" in body(stage, "detail")
        assert stage.commands == []
        await stage.press("enter")
        assert stage.commands == [("set", ("train.entropy_coef", 0.02))]
        assert "train.entropy_coef  0.005 → 0.02" in body(stage, "edits")
        assert "in force  0.02" in body(stage, "detail")
        assert "8.19M" in body(stage, "edits")


async def test_the_first_letter_takes_the_place_of_the_value_and_backspace_changes_it() -> None:
    """Law: who types a number means this number; who begins with backspace means the one that is there."""
    async with staged(FakeSession(), (80, 24)) as stage:
        await stage.press("e")
        await typing(stage, "entrop")
        await stage.press("enter")
        assert "type another value" in body(stage, "detail")
        await typing(stage, "0.02")
        assert "0.005 → 0.02" in body(stage, "detail")
        await stage.press("escape", "enter", "backspace", "7")
        assert "0.005 → 0.007" in body(stage, "detail")
        await stage.press("escape", "enter")
        stage.app.screen.post_message(events.Paste("0.03"))
        await stage.pilot.pause()
        assert "0.005 → 0.03" in body(stage, "detail")


async def test_a_value_that_will_not_do_is_refused_as_it_is_typed() -> None:
    async with staged(FakeSession(), (80, 24)) as stage:
        await stage.press("e")
        await typing(stage, "train.clip")
        await stage.press("enter", "backspace", "backspace", "backspace")
        assert "must be a number in (0, 10]" in body(stage, "detail")
        await typing(stage, "99")
        assert "must be a number in (0, 10]" in body(stage, "detail")
        await stage.press("enter")
        assert stage.commands == []
        await stage.press("backspace")
        assert "✓ 0.2 → 9" in body(stage, "detail")
        await stage.press("escape", "enter")
        assert "must be" not in body(stage, "detail")


async def test_words_are_chosen_by_arrows_letters_and_space() -> None:
    async with staged(FakeSession(), (80, 24)) as stage:
        await stage.press("e")
        await typing(stage, "scheme")
        await stage.press("enter", "u", "enter")
        assert stage.commands == [("set", ("replay.scheme", "uniform"))]
        await stage.press("enter", "up", "enter")
        assert stage.commands[-1] == ("set", ("replay.scheme", "topk"))
        await stage.press("enter", "space", "down", "enter")
        assert stage.commands[-1] == ("set", ("replay.scheme", "sequential"))


async def test_undo_takes_changes_back_from_the_newest_on() -> None:
    async with staged(FakeSession(), (80, 24)) as stage:
        await stage.press("e")
        await typing(stage, "replacement")
        await stage.press("enter", "down", "enter", "escape")
        await typing(stage, "metric")
        await stage.press("enter", "down", "enter", "ctrl+u", "ctrl+u", "ctrl+u")
        assert [value for _, value in stage.commands] == [
            ("replay.replacement", False),
            ("replay.metric", "mean"),
            ("replay.metric", "sum"),
            ("replay.replacement", True),
        ]
        assert "undone" in body(stage, "edits")


async def test_edits_are_remembered_while_the_screen_is_closed() -> None:
    async with staged(FakeSession(), (160, 48)) as stage:
        await stage.press("e")
        await typing(stage, "alpha")
        await stage.press("enter", "backspace", "1", "enter", "escape", "escape", "e")
        assert "0.8 → 0.1" in body(stage, "edits")
        assert "*replay.alpha" in body(stage, "list")


async def test_fixed_settings_say_how_they_can_be_changed() -> None:
    async with staged(FakeSession(), (80, 24)) as stage:
        await stage.press("e")
        await typing(stage, "horizon")
        assert "fixed" in body(stage, "list")
        assert "--resume RUN --set train.horizon=..." in " ".join(body(stage, "detail").replace("│", " ").split())
        await stage.press("enter", "9", "enter")
        assert stage.commands == []


async def test_escape_leaves_the_value_then_the_filter_then_the_screen() -> None:
    async with staged(FakeSession(), (80, 24)) as stage:
        await stage.press("e", "c", "l", "i", "p", "enter", "7", "escape")
        screen = stage.app.screen
        assert isinstance(screen, EditorScreen)
        assert not screen.editing
        assert screen.list.typed == "clip"
        await stage.press("escape")
        assert screen.list.typed == ""
        await stage.press("escape")
        assert len(stage.app.screen_stack) == 1
        assert stage.commands == []


async def test_letters_are_never_commands_in_the_editor() -> None:
    async with staged(FakeSession(), (80, 24)) as stage:
        await stage.press("e", "q", "p", "v", "space", "question_mark")
        assert isinstance(stage.app.screen, EditorScreen)
        assert stage.commands == []
        assert "no setting is like qpv" in stage.text
        await stage.press(*["backspace"] * 5)
        assert "train.learning_rate" in stage.text


async def test_the_list_is_walked_by_rows_pages_and_to_the_ends() -> None:
    async with staged(FakeSession(), (80, 24)) as stage:
        await stage.press("e")
        listed = stage.app.screen.list  # type: ignore[attr-defined]
        places = []
        for key in ("down", "pagedown", "pageup", "end", "up", "home"):
            await stage.press(key)
            places.append(listed.cursor)
        last = len(listed.fields()) - 1
        assert places == [1, 1 + listed.page, 1, last, last - 1, 0]


async def test_rows_of_the_list_can_be_clicked() -> None:
    async with staged(FakeSession(), (80, 24)) as stage:
        await stage.press("e")
        await stage.pilot.click("#list", offset=(10, 4))
        await stage.pilot.pause()
        assert "train.weight_decay" in body(stage, "detail")
        await stage.pilot.click("#list", offset=(10, 4), times=2)
        await stage.pilot.pause()
        assert stage.app.screen.editing  # type: ignore[attr-defined]


async def test_a_run_that_has_ended_takes_no_edits() -> None:
    async with staged(FakeSession(replace(running(), state="finished")), (80, 24)) as stage:
        await stage.press("e", *"clip", "enter", "9", "enter")
        assert stage.commands == []
        assert "training has ended" in stage.text


async def test_a_session_that_refuses_a_value_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    from engine import ProfileError

    session = FakeSession()

    def refuse(key: str, value: object) -> None:
        raise ProfileError(f"{key} is locked")

    monkeypatch.setattr(session, "set", refuse)
    async with staged(session, (80, 24)) as stage:
        await stage.press("e", *"train.clip", "enter", "9", "enter")
        assert "train.clip is locked" in stage.text
        assert "none yet" in body(stage, "edits")


async def test_screens_opened_again_are_the_same_and_begin_afresh() -> None:
    """They stay mounted, which makes them quick; what was half done in one is gone, and a new theme reaches them."""
    async with staged(FakeSession(), (120, 36)) as stage:
        await stage.press("e")
        editor = stage.app.screen
        await typing(stage, "scheme")
        await stage.press("enter", "escape", "escape", "escape")
        assert not isinstance(stage.app.screen, EditorScreen)
        stage.app.theme = "perx-light"
        await stage.press("e")
        assert stage.app.screen is editor
        assert "train.learning_rate" in stage.text
        assert "find scheme" not in stage.text
        assert isinstance(editor, EditorScreen)
        assert editor.header.palette is stage.app.palette


async def test_a_viewer_below_the_table_does_not_stand_in_the_way_of_another() -> None:
    """The viewer, the table over it, and a segment of the table in a viewer over both: esc goes back through them."""
    async with staged(inspecting(), (160, 48)) as stage:
        await stage.press("v", "p", "enter")
        kinds = [type(screen).__name__ for screen in stage.app.screen_stack[1:]]
        assert kinds == ["SegmentScreen", "PrioritizationScreen", "SegmentScreen"]
        await stage.press("escape", "escape", "escape")
        assert len(stage.app.screen_stack) == 1
