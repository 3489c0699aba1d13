"""The kernels that make experience on a GPU: their text, run on the CPU, does what torch operations do."""

from __future__ import annotations

import ctypes
import math
import subprocess
from pathlib import Path

import pytest
import torch
from torch import Tensor

from engine.advantages import AdvantageSettings, torch_advantages
from engine.collector import draw_actions
from engine.cut_episodes import note_cuts
from engine.device_experience import ARGUMENTS, ExperienceKernels, experience_program
from tests.engine.device.host_device import build, host_program


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> ExperienceKernels:
    folder = tmp_path_factory.mktemp("experience")
    return ExperienceKernels(host_program(experience_program(), "host_experience.h", folder))


@pytest.mark.parametrize("choices", [1, 2, 3, 18])
@pytest.mark.parametrize("spread", [0.1, 10.0, 300.0])
def test_actions_are_those_of_torch(kernels: ExperienceKernels, choices: int, spread: float) -> None:
    rows = 2000
    heads = torch.randn(rows, choices + 1, generator=torch.Generator().manual_seed(choices)) * spread
    logits, value = heads[:, :choices], heads[:, choices]
    uniform = torch.rand(rows, generator=torch.Generator().manual_seed(1))
    actions, logprobs, values = torch.zeros(rows, dtype=torch.int32), torch.zeros(rows), torch.zeros(rows)
    kernels.choose_actions(logits, value, uniform, actions, logprobs, values)
    expected, expected_logprobs = draw_actions(logits, uniform)
    differ = actions != expected
    assert differ.sum() <= 1, "but for a number that falls on the border of two actions"
    torch.testing.assert_close(logprobs[~differ], expected_logprobs[~differ], atol=1e-5, rtol=1e-5)
    assert torch.equal(values, value)


def test_actions_are_drawn_as_often_as_they_are_likely(kernels: ExperienceKernels) -> None:
    rows = 200_000
    logits = torch.tensor([0.3, -1.0, 2.0, 0.0])
    uniform = torch.rand(rows, generator=torch.Generator().manual_seed(2))
    actions = torch.zeros(rows, dtype=torch.int32)
    rest = [torch.zeros(rows) for _ in range(3)]
    kernels.choose_actions(logits.expand(rows, 4).contiguous(), rest[0], uniform, actions, rest[1], rest[2])
    found = torch.bincount(actions, minlength=4).double()
    likely = logits.double().softmax(-1) * rows
    assert float(((found - likely).square() / likely).sum()) < 16.27, "chi-square, 3 degrees of freedom, 1 in 1,000"


def test_the_smallest_and_the_largest_number_choose_the_first_and_the_last_action(kernels: ExperienceKernels) -> None:
    logits, value = torch.zeros(2, 4), torch.zeros(2, 4)[:, 3]
    uniform = torch.tensor([0.0, math.nextafter(1.0, 0.0)], dtype=torch.float32).clamp(max=1 - 2**-24)
    actions = torch.zeros(2, dtype=torch.int32)
    kernels.choose_actions(logits, value, uniform, actions, torch.zeros(2), torch.zeros(2))
    assert actions.tolist() == [0, 3]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_an_action_of_logits_that_are_no_numbers_is_one_and_its_logprob_none(
    kernels: ExperienceKernels, bad: float
) -> None:
    heads = torch.tensor([[0.0, bad, 1.0, 0.5]])
    actions, logprobs = torch.full((1,), 9, dtype=torch.int32), torch.zeros(1)
    kernels.choose_actions(heads[:, :3], heads[:, 3], torch.tensor([0.7]), actions, logprobs, torch.zeros(1))
    assert actions.item() in (0, 1, 2)
    assert math.isnan(logprobs)


def test_a_step_that_the_device_counts_is_written_to_its_row_and_columns(kernels: ExperienceKernels) -> None:
    steps, agents, rows = 5, 7, slice(2, 6)
    heads = torch.randn(4, 4)
    uniform = torch.rand(steps, agents)
    actions = torch.full((steps, agents), -1, dtype=torch.int32)
    logprobs, values = (torch.full((steps, agents), -9.0) for _ in range(2))
    for step in (torch.tensor([3]), torch.tensor([0])):
        columns = (actions[:, rows], logprobs[:, rows], values[:, rows])
        kernels.choose_actions(heads[:, :3], heads[:, 3], uniform[:, rows], *columns, step)
        expected, expected_logprobs = draw_actions(heads[:, :3], uniform[int(step), rows])
        assert torch.equal(actions[int(step), rows].long(), expected)
        torch.testing.assert_close(logprobs[int(step), rows], expected_logprobs)
        assert torch.equal(values[int(step), rows], heads[:, 3])
    written = actions >= 0
    assert written.nonzero().tolist() == [[step, agent] for step in (0, 3) for agent in range(2, 6)]
    assert torch.equal(written, logprobs > -9)


@pytest.mark.parametrize("shape", [(1, 2, 9, 5), (2, 1, 300, 3), (3, 2, 1, 1), (0, 1, 6, 4)])
@pytest.mark.parametrize("cuts", [True, False])
def test_ends_of_episodes_are_those_of_torch(
    kernels: ExperienceKernels, shape: tuple[int, int, int, int], cuts: bool
) -> None:
    rows, chance = shape[2], torch.Generator().manual_seed(3)

    def flags() -> Tensor:
        return (torch.rand(rows, generator=chance) < 0.4).byte()

    terminals, truncations = flags(), flags()
    state, kept = torch.randn(shape, generator=chance), torch.randn(shape, generator=chance)
    cut_at = torch.full((rows,), 50)
    expected_at, expected_kept = cut_at.clone(), kept.clone()
    if cuts:
        expected_at.masked_fill_(truncations.bool(), 17)
        note_cuts(truncations.bool(), state, expected_kept)
    expected = state * (1 - torch.maximum(terminals, truncations)).float()[None, None, :, None]
    places = (kept, cut_at) if cuts else (None, None)
    kernels.end_step(17, terminals, truncations, state, *places)
    assert torch.equal(state, expected)
    assert torch.equal(kept, expected_kept)
    assert torch.equal(cut_at, expected_at)


@pytest.mark.parametrize("steps", [1, 7, 8, 64])
@pytest.mark.parametrize("rows", [1, 257])
def test_advantages_are_those_of_torch(kernels: ExperienceKernels, steps: int, rows: int) -> None:
    chance = torch.Generator().manual_seed(steps)

    def numbers() -> Tensor:
        return torch.randn(steps, rows, generator=chance)

    rewards, values, ratios, ends = numbers(), numbers(), numbers().exp(), numbers()
    done = (ends > 1).byte()
    final_values = torch.where(ends > 1.5, numbers(), 0.0)
    bootstrap = torch.randn(rows, generator=chance)
    settings = AdvantageSettings(gamma=0.97, gae_lambda=0.9, rho_clip=1.3, c_clip=0.8)
    given = (rewards, values, ratios, done, final_values, bootstrap)
    expected, found = torch.zeros(steps, rows), torch.full((steps, rows), math.nan)
    torch_advantages(*given, settings, expected)
    kernels.advantages(*given, torch.tensor([0.97, 0.9, 1.3, 0.8], dtype=torch.float64), found)
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-5)


def test_a_ratio_that_is_no_number_makes_an_advantage_that_is_none(kernels: ExperienceKernels) -> None:
    zeros = torch.zeros(3, 2)
    ratios = torch.ones(3, 2)
    ratios[1, 0] = math.nan
    found = torch.zeros(3, 2)
    done, settings = zeros.byte(), torch.tensor([0.9, 0.9, 1.0, 1.0], dtype=torch.float64)
    kernels.advantages(zeros + 1, zeros, ratios, done, zeros, torch.zeros(2), settings, found)
    assert found.isnan().tolist() == [[True, False], [True, False], [False, False]]


def test_nothing_is_read_or_written_beside_the_arrays(tmp_path: Path) -> None:
    headers = ["host_experience.h", "host_driver.h", "experience_bounds.h"]
    program = build(experience_program(), headers, ["-O1", "-g", "-fsanitize=address,undefined"], tmp_path)
    # Looking for leaks, which there are none to look for, is not allowed in every container.
    options = {"ASAN_OPTIONS": "detect_leaks=0"}
    done = subprocess.run([program], env=options, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_host_and_the_device_speak_of_the_same_kernels(kernels: ExperienceKernels) -> None:
    program = experience_program()
    assert program.kernels == tuple(ARGUMENTS)
    for arguments in ARGUMENTS.values():
        assert f"sizeof({arguments.__name__}) == {ctypes.sizeof(arguments)}" in program.source
    kernels.try_all()  # on nothing they do nothing
