"""The kernel for gradients of biases on a GPU: its text, run on the CPU, sums what torch sums; layers learn alike."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from engine.device_columns import ColumnKernels, ColumnSums, DeviceEncoder, DeviceLinear, columns_program
from engine.mingru import MinGRU
from tests.engine.device.host_device import build, host_program

SHAPES = [(1, 1), (7, 4), (4096, 4), (5000, 5), (300, 32), (1500, 33), (1000, 192)]
"""Of one pass and of two."""


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> ColumnKernels:
    return ColumnKernels(host_program(columns_program(), "host_columns.h", tmp_path_factory.mktemp("columns")))


@pytest.mark.parametrize("shape", SHAPES)
def test_sums_are_those_of_the_columns(kernels: ColumnKernels, shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    for given in (matrix, matrix.t().contiguous().t()):
        sums = kernels.sums(given)
        torch.testing.assert_close(sums.double(), matrix.double().sum(0), rtol=1e-5, atol=1e-3)
        assert torch.equal(sums, kernels.sums(matrix))


@pytest.mark.parametrize("shape", SHAPES)
def test_units_at_rest_have_no_gradient(kernels: ColumnKernels, shape: tuple[int, int]) -> None:
    chance = torch.Generator().manual_seed(1)
    slopes, outputs = (torch.randn(shape, generator=chance) for _ in range(2))
    outputs.relu_()
    found, sums = kernels.at_work(slopes, outputs)
    assert torch.equal(found, slopes * (outputs > 0))
    torch.testing.assert_close(sums.double(), found.double().sum(0), rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("relu", [True, False])
def test_layers_have_the_gradients_of_torchs(kernels: ColumnKernels, relu: bool) -> None:
    chance = torch.Generator().manual_seed(1)
    inputs, weight, bias, slopes = (torch.randn(size, generator=chance) for size in ((900, 7), (5, 7), (5,), (900, 5)))
    results = []
    for own in (True, False):
        given = [each.clone().requires_grad_(not (relu and each is inputs)) for each in (inputs, weight, bias)]
        if own:
            outputs = (DeviceEncoder if relu else DeviceLinear).apply(*given, kernels)  # type: ignore[no-untyped-call]
        else:
            outputs = functional.linear(*given)
            outputs = outputs.relu() if relu else outputs
        outputs.backward(slopes)
        results.append([outputs, *(each.grad for each in given if each.requires_grad)])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_a_mingru_with_the_kernel_learns_as_without(kernels: ColumnKernels) -> None:
    results = []
    for columns in (kernels, None):
        torch.manual_seed(1)
        core = MinGRU(6, 2)
        core.columns = columns
        inputs, state = torch.randn(5, 9, 6), torch.randn(2, 1, 9, 6)
        outputs = core.unroll(inputs, state, torch.zeros(5, 9, dtype=torch.uint8))
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


def test_the_host_and_the_device_speak_of_the_same_kernel(kernels: ColumnKernels) -> None:
    assert f"sizeof(ColumnSums) == {ctypes.sizeof(ColumnSums)}" in columns_program().source
    kernels.try_all()  # on nothing it does nothing
