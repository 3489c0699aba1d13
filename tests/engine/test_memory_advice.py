"""A run that does not fit into memory says what to turn; one that runs out later keeps its checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from engine import TrainingSession
from engine.checkpoint import read_checkpoint
from engine.learner import Learner
from engine.memory_advice import OutOfMemory, advise, is_out_of_memory
from engine.policy import Policy
from tests.engine.conftest import tiny_profile, wait_for

Make = Callable[..., TrainingSession]

CUDA = torch.OutOfMemoryError(
    "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 139.81 GiB of which 1.25 GiB is "
    "free. Including non-PyTorch memory, this process has 138.00 GiB memory in use."
)
CPU = RuntimeError(
    "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate "
    "3221225472 bytes. Error code 12 (Cannot allocate memory)"
)


def advice(error: BaseException, *sets: str, where: str | None = None) -> str:
    profile = tiny_profile(*sets).for_device("cpu")
    with pytest.raises(OutOfMemory) as caught, advise(lambda: profile, lambda: where):
        raise error
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_at_the_start_every_knob_is_told_with_its_value() -> None:
    text = advice(CUDA, "replay.factor=2.5")
    assert text.startswith(
        "the GPU's memory does not suffice (20.00 GiB more were asked for, 1.25 GiB of 139.81 GiB are"
    )
    for knob in (
        "env.agents (now 8)",
        "train.minibatch (now 64)",
        "train.horizon (now 16)",
        "policy.hidden (now 16)",
        "replay.factor (now 2.5)",
        'train.precision (now "float32"',
    ):
        assert knob in text


def test_only_knobs_that_help_are_told() -> None:
    text = advice(MemoryError())
    assert text.startswith("this machine's memory does not suffice; lower one of env.agents (now 8)")
    assert "precision" not in text, "bfloat16 needs a GPU"
    assert "replay.factor" not in text, "nothing is kept"


def test_later_only_what_a_resumed_run_may_change_is_asked_for() -> None:
    text = advice(CPU, "replay.factor=1", where="in iteration 7; resume from step-000000000768")
    assert "this machine's memory does not suffice (3.00 GiB more were asked for) in iteration 7; resume from" in text
    assert "with a lower train.minibatch (now 64) or replay.factor (now 1); a new run may also lower env.agents" in text


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (CUDA, True),
        (CPU, True),
        (MemoryError(), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("CUDA out of memory"), False),
    ],
)
def test_what_says_that_memory_ran_out(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) is expected
    if not expected:
        with pytest.raises(type(error), match=str(error)[:10]), advise(lambda: tiny_profile(), lambda: None):
            raise error


@pytest.mark.parametrize("error", [CUDA, CPU, MemoryError()], ids=["cuda", "cpu", "host"])
def test_a_run_that_does_not_fit_fails_at_once_with_the_knobs(
    make_session: Make, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def allocate(self: Policy, *arguments: Any) -> Any:
        raise error

    monkeypatch.setattr(Policy, "to", allocate)
    session = make_session()
    session.start()
    assert session.join(60)
    assert session.snapshot().state == "failed"
    assert isinstance(session.exception, OutOfMemory)
    assert "lower one of env.agents (now 8)" in str(session.snapshot().error)
    assert session.folder is None, "nothing was begun"


def run_out(monkeypatch: pytest.MonkeyPatch, error: Exception, after: int) -> None:
    """The optimizer step's allocation fails in every minibatch behind the first so many."""
    update, counted = Learner.update, iter(range(10**9))

    def allocate(self: Learner, *arguments: Any) -> Any:
        if next(counted) >= after:
            raise error
        return update(self, *arguments)

    monkeypatch.setattr(Learner, "update", allocate)


def test_memory_that_runs_out_in_the_first_iteration_is_still_the_start(
    make_session: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_out(monkeypatch, CUDA, 1)
    session = make_session()
    session.start()
    assert session.join(60)
    assert "lower one of env.agents (now 8)" in str(session.snapshot().error)


@pytest.mark.parametrize("error", [CUDA, CPU, MemoryError()], ids=["cuda", "cpu", "host"])
def test_memory_that_runs_out_later_leaves_the_checkpoint_to_resume(
    make_session: Make, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    run_out(monkeypatch, error, 11)
    session = make_session("run.checkpoint_every=2", "train.total_steps=1280")
    session.start()
    assert session.join(60)
    snapshot = session.snapshot()
    assert snapshot.state == "failed"
    assert "in iteration 6; resume from step-000000000512 with a lower train.minibatch (now 64)" in str(snapshot.error)
    assert session.folder is not None
    assert not (session.folder / "crash.log").exists(), "it is no fault of the program"
    read_checkpoint(session.folder / "checkpoints" / "step-000000000512")
    monkeypatch.undo()
    again = make_session("train.minibatch=32", "train.total_steps=1280", resume=session.folder)
    again.start()
    assert again.join(60)
    assert again.snapshot().state == "finished", again.snapshot().error


@pytest.mark.parametrize("error", [CPU, MemoryError()], ids=["torch", "python"])
def test_memory_that_runs_out_in_a_checkpoint_costs_that_checkpoint(
    make_session: Make, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def gather(*arguments: Any) -> Any:
        raise error

    session = make_session()
    session.start()
    before = wait_for(session, lambda s: s.iteration >= 2)
    monkeypatch.setattr("engine.run.save_state", gather)
    session.checkpoint()
    wait_for(session, lambda s: any("memory does not suffice" in line.text for line in s.log))
    wait_for(session, lambda s: s.iteration > before.iteration + 5)
    monkeypatch.undo()
    session.checkpoint()
    wait_for(session, lambda s: s.checkpoint is not None)


def test_another_error_in_a_checkpoint_is_not_hidden(make_session: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def gather(*arguments: Any) -> Any:
        raise RuntimeError("a fault of the program")

    monkeypatch.setattr("engine.run.save_state", gather)
    session = make_session("train.total_steps=256")
    session.start()
    assert session.join(60)
    assert session.snapshot().state == "failed"
    assert "a fault of the program" in str(session.snapshot().error)
    assert session.folder is not None
    assert "Traceback" in (session.folder / "crash.log").read_text("utf-8")
