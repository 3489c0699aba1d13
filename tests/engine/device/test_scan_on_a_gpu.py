"""An LSTM's whole segment in one launch each way on a GPU: what it gives there, and that a CUDA graph holds it."""

from __future__ import annotations

import pytest
import torch

from engine import lstm
from engine.device_recurrence import Recurrence, recurrence
from engine.device_scan import HIDDEN, NUMBERS, LstmScan, lstm_scans
from engine.device_unroll import product_type
from engine.profile import Profile
from engine.trainer import Trainer
from tests.engine.conftest import TINY
from tests.engine.device.recurrent_cases import assert_a_graph_holds, closeness, outputs_and_gradients, segments
from tests.engine.device.scan_cases import SHAPES, RoundedLSTM, tame_lstm

pytestmark = pytest.mark.gpu

DEVICE = torch.device("cuda", 0)
LARGE = [
    pytest.param(shape, marks=pytest.mark.gpu(driver=True))
    for shape in ((64, 512, 128), (64, 2051, 128), (64, 300, 64), (33, 1001, 32))
]
"""More blocks than a GPU has multiprocessors, too."""

Scans = dict[torch.dtype, LstmScan]


@pytest.fixture(scope="module")
def kernels() -> Recurrence:
    found = recurrence(DEVICE, pytest.fail)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def scans() -> dict[int, Scans]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.backends.cuda.matmul, "allow_tf32", True)
        found = {
            hidden: {
                real: scan
                for products in NUMBERS
                for real, scan in lstm_scans(DEVICE, hidden, products, pytest.fail).items()
            }
            for hidden in HIDDEN
        }
    assert all(set(each) == set(NUMBERS) for each in found.values())
    return found


@pytest.fixture
def only_scans(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments are scanned though products must not be rounded: all others are exact."""
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)
    monkeypatch.setattr(lstm, "lstm_recurrence", lambda kernels, scans, inputs: scans[product_type(inputs)])


@pytest.mark.parametrize("shape", [*SHAPES, *LARGE])
def test_with_tf32_it_is_the_plain_path_with_rounded_products(
    kernels: Recurrence, scans: dict[int, Scans], only_scans: None, shape: tuple[int, int, int]
) -> None:
    core, rounded = tame_lstm(shape[2], device="cuda"), RoundedLSTM(shape[2]).to("cuda")
    rounded.load_state_dict(core.state_dict())
    case = segments(core, *shape, "cuda")
    core.kernels, core.scans = kernels, scans[shape[2]]
    found, expected = outputs_and_gradients(core, *case), outputs_and_gradients(rounded, *case)
    core.kernels = None
    plain = outputs_and_gradients(core, *case)
    for place in (0, 1):
        error, usual = closeness(found[place], expected[place]), closeness(plain[place], expected[place])
        assert error <= usual / 4 <= 1e-3


@pytest.mark.parametrize("shape", [*SHAPES, *LARGE])
def test_bfloat16_is_as_near_to_float32_as_torchs_own_autocast(
    kernels: Recurrence, scans: dict[int, Scans], only_scans: None, shape: tuple[int, int, int]
) -> None:
    core = tame_lstm(shape[2], 2, "cuda")
    case = segments(core, *shape, "cuda")
    exact = outputs_and_gradients(core, *case)
    plain = outputs_and_gradients(core, *case, autocast=True)
    core.kernels, core.scans = kernels, scans[shape[2]]
    found = outputs_and_gradients(core, *case, autocast=True)
    for place in (0, 1):
        assert closeness(found[place], exact[place]) <= 1.5 * closeness(plain[place], exact[place]) <= 0.15


@pytest.mark.parametrize("autocast", [False, True])
def test_twice_the_same_is_equal_by_the_bit(
    kernels: Recurrence, scans: dict[int, Scans], only_scans: None, autocast: bool
) -> None:
    core = tame_lstm(128, device="cuda")
    core.kernels, core.scans = kernels, scans[128]
    case = segments(core, 5, 19, 128, "cuda")
    first, second = (outputs_and_gradients(core, *case, autocast=autocast) for _ in range(2))
    assert torch.equal(first[0], second[0])
    assert all(torch.equal(one, two) for one, two in zip(first[1], second[1], strict=True))


@pytest.mark.parametrize("autocast", [False, True])
def test_a_graph_holds_forward_and_backward(
    kernels: Recurrence, scans: dict[int, Scans], only_scans: None, autocast: bool
) -> None:
    core = tame_lstm(32, 2, "cuda")
    core.kernels, core.scans = kernels, scans[32]
    assert_a_graph_holds(core, *segments(core, 16, 40, 32, "cuda"), autocast)


def test_a_run_learns_the_same_where_products_may_be_rounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first iteration of one seed on the card: whole segments at once, and the plain path in float32."""
    sets = [each for each in TINY if not each.startswith(("train.device", "policy.hidden"))]
    sets += ["train.device=cuda", "env.agents=64", "train.minibatch=256", "policy.hidden=32"]

    def iterate(*more: str) -> dict[str, float]:
        profile = Profile.load("breakout.toml", [*sets, *more]).for_device("cuda")
        trainer = Trainer(profile, DEVICE, warn=pytest.fail)
        metrics = trainer.iterate().metrics
        trainer.close()
        return metrics

    # Put back behind the test whatever the trainers set.
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)
    plain, found = iterate("train.fused=false", "train.precision=float32"), iterate("train.precision=tf32")
    for name in ("loss/policy", "loss/value", "loss/entropy", "loss/grad_norm"):
        assert found[name] == pytest.approx(plain[name], rel=2e-2, abs=1e-3), name
