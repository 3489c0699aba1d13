"""The kernel for gradients of biases on a GPU, there and as text run on the CPU, sums what torch sums."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from engine.device_columns import (
    ColumnKernels,
    ColumnSums,
    DeviceEncoder,
    DeviceLinear,
    column_kernels,
    columns_program,
)
from engine.mingru import MinGRU
from tests.engine.device.host_device import build, host_program

SHAPES = [(1, 1), (7, 4), (4096, 4), (5000, 5), (300, 32), (1500, 33), (1000, 192)]
"""Of one pass and of two."""


DEVICES = [pytest.param("cpu", id="host"), pytest.param("cuda", marks=pytest.mark.gpu)]
Place = tuple[ColumnKernels, torch.device]


@pytest.fixture(scope="module", params=DEVICES)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Kernels, and the device that they are for."""
    device = torch.device(request.param)
    if device.type == "cpu":
        return ColumnKernels(host_program(columns_program(), "host_columns.h", tmp_path_factory.mktemp("sums"))), device
    found = column_kernels(device, pytest.fail)
    assert found is not None
    return found, device


@pytest.fixture(autouse=True)
def exact_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a trainer has set before."""
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)


@pytest.mark.parametrize("shape", SHAPES)
def test_sums_are_those_of_the_columns(place: Place, shape: tuple[int, int]) -> None:
    kernels, device = place
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(device)
    for given in (matrix, matrix.t().contiguous().t()):
        sums = kernels.sums(given)
        torch.testing.assert_close(sums.cpu().double(), matrix.cpu().double().sum(0), rtol=1e-5, atol=1e-3)
        assert torch.equal(sums, kernels.sums(matrix))


@pytest.mark.parametrize("shape", SHAPES)
def test_units_at_rest_have_no_gradient(place: Place, shape: tuple[int, int]) -> None:
    kernels, device = place
    chance = torch.Generator().manual_seed(1)
    slopes, outputs = (torch.randn(shape, generator=chance).to(device) for _ in range(2))
    outputs.relu_()
    found, sums = kernels.at_work(slopes, outputs)
    assert torch.equal(found, slopes * (outputs > 0))
    torch.testing.assert_close(sums.cpu().double(), found.cpu().double().sum(0), rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("relu", [True, False])
def test_layers_have_the_gradients_of_torchs(place: Place, relu: bool) -> None:
    kernels, device = place
    chance = torch.Generator().manual_seed(1)
    inputs, weight, bias, slopes = (torch.randn(size, generator=chance) for size in ((900, 7), (5, 7), (5,), (900, 5)))
    results = []
    for own in (True, False):
        given = [each.to(device, copy=True) for each in (inputs, weight, bias)]
        for each in given[relu:]:
            each.requires_grad_()
        if own:
            outputs = (DeviceEncoder if relu else DeviceLinear).apply(*given, kernels)  # type: ignore[no-untyped-call]
        else:
            outputs = functional.linear(*given)
            outputs = outputs.relu() if relu else outputs
        outputs.backward(slopes.to(device))
        results.append([outputs, *(each.grad for each in given if each.requires_grad)])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_a_mingru_with_the_kernel_learns_as_without(place: Place) -> None:
    kernels, device = place
    results = []
    for columns in (kernels, None):
        torch.manual_seed(1)
        core, inputs, state = MinGRU(6, 2), torch.randn(5, 9, 6), torch.randn(2, 1, 9, 6)
        core.to(device).columns = columns
        outputs = core.unroll(inputs.to(device), state.to(device), torch.zeros(5, 9, dtype=torch.uint8).to(device))
        outputs.square().sum().backward()  # type: ignore[no-untyped-call]
        results.append([outputs, *(parameter.grad for parameter in core.parameters())])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_nothing_is_read_or_written_beside_the_arrays(tmp_path: Path) -> None:
    headers = ["host_columns.h", "host_driver.h", "columns_bounds.h"]
    program = build(columns_program(), headers, ["-O1", "-g", "-fsanitize=address,undefined"], tmp_path)
    # Looking for leaks, which there are none to look for, is not allowed in every container.
    options = {"ASAN_OPTIONS": "detect_leaks=0"}
    done = subprocess.run([program], env=options, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_host_and_the_device_speak_of_the_same_kernel(place: Place) -> None:
    kernels, _ = place
    assert f"sizeof(ColumnSums) == {ctypes.sizeof(ColumnSums)}" in columns_program().source
    kernels.try_all()  # on nothing it does nothing
