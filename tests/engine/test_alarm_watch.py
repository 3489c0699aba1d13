"""Alarms of a real run: in its log, in its events, in its snapshot, and seen by a viewer."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine import Alarm, RemoteSession, Snapshot, TrainingSession, alarm_rules, read_alarm
from engine.alarm_watch import DISK_SECONDS, AlarmWatch
from engine.durable import DISK, Disk, Space
from engine.telemetry import Telemetry
from engine.wire import decode_object, encode
from tests.engine.conftest import tiny_profile, wait_for

Make = Callable[..., TrainingSession]
QUICK = ("alarms.warmup=0", "alarms.raise_after=2", "alarms.clear_after=2", "alarms.disk_free_low=0.0")
SUSPICIOUS = (*QUICK, "alarms.entropy_low=0.999999")


def events(session: TrainingSession, *kinds: str) -> list[dict[str, Any]]:
    assert session.folder is not None
    lines = (session.folder / "events.jsonl").read_text("utf-8").splitlines()
    return [event for event in map(json.loads, lines) if event["kind"] in kinds]


def raised(name: str) -> Callable[[Snapshot], bool]:
    return lambda snapshot: any(alarm.name == name for alarm in snapshot.alarms)


def test_an_alarm_is_told_in_the_snapshot_in_the_log_and_in_the_events(make_session: Make) -> None:
    session = make_session(*SUSPICIOUS, "train.learning_rate=0.05")
    session.start()
    snapshot = wait_for(session, raised("entropy"))
    (alarm,) = [each for each in snapshot.alarms if each.name == "entropy"]
    assert alarm.value is not None
    assert alarm.threshold is not None
    assert alarm.value < alarm.threshold
    assert [line.level for line in snapshot.log if line.text.startswith("entropy collapse: ")] == ["error"]
    session.set("alarms.entropy_low", 0.0)
    wait_for(session, lambda s: not raised("entropy")(s))
    session.stop(checkpoint=False)
    assert session.join(30)
    told = [event for event in events(session, "alarm_raised", "alarm_cleared") if event["alarm"] == "entropy"]
    assert [event["kind"] for event in told] == ["alarm_raised", "alarm_cleared"]
    assert told[0]["value"] == alarm.value
    assert told[0]["threshold"] == alarm.threshold
    assert told[0]["severity"] == "error"
    assert alarm.advice in told[0]["text"]
    assert "switched off" in told[1]["text"]


def test_a_healthy_run_with_every_alarm_off_tells_none(make_session: Make) -> None:
    session = make_session(*SUSPICIOUS, "alarms.enabled=false", "train.total_steps=2560")
    session.start()
    assert session.join(60)
    assert session.snapshot().state == "finished"
    assert session.snapshot().alarms == ()
    assert events(session, "alarm_raised") == []


def test_a_viewer_sees_the_alarms_of_the_run(make_session: Make) -> None:
    session = make_session(*SUSPICIOUS, "train.total_steps=1_000_000_000")
    session.start()
    wait_for(session, raised("entropy"))
    assert session.folder is not None
    remote = RemoteSession(session.folder, interval=0.02)
    remote.start()
    try:
        seen = wait_for(remote, raised("entropy"), 20)  # type: ignore[arg-type]
        assert seen.alarms == session.snapshot().alarms
    finally:
        remote.close()
        assert remote.join(10)


def test_alarms_cross_the_wire_unchanged() -> None:
    alarm = Alarm("kl", "KL too high", "warning", "text", "advice", 1.5, 2, 3, float("inf"), None)
    assert decode_object(Alarm, json.loads(json.dumps(encode(alarm))), "alarm") == alarm


def test_a_run_that_trains_is_the_same_whether_or_not_it_is_judged(make_session: Make) -> None:
    """Alarms look on: they change no number that a run learns by."""
    figures = []
    for sets in (SUSPICIOUS, ("alarms.enabled=false",)):
        session = make_session("train.total_steps=1280", *sets)
        session.start()
        assert session.join(60)
        rows = [dict(row) for row in session.history()]
        figures.append([{k: v for k, v in row.items() if not k.startswith("time") and k != "sps"} for row in rows])
    assert figures[0] == figures[1]


def test_a_checkpoint_that_fails_is_an_alarm_until_one_is_saved(
    make_session: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = make_session(*QUICK, "train.total_steps=1_000_000_000")
    session.start()
    wait_for(session, lambda s: s.iteration >= 2)
    real = Disk.make_folder

    def full(disk: Disk, path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Disk, "make_folder", full)
    session.checkpoint()
    snapshot = wait_for(session, raised("checkpoint"))
    (alarm,) = [each for each in snapshot.alarms if each.name == "checkpoint"]
    assert alarm.level == "error"
    assert "No space left" in alarm.text
    session.checkpoint()
    wait_for(session, lambda s: any(line.text.startswith("no checkpoint: ") for line in s.log[-3:]))
    monkeypatch.setattr(Disk, "make_folder", real)
    session.checkpoint()
    wait_for(session, lambda s: not raised("checkpoint")(s))
    session.stop(checkpoint=False)
    assert session.join(30)
    kinds = [event["kind"] for event in events(session, "alarm_raised", "alarm_cleared")]
    assert kinds == ["alarm_raised", "alarm_cleared"]


class SmallDisk(Disk):
    """Tells what the test wants, and counts how often it was asked."""

    def __init__(self) -> None:
        self.free = 10**6
        self.asked = 0
        self.broken = False

    def space(self, path: Path) -> Space:
        self.asked += 1
        if self.broken:
            raise OSError(5, "Input/output error")
        return Space(self.free, 10**9)


def test_the_disk_is_asked_now_and_then_and_told_at_once(tmp_path: Path) -> None:
    now, disk, telemetry = [100.0], SmallDisk(), Telemetry()
    profile = tiny_profile("alarms.clear_after=3")
    watch = AlarmWatch(telemetry, profile, tmp_path, disk, lambda: now[0])
    figures = {"step": 1.0, "iteration": 1.0, "sps": 1.0}
    for _ in range(5):
        watch.after_iteration(figures, profile)
    assert disk.asked == 1
    assert telemetry.snapshot().disk_free == 10**6
    assert [alarm.name for alarm in telemetry.snapshot().alarms] == ["disk"]
    disk.free = 10**12
    now[0] += DISK_SECONDS
    for count in (1, 1, 0):
        watch.after_iteration(figures, profile)
        assert len(telemetry.snapshot().alarms) == count
    disk.broken = True
    now[0] += DISK_SECONDS
    watch.after_iteration(figures, profile)
    assert telemetry.snapshot().disk_free is None


def test_every_rule_can_be_read_from_a_snapshot(make_session: Make) -> None:
    session = make_session()
    session.start()
    snapshot = wait_for(session, lambda s: s.iteration >= 2 and s.disk_free is not None)
    memory = replace(snapshot.memory, gpu_used=1, gpu_total=4)
    values = {rule.name: read_alarm(rule, replace(snapshot, memory=memory), session.profile) for rule in alarm_rules()}
    assert all(value is not None for value in values.values()), values
    assert values["gpu"] == 0.25
    assert values["disk"] == snapshot.disk_free / 1024**3  # type: ignore[operator]
    assert read_alarm(alarm_rules()[0], Snapshot(), session.profile) is None


def test_judging_takes_well_under_a_millisecond(tmp_path: Path) -> None:
    """The trainer's thread pays for it once an iteration: counted in the thread's own time."""
    telemetry, profile = Telemetry(), tiny_profile()
    watch = AlarmWatch(telemetry, profile, tmp_path, DISK)
    figures = {
        "sps": 40_000.0,
        "loss/entropy": 0.9,
        "loss/grad_norm": 0.8,
        "loss/approx_kl": 0.004,
        "loss/clip_fraction": 0.04,
        "loss/explained_variance": 0.9,
        "replay/ess": 0.7,
        "replay/uses_max": 7.0,
        "replay/uses_mean": 1.0,
    }
    for iteration in range(200):
        watch.after_iteration(figures | {"step": 1.0, "iteration": float(iteration)}, profile)
    began = time.thread_time()
    for iteration in range(1000):
        watch.after_iteration(figures | {"step": 1.0, "iteration": float(iteration)}, profile)
    assert (time.thread_time() - began) / 1000 < 0.001
