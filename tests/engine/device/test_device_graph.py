"""A function recorded once and launched whole: what torch is asked, and what happens when it refuses."""

from __future__ import annotations

import pytest
import torch

from engine.device_graph import GraphedCall, recorded_graphs
from tests.engine.device.fake_cuda import FakeCuda

CUDA = torch.device("cuda", 0)


def test_the_first_call_warms_up_the_second_records_and_all_others_are_launches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cuda = FakeCuda()
    cuda.install(monkeypatch)
    ran: list[int] = []

    def work() -> None:
        ran.append(cuda.replays)
        cuda.reserved += 24 * len(cuda.recorded)
        cuda.allocated += 8 * len(cuda.recorded)  # such as a workspace that outlives the recording

    call = GraphedCall(work, "rollout", CUDA, pytest.fail)
    call()
    assert (len(ran), cuda.recorded, cuda.replays, call.bytes) == (1, [], 0, 0)
    for _ in range(3):
        call()
    assert len(ran) == 2
    assert cuda.recorded == [{"capture_error_mode": "thread_local", "stream": None}]
    assert cuda.replays == 3
    assert call.bytes == 16


def test_what_cannot_be_recorded_runs_as_it_is_and_the_reason_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = FakeCuda(RuntimeError("CUDA error: operation not permitted when stream is capturing\nCompile with ..."))
    cuda.install(monkeypatch)
    ran: list[int] = []
    heard: list[str] = []
    call = GraphedCall(lambda: ran.append(1), "rollout", CUDA, heard.append)
    for _ in range(4):
        call()
    assert heard == [
        "the rollout cannot be recorded as a CUDA graph and is slower without: "
        "CUDA error: operation not permitted when stream is capturing"
    ]
    assert len(ran) == 5, "the failed recording computed nothing, so its call runs the work, too"
    assert (len(cuda.recorded), cuda.replays, call.bytes) == (1, 0, 0)


def test_the_graphs_of_a_device_are_known_while_somebody_holds_them(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = FakeCuda()
    cuda.install(monkeypatch)
    before = recorded_graphs(CUDA)
    calls = [GraphedCall(lambda: None, name, CUDA, pytest.fail) for name in ("rollout", "update")]
    elsewhere = GraphedCall(lambda: None, "rollout", torch.device("cuda", 1), pytest.fail)
    for call in (*calls, elsewhere):
        call()
    assert recorded_graphs(CUDA) == before, "nothing is recorded yet"
    for call in (*calls, elsewhere):
        call()
    assert {id(call) for call in recorded_graphs(CUDA)} == {id(call) for call in (*before, *calls)}
    del call, calls[0]
    assert {id(call) for call in recorded_graphs(CUDA)} == {id(call) for call in (*before, *calls)}
    cuda.refusal = RuntimeError("no")
    refused = GraphedCall(lambda: None, "rollout", CUDA, lambda text: None)
    refused()
    refused()
    assert refused not in recorded_graphs(CUDA)


def test_on_the_cpu_nothing_is_recorded() -> None:
    ran: list[int] = []
    call = GraphedCall(lambda: ran.append(1), "rollout", torch.device("cpu"), pytest.fail)
    for _ in range(3):
        call()
    assert len(ran) == 3


def test_where_no_graph_is_wanted_nothing_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = FakeCuda()
    cuda.install(monkeypatch)
    ran: list[int] = []
    call = GraphedCall(lambda: ran.append(1), "rollout", CUDA, pytest.fail, wanted=False)
    for _ in range(3):
        call()
    assert (len(ran), cuda.recorded, cuda.replays) == (3, [], 0)


def test_graphs_that_run_side_by_side_are_recorded_on_their_own_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = FakeCuda()
    cuda.install(monkeypatch)
    streams = [object(), object()]
    for stream in streams:
        call = GraphedCall(lambda: None, "rollout step", CUDA, pytest.fail, stream=stream)  # type: ignore[arg-type]
        call()
        call()
    assert [options["stream"] for options in cuda.recorded] == streams


@pytest.mark.gpu
def test_a_graph_does_what_the_work_does() -> None:
    total, step = torch.zeros(3, device="cuda"), torch.ones(3, device="cuda")
    heard: list[str] = []
    call = GraphedCall(lambda: total.add_(step), "sum", CUDA, heard.append)  # type: ignore[arg-type, return-value]
    for _ in range(5):
        call()
    step.fill_(10)
    call()
    assert total.tolist() == [15.0] * 3
    assert heard == []


@pytest.mark.gpu
def test_work_that_asks_the_device_falls_back() -> None:
    total = torch.zeros(3, device="cuda")
    heard: list[str] = []

    def work() -> None:
        total.add_(1 if float(total.sum()) >= 0 else 0)

    call = GraphedCall(work, "sum", CUDA, heard.append)
    for _ in range(4):
        call()
    assert total.tolist() == [4.0] * 3
    assert len(heard) == 1
