"""The kernel that takes the rollout a step: its text, run on the CPU, does what the policy and the collector do."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from engine.collector import draw_actions
from engine.device_policy import PolicyStep, block_rows, policy_program, policy_step
from engine.lstm import LSTM
from engine.mingru import MinGRU
from engine.policy import Policy
from tests.engine.device.host_device import host_program
from tests.engine.device.scan_cases import to_tf32

Shape = tuple[str, int, int, int, int, int]
DEVICES = [pytest.param("cpu", id="host"), pytest.param("cuda", marks=pytest.mark.gpu)]
SHAPES = [
    # core, observation, hidden, layers, actions, agents
    ("lstm", 118, 128, 1, 3, 70),
    ("lstm", 5, 32, 2, 1, 33),
    ("lstm", 130, 64, 3, 17, 9),
    ("mingru", 118, 64, 2, 3, 50),
    ("mingru", 16, 128, 1, 4, 32),
    ("none", 49, 32, 1, 5, 17),
    ("none", 200, 64, 2, 8, 1),
]


class Case(NamedTuple):
    """A policy, its kernel, and the device that both are on."""

    policy: Policy
    kernel: PolicyStep
    device: torch.device


Make = Callable[[str, int, int, int, int], Case]


@pytest.fixture(scope="module", params=DEVICES)
def make(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """A policy of this shape and its kernel, which is built when it is asked for the first time."""

    @cache
    def one(core: str, inputs: int, hidden: int, layers: int, actions: int) -> Case:
        policy = Policy(inputs, actions, core=core, hidden=hidden, layers=layers)
        policy.initialize(torch.Generator().manual_seed(hidden))
        with torch.no_grad():
            for parameter in policy.parameters():
                if parameter.ndim == 1:
                    parameter.uniform_(-0.5, 0.5, generator=torch.Generator().manual_seed(1))
            policy.heads.weight.mul_(20)
        device = torch.device(request.param)
        policy.to(device)
        parameters = [each for part in (policy.encoder, policy.heads, policy.core) for each in part.parameters()]
        if request.param == "cuda":
            kernel = policy_step(device, parameters, layers, core, pytest.fail)
            assert kernel is not None
        else:
            program = policy_program(inputs, hidden, layers, actions + 1, core)
            launcher = host_program(program, "host_policy_step.h", tmp_path_factory.mktemp("policy"))
            kernel = PolicyStep(launcher, parameters, hidden, layers, core)
        kernel.pack()
        return Case(policy, kernel, device)

    return one


def product(inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return functional.linear(to_tf32(inputs.double()), to_tf32(weight.double()), bias.double())


def slow_step(policy: Policy, observations: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """Heads [N, A + 1] and the next state in float64, by the cores' formulas, with the factors of products rounded."""
    x, following = functional.relu(product(observations, policy.encoder.weight, policy.encoder.bias)), []
    core = policy.core
    if isinstance(core, LSTM):
        for layer in range(core.layers):
            w_ih, w_hh, b_ih, b_hh = core.weights(layer)
            i, f, g, o = (product(x, w_ih, b_ih) + product(state[layer, 0], w_hh, b_hh)).chunk(4, -1)
            cell = f.sigmoid() * state[layer, 1].double() + i.sigmoid() * g.tanh()
            x = o.sigmoid() * cell.tanh()
            following.append(torch.stack((x, cell)))
    elif isinstance(core, MinGRU):
        for layer, gate in enumerate(core.gates):
            c, z, s = product(x, gate.weight, gate.bias).chunk(3, -1)
            h = (1 - z.sigmoid()) * state[layer, 0].double()
            h = h + z.sigmoid() * torch.where(c >= 0, c + 0.5, c.sigmoid())
            x = s.sigmoid() * h + (1 - s.sigmoid()) * x
            following.append(h.unsqueeze(0))
    else:
        for layer in core.stack:
            x = functional.relu(product(x, layer.weight, layer.bias))
    heads = functional.linear(x, policy.heads.weight.double(), policy.heads.bias.double())
    return heads, torch.stack(following) if following else state.double()


def drawn(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@torch.no_grad()
@pytest.mark.parametrize("shape", SHAPES)
def test_a_step_is_the_slow_one(make: Make, shape: Shape) -> None:
    """Three steps, each from where the kernel is; a number that rounds the other way moves all behind it a little."""
    *policy_shape, agents = shape
    policy, kernel, device = make(*policy_shape)
    state = policy.initial_state(agents)
    state.copy_(torch.randn(state.shape, generator=drawn(2)).mul(0.5))
    state = state.to(device)
    for step in range(3):
        observations = torch.randn(agents, policy.observation_size, generator=drawn(step)).to(device)
        uniform = torch.rand(agents, generator=drawn(9 + step)).to(device)
        ended, cut = ((torch.rand(2, agents, generator=drawn(5 + step)) < 0.3).byte()).to(device)
        expected, following = slow_step(policy, observations, state * (ended + cut == 0)[:, None])
        actions = torch.full((agents,), -1, dtype=torch.int32, device=device)
        logprobs, values = torch.zeros(2, agents, device=device)
        kernel.act(observations, state, uniform, actions, logprobs, values, ended=ended, cut=cut)
        torch.testing.assert_close(state.double(), following, atol=2e-3, rtol=2e-3)
        assert float((state.double() - following).abs().mean() if state.numel() else 0) < 5e-5
        torch.testing.assert_close(values.double(), expected[:, -1], atol=5e-3, rtol=5e-3)
        chosen, likely = draw_actions(expected[:, :-1].float().cpu(), uniform.cpu())
        same = actions.cpu() == chosen
        assert (~same).sum() <= 1 + agents // 20, "but for numbers near the border of two actions"
        torch.testing.assert_close(logprobs.cpu()[same], likely[same], atol=5e-3, rtol=5e-3)


@torch.no_grad()
def test_rows_of_columns_and_some_agents_of_more(make: Make) -> None:
    """A step that the device counts, for agents between others: what is theirs is as without the others."""
    _, kernel, device = make("lstm", 5, 32, 2, 1)
    steps, agents, rows = 4, 90, slice(21, 61)
    generator = drawn(3)
    observations = torch.randn(steps + 1, agents, 5, generator=generator).to(device)
    uniform, ended = torch.rand(steps, agents, generator=generator).to(device), torch.zeros(steps, agents).byte()
    ended[2, 30:50] = 1
    ended = ended.to(device)
    state = torch.randn(2, 2, agents, 32, generator=generator).to(device)
    actions = torch.full((steps, agents), -1, dtype=torch.int32, device=device)
    logprobs, values = torch.full((2, steps, agents), -9.0, device=device)
    alone, alone_actions = state[:, :, rows].contiguous(), torch.zeros(40, dtype=torch.int32, device=device)
    alone_logprobs, alone_values = torch.zeros(2, 40, device=device)
    others = state.clone()
    columns = [each[:, rows] for each in (uniform, actions, logprobs, values)]
    step = torch.tensor([2], device=device)
    kernel.act(observations[:, rows], state[:, :, rows], *columns, ended=ended[:, rows], step=step)
    written = (alone_actions, alone_logprobs, alone_values)
    kernel.act(observations[2, rows], alone, uniform[2, rows].contiguous(), *written, ended=ended[2, rows].contiguous())
    assert torch.equal(state[:, :, rows], alone)
    assert torch.equal(actions[2, rows], alone_actions)
    assert torch.equal(logprobs[2, rows], alone_logprobs)
    assert torch.equal(values[2, rows], alone_values)
    others[:, :, rows] = alone
    assert torch.equal(state, others)
    assert (actions >= 0).nonzero().tolist() == [[2, agent] for agent in range(21, 61)]
    assert (logprobs != -9).sum() == (values != -9).sum() == 40


@torch.no_grad()
@pytest.mark.parametrize("core", ["lstm", "mingru"])
@pytest.mark.parametrize("coded", [True, False])
def test_the_state_that_a_time_limit_cut_is_kept(make: Make, core: str, coded: bool) -> None:
    """The agents begin anew, and where and in which state their episodes were cut is noted."""
    policy, kernel, device = make(*{"lstm": ("lstm", 5, 32, 2, 1), "mingru": ("mingru", 118, 64, 2, 3)}[core])
    agents = 37
    shape = policy.initial_state(agents).shape
    start, kept = torch.randn(2, *shape, generator=drawn(4)).to(device)
    state, kept_before = start.clone(), kept.clone()
    ended, cut = (torch.rand(2, agents, generator=drawn(5)) < 0.4).byte().to(device)
    cut_at = torch.full((agents,), 99, device=device)
    observations, uniform = torch.randn(agents, policy.observation_size, generator=drawn(6)), torch.rand(agents)
    given = observations.to(device), state, uniform.to(device)
    written = [torch.zeros(agents, dtype=torch.int32, device=device), *torch.zeros(2, agents, device=device)]
    ends = {"ended": ended | 2 * cut} if coded else {"ended": ended, "cut": cut}
    kernel.act(*given, *written, **ends, cut_state=kept, cut_at=cut_at, step=7)
    was_cut = cut.bool()
    assert torch.equal(kept, torch.where(was_cut[:, None], start, kept_before))
    assert torch.equal(cut_at, torch.where(was_cut, 6, 99))
    expected = start * ((ended | cut) == 0)[:, None]
    kernel.act(given[0], expected, given[2], *(each.clone() for each in written))
    assert torch.equal(state, expected)


@torch.no_grad()
@pytest.mark.parametrize("last_warp_first", [0, 1])
@pytest.mark.parametrize("shape", [SHAPES[0], SHAPES[2], SHAPES[3]])
def test_whichever_warp_runs_first(make: Make, shape: Shape, last_warp_first: int) -> None:
    """None reads what another one has not written yet, or writes over what it has still to read."""
    *policy_shape, agents = shape
    policy, kernel, device = make(*policy_shape)
    if device.type == "cuda":
        pytest.skip("a card's warps run as they like")
    order = ctypes.c_int.in_dll(kernel._launcher._driver, "host_last_warp_first")  # type: ignore[attr-defined]
    found = []
    for turn in (0, last_warp_first):
        order.value = turn
        state = torch.randn(policy.initial_state(agents).shape, generator=drawn(1))
        observations, uniform = torch.randn(agents, policy.observation_size, generator=drawn(2)), torch.rand(agents)
        uniform.fill_(0.4)
        written: list[Any] = [torch.zeros(agents, dtype=torch.int32), *torch.zeros(2, agents)]
        kernel.act(observations, state, uniform, *written)
        found.append((state, *written))
    order.value = 0
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)
        assert not one.isnan().any()


@torch.no_grad()
def test_an_observation_that_is_no_number_shows_in_the_value(make: Make) -> None:
    policy, kernel, device = make("mingru", 118, 64, 2, 3)
    observations, state = torch.zeros(20, 118, device=device), policy.initial_state(20).to(device)
    observations[7, 3] = torch.nan
    actions = torch.full((20,), -1, dtype=torch.int32, device=device)
    logprobs, values = torch.zeros(2, 20, device=device)
    kernel.act(observations, state, torch.full((20,), 0.5, device=device), actions, logprobs, values)
    assert values.isnan().nonzero().flatten().tolist() == [7]
    assert logprobs.isnan().nonzero().flatten().tolist() == [7]
    assert set(actions.tolist()) <= {0, 1, 2}


def test_nothing_happens_on_nothing(make: Make) -> None:
    make("none", 49, 32, 1, 5).kernel.try_all()


def test_a_policy_that_does_not_fit_has_no_kernel() -> None:
    parameters = list(Policy(10, 3, hidden=48).parameters())
    assert policy_step(torch.device("cuda"), [parameters[0], *parameters[1:]], 1, "lstm", pytest.fail) is None


def test_blocks_are_whole_columns() -> None:
    assert [block_rows(hidden) % 8 for hidden in (32, 64, 128)] == [0, 0, 0]
