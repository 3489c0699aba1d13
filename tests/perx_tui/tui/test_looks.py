"""The looks of the main screen and the dialogs, compared with stored pictures that a person has looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from driving import build
from fakes import FakeSession, failed, on_gpu, paused, running, starting
from textual.pilot import Pilot

from engine import Snapshot

SNAPSHOTS: dict[str, Callable[[], Snapshot]] = {
    "running": running,
    "starting": starting,
    "paused": paused,
    "failed": failed,
    "gpu": on_gpu,
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
    ],
)
def test_the_screen_looks_as_it_did(
    snap_compare: Any, state: str, size: tuple[int, int], keys: tuple[str, ...]
) -> None:
    session = FakeSession(SNAPSHOTS[state](), past=0 if state == "starting" else None)
    app = build(session)

    async def prepare(pilot: Pilot[Any]) -> None:
        await pilot.pause()
        app.play()
        await pilot.press(*keys)
        await pilot.pause()

    assert snap_compare(app, terminal_size=size, run_before=prepare)
