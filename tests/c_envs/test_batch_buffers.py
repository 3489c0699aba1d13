"""A batch refuses what it cannot use, in one clear line, before anything is written."""

from __future__ import annotations

import array
import gc
import os
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from rollouts import Rollout, buffers_for

import c_envs


@pytest.fixture
def batch() -> c_envs.Batch:
    return c_envs.Batch("breakout", 4, slots=3)


def frozen(buffer: np.ndarray) -> np.ndarray:
    copy = buffer.copy()
    copy.flags.writeable = False
    return copy


@pytest.mark.parametrize("name", ["observations", "rewards", "terminals", "truncations", "masks", "final_observations"])
def test_a_read_only_buffer_is_refused(batch: c_envs.Batch, name: str) -> None:
    buffers = buffers_for(batch)
    with pytest.raises(ValueError, match=f"{name} must be a C-contiguous, writable buffer"):
        batch.bind(**buffers | {name: frozen(buffers[name])})


def test_read_only_actions_will_do(batch: c_envs.Batch) -> None:
    buffers = buffers_for(batch)
    batch.bind(**buffers | {"actions": frozen(buffers["actions"])})
    batch.reset()
    batch.step(0)


@pytest.mark.parametrize(
    ("name", "wrong", "text"),
    [
        ("observations", np.zeros((4, 4, 118), np.float64), "observations must hold float32, not items of format d"),
        ("observations", np.zeros((4, 4, 118), ">f4"), "observations must hold float32"),
        ("observations", np.zeros((3, 4, 118), np.float32), r"observations must have the shape \[4, 4, 118\]"),
        ("observations", np.zeros((4, 118, 4), np.float32), r"observations must have the shape \[4, 4, 118\]"),
        ("observations", np.zeros((4, 4, 236), np.float32)[:, :, ::2], "observations must be a C-contiguous"),
        ("actions", np.zeros((3, 4), np.int64), "actions must hold int32"),
        ("actions", np.zeros((3, 4), np.uint32), "actions must hold int32"),
        ("actions", np.zeros((3, 4), np.float32), "actions must hold int32"),
        ("actions", np.zeros((4, 3), np.int32), r"actions must have the shape \[3, 4\]"),
        ("actions", np.zeros((4, 3), np.int32).T, "actions must be a C-contiguous buffer of int32"),
        ("rewards", np.zeros((3, 5), np.float32), r"rewards must have the shape \[3, 4\]"),
        ("terminals", np.zeros((3, 4), np.int8), "terminals must hold uint8"),
        ("masks", np.zeros(11, np.uint8), r"masks must have the shape \[3, 4\]"),
        ("masks", 5, "masks must be a C-contiguous, writable buffer of uint8"),
        ("final_observations", bytearray(3), "final_observations must hold float32, not items of format B"),
        ("final_observations", np.frombuffer(bytearray(4 * 4 * 118 + 1), np.uint8)[1:].view(np.float32), "not aligned"),
    ],
)
def test_a_buffer_of_another_kind_is_refused(batch: c_envs.Batch, name: str, wrong: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        batch.bind(**buffers_for(batch) | {name: wrong})
    with pytest.raises(RuntimeError, match="no buffers yet; call bind first"):
        batch.step(0)


def test_continuous_actions_are_floats() -> None:
    batch = c_envs.Batch("breakout", 4, config={"continuous": True}, slots=3)
    with pytest.raises(ValueError, match="actions must hold float32"):
        batch.bind(**buffers_for(batch) | {"actions": np.zeros((3, 4), np.int32)})


def test_buffers_that_share_memory_are_refused(batch: c_envs.Batch) -> None:
    buffers = buffers_for(batch)
    both = np.zeros((3, 8), np.uint8).ravel()
    with pytest.raises(ValueError, match="terminals and masks share memory"):
        batch.bind(**buffers | {"terminals": both[:12], "masks": both[11:23]})
    batch.bind(**buffers | {"terminals": both[:12], "masks": both[12:]})


def test_flat_buffers_without_numpy_will_do(batch: c_envs.Batch) -> None:
    buffers = buffers_for(batch)
    rewards, masks = array.array("f", [5.0] * 12), bytearray(12)
    batch.bind(**buffers | {"rewards": rewards, "masks": masks, "truncations": np.ones((3, 4), bool)})
    batch.reset()
    batch.step(1)
    assert list(rewards) == [5.0] * 4 + [0.0] * 4 + [5.0] * 4
    assert masks == b"\0" * 4 + b"\1" * 4 + b"\0" * 4


def test_a_refused_bind_keeps_the_buffers_bound_before() -> None:
    rollout = Rollout("breakout", environments=4, slots=3)
    with pytest.raises(ValueError, match="rewards"):
        rollout.batch.bind(**buffers_for(rollout.batch) | {"rewards": b""})
    rollout.masks[:] = 0
    rollout.batch.step(0)
    assert rollout.masks[0].all()


def test_bound_buffers_are_held_until_the_next_bind_or_close() -> None:
    batch = c_envs.Batch("breakout", 4, slots=3)
    first = buffers_for(batch)
    alive = weakref.ref(first["observations"])
    batch.bind(**first)
    del first
    gc.collect()
    assert alive() is not None
    batch.reset()
    batch.bind(**buffers_for(batch))
    gc.collect()
    assert alive() is None
    held = bytearray(12)
    batch.bind(**buffers_for(batch) | {"masks": held})
    with pytest.raises(BufferError):
        held.append(0)
    batch.close()
    held.append(0)


def test_refused_buffers_are_let_go() -> None:
    batch = c_envs.Batch("breakout", 4, slots=3)
    masks = bytearray(12)
    for _ in range(3):
        with pytest.raises(ValueError, match="final_observations"):
            batch.bind(**buffers_for(batch) | {"masks": masks, "final_observations": b""})
    masks.append(0)


def test_a_batch_in_a_cycle_with_its_buffers_is_collected() -> None:
    class Holder(bytearray):
        pass

    masks = Holder(12)
    batch = c_envs.Batch("breakout", 4, slots=3)
    batch.bind(**buffers_for(batch) | {"masks": masks})
    masks.batch = batch  # type: ignore[attr-defined]
    alive = weakref.ref(masks)
    del masks, batch
    gc.collect()
    assert alive() is None


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((3,), "t is 3; it must be from 0 to 2"),
        ((-1,), "t is -1"),
        ((0, 4), "first is 4; it must be from 0 to 3"),
        ((0, -1), "first is -1"),
        ((0, 0, 5), "count is 5; it must be from 0 to 4"),
        ((0, 3, 2), "count is 2; it must be from 0 to 1"),
        ((0, 0, -2), "count is -2"),
    ],
)
def test_a_step_outside_the_batch_is_refused(arguments: tuple[int, ...], text: str) -> None:
    rollout = Rollout("breakout", environments=4, slots=3)
    before = rollout.digest()
    with pytest.raises(ValueError, match=text):
        rollout.batch.step(*arguments)
    assert rollout.digest() == before


def test_slots_and_environments_outside_the_batch_are_refused() -> None:
    rollout = Rollout("breakout", environments=4, slots=3)
    with pytest.raises(ValueError, match="slot is 4; it must be from 0 to 3"):
        rollout.batch.observe(4)
    with pytest.raises(ValueError, match="environment is 4"):
        rollout.batch.state(4)
    with pytest.raises(ValueError, match="environment is -1"):
        rollout.batch.set_state(-1, rollout.batch.state(0))
    with pytest.raises(OverflowError):
        rollout.batch.step(2**70)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"environments": 0}, "environments is 0; it must be from 1"),
        ({"environments": -3}, "environments is -3"),
        ({"slots": 0}, "slots is 0"),
        ({"threads": -1}, "threads is -1; it must be from 1 to 256"),
        ({"threads": 257}, "threads is 257"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 2**64}, r"it must be from 0 to 2\*\*64 - 1"),
        ({"environments": 2**31, "slots": 2**31}, "too large"),
    ],
)
def test_numbers_out_of_range_are_refused(arguments: dict[str, int], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        c_envs.Batch("breakout", **{"environments": 2, **arguments})


def test_too_many_environments_for_the_memory_say_so() -> None:
    """In a process of its own that may have 3 GB: 2**26 environments are 12 GB."""
    code = """
import c_envs, resource
resource.setrlimit(resource.RLIMIT_AS, (3 * 2**30, 3 * 2**30))
try:
    c_envs.Batch("breakout", 2**26)
except MemoryError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "no memory or threads for 67108864 environments on 1 threads"


def test_no_threads_given_means_all_cores() -> None:
    with c_envs.Batch("breakout", 2, threads=0) as batch:
        assert batch.threads == len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


@pytest.mark.parametrize("asked", ["sched_getaffinity", "cpu_count"])
def test_on_more_cores_than_a_batch_can_have_threads_it_has_as_many_as_it_can(
    monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    answer = 1000 if asked == "cpu_count" else set(range(1000))
    monkeypatch.setattr(os, asked, lambda *process: answer, raising=False)
    with c_envs.Batch("breakout", 2, threads=0) as batch:
        assert batch.threads == c_envs.MOST_THREADS


def test_a_closed_batch_refuses_everything_but_close() -> None:
    rollout = Rollout("breakout", environments=4, threads=2)
    with rollout.batch as batch:
        state, saved = batch.state(0), batch.save()
    batch.close()
    for call in (
        batch.reset, batch.save, batch.statistics, lambda: batch.step(0), lambda: batch.observe(0),
        lambda: batch.state(0), lambda: batch.set_state(0, state), lambda: batch.load(saved),
        lambda: batch.bind(**rollout.buffers),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="the batch is closed"):
            call()


def test_closing_ends_the_threads() -> None:
    def count() -> int:
        return len(os.listdir("/proc/self/task"))

    if not os.path.isdir("/proc/self/task"):
        pytest.skip("threads are counted through /proc")
    before = count()
    batches = [c_envs.Batch("breakout", 64, threads=4) for _ in range(3)]
    assert count() == before + 9
    batches[0].close()
    del batches
    gc.collect()
    assert count() == before


def refusals_beside_a_long_step(threads: int, call: Callable[[c_envs.Batch], object]) -> list[str]:
    """What `call` is told when another thread steps environments 100 .. of a large batch; [] if it never met a step."""
    arguments = {"environments": 10000, "slots": 1, "threads": threads, "config": {"frame_skip": 64}}
    rollout = Rollout("breakout", **arguments)  # type: ignore[arg-type]
    other = Rollout("breakout", environments=1)
    told: list[str] = []
    over = threading.Event()

    def intrude() -> None:
        while not told and not over.is_set():
            other.batch.step(0)
            try:
                call(rollout.batch)
            except RuntimeError as error:
                told.append(str(error))
            time.sleep(1e-3)

    intruder = threading.Thread(target=intrude)
    intruder.start()
    steps = 0
    while not told and steps < 20:
        try:
            rollout.batch.step(0, 100)
            steps += 1
        except RuntimeError:  # the intruder's own call came first
            time.sleep(1e-4)
    over.set()
    intruder.join()
    return told


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", ["observe", "statistics", "save", "state", "step over it", "step all"])
def test_a_call_while_a_step_runs_is_refused(threads: int, name: str) -> None:
    """A step lets other threads run Python; what they ask of environments that are being stepped is refused."""
    calls: dict[str, Callable[[c_envs.Batch], object]] = {
        "observe": lambda batch: batch.observe(0),
        "statistics": lambda batch: batch.statistics(),
        "save": lambda batch: batch.save(),
        "state": lambda batch: batch.state(100),
        "step over it": lambda batch: batch.step(0, 99, 2),
        "step all": lambda batch: batch.step(0),
    }
    told = refusals_beside_a_long_step(threads, calls[name])
    assert told
    assert "another thread is" in told[0]


def test_a_batch_with_threads_of_its_own_refuses_steps_side_by_side() -> None:
    assert refusals_beside_a_long_step(2, lambda batch: batch.step(0, 0, 100))
    assert not refusals_beside_a_long_step(1, lambda batch: batch.step(0, 0, 100))


def test_callers_threads_step_parts_side_by_side_to_the_same_bytes() -> None:
    whole = Rollout("breakout", environments=3000, slots=1)
    parts = Rollout("breakout", environments=3000, slots=1)
    random = np.random.default_rng(0)

    def step(first: int) -> None:
        parts.batch.step(0, first, 1000)

    for _ in range(50):
        whole.actions[:] = parts.actions[:] = random.integers(0, 3, (1, 3000))
        whole.batch.step(0)
        threads = [threading.Thread(target=step, args=(first,)) for first in (0, 1000, 2000)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert parts.digest() == whole.digest()
    assert parts.batch.save() == whole.batch.save()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_cannot_use_the_batch_and_ends_in_peace() -> None:
    rollout = Rollout("breakout", environments=4, threads=3)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            rollout.batch.step(0)
        except RuntimeError as error:
            code = 0 if "does not survive a fork" in str(error) else 2
        rollout.batch.close()
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    rollout.batch.step(0)
