"""The memory panel's figures: what is counted, and that the parts add up to what torch holds."""

from __future__ import annotations

from collections.abc import Callable

import psutil
import pytest
import torch

from engine.device_graph import GraphedCall
from engine.memory import MemoryProbe, memory_parts
from engine.snapshot import Card, Memory
from engine.trainer import Trainer
from tests.engine.conftest import tiny_profile
from tests.engine.device.fake_cuda import FakeCuda

Make = Callable[..., Trainer]


def test_on_a_cpu_the_process_and_the_machine_are_told(make_trainer: Make) -> None:
    probe = MemoryProbe(make_trainer())
    memory = probe.read()
    probe.close()
    assert memory.gpu_name is None
    assert memory.card is None
    assert dict(memory.gpu_parts) == {}
    assert memory.process is not None
    assert memory.process_peak is not None
    assert 10**7 < memory.process <= memory.process_peak * 1.01
    assert memory.machine_total == psutil.virtual_memory().total


def test_the_parts_are_what_the_tensors_take_and_add_up(make_trainer: Make) -> None:
    """Trainers on the CPU hold the same tensors as on a GPU; the allocator's figures are made up."""
    trainer = make_trainer("replay.factor=2", "env.agents=64")
    trainer.iterate()
    trainer.iterate()
    allocated, reserved = 50_000_000, 64_000_000
    parts = memory_parts(trainer, allocated, reserved)
    assert sum(parts.values()) == reserved
    assert sum(parts.values()) - parts["free"] == allocated
    weights = 4 * trainer.policy.parameter_count()
    assert parts["parameters"] == weights
    muon = sum(
        4 * p.numel() for p, muon in zip(trainer.optimizer.parameters, trainer.optimizer.uses_muon, strict=True) if muon
    )
    assert parts["optimizer"] == 2 * weights - muon + 2 * 4
    environments = trainer.buffer.environments.nbytes
    assert parts["rollout"] >= trainer.buffer.bytes() - environments
    assert trainer.archive is not None
    assert parts["replay"] > 2 * (parts["rollout"] - environments) * 0.8
    assert parts["graphs"] == 0


def test_what_several_graphs_keep_is_counted_and_the_parts_still_add_up(
    make_trainer: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever records a graph: its memory is neither free nor anything else's, until the graph is gone."""
    trainer = make_trainer()
    cuda = FakeCuda()
    cuda.install(monkeypatch)
    trainer.device = torch.device("cuda", 7)  # other tests leave graphs on the first

    def recorded(room: int) -> GraphedCall:
        def work() -> None:
            cuda.reserved += room * len(cuda.recorded)

        call = GraphedCall(work, "work", trainer.device, pytest.fail)
        cuda.recorded.clear()
        call()
        call()
        return call

    graphs = [recorded(room) for room in (2_000, 0, 30_000)]
    parts = memory_parts(trainer, cuda.allocated, cuda.reserved)
    assert cuda.reserved == 1000 + 32_000
    assert (parts["graphs"], parts["free"], parts["other"]) == (32_000, 400, 600)
    assert sum(parts.values()) == cuda.reserved
    del graphs[0]
    parts = memory_parts(trainer, cuda.allocated, cuda.reserved)
    assert (parts["graphs"], parts["free"]) == (30_000, 2_400)
    parts = memory_parts(trainer, cuda.reserved - 100, cuda.reserved)
    assert (parts["graphs"], parts["free"]) == (100, 0), "never more than what is not allocated"
    trainer.device = torch.device("cpu")


def test_a_tensor_that_two_things_hold_is_counted_once(make_trainer: Make) -> None:
    trainer = make_trainer()
    before = memory_parts(trainer, 0, 0)
    trainer.optimizer.again = trainer.policy.heads.weight  # type: ignore[attr-defined]
    trainer.optimizer.view = trainer.buffer.observations[1:]  # type: ignore[attr-defined]
    assert memory_parts(trainer, 0, 0) == before


def test_on_a_gpu_torch_tells_the_run_and_the_driver_the_card(
    make_trainer: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make_trainer()
    cuda = torch.device("cuda", 0)
    closed: list[str] = []

    class Cards:
        newest = Card(temperature=64)

        def __init__(self, device: torch.device) -> None:
            assert device == cuda

        def start(self) -> None:
            closed.append("started")

        def close(self) -> None:
            closed.append("closed")

    figures = {
        "memory_allocated": 3000,
        "memory_reserved": 4000,
        "max_memory_allocated": 3500,
        "get_device_name": "H200",
    }
    for name, figure in figures.items():
        monkeypatch.setattr(torch.cuda, name, lambda device, figure=figure: figure)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (94_000, 100_000))
    monkeypatch.setattr("engine.memory.CardProbe", Cards)
    trainer.device = cuda
    probe = MemoryProbe(trainer)
    memory = probe.read()
    probe.close()
    trainer.device = torch.device("cpu")
    assert (memory.gpu_allocated, memory.gpu_reserved, memory.gpu_peak) == (3000, 4000, 3500)
    assert (memory.gpu_used, memory.gpu_total, memory.gpu_name) == (6000, 100_000, "H200")
    assert memory.card == Card(temperature=64)
    assert memory.gpu_parts["other"] == 3000, "none of the CPU's tensors is on the card"
    assert closed == ["started", "closed"]
    assert isinstance(memory, Memory)


@pytest.mark.gpu
def test_the_parts_of_a_run_on_this_gpu_add_up_to_the_allocators_figure() -> None:
    device = torch.device("cuda", 0)
    trainer = Trainer(tiny_profile("train.device=cuda", "env.agents=4096").for_device("cuda"), device)
    for _ in range(4):
        trainer.iterate()
    probe = MemoryProbe(trainer)
    memory = probe.read()
    probe.close()
    assert memory.gpu_reserved is not None
    assert sum(memory.gpu_parts.values()) == pytest.approx(memory.gpu_reserved, rel=0.02)
    assert all(each >= 0 for each in memory.gpu_parts.values()), memory.gpu_parts
    assert memory.gpu_parts["rollout"] > 10**7
    trainer.close()


@pytest.mark.gpu(driver=True)
def test_what_graphs_keep_on_this_gpu_is_what_the_allocator_holds_for_them() -> None:
    """A trainer's graphs and a large one beside them, against the allocator's list of segments."""
    device = torch.device("cuda", 0)
    trainer = Trainer(tiny_profile("train.device=cuda", "env.agents=1024").for_device("cuda"), device)
    for _ in range(4):
        trainer.iterate()
    total = torch.zeros((), device=device)

    def work() -> None:
        total.copy_(torch.ones(30_000_000, device=device).mul(2).sum())

    call = GraphedCall(work, "sum", device, pytest.fail)
    for _ in range(3):
        call()
    pools = [each for each in torch.cuda.memory_snapshot() if tuple(each["segment_pool_id"]) != (0, 0)]
    kept = sum(each["total_size"] - each["allocated_size"] for each in pools)
    allocated, reserved = torch.cuda.memory_allocated(device), torch.cuda.memory_reserved(device)
    parts = memory_parts(trainer, allocated, reserved)
    assert kept > 2 * 4 * 30_000_000
    assert parts["graphs"] == pytest.approx(kept, abs=0.02 * reserved)
    assert all(each >= 0 for each in parts.values()), parts
    trainer.close()
