"""The headless front end against a session whose every moment the test decides."""

from __future__ import annotations

import io
import json
import os
import signal
import threading
import time
from collections.abc import Mapping, Sequence

import pytest

from engine import LogLine, Snapshot
from perx_tui import headless
from perx_tui.errors import ForcedExit
from perx_tui.headless import Bar, Lines, follow, progress_line
from perx_tui.scores import RecentScore
from perx_tui.signals import ECHO_SECONDS, StopSignals


class ScriptedSession:
    """A session that has done `done[k]` iterations at the k-th look and ends with the last one."""

    def __init__(self, done: Sequence[int], past: int = 0, log: Sequence[tuple[LogLine, ...]] = ()) -> None:
        self.done = list(done)
        self.past = past
        self.log = list(log)
        self.look = -1
        self.stops = 0

    def join(self, timeout: float | None = None) -> bool:
        self.look = min(self.look + 1, len(self.done) - 1)
        return self.look == len(self.done) - 1

    def snapshot(self) -> Snapshot:
        iteration = self.past + self.done[self.look]
        ended = self.look == len(self.done) - 1
        return Snapshot(
            state="finished" if ended else "running",
            environment="breakout",
            device="cpu",
            folder="runs/a",
            step=iteration * 100,
            total_steps=1000,
            iteration=iteration,
            resumed_iteration=self.past,
            steps_per_second=50.0 if iteration else None,
            average_steps_per_second=50.0 if iteration else None,
            log=self.log[min(self.look, len(self.log) - 1)] if self.log else (),
        )

    def history(self, since: int = 0) -> list[Mapping[str, float]]:
        last = self.past + self.done[self.look]
        return [{"iteration": number, "sps": 50.0} for number in range(since + 1, last + 1)]

    def stop(self, checkpoint: bool = True) -> None:
        assert checkpoint
        self.stops += 1
        self.done = [*self.done[: self.look + 1], self.done[self.look]]


def signals_for(session: ScriptedSession) -> StopSignals:
    return StopSignals(session.stop)


@pytest.mark.parametrize("done", [[0, 1, 2, 3], [0, 3], [3], [0, 0, 1, 1, 5, 5], [0]])
def test_every_iteration_is_printed_exactly_once(done: list[int], capsys: pytest.CaptureFixture[str]) -> None:
    """However the iterations fall between two looks, the lines are 1, 2, ..., n, the last one included."""
    session = ScriptedSession(done)
    follow(session, signals_for(session), as_json=True)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["iteration"] for line in lines] == list(range(1, done[-1] + 1))


def test_a_resumed_run_prints_only_its_new_iterations(capsys: pytest.CaptureFixture[str]) -> None:
    """Its past is in the history from the start, but belongs to the session before."""
    session = ScriptedSession([0, 2], past=40)
    follow(session, signals_for(session), as_json=True)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["iteration"] for line in lines] == [41, 42]


def test_numbers_that_json_cannot_hold_become_null(capsys: pytest.CaptureFixture[str]) -> None:
    class Diverged(ScriptedSession):
        def history(self, since: int = 0) -> list[Mapping[str, float]]:
            return [{"iteration": 1, "loss/policy": float("nan"), "loss/value": float("inf")}] if since == 0 else []

    session = Diverged([1, 1])
    follow(session, signals_for(session), as_json=True)
    assert json.loads(capsys.readouterr().out) == {"iteration": 1, "loss/policy": None, "loss/value": None}


def test_without_json_nothing_goes_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    session = ScriptedSession([0, 1, 2])
    follow(session, signals_for(session))
    assert capsys.readouterr().out == ""


def test_a_reader_that_goes_away_stops_the_run_with_a_checkpoint(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def gone(value: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(headless, "emit", gone)
    monkeypatch.setattr(headless, "abandon_stdout", lambda: None)
    session = ScriptedSession([0, 1, 2, 3, 4])
    follow(session, signals_for(session), as_json=True)
    assert session.stops == 1
    assert session.done == [0, 1, 1]
    assert "stopping with a checkpoint" in capsys.readouterr().err


def test_a_log_file_gets_the_first_iteration_and_then_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([0.0, 1.0, 5.0, 11.0, 12.0, 13.0])
    monkeypatch.setattr(headless.time, "monotonic", lambda: next(clock))
    session = ScriptedSession([0, 1, 2, 3, 4, 5])
    follow(session, signals_for(session))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "perx-tui: training breakout on cpu, run folder runs/a"
    assert [line.split(" of ")[0] for line in lines[1:]] == ["perx-tui: 100", "perx-tui: 300"]


def test_a_progress_line_tells_steps_speed_score_and_time_left() -> None:
    snapshot = Snapshot(
        step=1_310_720, total_steps=8_000_000, steps_per_second=41_234.0, average_steps_per_second=40_000.0
    )
    assert progress_line(snapshot, 12.34) == (
        "1,310,720 of 8,000,000 steps (16.4%), 41.2k steps/s, score 12.3, 2m 47s left"
    )
    assert "score -" in progress_line(snapshot, None)


def test_the_score_is_the_mean_of_about_the_last_hundred_episodes() -> None:
    """Iterations weigh as many episodes as they ended; one that ended none changes nothing."""
    score = RecentScore()
    assert score.value is None
    score.feed([{"iteration": 1, "episode/count": 50, "episode/score": 4.0}, {"iteration": 2, "episode/count": 0}])
    assert (score.value, score.iteration) == (4.0, 2)
    score.feed([{"iteration": 3, "episode/count": 50, "episode/score": 8.0}])
    assert score.value == 6.0
    score.feed([{"iteration": 4, "episode/count": 100, "episode/score": 10.0}])
    assert score.value == 10.0


def test_warnings_and_errors_of_the_log_are_passed_on_once(capsys: pytest.CaptureFixture[str]) -> None:
    info, warning, error = (
        LogLine(1.0, "info", "checkpoint written"),
        LogLine(2.0, "warning", "the disk is nearly full"),
        LogLine(3.0, "error", "metrics could not be written"),
    )
    session = ScriptedSession([0, 1, 2, 3], log=[(info,), (info, warning), (info, warning), (warning, error)])
    follow(session, signals_for(session))
    lines = [line for line in capsys.readouterr().err.splitlines() if "steps" not in line and "run folder" not in line]
    assert lines == ["perx-tui: warning: the disk is nearly full", "perx-tui: error: metrics could not be written"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_a_bar_shows_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    session = ScriptedSession([0, 1, 5])
    follow(session, signals_for(session))
    text = screen.getvalue()
    assert "run folder runs/a" in text
    assert "500/1.00k  50 steps/s  score -  10s left" in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l"), "the cursor must be shown again"


def test_a_terminal_that_goes_away_does_not_stop_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(Terminal):
        closed_from = 3
        writes = 0

        def write(self, text: str) -> int:
            self.writes += 1
            if self.writes > self.closed_from:
                raise OSError(5, "Input/output error")
            return super().write(text)

    monkeypatch.setattr("sys.stderr", Gone())
    session = ScriptedSession([0, 1, 2, 3])
    follow(session, signals_for(session))
    assert session.look == 3
    assert session.stops == 0


def test_json_and_bar_never_share_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", Terminal())
    assert isinstance(headless._choose_view(as_json=True), Bar)
    monkeypatch.setattr("sys.stdout", Terminal())
    assert isinstance(headless._choose_view(as_json=True), Lines)


def test_the_first_signal_asks_for_a_stop_and_the_second_leaves_at_once() -> None:
    """`timeout` sends the first one twice, to the process and to its group: that is no second one."""
    asked = threading.Event()
    with StopSignals(asked.set) as signals:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)
        assert asked.wait(5)
        assert signals.received == signal.SIGTERM
        time.sleep(ECHO_SECONDS)
        with pytest.raises(ForcedExit) as left:
            os.kill(os.getpid(), signal.SIGINT)
        assert left.value.signum == signal.SIGINT
        assert signals.received == signal.SIGTERM


def test_a_hang_up_ends_nothing_and_handlers_are_put_back() -> None:
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with StopSignals(lambda: pytest.fail("a hang-up is no request to stop")):
        os.kill(os.getpid(), signal.SIGHUP)
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


def test_a_signal_that_the_parent_ignores_stays_ignored() -> None:
    """`nohup perx-tui ...` and a shell's background job keep their meaning."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with StopSignals(lambda: None):
            assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_signal_is_told_and_the_run_ends(capsys: pytest.CaptureFixture[str]) -> None:
    session = ScriptedSession([0, 1, 2, 3])
    signals = signals_for(session)
    signals.received = signal.SIGINT
    follow(session, signals)
    assert "the checkpoint is being written" in capsys.readouterr().err
