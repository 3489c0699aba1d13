"""The plain screen's keys: what is typed on a terminal, and what a program gets of it."""

from __future__ import annotations

import os
import pty
import sys
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from perx_tui import theatre
from perx_tui.screen import Screen


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """What is written to it is typed on the terminal that this process's screens read."""
    master, slave = pty.openpty()
    terminal = os.fdopen(slave, "r+b", buffering=0)
    monkeypatch.setattr(sys, "stdin", terminal)
    yield master
    os.close(master)
    terminal.close()


def keys_of(screen: Screen, least: int = 0) -> list[str]:
    """All keys that have been typed, at least so many."""
    keys: list[str] = []
    while (key := screen.key(0.2 if len(keys) >= least else 5.0)) is not None:
        keys.append(key)
    return keys


def test_keys_that_come_together_are_told_one_by_one(keyboard: int) -> None:
    with Screen() as screen:
        os.write(keyboard, b"ss +q")
        assert keys_of(screen, 5) == ["s", "s", " ", "+", "q"]
        assert screen.key(0) is None


def test_keys_that_were_typed_before_the_screen_came_are_not_lost(keyboard: int) -> None:
    os.write(keyboard, b"sq")
    with Screen() as screen:
        assert keys_of(screen, 2) == ["s", "q"]


@pytest.mark.parametrize(
    ("typed", "keys"),
    [
        (b"\x1b[A", [""]),
        (b"\x1b[1;5Cs", ["", "s"]),
        (b"\x1bOPq", ["", "q"]),
        (b"s\x1b[5~\x1b[Bn", ["s", "", "", "n"]),
        (b"\x1b", [""]),
        ("é€q".encode(), ["", "", "q"]),
        (b"\x1b[200~quit now\x1b[201~s", ["", "s"]),
    ],
)
def test_sequences_and_pasted_text_are_no_keys_and_hide_none(keyboard: int, typed: bytes, keys: list[str]) -> None:
    with Screen() as screen:
        os.write(keyboard, typed)
        assert keys_of(screen, len(keys)) == keys


def test_pasted_text_that_is_longer_than_a_read_is_no_key_either(keyboard: int) -> None:
    with Screen() as screen:
        os.write(keyboard, b"\x1b[200~" + 2000 * b"q" + b"\x1b[201~n")
        assert keys_of(screen, 2) == ["", "n"]


def a_stage(screen: Any, fps: float) -> theatre._Stage:
    """A game of two steps."""
    frames = [SimpleNamespace(reward=0.0, value=0.0, state=b"", action=0, done=done) for done in (False, True)]
    renderer = SimpleNamespace(
        scales=1, size=lambda scale: (99, 99), caption=lambda state: "", action=lambda action: ""
    )
    player: Any = SimpleNamespace(play=lambda: iter(frames), renderer=lambda: renderer)
    return theatre._Stage(player, screen, fps)


def test_a_game_whose_pictures_take_longer_than_its_steps_still_hears_keys() -> None:
    screen: Any = SimpleNamespace(size=lambda: (80, 24), paint=lambda lines: time.sleep(0.02), key=lambda timeout: "q")
    assert not a_stage(screen, 240.0).perform(1)


@pytest.mark.parametrize(
    ("key", "before", "after"),
    [("-", 0.1, 0.1), ("-", 0.6, 0.5), ("-", 15.0, 10.0), ("+", 15.0, 22.5), ("+", 239.0, 240.0)],
)
def test_slower_is_never_faster(key: str, before: float, after: float) -> None:
    """Also where the speed that was asked for lies beyond those that the keys lead to."""
    pressed = iter([key, "q"])
    screen: Any = SimpleNamespace(size=lambda: (80, 24), paint=lambda lines: None, key=lambda timeout: next(pressed))
    stage = a_stage(screen, before)
    assert not stage.perform(1)
    assert stage._fps == after
