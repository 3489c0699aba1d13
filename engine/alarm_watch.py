"""Brings alarms to where people see them: the log, events.jsonl and the snapshot that every front end reads."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import c_envs
from engine.alarms import AlarmJudge, Change, Reading
from engine.durable import DISK, Disk
from engine.profile import Profile
from engine.telemetry import Telemetry

DISK_SECONDS = 5.0
"""The room on the disk is asked for this often at most: on a network file system it may take a while."""


class AlarmWatch:
    """Judges each iteration in the trainer's thread, from figures that are at hand anyway."""

    def __init__(
        self,
        telemetry: Telemetry,
        profile: Profile,
        folder: Path,
        disk: Disk = DISK,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`folder` is the run's, whose disk is watched."""
        actions = c_envs.spec(profile.env.name, profile.env.config).actions
        self._judge = AlarmJudge(math.log(actions) if actions > 1 else 0.0)
        self._telemetry, self._folder, self._disk, self._clock = telemetry, folder, disk, clock
        self._free: int | None = None
        self._looked = -math.inf

    def after_iteration(self, metrics: Mapping[str, float], profile: Profile) -> None:
        """Judges an iteration that the telemetry has taken in: `metrics` has its steps/s."""
        memory = self._telemetry.snapshot().memory
        reading = Reading(int(metrics["step"]), int(metrics["iteration"]), metrics, memory, self._disk_free())
        self._tell(self._judge.judge(reading, profile))

    def trouble(self, name: str, title: str, text: str, advice: str) -> bool:
        """Raises an alarm that is no matter of a threshold, such as "nan" or "checkpoint". It stays until `over`.

        False, and nothing is told, when it is raised already.
        """
        now = self._telemetry.snapshot()
        changes = self._judge.raise_event(name, title, text, advice, step=now.step, iteration=now.iteration)
        self._tell(changes)
        return bool(changes)

    def over(self, name: str, reason: str) -> None:
        """Clears such an alarm, if it is raised, and says why."""
        self._tell(self._judge.clear_event(name, reason))

    def _disk_free(self) -> int | None:
        """The room at the last look. The looking may hang, and is not waited for."""
        now = self._clock()
        if now - self._looked >= DISK_SECONDS:
            self._looked = now
            self._telemetry.aside(self._look_at_disk)
        return self._free

    def _look_at_disk(self) -> None:
        try:
            self._free = self._disk.space(self._folder).free
        except OSError:
            self._free = None
        self._telemetry.update(disk_free=self._free)

    def _tell(self, changes: list[Change]) -> None:
        for change in changes:
            alarm = change.alarm
            self._telemetry.event(
                "alarm_raised" if change.raised else "alarm_cleared",
                change.text,
                level=alarm.level if change.raised else "info",
                alarm=alarm.name,
                severity=alarm.level,
                value=change.value,
                threshold=change.threshold,
                text=change.text,
            )
        if changes:
            self._telemetry.update(alarms=self._judge.active)
