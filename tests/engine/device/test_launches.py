"""Launches are counted by the calls of the CUDA runtime that torch's profiler hears."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from engine.launches import KINDS, count_launches, counted

CUDA = torch.device("cuda", 0)


class FakeProfiler:
    """torch's profiler: hears `calls`, or refuses to start."""

    def __init__(self, calls: list[str], refusal: Exception | None = None) -> None:
        self.calls, self.refusal = calls, refusal
        self.steps: list[str] = []

    def install(self, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(torch.profiler, "profile", self.listen)
        patch.setattr(torch.cuda, "synchronize", lambda device: self.steps.append("drained"))

    def listen(self, activities: list[torch.profiler.ProfilerActivity]) -> FakeProfiler:
        assert activities == [torch.profiler.ProfilerActivity.CUDA]
        return self

    def start(self) -> None:
        if self.refusal:
            raise self.refusal
        self.steps.append("start")

    def stop(self) -> None:
        self.steps.append("stop")

    def events(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(name=name) for name in self.calls]


def test_kernels_graphs_copies_and_fills_are_told_apart() -> None:
    calls = ["cudaLaunchKernel", "cuLaunchKernel", "cudaLaunchKernelExC_v11060", "cudaGraphLaunch_v10000"]
    calls += ["cudaMemcpyAsync", "cudaMemsetAsync", "cudaMemcpyAsync_ptsz"]
    others = ["aten::add", "cudaStreamSynchronize", "cudaEventRecord", "cudaMalloc", "vectorized_elementwise_kernel"]
    assert counted([*calls, *others]) == {"kernels": 3, "graphs": 1, "copies": 2, "fills": 1}
    assert counted(others) == {}


def test_the_queue_is_drained_before_the_profiler_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    profiler = FakeProfiler(["cudaLaunchKernel"] * 3)
    profiler.install(monkeypatch)
    assert count_launches(lambda: profiler.steps.append("work"), CUDA, pytest.fail) == {"kernels": 3}
    assert profiler.steps == ["start", "work", "drained", "stop"]


@pytest.mark.parametrize(
    ("profiler", "reason"),
    [
        (FakeProfiler([], RuntimeError("CUPTI is busy\nmore")), "CUPTI is busy"),
        (FakeProfiler([], AssertionError()), "AssertionError"),
        (FakeProfiler(["aten::add"]), "torch's profiler saw no call of the CUDA runtime"),
    ],
)
def test_where_nothing_can_be_heard_the_reason_is_told(
    monkeypatch: pytest.MonkeyPatch, profiler: FakeProfiler, reason: str
) -> None:
    profiler.install(monkeypatch)
    heard: list[str] = []
    assert count_launches(lambda: None, CUDA, heard.append) is None
    assert heard == [f"launches cannot be counted: {reason}"]


def test_the_real_profiler_is_asked_rightly_and_says_nothing(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """torch's own on a CPU, where it hears torch's operations instead of a runtime's calls."""
    monkeypatch.setattr(torch.profiler, "ProfilerActivity", SimpleNamespace(CUDA=torch.profiler.ProfilerActivity.CPU))
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    monkeypatch.setitem(KINDS, "aten::add", "kernels")
    assert count_launches(lambda: torch.ones(3) + 1, CUDA, pytest.fail) == {"kernels": 1}
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_what_the_work_raises_is_not_taken_for_the_profilers(monkeypatch: pytest.MonkeyPatch) -> None:
    profiler = FakeProfiler(["cudaLaunchKernel"])
    profiler.install(monkeypatch)

    def work() -> None:
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        count_launches(work, CUDA, pytest.fail)
    assert profiler.steps == ["start", "stop"]


def test_a_cpu_has_no_launches() -> None:
    assert count_launches(pytest.fail, torch.device("cpu"), pytest.fail) is None


@pytest.mark.gpu(driver=True)
def test_on_a_gpu_every_operation_is_a_launch() -> None:
    value = torch.zeros(100, device="cuda")

    def work() -> None:
        for _ in range(7):
            value.add_(1)

    assert count_launches(work, CUDA, pytest.fail) == {"kernels": 7}
