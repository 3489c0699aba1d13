"""How metrics are named and spelled wherever they are shown."""

from __future__ import annotations

from collections.abc import Callable

from engine import MetricInfo, explain_metric
from perx_tui import format as fmt

_UNKNOWN = "Nothing is known about this metric: a newer program or an extension wrote it."


def info(key: str) -> MetricInfo:
    """What a metric means; a remark for one that nobody explains."""
    return explain_metric(key) or MetricInfo(key, "", _UNKNOWN, "")


def spelling(key: str) -> Callable[[float | None], str]:
    """How values of a metric are spelled."""
    unit = info(key).unit
    if unit == "share":
        return fmt.percent
    if unit in ("reward", "score") or key == "episode/length":
        return fmt.score
    if unit in ("steps", "steps/s", "episodes") or key == "train/minibatches":
        return fmt.count
    return fmt.number


def with_unit(key: str, value: float | None) -> str:
    """A value with its unit, where the unit is not clear from the number: "0.231 s", "41.7k steps/s"."""
    unit = info(key).unit
    text = spelling(key)(value)
    return text if value is None or unit in ("", "share", "score", "reward") else f"{text} {unit}"


def alike(keys: list[str]) -> bool:
    """Whether values of these metrics may stand on one scale: they have one unit, or are figures of one quantity."""
    units = {info(key).unit for key in keys}
    if len(units) != 1:
        return False
    return units != {""} or len({key.rpartition("_")[0] for key in keys}) == 1
