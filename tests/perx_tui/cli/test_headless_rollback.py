"""Iterations that are done again after a rollback are told again."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence

import pytest

from engine import Snapshot
from perx_tui.headless import follow
from perx_tui.signals import StopSignals


class RolledBack:
    """A session that at the k-th look has done `done[k]` iterations after `rollbacks[k]` ways back to iteration 2."""

    def __init__(self, done: Sequence[int], rollbacks: Sequence[int]) -> None:
        self.done, self.rollbacks = done, rollbacks
        self.look = -1

    def join(self, timeout: float | None = None) -> bool:
        self.look += 1
        return self.look == len(self.done) - 1

    def snapshot(self) -> Snapshot:
        back = self.rollbacks[self.look]
        now = Snapshot(state="running", folder="runs/a", iteration=self.done[self.look], steps_per_second=50.0)
        return dataclasses.replace(now, rollbacks=back, resumed_iteration=2 if back else 0)

    def history(self, since: int = 0) -> list[Mapping[str, float]]:
        numbers = range(since + 1, self.done[self.look] + 1)
        return [{"iteration": number, "turn": self.rollbacks[self.look]} for number in numbers]

    def stop(self, checkpoint: bool = True) -> None:
        raise AssertionError("nobody asked for it")


@pytest.mark.parametrize(
    ("done", "rollbacks", "printed"),
    [
        ([4, 2, 3, 5], [0, 1, 1, 1], [1, 2, 3, 4, 3, 4, 5]),
        ([4, 6], [0, 1], [1, 2, 3, 4, 3, 4, 5, 6]),
        ([4, 3, 3], [0, 1, 2], [1, 2, 3, 4, 3, 3]),
        ([1, 2], [0, 0], [1, 2]),
    ],
)
def test_what_is_done_again_is_printed_again(
    done: list[int], rollbacks: list[int], printed: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    session = RolledBack(done, rollbacks)
    follow(session, StopSignals(session.stop), as_json=True)
    assert [json.loads(line)["iteration"] for line in capsys.readouterr().out.splitlines()] == printed
