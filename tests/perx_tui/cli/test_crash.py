"""Faults of the program itself: one line for the user, the traceback in a file, and nothing learned is lost."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

import engine
from engine import Snapshot
from perx_tui import cli
from perx_tui.commands import train


class Broken:
    def configure(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, arguments: argparse.Namespace) -> int:
        raise ZeroDivisionError("first line\nsecond line")


def test_an_unexpected_error_is_one_line_and_its_traceback_a_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(cli, "_load", lambda name: Broken())
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert cli.main(["runs"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    match = re.fullmatch(r"perx-tui: unexpected error: ZeroDivisionError: first line; traceback written to (.+)", line)
    assert match is not None
    assert "second line" in Path(match[1]).read_text()


def test_a_traceback_that_cannot_be_saved_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(cli, "_load", lambda name: Broken())
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    assert cli.main(["runs"]) == 1
    assert "could not be saved" in capsys.readouterr().err


class Session:
    """A session that trains happily while its front end breaks."""

    exception = None
    is_alive = True

    def __init__(self, *arguments: object, **options: object) -> None:
        self.calls: list[str] = []
        Session.last = self

    last: Session
    folder: Path

    def start(self) -> None:
        self.calls.append("start")

    def join(self, timeout: float | None = None) -> bool:
        self.calls.append("join")
        return False

    def stop(self, checkpoint: bool = True) -> None:
        self.calls.append(f"stop {checkpoint}")

    def snapshot(self) -> Snapshot:
        return Snapshot()


def test_a_front_end_that_breaks_stops_the_run_with_a_checkpoint(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def broken(*arguments: object, **options: object) -> None:
        raise RuntimeError("the printer is on fire")

    monkeypatch.setattr(engine, "TrainingSession", Session)
    monkeypatch.setattr(Session, "folder", tmp_path, raising=False)
    monkeypatch.setattr(train, "follow", broken)
    assert cli.main(["--profile", "breakout.toml", "--headless"]) == 1
    assert Session.last.calls == ["start", "join", "stop True", "join"]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(f"RuntimeError: the printer is on fire; traceback written to {tmp_path / 'crash.log'}")
    assert "broken" in (tmp_path / "crash.log").read_text()


@pytest.mark.parametrize(
    ("trained", "error", "code"),
    [
        (False, engine.DeviceError("no such device"), 2),
        (True, engine.EngineError("training diverged"), 1),
        (True, None, 1),
    ],
)
def test_a_run_that_cannot_begin_is_usage_and_one_that_breaks_is_failure(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    trained: bool,
    error: Exception | None,
    code: int,
) -> None:
    class Failed(Session):
        exception = error
        folder = tmp_path

        def join(self, timeout: float | None = None) -> bool:
            return True

        def snapshot(self) -> Snapshot:
            return Snapshot(
                state="failed", error=str(error or "KeyError: 'x'"), steps_per_second=1.0 if trained else None
            )

    monkeypatch.setattr(engine, "TrainingSession", Failed)
    assert cli.main(["--profile", "breakout.toml", "--headless"]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert str(error or "KeyError: 'x'") in line
