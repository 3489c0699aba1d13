"""The looks of the chart screen at three sizes, compared with stored pictures that a person has looked at."""

from __future__ import annotations

from typing import Any

import pytest
from driving import Clock, build
from fakes import FakeSession, running
from textual.pilot import Pilot

SIZES = ((80, 24), (160, 48), (200, 60))
SEARCH = ("g", "slash")
PINS = (*SEARCH, *"lossvalue", "space", *(9 * ("backspace",)), *"lossent", "space", "escape")


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("one", ("g", "end", "pageup")),
        ("stack", PINS),
        ("over", (*PINS, "o", "right", "pagedown", "pagedown")),
        ("log", (*SEARCH, *"lossvalue", "enter", "l", "s", "s", "plus", "plus")),
        ("time", ("g", "x", "i")),
        ("search", (*SEARCH, *"entr")),
        ("dashboard", (*PINS, "escape")),
    ],
)
def test_the_charts_look_as_they_did(
    snap_compare: Any, size: tuple[int, int], name: str, keys: tuple[str, ...]
) -> None:
    clock = Clock()
    app = build(FakeSession(running()), clock)

    async def prepare(pilot: Pilot[Any]) -> None:
        await pilot.pause()
        app.play()
        clock.now += 2
        app.tick()
        app.play()
        await pilot.press(*keys)
        clock.now += 2
        app.tick()
        app.play()
        await pilot.pause()

    assert snap_compare(app, terminal_size=size, run_before=prepare)


def test_a_dense_run_looks_as_it_did(snap_compare: Any) -> None:
    clock = Clock()
    app = build(FakeSession(running(6000)), clock)

    async def prepare(pilot: Pilot[Any]) -> None:
        await pilot.pause()
        for _ in range(6):
            clock.now += 2
            app.tick()
        await pilot.press("g", "slash", *"kl", "enter")
        await pilot.pause()

    assert snap_compare(app, terminal_size=(160, 48), run_before=prepare)
