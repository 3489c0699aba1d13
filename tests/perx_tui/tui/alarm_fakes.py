"""Snapshots of runs that do not look well."""

from __future__ import annotations

from dataclasses import replace

from fakes import EPOCH, STEPS, running

from engine import Alarm, LogLine, Snapshot

ENTROPY = Alarm(
    "entropy",
    "entropy collapse",
    "error",
    "entropy 0.0142, below 0.022 (0.02 of a uniform policy's)",
    "the policy hardly explores: raise train.entropy_coef, or lower train.learning_rate",
    EPOCH + 1010,
    238 * STEPS,
    238,
    0.0142,
    0.022,
)
CLIP = Alarm(
    "clip",
    "clip fraction too high",
    "warning",
    "0.462 of the ratios are cut, above 0.4",
    "much of the data teaches nothing: lower train.learning_rate, or raise train.clip",
    EPOCH + 1015,
    244 * STEPS,
    244,
    0.462,
    0.4,
)
SPEED = Alarm(
    "speed",
    "training stalls",
    "warning",
    "17,204 steps/s, below 20,850 (0.5 of the usual 41,700)",
    "see which phase has grown, and whether other programs use this machine",
    EPOCH + 1018,
    248 * STEPS,
    248,
    17_204.0,
    20_850.0,
)
LATER = EPOCH + 1200
"""A moment after all of them were raised."""


def alarmed(*alarms: Alarm) -> Snapshot:
    """A run with these alarms, told in its log."""
    base = running()
    lines = [LogLine(each.since, each.level, f"{each.title}: {each.text}; {each.advice}") for each in alarms]
    metrics = {**base.metrics, "loss/entropy": 0.0151, "loss/clip_fraction": 0.47}
    return replace(base, alarms=alarms, log=(*base.log, *lines), metrics=metrics, disk_free=212 * 1024**3)


def disconnected() -> Snapshot:
    """What a viewer shows of a run that does not answer."""
    line = LogLine(EPOCH + 1030, "warning", "out of reach (nobody answers); trying again")
    base = running()
    return replace(base, state="disconnected", stage="nobody answers; trying again", log=(*base.log, line))
