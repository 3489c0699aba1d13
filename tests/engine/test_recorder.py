"""Writing in a thread of its own: what refuses or hangs costs a warning, never the run."""

from __future__ import annotations

import errno
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine import TrainingSession
from engine.errors import RunError
from engine.json_lines import JsonLinesWriter
from engine.recorder import REPEAT_SECONDS, STALL_SECONDS, Recorder
from engine.run_folder import RunFolder
from tests.engine.conftest import wait_for, wait_until

Make = Callable[..., TrainingSession]


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[RunFolder]:
    with RunFolder.create(tmp_path, "run", "p", "", {}) as folder:
        yield folder


@pytest.fixture
def told() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def recorder(folder: RunFolder, told: list[tuple[str, str]], clock: Clock) -> Iterator[Recorder]:
    recorder = Recorder(folder, lambda text, level: told.append((text, level)), limit=4, clock=clock)
    yield recorder
    assert recorder.close(10)


def refuse(folder: RunFolder) -> None:
    raise RunError("cannot write metrics.jsonl: No space left on device")


def test_all_is_written_in_the_order_asked_for(folder: RunFolder) -> None:
    recorder = Recorder(folder, lambda text, level: None)
    for number in range(500):
        recorder.submit(lambda folder, number=number: folder.append_metrics({"iteration": number}))  # type: ignore[misc]
        recorder.submit(lambda folder, number=number: folder.append_event("x", number=number))  # type: ignore[misc]
        if number == 300:
            recorder.submit(lambda folder: folder.truncate_metrics_after(100))
    assert recorder.flush(30)
    numbers = [record["iteration"] for record in folder.read_metrics()]
    assert numbers == [*range(101), *range(301, 500)]
    assert [record["number"] for record in folder.read_events()] == list(range(500))
    assert recorder.close(10)


def test_a_write_that_raises_is_told_once_and_the_rest_is_written(
    recorder: Recorder, folder: RunFolder, told: list[tuple[str, str]], clock: Clock
) -> None:
    for _ in range(3):
        recorder.submit(refuse)
        assert recorder.flush(10)
    assert told == [("cannot write metrics.jsonl: No space left on device; training goes on", "warning")]
    recorder.submit(lambda folder: folder.append_event("x"))
    assert recorder.flush(10)
    wait_until(lambda: len(told) == 2)
    assert told[1] == ("the run's files are written again, 3 records are missing", "info")
    assert [event["kind"] for event in folder.read_events()] == ["x"]
    recorder.submit(refuse)
    recorder.submit(lambda folder: None)
    assert recorder.flush(10)
    assert len(told) == 2, "a disk that refuses now and then is not told of each time"
    clock.now += REPEAT_SECONDS
    recorder.submit(refuse)
    assert recorder.flush(10)
    wait_until(lambda: len(told) == 3)


@pytest.mark.parametrize("fault", [ValueError("odd"), MemoryError(), OSError(errno.EIO, "Input/output error")])
def test_any_fault_of_a_logger_is_a_warning(recorder: Recorder, told: list[tuple[str, str]], fault: Exception) -> None:
    def write(folder: RunFolder) -> None:
        raise fault

    recorder.submit(write)
    assert recorder.flush(10)
    wait_until(lambda: len(told) == 1)
    assert type(fault).__name__ in told[0][0]


def test_a_write_that_hangs_keeps_nobody_waiting(
    recorder: Recorder, folder: RunFolder, told: list[tuple[str, str]], clock: Clock
) -> None:
    answer = threading.Event()
    began = threading.Event()

    def hang(folder: RunFolder) -> None:
        began.set()
        assert answer.wait(30)

    assert recorder.submit(hang) is None
    assert began.wait(10)
    for number in range(3):
        assert recorder.submit(lambda folder, number=number: folder.append_event(str(number))) is None  # type: ignore[misc]
    clock.now += STALL_SECONDS
    assert "has not answered for 10 s" in str(recorder.submit(lambda folder: folder.append_event("3")))
    assert recorder.submit(lambda folder: folder.append_event("4")) is None, "the queue holds four, and once is enough"
    before = time.monotonic()
    assert not recorder.flush(30), "a disk that hangs is not waited for"
    assert time.monotonic() - before < 5
    answer.set()
    wait_until(lambda: bool(told))
    assert told[0] == ("the disk answers again after 10 s", "info")
    assert recorder.flush(10)
    assert [event["kind"] for event in folder.read_events()] == ["0", "1", "2", "3"]


def test_closing_waits_no_longer_than_it_is_told(folder: RunFolder) -> None:
    answer = threading.Event()
    recorder = Recorder(folder, lambda text, level: None)
    recorder.submit(lambda folder: answer.wait(30))
    assert not recorder.close(0.05)
    answer.set()
    assert recorder.close(10)


# --- a whole run ---


def events(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "events.jsonl").read_text("utf-8").splitlines()]


def test_a_run_whose_loggers_raise_trains_to_its_end(make_session: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: JsonLinesWriter, record: object) -> None:
        raise RunError(f"cannot write {self.path.name}: Input/output error")

    monkeypatch.setattr(JsonLinesWriter, "append", refuse)
    session = make_session("train.total_steps=1280", "run.checkpoint_every=3")
    session.start()
    assert session.join(60)
    snapshot = session.snapshot()
    assert snapshot.state == "finished", snapshot.error
    assert snapshot.checkpoint_step == 1280
    assert len(session.history()) == 10
    assert sum("Input/output error" in line.text for line in snapshot.log) == 1
    assert session.folder is not None
    assert json.loads((session.folder / "run.json").read_text("utf-8"))["state"] == "finished"


@pytest.mark.parametrize("method", ["append_metrics", "append_event", "set_state", "replace_profile", "sync_lines"])
def test_a_run_whose_logger_hangs_loses_no_speed_and_ends(
    make_session: Make, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """Each thing that is written hangs in turn, for good."""
    monkeypatch.setattr("engine.telemetry.FLUSH_SECONDS", 0.2)
    answer, hung = threading.Event(), threading.Event()
    original = getattr(RunFolder, method)
    session = make_session("run.checkpoint_every=20", "train.total_steps=100000000")

    def hang(self: RunFolder, *arguments: Any, **fields: Any) -> Any:
        if threading.current_thread().name == "recorder":
            hung.set()
            answer.wait(60)
        return original(self, *arguments, **fields)

    monkeypatch.setattr(RunFolder, method, hang)
    session.start()
    wait_for(session, lambda s: s.iteration >= 1)
    session.set("train.learning_rate", 0.001)
    wait_for(session, lambda s: s.iteration >= 25)
    assert hung.wait(10)
    session.pause()
    session.resume()
    wait_for(session, lambda s: s.iteration >= 50 and s.checkpoint is not None)
    session.stop()
    assert session.join(30)
    assert session.snapshot().state == "stopped", session.snapshot().error
    assert any("has not taken the last metrics" in line.text for line in session.snapshot().log), (
        "that the last lines are missing is told"
    )
    assert session.folder is not None
    with pytest.raises(RunError, match="is being written"):
        RunFolder.open(session.folder)
    answer.set()
    wait_until(lambda: not any(thread.name == "recorder" for thread in threading.enumerate()))


def test_a_checkpoint_is_told_only_when_it_is_there(make_session: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    original = RunFolder.append_event

    def witness(self: RunFolder, kind: str, **fields: object) -> None:
        if kind == "checkpoint":
            assert (self.path / "checkpoints" / str(fields["checkpoint"]) / "manifest.json").is_file()
        original(self, kind, **fields)

    monkeypatch.setattr(RunFolder, "append_event", witness)
    session = make_session("train.total_steps=1280", "run.checkpoint_every=2")
    session.start()
    assert session.join(60)
    assert session.folder is not None
    assert sum(event["kind"] == "checkpoint" for event in events(session.folder)) == 5
    assert not any(line.level == "warning" for line in session.snapshot().log)


def test_the_metrics_are_on_the_medium_before_the_checkpoint(
    make_session: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    sync, save = JsonLinesWriter.sync, RunFolder.save_checkpoint

    def synced(self: JsonLinesWriter) -> None:
        sync(self)
        lines = self.path.read_text("utf-8").splitlines() if self.path.is_file() else []
        order.append(f"{self.path.name} {len(lines)}")

    def saved(self: RunFolder, *arguments: Any) -> Path:
        order.append("save")
        return save(self, *arguments)

    monkeypatch.setattr(JsonLinesWriter, "sync", synced)
    monkeypatch.setattr(RunFolder, "save_checkpoint", saved)
    session = make_session("train.total_steps=512")
    session.start()
    assert session.join(60)
    assert order[0] == "metrics.jsonl 4"
    assert order[1].startswith("events.jsonl")
    assert order[2:] == ["save"]
