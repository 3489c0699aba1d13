"""The looks of the main screen and the dialogs, compared with stored pictures that a person has looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from driving import build
from fakes import FakeSession, failed, kept, on_gpu, paused, running, starting
from textual.pilot import Pilot

from engine import Snapshot

SNAPSHOTS: dict[str, Callable[[], Snapshot]] = {
    "running": running,
    "starting": starting,
    "paused": paused,
    "failed": failed,
    "gpu": on_gpu,
    "kept": kept,
}


@pytest.mark.parametrize(
    ("state", "size", "keys"),
    [
        ("running", (80, 24), ()),
        ("running", (120, 36), ()),
        ("running", (160, 48), ()),
        ("running", (200, 60), ()),
        ("starting", (80, 24), ()),
        ("starting", (160, 48), ()),
        ("paused", (80, 24), ("6",)),
        ("gpu", (80, 24), ("5",)),
        ("failed", (80, 24), ()),
        ("failed", (120, 36), ()),
        ("running", (80, 24), ("question_mark",)),
        ("running", (80, 24), ("q",)),
        ("kept", (80, 24), ("p",)),
        ("kept", (80, 24), ("p", "tab", "tab", "down")),
        ("kept", (160, 48), ("p",)),
        ("running", (80, 24), ("v",)),
        ("running", (160, 48), ("v",)),
        ("running", (80, 24), ("e", *"clip", "enter", "9", "9")),
        ("running", (160, 48), ("e", *"scheme", "enter", "down", "enter", "enter", "down")),
        ("running", (80, 24), ("w",)),
        ("running", (160, 48), ("w", "space")),
        ("running", (200, 60), ("w", "x")),
    ],
)
def test_the_screen_looks_as_it_did(
    snap_compare: Any, state: str, size: tuple[int, int], keys: tuple[str, ...]
) -> None:
    session = FakeSession(SNAPSHOTS[state](), past=0 if state == "starting" else None, obey="v" in keys or "w" in keys)
    app = build(session)

    async def prepare(pilot: Pilot[Any]) -> None:
        await pilot.pause()
        app.play()
        await pilot.press(*keys)
        await pilot.pause()
        app.tick()
        await pilot.pause()

    assert snap_compare(app, terminal_size=size, run_before=prepare)
