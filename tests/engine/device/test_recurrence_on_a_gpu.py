"""The recurrent cores' kernels on a GPU: what they give there, and that a CUDA graph holds them."""

from __future__ import annotations

import pytest
import torch

from engine.device_recurrence import Recurrence, recurrence
from engine.profile import Profile
from engine.trainer import Trainer
from tests.engine.conftest import TINY
from tests.engine.device.recurrent_cases import (
    CORES,
    SHAPES,
    Core,
    assert_a_graph_holds,
    closeness,
    make_core,
    outputs_and_gradients,
    segments,
)

pytestmark = pytest.mark.gpu

DEVICE = torch.device("cuda", 0)


@pytest.fixture(scope="module")
def kernels() -> Recurrence:
    found = recurrence(DEVICE, pytest.fail)
    assert found is not None
    return found


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("shape", [*SHAPES, (64, 512, 128)])
@pytest.mark.parametrize("kind", CORES)
def test_outputs_and_gradients_are_those_of_the_plain_path(
    kernels: Recurrence, kind: type[Core], shape: tuple[int, int, int], layers: int
) -> None:
    core = make_core(kind, shape[2], layers, "cuda")
    with torch.no_grad():
        for parameter in core.parameters():
            parameter.mul_(min(1.0, 5 / shape[2] ** 0.5))  # so that nothing grows through the layers
    case = segments(core, *shape, "cuda")
    core.kernels = kernels
    found = outputs_and_gradients(core, *case)
    core.kernels = None
    expected = outputs_and_gradients(core, *case)
    torch.testing.assert_close(found[0], expected[0], atol=1e-5, rtol=1e-5)
    assert closeness(found[1], expected[1]) <= 1e-4


@pytest.mark.parametrize("kind", CORES)
def test_bfloat16_is_as_near_to_float32_as_torchs_own_autocast(kernels: Recurrence, kind: type[Core]) -> None:
    core = make_core(kind, 32, 2, "cuda")
    case = segments(core, 64, 256, 32, "cuda")
    exact = outputs_and_gradients(core, *case)
    plain = outputs_and_gradients(core, *case, autocast=True)
    core.kernels = kernels
    found = outputs_and_gradients(core, *case, autocast=True)
    for place in (0, 1):
        assert closeness(found[place], exact[place]) <= 1.5 * closeness(plain[place], exact[place]) <= 0.15


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("kind", CORES)
def test_a_graph_holds_forward_and_backward(kernels: Recurrence, kind: type[Core], autocast: bool) -> None:
    core = make_core(kind, 32, 2, "cuda")
    core.kernels = kernels
    assert_a_graph_holds(core, *segments(core, 16, 40, 32, "cuda"), autocast)


@pytest.mark.parametrize("kind", CORES)
def test_the_rollouts_step_is_that_of_the_plain_path(kernels: Recurrence, kind: type[Core]) -> None:
    core = make_core(kind, 128, 2, "cuda")
    inputs, state, _ = segments(core, 3, 1000, 128, "cuda")
    with torch.no_grad():
        for each in inputs:
            core.kernels = None
            expected = core.step(each * 0.1, state)
            core.kernels = kernels
            found = core.step(each * 0.1, state)
            torch.testing.assert_close(found[0], expected[0], atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(found[1], expected[1], atol=1e-5, rtol=1e-5)
            state = found[1]


@pytest.mark.parametrize("core", ["lstm", "mingru"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_run_learns_the_same_with_the_kernels(core: str, precision: str) -> None:
    """The first iteration of one seed on the card: with kernels what float32 gives without them, whatever the
    precision."""
    sets = [each for each in TINY if not each.startswith("train.device")]
    sets += ["train.device=cuda", "env.agents=256", "train.minibatch=1024"]
    sets += [f"policy.core={core}"]

    def make(*more: str) -> Trainer:
        return Trainer(Profile.load("breakout.toml", [*sets, *more]).for_device("cuda"), DEVICE, warn=pytest.fail)

    trainers = [make(f"train.precision={precision}"), make("train.precision=float32", "train.fused=false")]
    assert [getattr(trainer.policy.core, "kernels", None) is not None for trainer in trainers] == [True, False]
    bound = 1e-3 if precision == "float32" else 0.1
    found, plain = (trainer.iterate().metrics for trainer in trainers)
    for name in ("loss/policy", "loss/value", "loss/entropy", "loss/grad_norm"):
        assert found[name] == pytest.approx(plain[name], rel=bound, abs=bound * 1e-2), name
    for trainer in trainers:
        trainer.close()
