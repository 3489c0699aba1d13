"""Watch mode: every key of it, on a session that only remembers its commands."""

from __future__ import annotations

from dataclasses import replace

import pytest
from driving import Stage, staged
from fakes import FakeSession, paused, running, spectacle, starting

from perx_tui.tui.keys import WATCH_KEYS
from perx_tui.tui.lines import text_of
from perx_tui.tui.screens.help import HelpScreen
from perx_tui.tui.screens.watch import WatchScreen, pictures_per_second

SIZES = [(40, 12), (60, 20), (60, 30), (80, 24), (100, 30), (120, 36), (160, 48), (200, 60)]


def panel(stage: Stage, name: str) -> str:
    screen = stage.app.screen
    assert isinstance(screen, WatchScreen)
    return "\n".join(text_of(next(each for each in screen.panels if each.id == name)._shown))


def directed(stage: Stage) -> list[object]:
    return [value for name, value in stage.commands if name == "direct"]


async def test_w_opens_watch_mode_and_the_policy_plays_as_long_as_it_is_open() -> None:
    async with staged(FakeSession(obey=True), (80, 24)) as stage:
        await stage.press("w")
        assert isinstance(stage.app.screen, WatchScreen)
        assert stage.commands == [("spectate", True)]
        await stage.tick()
        assert "policy of step 8.19M" in panel(stage, "stage")
        assert "score" in panel(stage, "stage")
        for word in ("► stay", "left", "right", "%", "value", "greedy"):
            assert word in panel(stage, "thoughts")
        for word in ("episode 2", "step", "60", "return so far", "21.0", "mean score of 9", "320.6", "432.0"):
            assert word in panel(stage, "episodes")
        await stage.press("escape")
        assert len(stage.app.screen_stack) == 1
        assert stage.commands == [("spectate", True), ("spectate", False)]
        await stage.press("w", "w")
        assert len(stage.app.screen_stack) == 1
        assert stage.commands[-1] == ("spectate", False)


async def test_leaving_the_app_ends_the_game() -> None:
    async with staged(FakeSession(obey=True), (80, 24)) as stage:
        await stage.press("w", "q", "h")
    assert stage.commands[-1] == ("spectate", False)


async def test_help_over_watch_mode_shows_its_keys_and_the_game_goes_on() -> None:
    async with staged(FakeSession(obey=True), (80, 24)) as stage:
        await stage.press("w", "question_mark")
        assert isinstance(stage.app.screen, HelpScreen)
        for key in WATCH_KEYS:
            assert not key.display or key.help in stage.text, key.help
        assert ("spectate", False) not in stage.commands


async def test_space_holds_the_play_and_never_training() -> None:
    async with staged(FakeSession(obey=True), (160, 48)) as stage:
        await stage.press("w", "space")
        assert directed(stage) == ["pause"]
        await stage.tick()
        assert "play held" in panel(stage, "stage")
        assert "training is not held" in panel(stage, "stage")
        assert "► running" in stage.text
        await stage.press("space")
        assert directed(stage) == ["pause", "resume"]
        assert "► 15 steps/s" in panel(stage, "stage")
        assert not {name for name, _ in stage.commands} & {"pause", "resume"}


async def test_held_is_shown_before_the_run_has_answered() -> None:
    async with staged(FakeSession(replace(running(), spectacle=spectacle())), (80, 24)) as stage:
        await stage.press("w", "space")
        assert "held" in panel(stage, "stage")
        await stage.press("space")
        assert directed(stage) == ["pause", "resume"]


KEYS_OF_THE_GAME = ("space", "s", "plus", "n", "g")


async def test_a_game_that_is_watched_goes_on_after_the_end_and_none_begins_any_more() -> None:
    session = FakeSession(replace(running(), spectacle=spectacle()))
    async with staged(session, (160, 48)) as stage:
        await stage.press("w")
        session.current = replace(running(), state="finished", spectacle=spectacle(320))
        await stage.tick()
        assert "► 15 steps/s" in panel(stage, "stage")
        await stage.press("space")
        assert "one step" in panel(stage, "stage")
        for told in (None, replace(spectacle(), frames=())):
            session.current = replace(session.current, spectacle=told)
            await stage.press("escape", "w")
            await stage.tick()
            before = directed(stage)
            for key in ("", *KEYS_OF_THE_GAME):
                await stage.press(*([key] if key else []))
                assert "the run has ended" in panel(stage, "stage")
                assert not any(word in panel(stage, "stage") for word in ("►", "held", "goes on", "one step"))
                assert not any(label in stage.text for label in ("hold", "one step", "sampling"))
            assert directed(stage) == before


async def test_of_an_attached_run_that_has_ended_the_last_frame_is_not_said_to_play() -> None:
    session = FakeSession(replace(running(), spectacle=spectacle()))
    for size in ((160, 48), (40, 12)):
        async with staged(session, size, attached=True) as stage:
            await stage.press("w")
            assert "policy of step 8" in panel(stage, "stage")
            session.current = replace(session.current, state="finished")
            await stage.tick()
            assert "the run has ended" in panel(stage, "stage")
            assert "►" not in panel(stage, "stage")
            await stage.press(*KEYS_OF_THE_GAME)
            assert not directed(stage)
        session.current = replace(session.current, state="running")


async def test_s_goes_one_step_and_holds() -> None:
    async with staged(FakeSession(obey=True), (80, 24)) as stage:
        await stage.press("w", "s")
        assert directed(stage) == ["step"]
        await stage.tick()
        assert "61" in panel(stage, "episodes")
        assert "held" in panel(stage, "stage")
        await stage.press("s")
        await stage.tick()
        assert "62" in panel(stage, "episodes")
        assert ("step", None) not in stage.commands, "that would be an iteration of training"


async def test_plus_and_minus_change_the_speed() -> None:
    async with staged(FakeSession(obey=True), (80, 24)) as stage:
        await stage.press("w", "plus")
        assert "► 30/s" in panel(stage, "stage")
        await stage.press("minus", "minus", "equals_sign")
        assert directed(stage) == [("speed", 30.0), ("speed", 15.0), ("speed", 10.0), ("speed", 15.0)]


async def test_n_asks_for_another_episode() -> None:
    async with staged(FakeSession(obey=True), (80, 24)) as stage:
        await stage.press("w", "n")
        assert directed(stage) == ["restart"]
        assert not any(name == "watch" for name, _ in stage.commands)


@pytest.mark.parametrize("key", ["g", "x"])
async def test_a_key_changes_between_the_likeliest_action_and_a_drawn_one(key: str) -> None:
    async with staged(FakeSession(obey=True), (200, 60)) as stage:
        await stage.press("w", key)
        assert "sampled: drawn by chance" in panel(stage, "thoughts")
        await stage.press(key)
        assert "greedy: takes the likeliest" in panel(stage, "thoughts")
        assert directed(stage) == ["sample", "greedy"]


async def test_the_game_moves_at_its_speed_and_only_what_moved_is_drawn() -> None:
    session = FakeSession(replace(running(), spectacle=spectacle(300)))
    async with staged(session, (80, 24)) as stage:
        await stage.press("w")
        steps = []
        for tick in range(1, 16):
            session.current = replace(running(), spectacle=spectacle(300 + tick))
            stage.clock.now += 1 / 15
            stage.app.play()
            screen = stage.app.screen
            assert isinstance(screen, WatchScreen)
            assert screen.spectating.frame is not None
            steps.append(screen.spectating.frame.number)
        assert steps == list(range(301, 316))


async def test_nothing_is_drawn_while_the_terminal_takes_the_last_frame_or_nobody_looks() -> None:
    slow = False
    session = FakeSession(replace(running(), spectacle=spectacle(300)))
    async with staged(session, (80, 24), backlog=lambda: slow) as stage:
        await stage.press("w")
        screen = stage.app.screen
        assert isinstance(screen, WatchScreen)
        for number, held in ((310, True), (311, False)):
            slow = held
            session.current = replace(running(), spectacle=spectacle(number))
            stage.clock.now += 1.0
            screen._on_beat()
            assert screen.spectating.frame is not None
            assert (screen.spectating.frame.number == 300) == held
        stage.app.app_focus = False
        session.current = replace(running(), spectacle=spectacle(330))
        stage.clock.now += 1.0
        screen._on_beat()
        assert screen.spectating.frame.number < 330


@pytest.mark.parametrize("size", SIZES)
async def test_watch_mode_draws_at_every_size_before_and_while_the_policy_plays(size: tuple[int, int]) -> None:
    for snapshot in (starting(), running(), paused(), replace(running(), state="finished")):
        async with staged(FakeSession(snapshot, obey=True, past=snapshot.iteration), size) as stage:
            await stage.press("w")
            assert all(len(row) <= size[0] for row in stage.text.split("\n"))
            await stage.tick()
            assert "▀" in stage.text or "play" in stage.text
        async with staged(FakeSession(snapshot, past=snapshot.iteration), size) as stage:
            await stage.press("w")
            words = {"starting": "first iteration", "running": "end of the", "paused": "on its way"}
            assert words.get(snapshot.state, "has ended") in " ".join(panel(stage, "stage").replace("│", " ").split())


async def test_the_picture_is_as_large_as_the_screen_allows() -> None:
    for size, columns in (((80, 24), 36), ((160, 48), 108), ((200, 60), 144)):
        async with staged(FakeSession(obey=True), size) as stage:
            await stage.press("w")
            await stage.tick()
            screen = stage.app.screen
            assert isinstance(screen, WatchScreen)
            widths = [sum(len(text) for text, style in row if "/" in style) for row in screen.stage._shown]
            assert max(widths) == columns


def test_a_slow_line_stays_slow() -> None:
    assert [pictures_per_second(rate) for rate in (2.0, 10.0, 30.0)] == [2.0, 15.0, 30.0]
