"""Who watches a run from another process sees its history as it is after a rollback."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any

import pytest

from engine import RemoteSession, TrainingSession
from engine.collector import FusedCollector
from tests.engine.conftest import wait_for

Make = Callable[..., TrainingSession]


def test_a_viewer_forgets_the_iterations_that_are_done_again(
    make_session: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect, bad = FusedCollector._collect, threading.Event()

    def collect_badly(self: FusedCollector, *arguments: Any) -> None:
        collect(self, *arguments)
        if bad.is_set():
            bad.clear()
            self.buffer.rewards[4, 3] = math.nan

    monkeypatch.setattr(FusedCollector, "_collect", collect_badly)
    session = make_session("run.on_nan=rollback", "train.total_steps=1000000000")
    session.start()
    wait_for(session, lambda s: s.iteration >= 3)
    session.checkpoint()
    saved = wait_for(session, lambda s: s.checkpoint is not None)
    wait_for(session, lambda s: s.iteration >= saved.iteration + 5)
    assert session.folder is not None
    viewer = RemoteSession(session.folder, interval=0.02)
    viewer.start()
    try:
        assert viewer.wait_until_met(20)
        wait_for(viewer, lambda s: s.iteration >= saved.iteration + 5)  # type: ignore[arg-type]
        bad.set()
        wait_for(viewer, lambda s: s.rollbacks == 1)  # type: ignore[arg-type]
        session.pause()
        held = wait_for(session, lambda s: s.state == "paused")
        session.step_iteration()
        final = wait_for(session, lambda s: s.iteration > held.iteration and s.state == "paused").iteration
        wait_for(viewer, lambda s: s.iteration == final and len(viewer.history()) == final)  # type: ignore[arg-type]
        assert viewer.history() == session.history()
    finally:
        viewer.close()
        assert viewer.join(10)
