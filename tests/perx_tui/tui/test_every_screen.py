"""The looks of every screen at three sizes, and of every state at two, compared with stored pictures that a person has
looked at. Charts are in test_chart_looks.py."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alarm_fakes import CLIP, ENTROPY, LATER, SPEED, alarmed, disconnected
from driving import Clock, build, staged
from fakes import FakeSession, failed, kept, on_gpu, paused, running, starting
from textual.pilot import Pilot
from textual.widgets import Input

from engine import Snapshot
from perx_tui.tui.panels.alarms import ActiveAlarms
from perx_tui.tui.remembered import Welcome

SIZES = ((80, 24), (120, 36), (200, 60))


def raised() -> Snapshot:
    return alarmed(ENTROPY, CLIP, SPEED)


def stopped() -> Snapshot:
    return replace(running(), state="stopped", stage="")


def finished() -> Snapshot:
    return replace(running(), state="finished", stage="")


def saving() -> Snapshot:
    return replace(running(), state="saving", stage="writing a checkpoint")


SCREENS: dict[str, tuple[Callable[[], Snapshot], tuple[str, ...]]] = {
    "throughput": (running, ("1", "f")),
    "episode": (running, ("2", "f")),
    "losses": (running, ("4", "f")),
    "phases": (running, ("5", "f")),
    "replay": (running, ("6", "f")),
    "memory": (running, ("7", "f")),
    "card": (on_gpu, ("7", "f")),
    "log": (running, ("8", "f")),
    "prioritization": (kept, ("p",)),
    "prioritization-time": (kept, ("p", "tab")),
    "prioritization-table": (kept, ("p", "tab", "tab", "down")),
    "segment": (running, ("v", "j")),
    "settings": (running, ("e",)),
    "setting": (running, ("e", *"clip", "enter", "9")),
    "wrong-setting": (running, ("e", *"clip", "enter", "x")),
    "alarms": (raised, ("a",)),
    "rules": (raised, ("a", "tab")),
    "meanings": (running, ("4", "i", "down", "down")),
    "keys": (running, ("question_mark",)),
    "keys-charts": (running, ("g", "question_mark")),
    "palette": (running, ("ctrl+p",)),
    "quit": (running, ("q",)),
}
STATES = (starting, running, paused, saving, finished, stopped, failed, disconnected)


async def show(pilot: Pilot[Any], clock: Clock, keys: tuple[str, ...]) -> None:
    """Press the keys, and let what they ask for come."""
    app: Any = pilot.app
    await pilot.pause()
    app.play()
    clock.now += 2
    app.tick()
    app.play()
    await pilot.press(*keys)
    await pilot.pause()
    clock.now += 2
    app.tick()
    app.play()
    await pilot.pause()


async def test_the_episode_stands_still_between_the_steps_of_a_test() -> None:
    """However long the machine takes from one to the next: pictures of it are compared."""
    async with staged(FakeSession(running())) as stage:
        await stage.tick()
        before = stage.rows("episode")
        stage.clock.now += 1
        await asyncio.sleep(0.25)  # a real app would have played it twice
        await stage.pilot.pause()
        assert stage.rows("episode") == before
        stage.app.play()
        assert stage.rows("episode") != before


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", SCREENS)
def test_every_screen_looks_as_it_did(
    snap_compare: Any, name: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Input, "cursor_blink", False)
    monkeypatch.setattr(ActiveAlarms, "wall", staticmethod(lambda: LATER))
    snapshot, keys = SCREENS[name]
    clock = Clock()
    app = build(FakeSession(snapshot(), obey="v" in keys), clock)
    assert snap_compare(app, terminal_size=size, run_before=lambda pilot: show(pilot, clock, keys))


@pytest.mark.parametrize("size", [(80, 24), (160, 48)], ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_every_state_looks_as_it_did(snap_compare: Any, state: Callable[[], Snapshot], size: tuple[int, int]) -> None:
    clock = Clock()
    app = build(FakeSession(state(), past=0 if state is starting else None), clock, attached=state is disconnected)
    assert snap_compare(app, terminal_size=size, run_before=lambda pilot: show(pilot, clock, ()))


@pytest.mark.parametrize("size", [(39, 11), (40, 12), (60, 20)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_small_terminals_look_as_they_did(snap_compare: Any, size: tuple[int, int]) -> None:
    clock = Clock()
    assert snap_compare(
        build(FakeSession(running()), clock), terminal_size=size, run_before=lambda pilot: show(pilot, clock, ())
    )


def test_the_first_start_looks_as_it_did(snap_compare: Any, tmp_path: Path) -> None:
    clock = Clock()
    app = build(FakeSession(starting(), past=0), clock, welcome=Welcome(tmp_path / "new"))
    assert snap_compare(app, terminal_size=(80, 24), run_before=lambda pilot: show(pilot, clock, ()))
