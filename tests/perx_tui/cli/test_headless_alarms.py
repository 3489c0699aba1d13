"""Alarms without a screen: lines on standard error, names in the JSON of every iteration."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from engine import Alarm, LogLine, Snapshot
from perx_tui.commands.train import summary
from perx_tui.headless import follow
from perx_tui.signals import StopSignals

from ..program import TINY
from .conftest import Answer

ALARM = Alarm("kl", "KL too high", "warning", "KL divergence 0.3, above 0.05", "lower train.clip", 5.0, 300, 3)
LINE = LogLine(5.0, "warning", f"{ALARM.title}: {ALARM.text}; {ALARM.advice}")
BASE = Snapshot(
    state="running", iteration=2, step=200, total_steps=600, steps_per_second=50.0, run="a", folder="runs/a"
)
MOMENTS = (
    BASE,
    replace(BASE, iteration=4, alarms=(ALARM,), log=(LINE,)),
    replace(BASE, iteration=6, log=(LINE, LogLine(6.0, "info", "KL too high: back in range, now 0.01"))),
    replace(
        BASE, iteration=6, log=(LINE, LogLine(6.0, "info", "KL too high: back in range, now 0.01")), state="finished"
    ),
)


class Script:
    """Goes through the moments, one at every look."""

    def __init__(self) -> None:
        self.look = -1

    def join(self, timeout: float | None = None) -> bool:
        self.look = min(self.look + 1, len(MOMENTS) - 1)
        return self.look == len(MOMENTS) - 1

    def snapshot(self) -> Snapshot:
        return MOMENTS[self.look]

    def history(self, since: int = 0) -> list[Mapping[str, float]]:
        return [{"iteration": number} for number in range(since + 1, self.snapshot().iteration + 1)]

    def stop(self, checkpoint: bool = True) -> None:
        raise AssertionError("nobody asked")


def test_raised_and_cleared_alarms_are_lines_and_every_row_names_those_raised(
    capsys: pytest.CaptureFixture[str],
) -> None:
    follow(Script(), StopSignals(lambda checkpoint: None, lambda: None, lambda: None), as_json=True)
    output = capsys.readouterr()
    rows = [json.loads(line) for line in output.out.splitlines()]
    assert [row.get("alarms") for row in rows] == [None, None, ["kl"], ["kl"], None, None]
    told = [line for line in output.err.splitlines() if "KL" in line]
    assert told == [
        "perx-tui: warning: KL too high: KL divergence 0.3, above 0.05; lower train.clip",
        "perx-tui: over: KL too high",
    ]


def test_the_summary_names_alarms_that_were_never_cleared() -> None:
    assert "alarms      KL too high (see events.jsonl)" in summary(MOMENTS[1], None, Path("runs"))
    assert "alarms" not in summary(MOMENTS[0], None, Path("runs"))


def test_a_headless_run_tells_its_alarms(perx_tui: Callable[..., Answer], tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(
        TINY + "\n[alarms]\nwarmup = 0\nraise_after = 2\nentropy_low = 0.9999999\ndisk_free_low = 0\n"
    )
    answer = perx_tui("--profile", "tiny.toml", "--json", "--set", "train.learning_rate=0.05", "--name", "a")
    assert answer.code == 0
    rows = [json.loads(line) for line in answer.out.splitlines()]
    assert "entropy" in rows[-1]["alarms"]
    assert any(line.startswith("perx-tui: error: entropy collapse: entropy ") for line in answer.lines)
    assert any(line.startswith("perx-tui: alarms      ") for line in answer.lines)
