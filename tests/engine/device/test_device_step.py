"""The kernels for the optimizer's step on a GPU, there and as text run on the CPU, do as optimizer and learner do."""

from __future__ import annotations

import ctypes
import math
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from engine import device_step
from engine.device_step import ARGUMENTS, MOST_PARAMETERS, DeviceStep, StepKernels, step_kernels, step_program
from engine.guard import DeferredFaults
from engine.losses import STATISTICS
from engine.optimizer import Optimizer, OptimizerSettings, Rates, gradient_norms, scale_to_norm
from engine.policy import Policy
from tests.engine.device.host_device import build, host_program

SAMPLES = (9, 700)
"""More than two blocks' worth of them, and the last block's not a whole one."""


DEVICES = [pytest.param("cpu", id="host"), pytest.param("cuda", marks=pytest.mark.gpu)]
CPU = torch.device("cpu")


class Place(NamedTuple):
    """Kernels, and the device that they are for."""

    kernels: StepKernels
    device: torch.device

    def put(self, tensors: Iterable[Tensor]) -> list[Tensor]:
        """The tensors there."""
        return [tensor.to(self.device) for tensor in tensors]


@pytest.fixture(scope="module", params=DEVICES)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Place:
    device = torch.device(request.param)
    if device.type == "cpu":
        return Place(StepKernels(host_program(step_program(), "host_step.h", tmp_path_factory.mktemp("step"))), device)
    found = step_kernels(device, pytest.fail)
    assert found is not None
    return Place(found, device)


@pytest.fixture(autouse=True)
def exact_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a trainer has set before."""
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)


class Books:
    """What a learner and its `DeferredFaults` write down of minibatches."""

    def __init__(self, parameters: int, device: torch.device = CPU) -> None:
        self.totals = torch.zeros(len(STATISTICS) + 2, device=device)
        self.faults = DeferredFaults(len(STATISTICS) + parameters + 1, device)

    def by_torch(
        self, gradients: list[Tensor], statistics: Tensor, ratios: Tensor, live: Tensor | None, limit: float
    ) -> tuple[bool, list[Tensor]]:
        """The learner's formulas: is it learned from, and the gradients at most `limit` long."""
        norms, norm = gradient_norms(gradients)
        parts = torch.split(self.totals, [len(STATISTICS), 1, 1])
        largest = torch.maximum(parts[2], ratios.max())
        totals = torch.cat((parts[0] + statistics.sum(1), parts[1] + norm, largest))
        figures = torch.cat((totals[: len(STATISTICS)], norms, norm.unsqueeze(0)))
        finite = figures.isfinite().all()
        learned = finite if live is None else finite & (live > 0)
        self.faults.observe(finite, learned, figures)
        self.totals = torch.where(learned, totals, self.totals)
        scaled = [gradient.clone() for gradient in gradients]
        scale_to_norm(scaled, norm, limit)
        return bool(learned), scaled


def network(core: str, hidden: int, layers: int, observations: int) -> Policy:
    policy = Policy(observations, 3, core=core, hidden=hidden, layers=layers)
    policy.initialize(torch.Generator().manual_seed(1))
    return policy


def some_gradients(net: nn.Module, seed: int, size: float = 1.0) -> list[Tensor]:
    chance = torch.Generator().manual_seed(seed)
    return [size * torch.randn(parameter.shape, generator=chance) for parameter in net.parameters()]


def some_samples(seed: int) -> tuple[Tensor, Tensor]:
    chance = torch.Generator().manual_seed(seed)
    statistics = torch.randn(len(STATISTICS), SAMPLES[0] * SAMPLES[1], generator=chance) / 1000
    return statistics, 1 + 0.3 * torch.rand(SAMPLES, generator=chance)


def optimizers(muon: bool, *nets: nn.Module, joined: bool = True) -> list[Optimizer]:
    settings = OptimizerSettings(muon, 0.95, 0.9, 0.999, 1e-8)
    return [Optimizer(net, settings, joined=joined) for net in nets]


NETWORKS = [
    ("lstm", 128, 1, 118),
    ("lstm", 33, 2, 7),
    ("mingru", 64, 2, 118),
    ("none", 16, 1, 300),
    ("lstm", 8, 3, 1),
]


@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("muon", [True, False])
@pytest.mark.parametrize(("core", "hidden", "layers", "observations"), NETWORKS)
def test_steps_are_those_of_the_optimizer(
    place: Place, core: str, hidden: int, layers: int, observations: int, muon: bool, decay: float
) -> None:
    one, other = (
        network(core, hidden, layers, observations),
        network(core, hidden, layers, observations).to(place.device),
    )
    plain, fused = optimizers(muon, one, other)
    step, books = DeviceStep(place.kernels, fused), Books(len(plain.parameters))
    theirs = Books(len(plain.parameters), place.device)
    for turn, size in enumerate((1.0, 1e-4, 30.0)):
        gradients, (statistics, ratios) = some_gradients(one, turn, size), some_samples(turn)
        learned, scaled = books.by_torch(gradients, statistics, ratios, None, 0.7)
        assert learned
        moved = place.put(gradients)
        assert step.judge(moved, *place.put((statistics, ratios)), None, 0.7, theirs.totals, theirs.faults.tensor())
        rates = plain.next_rates(0.02, 0.01, decay)
        plain.apply(scaled, rates)
        step.apply(moved, rates)
        plain.steps = fused.steps = turn + 1
        torch.testing.assert_close(theirs.totals.cpu(), books.totals, rtol=1e-4, atol=1e-5)
        for name, value in plain.weights().items():
            found = fused.weights()[name].cpu()
            assert torch.allclose(found, value, rtol=1e-4, atol=1e-5), (name, (found - value).abs().max())


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_matrices_that_are_too_large_go_torchs_way(place: Place, monkeypatch: pytest.MonkeyPatch, decay: float) -> None:
    monkeypatch.setattr(device_step, "MOST_SIDE", 20)
    one, other = network("lstm", 24, 2, 9), network("lstm", 24, 2, 9).to(place.device)
    plain, fused = optimizers(True, one, other)
    step, books = DeviceStep(place.kernels, fused), Books(len(plain.parameters), place.device)
    for turn in range(2):
        gradients, (statistics, ratios) = some_gradients(one, turn), some_samples(turn)
        if turn:
            gradients[2][3, 4] = math.nan
        _, scaled = Books(len(plain.parameters)).by_torch(gradients, statistics, ratios, None, 5.0)
        moved = place.put(gradients)
        step.judge(moved, *place.put((statistics, ratios)), None, 5.0, books.totals, books.faults.tensor())
        if not turn:
            plain.apply(scaled, plain.next_rates(0.02, 0.01, decay))
        step.apply(moved, plain.next_rates(0.02, 0.01, decay))
    for name, value in plain.weights().items():
        torch.testing.assert_close(fused.weights()[name].cpu(), value, rtol=1e-4, atol=1e-5)


def test_rates_of_a_recording_are_read_when_it_is_launched(place: Place) -> None:
    """As doubles on the device."""
    one, other = network("lstm", 16, 1, 12), network("lstm", 16, 1, 12).to(place.device)
    plain, fused = optimizers(True, one, other)
    step, books = DeviceStep(place.kernels, fused), Books(len(plain.parameters), place.device)
    numbers = torch.zeros(6, dtype=torch.float64, device=place.device)
    limit, *rates = numbers.unbind()
    for turn, values in enumerate(((0.5, 0.02, 0.01, 0.1, 0.1, 0.001), (9e9, 0.3, 0.002, 0.5, 0.19, 0.002))):
        numbers.copy_(torch.tensor(values, dtype=torch.float64))
        gradients, (statistics, ratios) = some_gradients(one, turn), some_samples(turn)
        _, scaled = Books(len(plain.parameters)).by_torch(gradients, statistics, ratios, None, values[0])
        moved = place.put(gradients)
        step.judge(moved, *place.put((statistics, ratios)), None, limit, books.totals, books.faults.tensor())
        step.apply(moved, Rates(*rates))
        plain.apply(scaled, Rates(*values[1:]))
    for name, value in plain.weights().items():
        torch.testing.assert_close(fused.weights()[name].cpu(), value, rtol=1e-4, atol=1e-5)


FAULTS = ["none", "gradient", "statistic", "ratio", "overflow", "none", "nothing live", "gradient", "none"]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_minibatch_is_judged_as_the_learner_does_and_changes_nothing_where_it_is_bad(
    place: Place, bad: float
) -> None:
    policy = network("lstm", 16, 1, 12).to(place.device)
    (optimizer,) = optimizers(True, policy)
    step = DeviceStep(place.kernels, optimizer)
    books, theirs = (Books(len(optimizer.parameters), device) for device in (CPU, place.device))
    for turn, fault in enumerate(FAULTS):
        gradients, (statistics, ratios) = some_gradients(policy, turn), some_samples(turn)
        if fault == "gradient":
            gradients[2][3, 4] = bad
        elif fault == "statistic":
            statistics[4, 5000] = bad
        elif fault == "ratio":
            statistics[3, 2500] = ratios[3, 2] = bad  # what gives such a ratio adds as much to a statistic
        elif fault == "overflow":
            gradients[0][:] = 1e19
        live = torch.tensor(0.0 if fault == "nothing live" else 3.0)
        expected, _ = books.by_torch(gradients, statistics, ratios, live, 0.7)
        before = {name: value.clone() for name, value in optimizer.weights().items()}
        gradients, (statistics, ratios, live) = place.put(gradients), place.put((statistics, ratios, live))
        learned = step.judge(gradients, statistics, ratios, live, 0.7, theirs.totals, theirs.faults.tensor())
        assert bool(learned) == expected == (fault == "none")
        step.apply(gradients, optimizer.next_rates(0.02, 0.01, 0.1))
        for name, value in optimizer.weights().items():
            assert torch.equal(value, before[name]) != expected, name
        for one, other in ((theirs.totals, books.totals), (theirs.faults.tensor(), books.faults.tensor())):
            torch.testing.assert_close(one.cpu(), other, rtol=1e-4, atol=1e-5, equal_nan=True)


def test_a_gradient_that_is_a_view_is_taken_as_it_reads(place: Place) -> None:
    one, other = (network("lstm", 16, 1, 12).to(place.device) for _ in range(2))
    results = []
    for policy, turned in ((one, False), (other, True)):
        (optimizer,) = optimizers(True, policy)
        step, books = DeviceStep(place.kernels, optimizer), Books(len(optimizer.parameters), place.device)
        gradients = place.put(some_gradients(policy, 1))
        if turned:
            gradients = [each.mT.contiguous().mT if each.ndim == 2 else each for each in gradients]
        step.judge(gradients, *place.put(some_samples(1)), None, 0.7, books.totals, books.faults.tensor())
        step.apply(gradients, optimizer.next_rates(0.02, 0.01, 0.1))
        results.append(optimizer.weights())
    assert all(torch.equal(value, results[1][name]) for name, value in results[0].items())


def test_more_parameters_than_a_launch_takes_are_left_to_torch() -> None:
    few, many = (nn.ParameterList(torch.zeros(2) for _ in range(MOST_PARAMETERS + more)) for more in (0, 1))
    assert [DeviceStep.fits(each) for each in optimizers(True, few, many)] == [True, False]


def test_nothing_is_read_or_written_beside_the_arrays(tmp_path: Path) -> None:
    headers = ["host_step.h", "host_driver.h", "step_bounds.h"]
    program = build(step_program(), headers, ["-O1", "-g", "-fsanitize=address,undefined"], tmp_path)
    # Looking for leaks, which there are none to look for, is not allowed in every container.
    options = {"ASAN_OPTIONS": "detect_leaks=0"}
    done = subprocess.run([program], env=options, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_host_and_the_device_speak_of_the_same_kernels(place: Place) -> None:
    program = step_program()
    for arguments in ARGUMENTS.values():
        assert f"sizeof({arguments.__name__}) == {ctypes.sizeof(arguments)}" in program.source
    header = program.headers["step.h"]
    for name, value in (("MOST_PARAMETERS", MOST_PARAMETERS), ("TILE", device_step.TILE), ("STATISTICS", 6)):
        assert f"#define {name} {value}\n" in header
    assert len(STATISTICS) == 6
    place.kernels.try_all()  # on nothing they do nothing
