"""What readers of a run are given, and who makes it."""

from __future__ import annotations

from engine.snapshot import ReplayView
from engine.telemetry import Telemetry


def publish(telemetry: Telemetry, iteration: int, made: list[int], then: Telemetry | None = None) -> None:
    """An iteration whose view of replay has that many segments; `made` is told when it is made. Meanwhile `then`, where
    it is given, publishes the next one."""

    def view() -> ReplayView:
        made.append(iteration)
        if then is not None:
            publish(then, iteration + 1, made)
        return ReplayView(segments=iteration)

    telemetry.iteration({"step": 8.0 * iteration, "iteration": iteration}, 1.0, view)


def test_a_view_of_replay_is_made_once_and_only_when_somebody_looks() -> None:
    telemetry, made = Telemetry(), []
    for iteration in (1, 2, 3):
        publish(telemetry, iteration, made)
    telemetry.update(stage="collect")
    assert telemetry.snapshot().iteration == 3
    assert made == [], "nobody has looked"
    seen = telemetry.seen()
    assert (seen.iteration, seen.replay.segments, seen.stage) == (3, 3, "collect")
    assert telemetry.seen() is seen
    telemetry.update(stage="train")
    assert telemetry.seen().replay.segments == 3
    assert made == [3]


def test_a_view_of_replay_belongs_to_its_iteration_whatever_is_published_meanwhile() -> None:
    telemetry, made = Telemetry(), []
    publish(telemetry, 1, made, then=telemetry)
    seen = telemetry.seen()
    assert (seen.iteration, seen.replay.segments) == (1, 1)
    seen = telemetry.seen()
    assert (seen.iteration, seen.replay.segments) == (2, 2)
    assert made == [1, 2]
