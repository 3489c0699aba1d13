"""The objective's kernel for a GPU: its text, run on the CPU, finds what autograd finds."""

from __future__ import annotations

import ctypes
import math
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from engine.device_loss import LossKernels, PpoLoss, loss_program
from engine.losses import STATISTICS, LossSettings, Targets, ppo_loss
from engine.scalars import Scalar
from tests.engine.device.host_device import build, host_program

SETTINGS = LossSettings(clip=0.2, value_clip=0.3, value_coef=0.7, entropy_coef=0.05)
Found = tuple[Tensor, ...]


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> LossKernels:
    return LossKernels(host_program(loss_program(), "host_loss.h", tmp_path_factory.mktemp("loss")))


def samples(steps: int, segments: int, choices: int, masked: bool = False) -> tuple[Tensor, Targets]:
    """What a network says, logits and value side by side, and what it is trained towards: ratios on both sides of each
    bound, and values on both sides of each."""
    chance = torch.Generator().manual_seed(steps + segments + choices)

    def numbers() -> Tensor:
        return torch.randn(steps, segments, generator=chance)

    heads = torch.randn(steps, segments, choices + 1, generator=chance)
    actions = torch.randint(0, choices, (steps, segments), generator=chance, dtype=torch.int32)
    logprobs = heads[..., :-1].log_softmax(-1).gather(-1, actions.long().unsqueeze(-1)).squeeze(-1)
    old_values = heads[..., -1] + 0.4 * numbers()
    masks = (numbers() > 0).float() if masked else None
    targets = Targets(actions, logprobs + 0.4 * numbers(), numbers(), old_values, old_values + numbers(), masks)
    return heads, targets


def by_autograd(heads: Tensor, targets: Targets, settings: LossSettings, count: Scalar) -> Found:
    logits, values = (each.clone().requires_grad_() for each in (heads[..., :-1], heads[..., -1]))
    loss, ratios, statistics = ppo_loss(logits, values, targets, settings, count)
    return *torch.autograd.grad(loss, (logits, values)), ratios, statistics


def by_kernel(kernels: LossKernels, heads: Tensor, targets: Targets, settings: LossSettings, count: Scalar) -> Found:
    found = kernels.ppo_loss(heads[..., :-1], heads[..., -1], targets, settings, count)
    return tuple(found._replace(statistics=found.statistics.sum(1)))


@pytest.mark.parametrize("shape", [(1, 1, 2), (7, 5, 4), (64, 9, 18), (3, 2, 1)])
@pytest.mark.parametrize("value_clip", [0.0, 0.3])
@pytest.mark.parametrize("masked", [False, True])
def test_gradients_ratios_and_statistics_are_those_of_autograd(
    kernels: LossKernels, shape: tuple[int, int, int], value_clip: float, masked: bool
) -> None:
    heads, targets = samples(*shape, masked)
    settings = replace(SETTINGS, value_clip=value_clip)
    count: Scalar = shape[0] * shape[1]
    if targets.masks is not None:
        count = targets.masks.sum().clamp(min=1.0)
    found = by_kernel(kernels, heads, targets, settings, count)
    for one, other in zip(found, by_autograd(heads, targets, settings, count), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)


def test_the_samples_reach_every_case(kernels: LossKernels) -> None:
    """Or the comparison with autograd would prove little."""
    heads, targets = samples(64, 9, 18)
    *_, ratios, _ = by_kernel(kernels, heads, targets, SETTINGS, 64 * 9)
    moved = heads[..., -1] - targets.values
    for out in (ratios > 1.2, ratios < 0.8):
        for sign in (targets.advantages > 0, targets.advantages < 0):
            assert (out & sign).any()
    assert {bool(each) for each in (moved.abs() > 0.3).flatten()} == {False, True}


def test_settings_of_a_recording_are_read_when_it_is_launched(kernels: LossKernels) -> None:
    """As doubles on the device."""
    heads, targets = samples(5, 6, 3)
    numbers = torch.zeros(4, dtype=torch.float64)
    settings = LossSettings(*numbers.unbind())
    for values in ((0.2, 0.3, 0.7, 0.05), (0.05, 0.01, 0.3, 0.0)):
        numbers.copy_(torch.tensor(values, dtype=torch.float64))
        found = by_kernel(kernels, heads, targets, settings, 30)
        for one, other in zip(found, by_kernel(kernels, heads, targets, LossSettings(*values), 30), strict=True):
            assert torch.equal(one, other)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("place", ["logit", "value", "advantage"])
def test_what_is_not_finite_shows_in_the_statistics(kernels: LossKernels, place: str, bad: float) -> None:
    heads, targets = samples(4, 3, 5)
    if place == "advantage":
        targets.advantages[2, 1] = bad
    else:
        heads[2, 1, 0 if place == "logit" else -1] = bad
    *_, statistics = by_kernel(kernels, heads, targets, SETTINGS, 12)
    *_, expected = by_autograd(heads, targets, SETTINGS, 12)
    assert torch.equal(statistics.isfinite(), expected.isfinite())
    assert not statistics.isfinite().all()


def test_nothing_is_read_or_written_beside_the_arrays(tmp_path: Path) -> None:
    headers = ["host_loss.h", "host_driver.h", "loss_bounds.h"]
    program = build(loss_program(), headers, ["-O1", "-g", "-fsanitize=address,undefined"], tmp_path)
    # Looking for leaks, which there are none to look for, is not allowed in every container.
    options = {"ASAN_OPTIONS": "detect_leaks=0"}
    done = subprocess.run([program], env=options, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_host_and_the_device_speak_of_the_same_kernel(kernels: LossKernels) -> None:
    program = loss_program()
    assert f"sizeof(PpoLoss) == {ctypes.sizeof(PpoLoss)}" in program.source
    assert f"statistics;          /* [{len(STATISTICS)}, rows]" in program.headers["loss.h"]
    kernels.try_all()  # on nothing it does nothing
