"""`perx-tui doctor` on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import engine
from engine import Check
from perx_tui.cli import main
from perx_tui.commands import doctor

from .conftest import Answer


def test_the_doctor_finds_that_training_works_here(perx_tui: Callable[..., Answer], tmp_path: Path) -> None:
    answer = perx_tui("doctor", "--json")
    assert answer.code == 0
    found = json.loads(answer.out)
    assert found["works"] is True
    checks = {check["name"]: check for check in found["checks"]}
    assert checks["torch"]["status"] in ("ok", "warning")
    assert checks["terminal"]["status"] == "warning"
    assert "headless" in checks["terminal"]["text"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("statuses", "code", "verdict"),
    [
        (["ok", "ok"], 0, "all is well"),
        (["ok", "warning"], 0, "training works here; worth a look: second"),
        (["warning", "failure"], 1, "training does not work here yet: mend second"),
    ],
)
def test_lines_and_exit_code_say_what_to_mend(
    statuses: list[str], code: int, verdict: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checks = [
        Check(name, status, f"about {name}", "" if status == "ok" else f"mend {name}")  # type: ignore[arg-type]
        for name, status in zip(("first", "second"), statuses, strict=True)
    ]
    monkeypatch.setattr(engine, "check_machine", lambda runs: checks)
    monkeypatch.setattr(doctor, "check_terminal", list)
    assert main(["doctor"]) == code
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith(verdict)
    for check in checks:
        (line,) = [line for line in lines if f"about {check.name}" in line]
        assert line.startswith({"ok": "ok ", "warning": "warn ", "failure": "FAIL "}[check.status])
        assert any(line.strip() == f"-> {check.advice}" for line in lines) == bool(check.advice)


def test_a_terminal_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.terminal, "obstacle", lambda: None)
    monkeypatch.setattr(doctor.terminal, "ascii_only", lambda: True)
    for key, value in {
        "TERM": "tmux-256color",
        "TMUX": "/tmp/x",
        "COLUMNS": "70",
        "LINES": "20",
        "NO_COLOR": "1",
    }.items():
        monkeypatch.setenv(key, value)
    shown, characters = doctor.check_terminal()
    assert shown.text.startswith("tmux-256color, 70x20, no colours (NO_COLOR), in tmux")
    assert shown.status == "warning"
    assert characters.status == "warning"
    assert "LANG" in characters.advice
