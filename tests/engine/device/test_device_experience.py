"""The kernels that make experience on a GPU: their text, run on the CPU, does what torch operations do."""

from __future__ import annotations

import ctypes
import math
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from engine.advantages import AdvantageSettings, torch_advantages
from engine.collector import draw_actions
from engine.cut_episodes import note_cuts
from engine.device_experience import (
    ARGUMENTS,
    HEADS_PARTS,
    ExperienceKernels,
    experience_kernels,
    experience_program,
)
from engine.device_heads import DeviceHeads
from tests.engine.device.host_device import build, host_program

DEVICES = [pytest.param("cpu", id="host"), pytest.param("cuda", marks=pytest.mark.gpu)]


class Place(NamedTuple):
    """Kernels, and the device that they are for."""

    kernels: ExperienceKernels
    device: torch.device

    def put(self, *tensors: Tensor) -> list[Tensor]:
        """The tensors there."""
        return [tensor.to(self.device) for tensor in tensors]


@pytest.fixture(scope="module", params=DEVICES)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Place:
    if request.param == "cuda":
        device = torch.device("cuda", 0)
        found = experience_kernels(device, pytest.fail)
        assert found is not None
        return Place(found, device)
    folder = tmp_path_factory.mktemp("experience")
    program = host_program(experience_program(), "host_experience.h", folder)
    return Place(ExperienceKernels(program), torch.device("cpu"))


def choose(place: Place, heads: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Actions, their log-probabilities and the values that heads [N, A + 1] lead to, back on the host."""
    rows = len(heads)
    heads, uniform = place.put(heads, uniform)
    actions, logprobs, values = place.put(torch.full((rows,), -1, dtype=torch.int32), *torch.zeros(2, rows))
    place.kernels.choose_actions(heads[:, :-1], heads[:, -1], uniform, actions, logprobs, values)
    return actions.cpu(), logprobs.cpu(), values.cpu()


def chance(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("rows", [1, 31, 2000])
@pytest.mark.parametrize(("width", "outputs"), [(1, 2), (7, 5), (64, 1), (128, 4), (200, 19)])
def test_heads_are_those_of_torch(place: Place, rows: int, width: int, outputs: int) -> None:
    drawn = chance(width)
    inputs, weight, bias, slope = (
        torch.randn(*size, generator=drawn) for size in ((rows, width), (outputs, width), (outputs,), (rows, outputs))
    )
    given = [each.requires_grad_() for each in place.put(inputs, weight, bias)]
    found: Tensor = DeviceHeads.apply(*given, place.kernels)  # type: ignore[no-untyped-call]
    exact = [each.detach().double().requires_grad_() for each in (inputs, weight, bias)]
    expected = functional.linear(*exact)
    torch.testing.assert_close(found.cpu().double(), expected, atol=1e-5, rtol=1e-5)
    found.backward(*place.put(slope))  # type: ignore[no-untyped-call]
    expected.backward(slope.double())  # type: ignore[no-untyped-call]
    for one, other in zip(given, exact, strict=True):
        assert one.grad is not None
        assert other.grad is not None
        torch.testing.assert_close(one.grad.cpu().double(), other.grad, atol=3e-4, rtol=1e-4)


@pytest.mark.parametrize("choices", [1, 2, 3, 18])
@pytest.mark.parametrize("spread", [0.1, 10.0, 300.0])
def test_actions_are_those_of_torch(place: Place, choices: int, spread: float) -> None:
    heads = torch.randn(2000, choices + 1, generator=chance(choices)) * spread
    uniform = torch.rand(2000, generator=chance(1))
    actions, logprobs, values = choose(place, heads, uniform)
    expected, expected_logprobs = draw_actions(heads[:, :-1], uniform)
    differ = actions != expected
    assert differ.sum() <= 1, "but for a number that falls on the border of two actions"
    torch.testing.assert_close(logprobs[~differ], expected_logprobs[~differ], atol=1e-5, rtol=1e-5)
    assert torch.equal(values, heads[:, -1])


def test_actions_are_drawn_as_often_as_they_are_likely(place: Place) -> None:
    rows = 200_000
    heads = torch.tensor([0.3, -1.0, 2.0, 0.0, 5.0])
    actions, _, _ = choose(place, heads.expand(rows, 5).contiguous(), torch.rand(rows, generator=chance(2)))
    found = torch.bincount(actions, minlength=4).double()
    likely = heads[:-1].double().softmax(-1) * rows
    assert float(((found - likely).square() / likely).sum()) < 16.27, "chi-square, 3 degrees of freedom, 1 in 1,000"


def test_the_smallest_and_the_largest_number_choose_the_first_and_the_last_action(place: Place) -> None:
    actions, _, _ = choose(place, torch.zeros(2, 5), torch.tensor([0.0, 1 - 2**-24]))
    assert actions.tolist() == [0, 3]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_an_action_of_logits_that_are_no_numbers_is_one_and_its_logprob_none(place: Place, bad: float) -> None:
    actions, logprobs, _ = choose(place, torch.tensor([[0.0, bad, 1.0, 0.5]]), torch.tensor([0.7]))
    assert actions.item() in (0, 1, 2)
    assert math.isnan(logprobs)


def test_a_step_that_the_device_counts_is_written_to_its_row_and_columns(place: Place) -> None:
    steps, agents, rows = 5, 7, slice(2, 6)
    heads, uniform = torch.randn(4, 4, generator=chance(3)), torch.rand(steps, agents, generator=chance(4))
    there, chosen_by = place.put(heads, uniform)
    actions, logprobs, values = place.put(
        torch.full((steps, agents), -1, dtype=torch.int32), *torch.full((2, steps, agents), -9.0)
    )
    for number in (3, 0):
        (step,) = place.put(torch.tensor([number]))
        columns = (actions[:, rows], logprobs[:, rows], values[:, rows])
        place.kernels.choose_actions(there[:, :3], there[:, 3], chosen_by[:, rows], *columns, step)
        expected, expected_logprobs = draw_actions(heads[:, :3], uniform[number, rows])
        assert torch.equal(actions[number, rows].cpu().long(), expected)
        torch.testing.assert_close(logprobs[number, rows].cpu(), expected_logprobs)
        assert torch.equal(values[number, rows].cpu(), heads[:, 3])
    written = actions.cpu() >= 0
    assert written.nonzero().tolist() == [[step, agent] for step in (0, 3) for agent in range(2, 6)]
    assert torch.equal(written, logprobs.cpu() > -9)


@pytest.mark.parametrize("shape", [(1, 2, 9, 5), (2, 1, 300, 3), (3, 2, 1, 1), (0, 1, 6, 4)])
@pytest.mark.parametrize("cuts", [True, False])
def test_ends_of_episodes_are_those_of_torch(place: Place, shape: tuple[int, int, int, int], cuts: bool) -> None:
    rows, drawn = shape[2], chance(3)
    terminals, truncations = (torch.rand(2, rows, generator=drawn) < 0.4).byte()
    state, cut_state = torch.randn(2, *shape, generator=drawn)
    cut_at = torch.full((rows,), 50)
    ends, truncated, found, kept, at = place.put(terminals, truncations, state, cut_state, cut_at)
    found, kept, at = found.clone(), kept.clone(), at.clone()
    place.kernels.end_step(17, ends, truncated, found, *((kept, at) if cuts else (None, None)))
    if cuts:
        cut_at.masked_fill_(truncations.bool(), 17)
        note_cuts(truncations.bool(), state, cut_state)
    expected = state * (1 - torch.maximum(terminals, truncations)).float()[None, None, :, None]
    assert torch.equal(found.cpu(), expected)
    assert torch.equal(kept.cpu(), cut_state)
    assert torch.equal(at.cpu(), cut_at)


@pytest.mark.parametrize("steps", [1, 7, 8, 64])
@pytest.mark.parametrize("rows", [1, 257])
def test_advantages_are_those_of_torch(place: Place, steps: int, rows: int) -> None:
    rewards, values, ratios, ends, last = torch.randn(5, steps, rows, generator=chance(steps))
    final_values = torch.where(ends > 1.5, last, 0.0)
    bootstrap = torch.randn(rows, generator=chance(steps))
    given = (rewards, values, ratios.exp(), (ends > 1).byte(), final_values, bootstrap)
    settings = AdvantageSettings(gamma=0.97, gae_lambda=0.9, rho_clip=1.3, c_clip=0.8)
    expected = torch.zeros(steps, rows)
    torch_advantages(*given, settings, expected)
    numbers, found = place.put(
        torch.tensor([0.97, 0.9, 1.3, 0.8], dtype=torch.float64), torch.full((steps, rows), math.nan)
    )
    place.kernels.advantages(*place.put(*given), numbers, found)
    torch.testing.assert_close(found.cpu(), expected, atol=2e-5, rtol=1e-5)


def test_a_ratio_that_is_no_number_makes_an_advantage_that_is_none(place: Place) -> None:
    ratios = torch.ones(3, 2)
    ratios[1, 0] = math.nan
    zeros, ratios, numbers = place.put(
        torch.zeros(3, 2), ratios, torch.tensor([0.9, 0.9, 1.0, 1.0], dtype=torch.float64)
    )
    found = torch.zeros_like(zeros)
    place.kernels.advantages(zeros + 1, zeros, ratios, zeros.byte(), zeros, zeros[0], numbers, found)
    assert found.cpu().isnan().tolist() == [[True, False], [True, False], [False, False]]


def test_nothing_is_read_or_written_beside_the_arrays(tmp_path: Path) -> None:
    headers = ["host_experience.h", "host_driver.h", "experience_bounds.h"]
    program = build(experience_program(), headers, ["-O1", "-g", "-fsanitize=address,undefined"], tmp_path)
    # Looking for leaks, which there are none to look for, is not allowed in every container.
    options = {"ASAN_OPTIONS": "detect_leaks=0"}
    done = subprocess.run([program], env=options, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_host_and_the_device_speak_of_the_same_kernels(place: Place) -> None:
    program = experience_program()
    assert program.kernels == tuple(ARGUMENTS)
    assert f"#define HEADS_PARTS {HEADS_PARTS}\n" in program.headers["experience.h"]
    for arguments in ARGUMENTS.values():
        assert f"sizeof({arguments.__name__}) == {ctypes.sizeof(arguments)}" in program.source
    place.kernels.try_all()  # on nothing they do nothing
