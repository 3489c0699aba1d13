"""An iteration on a GPU is told of while the next horizon is under way, and in time for all who want to know of it.

On a GPU that is not there, by the code that runs on a card.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine import Profile, TrainingSession
from engine.run import Run
from engine.telemetry import Telemetry
from tests.engine.conftest import TINY, figures, lines, wait_for
from tests.engine.device.pretended_gpu import PretendedGpu
from tests.engine.device.pretended_torch import install

ON_GPU = [each for each in TINY if not each.startswith("train.device")] + ["train.device=cuda"]
Make = Callable[..., Run]


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PretendedGpu]:
    made = PretendedGpu()
    install(made, monkeypatch, tmp_path_factory.mktemp("kernels"))
    with made.here():
        yield made


@pytest.fixture
def make(gpu: PretendedGpu, tmp_path: Path) -> Iterator[Make]:
    """Runs on the pretended GPU, in this thread."""
    made: list[Run] = []

    def one(*sets: str, gate: Callable[..., None] = lambda timer: None) -> Run:
        profile = Profile.load("breakout.toml", [*ON_GPU, *sets])
        telemetry = Telemetry()
        made.append(Run(profile, gate, lambda: None, telemetry, runs=tmp_path / str(len(made)), name="it", resume=None))
        made[-1].begin()
        return made[-1]

    yield one
    for run in made:
        run.close()
        run.telemetry.close()
        if run.folder is not None:
            run.folder.close()


def recorded(run: Run) -> list[dict[str, Any]]:
    """What metrics.jsonl has, without the clock's."""
    run.telemetry.flush()
    assert run.folder is not None
    return [figures(each) for each in lines(run.folder.path / "metrics.jsonl")]


def test_an_iteration_is_told_of_when_the_next_horizon_is_on_its_way(gpu: PretendedGpu, make: Make) -> None:
    run = make()
    assert run.trainer.overlaps
    told: list[tuple[int, int]] = []
    publish = run._publish

    def noted(report: Any, *arguments: Any, **fields: Any) -> None:
        told.append((report.iteration, gpu.launches))
        publish(report, *arguments, **fields)

    run._publish = noted  # type: ignore[method-assign]
    for iteration in range(1, 6):
        launched = gpu.launches
        run.iterate(None)
        assert run.telemetry.snapshot().iteration == iteration - 1
        if iteration > 2:  # graphs are recorded by then
            assert told[-1] == (iteration - 1, launched + 1), "behind the rollout, before all minibatches"
    run.settle()
    snapshot = run.telemetry.seen()
    assert (snapshot.iteration, snapshot.step, snapshot.stage) == (5, 5 * 8 * 16, "")
    assert sum(snapshot.replay.uses_histogram) == 8
    run.settle()
    assert [iteration for iteration, _ in told] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("sets", [(), ("replay.factor=0.5",), ("env.config.max_steps=5", "replay.scheme=rank")])
def test_what_is_recorded_is_what_is_recorded_at_once(make: Make, sets: tuple[str, ...]) -> None:
    late, at_once = make(*sets), make(*sets)
    for _ in range(5):
        late.iterate(None)
        at_once.iterate(None)
        at_once.settle()
    late.settle()
    assert recorded(late) == recorded(at_once)
    assert len(recorded(late)) == 5


def test_it_is_told_of_before_whatever_may_need_it(make: Make) -> None:
    run = make("run.checkpoint_every=2")

    def told() -> int:
        return run.telemetry.snapshot().iteration

    run.iterate(0)
    assert told() == 1, "the clip of a watched environment lies in the buffer"
    assert run.telemetry.snapshot().clip is not None
    run.iterate(None)
    assert told() == 2, "a checkpoint was due"
    assert run.telemetry.snapshot().checkpoint_step == run.trainer.step
    run.iterate(None)
    assert told() == 2
    run.show_segment("priority", 0)
    assert told() == 3
    run.iterate(None)
    assert run.checkpoint()
    assert told() == 5 - 1
    run.iterate(None)
    run.end(checkpoint=False)
    assert told() == 5
    assert run.telemetry.snapshot().state == "stopped"
    assert [each["iteration"] for each in recorded(run)] == [1, 2, 3, 4, 5]


def test_a_watched_environment_holds_up_few_iterations(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clip five times a second is more than a screen can show; another environment is seen at once."""
    now = [100.0]
    clock = SimpleNamespace(monotonic=lambda: now[0], perf_counter=time.perf_counter)
    monkeypatch.setattr("engine.run.time", clock)
    run = make()
    clips = []
    for seconds, environment in ((0.0, 0), (0.1, 0), (0.09, 0), (0.02, 0), (0.05, 0), (0.0, 3), (0.1, 3), (0.11, 3)):
        now[0] += seconds
        run.iterate(environment)
        told = run.telemetry.snapshot()
        clips.append((told.clip.environment, told.clip.iteration) if told.clip is not None else None)
        assert told.iteration == run.trainer.iteration - (
            told.clip is None or told.clip.iteration != run.trainer.iteration
        )
    assert clips == [(0, 1), (0, 1), (0, 1), (0, 4), (0, 4), (3, 6), (3, 6), (3, 8)]


def test_it_is_told_of_when_the_next_iteration_fails(make: Make) -> None:
    run = make()
    run.iterate(None)

    def fail(*arguments: Any) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    run.trainer.collector.graph = fail  # type: ignore[attr-defined]
    with pytest.raises(RuntimeError, match="illegal"):
        run.iterate(None)
    run.close()
    assert [each["iteration"] for each in recorded(run)] == [1]


def test_an_edit_in_between_is_no_matter_of_the_iteration_before(make: Make) -> None:
    run = make("replay.alpha=0.5")
    for _ in range(2):
        run.iterate(None)
    run.edit("replay.alpha", 0.5, 0.9)
    run.iterate(None)
    run.settle()
    assert [each["replay/alpha"] for each in recorded(run)] == [0.5, 0.5, 0.9]


def test_a_pause_leaves_nothing_untold(gpu: PretendedGpu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two iterations or inside one."""
    main = TrainingSession._main

    def on_the_gpu(session: TrainingSession) -> None:
        with gpu.here():
            main(session)

    monkeypatch.setattr(TrainingSession, "_main", on_the_gpu)
    session = TrainingSession(Profile.load("breakout.toml", ON_GPU), runs=tmp_path)
    session.start()
    wait_for(session, lambda snapshot: snapshot.iteration >= 2)
    run = session._run
    assert run is not None
    for _ in range(3):
        session.pause()
        wait_for(session, lambda snapshot: snapshot.state == "paused" and run._untold is None)
        for _ in range(2):
            before = session.snapshot().iteration
            session.step_iteration()
            wait_for(session, lambda snapshot, before=before: snapshot.iteration > before)  # type: ignore[misc]
        session.resume()
    session.stop()
    session.join(60)
    assert session.snapshot().iteration == run.trainer.iteration
